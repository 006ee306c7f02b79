"""Who runs the machines: every link of the chain, and the parents of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.facts import LinkRole
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CALLER,
    CELLAR,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MISTRAL,
    MISTRAL_VIA,
    QWEN_SG,
    QWEN_VIA,
    RENTED,
    SOMEWHERE,
    UNDISCLOSED,
    UNDISCLOSED_SET,
    UNKNOWN_SET,
    UNKNOWN_YES,
    Without,
    caller,
    deployment,
    fact,
    link,
    low,
    names,
    organisation,
    self_hosted,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

if TYPE_CHECKING:
    from modelrouter.core.policy import RuleSpec

NO_CHINA = rule("operator.country", deny="CN HK MO")
C5 = rule("operator.attestations", require="c5")
CHINESE_WEIGHTS_AT_HOME = self_hosted("qwen3-32b")
QWEN_VIA_SG = deployment("qwen-fr", "qwen3-32b", "mistral", link(LinkRole.VIA, "alibaba-cloud-sg"))
CLAUDE_ON_CN = deployment("claude-cn", "claude-opus", "azure", link(LinkRole.SUBPROCESSOR, "deepseek"))
RENTED_IN_CN = self_hosted("mistral-small", link(LinkRole.RUNS_ON, "alibaba-cloud-sg"))

COUNTRY = (
    Case("an operator in a denied country is refused", NO_CHINA, DEEPSEEK, REFUSED, "CN", used=("deepseek.country",)),
    Case(
        "an operator outside the denied countries is permitted, its parent included",
        NO_CHINA,
        GPT,
        PERMITTED,
        used=("azure.country", "azure.parent", "microsoft.country", "microsoft.parent"),
        turns_on=None,
    ),
    Case(
        "a Singapore subsidiary of a Chinese group is refused for its parent", NO_CHINA, QWEN_SG, REFUSED, "parent CN"
    ),
    Case(
        "allowing Singapore does not allow the parent",
        rule("operator.country", allow="SG"),
        QWEN_SG,
        REFUSED,
        "parent CN",
    ),
    Case("allowing Singapore and China permits it", rule("operator.country", allow="SG CN"), QWEN_SG, PERMITTED),
    Case(
        "a grandparent counts", NO_CHINA, deployment("straits", "qwen3-32b", "straits-inference"), REFUSED, "parent CN"
    ),
    Case("Chinese weights on our own server have no Chinese operator", NO_CHINA, CHINESE_WEIGHTS_AT_HOME, PERMITTED),
    Case(
        "an operator inside the allowed countries is permitted",
        rule("operator.country", allow="FR"),
        MISTRAL,
        PERMITTED,
    ),
    Case(
        "an operator outside the allowed countries is refused",
        rule("operator.country", allow="DE"),
        MISTRAL,
        REFUSED,
        "FR",
    ),
    Case(
        "an allowed country does not make up for a denied parent",
        rule("operator.country", allow="SG US", deny="CN"),
        QWEN_SG,
        REFUSED,
        "parent CN",
    ),
    Case("an American aggregator does not hide the operator behind it", NO_CHINA, QWEN_VIA, REFUSED, "parent CN"),
    Case("an aggregator sees the prompt and is asked", NO_CHINA, QWEN_VIA_SG, REFUSED, "parent CN"),
    Case(
        "the aggregator's country must be allowed too", rule("operator.country", allow="FR"), MISTRAL_VIA, REFUSED, "US"
    ),
    Case(
        "operator and aggregator allowed together pass",
        rule("operator.country", allow="FR US"),
        MISTRAL_VIA,
        PERMITTED,
        used=("mistral.country", "openrouter.country"),
    ),
    Case("a sub-processor is asked", NO_CHINA, CLAUDE_ON_CN, REFUSED, "CN"),
    Case(
        "a sub-processor's country must be allowed too",
        rule("operator.country", allow="US"),
        CLAUDE,
        REFUSED,
        "GB",
        world(organisation("anthropic", "GB")),
    ),
    Case(
        "a chain of Americans passes",
        rule("operator.country", allow="US"),
        CLAUDE,
        PERMITTED,
        used=("azure.country", "anthropic.country"),
    ),
    Case("the cloud under our own server is asked", NO_CHINA, RENTED_IN_CN, REFUSED, "parent CN"),
    Case(
        "our own server on a German cloud is German",
        rule("operator.country", allow="DE"),
        RENTED,
        PERMITTED,
        used=("hetzner.country",),
    ),
    Case("our own server in our own rooms is ours alone", rule("operator.country", allow="DE"), CELLAR, PERMITTED),
    Case("our own server on a cloud that nobody declared is unknown", NO_CHINA, SOMEWHERE, UNKNOWN),
    Case(
        "a chain of which nobody says whether it is complete is unknown",
        NO_CHINA,
        replace(MISTRAL, chain_complete=UNKNOWN_YES),
        UNKNOWN,
    ),
    Case(
        "a denied operator beats an incomplete chain",
        NO_CHINA,
        replace(DEEPSEEK, chain_complete=fact(False)),
        REFUSED,
        "CN",
    ),
    Case(
        "that a chain is complete needs more than a low source",
        NO_CHINA,
        replace(RENTED, chain_complete=low(True)),
        NO,
        "low confidence",
    ),
    Case("we have our own country", rule("operator.country", allow="FR"), CELLAR, REFUSED, "DE"),
    Case(
        "we have our own owner",
        NO_CHINA,
        CELLAR,
        REFUSED,
        "parent CN",
        world(replace(CALLER, parent_country=fact("CN"))),
    ),
    Case(
        "we are unknown while we do not say where we are",
        NO_CHINA,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(caller(country=NOT_KNOWN)),
    ),
    Case(
        "an unknown country refuses as unknown",
        NO_CHINA,
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(organisation("mistral", NOT_KNOWN)),
    ),
    Case(
        "an undisclosed country does not pass",
        NO_CHINA,
        MISTRAL,
        NO,
        "undisclosed",
        world(organisation("mistral", UNDISCLOSED)),
    ),
    Case(
        "an unknown parent refuses as unknown",
        NO_CHINA,
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(organisation("mistral", "FR", NOT_KNOWN)),
    ),
    Case(
        "an undisclosed parent does not pass",
        NO_CHINA,
        MISTRAL,
        NO,
        "undisclosed",
        world(organisation("mistral", "FR", UNDISCLOSED)),
    ),
    Case(
        "an operator that nobody described is unknown", NO_CHINA, MISTRAL, UNKNOWN, "unknown", world(Without("mistral"))
    ),
    Case(
        "a low source does not permit",
        rule("operator.country", allow="FR"),
        MISTRAL,
        NO,
        "low confidence",
        world(organisation("mistral", low("FR"))),
    ),
    Case("a low source does refuse", NO_CHINA, MISTRAL, REFUSED, "CN", world(organisation("mistral", low("CN")))),
    Case(
        "one unknown link spoils a good chain",
        rule("operator.country", allow="FR US"),
        MISTRAL_VIA,
        UNKNOWN,
        "unknown",
        world(organisation("openrouter", NOT_KNOWN)),
    ),
    Case(
        "a denied link beats an unknown one",
        NO_CHINA,
        QWEN_VIA,
        REFUSED,
        "CN",
        world(organisation("openrouter", NOT_KNOWN)),
    ),
    Case(
        "a link outside the allowed countries beats an unknown one",
        rule("operator.country", allow="US"),
        MISTRAL_VIA,
        REFUSED,
        "FR",
        world(organisation("openrouter", NOT_KNOWN)),
    ),
)

IDENTITY = (
    Case("an operator denied by name is refused", rule("operator.id", deny="deepseek"), DEEPSEEK, REFUSED, "deepseek"),
    Case("denying the parent denies the daughter", rule("operator.id", deny="microsoft"), GPT, REFUSED, "microsoft"),
    Case("denying the group denies its cloud abroad", rule("operator.id", deny="alibaba"), QWEN_SG, REFUSED, "alibaba"),
    Case("allowing the parent allows the daughter", rule("operator.id", allow="microsoft"), GPT, PERMITTED),
    Case(
        "allowing the daughter allows it, though its parent is not named",
        rule("operator.id", allow="azure"),
        GPT,
        PERMITTED,
    ),
    Case(
        "allowing a daughter does not allow its parent",
        rule("operator.id", allow="straits-inference"),
        QWEN_SG,
        REFUSED,
        "alibaba",
    ),
    Case(
        "an aggregator must be allowed by name",
        rule("operator.id", allow="mistral"),
        MISTRAL_VIA,
        REFUSED,
        "openrouter",
    ),
    Case(
        "an aggregator can be denied by name",
        rule("operator.id", deny="openrouter"),
        MISTRAL_VIA,
        REFUSED,
        "openrouter",
    ),
    Case("a sub-processor can be denied by name", rule("operator.id", deny="anthropic"), CLAUDE, REFUSED, "anthropic"),
    Case("only ourselves means without a rented cloud", rule("operator.id", allow="self"), RENTED, REFUSED, "hetzner"),
    Case("only ourselves permits our own rooms", rule("operator.id", allow="self"), CELLAR, PERMITTED),
    Case("ourselves and the cloud by name pass", rule("operator.id", allow="self hetzner"), RENTED, PERMITTED),
    Case("only ourselves leaves an undeclared cloud unknown", rule("operator.id", allow="self"), SOMEWHERE, UNKNOWN),
    Case(
        "an unknown parent could be the denied one",
        rule("operator.id", deny="microsoft"),
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(organisation("mistral", "FR", NOT_KNOWN)),
    ),
    Case(
        "a parent on a low source does not permit its daughter",
        rule("operator.id", allow="microsoft"),
        GPT,
        NO,
        "low confidence",
        world(organisation("azure", "US", low("microsoft"))),
    ),
    Case(
        "a parent on a low source does refuse its daughter",
        rule("operator.id", deny="microsoft"),
        GPT,
        REFUSED,
        "microsoft",
        world(organisation("azure", "US", low("microsoft"))),
    ),
    Case(
        "a name that is denied itself needs no known parent",
        rule("operator.id", deny="mistral"),
        MISTRAL,
        REFUSED,
        "mistral",
        world(organisation("mistral", "FR", NOT_KNOWN)),
    ),
)

ATTESTED = (
    Case("an attested operator is permitted", C5, GPT, PERMITTED, used=("azure.attestations",)),
    Case(
        "an operator attested for something else is refused",
        rule("operator.attestations", require="hds"),
        GPT,
        REFUSED,
        "hds",
    ),
    Case(
        "every required attestation must be there", rule("operator.attestations", require="c5 hds"), GPT, REFUSED, "hds"
    ),
    Case("two that are there pass", rule("operator.attestations", require="c5 fedramp-high"), GPT, PERMITTED),
    Case("an operator with no attestations is refused", C5, MISTRAL, REFUSED, "c5"),
    Case(
        "what a service is attested for goes before what its company is",
        C5,
        replace(GPT, chain=(replace(GPT.chain[0], attestations=fact(names("hds"))), *GPT.chain[1:])),
        REFUSED,
        "c5",
        used=("gpt.attestations",),
    ),
    Case(
        "a service is attested where its company is not",
        C5,
        replace(MISTRAL, chain=(replace(MISTRAL.chain[0], attestations=fact(names("c5"))), *MISTRAL.chain[1:])),
        PERMITTED,
    ),
    Case(
        "every link must be attested",
        rule("operator.attestations", require="fedramp-high"),
        CLAUDE,
        REFUSED,
        "fedramp-high",
    ),
    Case("a chain in which every link is attested passes", C5, CLAUDE, PERMITTED),
    Case(
        "an attested operator does not speak for its aggregator",
        C5,
        replace(GPT, chain=(*GPT.chain, link(LinkRole.VIA, "openrouter"))),
        REFUSED,
        "c5",
    ),
    Case(
        "unknown attestations are unknown",
        C5,
        GPT,
        UNKNOWN,
        "unknown",
        world(organisation("azure", "US", "microsoft", attestations=UNKNOWN_SET)),
    ),
    Case(
        "undisclosed attestations do not pass",
        C5,
        GPT,
        NO,
        "undisclosed",
        world(organisation("azure", "US", "microsoft", attestations=UNDISCLOSED_SET)),
    ),
    Case(
        "an attestation on a low source does not permit",
        C5,
        GPT,
        NO,
        "low confidence",
        world(organisation("azure", "US", "microsoft", attestations=low(names("c5")))),
    ),
)

SENSELESS = (
    rule("operator.country"),
    rule("operator.country", allow=""),
    rule("operator.country", deny="CN", lineage=("derived_from",)),
    rule("operator.country", deny="CN", grade=("contractual",)),
    replace(rule("operator.country", deny="CN"), at_most=1),
    rule("operator.country", require=True),
    replace(rule("operator.id"), at_least=2),
    rule("operator.attestations"),
    rule("operator.attestations", require=True),
)
FINE = (
    NO_CHINA,
    rule("operator.country", allow="DE FR", deny="CN"),
    rule("operator.id", allow="self hetzner"),
    rule("operator.id", deny="openrouter"),
    C5,
)


@table((*COUNTRY, *IDENTITY, *ATTESTED))
def test_operator(case: Case) -> None:
    """Every organisation that sees the prompt answers as the sentence says."""
    put(case)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about operators that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about operators that means something passes."""
    is_fine(spec)
