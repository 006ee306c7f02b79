"""A small world for the rules: organisations, licences, models and deployments, in which one fact can be swapped.

Constructors take plain values for known facts, None for a sourced "there is none", and a `Fact` for everything else.
What is told about invented organisations (`rhein-labs`, `lion-labs`, `great-bay`, `norwood`) is invented too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar

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
    Source,
    Terms,
    Training,
    World,
)
from modelrouter.core.pricing import PriceList

TODAY: Final = date(2026, 11, 22)

SOURCE: Final = Source("reviewed page", date(2026, 10, 1), Confidence.HIGH, Grade.TECHNICAL)
CONTRACT: Final = replace(SOURCE, ref="contract 114", grade=Grade.CONTRACTUAL)
WORD: Final = Source("somebody's word")
LOW: Final = replace(SOURCE, ref="a forum post", confidence=Confidence.LOW)

T = TypeVar("T")
Given: TypeAlias = "Fact[T] | T | None"


def fact(value: Given[T], source: Source = SOURCE) -> Fact[T]:
    """A fact as it is, a plain value as known, None as a sourced nothing."""
    if isinstance(value, Fact):
        return value
    return Fact.none(source) if value is None else Fact.known(value, source)


def low(value: T | None) -> Fact[T]:
    """The same on a source that nobody should rely on."""
    return fact(value, LOW)


def names(text: str) -> frozenset[str]:
    """A set written as words."""
    return frozenset(text.split())


def places(text: str, source: Source = SOURCE) -> Fact[frozenset[str]]:
    """Known places, written as words."""
    return Fact.known(names(text), source)


UNKNOWN: Final[Fact[str]] = Fact.unknown()
UNDISCLOSED: Final[Fact[str]] = Fact.undisclosed(SOURCE)
UNKNOWN_SET: Final[Fact[frozenset[str]]] = Fact.unknown()
UNDISCLOSED_SET: Final[Fact[frozenset[str]]] = Fact.undisclosed(SOURCE)
UNKNOWN_YES: Final[Fact[bool]] = Fact.unknown()


def organisation(
    name: str,
    country: Given[str],
    parent: Given[str] = None,
    *,
    lists: Given[tuple[Listing, ...]] = None,
    attestations: Given[frozenset[str]] = None,
) -> Organisation:
    """An organisation about which everything is known: by default without parent, on no list, attested for nothing."""
    return Organisation(
        name, name.title(), fact(country), fact(parent), lists=fact(lists), attestations=fact(attestations)
    )


def listing(since: date | None = None, until: date | None = None, source: Source = SOURCE) -> tuple[Listing, ...]:
    """One entry on the list that the cases ask for."""
    return (Listing("us-bis-entity-list", since, until, source),)


def licence(
    name: str, spdx: str, *conditions: Condition, commercial_use: Given[bool] = True, reaches_hosted_use: bool = False
) -> Licence:
    """A licence with its conditions; none given means that there are none."""
    found: Fact[tuple[Condition, ...]] = fact(conditions or None)
    return Licence(name, spdx, spdx, fact(commercial_use), found, reaches_hosted_use=reaches_hosted_use)


def model(
    name: str,
    developer: Given[str],
    licence: Given[str] = "apache-2.0",
    *,
    openness: Given[Openness] = Openness.OPEN_WEIGHTS,
    derived_from: Given[frozenset[str]] = None,
    distilled_from: Given[frozenset[str]] = None,
    lineage_claim: Given[frozenset[str]] = None,
    capabilities: Given[frozenset[str]] = frozenset({"json_schema", "tools"}),
    pinned: Given[bool] = True,
) -> Model:
    """A model that continues no other, learned from none, and is pinned."""
    return Model(
        name,
        name,
        fact(developer),
        fact(licence),
        fact(openness),
        fact(derived_from),
        fact(distilled_from),
        fact(lineage_claim),
        capabilities=fact(capabilities),
        pinned=fact(pinned),
        context_tokens=fact(131_072),
    )


def terms(
    processing: Given[frozenset[str]] = frozenset({"DE"}),
    storage: Given[frozenset[str]] = frozenset({"DE"}),
    training: Given[Training] = Training.NEVER,
    retention_days: Given[int] = 30,
) -> Terms:
    """Terms of a careful operator in Germany."""
    return Terms(fact(processing), fact(storage), fact(training), fact(retention_days))


def link(role: LinkRole, name: str, *, given: Terms | None = None) -> Link:
    """One organisation of a chain, with careful terms unless others are given."""
    return Link(role, name, terms() if given is None else given)


def price(
    input_usd: str = "2",
    output_usd: str = "8",
    *,
    cached: str | None = None,
    reasoning: str | None = None,
    request: str = "0",
    free: bool = False,
) -> PriceList:
    """A price list; amounts in dollars, per million tokens except the fee."""
    return PriceList(
        Decimal(input_usd),
        Decimal(output_usd),
        None if cached is None else Decimal(cached),
        None if reasoning is None else Decimal(reasoning),
        Decimal(request),
        free=free,
    )


def deployment(
    name: str,
    model: str,
    operator: str,
    *others: Link,
    given: Terms | None = None,
    hosting: Hosting = Hosting.VENDOR_API,
    complete: Given[bool] = True,
) -> Deployment:
    """A deployment of which everything is known."""
    return Deployment(
        id=name,
        model=model,
        chain=(link(LinkRole.OPERATOR, operator, given=given), *others),
        hosting=hosting,
        price=fact(price()),
        chain_complete=fact(complete),
        context_tokens=fact(131_072),
        capabilities=fact(frozenset({"json_schema", "tools"})),
        quantization=fact("bf16"),
        pinned=fact(True),
        bound_basis=fact(BoundBasis.DOCUMENTED),
    )


def self_hosted(model: str, *others: Link, name: str = "own", complete: Given[bool] = True) -> Deployment:
    """A model on our own server; without another link it stands in our own rooms."""
    return deployment(name, model, "self", *others, hosting=Hosting.SELF_HOSTED, complete=complete)


def with_terms(
    given: Deployment,
    role: LinkRole = LinkRole.OPERATOR,
    *,
    processing: Fact[frozenset[str]] | None = None,
    storage: Fact[frozenset[str]] | None = None,
    training: Fact[Training] | None = None,
    retention_days: Fact[int] | None = None,
) -> Deployment:
    """The same deployment, one link of which has other terms."""
    old = next(link.terms for link in given.chain if link.role is role)
    new = Terms(
        processing or old.processing,
        storage or old.storage,
        training or old.training,
        retention_days or old.retention_days,
    )
    chain = tuple(replace(link, terms=new) if link.role is role else link for link in given.chain)
    return replace(given, chain=chain)


NORDIC: Final = names("DK FI SE")
EU: Final = NORDIC | names("AT BE BG CY CZ DE EE ES FR GR HR HU IE IT LT LU LV MT NL PL PT RO SI SK")
GROUPS: Final = {"EU": EU, "EEA": EU | names("IS LI NO"), "NORDIC": NORDIC}

ORGANISATIONS: Final = (
    organisation("alibaba", "CN"),
    organisation("alibaba-cloud-sg", "SG", "alibaba"),
    organisation("straits-inference", "MY", "alibaba-cloud-sg"),
    organisation("deepseek", "CN"),
    organisation("moonshot", "CN"),
    organisation("great-bay", "CN", lists=listing(date(2025, 1, 16))),
    organisation("openrouter", "US"),
    organisation("mistral", "FR"),
    organisation("microsoft", "US", attestations=names("c5 fedramp-high")),
    organisation("azure", "US", "microsoft", attestations=names("c5 fedramp-high")),
    organisation("anthropic", "US", attestations=names("c5")),
    organisation("openai", "US"),
    organisation("meta", "US"),
    organisation("nous", "US"),
    organisation("hetzner", "DE", attestations=names("c5")),
    organisation("rhein-labs", "DE"),
    organisation("lion-labs", "SG", "alibaba"),
    organisation("norwood", "GB"),
)

DISPLAY: Final = Condition(
    ConditionKind.THRESHOLD_DISPLAY, "display `Kimi K2`", metric="monthly_active_users", value=100_000_000
)
ASK: Final = Condition(
    ConditionKind.THRESHOLD_ASK, "request a licence from Meta", metric="monthly_active_users", value=700_000_000
)
NO_RIGHTS: Final = Condition(
    ConditionKind.THRESHOLD_NO_RIGHTS, "no rights above the revenue", metric="yearly_revenue_usd", value=20_000_000
)
NOT_IN_EU: Final = Condition(ConditionKind.TERRITORY, "no rights in the EU", territory=names("EU"))
ATTRIBUTION: Final = Condition(ConditionKind.ATTRIBUTION, "show `Built with Llama`")
FIELD: Final = Condition(ConditionKind.FIELD_OF_USE, "no military use")
REGISTER: Final = Condition(ConditionKind.REGISTRATION, "register before commercial use")

LICENCES: Final = (
    licence("apache-2.0", "Apache-2.0"),
    licence("mit", "MIT"),
    licence("llama-3.3", "LicenseRef-Llama-3.3", ASK, ATTRIBUTION),
    licence("llama-4", "LicenseRef-Llama-4", ASK, ATTRIBUTION, NOT_IN_EU, reaches_hosted_use=True),
    licence("modified-mit", "LicenseRef-Modified-MIT", DISPLAY),
    licence("small-business", "LicenseRef-Small-Business", NO_RIGHTS),
    licence("registered", "LicenseRef-Registered", REGISTER),
    licence("research", "LicenseRef-Research", commercial_use=False),
    licence("open-rail", "LicenseRef-OpenRAIL", FIELD),
    licence("closed", "LicenseRef-Closed"),
)

MODELS: Final = (
    model("gpt-5", "openai", "closed", openness=Openness.CLOSED, distilled_from=UNDISCLOSED_SET),
    model("claude-opus", "anthropic", "closed", openness=Openness.CLOSED),
    model("mistral-medium", "mistral", "closed", openness=Openness.CLOSED),
    model("mistral-small", "mistral"),
    model("qwen3-32b", "alibaba", distilled_from=UNDISCLOSED_SET),
    model("lion-7b", "lion-labs"),
    model("deepseek-v3", "deepseek", "mit"),
    model("deepseek-r1", "deepseek", "mit", derived_from=names("deepseek-v3")),
    model("llama-3.3", "meta", "llama-3.3"),
    model("llama-4", "meta", "llama-4"),
    model("kimi-k2", "moonshot", "modified-mit"),
    model("olmo", "nous", openness=Openness.OPEN_SOURCE),
    model("r1-distill-llama", "deepseek", "mit", derived_from=names("llama-3.3"), distilled_from=names("deepseek-r1")),
    model("hermes-r", "nous", "mit", derived_from=names("llama-3.3"), distilled_from=names("deepseek-r1")),
    model("rhein-merge", "rhein-labs", "mit", derived_from=names("deepseek-v3 deepseek-r1")),
    model("acme-support", "self", derived_from=names("mistral-small")),
    model("acme-merge", "self", derived_from=names("rhein-merge")),
    model("acme-hermes", "self", derived_from=names("hermes-r")),
    model("quiet-7b", "rhein-labs", derived_from=UNDISCLOSED_SET),
    model("murky-7b", "rhein-labs", derived_from=UNKNOWN_SET, distilled_from=UNKNOWN_SET),
    model("norwood-12b", "norwood", lineage_claim=names("deepseek-r1")),
    model("bay-9b", "great-bay"),
)

CALLER: Final = Caller(
    name="Acme GmbH",
    country=fact("DE"),
    parent_country=fact("DE"),
    metrics={"monthly_active_users": 40_000, "yearly_revenue_usd": 8_000_000},
    agreements=(
        Agreement("dpa", "mistral", "2026-114", date(2027, 5, 1)),
        Agreement("dpa", "azure", "2026-020"),
        Agreement("dpa", "openrouter", "2026-031"),
    ),
)

GPT: Final = deployment("gpt", "gpt-5", "azure", hosting=Hosting.MANAGED)
CLAUDE: Final = deployment(
    "claude", "claude-opus", "azure", link(LinkRole.SUBPROCESSOR, "anthropic"), hosting=Hosting.MANAGED
)
MISTRAL: Final = deployment("mistral", "mistral-medium", "mistral")
QWEN_SG: Final = deployment("qwen-sg", "qwen3-32b", "alibaba-cloud-sg", hosting=Hosting.MANAGED)
QWEN_VIA: Final = deployment(
    "qwen-via", "qwen3-32b", "alibaba-cloud-sg", link(LinkRole.VIA, "openrouter"), hosting=Hosting.MANAGED
)
MISTRAL_VIA: Final = deployment("mistral-via", "mistral-medium", "mistral", link(LinkRole.VIA, "openrouter"))
DEEPSEEK: Final = deployment("deepseek", "deepseek-v3", "deepseek")
RENTED: Final = self_hosted("mistral-small", link(LinkRole.RUNS_ON, "hetzner"), name="rented")
CELLAR: Final = self_hosted("mistral-small", name="cellar")
SOMEWHERE: Final = self_hosted("mistral-small", name="somewhere", complete=False)


@dataclass(frozen=True, slots=True)
class Without:
    """An organisation, model or licence that the world shall not know."""

    name: str


def world(*changes: Organisation | Licence | Model | Caller | Without) -> World:
    """The small world, with entries replaced, added or taken away."""
    organisations = {item.id: item for item in ORGANISATIONS}
    licences = {item.id: item for item in LICENCES}
    models = {item.id: item for item in MODELS}
    caller = CALLER
    for change in changes:
        match change:
            case Organisation():
                organisations[change.id] = change
            case Licence():
                licences[change.id] = change
            case Model():
                models[change.id] = change
            case Caller():
                caller = change
            case Without():
                for table in (organisations, licences, models):
                    table.pop(change.name, None)
    found = (GPT, CLAUDE, MISTRAL, QWEN_SG, QWEN_VIA, MISTRAL_VIA, DEEPSEEK, RENTED, CELLAR, SOMEWHERE)
    deployments = {item.id: item for item in found}
    return World(organisations, licences, models, deployments, GROUPS, caller, epoch="cases")


WORLD: Final = world()


def caller(*agreements: Agreement, country: Given[str] = "DE", parent: Given[str] = "DE", **metrics: int) -> Caller:
    """A caller with these agreements and numbers alone."""
    return Caller("Acme", fact(country), fact(parent), metrics, agreements)
