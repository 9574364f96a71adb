"""How the server's JSON becomes dataclasses, in a way that a newer or older server cannot break."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

R = TypeVar("R", bound="Record")

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Something that the server told. Every field has a default, so that an older server may leave it out."""

    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Fields that this version does not know, as they came."""


def part(default: Any, *, convert: Convert | None = None, name: str | None = None, json: bool = False) -> Any:
    """A field with its default, the name that it has in JSON, and how its value is converted.

    A field of any JSON does not count for the hash, so that records can be put into sets.
    """
    metadata = {"convert": convert, "name": name}
    made = default() if callable(default) else default
    hashable = not json and not isinstance(made, (dict, list))
    if callable(default):
        return field(default_factory=default, metadata=metadata, hash=hashable)
    return field(default=default, metadata=metadata, hash=hashable)


Known: TypeAlias = Mapping[str, "tuple[str, Convert | None, bool]"]
_KNOWN: dict[type[Record], Known] = {}


def _known(kind: type[Record]) -> Known:
    """By the name in JSON: the attribute, how it is converted, and whether null leaves its default."""
    if kind not in _KNOWN:
        known = {}
        for each in fields(kind):
            if each.name != "extra":
                skip_none = each.default_factory is not MISSING or each.default is not None
                name = each.metadata.get("name") or each.name
                known[name] = (each.name, each.metadata.get("convert"), skip_none)
        _KNOWN[kind] = known
    return _KNOWN[kind]


def parse(kind: type[R], value: Any) -> R:
    """The record of `kind` that the JSON object `value` tells of."""
    known = _known(kind)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, told in (value if isinstance(value, dict) else {}).items():
        if name not in known:
            extra[name] = told
            continue
        attribute, convert, skip_none = known[name]
        if told is None:
            if not skip_none:
                values[attribute] = None
        elif convert is None:
            values[attribute] = told
        else:
            try:
                values[attribute] = convert(told)
            except (TypeError, ValueError, AttributeError):
                extra[name] = told
    return kind(**values, extra=MappingProxyType(extra))


def moment(text: str) -> datetime:
    """An RFC 3339 time."""
    # Python 3.10 does not know the Z.
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00" if text.endswith("Z") else text)


def record(kind: type[R]) -> Convert:
    """Converts an object."""
    return lambda value: parse(kind, value)


def records(kind: type[R]) -> Convert:
    """Converts a list of objects."""
    return lambda value: tuple(parse(kind, each) for each in value)
