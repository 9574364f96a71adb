"""Streams that go on after a broken connection: results as JSON Lines, events as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import uniform
from typing import Any

from . import _calls as calls
from ._core import Core, log
from ._flow import Emitting, Flow, Stream, close, emit, open_stream, read, sleep
from ._lines import EventDecoder, LineDecoder, ServerSentEvent
from ._record import parse
from ._wire import NDJSON, SSE, Reply, Request, failure, get, problem_failure, segment
from .errors import ConnectionFailedError, NotFoundError, TimedOutError, WindlassError
from .models import Task, Transition

QUIET = 60.0
"""A stream of results that says nothing for so long is opened again where it was: that costs little, and a server that
vanished without a word is noticed."""
BEATS = 45.0
"""A stream of events says something every 15 s; three that are missing mean that it is dead."""
AGAIN = 1.0
"""The longest pause before a stream that ended in order is opened again."""


def results(
    core: Core, batch: str | None, queue: str | None, state: str | None, follow: bool, cursor: str | None
) -> Emitting[Task]:
    """Finished tasks in order of finishing."""
    if (batch is None) == (queue is None):
        raise ValueError("give either batch or queue")
    path = f"/v1/batches/{segment(batch)}" if batch is not None else f"/v1/queues/{segment(queue or '')}"
    request = get(f"{path}/results", state=state).with_headers(
        {"accept": f"{NDJSON}, application/problem+json", "accept-encoding": "identity"}
    )
    return Emitting(_Results(core, request, batch, follow, cursor).flow())


class _Results:
    def __init__(self, core: Core, request: Request, batch: str | None, follow: bool, cursor: str | None) -> None:
        self.core = core
        self.request = request
        self.batch = batch
        self.follow = follow
        self.cursor = cursor
        self.since: set[str] = set()
        """Tasks told since the last cursor: they come again when the stream goes on from there."""

    def flow(self) -> Flow[None]:
        yield from self.once(self.follow)
        while self.follow:
            # A server that stops ends its streams in order, too; a queue is never over.
            if self.batch is None or not (yield from self.is_over(self.batch)):
                yield from sleep(uniform(0.0, AGAIN))
                yield from self.once(True)
            else:
                yield from self.once(False)
                return

    def is_over(self, batch: str) -> Flow[bool]:
        try:
            return (yield from self.core.call(calls.batch(batch))).over
        except NotFoundError:
            return True

    def once(self, follow: bool) -> Flow[None]:
        """All lines until the stream ends in order, through as many connections as that takes."""
        patience = self.core.patience(lazy=True)
        while True:
            stream = None
            request = self.request.asking(follow=follow, cursor=self.cursor)
            try:
                timeout = max(QUIET, self.core.timeout) if follow else self.core.timeout
                stream = yield from open_ok(self.core, request, timeout)
                yield from self.lines(stream, patience.renew)
                return
            except WindlassError as error:
                if stream is not None:
                    yield from close(stream)
                    if follow and isinstance(error, TimedOutError):
                        patience.renew()
                        continue
                yield from self.core.rest(patience, error, request)

    def lines(self, stream: Stream, progress: Callable[[], None]) -> Flow[None]:
        decoder = LineDecoder()
        while (data := (yield from read(stream))) is not None:
            for line in decoder.feed(data):
                task = self.task(line)
                if task is not None:
                    progress()
                    yield from emit(task)
        if (rest := decoder.rest()) and (task := self.task(rest)) is not None:
            yield from emit(task)

    def task(self, line: bytes) -> Task | None:
        """The task of a line; none if it was told before."""
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ConnectionFailedError(f"a line of results is not JSON: {line[:80]!r}") from error
        if "ref" not in value and "error" in value:
            raise problem_failure(value["error"])
        task = parse(Task, value)
        new = bool(task.ref) and task.ref not in self.since
        if task.cursor is None:
            self.since.add(task.ref)
        else:
            self.cursor = task.cursor
            self.since.clear()
        return task if new else None


def events(core: Core, queue: str | None, type_: str | None, last_event_id: str | None) -> Emitting[Transition]:
    """Transitions as they happen, without an end."""
    request = get("/v1/events", queue=queue, type=type_).with_headers(
        {"accept": f"{SSE}, application/problem+json", "accept-encoding": "identity", "cache-control": "no-store"}
    )
    return Emitting(_Events(core, request, last_event_id).flow())


class _Events:
    def __init__(self, core: Core, request: Request, last_id: str | None) -> None:
        self.core = core
        self.request = request
        self.last_id = last_id
        self.since: set[Transition] = set()
        """Transitions told since the last id: they come again when the stream goes on from there."""
        self.pause = AGAIN
        """Before the stream is opened again; the server may say how long."""

    def flow(self) -> Flow[None]:
        patience = self.core.patience(lazy=True)
        while True:
            stream = None
            request = self.request
            if self.last_id is not None:
                request = request.with_headers({"last-event-id": self.last_id})
            try:
                stream = yield from open_ok(self.core, request, BEATS)
                yield from self.read(stream, patience.renew)
                yield from sleep(uniform(0.0, self.pause))
            except WindlassError as error:
                if stream is not None:
                    yield from close(stream)
                yield from self.core.rest(patience, error, request)

    def read(self, stream: Stream, progress: Callable[[], None]) -> Flow[None]:
        decoder = EventDecoder(self.last_id)
        while (data := (yield from read(stream))) is not None:
            progress()
            for event in decoder.feed(data):
                transition = self.transition(event)
                if transition is not None:
                    yield from emit(transition)
            # An id may come without an event.
            self.at(decoder.last_id)
            if decoder.retry_ms is not None:
                self.pause = min(decoder.retry_ms / 1000.0, self.core.retry.cap)

    def at(self, last_id: str | None) -> None:
        if last_id != self.last_id:
            self.last_id = last_id
            self.since.clear()

    def transition(self, event: ServerSentEvent) -> Transition | None:
        """The transition of an event; none if it was told before."""
        value = _object(event.data) if event.event == "transition" else None
        if value is None:
            return None
        transition = parse(Transition, value)
        new = transition not in self.since
        if event.id is None:
            self.since.add(transition)
            return transition if new else None
        self.at(event.id)
        return replace(transition, cursor=event.id) if new else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    log.warning("an event is left out, since it is no JSON object: %.80r", text)
    return None


def open_ok(core: Core, request: Request, timeout: float) -> Flow[Stream]:
    """A stream that the server agreed to; its refusal is raised."""
    stream = yield from open_stream(core.prepared(request), timeout)
    if stream.status < 400:
        return stream
    body = b""
    try:
        while (data := (yield from read(stream))) is not None and len(body) < 1 << 16:
            body += data
    except WindlassError:
        # Its status says enough.
        body = b""
    yield from close(stream)
    raise failure(Reply(stream.status, stream.headers, body))
