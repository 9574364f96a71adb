"""What takes more than one call: many tasks at once, waiting by long polls, and `map`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from random import uniform
from typing import Any

from . import _calls as calls
from ._bulk import Bulk, Chunk, as_line, send
from ._core import Core
from ._flow import END, Emitting, Flow, emit, pull, sleep
from ._wire import ref_of
from .errors import BulkRejectedError, NotFoundError, TaskFailedError, WaitTimeoutError, WindlassError
from .models import Batch, BulkReport, Json, Options, Outcome, RefLike, Task

ROUND = 30.0
"""How long one long poll is."""
BREATH = 1.0
"""The longest pause after one that came back too early."""
GRACE = 5.0
"""How long an answer may take that is not held back."""


class Until:
    """A point in time, or never."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._asked = 0.0
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds until it; none if it is never."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def deadline(self) -> float | None:
        """How long a poll may be tried, beyond what it is held: the last look, too, has to come back."""
        left = self.left()
        return None if left is None else left + GRACE

    def round(self) -> float:
        """How long the next poll may be; 0 if the time is over."""
        left = self.left()
        self._asked = time.monotonic()
        return ROUND if left is None else min(ROUND, left)

    def breathe(self, held: float) -> Flow[None]:
        """Waits a little if a poll came back too early: a server that is about to leave holds nothing back."""
        if time.monotonic() - self._asked < held / 2:
            yield from sleep(uniform(0.0, min(held, BREATH)))


def wait_one(core: Core, task: RefLike, timeout: float | None) -> Flow[Task]:
    until = Until(timeout)
    while True:
        held = until.round()
        seen = yield from core.call(calls.task(task, held), until.deadline())
        if seen.finished:
            return seen
        if held == 0:
            raise WaitTimeoutError(f"task {ref_of(task)}", timeout or 0.0, [ref_of(task)])
        yield from until.breathe(held)


def wait_all(core: Core, refs: list[str], timeout: float | None) -> Flow[list[Task]]:
    """All tasks, in the order of `refs`."""
    until = Until(timeout)
    done: dict[str, Task] = {}
    left = list(dict.fromkeys(refs))
    while left:
        held = until.round()
        asked = left[: calls.MOST_REFS]
        seen = yield from core.call(calls.status(asked, held), until.deadline())
        missing = [ref for ref, task in zip(asked, seen, strict=True) if task is None]
        if missing:
            raise _unknown(missing)
        done |= {ref: task for ref, task in zip(asked, seen, strict=True) if task is not None and task.finished}
        left = [ref for ref in left if ref not in done]
        if left and held == 0:
            raise WaitTimeoutError(f"{len(left)} of {len(refs)} tasks", timeout or 0.0, left)
        if len(left) > 0 and not any(task is not None and task.finished for task in seen):
            yield from until.breathe(held)
    return [done[ref] for ref in refs]


def _unknown(refs: list[str]) -> NotFoundError:
    more = f" (and {len(refs) - 1} more)" if len(refs) > 1 else ""
    return NotFoundError(404, {"type": "not-found", "detail": f"there is no task {refs[0]}{more}"})


def wait_batch(core: Core, batch: str, timeout: float | None) -> Flow[Batch]:
    until = Until(timeout)
    while True:
        held = until.round()
        seen = yield from core.call(calls.batch(batch, held), until.deadline())
        if seen.over:
            return seen
        if held == 0:
            raise WaitTimeoutError(f"batch {batch}", timeout or 0.0)
        yield from until.breathe(held)


def get_many(core: Core, tasks: RefLike | Iterable[RefLike]) -> Flow[list[Task | None]]:
    """In order; none for what is not there."""
    found: list[Task | None] = []
    for refs in calls.chunks(tasks):
        found += yield from core.call(calls.status(refs))
    return found


def act(core: Core, verb: str, tasks: RefLike | Iterable[RefLike], **more: Json) -> Flow[list[Outcome]]:
    """What became of an action on each task, in order."""
    outcomes: list[Outcome] = []
    for refs in calls.chunks(tasks):
        outcomes += yield from core.call(calls.on_tasks(verb, refs, **more))
    return outcomes


def run(core: Core, type_: str, payload: Json, timeout: float | None, options: Options) -> Flow[Json]:
    submitted = yield from core.call(calls.submit(type_, payload, options))
    task = yield from wait_one(core, submitted, timeout)
    return task.value()


STEP = 100
"""How many payloads of `map` are submitted, and looked at, at once."""


def map_payloads(
    core: Core, type_: str, options: Options, ahead: int, timeout: float | None, return_exceptions: bool
) -> Emitting[Any]:
    """Results in the order of the driver's source."""
    if ahead < 1:
        raise ValueError("ahead is 1 or more")
    return Emitting(_Map(core, type_, options, ahead, timeout, return_exceptions).flow())


class _Map:
    def __init__(
        self, core: Core, type_: str, options: Options, ahead: int, timeout: float | None, return_exceptions: bool
    ) -> None:
        self.core = core
        # Checked before anything is submitted.
        calls.submit(type_, None, options)
        if "id" in options or "key" in options:
            raise ValueError("an id or key names one task: give a batch, if running it again should be the same tasks")
        self.same = {name: value for name, value in options.items() if name != "batch"}
        self.type = type_
        self.ahead = ahead
        self.step = min(STEP, ahead)
        self.timeout = timeout
        self.return_exceptions = return_exceptions
        self.window: deque[str | WindlassError] = deque()
        self.more = True
        self.bulk = Bulk(batch=options.get("batch"), answers=True)
        self.next_line = 1

    def flow(self) -> Flow[None]:
        while True:
            while self.more and len(self.window) <= self.ahead - self.step:
                yield from self.submit()
            if not self.window:
                return
            for got in (yield from self.finished()):
                yield from emit(self.result(got))

    def submit(self) -> Flow[None]:
        """Submits the next payloads."""
        chunk = Chunk(self.next_line)
        while len(chunk.lines) < self.step:
            payload = yield from pull()
            if payload is END:
                self.more = False
                break
            item = {"type": self.type, "payload": payload, **self.same}
            chunk.add(item, as_line(item, chunk.next_line))
        if not chunk.lines:
            return
        answer = yield from send(self.core, self.bulk, chunk)
        lines: dict[int, str | WindlassError] = {line: submitted.ref for line, submitted in answer.taken}
        lines |= {reject.line: BulkRejectedError([reject], BulkReport()) for reject in answer.rejects}
        self.window.extend(lines[line] for line in range(chunk.first_line, chunk.next_line))
        self.next_line = chunk.next_line

    def finished(self) -> Flow[list[Task | WindlassError]]:
        """Waits for the oldest; gives it, and those after it that are finished too."""
        head = self.window[0]
        if isinstance(head, WindlassError):
            self.window.popleft()
            return [head]
        task = yield from wait_one(self.core, head, self.timeout)
        self.window.popleft()
        done: list[Task | WindlassError] = [task]
        refs = list(self.refs())
        if refs:
            for seen in (yield from self.core.call(calls.status(refs))):
                if seen is None or not seen.finished:
                    break
                self.window.popleft()
                done.append(seen)
        return done

    def refs(self) -> Iterator[str]:
        for each in list(self.window)[: self.step]:
            if isinstance(each, WindlassError):
                return
            yield each

    def result(self, got: Task | WindlassError) -> Any:
        error = got if isinstance(got, WindlassError) else None
        if isinstance(got, Task):
            if got.completed:
                return got.result
            error = TaskFailedError(got)
        if self.return_exceptions or error is None:
            return error
        raise error
