#!/usr/bin/env python3
"""Makes a file of tasks from the files that changed, with their text, so that workers need no clone.

    tasks.py TYPE DESCRIPTION BASE [PATTERN...] > tasks.jsonl      the files that changed since BASE, such as origin/main
"""

import json
import subprocess
import sys
from pathlib import Path

# Larger ones are for people.
LARGEST = 200_000


def main(kind, description, base, *patterns):
    changed = subprocess.run(
        ["git", "diff", "--name-only", "-z", "--diff-filter=AM", f"{base}...HEAD", "--", *(patterns or ("*.py",))],
        check=True, capture_output=True, text=True,
    )
    for name in filter(None, changed.stdout.split("\0")):
        data = Path(name).read_bytes()
        if 0 < len(data) <= LARGEST and b"\0" not in data:
            payload = {"description": description, "target_file": name, "files": {name: data.decode("utf-8", "replace")}}
            print(json.dumps({"type": kind, "payload": payload, "metadata": {"file": name}}))


if len(sys.argv) < 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
