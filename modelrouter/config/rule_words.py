"""Whether the words in a rule exist: keys, verbs, ids, countries. A deny-list with a misspelt id would never hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.catalog.countries import country_fault
from modelrouter.config.nearest import nearest
from modelrouter.config.policy_schema import OPTIONS
from modelrouter.core.facts import GLOBAL
from modelrouter.core.policy import RuleSpec
from modelrouter.core.rules import assertion_of, family_of, nearest_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.config.policy_schema import RuleConfig
    from modelrouter.config.world import Tables

__all__ = ["rule_faults", "rule_from"]

PLACES: Final = frozenset({"developer.country", "operator.country", "processing.country", "storage.country"})
RESIDENCY: Final = frozenset({"processing.country", "storage.country"})


def rule_from(key: str, written: RuleConfig) -> RuleSpec:
    """A rule as the core has it."""
    return RuleSpec(
        key=key,
        allow=None if written.allow is None else frozenset(written.allow),
        deny=None if written.deny is None else frozenset(written.deny),
        at_least=written.min,
        at_most=written.max,
        require=written.require
        if written.require is None or isinstance(written.require, bool)
        else frozenset(written.require),
        options={name: _option(value) for name in OPTIONS if (value := getattr(written, name)) is not None},
        because=written.because or "",
        ref=written.ref or "",
    )


def _option(value: object) -> object:
    return tuple(value) if isinstance(value, (list, set, frozenset)) else value


def rule_faults(spec: RuleSpec, tables: Tables) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with a rule: where below its key, and in which words."""
    family = family_of(spec.key) or assertion_of(spec.key)
    if family is None:
        yield (), f"there is no rule of this name: did you mean `{nearest_key(spec.key)}`?"
        return
    reason = family.check(spec)
    if reason is not None:
        yield (), reason
        return
    for verb in ("allow", "deny", "require"):
        words = getattr(spec, verb)
        for word in sorted(words) if isinstance(words, frozenset) else ():
            reason = _word_fault(spec.key, word, tables)
            if reason is not None:
                yield (verb,), reason


def _word_fault(key: str, word: str, tables: Tables) -> str | None:
    if key in PLACES:
        return _place_fault(key, word, tables)
    known = _known(key, tables)
    if (
        known is None
        or word in known
        or (key == "weights.licence" and word.lower() in {each.lower() for each in known})
    ):
        return None
    return f"unknown {WHAT[key]} `{word}`{nearest(word, known)}"


def _place_fault(key: str, word: str, tables: Tables) -> str | None:
    if word in tables.groups or (word == GLOBAL and key in RESIDENCY):
        return None
    if len(word) == 2 or word.upper() not in {group.upper() for group in tables.groups}:
        reason = country_fault(word)
        groups = ", ".join(f"`{group}`" for group in sorted(tables.groups))
        return f"{reason}, or one of the groups {groups}" if reason and len(word) > 2 else reason
    return f"`{word}` is no group of countries{nearest(word, tables.groups)}"


WHAT: Final[Mapping[str, str]] = {
    "developer.id": "organisation",
    "developer.lists": "list",
    "model.id": "model",
    "operator.id": "organisation",
    "weights.licence": "licence",
}


def _known(key: str, tables: Tables) -> frozenset[str] | None:
    """The ids that a rule of this key may name; None where any word may stand."""
    match key:
        case "developer.id" | "operator.id":
            return frozenset(tables.organisations)
        case "model.id":
            return frozenset(tables.models)
        case "weights.licence":
            return frozenset(tables.licences) | {licence.spdx for licence in tables.licences.values()}
        case "developer.lists":
            entries = (organisation.lists.value or () for organisation in tables.organisations.values())
            return frozenset(listing.list_id for listings in entries for listing in listings)
        case _:
            return None
