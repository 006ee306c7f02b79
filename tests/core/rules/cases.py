"""What a case is, and how it is put to a rule family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pytest

from modelrouter.core.policy import Outcome, RuleSpec
from modelrouter.core.rules import family_of
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.world import TODAY, WORLD

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from modelrouter.core.bounds import Bound, Shortfall
    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.policy import Judgement, UsedFact
    from modelrouter.core.rules import RuleFamily

PERMITTED: Final = frozenset({Outcome.PERMITTED})
REFUSED: Final = frozenset({Outcome.REFUSED})
UNKNOWN: Final = frozenset({Outcome.UNKNOWN})
NO: Final = REFUSED | UNKNOWN  # the design says that it must not pass, and leaves open under which of the two names

Untold = Literal["untold"]


@dataclass(frozen=True, slots=True)
class Case:
    """One sentence about one rule and one deployment.

    Attributes:
        outcome: the outcomes that the design admits.
        says: what the reason must contain.
        obligations: a fragment for each duty, in order, and no further ones; None asks nothing.
        used: paths that must be among the facts read.
        turns_on: the day on which to judge again.
    """

    name: str
    rule: RuleSpec
    deployment: Deployment
    outcome: frozenset[Outcome]
    says: str = ""
    world: World = WORLD
    day: date = TODAY
    obligations: tuple[str, ...] | None = None
    used: tuple[str, ...] = ()
    turns_on: date | Untold | None = "untold"


@dataclass(frozen=True, slots=True)
class AskCase:
    """One sentence about one rule and the bound of one request.

    Attributes:
        given: what one attempt can cost at most, or why nobody can tell.
    """

    name: str
    rule: RuleSpec
    given: Bound | Shortfall
    outcome: frozenset[Outcome]
    says: str = ""


@dataclass(frozen=True, slots=True)
class FactsCase:
    """One sentence about one rule and the facts that other rules read.

    Attributes:
        decides: path of the fact that must be named when the answer is no.
        turns_on: the day on which to judge again.
    """

    name: str
    rule: RuleSpec
    used: tuple[UsedFact, ...]
    outcome: frozenset[Outcome]
    says: str = ""
    decides: str = ""
    day: date = TODAY
    turns_on: date | Untold | None = "untold"


def words(text: str | None) -> frozenset[str] | None:
    """A set written as words, for a verb of a rule."""
    return None if text is None else frozenset(text.split())


def rule(
    key: str, *, allow: str | None = None, deny: str | None = None, require: str | bool | None = None, **options: object
) -> RuleSpec:
    """A rule as somebody would write it: lists as words, everything else is the family's own parameter."""
    wanted = words(require) if isinstance(require, str) else require
    return RuleSpec(key, allow=words(allow), deny=words(deny), require=wanted, options=options)


def table(cases: Iterable[Case | AskCase | FactsCase]) -> pytest.MarkDecorator:
    """One test for each case, named by its sentence."""
    found = list(cases)
    assert len({case.name for case in found}) == len(found), "two cases have the same name"
    return pytest.mark.parametrize("case", found, ids=[case.name for case in found])


def specs(found: Iterable[RuleSpec]) -> pytest.MarkDecorator:
    """One test for each rule as written."""
    listed = list(found)
    return pytest.mark.parametrize("spec", listed, ids=[f"{number}-{spec.key}" for number, spec in enumerate(listed)])


def family_for(spec: RuleSpec) -> RuleFamily:
    """The family that answers for a rule, which must be there."""
    found = family_of(spec.key)
    assert found is not None, spec.key
    return found


def hold(case: Case, judgement: Judgement, calendar: Calendar) -> None:
    """Compare an answer with what the case says, and with what every answer must keep."""
    assert judgement.outcome in case.outcome, judgement
    assert case.says in judgement.reason, judgement
    if judgement.outcome is Outcome.PERMITTED:
        assert (judgement.reason, judgement.fact, judgement.remedy) == ("", "", "")
    else:
        assert judgement.reason, judgement
    if case.obligations is not None:
        assert len(judgement.obligations) == len(case.obligations), judgement.obligations
        for duty, fragment in zip(judgement.obligations, case.obligations, strict=True):
            assert fragment in duty.text
    assert set(case.used) <= {fact.path for fact in judgement.used}, judgement.used
    if case.turns_on != "untold":
        assert calendar.turns_on == case.turns_on


def put(case: Case) -> None:
    """Judge a case, twice: the same question has the same answer."""
    calendar = Calendar(case.day)
    subject = Subject(case.deployment, case.world, calendar)
    family = family_for(case.rule)
    assert family.check(case.rule) is None, family.check(case.rule)
    judgement = family.judge(case.rule, subject)
    assert judgement == family.judge(case.rule, subject)
    assert (judgement.fact in judgement.missing) == (judgement.outcome is Outcome.UNKNOWN)
    hold(case, judgement, calendar)


def is_senseless(spec: RuleSpec) -> None:
    """The family answers with a sentence that says what is wrong."""
    fault = family_for(spec).check(spec)
    assert isinstance(fault, str)
    assert " " in fault.strip()


def is_fine(spec: RuleSpec) -> None:
    """The family has nothing against the rule."""
    assert family_for(spec).check(spec) is None
