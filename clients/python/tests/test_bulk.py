"""Bulk submission: chunks, what is sent again, what is refused, and memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from windlass_client import AsyncClient, BulkRejectedError, Client, Retry, errors

from scripted import Handler, Script, give, hang_up, lines, problem, stall

PATH = "/v1/tasks/bulk"


def take_all(handler: Handler) -> None:
    """Accepts every line, and answers as it was asked to."""
    count = handler.asked.body.count(b"\n")
    told: list[Any] = []
    if handler.asked.query["answers"] == "all":
        first = int(handler.asked.query["first_line"])
        told = [
            {"line": first + at, "ref": f"q/{first + at}", "state": "pending", "duplicate": False}
            for at in range(count)
        ]
    lines(*told, {"accepted": count, "duplicates": 0, "rejected": 0})(handler)


def tasks(count: int) -> Iterator[dict[str, Any]]:
    return ({"type": "noop", "payload": n} for n in range(count))


def test_an_iterator_goes_in_chunks_with_absolute_line_numbers(client: Any, script: Script) -> None:
    script.on("POST", PATH, take_all)
    seen: list[int] = []
    report = client.submit_many(tasks(25), batch="b", queue="q", chunk=10, on_progress=lambda r: seen.append(r.lines))
    assert (report.lines, report.accepted, report.rejected, report.next_line) == (25, 25, 0, 26)
    assert seen == [10, 20, 25]
    assert [asked.query["first_line"] for asked in script.asked] == ["1", "11", "21"]
    assert all(asked.query.items() >= {"batch": "b", "queue": "q", "on_full": "wait"}.items() for asked in script.asked)
    assert all("idempotency-key" not in asked.headers for asked in script.asked)
    assert script.asked[2].lines()[4] == {"type": "noop", "payload": 24}


def test_a_batch_is_gone_on_with(client: Any, script: Script) -> None:
    script.on("POST", PATH, take_all)
    report = client.submit_many(tasks(3), batch="b")
    report = client.submit_many(tasks(2), batch="b", first_line=report.next_line)
    assert [asked.query["first_line"] for asked in script.asked] == ["1", "4"]
    assert report.next_line == 6


def test_without_a_batch_each_chunk_has_a_key_of_its_own_which_it_keeps(client: Any, script: Script) -> None:
    script.on("POST", PATH, hang_up, take_all)
    client.submit_many(tasks(2), chunk=1)
    keys = [asked.headers["idempotency-key"] for asked in script.asked]
    assert keys[0] == keys[1] != keys[2]


def test_nothing_is_sent_for_nothing(client: Any, script: Script) -> None:
    assert client.submit_many([]).lines == 0
    assert not script.asked


def test_big_tasks_make_small_chunks(client: Any, script: Script) -> None:
    script.on("POST", PATH, take_all)
    client.submit_many({"type": "noop", "payload": "x" * 1_000_000} for _ in range(10))
    assert all(len(asked.body) <= 4 << 20 for asked in script.asked)
    assert len(script.asked) == 3


def test_a_chunk_whose_answer_breaks_off_is_sent_again(client: Any, script: Script) -> None:
    done = {"accepted": 0, "duplicates": 2, "rejected": 0}
    script.on("POST", PATH, lines(cut=True), lines({"line": 1, "ref": "q/1"}), lines(half=b'{"acc'), lines(done))
    report = client.submit_many(tasks(2), batch="b")
    assert (report.accepted, report.duplicates) == (0, 2)
    assert len({asked.body for asked in script.asked}) == 1
    assert len(script.asked) == 4


def test_a_chunk_that_ended_early_is_sent_again_and_counted_once(client: Any, script: Script) -> None:
    trouble = {"type": "urn:windlass:problem:redis-unavailable", "status": 503, "detail": "away"}
    script.on(
        "POST",
        PATH,
        lines({"accepted": 2, "duplicates": 0, "rejected": 0, "error": trouble}),
        lines({"accepted": 1, "duplicates": 2, "rejected": 0}),
    )
    report = client.submit_many(tasks(3), batch="b")
    assert (report.accepted, report.duplicates) == (3, 0)


def test_an_early_end_that_trying_again_cannot_help_is_raised(client: Any, script: Script) -> None:
    trouble = {"type": "urn:windlass:problem:forbidden", "status": 403, "detail": "not yours"}
    script.on("POST", PATH, lines({"accepted": 0, "duplicates": 0, "rejected": 0, "error": trouble}))
    with pytest.raises(errors.ForbiddenError, match="not yours"):
        client.submit_many(tasks(3))


REFUSED = (
    {"line": 2, "error": {"class": "invalid", "message": "no such priority"}},
    {"accepted": 2, "duplicates": 0, "rejected": 1},
)


def test_a_refused_line_is_raised_with_its_item_after_its_chunk(client: Any, script: Script) -> None:
    script.on("POST", PATH, lines(*REFUSED))
    with pytest.raises(BulkRejectedError, match="line 2: no such priority") as caught:
        client.submit_many(tasks(3))
    (reject,) = caught.value.rejects
    assert (reject.line, reject.error_class, reject.item) == (2, "invalid", {"type": "noop", "payload": 1})
    assert caught.value.report.accepted == 2


def test_refused_lines_are_collected_or_handed_over(client: Any, script: Script) -> None:
    script.on("POST", PATH, lines(*REFUSED))
    report = client.submit_many(tasks(3), on_reject="collect")
    assert (report.rejected, report.rejects[0].line) == (1, 2)
    told: list[Any] = []
    report = client.submit_many(tasks(3), on_reject=told.append)
    assert (report.rejected, report.rejects, told[0].line) == (1, (), 2)


def test_what_was_taken_is_told_where_it_is_asked_for(client: Any, script: Script) -> None:
    script.on("POST", PATH, take_all)
    taken: list[tuple[int, str]] = []
    client.submit_many(tasks(3), chunk=2, on_accept=lambda line, submitted: taken.append((line, submitted.ref)))
    assert taken == [(1, "q/1"), (2, "q/2"), (3, "q/3")]


def test_an_item_that_is_no_task_is_named_by_its_line(client: Any, script: Script) -> None:
    with pytest.raises(TypeError, match="line 2"):
        client.submit_many([{"type": "noop"}, "noop"])
    with pytest.raises(TypeError, match=r"line 1: .*JSON"):
        client.submit_many([{"type": "noop", "payload": {1, 2}}])
    with pytest.raises(ValueError, match="on_reject"):
        client.submit_many([], on_reject="ignore")
    assert not script.asked


def test_a_full_queue_is_waited_for_beyond_the_deadline(connect: Callable[..., Any], script: Script) -> None:
    client = connect(script.url, retry=Retry(deadline=0.3, base=0.05, cap=0.1))
    full = problem(429, "queue-full")
    script.on("POST", PATH, *[full] * 12, take_all)
    start = time.monotonic()
    assert client.submit_many(tasks(1)).accepted == 1
    assert time.monotonic() - start > 0.3


def test_a_silent_server_is_asked_whether_it_is_there(
    connect: Callable[..., Any], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass_client._bulk.WAITS", 0.0)
    client = connect(script.url, timeout=1.0, retry=Retry(deadline=20, base=0.01, cap=0.02))
    script.on("GET", "/v1/version", give({"version": "1"}))
    script.on("POST", PATH, stall(5), stall(5), take_all)
    assert client.submit_many(tasks(1)).accepted == 1
    assert len(script.of("/v1/version")) == 2
    client = connect(script.url, timeout=1.0, retry=Retry(deadline=0.5, base=0.01, cap=0.02))
    script.on("POST", PATH, stall(5))
    script.on("GET", "/v1/version", hang_up)
    with pytest.raises(errors.ConnectionFailedError):
        client.submit_many(tasks(1))


def test_the_async_client_takes_async_iterators(script: Script) -> None:
    import asyncio

    script.on("POST", PATH, take_all)

    async def slow() -> AsyncIterator[dict[str, Any]]:
        for n in range(5):
            await asyncio.sleep(0)
            yield {"type": "noop", "payload": n}

    async def main() -> int:
        async with AsyncClient(script.url) as client:
            return (await client.submit_many(slow(), chunk=2)).accepted

    assert asyncio.run(main()) == 5


def test_many_tasks_take_no_more_memory_than_few(script: Script) -> None:
    def count_only(handler: Handler) -> None:
        handler.server.script.asked.clear()
        count = handler.asked.body.count(b"\n")
        give(json.dumps({"accepted": count, "duplicates": 0, "rejected": 0}).encode(), kind="application/x-ndjson")(
            handler
        )

    script.on("POST", PATH, count_only)
    with Client(script.url) as client:
        client.submit_many(tasks(1_000))
        tracemalloc.start()
        client.submit_many(tasks(2_000))
        few = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert client.submit_many(tasks(20_000)).accepted == 20_000
        many = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert many < few * 2 + (1 << 20)
