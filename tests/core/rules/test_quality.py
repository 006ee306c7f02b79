"""How good and how fresh the facts are that other rules read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from modelrouter.core.facts import UNKNOWN_SOURCE, Confidence, Grade, Ownership
from modelrouter.core.policy import Outcome, UsedFact
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.cases import NO, PERMITTED, FactsCase, family_for, is_fine, is_senseless, rule, specs, table
from tests.core.rules.world import CONTRACT, GPT, LOW, SOURCE, TODAY, WORD, WORLD

if TYPE_CHECKING:
    from modelrouter.core.facts import Source
    from modelrouter.core.policy import RuleSpec

HIGH = replace(rule("facts.confidence"), at_least="high")
MEDIUM = replace(rule("facts.confidence"), at_least="medium")


def within(days: int) -> RuleSpec:
    """Facts checked within so many days."""
    return replace(rule("facts.age_days"), at_most=days)


def read(path: str, source: Source = SOURCE) -> UsedFact:
    """A fact that some rule read."""
    return UsedFact(path, "as said", source)


def checked(day: date | None, path: str = "gpt.processing") -> UsedFact:
    """A fact checked on a day."""
    return read(path, replace(SOURCE, checked_on=day))


def days_ago(days: int, path: str = "gpt.processing") -> UsedFact:
    """A fact checked so many days ago."""
    return checked(TODAY - timedelta(days=days), path)


NICE = read("gpt.storage")
FAIR = read("gpt.training", replace(SOURCE, confidence=Confidence.MEDIUM))
POOR = read("azure.parent", LOW)
UNSOURCED = read("azure.country", UNKNOWN_SOURCE)

CONFIDENCE = (
    FactsCase("where no rule read a fact there is nothing to doubt", HIGH, (), PERMITTED, turns_on=None),
    FactsCase("high is at least high", HIGH, (NICE,), PERMITTED),
    FactsCase("medium is not high", HIGH, (FAIR,), NO, "medium", "gpt.training"),
    FactsCase("low is not high", HIGH, (POOR,), NO, "low", "azure.parent"),
    FactsCase("high is more than medium", MEDIUM, (NICE,), PERMITTED),
    FactsCase("medium is at least medium", MEDIUM, (FAIR,), PERMITTED),
    FactsCase("low is not medium", MEDIUM, (POOR,), NO, "low", "azure.parent"),
    FactsCase("the first of two doubtful facts is enough", MEDIUM, (POOR, UNSOURCED), NO, "low", "azure.parent"),
    FactsCase("the same fact read twice is doubtful twice", HIGH, (FAIR, FAIR), NO, "medium", "gpt.training"),
    FactsCase("one doubtful fact among good ones is found", HIGH, (NICE, FAIR, NICE), NO, "medium", "gpt.training"),
    FactsCase("the doubtful one may be the last", MEDIUM, (NICE, FAIR, POOR), NO, "low", "azure.parent"),
    FactsCase("good facts pass together", MEDIUM, (NICE, FAIR), PERMITTED),
    FactsCase("a fact without a source is not medium", MEDIUM, (UNSOURCED,), NO, "", "azure.country"),
    FactsCase("a fact without a source is not high", HIGH, (NICE, UNSOURCED), NO, "", "azure.country"),
    FactsCase("somebody's word alone is medium", MEDIUM, (read("gpt.price", WORD),), PERMITTED),
    FactsCase("somebody's word alone is not high", HIGH, (read("gpt.price", WORD),), NO, "medium", "gpt.price"),
    FactsCase(
        "a contract on a low source stays low",
        MEDIUM,
        (read("gpt.price", replace(LOW, grade=Grade.CONTRACTUAL)),),
        NO,
        "low",
    ),
    FactsCase(
        "what it rests on is not how good it is",
        HIGH,
        (read("gpt.price", replace(CONTRACT, grade=Grade.ASSERTED)),),
        PERMITTED,
    ),
    FactsCase(
        "a user's own fact is as good as its source",
        HIGH,
        (read("gpt.price", replace(SOURCE, ownership=Ownership.USER)),),
        PERMITTED,
    ),
    FactsCase("old facts are no worse", HIGH, (checked(date(2020, 1, 1)),), PERMITTED, turns_on=None),
    FactsCase("undated facts are no worse", HIGH, (checked(None),), PERMITTED, turns_on=None),
)

AGE = (
    FactsCase("where no rule read a fact there is nothing to age", within(0), (), PERMITTED, turns_on=None),
    FactsCase("a fact checked today is not old", within(30), (days_ago(0),), PERMITTED, turns_on=date(2026, 12, 23)),
    FactsCase(
        "a fact of exactly the limit is not too old, until tomorrow",
        within(30),
        (days_ago(30),),
        PERMITTED,
        turns_on=date(2026, 11, 23),
    ),
    FactsCase("one day more is too old", within(30), (days_ago(31),), NO, "31", "gpt.processing", turns_on=None),
    FactsCase(
        "a limit of no day takes what was checked today",
        within(0),
        (days_ago(0),),
        PERMITTED,
        turns_on=date(2026, 11, 23),
    ),
    FactsCase("a limit of no day does not take yesterday's", within(0), (days_ago(1),), NO, "", "gpt.processing"),
    FactsCase("an undated fact is never fresh", within(10_000), (checked(None),), NO, "undated", "gpt.processing"),
    FactsCase("a fact without a source is never fresh", within(10_000), (UNSOURCED,), NO, "", "azure.country"),
    FactsCase(
        "one undated fact among fresh ones is found",
        within(30),
        (days_ago(1), checked(None, "azure.parent")),
        NO,
        "undated",
        "azure.parent",
    ),
    FactsCase(
        "one old fact among fresh ones is found",
        within(30),
        (days_ago(1), days_ago(40, "azure.parent"), days_ago(2)),
        NO,
        "40",
        "azure.parent",
    ),
    FactsCase(
        "fresh facts pass together, until the oldest turns",
        within(30),
        (days_ago(1), days_ago(29), days_ago(3)),
        PERMITTED,
        turns_on=date(2026, 11, 24),
    ),
    FactsCase(
        "the same fact is fresh on its last day",
        within(90),
        (checked(date(2026, 10, 1)),),
        PERMITTED,
        day=date(2026, 12, 30),
        turns_on=date(2026, 12, 31),
    ),
    FactsCase("and too old on the next", within(90), (checked(date(2026, 10, 1)),), NO, "91", day=date(2026, 12, 31)),
    FactsCase(
        "a year of 365 days ends before the same date of a leap year's next",
        within(365),
        (checked(date(2027, 12, 1)),),
        NO,
        "366",
        day=date(2028, 12, 1),
    ),
    FactsCase(
        "a leap day counts as a day",
        within(1),
        (checked(date(2028, 2, 28)),),
        PERMITTED,
        day=date(2028, 2, 29),
        turns_on=date(2028, 3, 1),
    ),
    FactsCase(
        "February of another year has none",
        within(1),
        (checked(date(2027, 2, 28)),),
        PERMITTED,
        day=date(2027, 3, 1),
        turns_on=date(2027, 3, 2),
    ),
    FactsCase("a low source that is fresh is fresh", within(90), (read("azure.parent", LOW),), PERMITTED),
    FactsCase("a high source that is old is old", within(30), (NICE,), NO, "52", "gpt.storage"),
    FactsCase("somebody's word alone is undated", within(30), (read("gpt.price", WORD),), NO, "undated", "gpt.price"),
    FactsCase(
        "a user's own fact ages as well",
        within(30),
        (read("gpt.price", replace(SOURCE, ownership=Ownership.USER)),),
        NO,
        "52",
        "gpt.price",
    ),
    FactsCase(
        "across a change of year days go on",
        within(30),
        (checked(date(2026, 12, 15)),),
        PERMITTED,
        day=date(2027, 1, 14),
        turns_on=date(2027, 1, 15),
    ),
)

SENSELESS = (
    rule("facts.confidence"),
    rule("facts.confidence", allow="high"),
    replace(HIGH, at_least="certain"),
    replace(HIGH, at_least=3),
    replace(rule("facts.confidence"), at_most="high"),
    replace(HIGH, options={"grade": ("technical",)}),
    rule("facts.age_days"),
    rule("facts.age_days", allow="30"),
    replace(rule("facts.age_days"), at_most="a month"),
    replace(rule("facts.age_days"), at_most=-1),
    replace(rule("facts.age_days"), at_most=True),
    replace(rule("facts.age_days"), at_most=Decimal("0.5")),
    replace(rule("facts.age_days"), at_least=3),
)
FINE = (HIGH, MEDIUM, within(0), within(365))


@table((*CONFIDENCE, *AGE))
def test_quality(case: FactsCase) -> None:
    """Confidence and age of the facts that were read answer as the sentence says."""
    calendar = Calendar(case.day)
    family = family_for(case.rule)
    assert family.check(case.rule) is None
    judgement = family.judge_facts(case.rule, case.used, Subject(GPT, WORLD, calendar))
    assert judgement.outcome in case.outcome, judgement
    assert case.says in judgement.reason, judgement
    assert case.decides in judgement.fact, judgement
    assert bool(judgement.reason) is (judgement.outcome is not Outcome.PERMITTED)
    if case.turns_on != "untold":
        assert calendar.turns_on == case.turns_on


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about facts that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about facts that means something passes."""
    is_fine(spec)
