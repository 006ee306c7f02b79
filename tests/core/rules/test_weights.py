"""The weights: licence, openness, quantization, and who holds them. The conditions of licences are in `test_use`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.facts import Fact, Openness
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CELLAR,
    DEEPSEEK,
    GPT,
    MISTRAL,
    QWEN_SG,
    RENTED,
    SOURCE,
    UNDISCLOSED,
    fact,
    low,
    model,
    names,
    self_hosted,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

if TYPE_CHECKING:
    from modelrouter.core.policy import RuleSpec

EVERYWHERE = ("self_hosted", "managed", "vendor_api")
APACHE = rule("weights.licence", allow="Apache-2.0 MIT")
APACHE_EVERYWHERE = rule("weights.licence", allow="Apache-2.0 MIT", hosting=EVERYWHERE)
USE = rule("weights.use", require="commercial")
USE_EVERYWHERE = rule("weights.use", require="commercial", hosting=EVERYWHERE)
OPEN = rule("weights.openness", allow="open_weights open_source")
UNKNOWN_OPENNESS: Fact[Openness] = Fact.unknown()
HIDDEN_OPENNESS: Fact[Openness] = Fact.undisclosed(SOURCE)

KIMI = self_hosted("kimi-k2")

LICENCE = (
    Case("an allowed SPDX id is permitted", APACHE, CELLAR, PERMITTED, used=("mistral-small.licence",)),
    Case("an allowed catalog id is permitted", rule("weights.licence", allow="apache-2.0"), CELLAR, PERMITTED),
    Case("a licence that is not allowed is refused", APACHE, KIMI, REFUSED, "modified-mit", used=("kimi-k2.licence",)),
    Case(
        "a denied SPDX id is refused",
        rule("weights.licence", deny="LicenseRef-Modified-MIT"),
        KIMI,
        REFUSED,
        "modified-mit",
    ),
    Case("a denied catalog id is refused", rule("weights.licence", deny="modified-mit"), KIMI, REFUSED),
    Case("a licence that is not denied is permitted", rule("weights.licence", deny="modified-mit"), CELLAR, PERMITTED),
    Case("hosted by another, the licence is not ours to keep", APACHE, DEEPSEEK, PERMITTED),
    Case("a managed copy is not ours either", rule("weights.licence", allow="MIT"), QWEN_SG, PERMITTED),
    Case(
        "a rule may reach hosted copies",
        rule("weights.licence", allow="MIT", hosting=EVERYWHERE),
        QWEN_SG,
        REFUSED,
        "apache-2.0",
    ),
    Case(
        "a rule may reach hosted copies alone",
        rule("weights.licence", allow="MIT", hosting=("managed",)),
        CELLAR,
        PERMITTED,
    ),
    Case(
        "a closed model by its vendor's API is refused where the rule reaches it", APACHE_EVERYWHERE, MISTRAL, REFUSED
    ),
    Case("the licence of an ancestor counts", APACHE, self_hosted("hermes-r"), REFUSED, "llama-3.3"),
    Case(
        "an ancestor's licence that is allowed passes",
        rule("weights.licence", allow="MIT llama-3.3"),
        self_hosted("hermes-r"),
        PERMITTED,
        used=("hermes-r.licence", "hermes-r.derived_from", "llama-3.3.licence"),
    ),
    Case(
        "a denied licence two generations up is found",
        rule("weights.licence", deny="llama-3.3"),
        self_hosted("acme-hermes"),
        REFUSED,
    ),
    Case(
        "the licence of an alleged ancestor does not count",
        rule("weights.licence", deny="MIT"),
        self_hosted("norwood-12b"),
        PERMITTED,
    ),
    Case(
        "a teacher under another licence leaves ours as it is",
        rule("weights.licence", allow="Apache-2.0"),
        CELLAR,
        PERMITTED,
        world=world(model("mistral-small", "mistral", distilled_from=names("kimi-k2"))),
    ),
    Case("our own tuning inherits a permitted licence", APACHE, self_hosted("acme-support"), PERMITTED),
    Case(
        "an unknown licence is unknown",
        APACHE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", NOT_KNOWN)),
    ),
    Case(
        "a licence that is in no table is unknown, and a fact that was asked for",
        APACHE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", "ghost")),
        used=("mistral-small.licence", "ghost.spdx"),
    ),
    Case(
        "an undisclosed licence does not pass",
        APACHE,
        CELLAR,
        NO,
        "undisclosed",
        world(model("mistral-small", "mistral", UNDISCLOSED)),
    ),
    Case(
        "a licence on a low source does not permit",
        APACHE,
        CELLAR,
        NO,
        "low confidence",
        world(model("mistral-small", "mistral", low("mit"))),
    ),
    Case(
        "a licence on a low source does refuse",
        APACHE,
        CELLAR,
        REFUSED,
        "research",
        world(model("mistral-small", "mistral", low("research"))),
    ),
    Case("unknown ancestors may bring any licence", APACHE, self_hosted("murky-7b"), UNKNOWN, "unknown"),
    Case("undisclosed ancestors may bring any licence", APACHE, self_hosted("quiet-7b"), NO, "undisclosed"),
    Case(
        "a licence that is not allowed beats unknown ancestors",
        rule("weights.licence", allow="MIT"),
        self_hosted("murky-7b"),
        REFUSED,
        "apache-2.0",
    ),
    Case(
        "an unknown licence does not matter where the rule does not reach",
        APACHE,
        DEEPSEEK,
        PERMITTED,
        world=world(model("deepseek-v3", "deepseek", NOT_KNOWN)),
    ),
)


OPENNESS = (
    Case("open weights are permitted", OPEN, RENTED, PERMITTED, used=("mistral-small.openness",)),
    Case("an open-source model is permitted", OPEN, self_hosted("olmo"), PERMITTED),
    Case("closed weights are refused", OPEN, GPT, REFUSED, "closed"),
    Case(
        "open weights are not open source",
        rule("weights.openness", allow="open_source"),
        RENTED,
        REFUSED,
        "open_weights",
    ),
    Case("closed weights can be denied", rule("weights.openness", deny="closed"), MISTRAL, REFUSED, "closed"),
    Case("open weights hosted by another stay open", rule("weights.openness", deny="closed"), DEEPSEEK, PERMITTED),
    Case(
        "unknown openness is unknown",
        OPEN,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", openness=UNKNOWN_OPENNESS)),
    ),
    Case(
        "undisclosed openness does not pass",
        OPEN,
        CELLAR,
        NO,
        "undisclosed",
        world(model("mistral-small", "mistral", openness=HIDDEN_OPENNESS)),
    ),
    Case(
        "openness on a low source does not permit",
        OPEN,
        CELLAR,
        NO,
        "low confidence",
        world(model("mistral-small", "mistral", openness=low(Openness.OPEN_SOURCE))),
    ),
    Case(
        "closedness on a low source does refuse",
        OPEN,
        CELLAR,
        REFUSED,
        "closed",
        world(model("mistral-small", "mistral", openness=low(Openness.CLOSED))),
    ),
)

HOSTING = (
    Case("our own server is self-hosted", rule("hosting", allow="self_hosted"), RENTED, PERMITTED),
    Case("a managed copy is not self-hosted", rule("hosting", allow="self_hosted"), QWEN_SG, REFUSED, "managed"),
    Case(
        "a vendor's API is not self-hosted",
        rule("hosting", allow="self_hosted managed"),
        DEEPSEEK,
        REFUSED,
        "vendor_api",
    ),
    Case("a vendor's API can be denied", rule("hosting", deny="vendor_api"), MISTRAL, REFUSED, "vendor_api"),
    Case("what is not denied passes", rule("hosting", deny="vendor_api"), QWEN_SG, PERMITTED),
)

FOUR_BITS = replace(CELLAR, quantization=fact("int4"))

QUANTIZATION = (
    Case(
        "an allowed format is permitted",
        rule("quantization", allow="bf16 fp16"),
        CELLAR,
        PERMITTED,
        used=("cellar.quantization",),
    ),
    Case("another format is refused", rule("quantization", allow="bf16 fp16"), FOUR_BITS, REFUSED, "int4"),
    Case("a denied format is refused", rule("quantization", deny="int4"), FOUR_BITS, REFUSED, "int4"),
    Case("a format that is not denied is permitted", rule("quantization", deny="int4"), CELLAR, PERMITTED),
    Case(
        "no quantization escapes every deny",
        rule("quantization", deny="int4"),
        replace(CELLAR, quantization=fact(None)),
        PERMITTED,
    ),
    Case(
        "an unknown format is unknown",
        rule("quantization", deny="int4"),
        replace(CELLAR, quantization=NOT_KNOWN),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "an undisclosed format does not pass",
        rule("quantization", deny="int4"),
        replace(CELLAR, quantization=UNDISCLOSED),
        NO,
        "undisclosed",
    ),
    Case(
        "a format on a low source does not permit",
        rule("quantization", allow="bf16"),
        replace(CELLAR, quantization=low("bf16")),
        NO,
        "low confidence",
    ),
    Case(
        "a format on a low source does refuse",
        rule("quantization", allow="bf16"),
        replace(CELLAR, quantization=low("int4")),
        REFUSED,
        "int4",
    ),
)

SENSELESS = (
    rule("weights.licence"),
    rule("weights.licence", allow=""),
    rule("weights.licence", allow="MIT", hosting=("borrowed",)),
    rule("weights.licence", allow="MIT", grade=("technical",)),
    rule("weights.licence", require=True),
    rule("weights.use"),
    rule("weights.use", require="private"),
    rule("weights.use", allow="MIT"),
    replace(USE, at_most=3),
    rule("weights.openness", allow="ajar"),
    rule("weights.openness"),
    rule("hosting", allow="borrowed"),
    replace(rule("hosting"), at_least=1),
    rule("quantization"),
    rule("quantization", allow="bf16", hosting=("self_hosted", "borrowed")),
)
FINE = (
    APACHE,
    APACHE_EVERYWHERE,
    USE,
    USE_EVERYWHERE,
    OPEN,
    rule("hosting", deny="vendor_api"),
    rule("quantization", deny="int4 fp4"),
)


@table((*LICENCE, *OPENNESS, *HOSTING, *QUANTIZATION))
def test_weights(case: Case) -> None:
    """Licences, openness, hosting and quantization answer as the sentence says."""
    put(case)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about weights that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about weights that means something passes."""
    is_fine(spec)
