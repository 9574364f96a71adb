"""What the server tells of: tasks, batches, queues, nodes, events, money, models and reviews.

All are frozen. What a newer server says besides is in `.extra`; what an older one leaves out has its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from ._record import Record, moment, part, record, records
from .errors import TaskFailedError

Json: TypeAlias = Any
"""Any JSON value. What is in it is between you and the task's type."""

Priority: TypeAlias = Literal["critical", "high", "normal", "low"]
State: TypeAlias = Literal[
    "blocked", "scheduled", "pending", "running", "parked", "completed", "failed", "cancelled", "expired"
]
FINAL_STATES = frozenset({"completed", "failed", "cancelled", "expired"})
"""States that a task leaves only if a person retries it."""


Duration: TypeAlias = str | float | timedelta
"""A text such as `30s`, `5m` or `1h30m`; or seconds; or a timedelta."""


class HasRef(Protocol):
    """Whatever names a task: a `Task`, a `Submitted`, an `Outcome`, a `Review`."""

    @property
    def ref(self) -> str: ...


RefLike: TypeAlias = str | HasRef
"""A task's reference, `QUEUE/ID`, or what has one. An id alone means the queue `default`."""


class RetryRule(TypedDict, total=False):
    """How a task is tried again."""

    base: Duration
    cap: Duration
    classes: list[str]


class Options(TypedDict, total=False):
    """What can be said of a task besides its type and payload. All are optional; docs/tasks.md has their defaults."""

    queue: str
    """Where it goes."""
    priority: Priority
    tenant: str
    """Whose work it is; tenants share a queue fairly."""
    weight: int
    """The tenant's share, 1 to 10."""
    id: str
    """The task's id within its queue. Submitted again, it is the same task."""
    key: str
    """Any text, from which the id is derived."""
    delay: Duration
    """It starts not before this long from now."""
    run_at: str | datetime
    """It starts not before this moment."""
    expires: Duration | datetime
    """After this long, or this moment, no attempt is started."""
    timeout: Duration
    """The longest an attempt may take."""
    max_attempts: int
    retry: RetryRule
    concurrency_key: str
    """Tasks with the same one share a limit."""
    metadata: Mapping[str, Json]
    """Your own JSON object, shown with the task and handed to the executor."""
    batch: str
    """Submitted and reported together."""


class _Typed(TypedDict):
    type: str


class Submission(_Typed, Options, total=False):
    """One task as `submit_many` takes it; only `type` is needed. A plain dict will do."""

    payload: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(Record):
    """A task that was taken."""

    ref: str = ""
    id: str = ""
    queue: str = ""
    state: str = ""
    duplicate: bool = False
    """It was there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError(Record):
    """Why the last attempt of a task failed."""

    error_class: str = part("", name="class")
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Record):
    """A task, whole."""

    ref: str = ""
    id: str = ""
    type: str = ""
    queue: str = ""
    state: str = ""
    reason: str = ""
    attempt: int = 0
    retries: int = 0
    crashes: int = 0
    interruptions: int = 0
    waits: int = 0
    priority: str = "normal"
    tenant: str | None = None
    batch: str | None = None
    concurrency_key: str | None = None
    node: str | None = None
    progress: Json = part(None, json=True)
    result: Json = part(None, json=True)
    ledger: Json = part(None, json=True)
    error: TaskError | None = part(None, convert=record(TaskError))
    review: Json = part(None, json=True)
    metadata: Json = part(None, json=True)
    payload: Json = part(None, json=True)
    created_at: datetime | None = part(None, convert=moment)
    started_at: datetime | None = part(None, convert=moment)
    finished_at: datetime | None = part(None, convert=moment)
    due_at: datetime | None = part(None, convert=moment)
    expires_at: datetime | None = part(None, convert=moment)
    cursor: str | None = part(None)
    """Where `results` goes on after this task. Not every task of a stream has one."""

    @property
    def finished(self) -> bool:
        """Nothing more will happen to it, unless a person retries it."""
        return self.state in FINAL_STATES

    @property
    def completed(self) -> bool:
        """It did what it should, and `result` is there."""
        return self.state == "completed"

    def value(self) -> Json:
        """The result; raises `TaskFailedError` if the task ended in another way."""
        if self.completed:
            return self.result
        raise TaskFailedError(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Record):
    """What became of an action on one task."""

    ref: str = ""
    state: str | None = None
    outcome: str = ""
    """`cancelled`, `cancelling`, `retried`, `changed`, `refused`, `unknown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition(Record):
    """A task went from one state to another."""

    at: datetime | None = part(None, convert=moment)
    queue: str = ""
    id: str = ""
    attempt: int | None = None
    from_state: str | None = part(None, name="from")
    """None for a new task."""
    to_state: str | None = part(None, name="to")
    """None for a deleted task."""
    reason: str = ""
    by: str = ""
    cursor: str | None = None
    """Where `events` goes on after this one. Not every transition of a stream has one."""

    @property
    def ref(self) -> str:
        return f"{self.queue}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Record):
    """How far a batch is."""

    batch: str = ""
    queues: Sequence[str] = part(tuple, convert=tuple)
    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    expired: int = 0
    finished: int = 0
    over: bool = False
    cost_usd: float = 0.0
    """What calls to models cost so far."""
    calls: int = 0
    """How many there were."""
    listed_at: datetime | None = part(None, convert=moment)
    """When a queue joined it last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue(Record):
    """What a queue holds, and its settings."""

    queue: str = ""
    partitions: int = 1
    paused: bool = False
    pending: Mapping[str, int] = part(dict)
    """By priority."""
    scheduled: int = 0
    running: int = 0
    parked: int = 0
    blocked: int = 0
    failed: int = 0
    oldest_pending_ms: int | None = None
    totals: Mapping[str, int] = part(dict)
    max_length: int | None = None
    concurrency: int | None = None
    key_concurrency: int = 1
    retention_ms: int = 0
    dead_retention_ms: int = 0
    events: int = 0

    @property
    def pending_count(self) -> int:
        """Tasks that wait for a slot."""
        return sum(self.pending.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup(Record):
    """Tasks of a dead letter that failed alike."""

    error_class: str = part("", name="class")
    type: str = ""
    count: int = 0
    sample: str = ""
    """The reference of one of them."""
    message: str = ""
    last_finished_at: datetime | None = part(None, convert=moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures(Record):
    """The dead letter of a queue in groups."""

    items: Sequence[FailureGroup] = part(tuple, convert=records(FailureGroup))
    counted: int = 0
    """How many were looked at."""
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask(Record):
    """What a node runs."""

    id: str = ""
    ref: str = ""
    type: str = ""
    attempt: int = 0
    elapsed_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """A worker process."""

    id: str = ""
    state: str = ""
    """`starting`, `active`, `quiet`, `draining` or `lost`."""
    host: str = ""
    pid: int = 0
    version: str = ""
    started_at: datetime | None = part(None, convert=moment)
    last_beat_ms: int = 0
    queues: Mapping[str, int] = part(dict)
    """With their weights."""
    types: Sequence[str] = part(tuple, convert=tuple)
    slots: int = 0
    running_count: int = 0
    running: Sequence[RunningTask] = part(tuple, convert=records(RunningTask))
    stale_commits: int = 0
    labels: Mapping[str, str] = part(dict)
    sandbox: Json = part(None, json=True)
    keys: Sequence[str] = part(tuple, convert=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Record):
    """A command that a node was told."""

    node: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Record):
    """An entry of the operators' log."""

    id: str = ""
    at: datetime | None = part(None, convert=moment)
    by: str = ""
    action: str = ""
    on: Sequence[str] = part(tuple, convert=tuple)
    count: int = 0
    with_: Mapping[str, str] = part(dict, name="with")
    exit: int | None = None
    ended_at: datetime | None = part(None, convert=moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Record):
    """What may be spent in a window, and what was. Dollars."""

    scope: str = ""
    window: str = ""
    since: datetime | None = part(None, convert=moment)
    until: datetime | None = part(None, convert=moment)
    limit_usd: float = 0.0
    spent_usd: float = 0.0
    reserved_usd: float = 0.0
    left_usd: float = 0.0
    calls: int = 0
    open_calls: int = 0
    on_limit: str | None = None
    set_in: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Record):
    """A model of the catalog; its prices and abilities are in `extra`."""

    id: str = ""
    provider: str = ""
    name: str = ""
    context: int = 0
    quality: float | None = None
    state: str = ""
    """`usable`, `breaker_open`, `cooling` or `unavailable`."""
    why: str | None = None
    live: Json = part(None, json=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedModel(Record):
    """A model that may do the task."""

    model: str = ""
    name: str = ""
    score: float = 0.0
    parts: Sequence[Mapping[str, Json]] = part(tuple, convert=tuple, json=True)
    """What the score is made of."""
    estimated_cost_usd: float | None = None
    expected_latency: Json = part(None, json=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutModel(Record):
    """A model that may not, and everything that it lacks."""

    model: str = ""
    lacks: Sequence[Json] = part(tuple, convert=tuple, json=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Record):
    """Which models would be asked, in which order, and why."""

    requirements: Mapping[str, Json] = part(dict)
    mode: str = ""
    ranked: Sequence[RankedModel] = part(tuple, convert=records(RankedModel))
    left_out: Sequence[LeftOutModel] = part(tuple, convert=records(LeftOutModel))
    notes: Sequence[str] = part(tuple, convert=tuple)

    @property
    def best(self) -> RankedModel | None:
        """The first choice; none if no model may do it."""
        return self.ranked[0] if self.ranked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Record):
    """Calls to models, added up."""

    name: str | None = None
    calls: int = 0
    errors: int = 0
    errors_by_class: Mapping[str, int] = part(dict)
    error_rate: float | None = None
    cache_hits: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    calls_of_unknown_cost: int = 0
    mean_duration_ms: float | None = None
    mean_first_token_ms: float | None = None
    validated: int = 0
    passed: int = 0
    mean_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Record):
    """Totals of calls to models, and of queues."""

    since: datetime | None = part(None, convert=moment)
    days: int = 0
    totals: Figures = part(Figures, convert=record(Figures))
    models: Sequence[Figures] = part(tuple, convert=records(Figures))
    types: Sequence[Figures] = part(tuple, convert=records(Figures))
    tenants: Sequence[Figures] = part(tuple, convert=records(Figures))
    queues: Mapping[str, Mapping[str, int]] = part(dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(Record):
    """A task whose draft waits for a person."""

    ref: str = ""
    id: str = ""
    queue: str = ""
    type: str = ""
    priority: str = "normal"
    tenant: str | None = None
    batch: str | None = None
    created_at: datetime | None = part(None, convert=moment)
    started_at: datetime | None = part(None, convert=moment)
    error_class: str | None = part(None, name="class")
    why: str | None = None
    model: str | None = None
    score: float | None = None
    threshold: float | None = None
    files: Sequence[str] = part(tuple, convert=tuple)
    cost_usd: float | None = None
    payload: Json = part(None, json=True)
    """Told by `review`, not by `reviews`; so is `draft`."""
    draft: Json = part(None, json=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Record):
    """The server's version, and the protocol that it speaks with Redis."""

    version: str = ""
    protocol: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Record):
    """The fleet at a glance."""

    at: datetime | None = part(None, convert=moment)
    pending: Mapping[str, int] = part(dict)
    """Tasks that wait for a slot, by priority."""
    scheduled: int = 0
    running: int = 0
    parked: int = 0
    blocked: int = 0
    failed: int = 0
    """In dead letters."""
    oldest_pending_ms: int | None = None
    totals: Mapping[str, int] = part(dict)
    """Of all queues, since each was first used."""
    nodes: Mapping[str, int] = part(dict)
    """By state."""
    slots: int = 0
    slots_used: int = 0
    unserved: Sequence[str] = part(tuple, convert=tuple)
    """Queues with tasks that wait, not paused, that no live node serves."""
    paused: Sequence[str] = part(tuple, convert=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Record):
    """A finding of `windlass doctor`."""

    check: str = ""
    status: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale(Record):
    """What an autoscaler decides by."""

    backlog: int = 0
    ready: int = 0
    due: int = 0
    leased: int = 0
    oldest_pending_ms: int | None = None
    live_nodes: int = 0
    slots: int = 0
    slots_used: int = 0
    desired_nodes: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A line of a bulk submission that was refused."""

    line: int
    """Its number, from 1 (or from `first_line`)."""
    error_class: str
    message: str
    item: Mapping[str, Json] = field(hash=False)
    """What was submitted."""


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of a bulk submission."""

    batch: str | None = None
    lines: int = 0
    """How many were sent."""
    accepted: int = 0
    duplicates: int = 0
    """Lines that were there already: of an earlier run, or of a request whose answer was lost."""
    rejected: int = 0
    rejects: Sequence[Reject] = ()
    """The refused lines, with `on_reject="collect"`, when all is done."""
    next_line: int = 1
    """The `first_line` with which a further submission to the same batch goes on."""
