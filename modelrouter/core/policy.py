"""Policies as values: a named set of yes-no rules, judged alone, and the exceptions somebody signed for.

Permitted means permitted by **every** layer. Nothing is merged, so adding a layer or a rule can only remove candidates.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.facts import Source

__all__ = ["Judgement", "Layer", "Level", "Obligation", "Outcome", "Policy", "RuleSpec", "UsedFact", "Waiver", "binds"]

Scalar: TypeAlias = str | bool | int | Decimal


class Level(enum.Enum):
    """Who asked for a policy: a house file, the config's top, the route, or the call."""

    HOUSE = "house"
    CONFIG = "config"
    ROUTE = "route"
    REQUEST = "request"


class Outcome(enum.Enum):
    """One rule's answer. `UNKNOWN` refuses like `REFUSED`; when both apply, refused is what is reported."""

    PERMITTED = "permitted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule as written: the path of the fact and the verbs that test it.

    Attributes:
        key: as `processing.country`.
        allow: every member of the fact must be in it; None asks nothing. Never empty.
        deny: no member of the fact may be in it; None asks nothing.
        at_least: `min`.
        at_most: `max`.
        require: ids or `true` that must be there.
        options: the family's own parameters, as `lineage`, `undisclosed`, `grade`, `hosting`.
        because: the reason, for people.
        ref: the law, contract or minutes it rests on.
    """

    key: str
    allow: frozenset[str] | None = None
    deny: frozenset[str] | None = None
    at_least: Scalar | None = None
    at_most: Scalar | None = None
    require: frozenset[str] | bool | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    because: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Waiver:
    """An exception to one rule of one policy for one deployment, valid through its last day, UTC.

    Attributes:
        rule: as `eu-customers/data.retention_days`.
        subject: id of a deployment.
    """

    id: str
    rule: str
    subject: str
    because: str
    owner: str
    expires: date


@dataclass(frozen=True, slots=True)
class Policy:
    """A named set of rules.

    Attributes:
        applies_to: tag to the values for which the policy binds; empty binds always, an absent tag binds.
        waivers: only those written in the file that owns the rules, or in a house above it.
        observe: record the rules instead of enforcing them; loosens nobody else's.
        digest: content hash, for the ledger.
    """

    name: str
    rules: tuple[RuleSpec, ...]
    description: str = ""
    applies_to: Mapping[str, frozenset[str]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    observe: bool = False
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """A policy as it binds one request.

    Attributes:
        waivers_active: False when the policy binds only because a tag is missing: that never activates a waiver.
    """

    policy: Policy
    level: Level
    waivers_active: bool = True


@dataclass(frozen=True, slots=True)
class UsedFact:
    """A fact that a rule read, for `facts.confidence`, `facts.age_days` and for people.

    Attributes:
        path: as `gpt.processing` or `alibaba.parent`: whose fact, and which.
        shown: the value in words.
    """

    path: str
    shown: str
    source: Source


@dataclass(frozen=True, slots=True)
class Obligation:
    """A duty that a permitted use brings along, as showing a licence's name."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """One rule's answer for one deployment.

    Attributes:
        reason: the shortest words that tell why, as `parent CN`, `global`, `unknown`; empty when permitted.
        fact: path of the fact that decided it; empty when permitted.
        used: every fact it read.
        remedy: what would turn the answer, as `` `gpt` known to retain at most 30 days ``; empty when permitted.
        missing: paths of all facts for want of which the answer is `UNKNOWN`.
    """

    outcome: Outcome
    reason: str = ""
    fact: str = ""
    used: tuple[UsedFact, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    remedy: str = ""
    missing: tuple[str, ...] = ()


def binds(policy: Policy, tags: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a policy binds a request, and whether its waivers are active.

    Every tag it names must match or be absent; with one absent it binds, but its waivers do not hold.
    """
    complete = True
    for tag, values in policy.applies_to.items():
        value = tags.get(tag)
        if value is None:
            complete = False
        elif value not in values:
            return False, False
    return True, complete
