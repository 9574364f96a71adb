"""Bulk submission: an iterator in chunks of bounded size, each of which may be sent again without harm.

The id of a line that has none is derived by the server: of the batch and the line's number where there is a batch, so
that the whole is simply run again after an interruption; else of the chunk's Idempotency-Key, so that at least a chunk
whose answer was lost is not submitted twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from . import _calls as calls
from ._core import Core
from ._flow import END, Flow, exchange, pull
from ._record import parse
from ._retry import Patience
from ._wire import NDJSON, Reply, Request, encode, failure, new_key, pairs, problem_failure, submission
from .errors import ApiError, BulkRejectedError, ConnectionFailedError, QueueFullError, TimedOutError, WindlassError
from .models import BulkReport, Reject, Submitted

OnFull: TypeAlias = Literal["wait", "fail"]
OnReject: TypeAlias = Literal["raise", "collect"] | Callable[[Reject], object]

CHUNK_BYTES = 4 << 20
"""A chunk is sent when it has so many bytes, even if it has few lines."""
WAITS = 120.0
"""How long a request waits for room in a full queue; then the server is asked whether it is still there."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is said of the whole submission."""

    batch: str | None = None
    queue: str | None = None
    priority: str | None = None
    chunk: int = 1000
    on_full: OnFull = "wait"
    on_reject: OnReject = "raise"
    answers: bool = False
    """The server is to answer each line, not only those that it refuses."""
    on_accept: Callable[[int, Submitted], object] | None = None
    on_progress: Callable[[BulkReport], object] | None = None
    first_line: int = 1

    def __post_init__(self) -> None:
        if self.chunk < 1 or self.first_line < 1:
            raise ValueError("chunk and first_line are 1 or more")
        if self.on_full not in ("wait", "fail"):
            raise ValueError("on_full is 'wait' or 'fail'")
        if not callable(self.on_reject) and self.on_reject not in ("raise", "collect"):
            raise ValueError("on_reject is 'raise', 'collect' or a function")


@dataclass(slots=True)
class Chunk:
    """Lines that are sent together, and the items that they were made of."""

    first_line: int
    items: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, item: Mapping[str, Any], line: bytes) -> None:
        self.items.append(item)
        self.lines.append(line)
        self.size += len(line) + 1

    @property
    def next_line(self) -> int:
        return self.first_line + len(self.lines)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said of a chunk."""

    taken: tuple[tuple[int, Submitted], ...]
    rejects: tuple[Reject, ...]
    accepted: int
    duplicates: int


def submit_many(core: Core, bulk: Bulk) -> Flow[BulkReport]:
    """Takes the driver's source to its end."""
    report = BulkReport(batch=bulk.batch, next_line=bulk.first_line)
    rejects: list[Reject] = []
    chunk = Chunk(bulk.first_line)
    while True:
        item = yield from pull()
        line = b"" if item is END else as_line(item, chunk.next_line)
        full = len(chunk.lines) == bulk.chunk or chunk.size + len(line) > CHUNK_BYTES
        if chunk.lines and (full or item is END):
            answer = yield from send(core, bulk, chunk)
            report = told(bulk, report, chunk, answer)
            if bulk.on_reject == "collect":
                rejects += answer.rejects
            chunk = Chunk(chunk.next_line)
        if item is END:
            return replace(report, rejects=tuple(rejects))
        chunk.add(item, line)


def as_line(item: object, number: int) -> bytes:
    """An item as JSON on one line."""
    if not isinstance(item, Mapping):
        raise TypeError(f"line {number}: a task is a dict with a type and a payload, not {type(item).__name__}")
    try:
        return encode(submission(item))
    except (TypeError, ValueError) as error:
        raise type(error)(f"line {number}: {error}") from error


def told(bulk: Bulk, report: BulkReport, chunk: Chunk, answer: Answer) -> BulkReport:
    """The report with a chunk more, after whoever wants to know of it was told."""
    report = replace(
        report,
        lines=report.lines + len(chunk.lines),
        accepted=report.accepted + answer.accepted,
        duplicates=report.duplicates + answer.duplicates,
        rejected=report.rejected + len(answer.rejects),
        next_line=chunk.next_line,
    )
    if bulk.on_accept is not None:
        for line, submitted in answer.taken:
            bulk.on_accept(line, submitted)
    if bulk.on_progress is not None:
        bulk.on_progress(report)
    if callable(bulk.on_reject):
        for reject in answer.rejects:
            bulk.on_reject(reject)
    elif answer.rejects and bulk.on_reject == "raise":
        raise BulkRejectedError(answer.rejects, report)
    return report


def send(core: Core, bulk: Bulk, chunk: Chunk) -> Flow[Answer]:
    """Sends a chunk until the server has taken all of it."""
    request = _request(bulk, chunk)
    patience = core.patience()
    before = 0
    while True:
        try:
            # Waiting for room has no deadline, so what is left of it does not bound a try.
            timeout = core.timeout + WAITS if bulk.on_full == "wait" else core.time_for(request, patience)
            reply = yield from exchange(core.prepared(request), timeout)
            if reply.status >= 400:
                raise failure(reply)
            answer, accepted, error = read(reply, chunk)
            if error is None:
                # What an earlier try got done comes back as a duplicate.
                before = min(before, answer.duplicates)
                return replace(answer, accepted=accepted + before, duplicates=answer.duplicates - before)
            before += accepted
            raise error
        except WindlassError as error:
            if bulk.on_full == "wait" and isinstance(error, (QueueFullError, TimedOutError)):
                yield from _still_waiting(core, error, patience)
            yield from core.rest(patience, error, request)


def _still_waiting(core: Core, error: WindlassError, patience: Patience) -> Flow[None]:
    """Puts off the deadline: a queue may be full for hours. If the server is silent, it must be there at least."""
    if isinstance(error, TimedOutError):
        yield from core.call(calls.version())
    tries = patience.tries
    patience.renew()
    patience.tries = tries


def _request(bulk: Bulk, chunk: Chunk) -> Request:
    query = {
        "batch": bulk.batch,
        "queue": bulk.queue,
        "priority": bulk.priority,
        "on_full": bulk.on_full,
        "answers": "all" if bulk.answers or bulk.on_accept is not None else "rejects",
        "first_line": chunk.first_line,
    }
    headers = {"content-type": NDJSON, "accept": f"{NDJSON}, application/problem+json"}
    if bulk.batch is None:
        headers["idempotency-key"] = new_key()
    return Request("POST", "/v1/tasks/bulk", pairs(query), b"\n".join(chunk.lines) + b"\n", headers)


def read(reply: Reply, chunk: Chunk) -> tuple[Answer, int, ApiError | None]:
    """The answers to a chunk's lines, how many were accepted, and why it ended early, if it did."""
    taken: list[tuple[int, Submitted]] = []
    rejects: list[Reject] = []
    for value in _values(reply.body):
        if "line" not in value:
            accepted, duplicates = int(value.get("accepted", 0)), int(value.get("duplicates", 0))
            problem = value.get("error")
            error = None if problem is None else problem_failure(problem)
            return Answer(tuple(taken), tuple(rejects), accepted, duplicates), accepted, error
        line = int(value["line"])
        if "error" in value:
            rejects.append(_reject(line, value["error"], chunk))
        else:
            taken.append((line, parse(Submitted, {name: told for name, told in value.items() if name != "line"})))
    raise ConnectionFailedError("the answer to a bulk submission ended before its last line")


def _values(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ConnectionFailedError(f"a line of the answer is not JSON: {line[:80]!r}") from error
        if isinstance(value, dict):
            yield value


def _reject(line: int, error: Any, chunk: Chunk) -> Reject:
    index = line - chunk.first_line
    item = chunk.items[index] if 0 <= index < len(chunk.items) else {}
    error = error if isinstance(error, dict) else {"message": str(error)}
    return Reject(line, str(error.get("class", "")), str(error.get("message", "")), item)
