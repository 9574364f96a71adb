"""Has every Python file of a folder reviewed by a model, and prints the reviews as they come.

    pip install ./clients/python
    windlass serve --anonymous &
    python examples/python-client/review_folder.py src --batch review-1

Interrupt it whenever you like, and run it again: with the same batch, nothing is asked or paid for twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from windlass_client import Client, Task, WindlassError

INSTRUCTIONS = "You review code. Name the most serious problem in at most three sentences, or say that there is none."


def tasks(files: list[Path], root: Path) -> Iterator[dict[str, object]]:
    """One task a file, read only when it is sent."""
    for file in files:
        name = str(file.relative_to(root))
        payload = {"system": INSTRUCTIONS, "prompt": f"{name}:\n\n{file.read_text('utf-8')}"}
        yield {"type": "llm", "payload": payload, "metadata": {"file": name}}


def show(task: Task) -> None:
    name = task.metadata["file"]
    if task.completed:
        print(f"== {name}\n{task.result['text'].strip()}\n")
    else:
        print(f"== {name}: {task.error.message if task.error else task.state}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Has every Python file of a folder reviewed.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", required=True, help="the name of this review")
    args = parser.parse_args()
    # The order must be the same when it is run again.
    files = sorted(args.folder.rglob("*.py"))
    if not files:
        print(f"{args.folder} has no Python files", file=sys.stderr)
        return 2
    failed = 0
    try:
        with Client() as client:
            report = client.submit_many(tasks(files, args.folder), batch=args.batch)
            print(f"{report.accepted} submitted, {report.duplicates} known", file=sys.stderr)
            for task in client.results(batch=args.batch, follow=True):
                failed += not task.completed
                show(task)
    except WindlassError as error:
        print(f"review_folder: {error}", file=sys.stderr)
        return 1
    print(f"{len(files)} files, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
