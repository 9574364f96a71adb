"""Drives flows with blocking calls."""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, cast

import httpx

from ._core import Core
from ._flow import END, Close, Effect, Emit, Emitting, Exchange, Flow, Open, Pull, Read, Sleep, Stream
from ._http import failed, headers_of, timeouts
from ._wire import Reply, Request
from .errors import TransportError

T = TypeVar("T")
Source: TypeAlias = Iterable[T]
Self = TypeVar("Self", bound="Driver")


class Driver:
    """Does what flows say."""

    _core: Core

    def __init__(self, core: Core, http: httpx.Client | None, verify: ssl.SSLContext | bool) -> None:
        self._core = core
        self._http = http or httpx.Client(verify=verify if core.secure else False)
        self._own = http is None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        if self._own:
            self._http.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.url!r})"

    def _run(self, flow: Flow[T], source: Iterable[Any] = ()) -> T:
        steps = self._steps(flow, iter(source))
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                return cast("T", stop.value)

    def _iterate(self, emitting: Emitting[T], source: Iterable[Any] = ()) -> Generator[T, None, None]:
        yield from self._steps(emitting.flow, iter(source))

    def _steps(self, flow: Flow[T], source: Iterator[Any]) -> Generator[Any, None, T]:
        """Runs a flow to its end; yields what it emits."""
        open_streams: set[Stream] = set()
        answer: Any = None
        failure: TransportError | None = None
        try:
            while True:
                try:
                    effect = flow.send(answer) if failure is None else flow.throw(failure)
                except StopIteration as stop:
                    return cast("T", stop.value)
                answer = failure = None
                if isinstance(effect, Emit):
                    yield effect.item
                    continue
                try:
                    answer = self._do(effect, source, open_streams)
                except TransportError as error:
                    failure = error
        finally:
            flow.close()
            for stream in open_streams:
                stream.handle[0].close()

    def _do(self, effect: Effect, source: Iterator[Any], open_streams: set[Stream]) -> Any:
        if isinstance(effect, Exchange):
            return self._exchange(effect)
        if isinstance(effect, Open):
            stream = self._open(effect)
            open_streams.add(stream)
            return stream
        if isinstance(effect, Read):
            try:
                return next(effect.stream.handle[1], None)
            except httpx.RequestError as error:
                raise failed(error, self._core.url) from None
        if isinstance(effect, Close):
            open_streams.discard(effect.stream)
            return effect.stream.handle[0].close()
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Pull):
            return next(source, END)
        raise NotImplementedError(effect)

    def _built(self, request: Request, timeout: float) -> httpx.Request:
        return self._http.build_request(
            request.method,
            self._core.url + request.path,
            params=list(request.query) or None,
            content=request.body,
            headers=dict(request.headers),
            timeout=timeouts(timeout),
        )

    def _exchange(self, effect: Exchange) -> Reply:
        try:
            reply = self._http.send(self._built(effect.request, effect.timeout), follow_redirects=False)
        except httpx.RequestError as error:
            raise failed(error, self._core.url) from None
        return Reply(reply.status_code, headers_of(reply), reply.content)

    def _open(self, effect: Open) -> Stream:
        try:
            reply = self._http.send(self._built(effect.request, effect.timeout), stream=True, follow_redirects=False)
        except httpx.RequestError as error:
            raise failed(error, self._core.url) from None
        return Stream(reply.status_code, headers_of(reply), (reply, reply.iter_bytes()))
