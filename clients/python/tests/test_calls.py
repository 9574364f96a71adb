"""What is sent for a call, and what is made of the answer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from windlass_client import Task, TaskFailedError, WaitTimeoutError, errors

from scripted import Script, give, lines

TASK = {"ref": "default/1", "id": "1", "type": "noop", "queue": "default", "state": "completed", "result": {"n": 1}}
SUBMITTED = {"ref": "q/1", "id": "1", "queue": "q", "state": "pending", "duplicate": False}


def test_a_submission_says_what_was_given_and_nothing_else(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks", give(SUBMITTED, 201))
    moment = datetime(2026, 11, 20, 9, tzinfo=timezone(timedelta(hours=1)))
    submitted = client.submit(
        "llm",
        {"prompt": "é"},
        queue="q",
        priority="high",
        delay=1.5,
        timeout=timedelta(minutes=2),
        run_at=moment,
        key=None,
    )
    assert (submitted.ref, submitted.duplicate) == ("q/1", False)
    (asked,) = script.asked
    assert asked.json() == {
        "type": "llm",
        "payload": {"prompt": "é"},
        "queue": "q",
        "priority": "high",
        "delay": "1500ms",
        "timeout": "120000ms",
        "run_at": "2026-11-20T08:00:00Z",
    }
    assert len(asked.headers["idempotency-key"]) == 36


def test_wrong_options_are_told_before_anything_is_sent(client: Any, script: Script) -> None:
    with pytest.raises(TypeError, match="unknown option 'prio'"):
        client.submit("noop", prio="high")
    with pytest.raises(ValueError, match="no time zone"):
        client.submit("noop", run_at=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="JSON"):
        client.submit("noop", {"n": float("nan")})
    assert not script.asked


def test_what_a_newer_server_says_is_kept_and_what_an_older_one_leaves_out_has_its_default(
    client: Any, script: Script
) -> None:
    script.on(
        "GET",
        "/v1/tasks/q/a:b",
        give(
            {
                "ref": "q/a:b",
                "state": "pondering",
                "mood": [1],
                "retries": None,
                "created_at": "2026-11-20T08:00:00.123456Z",
                "started_at": {"odd": True},
                "error": {"class": "timeout", "message": "slow", "hint": "h"},
            }
        ),
    )
    task = client.get("q/a:b")
    assert (task.state, task.extra["mood"], task.retries, task.payload) == ("pondering", [1], 0, None)
    assert task.created_at == datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=timezone.utc)
    assert task.started_at is None
    assert task.extra["started_at"] == {"odd": True}
    assert (task.error.error_class, task.error.extra["hint"]) == ("timeout", "h")
    assert not task.finished
    assert {task, task} == {task}


def test_a_value_is_the_result_or_an_error() -> None:
    assert Task(state="completed", result=0).value() == 0
    with pytest.raises(TaskFailedError, match="q/1 is cancelled"):
        Task(ref="q/1", state="cancelled").value()


def test_an_id_alone_means_the_queue_default(client: Any, script: Script) -> None:
    script.on("GET", "/v1/tasks/default/1", give(TASK))
    assert client.get("1").result == {"n": 1}
    assert client.get(client.get("1")).ref == "default/1"
    with pytest.raises(ValueError, match="path"):
        client.get("../x")


def test_lists_come_in_pages_and_a_page_may_be_empty(client: Any, script: Script) -> None:
    script.on(
        "GET",
        "/v1/tasks",
        give({"items": [TASK, TASK], "next_cursor": "c1"}),
        give({"items": [], "next_cursor": "c2"}),
        give({"items": [TASK], "next_cursor": None}),
    )
    found = list(client.tasks(queue="default", state="failed", page_size=2))
    assert len(found) == 3
    assert [asked.query for asked in script.asked] == [
        {"queue": "default", "state": "failed", "limit": "2"},
        {"queue": "default", "state": "failed", "limit": "2", "cursor": "c1"},
        {"queue": "default", "state": "failed", "limit": "2", "cursor": "c2"},
    ]


def test_pages_are_fetched_as_they_are_needed(client: Any, script: Script) -> None:
    script.on("GET", "/v1/nodes", give({"items": [{"id": "n1"}], "next_cursor": "c"}))
    nodes = client.nodes(state="active")
    assert next(nodes).id == "n1"
    assert len(script.asked) == 1
    nodes.close()


def test_wait_polls_until_all_are_finished_and_asks_only_for_those_that_are_not(client: Any, script: Script) -> None:
    done, runs = TASK | {"ref": "default/1"}, TASK | {"ref": "default/2", "state": "running"}
    script.on("POST", "/v1/tasks/wait", give({"items": [done, runs]}), give({"items": [runs | {"state": "failed"}]}))
    tasks = client.wait(["default/1", "2", "1"])
    assert [(task.ref, task.state) for task in tasks] == [
        ("default/1", "completed"),
        ("default/2", "failed"),
        ("default/1", "completed"),
    ]
    assert [asked.json()["tasks"] for asked in script.asked] == [["default/1", "default/2"], ["default/2"]]
    assert script.asked[0].query == {"wait": "30000ms"}


def test_wait_for_one_gives_one(client: Any, script: Script) -> None:
    script.on("GET", "/v1/tasks/default/1", give(TASK | {"state": "running"}), give(TASK))
    assert client.wait("1").completed
    assert script.asked[0].query == {"wait": "30000ms"}


def test_wait_ends_when_the_time_is_over_and_says_what_is_left(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks/status", give({"items": [TASK | {"state": "running"}]}))
    with pytest.raises(WaitTimeoutError) as caught:
        client.wait(["1"], timeout=0)
    assert caught.value.unfinished == ("default/1",)
    assert isinstance(caught.value, TimeoutError)


def test_wait_for_an_unknown_task_does_not_wait(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks/wait", give({"items": [None]}))
    with pytest.raises(errors.NotFoundError, match="default/gone"):
        client.wait(["gone"])


def test_actions_on_many_tasks_go_in_requests_of_a_thousand(client: Any, script: Script) -> None:
    outcomes = [
        give({"items": [{"ref": f"default/{n}", "state": "cancelled", "outcome": "cancelled"} for n in part]})
        for part in (range(1000), range(1000, 1500))
    ]
    script.on("POST", "/v1/tasks/cancel", *outcomes)
    told = client.cancel(str(n) for n in range(1500))
    assert [outcome.ref for outcome in told] == [f"default/{n}" for n in range(1500)]
    assert [len(asked.json()["tasks"]) for asked in script.asked] == [1000, 500]
    keys = [asked.headers["idempotency-key"] for asked in script.asked]
    assert keys[0] != keys[1]


def test_run_submits_waits_and_gives_the_result_or_the_failure(client: Any, script: Script) -> None:
    script.on("POST", "/v1/tasks", give(SUBMITTED, 201))
    failed = TASK | {"ref": "q/1", "state": "failed", "error": {"class": "timeout", "message": "slow"}}
    script.on("GET", "/v1/tasks/q/1", give(TASK), give(failed))
    assert client.run("noop", {"n": 1}) == {"n": 1}
    with pytest.raises(TaskFailedError, match="timeout: slow") as caught:
        client.run("noop")
    assert caught.value.task.ref == "q/1"


def test_every_verb_goes_where_the_contract_says(client: Any, script: Script) -> None:
    queue = {"queue": "q", "paused": True, "pending": {"high": 2, "normal": 3}}
    budget = {"scope": "tenant:a", "limit_usd": 5.0}
    table: list[tuple[str, str, Any, Any]] = [
        ("GET", "/v1/queues/q", queue, lambda: client.queue("q").pending_count == 5),
        ("POST", "/v1/queues/q/pause", queue, lambda: client.pause("q").paused),
        ("POST", "/v1/queues/q/resume", queue, lambda: client.resume("q").queue == "q"),
        ("POST", "/v1/queues/q/purge", {"purged": 7}, lambda: client.purge("q", "failed") == 7),
        ("PATCH", "/v1/queues/q", queue, lambda: client.configure("q", retention=60, max_length=5).queue == "q"),
        ("GET", "/v1/queues/q/failures", {"items": [{"class": "c"}]}, lambda: client.failures("q").items[0].error_class == "c"),
        ("POST", "/v1/tasks/retry", {"retried": 3}, lambda: client.retry_all(queue="q", error_class="timeout") == 3),
        ("POST", "/v1/tasks/priority", {"items": [{"ref": "q/1"}]}, lambda: client.set_priority("q/1", "high")[0].ref == "q/1"),
        ("GET", "/v1/batches/b", {"batch": "b", "over": True}, lambda: client.batch("b").over),
        ("GET", "/v1/batches", {"items": [{"batch": "b"}]}, lambda: next(client.batches()).batch == "b"),
        ("GET", "/v1/nodes/n-1", {"id": "n-1", "running": [{"ref": "q/1"}]}, lambda: client.node("n-1").running[0].ref == "q/1"),
        ("POST", "/v1/nodes/n-1/drain", {"node": "n-1", "told": "drain"}, lambda: client.drain_node("n-1").told == "drain"),
        ("POST", "/v1/nodes/n-1/quiet", {"node": "n-1", "told": "quiet"}, lambda: client.quiet_node("n-1").told == "quiet"),
        ("POST", "/v1/nodes/n-1/resume", {"node": "n-1", "told": "resume"}, lambda: client.resume_node("n-1").told == "resume"),
        ("POST", "/v1/nodes/n-1/stop", {"node": "n-1", "told": "stop"}, lambda: client.stop_node("n-1").told == "stop"),
        ("GET", "/v1/tasks/q/1/events", {"items": [{"from": None, "to": "pending"}]}, lambda: client.history("q/1")[0].to_state == "pending"),
        ("GET", "/v1/events", {"items": [{"queue": "q", "id": "1"}]}, lambda: next(client.events(follow=False)).ref == "q/1"),
        ("GET", "/v1/actions", {"items": [{"action": "cancel", "with": {"a": "b"}}]}, lambda: next(client.actions()).with_ == {"a": "b"}),
        ("GET", "/v1/budgets", {"items": [budget]}, lambda: next(client.budgets(past=True)).limit_usd == 5.0),
        ("PUT", "/v1/budgets/tenant:a", budget, lambda: client.set_budget("tenant:a", 5.0).limit_usd == 5.0),
        ("DELETE", "/v1/budgets/tenant:a", None, lambda: client.delete_budget("tenant:a") is None),
        ("GET", "/v1/models", {"items": [{"id": "p/m", "price": 1}]}, lambda: next(client.models()).extra["price"] == 1),
        ("POST", "/v1/models/select", {"ranked": [{"model": "p/m"}]}, lambda: client.select_model(quality=0.5, mode="fastest").best.model == "p/m"),
        ("POST", "/v1/models/reset", {"items": [{"name": "p", "reset": True}]}, lambda: client.reset_models(["p"]) == {"p": True}),
        ("GET", "/v1/metrics", {"totals": {"calls": 3}}, lambda: client.metrics(days=2).totals.calls == 3),
        ("GET", "/v1/reviews", {"items": [{"ref": "q/1", "class": "validation"}]}, lambda: next(client.reviews()).error_class == "validation"),
        ("GET", "/v1/reviews/q/1", {"ref": "q/1", "draft": {"text": "d"}}, lambda: client.review("q/1").draft == {"text": "d"}),
        ("POST", "/v1/reviews/q/1", {"ref": "q/1"}, lambda: client.edit("q/1", None, note="n").ref == "q/1"),
        ("GET", "/v1/version", {"version": "1.2.3", "protocol": 1}, lambda: client.version().version == "1.2.3"),
        ("GET", "/v1/overview", {"slots": 1, "more": 2}, lambda: (client.overview().slots, client.overview().extra["more"]) == (1, 2)),
        ("GET", "/v1/doctor", {"items": [{"check": "c", "status": "ok"}]}, lambda: client.doctor()[0].status == "ok"),
        ("GET", "/v1/autoscale", {"backlog": 4}, lambda: client.autoscale(["a", "b"], slots=8).backlog == 4),
    ]  # fmt: skip
    for method, path, answer, ask in table:
        script.on(method, path, give(answer))
        assert ask(), path
    assert all(
        "idempotency-key" in asked.headers for asked in script.asked if asked.method in ("PUT", "PATCH", "DELETE")
    )
    bodies = {(asked.method, asked.path): asked.json() for asked in script.asked if asked.body}
    assert bodies["PATCH", "/v1/queues/q"] == {"max_length": 5, "retention": "60000ms"}
    assert bodies["POST", "/v1/tasks/retry"] == {"queue": "q", "class": "timeout"}
    assert bodies["POST", "/v1/reviews/q/1"] == {"decision": "edit", "result": None, "note": "n"}
    assert bodies["PUT", "/v1/budgets/tenant%3Aa"] == {"limit_usd": 5.0, "window": "day", "on_limit": "refuse"}


def test_a_file_of_a_result_is_text(client: Any, script: Script) -> None:
    script.on("GET", "/v1/tasks/q/1/files/src/a b.py", give("é = 1".encode(), kind="text/plain"))
    assert client.file("q/1", "src/a b.py") == "é = 1"
    with pytest.raises(ValueError, match="path"):
        client.file("q/1", "..")
    assert script.asked[0].path == "/v1/tasks/q/1/files/src%2Fa%20b.py"


def test_map_gives_results_in_order_and_submits_only_so_many_ahead(client: Any, script: Script) -> None:
    def bulk(handler: Any) -> None:
        first = int(handler.asked.query["first_line"])
        told = [
            {"line": first + at, "ref": f"q/{item['payload']}", "state": "pending", "duplicate": False}
            for at, item in enumerate(handler.asked.lines())
        ]
        lines(*told, {"accepted": len(told), "duplicates": 0, "rejected": 0})(handler)

    def status(handler: Any) -> None:
        refs = handler.asked.json()["tasks"]
        give({"items": [TASK | {"ref": ref, "result": int(ref[2:]) * 2} for ref in refs]})(handler)

    script.on("POST", "/v1/tasks/bulk", bulk)
    script.on("POST", "/v1/tasks/status", status)
    for n in range(20):
        script.on("GET", f"/v1/tasks/q/{n}", give(TASK | {"ref": f"q/{n}", "result": n * 2}))
    taken = []

    def payloads() -> Any:
        for n in range(20):
            taken.append(n)
            yield n

    results = client.map("double", payloads(), queue="q", ahead=4, batch="b")
    assert next(results) == 0
    assert len(taken) <= 4
    assert list(results) == [n * 2 for n in range(1, 20)]
    sent = script.of("/v1/tasks/bulk")
    assert [asked.query["first_line"] for asked in sent] == ["1", "5", "9", "13", "17"]
    assert all(asked.query["batch"] == "b" for asked in sent)
    assert sent[0].lines()[0] == {"type": "double", "payload": 0, "queue": "q"}


def test_map_raises_at_the_place_of_a_failure_or_gives_it(client: Any, script: Script) -> None:
    told = [{"line": n, "ref": f"q/{n}", "state": "pending"} for n in (1, 2)]
    refused = {"line": 3, "error": {"class": "invalid", "message": "bad"}}
    script.on("POST", "/v1/tasks/bulk", lines(*told, refused, {"accepted": 2, "duplicates": 0, "rejected": 1}))
    script.on("GET", "/v1/tasks/q/1", give(TASK | {"result": "one"}))
    script.on("GET", "/v1/tasks/q/2", give(TASK | {"state": "failed"}))
    script.on("POST", "/v1/tasks/status", give({"items": [TASK | {"ref": "q/2", "state": "failed"}]}))
    results = client.map("t", "abc")
    assert next(results) == "one"
    with pytest.raises(TaskFailedError):
        next(results)
    one, two, three = client.map("t", "abc", return_exceptions=True)
    assert one == "one"
    assert isinstance(two, TaskFailedError)
    assert isinstance(three, errors.BulkRejectedError)
