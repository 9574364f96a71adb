"""Drives flows with asyncio."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, cast

import httpx

from ._core import Core
from ._flow import END, Close, Effect, Emit, Emitting, Exchange, Flow, Open, Pull, Read, Sleep, Stream
from ._http import failed, headers_of, timeouts
from ._wire import Reply, Request
from .errors import TransportError

T = TypeVar("T")
Source: TypeAlias = Iterable[T] | AsyncIterable[T]
Self = TypeVar("Self", bound="Driver")


class _Result:
    """What a flow gives at its end, since an async generator can't return it."""

    def __init__(self) -> None:
        self.value: Any = None


class Driver:
    """Does what flows say."""

    _core: Core

    def __init__(self, core: Core, http: httpx.AsyncClient | None, verify: ssl.SSLContext | bool) -> None:
        self._core = core
        self._http = http or httpx.AsyncClient(verify=verify if core.secure else False)
        self._own = http is None

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes its connections."""
        if self._own:
            await self._http.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.url!r})"

    async def _run(self, flow: Flow[T], source: Source[Any] = ()) -> T:
        result = _Result()
        async for _ in self._steps(flow, _items(source), result):
            pass
        return cast("T", result.value)

    async def _iterate(self, emitting: Emitting[T], source: Source[Any] = ()) -> AsyncGenerator[T, None]:
        steps = self._steps(emitting.flow, _items(source), _Result())
        try:
            async for item in steps:
                yield item
        finally:
            await steps.aclose()

    async def _steps(self, flow: Flow[Any], source: AsyncIterator[Any], result: _Result) -> AsyncGenerator[Any, None]:
        """Runs a flow to its end; yields what it emits."""
        open_streams: set[Stream] = set()
        answer: Any = None
        failure: TransportError | None = None
        try:
            while True:
                try:
                    effect = flow.send(answer) if failure is None else flow.throw(failure)
                except StopIteration as stop:
                    result.value = stop.value
                    return
                answer = failure = None
                if isinstance(effect, Emit):
                    yield effect.item
                    continue
                try:
                    answer = await self._do(effect, source, open_streams)
                except TransportError as error:
                    failure = error
        finally:
            flow.close()
            for stream in open_streams:
                await stream.handle[0].aclose()

    async def _do(self, effect: Effect, source: AsyncIterator[Any], open_streams: set[Stream]) -> Any:
        if isinstance(effect, Exchange):
            return await self._exchange(effect)
        if isinstance(effect, Open):
            stream = await self._open(effect)
            open_streams.add(stream)
            return stream
        if isinstance(effect, Read):
            try:
                return await anext(effect.stream.handle[1], None)
            except httpx.RequestError as error:
                raise failed(error, self._core.url) from None
        if isinstance(effect, Close):
            open_streams.discard(effect.stream)
            return await effect.stream.handle[0].aclose()
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Pull):
            return await anext(source, END)
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

    async def _exchange(self, effect: Exchange) -> Reply:
        try:
            reply = await self._http.send(self._built(effect.request, effect.timeout), follow_redirects=False)
        except httpx.RequestError as error:
            raise failed(error, self._core.url) from None
        return Reply(reply.status_code, headers_of(reply), reply.content)

    async def _open(self, effect: Open) -> Stream:
        try:
            reply = await self._http.send(
                self._built(effect.request, effect.timeout), stream=True, follow_redirects=False
            )
        except httpx.RequestError as error:
            raise failed(error, self._core.url) from None
        return Stream(reply.status_code, headers_of(reply), (reply, reply.aiter_bytes()))


async def _items(source: Source[T]) -> AsyncIterator[T]:
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item
