"""Requests and replies as plain data, and what is made of both. Nothing here does any input or output."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias
from urllib.parse import quote

from .errors import ApiError, WindlassError, api_error
from .models import RefLike

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"

# NaN and infinity are no JSON.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

Query: TypeAlias = Mapping[str, "str | int | bool | None | Iterable[str]"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the server."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    holds: float = 0.0
    """For how many seconds the server is asked to hold the answer back."""
    repeatable: bool = True
    """Doing it twice is doing it once."""

    def asking(self, **query: str | int | bool | None) -> Request:
        """The same with more in its query."""
        kept = tuple((name, value) for name, value in self.query if name not in query)
        return replace(self, query=kept + pairs(query))

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """The same with more headers."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> Any:
        """The body, which must be JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            kind = self.headers.get("content-type", "nothing known")
            raise WindlassError(
                f"the answer (HTTP {self.status}) is not JSON but {kind}: does the URL name a `windlass serve`?"
            ) from error


def get(path: str, **query: str | int | bool | None | Iterable[str]) -> Request:
    """A request that looks."""
    return Request("GET", path, pairs(query))


def look(path: str, body: Any, **query: str | int | bool | None) -> Request:
    """A POST that only looks, so that it needs no key."""
    return _with_json("POST", path, body, query)


def act(path: str, body: Any = None, **query: str | int | bool | None) -> Request:
    """A POST that changes something; its key makes sending it twice one action."""
    request = _with_json("POST", path, body, query)
    return request.with_headers({"idempotency-key": new_key()})


def put(method: str, path: str, body: Any = None) -> Request:
    """A PUT, PATCH (of absolute values) or DELETE. The key makes the second answer the same, too."""
    return _with_json(method, path, body, {}).with_headers({"idempotency-key": new_key()})


def new_key() -> str:
    """An Idempotency-Key that nobody else has."""
    return str(uuid.uuid4())


def _with_json(method: str, path: str, body: Any, query: Query) -> Request:
    if body is None:
        return Request(method, path, pairs(query))
    headers = {"content-type": "application/json"}
    return Request(method, path, pairs(query), encode(body), headers)


def encode(body: Any) -> bytes:
    """JSON on one line."""
    return _ENCODER.encode(body).encode()


def pairs(query: Query) -> tuple[tuple[str, str], ...]:
    """A query without what is none."""
    told: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None or value is False:
            continue
        if value is True:
            told.append((name, "true"))
        elif isinstance(value, (str, int)):
            told.append((name, str(value)))
        else:
            told += [(name, each) for each in value]
    return tuple(told)


def segment(text: str) -> str:
    """A name as one segment of a path."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be part of a URL's path")
    return quote(text, safe="")


def ref_of(task: RefLike) -> str:
    """The reference of a task; an id alone means the queue `default`."""
    ref = task if isinstance(task, str) else task.ref
    return ref if "/" in ref else f"default/{ref}"


def refs_of(tasks: RefLike | Iterable[RefLike]) -> list[str]:
    """The references of one task or of many."""
    if isinstance(tasks, str) or not isinstance(tasks, Iterable):
        return [ref_of(tasks)]
    return [ref_of(task) for task in tasks]


def task_path(task: RefLike, *rest: str) -> str:
    """Where a task is."""
    queue, _, id_ = ref_of(task).partition("/")
    return "/".join(["/v1/tasks", segment(queue), segment(id_), *rest])


def duration(value: object) -> object:
    """A duration as the server reads it. What is neither a number nor a timedelta is left as it is."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{round(value * 1000)}ms"
    return value


def moment_or(value: object) -> object:
    """A moment as the server reads it; else a duration."""
    if not isinstance(value, datetime):
        return duration(value)
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: use datetime.now(timezone.utc) or the like")
    return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


_CONVERTED = {"delay": duration, "timeout": duration, "expires": moment_or, "run_at": moment_or}


def submission(item: Mapping[str, object]) -> dict[str, object]:
    """A task as the server reads it: durations and moments become text, and what is None is left out."""
    told: dict[str, object] = {}
    for name, value in item.items():
        if name == "payload" or value is not None:
            told[name] = _CONVERTED[name](value) if name in _CONVERTED else value
    if isinstance(told.get("retry"), dict):
        rule: dict[str, object] = dict(told["retry"])  # type: ignore[call-overload]
        told["retry"] = rule | {name: duration(rule[name]) for name in ("base", "cap") if name in rule}
    return told


def failure(reply: Reply) -> ApiError:
    """The error that a reply of status 400 or more tells of."""
    problem: Any = None
    if "json" in reply.headers.get("content-type", ""):
        try:
            problem = json.loads(reply.body)
        except ValueError:
            problem = None
    if not isinstance(problem, dict):
        text = reply.body[:200].decode("utf-8", "replace").strip()
        problem = {"detail": text} if text and "<" not in text else None
    return api_error(
        reply.status,
        problem,
        request_id=reply.headers.get("x-request-id"),
        retry_after=retry_after(reply.headers.get("retry-after")),
    )


def problem_failure(problem: Any) -> ApiError:
    """The error that a problem within a stream tells of."""
    problem = problem if isinstance(problem, dict) else {"detail": str(problem)}
    status = problem.get("status")
    return api_error(
        status if isinstance(status, int) else 500,
        problem,
        retry_after=retry_after(problem.get("retry_after")),
    )


def retry_after(value: object) -> float | None:
    """Seconds, from a number of them or a date."""
    if isinstance(value, (int, float)):
        return max(0.0, float(value))
    if not isinstance(value, str):
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(until.tzinfo or timezone.utc)).total_seconds())
