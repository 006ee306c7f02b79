"""The grounds of decisions, read from what `grounds_text` wrote. Pure."""

from __future__ import annotations

import enum
import json
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from modelrouter.core.bounds import BoundBasis
from modelrouter.core.facts import (
    Agreement,
    Caller,
    Condition,
    ConditionKind,
    Confidence,
    Deployment,
    Fact,
    Grade,
    Hosting,
    Licence,
    Link,
    LinkRole,
    Listing,
    Model,
    Openness,
    Organisation,
    Ownership,
    Source,
    Standing,
    State,
    Terms,
    Training,
    World,
)
from modelrouter.core.failure import FailureKind
from modelrouter.core.grounds import Grounds
from modelrouter.core.overhead import Escapes, ImageTokens, Normaliser, Overhead
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec, Waiver
from modelrouter.core.pricing import PriceList
from modelrouter.core.request import Needs, Reasoning
from modelrouter.core.route import Objective, Route, Timeouts, Try

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DECIMAL", "GroundsReader", "Written"]

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)
Read: TypeAlias = "Callable[[Any], Any]"
Written: TypeAlias = "dict[str, Any]"

DECIMAL: Final = "decimal"
"""Stands before a decimal where a text or a whole number may stand as well."""


def _enum(kind: type[E]) -> Callable[[str], E]:
    return lambda written: kind[written.upper()]


def _or_none(read: Read) -> Read:
    return lambda written: None if written is None else read(written)


def _record(kind: Callable[..., T], readers: Mapping[str, Read]) -> Callable[[Written], T]:
    """A record; what a later version has beside is at its default."""
    return lambda written: kind(**{name: readers[name](value) for name, value in written.items()})


def _each(read: Callable[[Any], T]) -> Callable[[list[Any]], tuple[T, ...]]:
    return lambda written: tuple(map(read, written))


def _by_name(read: Callable[[Any], T]) -> Callable[[Written], dict[str, T]]:
    return lambda written: {name: read(value) for name, value in written.items()}


def _same(written: Any) -> Any:  # noqa: ANN401 - JSON
    return written


def _limit(written: Any) -> Any:  # noqa: ANN401 - JSON
    return Decimal(written[DECIMAL]) if isinstance(written, dict) else written


def _option(written: Any) -> Any:  # noqa: ANN401 - JSON
    return tuple(written) if isinstance(written, list) else written


def _required(written: Any) -> Any:  # noqa: ANN401 - JSON
    return frozenset(written) if isinstance(written, list) else written


def _price(written: Written) -> PriceList:
    return PriceList.from_text(json.dumps(written))


DAY: Final[Read] = _or_none(date.fromisoformat)
SET: Final[Read] = _or_none(frozenset)
SOURCE: Final = _record(
    Source,
    {
        "ref": str,
        "checked_on": DAY,
        "confidence": _enum(Confidence),
        "grade": _enum(Grade),
        "ownership": _enum(Ownership),
    },
)
RULE: Final = _record(
    RuleSpec,
    {
        **dict.fromkeys(("key", "because", "ref"), str),
        **dict.fromkeys(("allow", "deny"), SET),
        **dict.fromkeys(("at_least", "at_most"), _limit),
        "require": _required,
        "options": _by_name(_option),
    },
)
WAIVER: Final = _record(
    Waiver, {**dict.fromkeys(("id", "rule", "subject", "because", "owner"), str), "expires": date.fromisoformat}
)
POLICY: Final = _record(
    Policy,
    {
        **dict.fromkeys(("name", "description", "digest"), str),
        "rules": _each(RULE),
        "applies_to": _by_name(frozenset),
        "waivers": _each(WAIVER),
        "observe": bool,
    },
)
CONDITION: Final = _record(
    Condition,
    {"kind": _enum(ConditionKind), "territory": frozenset, **dict.fromkeys(("text", "metric", "value"), _same)},
)
IMAGE: Final = _record(
    ImageTokens,
    {
        **dict.fromkeys(("most_tokens", "patch_px", "base_tokens", "least_tokens", "low_tokens"), _same),
        "tokens_per_patch": Decimal,
    },
)
OVERHEAD: Final = _record(
    Overhead,
    {
        **{each.name: _same for each in fields(Overhead)},
        "json_escapes": _enum(Escapes),
        "normaliser": _enum(Normaliser),
        "image": _or_none(IMAGE),
    },
)
NEEDS: Final = _record(Needs, {"context_tokens": _same, "capabilities": frozenset, "parameters": frozenset})
TRY: Final = _record(Try, {"weights": dict, "sticky": _same, "equals": bool})
TIMEOUTS: Final = _record(Timeouts, {each.name: _same for each in fields(Timeouts)})
AGREEMENT: Final = _record(Agreement, {**dict.fromkeys(("type", "partner", "id"), str), "expires": DAY})


class GroundsReader:
    """Reads a text, whose facts name their sources by place."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._sources = [SOURCE(each) for each in written["sources"]]
        self._policies = [POLICY(each) for each in written["policies"]]
        text, ids = self._fact(str), self._fact(frozenset)
        self._terms = _record(
            Terms,
            {
                **dict.fromkeys(("processing", "storage"), ids),
                "training": self._fact(_enum(Training)),
                "retention_days": self._fact(int),
            },
        )
        self._listing = _record(
            Listing, {"list_id": str, **dict.fromkeys(("since", "until"), DAY), "source": self._source}
        )
        self._standing = _record(
            Standing, {"model": str, **dict.fromkeys(("since", "until"), DAY), "source": self._source}
        )
        self._organisation = _record(
            Organisation,
            {
                **dict.fromkeys(("id", "name"), str),
                **dict.fromkeys(("country", "parent"), text),
                "roles": frozenset,
                "lists": self._fact(_each(self._listing)),
                "attestations": ids,
                "terms": self._terms,
            },
        )
        self._licence = _record(
            Licence,
            {
                **dict.fromkeys(("id", "spdx", "name"), str),
                **dict.fromkeys(("commercial_use", "osi_approved"), self._fact(bool)),
                "conditions": self._fact(_each(CONDITION)),
                "reaches_hosted_use": bool,
            },
        )
        self._model = _record(
            Model,
            {
                **dict.fromkeys(("id", "name", "family"), str),
                **dict.fromkeys(("developer", "licence"), text),
                **dict.fromkeys(("derived_from", "distilled_from", "lineage_claim", "capabilities"), ids),
                "openness": self._fact(_enum(Openness)),
                "context_tokens": self._fact(int),
                "pinned": self._fact(bool),
                "retires_on": self._fact(date.fromisoformat),
                "alias_of": self._fact(_each(self._standing)),
            },
        )
        self._link = _record(
            Link,
            {"role": _enum(LinkRole), "organisation": str, "terms": self._terms, "attestations": _or_none(ids)},
        )

    def grounds(self) -> Grounds:
        """All of it."""
        written = self._written
        return Grounds(
            world=self._world(written["world"]),
            routes=_by_name(self._route)(written["routes"]),
            policies={
                name: tuple(self._policies[each] for each in places) for name, places in written["added"].items()
            },
            version=str(written["package"]),
            texts=dict(written["texts"]),
        )

    def _world(self, written: Written) -> World:
        return _record(
            World,
            {
                "organisations": _by_name(self._organisation),
                "licences": _by_name(self._licence),
                "models": _by_name(self._model),
                "deployments": _by_name(self._deployment()),
                "groups": _by_name(frozenset),
                "caller": self._caller,
                "epoch": str,
            },
        )(written)

    def _deployment(self) -> Read:
        return _record(
            Deployment,
            {
                **dict.fromkeys(("id", "model"), str),
                "chain": _each(self._link),
                "hosting": _enum(Hosting),
                "price": self._fact(_price),
                **dict.fromkeys(("chain_complete", "pinned"), self._fact(bool)),
                "context_tokens": self._fact(int),
                "capabilities": self._fact(frozenset),
                "quantization": self._fact(str),
                "retires_on": self._fact(date.fromisoformat),
                "bound_basis": self._fact(_enum(BoundBasis)),
                "overhead": OVERHEAD,
                "parameters": SET,
                "billed_statuses": frozenset,
                "quality": self._fact(Decimal),
            },
        )

    def _caller(self, written: Written) -> Caller:
        place = self._fact(str)
        readers: dict[str, Read] = {"name": str, "metrics": dict, "agreements": _each(AGREEMENT)}
        return _record(Caller, {**readers, "country": place, "parent_country": place})(written)

    def _route(self, written: Written) -> Route:
        readers: dict[str, Read] = {
            **{each.name: _same for each in fields(Route)},
            "tries": _each(TRY),
            "layers": _each(self._layer),
            "objective": _enum(Objective),
            "needs": NEEDS,
            "reasoning": _or_none(_enum(Reasoning)),
            "timeouts": TIMEOUTS,
            "returned": lambda names: frozenset(map(_enum(FailureKind), names)),
        }
        return _record(Route, readers)(written)

    def _layer(self, written: list[Any]) -> Layer:
        place, level, waivers_active = written
        return Layer(self._policies[place], Level(level), waivers_active=waivers_active)

    def _source(self, place: int) -> Source:
        return self._sources[place]

    def _fact(self, read: Callable[[Any], T]) -> Callable[[Written | None], Fact[T]]:
        def fact(written: Written | None) -> Fact[T]:
            if written is None:
                return Fact.unknown()
            value = written["value"]
            source = self._source(written["source"])
            return Fact(State[written["state"].upper()], None if value is None else read(value), source)

        return fact
