"""Typed access to entries as they were read from YAML, with errors that say where and what to change.

Entries reach this room as plain mappings: shipped ones unchecked for speed (tests check each against `schema`), users'
ones after `schema` has accepted their shape. Every value is read through here all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, TypeVar

from modelrouter.catalog.countries import country_fault
from modelrouter.core.facts import GLOBAL, Confidence, Fact, Grade, Source, State
from modelrouter.core.money import exact_decimal
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import dotted

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.core.facts import Ownership
    from modelrouter.yaml12 import Path

__all__ = ["Entry", "Place", "Reading", "Step", "nearest", "source_from"]

T = TypeVar("T")
Entry: TypeAlias = Mapping[str, object]
Step: TypeAlias = "str | int"

STATES: Final = {state.value: state for state in (State.NONE, State.UNDISCLOSED, State.UNKNOWN)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands.

    Attributes:
        file: name for messages.
        path: keys from the top of the file.
        line: finds the line of a path; `Document.line`.
    """

    file: str | None = None
    path: Path = ()
    line: Callable[[Path], int | None] | None = None

    def at(self, *steps: Step) -> Place:
        """The place of something inside."""
        return Place(self.file, (*self.path, *steps), self.line)

    def fail(self, message: str) -> NoReturn:
        """Raise what is wrong here.

        Raises:
            CatalogError: always.
        """
        line = self.line(self.path) if self.line else None
        raise CatalogError(message, file=self.file, line=line, key=dotted(self.path) or None)


def nearest(word: str, known: Sequence[str] | Mapping[str, object] | frozenset[str]) -> str:
    """`: did you mean …` for a word that is not known, or a list of what is known when the list is short."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f": did you mean `{close[0]}`?"
    return f": known are {', '.join(f'`{each}`' for each in words)}" if 0 < len(words) <= 12 else ""


def source_from(entry: object, ownership: Ownership, place: Place) -> Source:
    """A source as written: a bare string is medium, asserted and undated.

    Raises:
        CatalogError: empty, or with an unknown confidence, grade or date.
    """
    if isinstance(entry, str):
        if not entry.strip():
            place.fail("the source is empty: write where this can be checked")
        return Source(ref=entry, ownership=ownership)
    if not isinstance(entry, Mapping):
        place.fail("a source is a text, or a mapping with `ref`")
    reading = Reading(entry, ownership, place)
    reading.only({"ref", "checked_on", "confidence", "grade"})
    return Source(
        ref=reading.text("ref"),
        checked_on=reading.day(entry["checked_on"], place.at("checked_on")) if "checked_on" in entry else None,
        confidence=Confidence[reading.word("confidence", ("low", "medium", "high"), "medium").upper()],
        grade=Grade(reading.word("grade", tuple(grade.value for grade in Grade), Grade.ASSERTED.value)),
        ownership=ownership,
    )


class Reading:
    """One entry under way to a value of the core.

    Facts take three shapes: a plain value, known by the entry's own `source`; one of the words `none`, `undisclosed`,
    `unknown`; or a mapping of `value` or `state` with a `source` of its own. An absent fact is unknown.
    """

    __slots__ = ("entry", "ownership", "place", "source")

    def __init__(self, entry: object, ownership: Ownership, place: Place, source: Source | None = None) -> None:
        if not isinstance(entry, Mapping):
            place.fail("this must be a mapping of keys to values")
        self.entry: Entry = entry
        self.ownership = ownership
        self.place = place
        self.source = source
        if "source" in entry:
            self.source = source_from(entry["source"], ownership, place.at("source"))

    def inside(self, key: str) -> Reading:
        """The mapping under a key, empty where it is absent; it inherits the source."""
        return Reading(self.entry.get(key) or {}, self.ownership, self.place.at(key), self.source)

    def only(self, keys: set[str] | frozenset[str]) -> None:
        """Refuse a key that is not among these."""
        for key in self.entry:
            if key not in keys:
                self.place.at(key).fail(f"unknown key `{key}`{nearest(key, frozenset(keys))}")

    # --- plain values ------------------------------------------------------------------------------------------------

    def text(self, key: str, default: str | None = None) -> str:
        """A text that must be there unless there is a default."""
        value = self.entry.get(key, default)
        if not isinstance(value, str) or (not value and default is None):
            self.place.at(key).fail(f"`{key}` must be a text" if key in self.entry else f"`{key}` is missing: write it")
        return value

    def word(self, key: str, words: Sequence[str], default: str) -> str:
        """One of several words."""
        value = self.entry.get(key, default)
        if value not in words:
            self.place.at(key).fail(f"`{value}` is not known here: write one of {', '.join(words)}")
        return str(value)

    def flag(self, key: str) -> bool:
        """A yes or no, no where it is absent."""
        return self.boolean(self.entry.get(key, False), self.place.at(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is absent."""
        return tuple(self.items(self.entry.get(key, []), self.place.at(key)))

    def table(self, key: str) -> dict[str, object]:
        """A mapping as it stands, empty where it is absent."""
        value = self.entry.get(key, {})
        if not isinstance(value, Mapping):
            self.place.at(key).fail(f"`{key}` must be a mapping")
        return dict(value)

    def amount(self, key: str) -> Decimal | None:
        """An exact amount, None where it is absent."""
        if key not in self.entry:
            return None
        value = self.entry[key]
        if not isinstance(value, (str, int, Decimal)):
            self.place.at(key).fail(f"`{value}` is not an exact amount: write digits, as `0.15`, never a float")
        try:
            return exact_decimal(value)
        except ValueError as error:
            self.place.at(key).fail(str(error))

    # --- facts -------------------------------------------------------------------------------------------------------

    def fact(self, key: str, convert: Callable[[object, Place], T], *, none: str = "") -> Fact[T]:
        """A fact in one of its four states.

        Args:
            key: where it stands.
            convert: turns a plain value into the core's; calls `place.fail` where it cannot.
            none: the sense of the state `none` here, for people; empty where the fact cannot be none.
        """
        if key not in self.entry:
            return Fact.unknown()
        value, source, place = self.entry[key], self.source, self.place.at(key)
        if isinstance(value, Mapping) and ("value" in value or "state" in value):
            own = Reading(value, self.ownership, place, self.source)
            own.only({"value", "state", "source"})
            if "value" in value and "state" in value:
                place.fail("write `value` or `state`, not both")
            value, source = value.get("value", value.get("state")), own.source
        state = STATES.get(value) if isinstance(value, str) else None
        if state is State.UNKNOWN:
            return Fact.unknown()
        if source is None:
            place.fail(f"nobody could check `{key}`: add `source:` to the entry")
        if state is None:
            return Fact.known(convert(value, place), source)
        if state is State.NONE and not none:
            place.fail(f"`{key}` cannot be `none`: write its value, `undisclosed` or `unknown`")
        return Fact.none(source) if state is State.NONE else Fact.undisclosed(source)

    # --- converters --------------------------------------------------------------------------------------------------

    @staticmethod
    def string(value: object, place: Place) -> str:
        """A text that is not empty."""
        if not isinstance(value, str) or not value:
            place.fail("this must be a text")
        return value

    @staticmethod
    def boolean(value: object, place: Place) -> bool:
        """`true` or `false`."""
        if not isinstance(value, bool):
            place.fail("this must be `true` or `false`")
        return value

    @staticmethod
    def count(value: object, place: Place) -> int:
        """A whole number of zero or more."""
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            place.fail("this must be a whole number of zero or more")
        return value

    @staticmethod
    def day(value: object, place: Place) -> date:
        """A day, as `2026-11-22`."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            place.fail(f"`{value}` is no day: write it as `2026-11-22`")

    @staticmethod
    def items(value: object, place: Place) -> list[str]:
        """A list of texts."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            place.fail("this must be a list, as `[a, b]`")
        return [Reading.string(item, place.at(index)) for index, item in enumerate(value)]

    @staticmethod
    def identifiers(value: object, place: Place) -> frozenset[str]:
        """A set of ids, at least one."""
        found = frozenset(Reading.items(value, place))
        if not found:
            place.fail("an empty list says nothing: write `none` if a source says there is none")
        return found

    @staticmethod
    def country(value: object, place: Place) -> str:
        """A country code."""
        code = Reading.string(value, place)
        fault = country_fault(code)
        if fault:
            place.fail(fault)
        return code

    @staticmethod
    def places(value: object, place: Place) -> frozenset[str]:
        """Countries, groups of countries (longer ids, as `EEA`), or `global`. `EU` is a group, not a country code."""
        found = Reading.identifiers(value, place)
        for code in sorted(found):
            fault = country_fault(code) if len(code) == 2 and code != "EU" else None
            if fault or (code != code.upper() and code != GLOBAL):
                place.fail(fault or f"`{code}` is no place: write a country, a group as `EEA`, or `global`")
        return found
