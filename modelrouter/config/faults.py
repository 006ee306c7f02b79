"""Everything that is wrong with a configuration, as sentences with file, line and key.

pydantic finds what has the wrong shape; its findings are put into our own words here. A value is never shown where it
could be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.config.nearest import nearest
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from modelrouter.config.fields import Base
    from modelrouter.yaml12 import Document, Path

__all__ = ["Fault", "Faults", "errors_of", "joined", "keys_of"]

MORE_MAX: Final = 9
"""How many further errors a message lists after the first."""

TEXT: Final = "expected text: put it in quotes if it looks like a number"
LIST: Final = "expected a list: write `[…]`"
ELSEWHERE: Final = ": remove it, or find the right one with `modelrouter schema`"
MAPPING: Final = "expected keys with values: write `{key: value}`, or the keys on lines of their own below"
WORDS: Final = {
    "string_type": TEXT,
    "string_sub_type": TEXT,
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "bool_type": "expected `true` or `false`",
    "dict_type": MAPPING,
    "mapping_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "tuple_type": LIST,
    "list_type": LIST,
    "set_type": LIST,
    "frozen_set_type": LIST,
    "too_short": "empty: write at least one",
    "none_required": "nothing can stand here: remove the value",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Attributes:
        reason: what is wrong and what to change.
        file: None for a configuration built in Python.
        line: of the key, or of the nearest one that encloses it.
        key: as `routes.support.try`.
        kind: the error that it is raised as.
    """

    reason: str
    file: str | None = None
    line: int | None = None
    key: str | None = None
    kind: type[ConfigError] = ConfigError

    @staticmethod
    def at(document: Document | None, path: Path, reason: str, kind: type[ConfigError] = ConfigError) -> Fault:
        """What is wrong at a key of a file."""
        key = dotted(path) or None
        if document is None:
            return Fault(reason, key=key, kind=kind)
        return Fault(reason, document.file, document.line(path), key, kind)

    def error(self, more: str = "") -> ConfigError:
        """The error to raise; `more` is appended to its message."""
        return self.kind(self.reason + more, file=self.file, line=self.line, key=self.key)


@dataclass(slots=True)
class Faults:
    """Collects what is wrong, so that one run shows a person all of it."""

    found: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Note one; the same is noted once."""
        if fault not in self.found:
            self.found.append(fault)

    @contextmanager
    def caught(self, otherwise: Fault | None = None) -> Iterator[None]:
        """Note a `ConfigError` that is raised inside; one that knows no place takes that of `otherwise`."""
        try:
            yield
        except ConfigError as error:
            place = otherwise if error.key is None and otherwise else error
            self.add(Fault(error.reason, place.file or error.file, place.line or error.line, place.key, type(error)))

    def raise_any(self) -> None:
        """Raise if there are any.

        Raises:
            ConfigError: the first of them, with the others in its message.
        """
        if self.found:
            raise joined(self.found)


def joined(found: Sequence[Fault]) -> ConfigError:
    """The first of several errors, by file and line; its message lists some of the others."""
    files = list(dict.fromkeys(fault.file for fault in found))
    first, *others = sorted(found, key=lambda fault: (files.index(fault.file), fault.line or 0))
    more = "".join(f"\n{other.error().message}" for other in others[:MORE_MAX])
    if len(others) > MORE_MAX:
        more += f"\n… and {len(others) - MORE_MAX} more"
    return first.error(more)


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """The keys a part of the configuration takes, as they are written, with what each means."""
    return {info.alias or name: info.description or "" for name, info in model.model_fields.items()}


def errors_of(
    error: ValidationError,
    written: object,
    models: Mapping[int, type[Base]],
    document: Document | None = None,
) -> list[Fault]:
    """What pydantic found, in our own words.

    Args:
        written: the value that was checked.
        models: identity of each mapping in `written` to what it was checked as, which says how its errors are raised.
        document: the file that `written` was read from.
    """
    found = []
    for details in sorted(error.errors(include_url=False), key=lambda each: each["type"] == "missing"):
        path, holders, value = _place(details["loc"], written)
        model = models.get(id(holders[-1]))
        reason = _sentence(details, path, keys_of(model) if model else {})
        kinds = [checked.error_kind() for part in (value, *holders) if (checked := models.get(id(part)))]
        kind = next((each for each in kinds if each is not ConfigError), ConfigError)
        found.append(Fault.at(document, path, reason, kind))
    return found


def _place(location: tuple[int | str, ...], written: object) -> tuple[Path, list[object], object]:
    """The path in what was written, every mapping or list on the way (that of the last step last), and what is there.

    pydantic's location also names branches of unions (here they begin with `<`), and `[key]` for a key that is wrong.
    """
    path: list[str | int] = []
    holders: list[object] = [written]
    value: object = written
    for index, step in enumerate(location):
        is_last = index == len(location) - 1
        if step == "[key]":
            break
        if isinstance(value, Mapping) and isinstance(step, str):
            if step.startswith("<") or (step not in value and not is_last):
                continue
            found = value.get(step)
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            found = value[step]
        elif hasattr(value, "model_fields_set"):
            found = getattr(value, str(step), None)
        else:
            continue
        if path:
            holders.append(value)
        value = found
        path.append(step)
    return tuple(path), holders, value


def _sentence(details: ErrorDetails, path: Path, keys: Mapping[str, str]) -> str:
    kind = details["type"]
    context = details.get("ctx") or {}
    if kind == "ours":
        return str(context["reason"])
    if kind == "missing":
        meaning = keys.get(str(path[-1]), "") if path else ""
        return f"missing: add `{path[-1]}`, {meaning}" if meaning else "missing: add it"
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(path[-1]), keys) or ELSEWHERE}" if keys else "unknown key: remove it"
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        written = details["input"]
        shown = f"`{written}`" if isinstance(written, (str, int)) else "this"
        return f"{shown} is not known here{nearest(str(written), words)}"
    if kind in {"greater_than_equal", "greater_than"}:
        return f"too small: write at least {context.get('ge', context.get('gt'))}"
    if kind in {"less_than_equal", "less_than"}:
        return f"too large: write at most {context.get('le', context.get('lt'))}"
    return WORDS.get(kind, "not what is expected here: see `modelrouter schema`")
