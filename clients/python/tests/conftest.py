"""Fixtures: a scripted server, and both clients behind one face, so that each test is one of both."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet

from windlass_client import AsyncClient, Client, Retry

from scripted import Script, Scripted

QUICK = Retry(deadline=5.0, base=0.01, cap=0.05)


class Blocking:
    """An `AsyncClient` that is used as a `Client` is."""

    def __init__(self, client: AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            given = getattr(self.client, name)(*args, **options)
            if inspect.isasyncgen(given):
                return self.iterate(given)
            return self.loop.run_until_complete(given)

        return call

    def iterate(self, items: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self.loop.run_until_complete(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            self.loop.run_until_complete(items.aclose())


@pytest.fixture
def script() -> Iterator[Script]:
    server = Scripted()
    yield server.script
    server.stop()


@pytest.fixture(autouse=True)
def _no_settings_of_whoever_runs_this(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINDLASS_URL", "WINDLASS_TOKEN", "WINDLASS_TOKEN_FILE", "TRACEPARENT", "TRACESTATE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """A function that makes a client of a URL; the test runs once with each kind."""
    made: list[Any] = []
    loop = asyncio.new_event_loop()

    def make(url: str | None, **options: Any) -> Any:
        options = {"retry": QUICK, "timeout": 5.0, **options}
        client = Client(url, **options) if request.param == "sync" else Blocking(AsyncClient(url, **options), loop)
        made.append(client)
        return client

    yield make
    for client in made:
        if isinstance(client, Client):
            client.close()
        else:
            client.aclose()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def client(connect: Callable[..., Any], script: Script) -> Any:
    return connect(script.url)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A real fleet. Where WINDLASS_BIN_DIR names binaries, nothing is skipped: what does not start is a failure."""
    folder = os.environ.get("WINDLASS_BIN_DIR")
    if not folder:
        pytest.skip("WINDLASS_BIN_DIR does not name the folder of windlass and windlass-worker")
    fleet = Fleet(Path(folder).resolve(), tmp_path_factory.mktemp("fleet"))
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
