"""The asyncio client. Made by `tools/generate.py` of `_client.py`; do not edit."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, overload

import httpx

from . import _bulk, _calls, _follow, _tasks
from . import models as m
from ._core import Core, Headers, Token
from ._retry import Retry
from ._async import Driver, Source
from ._wire import duration, refs_of

if TYPE_CHECKING:
    # Comes with every type checker; nothing needs it at run time.
    from typing_extensions import Unpack


class AsyncClient(Driver):
    """Talks to a `windlass serve`. Use it in an `async with`, or `aclose` it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token | None = None,
        token_file: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        headers: Headers | None = None,
        traceparent: str | None = None,
        verify: ssl.SSLContext | bool = True,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """
        url: else `WINDLASS_URL`, else `http://127.0.0.1:8642`.
        token: a text, or a function that gives it; else `token_file` (read again when it changes), `WINDLASS_TOKEN`,
            `WINDLASS_TOKEN_FILE`.
        timeout: seconds that one try of a call may take.
        retry: how failed calls are tried again; `Retry(deadline=0)` tries once.
        headers: more headers, or a function that is asked for them at each request (for OpenTelemetry's `inject`).
        traceparent: the W3C trace that submitted tasks belong to; else `TRACEPARENT`; an empty text for none.
        verify: a context that knows your certificate authority; `SSL_CERT_FILE` works, too.
        http: an httpx client of your own, for proxies and client certificates; it is not closed.
        """
        core = Core(
            url,
            token=token,
            token_file=token_file,
            headers=headers,
            traceparent=traceparent,
            timeout=timeout,
            retry=retry,
        )
        super().__init__(core, http, verify)

    # Submitting

    async def submit(self, type: str, payload: m.Json = None, **options: Unpack[m.Options]) -> m.Submitted:
        """Submits one task. A lost answer is no second task, and with an `id` or `key`, neither is a second call."""
        return await self._run(self._core.call(_calls.submit(type, payload, options)))

    async def submit_many(
        self,
        tasks: Source[Mapping[str, object]],
        *,
        batch: str | None = None,
        queue: str | None = None,
        priority: m.Priority | None = None,
        chunk: int = 1000,
        on_full: _bulk.OnFull = "wait",
        on_reject: _bulk.OnReject = "raise",
        on_accept: Callable[[int, m.Submitted], object] | None = None,
        on_progress: Callable[[m.BulkReport], object] | None = None,
        first_line: int = 1,
    ) -> m.BulkReport:
        """Submits tasks from an iterator, be it async or not, `chunk` of them at a time, in flat memory.

        With a `batch`, ids are derived from it and the number of the line, so that what was interrupted is simply run
        again with the same tasks. `queue` and `priority` are for tasks that do not say otherwise.

        on_full: wait while a queue is full, or reject what finds no room.
        on_reject: raise `BulkRejectedError` at the end of the chunk, collect into the report, or call this with each.
        on_accept: is called with the line and each task that was taken.
        on_progress: is called after each chunk.
        first_line: the number of the first task, to go on with a batch (`BulkReport.next_line`).
        """
        bulk = _bulk.Bulk(
            batch=batch,
            queue=queue,
            priority=priority,
            chunk=chunk,
            on_full=on_full,
            on_reject=on_reject,
            on_accept=on_accept,
            on_progress=on_progress,
            first_line=first_line,
        )
        return await self._run(_bulk.submit_many(self._core, bulk), tasks)

    async def run(
        self, type: str, payload: m.Json = None, *, wait_timeout: float | None = None, **options: Unpack[m.Options]
    ) -> m.Json:
        """Submits a task, waits for it, and gives its result; raises `TaskFailedError` if it does not complete."""
        return await self._run(_tasks.run(self._core, type, payload, wait_timeout, options))

    def map(
        self,
        type: str,
        payloads: Source[m.Json],
        *,
        ahead: int = 1000,
        wait_timeout: float | None = None,
        return_exceptions: bool = False,
        **options: Unpack[m.Options],
    ) -> AsyncGenerator[m.Json, None]:
        """The results of tasks with these payloads, in their order, as they come.

        No more than `ahead` tasks are submitted whose results were not taken yet, so that payloads may be without end.
        With a `batch`, a program that is run again finds the results of what was done before.

        wait_timeout: the longest that the next result may take.
        return_exceptions: give the error in the place of a result, rather than raise it.
        """
        mapped = _tasks.map_payloads(self._core, type, options, ahead, wait_timeout, return_exceptions)
        return self._iterate(mapped, payloads)

    # Looking and waiting

    async def get(self, task: m.RefLike) -> m.Task:
        """One task, whole."""
        return await self._run(self._core.call(_calls.task(task)))

    async def get_many(self, tasks: Iterable[m.RefLike]) -> list[m.Task | None]:
        """Tasks in this order; None for what is not there."""
        return await self._run(_tasks.get_many(self._core, tasks))

    @overload
    async def wait(self, tasks: str | m.HasRef, timeout: float | None = None) -> m.Task: ...  # type: ignore[overload-overlap]

    @overload
    async def wait(self, tasks: Iterable[m.RefLike], timeout: float | None = None) -> list[m.Task]: ...

    async def wait(self, tasks: m.RefLike | Iterable[m.RefLike], timeout: float | None = None) -> m.Task | list[m.Task]:
        """Waits until a task, or each of many, is finished; raises `WaitTimeoutError` when the time is over.

        A task that failed is finished, too: `Task.value()` gives the result or raises.
        """
        if isinstance(tasks, str) or not isinstance(tasks, Iterable):
            return await self._run(_tasks.wait_one(self._core, tasks, timeout))
        return await self._run(_tasks.wait_all(self._core, refs_of(tasks), timeout))

    async def wait_batch(self, batch: str, timeout: float | None = None) -> m.Batch:
        """Waits until all tasks of a batch are finished."""
        return await self._run(_tasks.wait_batch(self._core, batch, timeout))

    def results(
        self,
        *,
        batch: str | None = None,
        queue: str | None = None,
        state: m.State | None = None,
        follow: bool = False,
        cursor: str | None = None,
    ) -> AsyncGenerator[m.Task, None]:
        """Finished tasks of a batch or a queue, in order of finishing, streamed, through broken connections.

        follow: go on until the batch is over; for a queue, for ever.
        cursor: go on after the task with this `cursor`.
        """
        return self._iterate(_follow.results(self._core, batch, queue, state, follow, cursor))

    def tasks(
        self,
        *,
        queue: str | None = None,
        state: m.State | None = None,
        type: str | None = None,
        tenant: str | None = None,
        batch: str | None = None,
        q: str | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[m.Task, None]:
        """Tasks that match, those that are not finished unless a state is given; `q` is part of an id."""
        return self._iterate(self._core.pages(_calls.tasks(queue, state, type, tenant, batch, q, page_size)))

    async def history(self, task: m.RefLike) -> list[m.Transition]:
        """What the event log still knows of a task."""
        return await self._run(self._core.call(_calls.history(task)))

    async def file(self, task: m.RefLike, path: str) -> str:
        """One file of a task's result."""
        return await self._run(self._core.call(_calls.file(task, path)))

    # Acting on tasks

    async def cancel(self, tasks: m.RefLike | Iterable[m.RefLike]) -> list[m.Outcome]:
        """Cancels tasks. One that runs is `cancelling` until its node has stopped it."""
        return await self._run(_tasks.act(self._core, "cancel", tasks))

    async def retry(self, tasks: m.RefLike | Iterable[m.RefLike]) -> list[m.Outcome]:
        """Puts failed, cancelled or expired tasks back into their queues."""
        return await self._run(_tasks.act(self._core, "retry", tasks))

    async def retry_all(self, *, batch: str | None = None, queue: str | None = None, error_class: str | None = None) -> int:
        """Retries what failed of a batch, or a queue's dead letter, or those of it that failed with a class."""
        return await self._run(self._core.call(_calls.retry_all(batch, queue, error_class)))

    async def set_priority(self, tasks: m.RefLike | Iterable[m.RefLike], priority: m.Priority) -> list[m.Outcome]:
        """Gives tasks that wait another priority."""
        return await self._run(_tasks.act(self._core, "priority", tasks, priority=priority))

    # Batches

    def batches(self, *, page_size: int | None = None) -> AsyncGenerator[m.Batch, None]:
        """All batches, the newest first."""
        return self._iterate(self._core.pages(_calls.batches(page_size)))

    async def batch(self, batch: str) -> m.Batch:
        """How far a batch is."""
        return await self._run(self._core.call(_calls.batch(batch)))

    # Queues

    def queues(self, *, page_size: int | None = None) -> AsyncGenerator[m.Queue, None]:
        """All queues."""
        return self._iterate(self._core.pages(_calls.queues(page_size)))

    async def queue(self, queue: str) -> m.Queue:
        """What a queue holds, and its settings."""
        return await self._run(self._core.call(_calls.queue(queue)))

    async def pause(self, queue: str) -> m.Queue:
        """Nodes claim nothing from the queue any more; submitting to it works."""
        return await self._run(self._core.call(_calls.on_queue(queue, "pause")))

    async def resume(self, queue: str) -> m.Queue:
        """Ends a pause."""
        return await self._run(self._core.call(_calls.on_queue(queue, "resume")))

    async def purge(self, queue: str, state: m.State) -> int:
        """Deletes a queue's tasks of one state."""
        return await self._run(self._core.call(_calls.purge(queue, state)))

    async def configure(
        self,
        queue: str,
        *,
        max_length: int | None = None,
        concurrency: int | None = None,
        key_concurrency: int | None = None,
        retention: m.Duration | None = None,
        dead_retention: m.Duration | None = None,
        events: int | None = None,
        partitions: int | None = None,
    ) -> m.Queue:
        """Changes a queue's settings; those that are not named stay."""
        settings = {
            "max_length": max_length,
            "concurrency": concurrency,
            "key_concurrency": key_concurrency,
            "retention": duration(retention),
            "dead_retention": duration(dead_retention),
            "events": events,
            "partitions": partitions,
        }
        return await self._run(self._core.call(_calls.configure(queue, settings)))

    async def failures(self, queue: str) -> m.Failures:
        """The dead letter of a queue in groups."""
        return await self._run(self._core.call(_calls.failures(queue)))

    # Nodes

    def nodes(
        self,
        *,
        state: str | None = None,
        label: str | None = None,
        q: str | None = None,
        page_size: int | None = None,
    ) -> AsyncGenerator[m.Node, None]:
        """The workers that are alive, and those lost within a day."""
        return self._iterate(self._core.pages(_calls.nodes(state, label, q, page_size)))

    async def node(self, node: str) -> m.Node:
        """One worker."""
        return await self._run(self._core.call(_calls.node(node)))

    async def quiet_node(self, node: str) -> m.Told:
        """The node claims nothing more, finishes what runs, and stays."""
        return await self._run(self._core.call(_calls.tell_node(node, "quiet")))

    async def drain_node(self, node: str) -> m.Told:
        """The node claims nothing more, finishes what runs, and leaves."""
        return await self._run(self._core.call(_calls.tell_node(node, "drain")))

    async def resume_node(self, node: str) -> m.Told:
        """Ends `quiet_node`."""
        return await self._run(self._core.call(_calls.tell_node(node, "resume")))

    async def stop_node(self, node: str) -> m.Told:
        """The node hands back what runs, and leaves."""
        return await self._run(self._core.call(_calls.tell_node(node, "stop")))

    # Events

    def events(
        self,
        *,
        queue: str | None = None,
        type: str | None = None,
        follow: bool = True,
        last_event_id: str | None = None,
    ) -> AsyncGenerator[m.Transition, None]:
        """Transitions of tasks as they happen, through broken connections; without `follow`, those in the log.

        type: a state after, or a reason, such as `failed` or `lease_expired`.
        last_event_id: go on after the transition with this `cursor`.
        """
        if follow:
            return self._iterate(_follow.events(self._core, queue, type, last_event_id))
        return self._iterate(self._core.pages(_calls.transitions(queue, type, last_event_id)))

    def actions(self, *, limit: int | None = None) -> AsyncGenerator[m.Action, None]:
        """What operators did, the latest last: who, when, what, on what, and how it ended."""
        return self._iterate(self._core.pages(_calls.actions(limit)))

    # Money, models, people

    def budgets(self, *, past: bool = False) -> AsyncGenerator[m.Budget, None]:
        """What may be spent, and what was; `past`: in former windows, too."""
        return self._iterate(self._core.pages(_calls.budgets(past)))

    async def set_budget(self, scope: str, limit_usd: float, *, window: str = "day", on_limit: str = "refuse") -> m.Budget:
        """Sets what may be spent by `fleet`, `tenant:a`, `queue:q` or `batch:b` (or all of a kind: `tenant:*`).

        window: `hour`, `day`, `week` or `total`.
        on_limit: `refuse` fails tasks, `wait` lets them wait for the next window, `cheaper` asks the next model.
        """
        return await self._run(self._core.call(_calls.set_budget(scope, limit_usd, window, on_limit)))

    async def delete_budget(self, scope: str) -> None:
        """Removes a budget."""
        return await self._run(self._core.call(_calls.delete_budget(scope)))

    def models(self, *, provider: str | None = None, retired: bool = False) -> AsyncGenerator[m.Model, None]:
        """The catalog, and what the fleet has seen of each model; `retired`: also those no longer offered."""
        return self._iterate(self._core.pages(_calls.models(provider, retired)))

    async def select_model(self, *, mode: str | None = None, **requirements: m.Json) -> m.Selection:
        """Which models would be asked for a task, and why: `category`, `complexity`, `quality`, `max_cost_usd`, …

        mode: `balanced`, `cheapest`, `fastest` or `quality`.
        """
        return await self._run(self._core.call(_calls.select_model(mode, requirements)))

    async def reset_models(self, names: Iterable[str]) -> dict[str, bool]:
        """Closes breakers and ends pauses of models, keys or hosts; says which of them were left alone until now."""
        return await self._run(self._core.call(_calls.reset_models(list(names))))

    async def metrics(self, *, days: int = 7) -> m.Metrics:
        """Calls to models, tokens and money, by model, type and tenant; totals of queues."""
        return await self._run(self._core.call(_calls.metrics(days)))

    def reviews(self, *, queue: str | None = None, limit: int | None = None) -> AsyncGenerator[m.Review, None]:
        """Drafts that wait for a person."""
        return self._iterate(self._core.pages(_calls.reviews(queue, limit)))

    async def review(self, task: m.RefLike) -> m.Review:
        """One draft, whole."""
        return await self._run(self._core.call(_calls.review(task)))

    async def approve(self, task: m.RefLike, *, note: str | None = None) -> m.Outcome:
        """The draft becomes the task's result."""
        return await self._run(self._core.call(_calls.decide(task, "approve", note)))

    async def reject(self, task: m.RefLike, *, note: str | None = None) -> m.Outcome:
        """The task fails."""
        return await self._run(self._core.call(_calls.decide(task, "reject", note)))

    async def edit(self, task: m.RefLike, result: m.Json, *, note: str | None = None) -> m.Outcome:
        """This becomes the task's result."""
        return await self._run(self._core.call(_calls.decide(task, "edit", note, result=result)))

    # The server

    async def version(self) -> m.Version:
        """The server's version."""
        return await self._run(self._core.call(_calls.version()))

    async def overview(self) -> m.Overview:
        """The fleet at a glance."""
        return await self._run(self._core.call(_calls.overview()))

    async def doctor(self) -> list[m.Check]:
        """The checks of `windlass doctor`."""
        return await self._run(self._core.call(_calls.doctor()))

    async def autoscale(self, queues: Iterable[str], *, slots: int | None = None) -> m.Autoscale:
        """What an autoscaler decides by; `slots`: how many a node would have."""
        return await self._run(self._core.call(_calls.autoscale(queues, slots)))
