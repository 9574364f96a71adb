"""The examples of the README, and the one in examples/, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fleet import Fleet

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT.parents[1] / "examples" / "python-client"
BLOCKS = re.findall(r"(?m)^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def run(fleet: Fleet, *command: str | Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
    env["WINDLASS_URL"] = fleet.url
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 8


def test_the_examples_are_well_typed(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    for number, block in enumerate(BLOCKS):
        (tmp_path / f"example_{number}.py").write_text(block, "utf-8")
    told, _, code = api.run(["--strict", "--cache-dir", os.devnull, *map(str, tmp_path.iterdir())])
    assert code == 0, told


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_runs(number: int, fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(BLOCKS[number], "utf-8")
    assert run(fleet, file).strip()


def test_the_review_of_a_folder_runs(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "b.py").write_text("print('b')\n")
    told = run(fleet, EXAMPLE / "review_folder.py", tmp_path, "--batch", "folder")
    assert "a.py" in told
    assert "b.py" in told
    assert "2 files, 0 failed" in told
    # Run again, it finds what was done.
    assert run(fleet, EXAMPLE / "review_folder.py", tmp_path, "--batch", "folder") == told
