"""Flows: the client's logic as generators that say what is to be done, and are told what came of it.

A flow does no input or output, so the same one serves the sync and the async client; each of these has a small driver
(`_sync.py`, `_async.py`) that does what a flow says and sends the answer back in, or throws the failure.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from ._wire import Reply, Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send a request, and read the whole answer. Gives a `Reply`."""

    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request, and read the head of the answer. Gives a `Stream`."""

    request: Request
    timeout: float


@dataclass(slots=True, eq=False)
class Stream:
    """An answer whose body is not read yet. Only the driver knows what `handle` is."""

    status: int
    headers: Mapping[str, str]
    handle: Any


@dataclass(frozen=True, slots=True)
class Read:
    """Read on. Gives bytes; none at the end."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Close:
    """Be done with a stream."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pull:
    """Take the next item of the source that the driver was given. Gives the item, or `END`."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Give an item to whoever iterates."""

    item: Any


class End:
    """The source has no more items."""


END = End()

Effect: TypeAlias = Exchange | Open | Read | Close | Sleep | Pull | Emit
Flow: TypeAlias = Generator[Effect, Any, T]


@dataclass(frozen=True, slots=True)
class Emitting(Generic[T]):
    """A flow that emits items of a type."""

    flow: Flow[None]


def exchange(request: Request, timeout: float) -> Flow[Reply]:
    reply: Reply = yield Exchange(request, timeout)
    return reply


def open_stream(request: Request, timeout: float) -> Flow[Stream]:
    stream: Stream = yield Open(request, timeout)
    return stream


def read(stream: Stream) -> Flow[bytes | None]:
    data: bytes | None = yield Read(stream)
    return data


def close(stream: Stream) -> Flow[None]:
    yield Close(stream)


def sleep(seconds: float) -> Flow[None]:
    yield Sleep(seconds)


def pull() -> Flow[Any]:
    item: Any = yield Pull()
    return item


def emit(item: Any) -> Flow[None]:
    yield Emit(item)
