"""How a rule may be written: the verbs, limits and parameters of each key, and the sentence for what has no meaning."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeGuard

from modelrouter.core.money import exact_decimal

if TYPE_CHECKING:
    from modelrouter.core.policy import RuleSpec

__all__ = ["Grammar", "Limit", "amount", "option_words", "whole", "words"]

SHOWN_WORDS: Final = 6


class Limit(enum.Enum):
    """What `min` or `max` may hold: a whole number, an exact amount, or one of the family's words."""

    WHOLE = "a whole number of zero or more"
    AMOUNT = "an exact amount of zero or more"
    WORD = "one of"


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a rule for one key may be written.

    Attributes:
        verbs: those with a meaning, in the words of a policy file.
        limit: what `min` and `max` hold.
        values: the only words for `allow`, `deny`, `require`, or for a limit that is a word; None takes any.
        is_flag: `require` takes `true`; otherwise it takes ids.
        options: list parameters and their only words.
        free_options: parameters that the family checks itself.
    """

    verbs: tuple[str, ...]
    limit: Limit | None = None
    values: tuple[str, ...] | None = None
    is_flag: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    free_options: tuple[str, ...] = ()

    def fault(self, spec: RuleSpec) -> str | None:
        """What in a rule has no meaning, in one sentence, or None. Such a rule permits nobody."""
        written = {
            "allow": spec.allow,
            "deny": spec.deny,
            "min": spec.at_least,
            "max": spec.at_most,
            "require": spec.require,
        }
        given = [verb for verb, value in written.items() if value is not None]
        right = " or ".join(f"`{verb}`" for verb in self.verbs)
        for verb in given:
            if verb not in self.verbs:
                return f"`{verb}` means nothing for `{spec.key}`: write {right}"
        if not given:
            return f"`{spec.key}` asks nothing: add {right}"
        return (
            self._fault_of_sets(spec)
            or self._fault_of_limit(spec.at_least, "min")
            or self._fault_of_limit(spec.at_most, "max")
            or self._fault_of_options(spec)
        )

    def _fault_of_sets(self, spec: RuleSpec) -> str | None:
        if self.is_flag and spec.require is not None and spec.require is not True:
            return f"`require` of `{spec.key}` takes only `true`"
        if not self.is_flag and isinstance(spec.require, bool):
            return f"`require` of `{spec.key}` takes a list of ids, not `{str(spec.require).lower()}`"
        for verb, value in (("allow", spec.allow), ("deny", spec.deny), ("require", spec.require)):
            if value is None or isinstance(value, bool):
                continue
            written: object = value  # a policy built in Python may hold what no checker has seen
            if not isinstance(written, frozenset) or not all(isinstance(word, str) for word in written):
                return f"`{verb}` must be a set of words"
            if not value or "" in value:
                return f"`{verb}` is empty: name at least one, or remove it"
            for word in sorted(value):
                if self.values is not None and word not in self.values:
                    return f"`{word}` is not one of {_listed(self.values, whole=True)}"
        return None

    def _fault_of_limit(self, value: object, verb: str) -> str | None:
        if value is None or self.limit is None:
            return None
        if self.limit is Limit.WORD:
            allowed = self.values or ()
            return None if value in allowed else f"`{verb}: {value}` is not one of {_listed(allowed, whole=True)}"
        wrong = f"`{verb}: {value}` is not {self.limit.value}"
        if not isinstance(value, (str, int, Decimal)):
            return wrong
        try:
            number = exact_decimal(value)
        except ValueError:
            return wrong
        return wrong if self.limit is Limit.WHOLE and number != number.to_integral_value() else None

    def _fault_of_options(self, spec: RuleSpec) -> str | None:
        for option, value in spec.options.items():
            if option in self.free_options:
                continue
            if option not in self.options:
                known = (*self.options, *self.free_options)
                instead = f": it takes {_listed(known, whole=True)}" if known else ": it takes none"
                return f"`{option}` is no parameter of `{spec.key}`{instead}"
            if not _is_words(value):
                return f"`{option}` must be a list of words, as `[{self.options[option][0]}]`"
            for word in sorted(value):
                if word not in self.options[option]:
                    return f"`{option}: {word}` is not one of {_listed(self.options[option], whole=True)}"
        return None


def words(spec: RuleSpec, *, among: str = "", beside: str = "other than ") -> str:
    """What an `allow` and `deny` ask for, as `MIT or Apache-2.0`, `other than used`, `in EEA, outside DE`."""
    parts: list[str] = []
    if spec.allow is not None:
        parts.append(f"{among}{_listed(spec.allow)}")
    if spec.deny:
        parts.append(f"{beside}{_listed(spec.deny)}")
    return ", ".join(parts)


def option_words(spec: RuleSpec, option: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A list parameter, or its default."""
    value = spec.options.get(option)
    return tuple(value) if _is_words(value) else default


def amount(limit: object) -> Decimal:
    """A limit that `Grammar.fault` has accepted, as an exact number."""
    return exact_decimal(limit) if isinstance(limit, (str, int, Decimal)) else Decimal(0)


def whole(limit: object) -> int:
    """A limit that `Grammar.fault` has accepted, as a whole number."""
    return int(amount(limit))


def _is_words(value: object) -> TypeGuard[Collection[str]]:
    """A list of at least one word."""
    if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)) or not value:
        return False
    return all(isinstance(word, str) for word in value)


def _listed(names: Collection[str], *, whole: bool = False) -> str:
    listed = list(names) if isinstance(names, tuple) else sorted(names)
    if whole:
        return ", ".join(f"`{name}`" for name in listed)
    if len(listed) > SHOWN_WORDS:
        return f"{', '.join(listed[:SHOWN_WORDS])} and {len(listed) - SHOWN_WORDS} more"
    return " or ".join(listed)
