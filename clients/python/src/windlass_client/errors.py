"""What can go wrong: one class per type of problem, all of them [`WindlassError`][].

>>> try:
...     client.submit("llm", {"prompt": "Hello"})
... except QueueFullError as error:
...     print(error.detail, error.retry_after)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .models import BulkReport, Reject, Task

__all__ = [
    "ApiError",
    "BulkRejectedError",
    "ConflictError",
    "ConnectionFailedError",
    "ForbiddenError",
    "InProgressError",
    "InternalServerError",
    "InvalidRequestError",
    "KeyReusedError",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "NotFoundError",
    "QueueFullError",
    "RedisUnavailableError",
    "RequestTimeoutError",
    "TaskFailedError",
    "TimedOutError",
    "TooLargeError",
    "TooManyRequestsError",
    "TransportError",
    "UnauthorizedError",
    "UnsupportedMediaTypeError",
    "WaitTimeoutError",
    "WindlassError",
]


class WindlassError(Exception):
    """Anything that this package raises about the server, the way to it, or a task."""

    status: int | None = None
    """HTTP status; none if the server did not answer."""
    type: str | None = None
    """Name of the problem, such as `queue-full`."""
    title: str | None = None
    """What kind of problem it is, in words."""
    detail: str | None = None
    """What happened, and what to do about it."""
    request_id: str | None = None
    """Finds the request in the server's log."""
    retry_after: float | None = None
    """Seconds after which the server asks to be tried again."""


class TransportError(WindlassError):
    """The server did not answer, or not to the end."""

    def __init__(self, detail: str, *, sent: bool = True) -> None:
        super().__init__(detail)
        self.detail = detail
        self.sent = sent
        """The server may have received the request, and have done it."""


class ConnectionFailedError(TransportError):
    """No connection could be made, or it broke."""


class TimedOutError(TransportError, TimeoutError):
    """The server took longer than `timeout`."""


class ApiError(WindlassError):
    """The server answered with a problem (RFC 9457). Types that this version does not know are of this class itself."""

    problem_type: ClassVar[str | None] = None
    """The type of problem that the class stands for."""

    def __init__(
        self,
        status: int,
        problem: Mapping[str, Any] | None = None,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.problem: dict[str, Any] = dict(problem or {})
        """The whole problem, as the server told it."""
        self.status = status
        self.type = _name(self.problem.get("type")) or self.problem_type
        self.title = _text(self.problem.get("title"))
        self.detail = _text(self.problem.get("detail"))
        self.request_id = request_id or _text(self.problem.get("instance"))
        self.retry_after = retry_after
        super().__init__(self._message())

    def _message(self) -> str:
        what = self.detail or self.title or self.type or "no detail was given"
        tail = f", request {self.request_id}" if self.request_id else ""
        return f"{what} (HTTP {self.status}{tail})"


class UnauthorizedError(ApiError):
    """The token is missing or unknown."""

    problem_type = "unauthorized"


class ForbiddenError(ApiError):
    """The token's roles do not allow it."""

    problem_type = "forbidden"


class NotFoundError(ApiError):
    """There is no such task, queue, node, batch or review."""

    problem_type = "not-found"


class MethodNotAllowedError(ApiError):
    """The server does not know this action: it is probably older than this client."""

    problem_type = "method-not-allowed"


class NotAcceptableError(ApiError):
    """The server cannot answer in the form that was asked for."""

    problem_type = "not-acceptable"


class RequestTimeoutError(ApiError):
    """The server waited too long for the rest of the request."""

    problem_type = "request-timeout"


class ConflictError(ApiError):
    """Another task has this id, or the task's state does not allow the action."""

    problem_type = "conflict"


class InProgressError(ApiError):
    """The same request is being worked on."""

    problem_type = "in-progress"


class TooLargeError(ApiError):
    """The payload, the line or the request is too large."""

    problem_type = "too-large"


class UnsupportedMediaTypeError(ApiError):
    """The server does not read this kind of content."""

    problem_type = "unsupported-media-type"


class InvalidRequestError(ApiError):
    """A value is not allowed; `detail` says which."""

    problem_type = "invalid-request"


class KeyReusedError(ApiError):
    """The Idempotency-Key was used for another request."""

    problem_type = "key-reused"


class QueueFullError(ApiError):
    """The queue is at its maximum length."""

    problem_type = "queue-full"


class TooManyRequestsError(ApiError):
    """The server is busy, or asks to be asked less often."""

    problem_type = "too-many-requests"


class InternalServerError(ApiError):
    """The server failed."""

    problem_type = "internal"


class RedisUnavailableError(ApiError):
    """The server does not reach its Redis."""

    problem_type = "redis-unavailable"


class TaskFailedError(WindlassError):
    """A task ended otherwise than `completed`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        error = task.error
        self.type = error.error_class if error else task.state
        self.detail = error.message if error else f"reason: {task.reason}"
        super().__init__(f"task {task.ref} is {task.state}: {self.type}: {self.detail}")


class WaitTimeoutError(WindlassError, TimeoutError):
    """What was waited for is not over yet; it goes on."""

    def __init__(self, what: str, timeout: float, unfinished: Sequence[str] = ()) -> None:
        self.unfinished: tuple[str, ...] = tuple(unfinished)
        """The tasks that are not finished."""
        self.detail = f"{what} did not finish within {timeout:g} s"
        super().__init__(self.detail)


class BulkRejectedError(WindlassError):
    """Lines of a bulk submission were refused. What else was in their chunk and before it was taken."""

    def __init__(self, rejects: Sequence[Reject], report: BulkReport) -> None:
        self.rejects: tuple[Reject, ...] = tuple(rejects)
        """The refused lines of the chunk."""
        self.report = report
        """What was done so far."""
        first = self.rejects[0]
        self.type = first.error_class
        self.detail = first.message
        more = f" (and {len(self.rejects) - 1} more)" if len(self.rejects) > 1 else ""
        super().__init__(f"line {first.line}: {first.message}{more}")


_PREFIX = "urn:windlass:problem:"
_CLASSES: dict[str, type[ApiError]] = {
    kind.problem_type: kind for kind in ApiError.__subclasses__() if kind.problem_type is not None
}
# What a proxy in between answers has no type of ours.
_BY_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    408: RequestTimeoutError,
    413: TooLargeError,
    429: TooManyRequestsError,
    500: InternalServerError,
}


def api_error(
    status: int,
    problem: Mapping[str, Any] | None,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ApiError:
    """The error of the class that stands for this problem."""
    name = _name((problem or {}).get("type"))
    kind = _BY_STATUS.get(status, ApiError) if name is None else _CLASSES.get(name, ApiError)
    return kind(status, problem, request_id=request_id, retry_after=retry_after)


def _name(kind: object) -> str | None:
    if not isinstance(kind, str) or kind in ("", "about:blank"):
        return None
    return kind.removeprefix(_PREFIX)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
