"""What is known about organisations, licences, models and deployments, and how well it is known.

A fact is in one of four states. `known` has a value. `none` says, with a source, that there is nothing (a model derived
from no other). `undisclosed` says, with a source, that its owner does not tell. `unknown` means that we have no source;
a rule that asks for an unknown fact refuses. A fact with confidence `low` is shown to people but never permits.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from modelrouter.core.bounds import Overhead

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

    from modelrouter.core.bounds import BoundBasis
    from modelrouter.core.pricing import PriceList

__all__ = [
    "GLOBAL",
    "SELF",
    "UNKNOWN_SOURCE",
    "Agreement",
    "Caller",
    "Condition",
    "ConditionKind",
    "Confidence",
    "Deployment",
    "Fact",
    "Grade",
    "Hosting",
    "Licence",
    "Link",
    "LinkRole",
    "Listing",
    "Model",
    "Openness",
    "Organisation",
    "Ownership",
    "Source",
    "Standing",
    "State",
    "Terms",
    "Training",
    "World",
    "trusted",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SELF: Final = "self"
"""The operator, or developer, that is the caller itself."""
GLOBAL: Final = "global"
"""The place that is inside nothing: a machine anywhere."""


class State(enum.Enum):
    """How a fact is known."""

    KNOWN = "known"
    NONE = "none"
    UNDISCLOSED = "undisclosed"
    UNKNOWN = "unknown"


class Confidence(enum.IntEnum):
    """How good a source is. `LOW` never permits."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Grade(enum.Enum):
    """What a statement about places rests on: a contract, a technical pin, or somebody's word."""

    CONTRACTUAL = "contractual"
    TECHNICAL = "technical"
    ASSERTED = "asserted"


class Ownership(enum.Enum):
    """Whose file a fact came from."""

    SHIPPED = "shipped"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact comes from.

    Attributes:
        ref: a URL, a document, a person's role: what a reader goes to in order to check.
        checked_on: the day it was last checked; None is undated, which no `facts.age_days` rule accepts.
        confidence: medium when only a reference was given.
        grade: what a place or data term rests on; a bare reference is `asserted`.
        ownership: shipped with this package, or from a file of the user.
    """

    ref: str
    checked_on: date | None = None
    confidence: Confidence = Confidence.MEDIUM
    grade: Grade = Grade.ASSERTED
    ownership: Ownership = Ownership.SHIPPED


UNKNOWN_SOURCE: Final = Source(ref="no source", confidence=Confidence.LOW)


@dataclass(frozen=True, slots=True)
class Fact(Generic[T_co]):
    """A value with its state and source. Build one with `known`, `none`, `undisclosed` or `unknown`."""

    state: State
    value: T_co | None = None
    source: Source = UNKNOWN_SOURCE

    @staticmethod
    def known(value: T, source: Source) -> Fact[T]:
        """A value somebody can check."""
        return Fact(State.KNOWN, value, source)

    @staticmethod
    def none(source: Source) -> Fact[T]:
        """There is nothing, and a source says so."""
        return Fact(State.NONE, None, source)

    @staticmethod
    def undisclosed(source: Source) -> Fact[T]:
        """Its owner does not say."""
        return Fact(State.UNDISCLOSED, None, source)

    @staticmethod
    def unknown() -> Fact[T]:
        """We have no source."""
        return Fact(State.UNKNOWN)


def trusted(fact: Fact[T]) -> T | None:
    """The value of a fact, if it is good enough to rest a bound on: known, and not at low confidence."""
    is_good = fact.state is State.KNOWN and fact.source.confidence > Confidence.LOW
    return fact.value if is_good else None


class Training(enum.Enum):
    """Whether an operator trains on what passes through it."""

    NEVER = "never"
    OPT_OUT = "opt_out"
    USED = "used"


class Openness(enum.Enum):
    """How open a model is. `OPEN_SOURCE` means weights, code and data under open licences."""

    CLOSED = "closed"
    OPEN_WEIGHTS = "open_weights"
    OPEN_SOURCE = "open_source"


class Hosting(enum.Enum):
    """Who holds the weights: us, another operator, or the developer itself."""

    SELF_HOSTED = "self_hosted"
    MANAGED = "managed"
    VENDOR_API = "vendor_api"


@dataclass(frozen=True, slots=True)
class Listing:
    """An entry on a government list, such as the BIS Entity List.

    Attributes:
        list_id: the list, as `us-bis-entity-list`.
        since: first day on it; None where the day is not established (it then holds on every day).
        until: last day on it; None while it lasts.
    """

    list_id: str
    since: date | None
    until: date | None
    source: Source


@dataclass(frozen=True, slots=True)
class Terms:
    """What one operator does with what passes through it, and where. A deployment may state its own."""

    processing: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    storage: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    training: Fact[Training] = field(default_factory=Fact.unknown)
    retention_days: Fact[int] = field(default_factory=Fact.unknown)


@dataclass(frozen=True, slots=True)
class Organisation:
    """A company, institute or person in one namespace, whatever its roles.

    Attributes:
        id: as `mistral`; `self` is the caller.
        country: ISO 3166-1 alpha-2 of the entity one contracts with.
        parent: the id of the organisation that controls it.
        roles: any of `developer`, `operator`, `aggregator`, `cloud`; for people, no rule reads it.
        lists: dated entries on government lists, each of which speaks of its own list alone; `none` when a source says
            that it is on none of those we track.
        attestations: ids such as `fedramp-high`, `c5`, `hds`.
        terms: its own data terms, for when it is a link behind another operator.
    """

    id: str
    name: str
    country: Fact[str]
    parent: Fact[str]
    roles: frozenset[str] = frozenset()
    lists: Fact[tuple[Listing, ...]] = field(default_factory=Fact.unknown)
    attestations: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    terms: Terms = field(default_factory=Terms)


class ConditionKind(enum.Enum):
    """What a licence condition demands, and so what meets it."""

    THRESHOLD_ASK = "threshold_ask"  # above it, ask the licensor: met by an agreement of type `licence`
    THRESHOLD_DISPLAY = "threshold_display"  # above it, display a name: permits, the duty is shown
    THRESHOLD_NO_RIGHTS = "threshold_no_rights"  # above it, no rights at all
    REGISTRATION = "registration"  # register or ask first, whatever the size: met by an agreement of type `licence`
    TERRITORY = "territory"  # no rights for a caller whose country (or parent's) is in `territory`
    ATTRIBUTION = "attribution"  # permits, the duty is shown
    FIELD_OF_USE = "field_of_use"  # use restrictions that no fact of ours can judge: permits, the duty is shown


@dataclass(frozen=True, slots=True)
class Condition:
    """One typed condition of a licence.

    Attributes:
        metric: for thresholds, the name of a caller fact: `monthly_active_users`, `daily_active_users`,
            `yearly_revenue_usd`. Crossed by **more than** `value`.
        territory: for `TERRITORY`, country codes or groups.
        text: the duty in words, shown as an obligation.
    """

    kind: ConditionKind
    text: str
    metric: str | None = None
    value: int | None = None
    territory: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence of weights, as typed conditions.

    Attributes:
        id: the catalog's id, lower case, as `apache-2.0`.
        spdx: the SPDX id or LicenseRef, as `Apache-2.0`.
        commercial_use: whether commercial use is granted at all.
        conditions: `none` when a source says there are none.
        reaches_hosted_use: terms that bind even those who only call a hosted copy; shown as an obligation.
    """

    id: str
    spdx: str
    name: str
    commercial_use: Fact[bool]
    conditions: Fact[tuple[Condition, ...]]
    osi_approved: Fact[bool] = field(default_factory=Fact.unknown)
    reaches_hosted_use: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What an alias stands for on some days.

    Attributes:
        model: id of a model.
        since: first day; None where it is not established (it then stands for it on every day).
        until: last day; None while it lasts.
    """

    model: str
    since: date | None
    until: date | None
    source: Source


@dataclass(frozen=True, slots=True)
class Model:
    """Weights and version as their developer names them, wherever they run; or an alias, a name that moves over them.

    Attributes:
        developer: id of an organisation; `self` for one's own.
        derived_from: ids of the models whose weights it continues.
        distilled_from: ids of the models whose outputs it learned from.
        lineage_claim: ids named in an allegation; `none` where nobody claims anything.
        pinned: True for a dated id, release or weights revision; False for an alias that moves.
        retires_on: its last day of service.
        capabilities: ids such as `tools`, `vision`, `json_schema`, `reasoning`; `none` is a sourced "has none".
        alias_of: what this name stands for, by days; `none` where it is no alias. An alias whose standing is known has
            no weights of its own: rules about weights ask what it stands for.
    """

    id: str
    name: str
    developer: Fact[str]
    licence: Fact[str]
    openness: Fact[Openness]
    derived_from: Fact[frozenset[str]]
    distilled_from: Fact[frozenset[str]]
    lineage_claim: Fact[frozenset[str]]
    context_tokens: Fact[int] = field(default_factory=Fact.unknown)
    pinned: Fact[bool] = field(default_factory=Fact.unknown)
    retires_on: Fact[date] = field(default_factory=Fact.unknown)
    capabilities: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    family: str = ""
    alias_of: Fact[tuple[Standing, ...]] = field(default_factory=lambda: Fact.none(UNKNOWN_SOURCE))


class LinkRole(enum.Enum):
    """The part an organisation plays between us and the weights."""

    OPERATOR = "operator"
    VIA = "via"
    SUBPROCESSOR = "subprocessor"
    RUNS_ON = "runs_on"


@dataclass(frozen=True, slots=True)
class Link:
    """One organisation of a deployment's chain, with the terms that hold for it in this deployment.

    Attributes:
        attestations: of the one service that is used; None is what the organisation holds.
    """

    role: LinkRole
    organisation: str
    terms: Terms
    attestations: Fact[frozenset[str]] | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One callable endpoint: the unit of routing. What the wire needs (URL, key) is not here but in `ports.Endpoint`.

    Attributes:
        id: the user's name for it.
        model: id of a model.
        chain: operator first, then via, sub-processor and cloud where they exist.
        chain_complete: False while a link is not declared, such as the cloud under a self-hosted server.
        hosting: who holds the weights.
        context_tokens: what this endpoint serves, which may be less than the model's own window.
        price: what is paid; unknown refuses. A price of zero is unknown unless a person declared it free.
        bound_basis: how the upper bound on input tokens is known.
        overhead: tokens that the server's template may add.
        capabilities: what this endpoint can do of what the model can.
        pinned: whether the name it is called by stays the same weights.
        parameters: request parameters that it takes; None is every parameter of chat completions.
        billed_statuses: HTTP error statuses that the operator bills.
        quality: the user's own figure, higher is better; only `prefer: quality` reads it.
    """

    id: str
    model: str
    chain: tuple[Link, ...]
    hosting: Hosting
    price: Fact[PriceList]
    chain_complete: Fact[bool] = field(default_factory=Fact.unknown)
    context_tokens: Fact[int] = field(default_factory=Fact.unknown)
    capabilities: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    quantization: Fact[str] = field(default_factory=Fact.unknown)
    pinned: Fact[bool] = field(default_factory=Fact.unknown)
    retires_on: Fact[date] = field(default_factory=Fact.unknown)
    bound_basis: Fact[BoundBasis] = field(default_factory=Fact.unknown)
    overhead: Overhead = field(default_factory=Overhead)
    parameters: frozenset[str] | None = None
    billed_statuses: frozenset[int] = frozenset()
    quality: Fact[Decimal] = field(default_factory=Fact.unknown)

    @property
    def operator(self) -> str:
        """The organisation whose machines see the prompt."""
        return self.chain[0].organisation

    @property
    def contract_partner(self) -> str:
        """The organisation that agreements are made with: the aggregator if there is one, else the operator."""
        return next((link.organisation for link in self.chain if link.role is LinkRole.VIA), self.operator)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A paper between the caller and an organisation, valid through its last day, UTC."""

    type: str
    partner: str
    id: str = ""
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are. Absent numbers are unknown, and a licence threshold on an unknown number refuses.

    Attributes:
        country: ISO 3166-1 alpha-2.
        parent_country: country of the controlling owner; the same as `country` where there is none.
        metrics: `monthly_active_users`, `daily_active_users`, `yearly_revenue_usd`, … to whole numbers.
    """

    name: str = ""
    country: Fact[str] = field(default_factory=Fact.unknown)
    parent_country: Fact[str] = field(default_factory=Fact.unknown)
    metrics: Mapping[str, int] = field(default_factory=dict)
    agreements: tuple[Agreement, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """All static facts at one epoch. Immutable by agreement: a reload builds another one.

    Attributes:
        groups: dated country groups by id, as `EU`, by today's members.
        epoch: hash of everything here; part of each compiled verdict's key and of each decision in the ledger.
    """

    organisations: Mapping[str, Organisation]
    licences: Mapping[str, Licence]
    models: Mapping[str, Model]
    deployments: Mapping[str, Deployment]
    groups: Mapping[str, frozenset[str]]
    caller: Caller = field(default_factory=Caller)
    epoch: str = ""
