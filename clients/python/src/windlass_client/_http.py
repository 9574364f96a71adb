"""What both drivers make of httpx."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from .errors import ConnectionFailedError, TimedOutError, WindlassError

CONNECT = 10.0
"""Seconds that a connection may take."""


def timeouts(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(CONNECT, seconds))


def headers_of(reply: httpx.Response) -> Mapping[str, str]:
    return {name.lower(): value for name, value in reply.headers.items()}


def failed(error: httpx.RequestError, url: str) -> WindlassError:
    """The error of ours for one of httpx's."""
    if isinstance(error, httpx.LocalProtocolError):
        # Its text may hold the token.
        return WindlassError("the request is no valid HTTP: is there a line break in the token or in a header?")
    sent = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    what = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        did = "did not answer in time" if sent else "could not be reached in time"
        return TimedOutError(f"{url} {did}", sent=sent)
    did = "broke the connection" if sent else "cannot be reached"
    return ConnectionFailedError(f"{url} {did}: {what}", sent=sent)
