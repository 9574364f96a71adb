"""Against the real server, with a real Redis and a real worker."""

from __future__ import annotations

import re
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from fleet import Fleet, Process, answers, free_port, until

from windlass_client import (
    BulkRejectedError,
    Client,
    Retry,
    Task,
    TaskFailedError,
    Transition,
    WaitTimeoutError,
    errors,
)

PATIENT = Retry(deadline=30.0, base=0.05, cap=1.0)
LONG = 60.0


@pytest.fixture
def client(connect: Callable[..., Any], fleet: Fleet) -> Any:
    return connect(fleet.url, retry=PATIENT, timeout=30.0)


@pytest.fixture
def name() -> str:
    """A batch, queue or id that no other test uses."""
    return f"t-{uuid.uuid4().hex[:12]}"


def eventually(so: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (seen := so()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
    return seen


def test_one_task_goes_through(client: Any) -> None:
    submitted = client.submit("noop", {"é": [1, None]}, priority="high", tenant="t", metadata={"k": 1})
    assert submitted.queue == "default"
    assert not submitted.duplicate
    task = client.wait(submitted, timeout=LONG)
    assert task.value() == {"é": [1, None]}
    assert (task.type, task.priority, task.tenant, task.metadata) == ("noop", "high", "t", {"k": 1})
    assert task.created_at <= task.started_at <= task.finished_at
    assert task.finished_at.tzinfo == timezone.utc
    assert not task.extra, "a field of the server that this client does not know"
    assert client.run("noop", 7) == 7


def test_submitting_twice_is_one_task_and_other_content_a_conflict(client: Any, name: str) -> None:
    first, again = client.submit("noop", 1, key=name), client.submit("noop", 1, key=name)
    assert (first.ref, first.duplicate, again.duplicate) == (again.ref, False, True)
    with pytest.raises(errors.ConflictError):
        client.submit("noop", 2, key=name)


def test_what_is_wrong_is_told(client: Any) -> None:
    with pytest.raises(errors.InvalidRequestError, match="priority"):
        client.submit("noop", priority="urgent")
    with pytest.raises(errors.NotFoundError) as caught:
        client.get("no-such-task")
    assert (caught.value.status, caught.value.type) == (404, "not-found")
    assert caught.value.request_id
    with pytest.raises(errors.NotFoundError):
        client.wait(["no-such-task"], timeout=LONG)
    with pytest.raises(errors.NotFoundError):
        client.node("no-such-node")


def test_a_task_that_fails_tells_why(client: Any) -> None:
    with pytest.raises(TaskFailedError) as caught:
        client.run("command", {"argv": ["false"]}, max_attempts=1)
    assert caught.value.type == "exit_code"
    assert caught.value.task.state == "failed"


def test_waiting_ends_when_the_time_is_over(client: Any) -> None:
    submitted = client.submit("sleep", {"ms": 60_000})
    start = time.monotonic()
    with pytest.raises(WaitTimeoutError):
        client.wait(submitted, timeout=0.5)
    with pytest.raises(WaitTimeoutError) as caught:
        client.wait([submitted], timeout=0.5)
    assert time.monotonic() - start < 10
    assert caught.value.unfinished == (submitted.ref,)
    assert client.cancel(submitted)[0].outcome in ("cancelling", "cancelled")
    assert client.wait(submitted, timeout=LONG).state == "cancelled"


def test_a_batch_is_submitted_again_and_its_results_come_once(client: Any, name: str) -> None:
    def tasks() -> Iterator[dict[str, Any]]:
        return ({"type": "noop", "payload": n} for n in range(500))

    report = client.submit_many(tasks(), batch=name, chunk=100)
    assert (report.lines, report.accepted, report.duplicates, report.rejected) == (500, 500, 0, 0)
    again = client.submit_many(tasks(), batch=name, chunk=70)
    assert (again.accepted, again.duplicates) == (0, 500), "other chunks, the same lines"
    more = client.submit_many([{"type": "noop", "payload": 500}], batch=name, first_line=report.next_line)
    assert more.accepted == 1

    results = list(client.results(batch=name, follow=True))
    assert sorted(task.result for task in results) == list(range(501))
    finished = [task.finished_at for task in results]
    assert finished == sorted(finished), "in order of finishing"
    place = next(at for at, task in enumerate(results) if task.cursor is not None)
    rest = list(client.results(batch=name, cursor=results[place].cursor))
    assert [task.ref for task in rest] == [task.ref for task in results[place + 1 :]]
    batch = client.wait_batch(name, timeout=LONG)
    assert (batch.total, batch.completed, batch.over) == (501, 501, True)
    assert client.batch(name).finished == 501
    assert name in [each.batch for each in client.batches()]


def test_bulk_without_a_batch_tells_what_it_took(client: Any) -> None:
    taken: dict[int, str] = {}
    report = client.submit_many(
        ({"type": "noop", "payload": n} for n in range(30)),
        chunk=7,
        on_accept=lambda line, submitted: taken.update({line: submitted.ref}),
    )
    assert report.accepted == 30
    assert list(taken) == list(range(1, 31))
    tasks = client.wait(taken.values(), timeout=LONG)
    assert [task.result for task in tasks] == list(range(30))
    assert [task.ref for task in client.get_many(taken.values())] == list(taken.values())


def test_lines_that_are_refused_are_told_with_their_items(client: Any, name: str) -> None:
    items: list[dict[str, object]] = [
        {"type": "noop"},
        {"type": "noop", "colour": 1},
        {"type": "noop", "timeout": "-1s"},
        {"type": "noop"},
    ]
    report = client.submit_many(items, batch=name, on_reject="collect", chunk=2)
    assert (report.accepted, report.rejected) == (2, 2)
    assert [(reject.line, reject.item) for reject in report.rejects] == [(2, items[1]), (3, items[2])]
    assert [reject.error_class for reject in report.rejects] == ["malformed", "invalid"]
    with pytest.raises(BulkRejectedError, match="line 2"):
        client.submit_many(items)


def test_map_gives_results_in_order(client: Any, name: str) -> None:
    assert list(client.map("noop", range(250), ahead=50)) == list(range(250))
    assert list(client.map("noop", range(20), batch=name, queue="urgent")) == list(range(20))
    assert client.batch(name).total == 20
    assert list(client.map("noop", range(20), batch=name, queue="urgent")) == list(range(20))
    assert client.batch(name).total == 20, "run again, nothing is submitted twice"
    got = list(client.map("command", [{"argv": ["true"]}, {"argv": ["false"]}], max_attempts=1, return_exceptions=True))
    assert got[0]["exit_code"] == 0
    assert isinstance(got[1], TaskFailedError)


def test_a_full_queue_refuses_or_is_waited_for(client: Any, fleet: Fleet, name: str) -> None:
    queue = f"full-{name}"
    assert client.configure(queue, max_length=5).max_length == 5
    items = [{"type": "noop", "payload": n} for n in range(12)]
    report = client.submit_many(items, queue=queue, batch=name, on_full="fail", on_reject="collect")
    assert (report.accepted, report.rejected) == (5, 7)
    assert {reject.error_class for reject in report.rejects} == {"queue_full"}

    def make_room() -> None:
        time.sleep(1)
        with Client(fleet.url) as other:
            other.configure(queue, max_length=100)

    room = threading.Thread(target=make_room)
    room.start()
    report = client.submit_many(items, queue=queue, batch=name)
    room.join()
    assert report.accepted + report.duplicates == 12
    assert client.queue(queue).pending_count == 12
    assert client.purge(queue, "pending") == 12


def test_a_single_task_that_finds_no_room_is_told_so(connect: Callable[..., Any], fleet: Fleet, name: str) -> None:
    client = connect(fleet.url, retry=Retry(deadline=0), timeout=30.0)
    client.configure(f"full-{name}", max_length=1)
    client.submit("noop", queue=f"full-{name}")
    with pytest.raises(errors.QueueFullError) as caught:
        client.submit("noop", queue=f"full-{name}")
    assert caught.value.retry_after is not None


def test_following_goes_on_when_the_server_is_killed_and_comes_back(
    connect: Callable[..., Any], fleet: Fleet, name: str
) -> None:
    port = free_port()
    command = [fleet.windlass(), "serve", "--listen", f"127.0.0.1:{port}", "--anonymous"]
    serve = Process(command, fleet.folder / f"{name}.log", fleet.environment(), fleet.folder)
    url = f"http://127.0.0.1:{port}"

    def begin() -> None:
        serve.start()
        until(lambda: answers(f"{url}/readyz"), serve)

    begin()
    try:
        client = connect(url, retry=PATIENT, timeout=30.0)
        client.submit_many(({"type": "sleep", "payload": {"ms": 40}} for _ in range(300)), batch=name)
        results = client.results(batch=name, follow=True)
        seen: list[Task] = [next(results) for _ in range(20)]
        serve.kill()
        begin()
        seen += [next(results) for _ in range(100)]
        assert serve.stop() == 0, "asked to stop, it ends in order"
        begin()
        seen += list(results)
    finally:
        serve.stop()
    refs = [task.ref for task in seen]
    assert (len(refs), len(set(refs))) == (300, 300)


def test_events_are_told_as_they_happen_and_go_on(client: Any, name: str) -> None:
    submitted = client.submit("noop", id=name, delay=2)
    events = client.events(queue="default")
    seen: list[Transition] = []
    for event in events:
        if event.ref == submitted.ref:
            seen.append(event)
            if event.to_state == "completed":
                break
    events.close()
    assert [event.to_state for event in seen] == ["pending", "running", "completed"]
    assert all(event.at is not None and event.at < datetime.now(timezone.utc) for event in seen)
    assert [event.to_state for event in client.history(submitted)] == ["scheduled", "pending", "running", "completed"]

    place = next(at for at, event in enumerate(seen) if event.cursor is not None)
    client.submit("noop", id=f"{name}-last")
    after: list[str | None] = []
    for event in (again := client.events(queue="default", last_event_id=seen[place].cursor)):
        if event.ref == submitted.ref:
            after.append(event.to_state)
        if event.id == f"{name}-last":
            break
    again.close()
    assert after == [event.to_state for event in seen[place + 1 :]], "what came after that cursor"
    assert any(event.ref == submitted.ref for event in client.events(queue="default", follow=False))


def test_tasks_are_listed_over_pages_cancelled_retried_and_given_another_priority(client: Any, name: str) -> None:
    queue = f"held-{name}"
    client.submit_many(({"type": "noop", "payload": n} for n in range(25)), queue=queue)
    listed = list(client.tasks(queue=queue, state="pending", page_size=10))
    assert len({task.ref for task in listed}) == 25
    assert {outcome.outcome for outcome in client.set_priority(listed, "critical")} == {"changed"}
    assert client.queue(queue).pending["critical"] == 25
    outcomes = client.cancel(listed[:3])
    assert [(outcome.ref, outcome.outcome) for outcome in outcomes] == [(t.ref, "cancelled") for t in listed[:3]]
    assert client.get(listed[0]).state == "cancelled"
    assert client.cancel("no-such-task")[0].outcome == "unknown"
    assert client.retry(listed[:1])[0].outcome == "retried"
    assert client.get(listed[0]).state == "pending"
    assert client.purge(queue, "pending") == 23


def test_queues_are_paused_configured_and_purged(client: Any, name: str) -> None:
    queue = f"held-{name}"
    client.submit("noop", queue=queue)
    assert client.pause(queue).paused
    assert not client.resume(queue).paused
    changed = client.configure(queue, concurrency=3, retention="2h", dead_retention=7200)
    assert (changed.concurrency, changed.retention_ms, changed.dead_retention_ms) == (3, 7_200_000, 7_200_000)
    # The list may be a second old.
    eventually(lambda: queue in [each.queue for each in client.queues(page_size=2)])
    assert not changed.extra, "a field of the server that this client does not know"
    assert client.purge(queue, "pending") == 1


def test_a_dead_letter_is_told_in_groups_and_retried(client: Any, name: str) -> None:
    client.wait(client.submit("command", {"argv": ["false"]}, queue="urgent", max_attempts=1), timeout=LONG)
    failures = client.failures("urgent")
    group = next(group for group in failures.items if group.error_class == "exit_code")
    assert (group.type, group.count >= 1) == ("command", True)
    assert client.get(group.sample).state == "failed"
    assert client.retry_all(queue="urgent", error_class="exit_code") >= 1
    eventually(lambda: client.get(group.sample).finished)


def test_nodes_are_told_and_steered(client: Any) -> None:
    node = eventually(lambda: next(iter(client.nodes(state="active", label="zone=a")), None))
    assert (node.slots, node.labels, sorted(node.queues)) == (8, {"zone": "a"}, ["default", "urgent"])
    assert not node.extra, "a field of the server that this client does not know"
    assert client.quiet_node(node.id).told == "quiet"
    eventually(lambda: client.node(node.id).state == "quiet")
    assert client.resume_node(node.id).told == "resume"
    eventually(lambda: client.node(node.id).state == "active")
    assert client.run("noop", 1, wait_timeout=LONG) == 1


def test_files_of_a_result(client: Any) -> None:
    payload = {"argv": ["sh", "-c", "mkdir out; printf é > out/a.txt"], "collect": ["out/*"]}
    task = client.wait(client.submit("command", payload), timeout=LONG)
    assert client.file(task, "out/a.txt") == "é"
    with pytest.raises(errors.NotFoundError):
        client.file(task, "out/none.txt")


def test_money_models_and_people(client: Any, name: str) -> None:
    assert client.run("llm", {"prompt": "Hello"}, wait_timeout=LONG)["text"]
    scope = f"tenant:{name}"
    assert client.set_budget(scope, 5.5, window="day", on_limit="refuse").left_usd == 5.5
    budget = next(each for each in client.budgets() if each.scope == scope)
    assert (budget.limit_usd, budget.window, budget.on_limit) == (5.5, "day", "refuse")
    client.delete_budget(scope)
    assert scope not in [each.scope for each in client.budgets()]
    models = list(client.models())
    assert all(model.id for model in models)
    selection = client.select_model(mode="fastest", quality=0.1)
    assert selection.best is None or selection.best.model
    assert client.metrics(days=1).totals.calls >= 1
    assert list(client.reviews()) == []
    with pytest.raises(errors.NotFoundError):
        client.approve("no-such-task")


def test_the_server_tells_of_itself(client: Any) -> None:
    assert re.match(r"\d+\.\d+\.\d+", client.version().version)
    assert client.version().protocol >= 1
    overview = client.overview()
    assert overview.nodes["active"] == 1
    assert not overview.extra
    assert all(check.status for check in client.doctor())
    scale = client.autoscale(["default", "no-such-queue"], slots=8)
    assert (scale.desired_nodes, scale.live_nodes) == (-(-scale.backlog // 8), 1)
    assert [action.action for action in client.actions()]


def test_tokens_say_who_may(connect: Callable[..., Any], fleet: Fleet, tmp_path: Path, name: str) -> None:
    made = subprocess.run(
        [fleet.windlass(), "tokens", "generate", name, "--roles", "submit"],
        env=fleet.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    said = made.stdout + "\n" + made.stderr
    token = re.search(r"wlt_[A-Za-z0-9_-]{43}", said)
    table = re.search(r"\[tokens\.[^\]]+\]\s*\n\s*hash = .*\n\s*roles = .*", said)
    assert token, said
    assert table, said
    config = tmp_path / "serve.toml"
    config.write_text(table.group() + "\n")
    url = f"http://127.0.0.1:{free_port()}"
    command = [fleet.windlass(), "serve", "--config", str(config), "--listen", url.removeprefix("http://")]
    serve = Process(command, tmp_path / "serve.log", fleet.environment(), tmp_path)
    serve.start()
    try:
        until(lambda: answers(f"{url}/readyz"), serve)
        with pytest.raises(errors.UnauthorizedError):
            connect(url).submit("noop")
        with pytest.raises(errors.UnauthorizedError):
            connect(url, token="wlt_" + "x" * 43).submit("noop")
        client = connect(url, token=token.group())
        assert client.submit("noop").ref
        assert client.submit_many([{"type": "noop"}]).accepted == 1
        with pytest.raises(errors.ForbiddenError):
            next(client.queues())
    finally:
        serve.stop()
