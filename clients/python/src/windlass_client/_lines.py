"""Decoders of what the server streams: JSON Lines, and server-sent events. They take bytes as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class LineDecoder:
    """Splits bytes into lines. No more is kept than the line that is not complete."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without blank ones (a server may send these to keep a stream alive)."""
        *complete, rest = data.split(b"\n")
        for line in complete:
            whole = b"".join([*self._parts, line]).strip()
            self._parts.clear()
            if whole:
                yield whole
        if rest:
            self._parts.append(rest)

    def rest(self) -> bytes:
        """What the stream ended with, if not with the end of a line."""
        rest = b"".join(self._parts).strip()
        self._parts.clear()
        return rest


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event, with the id that it has itself, if any."""

    event: str
    data: str
    id: str | None = None


class EventDecoder:
    """Reads `text/event-stream` as the HTML standard says."""

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        """The last id that was told, be it without data."""
        self.retry_ms: int | None = None
        """How long the server asks to wait before coming again."""
        self._buffer = b""
        self._data: list[str] = []
        self._event = ""
        self._id: str | None = None

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        """The events that `data` completes."""
        buffer = self._buffer + data
        # A CR at the end may be half of a CRLF.
        held = b"\r" if buffer.endswith(b"\r") else b""
        text = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._buffer = rest + held
        for line in lines:
            event = self._line(line.decode("utf-8", "replace").removeprefix("\ufeff"))
            if event is not None:
                yield event

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event, id_ = self._data, self._event, self._id
        self._data, self._event, self._id = [], "", None
        if id_ is not None:
            self.last_id = id_ or None
        return ServerSentEvent(event or "message", "\n".join(data), id_) if data else None
