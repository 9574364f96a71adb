"""Submit LLM and coding-agent work to Windlass, follow it, and steer the fleet.

>>> from windlass_client import Client
>>> with Client() as client:
...     print(client.run("llm", {"prompt": "Say hello."})["text"])
"""

from . import errors, models
from ._async_client import AsyncClient
from ._client import Client
from ._retry import Retry
from ._version import __version__
from .errors import (
    ApiError,
    BulkRejectedError,
    ConflictError,
    ConnectionFailedError,
    ForbiddenError,
    NotFoundError,
    QueueFullError,
    TaskFailedError,
    TimedOutError,
    TransportError,
    UnauthorizedError,
    WaitTimeoutError,
    WindlassError,
)
from .models import (
    Batch,
    BulkReport,
    Node,
    Options,
    Outcome,
    Priority,
    Queue,
    Reject,
    State,
    Submission,
    Submitted,
    Task,
    TaskError,
    Transition,
)

__all__ = [
    "ApiError",
    "AsyncClient",
    "Batch",
    "BulkRejectedError",
    "BulkReport",
    "Client",
    "ConflictError",
    "ConnectionFailedError",
    "ForbiddenError",
    "Node",
    "NotFoundError",
    "Options",
    "Outcome",
    "Priority",
    "Queue",
    "QueueFullError",
    "Reject",
    "Retry",
    "State",
    "Submission",
    "Submitted",
    "Task",
    "TaskError",
    "TaskFailedError",
    "TimedOutError",
    "Transition",
    "TransportError",
    "UnauthorizedError",
    "WaitTimeoutError",
    "WindlassError",
    "__version__",
    "errors",
    "models",
]
