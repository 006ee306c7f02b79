"""`facts.confidence`, `facts.age_days`: how good the facts are that the other rules used, waived rules included.

A source without a date has no age that anybody knows, so it is never young enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Confidence
from modelrouter.core.policy import Judgement, Outcome
from modelrouter.core.rules.base import Hearing, RuleFamily
from modelrouter.core.rules.grammar import Grammar, Limit, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import RuleSpec, UsedFact
    from modelrouter.core.subject import Subject

__all__ = ["QualityFamily"]

LEVELS = {confidence.name.lower(): confidence for confidence in Confidence}


class QualityFamily(RuleFamily):
    """Confidence and age of used facts."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "facts.age_days": Grammar(("max",), limit=Limit.WHOLE),
        "facts.confidence": Grammar(("min",), limit=Limit.WORD, values=tuple(LEVELS)),
    }
    over_facts: ClassVar[bool] = True

    def oddity(self, spec: RuleSpec) -> str | None:
        """Also the lowest confidence: every fact has at least that."""
        if spec.at_least == Confidence.LOW.name.lower():
            return "`min: low` asks nothing: write `medium` or `high`"
        return super().oddity(spec)

    def judge_facts(self, spec: RuleSpec, used: tuple[UsedFact, ...], subject: Subject) -> Judgement:
        """Every one of these facts must be good enough."""
        fault = self.fault(spec)
        if fault is not None:
            return Judgement(Outcome.UNKNOWN, fault, spec.key)
        hearing = Hearing(subject)
        for fact in used:
            hearing.note(fact.path, fact.shown, fact.source)
            if spec.key == "facts.confidence":
                _hear_confidence(hearing, fact, LEVELS[str(spec.at_least)])
            else:
                _hear_age(hearing, fact, whole(spec.at_most))
        return hearing.judgement()


def _hear_confidence(hearing: Hearing, fact: UsedFact, least: Confidence) -> None:
    confidence = fact.source.confidence
    if confidence < least:
        remedy = f"`{fact.path}` with {least.name.lower()} confidence"
        hearing.refuse(confidence.name.lower(), fact.path, remedy)


def _hear_age(hearing: Hearing, fact: UsedFact, limit_days: int) -> None:
    checked_on = fact.source.checked_on
    calendar = hearing.subject.calendar
    remedy = f"`{fact.path}` checked within {limit_days} days"
    if checked_on is None:
        hearing.doubt("undated", fact.path, remedy)
    elif calendar.is_older(checked_on, limit_days):
        age = (calendar.today - checked_on).days
        hearing.refuse(f"{age} days", fact.path, remedy)
