"""When a call is tried again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from .errors import ApiError, TransportError, WindlassError


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed calls are tried again: with exponential back-off and full jitter, until a deadline.

    Tried again is what was not answered, and what the server answered with 408, 429, 502, 503 or 504, and only if
    doing it twice is doing it once. `Retry-After` is honoured; where it goes beyond the deadline, the error is raised
    at once.
    """

    deadline: float = 30.0
    """Seconds from the start of a call after which it is not tried again; 0 tries once."""
    base: float = 0.2
    """The first pause is between 0 and this."""
    cap: float = 10.0
    """No pause is longer, unless the server asks for it."""

    def __post_init__(self) -> None:
        if self.deadline < 0 or self.base <= 0 or self.cap < self.base:
            raise ValueError("a Retry needs deadline >= 0 and 0 < base <= cap")


_STATUSES = frozenset({408, 429, 502, 503, 504})


def is_temporary(error: WindlassError) -> bool:
    """Trying again may help."""
    if isinstance(error, ApiError):
        # Our own request, whose answer was lost, may still be worked on.
        return error.status in _STATUSES or error.type == "in-progress"
    return isinstance(error, TransportError)


class Patience:
    """What is left of a call's deadline, and how long its next pause is.

    The deadline counts from the start; or, for a stream (`lazy`), from the first failure after it last achieved
    something, since a stream may run well for days.
    """

    def __init__(
        self,
        retry: Retry,
        deadline: float | None = None,
        *,
        lazy: bool = False,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._retry = retry
        self._clock = clock
        self._uniform = uniform
        self._length = retry.deadline if deadline is None else deadline
        self._end = None if lazy else self._clock() + self._length
        self.tries = 0

    def renew(self) -> None:
        """Something was achieved: the deadline counts from the next failure, and pauses are short again."""
        self._end = None
        self.tries = 0

    def left(self) -> float:
        """Seconds until the deadline."""
        return self._length if self._end is None else self._end - self._clock()

    def pause(self, error: WindlassError, repeatable: bool = True) -> float | None:
        """Seconds to wait before the next try; none if there is to be none."""
        never_sent = isinstance(error, TransportError) and not error.sent
        if not is_temporary(error) or not (repeatable or never_sent):
            return None
        if self._end is None:
            self._end = self._clock() + self._length
        most = min(self._retry.cap, self._retry.base * 2.0 ** min(self.tries, 30))
        self.tries += 1
        pause = self._uniform(0.0, most)
        if error.retry_after is not None:
            # Not all of those who were told the same come at the same moment.
            pause = error.retry_after + self._uniform(0.0, self._retry.base)
        return pause if pause < self.left() else None
