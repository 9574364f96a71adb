"""What is tried again, how often, after how long, and what is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass_client import ConnectionFailedError, QueueFullError, Retry, TimedOutError, WindlassError, errors
from windlass_client._retry import Patience

from scripted import Script, give, hang_up, problem, stall

OK = give({"version": "1", "protocol": 1})
SUBMITTED = give({"ref": "q/1", "id": "1", "queue": "q", "state": "pending", "duplicate": False}, 201)


def test_a_lost_answer_is_asked_for_again_with_the_same_key(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks", hang_up, hang_up, SUBMITTED)
    assert client.submit("noop").ref == "q/1"
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 1
    assert len(script.asked) == 3


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(client: Any, script: Script, status: int) -> None:
    script.on("GET", "/v1/version", problem(status, "too-many-requests"), give(b"<html>", status, "text/html"), OK)
    assert client.version().version == "1"


def test_our_own_request_that_is_still_worked_on_is_waited_for(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks", hang_up, problem(409, "in-progress"), SUBMITTED)
    assert client.submit("noop").ref == "q/1"


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "invalid-request", errors.InvalidRequestError),
        (401, "unauthorized", errors.UnauthorizedError),
        (403, "forbidden", errors.ForbiddenError),
        (404, "not-found", errors.NotFoundError),
        (405, "method-not-allowed", errors.MethodNotAllowedError),
        (406, "not-acceptable", errors.NotAcceptableError),
        (409, "conflict", errors.ConflictError),
        (413, "too-large", errors.TooLargeError),
        (415, "unsupported-media-type", errors.UnsupportedMediaTypeError),
        (422, "key-reused", errors.KeyReusedError),
        (500, "internal", errors.InternalServerError),
        (418, "of-a-newer-server", errors.ApiError),
    ],
)
def test_what_trying_again_cannot_help_is_raised_at_once(
    client: Any, script: Script, status: int, name: str, kind: type[errors.ApiError]
) -> None:
    script.on("GET", "/v1/version", problem(status, name, "no good", instance="req-9"))
    with pytest.raises(WindlassError) as caught:
        client.version()
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.type, error.detail, error.request_id) == (status, name, "no good", "req-7")
    assert "no good" in str(error)
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (408, "request-timeout", errors.RequestTimeoutError),
        (409, "in-progress", errors.InProgressError),
        (429, "queue-full", errors.QueueFullError),
        (429, "too-many-requests", errors.TooManyRequestsError),
        (503, "redis-unavailable", errors.RedisUnavailableError),
    ],
)
def test_what_stays_so_until_the_deadline_is_raised(
    connect: Callable[..., Any], script: Script, status: int, name: str, kind: type[errors.ApiError]
) -> None:
    client = connect(script.url, retry=Retry(deadline=0.5, base=0.01, cap=0.02))
    script.on("POST", "/v1/tasks", problem(status, name))
    start = time.monotonic()
    with pytest.raises(kind):
        client.submit("noop")
    assert time.monotonic() - start < 5
    assert len(script.asked) > 2


def test_retry_after_is_honoured(client: Any, script: Script) -> None:
    script.on("GET", "/v1/version", problem(429, "too-many-requests", headers={"retry_after": "0.3"}), OK)
    start = time.monotonic()
    client.version()
    assert time.monotonic() - start >= 0.3


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks", problem(429, "queue-full", headers={"retry_after": "60"}))
    start = time.monotonic()
    with pytest.raises(QueueFullError) as caught:
        client.submit("noop")
    assert time.monotonic() - start < 2
    assert caught.value.retry_after == 60.0
    assert len(script.asked) == 1


def test_retry_after_may_be_a_date() -> None:
    from email.utils import formatdate

    from windlass_client._wire import retry_after

    assert 8 < (retry_after(formatdate(time.time() + 10, usegmt=True)) or 0) <= 10
    assert retry_after("soon") is None
    assert retry_after(None) is None


def test_a_server_that_does_not_answer_times_out(connect: Callable[..., Any], script: Script) -> None:
    client = connect(script.url, timeout=0.1, retry=Retry(deadline=0))
    script.on("GET", "/v1/version", stall(1))
    with pytest.raises(TimedOutError) as caught:
        client.version()
    assert isinstance(caught.value, TimeoutError)
    assert len(script.asked) == 1


def test_the_total_deadline_bounds_tries_that_stall(connect: Callable[..., Any], script: Script) -> None:
    client = connect(script.url, timeout=30, retry=Retry(deadline=0.4, base=0.01, cap=0.02))
    script.on("GET", "/v1/version", stall(3))
    start = time.monotonic()
    with pytest.raises(TimedOutError):
        client.version()
    assert time.monotonic() - start < 2


def test_a_server_that_is_not_there_is_told_by_its_url(connect: Callable[..., Any]) -> None:
    client = connect("http://127.0.0.1:9", retry=Retry(deadline=0.05, base=0.01, cap=0.02))
    with pytest.raises(ConnectionFailedError, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        client.version()
    assert not caught.value.sent


def test_something_else_than_windlass_is_told(client: Any, script: Script) -> None:
    script.on("GET", "/v1/version", give(b"<html>hello</html>", kind="text/html"))
    with pytest.raises(WindlassError, match="windlass serve"):
        client.version()


def test_pauses_have_full_jitter_and_grow_to_the_cap() -> None:
    now = 0.0
    spans: list[float] = []

    def most(low: float, high: float) -> float:
        assert low == 0.0
        spans.append(high)
        return high

    patience = Patience(Retry(deadline=100, base=1, cap=8), clock=lambda: now, uniform=most)
    error = ConnectionFailedError("x")
    for _ in range(5):
        assert patience.pause(error) == spans[-1]
    assert spans == [1, 2, 4, 8, 8]
    now = 95.0
    assert patience.pause(error) is None
    patience.renew()
    assert patience.pause(error) == 1


def test_what_may_not_be_done_twice_is_repeated_only_if_it_was_never_sent() -> None:
    patience = Patience(Retry())
    assert patience.pause(ConnectionFailedError("x", sent=True), repeatable=False) is None
    assert patience.pause(ConnectionFailedError("x", sent=False), repeatable=False) is not None


def test_where_the_server_is_and_who_asks(
    connect: Callable[..., Any], script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script.on("GET", "/v1/version", OK)

    def last(client: Any) -> dict[str, str]:
        client.version()
        return script.asked[-1].headers

    monkeypatch.setenv("WINDLASS_URL", script.url + "/")
    assert "authorization" not in last(connect(None))
    monkeypatch.setenv("WINDLASS_TOKEN", "wlt_env")
    monkeypatch.setenv("TRACEPARENT", "00-aa-bb-01")
    headers = last(connect(None))
    assert (headers["authorization"], headers["traceparent"]) == ("Bearer wlt_env", "00-aa-bb-01")
    assert headers["user-agent"].startswith("windlass-client/")

    file = tmp_path / "token"
    file.write_text("wlt_one\n")
    client = connect(None, token_file=file)
    assert last(client)["authorization"] == "Bearer wlt_one"
    file.write_text("wlt_another\n")
    assert last(client)["authorization"] == "Bearer wlt_another"

    spans = iter(["00-a", "00-b"])
    client = connect(None, token=lambda: "wlt_called", headers=lambda: {"Traceparent": next(spans)})
    assert (last(client)["traceparent"], last(client)["traceparent"]) == ("00-a", "00-b")
    assert last(connect(None, traceparent="", headers={"x-a": "b"})).items() >= {"x-a": "b"}.items()
    assert "wlt" not in repr(client)


def test_settings_that_cannot_work_are_refused(connect: Callable[..., Any], script: Script) -> None:
    for url in ("localhost:8642", "redis://localhost", "http://"):
        with pytest.raises(ValueError, match="no URL of a server"):
            connect(url)
    with pytest.raises(ValueError, match="token") as caught:
        connect("http://me:secret@localhost")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="not both"):
        connect(script.url, token="a", token_file="b")
    with pytest.raises(WindlassError, match="cannot be read"):
        connect(script.url, token_file="/nowhere/token").version()
    with pytest.raises(WindlassError, match="line break") as broken:
        connect(script.url, token="wlt_secret\nx: y").version()
    assert "secret" not in str(broken.value)
    with pytest.raises(ValueError, match="Retry"):
        Retry(base=0)
