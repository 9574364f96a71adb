"""Streams of results and events: they go on where they broke, in flat memory."""

from __future__ import annotations

import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from windlass_client import AsyncClient, Client, Retry, errors
from windlass_client._lines import EventDecoder, LineDecoder

from scripted import Handler, Script, give, hang_up, lines, problem, stream

RESULTS = "/v1/batches/b/results"
OVER = give({"batch": "b", "over": True})
NOT_OVER = give({"batch": "b", "over": False})


def task(n: int, **more: Any) -> dict[str, Any]:
    return {"ref": f"q/{n}", "state": "completed", "result": n, "cursor": f"c{n}", **more}


def sse(n: int) -> bytes:
    data = json.dumps({"queue": "q", "id": str(n), "from": None, "to": "pending", "reason": "submitted"})
    return f"id: {n}-0\nevent: transition\ndata: {data}\n\n".encode()


def test_results_are_streamed_and_end_with_the_stream(client: Any, script: Script) -> None:
    script.on("GET", RESULTS, lines(task(1), task(2)))
    assert [each.result for each in client.results(batch="b", state="completed")] == [1, 2]
    (asked,) = script.asked
    assert asked.query == {"state": "completed"}


def test_results_go_on_after_the_last_whole_line(client: Any, script: Script) -> None:
    script.on(
        "GET",
        RESULTS,
        hang_up,
        lines(task(1), task(2), cut=True),
        problem(503, "redis-unavailable"),
        lines(task(3), half=b'{"ref":"q/4","res', cut=True),
        lines(task(4)),
    )
    assert [each.result for each in client.results(batch="b")] == [1, 2, 3, 4]
    assert [asked.query.get("cursor") for asked in script.asked] == [None, None, "c2", "c2", "c3"]


def test_an_error_within_the_stream_is_a_break_of_it(client: Any, script: Script) -> None:
    trouble = {"error": {"type": "urn:windlass:problem:redis-unavailable", "status": 503}}
    refused = {"error": {"type": "urn:windlass:problem:forbidden", "status": 403, "detail": "no more"}}
    script.on("GET", RESULTS, lines(task(1), trouble), lines(task(2), refused))
    results = client.results(batch="b")
    assert [next(results).result, next(results).result] == [1, 2]
    with pytest.raises(errors.ForbiddenError, match="no more"):
        next(results)


def test_following_a_batch_ends_when_it_is_over_and_not_when_a_server_restarts(client: Any, script: Script) -> None:
    script.on("GET", RESULTS, lines(task(1)), lines(task(2)), lines(task(3)))
    script.on("GET", "/v1/batches/b", NOT_OVER, OVER)
    assert [each.result for each in client.results(batch="b", follow=True)] == [1, 2, 3]
    asked = script.of(RESULTS)
    assert [(each.query.get("follow"), each.query.get("cursor")) for each in asked] == [
        ("true", None),
        ("true", "c1"),
        (None, "c2"),
    ]


def test_following_a_queue_goes_on_until_it_is_closed(client: Any, script: Script) -> None:
    script.on("GET", "/v1/queues/q/results", lines(task(1)), lines(task(2)), lines(task(3)))
    results = client.results(queue="q", follow=True, cursor="c0")
    assert [next(results).result for _ in range(3)] == [1, 2, 3]
    results.close()
    assert script.asked[0].query == {"follow": "true", "cursor": "c0"}


def test_following_survives_silence(
    connect: Callable[..., Any], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass_client._follow.QUIET", 1.0)
    # No failure would be forgiven.
    client = connect(script.url, timeout=1.0, retry=Retry(deadline=0))
    script.on("GET", "/v1/batches/b", OVER)

    def silent(handler: Handler) -> None:
        handler.begin(200, "application/x-ndjson")
        time.sleep(3)
        handler.cut()

    script.on("GET", RESULTS, *[silent] * 2, lines(task(1)), lines())
    assert [each.result for each in client.results(batch="b", follow=True)] == [1]


def test_a_task_that_had_no_cursor_of_its_own_is_not_told_twice(client: Any, script: Script) -> None:
    def bare(n: int) -> dict[str, Any]:
        return task(n, cursor=None)

    script.on(
        "GET",
        RESULTS,
        lines(bare(1), bare(2), cut=True),
        lines(bare(1), bare(2), task(3), bare(4), cut=True),
        lines(bare(4), {"cursor": "c5"}, bare(1), cut=True),
        lines(bare(1), bare(6)),
    )
    assert [each.result for each in client.results(batch="b")] == [1, 2, 3, 4, 1, 6]
    assert [asked.query.get("cursor") for asked in script.asked] == [None, None, "c3", "c5"]


def test_an_unknown_batch_is_told_at_once(client: Any, script: Script) -> None:
    script.on("GET", RESULTS, problem(404, "not-found", "no such batch: b"))
    with pytest.raises(errors.NotFoundError, match="no such batch: b"):
        next(client.results(batch="b", follow=True))
    with pytest.raises(ValueError, match="either"):
        client.results()


def test_a_stream_that_never_comes_back_ends_at_the_deadline(connect: Callable[..., Any], script: Script) -> None:
    client = connect(script.url, retry=Retry(deadline=0.3, base=0.01, cap=0.05))
    script.on("GET", RESULTS, lines(task(1), cut=True), hang_up)
    results = client.results(batch="b")
    assert next(results).result == 1
    # The deadline counts from the break, however long the stream ran before.
    time.sleep(0.5)
    with pytest.raises(errors.ConnectionFailedError):
        next(results)
    assert len(script.asked) > 3


def test_leaving_a_loop_closes_the_connection(client: Any, script: Script) -> None:
    closed = threading.Event()

    def endless(handler: Handler) -> None:
        handler.begin(200, "application/x-ndjson")
        try:
            while True:
                handler.chunk(json.dumps(task(1)).encode() + b"\n")
                time.sleep(0.01)
        except OSError:
            closed.set()

    script.on("GET", RESULTS, endless)
    results = client.results(batch="b")
    next(results)
    results.close()
    assert closed.wait(5)


def test_an_async_loop_that_is_left_closes_the_connection(script: Script) -> None:
    import asyncio
    from contextlib import aclosing

    closed = threading.Event()

    def endless(handler: Handler) -> None:
        handler.begin(200, "text/event-stream")
        try:
            while True:
                handler.chunk(sse(1))
                time.sleep(0.01)
        except OSError:
            closed.set()

    script.on("GET", "/v1/events", endless)

    async def main() -> None:
        async with AsyncClient(script.url) as client:
            async with aclosing(client.events()) as events:
                async for _ in events:
                    break
            waiting = asyncio.create_task(anext(client.events(queue="q")))
            await waiting
            assert closed.wait(5)

    asyncio.run(main())


def test_a_cancelled_wait_ends_at_once(script: Script) -> None:
    import asyncio

    def held(handler: Handler) -> None:
        time.sleep(1)
        handler.cut()

    script.on("GET", "/v1/tasks/default/1", held)

    async def main() -> float:
        async with AsyncClient(script.url) as client:
            start = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.wait("1"), 0.2)
            return time.monotonic() - start

    assert asyncio.run(main()) < 0.9


def test_events_go_on_after_the_last_one(client: Any, script: Script) -> None:
    hello = b": hello\nretry: 10\n\n"
    script.on(
        "GET",
        "/v1/events",
        stream("text/event-stream", [hello, sse(1), sse(2)[:20], sse(2)[20:], b"event: other\ndata: x\n\n"], cut=True),
        hang_up,
        stream("text/event-stream", [sse(3), b"event: transition\ndata: no json\n\n", sse(4)[:-1]]),
        stream("text/event-stream", [sse(4)]),
    )
    events = client.events(queue="q", last_event_id="0-0")
    got = [next(events) for _ in range(4)]
    events.close()
    assert [(each.ref, each.cursor, each.to_state) for each in got] == [
        (f"q/{n}", f"{n}-0", "pending") for n in range(1, 5)
    ]
    assert [asked.headers["last-event-id"] for asked in script.asked] == ["0-0", "2-0", "2-0", "3-0"]
    assert script.asked[0].headers["accept"].startswith("text/event-stream")


def test_an_event_that_had_no_id_of_its_own_is_not_told_twice(client: Any, script: Script) -> None:
    def bare(n: int) -> bytes:
        return sse(n).partition(b"\n")[2]

    script.on(
        "GET",
        "/v1/events",
        stream("text/event-stream", [b"id: now\n\n", bare(1), bare(2)], cut=True),
        stream("text/event-stream", [bare(1), bare(2), sse(3), bare(4)], cut=True),
        stream("text/event-stream", [bare(4), sse(5)]),
    )
    events = client.events()
    got = [next(events) for _ in range(5)]
    events.close()
    assert [(each.id, each.cursor) for each in got] == [
        ("1", None),
        ("2", None),
        ("3", "3-0"),
        ("4", None),
        ("5", "5-0"),
    ]
    assert [asked.headers.get("last-event-id") for asked in script.asked] == [None, "now", "3-0"]


def test_a_refused_event_stream_is_told(client: Any, script: Script) -> None:
    script.on("GET", "/v1/events", problem(403, "forbidden", "the token may not read"))
    with pytest.raises(errors.ForbiddenError, match="may not read"):
        next(client.events())


def test_results_take_no_more_memory_than_the_largest_of_them(script: Script) -> None:
    big = "x" * 1_000_000

    def many(handler: Handler) -> None:
        handler.begin(200, "application/x-ndjson")
        for n in range(100):
            handler.chunk(json.dumps(task(n, result=big)).encode() + b"\n")
        handler.end()

    script.on("GET", RESULTS, many)
    with Client(script.url) as client:
        tracemalloc.start()
        count = sum(1 for _ in client.results(batch="b"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 100
    assert peak < 20 << 20


def split(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_decoders_do_not_care_how_bytes_come(size: int) -> None:
    decoder = LineDecoder()
    told = [line for part in split('{"é":1}\n\n \r\n{}\r\n['.encode(), size) for line in decoder.feed(part)]
    assert told == ['{"é":1}'.encode(), b"{}"]
    assert decoder.rest() == b"["

    text = "\ufeff: c\r\nid: 1\r\ndata: a\r\ndata:b\r\rretry: 5\n\nevent: x\rdata\r\n\r\nid\ndata: é\n\ndata: lost"
    events = EventDecoder("0")
    got = [event for part in split(text.encode(), size) for event in events.feed(part)]
    assert [(e.event, e.data, e.id) for e in got] == [
        ("message", "a\nb", "1"),
        ("x", "", None),
        ("message", "é", ""),
    ]
    assert (events.last_id, events.retry_ms) == (None, 5)
