"""Makes the asyncio client of the blocking one, so that there is one text of both: `python tools/generate.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "windlass_client"
SOURCE = PACKAGE / "_client.py"
TARGET = PACKAGE / "_async_client.py"

WORDS = [
    (r"\bclass Client\b", "class AsyncClient"),
    (r"\bGenerator\[(.+?), None, None\]", r"AsyncGenerator[\1, None]"),
    (r"import Callable, Generator,", "import AsyncGenerator, Callable,"),
    (r"\bhttpx\.Client\b", "httpx.AsyncClient"),
    (r"from \._sync import", "from ._async import"),
    (r"return self\._run\(", "return await self._run("),
    (r"Threads may share one\. Use it in a `with`, or close it\.", "Use it in an `async with`, or `aclose` it."),
    (r"Submits tasks from an iterator,", "Submits tasks from an iterator, be it async or not,"),
]
HEAD = '"""The asyncio client. Made by `tools/generate.py` of `_client.py`; do not edit."""'


def generated(source: str) -> str:
    """The text of the asyncio client."""
    for pattern, word in WORDS:
        source, count = re.subn(pattern, word, source)
        assert count, f"{pattern} is not found"
    source = re.sub(r'\A""".*?"""', HEAD, source, flags=re.DOTALL)
    methods = re.split(r"(?m)^(?=    def )", source)
    return "".join(_awaited(method) for method in methods)


def _awaited(method: str) -> str:
    """A method that waits is `async def`; so are the overloads of one."""
    waits = "await self._run(" in method or re.match(r"    def .*: \.\.\.", method)
    return method.replace("    def ", "    async def ", 1) if waits else method


if __name__ == "__main__":
    made = generated(SOURCE.read_text("utf-8"))
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text("utf-8") == made else f"{TARGET} is not up to date: run {sys.argv[0]}")
    TARGET.write_text(made, "utf-8")
