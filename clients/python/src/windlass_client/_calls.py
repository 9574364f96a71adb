"""The API's calls: what is sent, and what comes of it. Each is used by both clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from . import models as m
from ._core import Call, Pages
from ._record import Record, parse
from ._wire import Reply, Request, act, get, look, put, refs_of, segment, submission, task_path

R = TypeVar("R", bound=Record)

MOST_REFS = 1000
"""How many tasks a request may name."""


def one(kind: type[R]) -> Callable[[Reply], R]:
    return lambda reply: parse(kind, reply.json())


def each(kind: type[R]) -> Callable[[Any], R]:
    return lambda item: parse(kind, item)


def listed(kind: type[R]) -> Callable[[Reply], list[R]]:
    return lambda reply: [parse(kind, item) for item in reply.json()["items"]]


def nothing(reply: Reply) -> None:
    return None


# Tasks


def submit(type_: str, payload: m.Json, options: m.Options) -> Call[m.Submitted]:
    body = submission({"type": type_, "payload": payload, **_known(options)})
    return Call(act("/v1/tasks", body), one(m.Submitted))


def _known(options: Mapping[str, object]) -> Mapping[str, object]:
    unknown = [name for name in options if name not in m.Options.__annotations__]
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r}: use one of {', '.join(m.Options.__annotations__)}")
    return options


def task(ref: m.RefLike, wait: float = 0.0) -> Call[m.Task]:
    return Call(held(get(task_path(ref)), wait), one(m.Task))


def held(request: Request, wait: float) -> Request:
    """A request whose answer the server holds back for so many seconds at most."""
    if wait <= 0:
        return request
    ms = max(1, round(wait * 1000))
    return replace(request.asking(wait=f"{ms}ms"), holds=wait)


def status(refs: list[str], wait: float = 0.0) -> Call[list[m.Task | None]]:
    path = "/v1/tasks/wait" if wait > 0 else "/v1/tasks/status"

    def take(reply: Reply) -> list[m.Task | None]:
        return [None if item is None else parse(m.Task, item) for item in reply.json()["items"]]

    return Call(held(look(path, {"tasks": refs}), wait), take)


def tasks(
    queue: str | None,
    state: str | None,
    type_: str | None,
    tenant: str | None,
    batch: str | None,
    q: str | None,
    page_size: int | None,
) -> Pages[m.Task]:
    query = {"queue": queue, "state": state, "type": type_, "tenant": tenant, "batch": batch, "q": q}
    return Pages(get("/v1/tasks", **query, limit=page_size), each(m.Task))


def history(ref: m.RefLike) -> Call[list[m.Transition]]:
    return Call(get(task_path(ref, "events")), listed(m.Transition))


def file(ref: m.RefLike, path: str) -> Call[str]:
    # One segment: its slashes are %2F.
    request = get(task_path(ref, "files", segment(path))).with_headers(
        {"accept": "text/plain, application/problem+json"}
    )
    return Call(request, lambda reply: reply.body.decode("utf-8"))


def on_tasks(verb: str, refs: list[str], **more: m.Json) -> Call[list[m.Outcome]]:
    return Call(act(f"/v1/tasks/{verb}", {"tasks": refs, **more}), listed(m.Outcome))


def chunks(tasks: m.RefLike | Iterable[m.RefLike]) -> Iterable[list[str]]:
    """References in lists that a request may hold."""
    refs = refs_of(tasks)
    return (refs[start : start + MOST_REFS] for start in range(0, len(refs), MOST_REFS))


def retry_all(batch: str | None, queue: str | None, error_class: str | None) -> Call[int]:
    if (batch is None) == (queue is None):
        raise ValueError("give either batch or queue")
    if batch is not None and error_class is not None:
        raise ValueError("error_class goes with queue")
    body = {"batch": batch, "queue": queue, "class": error_class}
    told = {name: value for name, value in body.items() if value is not None}
    return Call(act("/v1/tasks/retry", told), lambda reply: int(reply.json()["retried"]))


# Batches


def batches(page_size: int | None) -> Pages[m.Batch]:
    return Pages(get("/v1/batches", limit=page_size), each(m.Batch))


def batch(name: str, wait: float = 0.0) -> Call[m.Batch]:
    return Call(held(get(f"/v1/batches/{segment(name)}"), wait), one(m.Batch))


# Queues


def queues(page_size: int | None) -> Pages[m.Queue]:
    return Pages(get("/v1/queues", limit=page_size), each(m.Queue))


def queue(name: str) -> Call[m.Queue]:
    return Call(get(f"/v1/queues/{segment(name)}"), one(m.Queue))


def on_queue(name: str, verb: str) -> Call[m.Queue]:
    return Call(act(f"/v1/queues/{segment(name)}/{verb}"), one(m.Queue))


def purge(name: str, state: str) -> Call[int]:
    request = act(f"/v1/queues/{segment(name)}/purge", {"state": state})
    return Call(request, lambda reply: int(reply.json()["purged"]))


def configure(name: str, settings: Mapping[str, object]) -> Call[m.Queue]:
    told = {name: value for name, value in settings.items() if value is not None}
    if not told:
        raise ValueError("name at least one setting")
    return Call(put("PATCH", f"/v1/queues/{segment(name)}", told), one(m.Queue))


def failures(name: str) -> Call[m.Failures]:
    return Call(get(f"/v1/queues/{segment(name)}/failures"), one(m.Failures))


# Nodes


def nodes(state: str | None, label: str | None, q: str | None, page_size: int | None) -> Pages[m.Node]:
    return Pages(get("/v1/nodes", state=state, label=label, q=q, limit=page_size), each(m.Node))


def node(id_: str) -> Call[m.Node]:
    return Call(get(f"/v1/nodes/{segment(id_)}"), one(m.Node))


def tell_node(id_: str, command: str) -> Call[m.Told]:
    return Call(act(f"/v1/nodes/{segment(id_)}/{command}"), one(m.Told))


# Events


def transitions(queue: str | None, type_: str | None, cursor: str | None) -> Pages[m.Transition]:
    return Pages(get("/v1/events", queue=queue, type=type_, cursor=cursor), each(m.Transition))


def actions(limit: int | None) -> Pages[m.Action]:
    return Pages(get("/v1/actions", limit=limit), each(m.Action))


# Money, models, people


def budgets(past: bool) -> Pages[m.Budget]:
    return Pages(get("/v1/budgets", past=past), each(m.Budget))


def set_budget(scope: str, limit_usd: float, window: str, on_limit: str) -> Call[m.Budget]:
    body = {"limit_usd": limit_usd, "window": window, "on_limit": on_limit}
    return Call(put("PUT", f"/v1/budgets/{segment(scope)}", body), one(m.Budget))


def delete_budget(scope: str) -> Call[None]:
    return Call(put("DELETE", f"/v1/budgets/{segment(scope)}"), nothing)


def models(provider: str | None, retired: bool) -> Pages[m.Model]:
    return Pages(get("/v1/models", provider=provider, all=retired), each(m.Model))


def select_model(mode: str | None, requirements: Mapping[str, object]) -> Call[m.Selection]:
    told = {name: value for name, value in requirements.items() if value is not None}
    body = {"requirements": told} | ({} if mode is None else {"mode": mode})
    return Call(look("/v1/models/select", body), one(m.Selection))


def reset_models(names: list[str]) -> Call[dict[str, bool]]:
    def take(reply: Reply) -> dict[str, bool]:
        return {item["name"]: item["reset"] for item in reply.json()["items"]}

    return Call(act("/v1/models/reset", {"names": names}), take)


def metrics(days: int) -> Call[m.Metrics]:
    return Call(get("/v1/metrics", days=days), one(m.Metrics))


def reviews(queue: str | None, limit: int | None) -> Pages[m.Review]:
    return Pages(get("/v1/reviews", queue=queue, limit=limit), each(m.Review))


def _review_path(ref: m.RefLike) -> str:
    return task_path(ref).replace("/v1/tasks/", "/v1/reviews/", 1)


def review(ref: m.RefLike) -> Call[m.Review]:
    return Call(get(_review_path(ref)), one(m.Review))


def decide(ref: m.RefLike, decision: str, note: str | None, **result: m.Json) -> Call[m.Outcome]:
    body = {"decision": decision, **result}
    if note is not None:
        body["note"] = note
    return Call(act(_review_path(ref), body), one(m.Outcome))


# The server


def version() -> Call[m.Version]:
    return Call(get("/v1/version"), one(m.Version))


def overview() -> Call[m.Overview]:
    return Call(get("/v1/overview"), one(m.Overview))


def doctor() -> Call[list[m.Check]]:
    return Call(get("/v1/doctor"), listed(m.Check))


def autoscale(queues: Iterable[str], slots: int | None) -> Call[m.Autoscale]:
    return Call(get("/v1/autoscale", queue=list(queues), slots=slots), one(m.Autoscale))
