"""One text for one meaning: what is hashed and kept, so that comments, order and layout change nothing."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from modelrouter.config.setup import Static

__all__ = ["canonical", "static"]


def canonical(value: object) -> str:
    """JSON text with sorted keys; amounts keep every digit, functions are told by name, sets are sorted."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def static(text: str) -> Static:
    """A text with its hash."""
    return Static(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(key.value if isinstance(key, enum.Enum) else key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _word(value)


def _word(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value.normalize() if value == 0 else value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if callable(value):
        return (
            f"function {getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
        )
    return value
