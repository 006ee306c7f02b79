"""What is done with what passes through: training, retention, and the papers signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from modelrouter.core.facts import Agreement, Fact, LinkRole, Training
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CELLAR,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MISTRAL,
    MISTRAL_VIA,
    QWEN_VIA,
    RENTED,
    SOMEWHERE,
    SOURCE,
    UNKNOWN_YES,
    Without,
    caller,
    deployment,
    fact,
    link,
    low,
    organisation,
    self_hosted,
    with_terms,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

if TYPE_CHECKING:
    from modelrouter.core.policy import RuleSpec

NEVER = rule("data.training", allow="never")
THIRTY_DAYS = replace(rule("data.retention_days"), at_most=30)
ZERO_DAYS = replace(rule("data.retention_days"), at_most=0)
DPA = rule("agreements", require="dpa")
VIA, RUNS_ON, SUBPROCESSOR = LinkRole.VIA, LinkRole.RUNS_ON, LinkRole.SUBPROCESSOR
HIDDEN_TRAINING: Fact[Training] = Fact.undisclosed(SOURCE)
UNKNOWN_TRAINING: Fact[Training] = Fact.unknown()
HIDDEN_DAYS: Fact[int] = Fact.undisclosed(SOURCE)
UNKNOWN_DAYS: Fact[int] = Fact.unknown()

TRAINING = (
    Case(
        "an operator that never trains is permitted",
        NEVER,
        MISTRAL,
        PERMITTED,
        used=("mistral.training",),
        turns_on=None,
    ),
    Case(
        "an operator that trains is refused", NEVER, with_terms(DEEPSEEK, training=fact(Training.USED)), REFUSED, "used"
    ),
    Case("opting out is not never", NEVER, with_terms(GPT, training=fact(Training.OPT_OUT)), REFUSED, "opt_out"),
    Case(
        "opting out is enough where the rule says so",
        rule("data.training", allow="never opt_out"),
        with_terms(GPT, training=fact(Training.OPT_OUT)),
        PERMITTED,
    ),
    Case(
        "a deny names what is not wanted",
        rule("data.training", deny="used"),
        with_terms(GPT, training=fact(Training.USED)),
        REFUSED,
        "used",
    ),
    Case(
        "a deny lets the rest pass",
        rule("data.training", deny="used"),
        with_terms(GPT, training=fact(Training.OPT_OUT)),
        PERMITTED,
    ),
    Case("unknown training is unknown", NEVER, with_terms(GPT, training=UNKNOWN_TRAINING), UNKNOWN, "unknown"),
    Case(
        "unknown training does not escape a deny",
        rule("data.training", deny="used"),
        with_terms(GPT, training=UNKNOWN_TRAINING),
        UNKNOWN,
        "unknown",
    ),
    Case("undisclosed training does not pass", NEVER, with_terms(GPT, training=HIDDEN_TRAINING), NO, "undisclosed"),
    Case("a low source does not permit", NEVER, with_terms(GPT, training=low(Training.NEVER)), NO, "low confidence"),
    Case("a low source does refuse", NEVER, with_terms(GPT, training=low(Training.USED)), REFUSED, "used"),
    Case(
        "an aggregator that trains is refused",
        NEVER,
        with_terms(QWEN_VIA, VIA, training=fact(Training.USED)),
        REFUSED,
        "used",
    ),
    Case(
        "an aggregator of which nothing is known is unknown",
        NEVER,
        with_terms(QWEN_VIA, VIA, training=UNKNOWN_TRAINING),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "a sub-processor that trains is refused",
        NEVER,
        with_terms(CLAUDE, SUBPROCESSOR, training=fact(Training.USED)),
        REFUSED,
        "used",
    ),
    Case(
        "the cloud under our own server is asked",
        NEVER,
        with_terms(RENTED, RUNS_ON, training=UNKNOWN_TRAINING),
        UNKNOWN,
        "unknown",
    ),
    Case("a cloud that never trains passes", NEVER, RENTED, PERMITTED),
    Case("our own rooms pass as stated", NEVER, CELLAR, PERMITTED),
    Case("our own practice must be stated", NEVER, with_terms(CELLAR, training=UNKNOWN_TRAINING), UNKNOWN, "unknown"),
    Case("an undeclared cloud is unknown", NEVER, SOMEWHERE, UNKNOWN),
    Case(
        "a trainer beats an unknown link",
        NEVER,
        with_terms(with_terms(QWEN_VIA, VIA, training=UNKNOWN_TRAINING), training=fact(Training.USED)),
        REFUSED,
        "used",
    ),
)

RETENTION = (
    Case(
        "retention below the limit is permitted",
        THIRTY_DAYS,
        with_terms(GPT, retention_days=fact(7)),
        PERMITTED,
        used=("gpt.retention_days",),
    ),
    Case(
        "retention of exactly the limit is permitted", THIRTY_DAYS, with_terms(GPT, retention_days=fact(30)), PERMITTED
    ),
    Case("one day more is refused", THIRTY_DAYS, with_terms(GPT, retention_days=fact(31)), REFUSED, "31"),
    Case("the reason says how many days", THIRTY_DAYS, with_terms(GPT, retention_days=fact(55)), REFUSED, "55"),
    Case("no day is within no day", ZERO_DAYS, with_terms(GPT, retention_days=fact(0)), PERMITTED),
    Case("one day is more than none", ZERO_DAYS, with_terms(GPT, retention_days=fact(1)), REFUSED, "1"),
    Case("unknown retention is unknown", THIRTY_DAYS, with_terms(GPT, retention_days=UNKNOWN_DAYS), UNKNOWN, "unknown"),
    Case(
        "undisclosed retention does not pass",
        THIRTY_DAYS,
        with_terms(GPT, retention_days=HIDDEN_DAYS),
        NO,
        "undisclosed",
    ),
    Case(
        "retention by a low source does not permit",
        THIRTY_DAYS,
        with_terms(GPT, retention_days=low(7)),
        NO,
        "low confidence",
    ),
    Case("retention by a low source does refuse", THIRTY_DAYS, with_terms(GPT, retention_days=low(90)), REFUSED, "90"),
    Case(
        "an aggregator that keeps longer is refused",
        THIRTY_DAYS,
        with_terms(MISTRAL_VIA, VIA, retention_days=fact(90)),
        REFUSED,
        "90",
    ),
    Case(
        "an aggregator of unknown retention is unknown",
        THIRTY_DAYS,
        with_terms(MISTRAL_VIA, VIA, retention_days=UNKNOWN_DAYS),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "too long at the operator beats unknown at the aggregator",
        THIRTY_DAYS,
        with_terms(with_terms(MISTRAL_VIA, VIA, retention_days=UNKNOWN_DAYS), retention_days=fact(90)),
        REFUSED,
        "90",
    ),
    Case(
        "a sub-processor that keeps longer is refused",
        THIRTY_DAYS,
        with_terms(CLAUDE, SUBPROCESSOR, retention_days=fact(730)),
        REFUSED,
        "730",
    ),
    Case(
        "a cloud that keeps longer is refused", ZERO_DAYS, with_terms(RENTED, RUNS_ON, retention_days=fact(2)), REFUSED
    ),
    Case("our own retention is asked", ZERO_DAYS, CELLAR, REFUSED, "30"),
    Case(
        "our own retention must be stated",
        THIRTY_DAYS,
        with_terms(CELLAR, retention_days=UNKNOWN_DAYS),
        UNKNOWN,
        "unknown",
    ),
    Case("an undeclared cloud keeps for an unknown time", THIRTY_DAYS, SOMEWHERE, UNKNOWN),
    Case("a chain that may be longer is unknown", THIRTY_DAYS, replace(GPT, chain_complete=UNKNOWN_YES), UNKNOWN),
)


def signed(kind: str, partner: str, expires: date | None = None) -> Agreement:
    """One paper."""
    return Agreement(kind, partner, "2026-1", expires)


NEW_YEARS_EVE = date(2026, 12, 31)
LAST_DAY_THERE_IS = world(caller(signed("dpa", "mistral", date.max)))
UNTIL_NEW_YEAR = world(caller(signed("dpa", "mistral", NEW_YEARS_EVE)))

AGREEMENTS = (
    Case("a paper without expiry holds", DPA, GPT, PERMITTED, turns_on=None),
    Case(
        "a paper that has not expired holds, until the day after its last",
        DPA,
        MISTRAL,
        PERMITTED,
        turns_on=date(2027, 5, 2),
    ),
    Case("without a paper with the operator it is refused", DPA, DEEPSEEK, NO, "dpa"),
    Case(
        "a paper holds through its last day",
        DPA,
        MISTRAL,
        PERMITTED,
        world=UNTIL_NEW_YEAR,
        day=NEW_YEARS_EVE,
        turns_on=date(2027, 1, 1),
    ),
    Case("a paper to the end of all days holds", DPA, MISTRAL, PERMITTED, world=LAST_DAY_THERE_IS, turns_on=None),
    Case("a paper is over on the day after", DPA, MISTRAL, NO, "dpa", UNTIL_NEW_YEAR, date(2027, 1, 1)),
    Case(
        "an expired paper beside a running one does not matter",
        DPA,
        MISTRAL,
        PERMITTED,
        world=world(caller(signed("dpa", "mistral", date(2025, 1, 1)), signed("dpa", "mistral"))),
    ),
    Case("a paper of another type does not do", DPA, MISTRAL, NO, "dpa", world(caller(signed("nda", "mistral")))),
    Case("all required types must be there", rule("agreements", require="dpa scc"), GPT, NO, "scc"),
    Case(
        "all required types together pass",
        rule("agreements", require="dpa scc"),
        GPT,
        PERMITTED,
        world=world(caller(signed("dpa", "azure"), signed("scc", "azure"))),
    ),
    Case(
        "types are not gathered from different partners",
        rule("agreements", require="dpa scc"),
        GPT,
        NO,
        "scc",
        world(caller(signed("dpa", "azure"), signed("scc", "mistral"))),
    ),
    Case("through an aggregator, its paper is what counts", DPA, QWEN_VIA, PERMITTED),
    Case(
        "through an aggregator, the operator's paper does not do",
        DPA,
        MISTRAL_VIA,
        NO,
        "dpa",
        world(caller(signed("dpa", "mistral"))),
    ),
    Case(
        "called directly, the aggregator's paper does not do",
        DPA,
        MISTRAL,
        NO,
        "dpa",
        world(caller(signed("dpa", "openrouter"))),
    ),
    Case("a sub-processor needs no paper of ours", DPA, CLAUDE, PERMITTED),
    Case(
        "a paper with the sub-processor does not do", DPA, CLAUDE, NO, "dpa", world(caller(signed("dpa", "anthropic")))
    ),
    Case(
        "a paper with the group is not one with its daughter",
        DPA,
        GPT,
        NO,
        "dpa",
        world(caller(signed("dpa", "microsoft"))),
    ),
    Case(
        "a paper with a group that owns the operator by a low source alone does not do",
        DPA,
        GPT,
        NO,
        world=world(organisation("azure", "US", low("microsoft")), caller(signed("dpa", "microsoft"))),
    ),
    Case(
        "a paper with the daughter does not cover the group",
        DPA,
        deployment("qwen", "qwen3-32b", "alibaba"),
        NO,
        "dpa",
        world(caller(signed("dpa", "alibaba-cloud-sg"))),
    ),
    Case(
        "a paper with a sister is none with the operator", DPA, GPT, NO, "dpa", world(caller(signed("dpa", "openai")))
    ),
    Case("we need no paper with ourselves", DPA, CELLAR, PERMITTED, world=world(caller())),
    Case("the cloud under our own server is no contract partner here", DPA, RENTED, PERMITTED, world=world(caller())),
    Case("an undeclared cloud takes no paper away", DPA, SOMEWHERE, PERMITTED, world=world(caller())),
    Case(
        "our own server behind an aggregator needs the aggregator's paper",
        DPA,
        self_hosted("mistral-small", link(VIA, "openrouter")),
        NO,
        "dpa",
        world(caller()),
    ),
    Case(
        "a partner that nobody described can still have signed",
        DPA,
        MISTRAL,
        PERMITTED,
        world=world(Without("mistral")),
    ),
    Case(
        "who and where we are does not matter for a paper",
        DPA,
        GPT,
        PERMITTED,
        world=world(caller(signed("dpa", "azure"), country=NOT_KNOWN)),
    ),
)

SENSELESS = (
    rule("data.training"),
    rule("data.training", allow=""),
    rule("data.training", allow="sometimes"),
    rule("data.training", allow="never", lineage=("derived_from",)),
    replace(rule("data.training", allow="never"), at_most=1),
    rule("data.retention_days"),
    rule("data.retention_days", allow="30"),
    replace(rule("data.retention_days"), at_most="a month"),
    replace(rule("data.retention_days"), at_most=-1),
    replace(rule("data.retention_days"), at_most=True),
    replace(rule("data.retention_days"), at_most=Decimal("1.5")),
    rule("agreements"),
    rule("agreements", require=True),
    replace(DPA, at_least=1),
)
FINE = (NEVER, rule("data.training", deny="used"), THIRTY_DAYS, ZERO_DAYS, DPA, rule("agreements", require="dpa scc"))


@table((*TRAINING, *RETENTION, *AGREEMENTS))
def test_terms(case: Case) -> None:
    """Training, retention and agreements answer as the sentence says."""
    put(case)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about data terms that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about data terms that means something passes."""
    is_fine(spec)
