"""The table of wrong configurations, `bad_inputs.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from modelrouter import errors
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from modelrouter.yaml12 import Value

__all__ = ["BAD", "Bad"]

TABLE: Final = Path(__file__).with_name("bad_inputs.yaml")


class Bad(NamedTuple):
    """One wrong configuration: parts of the small one replaced, the key of the error, and words of its sentence."""

    parts: dict[str, str]
    key: str | None
    words: str
    kind: type[ConfigError]


def _case(entry: Value) -> Bad:
    if not isinstance(entry, dict):
        raise TypeError(entry)
    parts = {name: str(text) for name, text in entry.items() if name not in {"key", "words", "error"}}
    key = entry["key"]
    return Bad(
        parts, None if key is None else str(key), str(entry["words"]), _kind(str(entry.get("error", "ConfigError")))
    )


def _kind(name: str) -> type[ConfigError]:
    found = getattr(errors, name)
    if not isinstance(found, type) or not issubclass(found, ConfigError):
        raise TypeError(name)
    return found


def _read() -> tuple[Bad, ...]:
    entries = parse(TABLE.read_text(encoding="utf-8"), TABLE.name).value
    if not isinstance(entries, list):
        raise TypeError(entries)
    return tuple(_case(entry) for entry in entries)


BAD: Final = _read()
