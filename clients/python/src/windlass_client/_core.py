"""Where the server is and who asks; a call with its retries; a list with its pages."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

from ._flow import Emitting, Flow, emit, exchange, sleep
from ._retry import Patience, Retry
from ._version import __version__
from ._wire import Reply, Request, failure
from .errors import WindlassError

T = TypeVar("T")
Token: TypeAlias = str | Callable[[], str]
Headers: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]

DEFAULT_URL = "http://127.0.0.1:8642"
log = logging.getLogger("windlass_client")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and what is made of its reply."""

    request: Request
    take: Callable[[Reply], T]


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """A list that comes in pages, and what is made of each item."""

    request: Request
    take: Callable[[Any], T]


class TokenFile:
    """A token in a file, which is read again when the file changes: secrets are rotated."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def __call__(self) -> str:
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._token = self._path.read_text("utf-8").strip()
                self._seen = seen
        except OSError as error:
            raise WindlassError(f"the token cannot be read: {error}") from error
        return self._token


class Core:
    """What both clients share: settings, and the flows that every call goes through. It may be used by many threads."""

    def __init__(
        self,
        url: str | None,
        *,
        token: Token | None,
        token_file: str | os.PathLike[str] | None,
        headers: Headers | None,
        traceparent: str | None,
        timeout: float,
        retry: Retry | None,
    ) -> None:
        self.url = _checked(url or os.environ.get("WINDLASS_URL") or DEFAULT_URL)
        # No TLS is spoken to an http:// URL, and loading the authorities takes 60 ms.
        self.secure = self.url.startswith("https:")
        self.timeout = timeout
        self.retry = retry or Retry()
        self._token = _token(token, token_file)
        self._headers = headers
        self._fixed = {"user-agent": f"windlass-client/{__version__} python/{platform.python_version()}"}
        self._fixed |= _trace(traceparent)

    def patience(self, deadline: float | None = None, *, lazy: bool = False) -> Patience:
        """For a new call, or (`lazy`) a new stream."""
        return Patience(self.retry, deadline, lazy=lazy)

    def prepared(self, request: Request) -> Request:
        """With what is said in every request. Asked for each try, since tokens and spans change."""
        headers = {**self._fixed, "accept": "application/json, application/problem+json"}
        token = self._token() if callable(self._token) else self._token
        if token:
            headers["authorization"] = f"Bearer {token}"
        more = self._headers() if callable(self._headers) else (self._headers or {})
        headers |= {name.lower(): value for name, value in more.items()}
        return request.with_headers({**headers, **request.headers})

    def send(self, request: Request, deadline: float | None = None) -> Flow[Reply]:
        """The reply to a request, tried again as long as that may help."""
        usual = self.retry.deadline
        patience = self.patience((usual if deadline is None else min(usual, deadline)) + request.holds)
        while True:
            try:
                reply = yield from exchange(self.prepared(request), self.time_for(request, patience))
                if reply.status < 400:
                    return reply
                raise failure(reply)
            except WindlassError as error:
                yield from self.rest(patience, error, request)

    def time_for(self, request: Request, patience: Patience) -> float:
        """How long one try may take: no longer than the call, unless the call may be tried only once."""
        usual = self.timeout + request.holds
        return min(usual, max(patience.left(), 0.05)) if self.retry.deadline > 0 else usual

    def rest(self, patience: Patience, error: WindlassError, request: Request) -> Flow[None]:
        """Waits until the next try, or raises the error."""
        pause = patience.pause(error, request.repeatable)
        if pause is None:
            raise error
        # A person who waits at a prompt should learn why, once.
        level = logging.WARNING if patience.tries == 1 else logging.INFO
        log.log(level, "%s %s: %s; trying again in %.1f s", request.method, request.path, error, pause)
        yield from sleep(pause)

    def call(self, call: Call[T], deadline: float | None = None) -> Flow[T]:
        """What a call gives."""
        reply = yield from self.send(call.request, deadline)
        return call.take(reply)

    def pages(self, pages: Pages[T]) -> Emitting[T]:
        """The items of all pages. A page may be empty and have a next one."""

        def flow() -> Flow[None]:
            request = pages.request
            while True:
                page = (yield from self.send(request)).json()
                items = page.get("items", []) if isinstance(page, dict) else page
                for item in items:
                    yield from emit(pages.take(item))
                cursor = page.get("next_cursor") if isinstance(page, dict) else None
                if not cursor:
                    return
                request = request.asking(cursor=cursor)

        return Emitting(flow())


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of a server: use http://HOST:PORT or https://HOST")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a name or password: give the token as token=, token_file= or WINDLASS_TOKEN")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or a fragment: leave it out")
    return url.rstrip("/")


def _token(token: Token | None, file: str | os.PathLike[str] | None) -> Token | None:
    if token is not None and file is not None:
        raise ValueError("give token or token_file, not both")
    if token is not None:
        return token
    if file is not None:
        return TokenFile(file)
    if os.environ.get("WINDLASS_TOKEN"):
        return os.environ["WINDLASS_TOKEN"].strip()
    file = os.environ.get("WINDLASS_TOKEN_FILE")
    return TokenFile(file) if file else None


def _trace(traceparent: str | None) -> dict[str, str]:
    """The trace that this process is part of, as the environment tells it."""
    if traceparent is not None:
        return {"traceparent": traceparent} if traceparent else {}
    told = {name: os.environ.get(name.upper(), "") for name in ("traceparent", "tracestate")}
    return {name: value for name, value in told.items() if value} if told["traceparent"] else {}
