"""A decision as a document and as text for a terminal: who may serve, who may not, on which fact, from which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.cli.screen import amount, table
from modelrouter.core.explanation import reserving_lines, share_lines
from modelrouter.core.facts import Ownership
from modelrouter.core.money import format_usd
from modelrouter.core.policy import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from modelrouter.core.attempts import Attempt
    from modelrouter.core.decision import Candidate, Decision
    from modelrouter.core.facts import Source
    from modelrouter.core.policy import UsedFact
    from modelrouter.core.verdict import Verdict

__all__ = [
    "attempt_document",
    "decision_document",
    "show_decision",
    "show_refused",
    "source_document",
    "source_words",
    "verdict_document",
]

Document = dict[str, Any]


def decision_document(decision: Decision) -> Document:
    """A decision for programs; amounts are text."""
    return {
        "route": decision.route,
        "summary": decision.summary(),
        "policies": [
            {"name": layer.policy.name, "level": layer.level.value, "digest": layer.policy.digest}
            for layer in decision.layers
        ],
        "permitted": [_candidate_document(candidate) for candidate in decision.permitted],
        "refused": [
            {"deployment": name, "refusals": [verdict_document(verdict) for verdict in refusals]}
            for name, refusals in _refused(decision)
        ],
        "waived": [
            {**verdict_document(each), "deployment": each.deployment, "waiver": each.waiver.id}
            for each in decision.verdicts
            if each.waiver is not None
        ],
        "observed": [{**verdict_document(each), "deployment": each.deployment} for each in _observed(decision)],
        "shares": share_lines(decision),
        "reserving": reserving_lines(decision),
        "facts_from_your_files": own_facts(decision),
        "epoch": decision.epoch,
    }


def _refused(decision: Decision) -> Iterator[tuple[str, tuple[Verdict, ...]]]:
    for name in decision.considered:
        refusals = decision.refusals(name)
        if refusals:
            yield name, refusals


def _observed(decision: Decision) -> list[Verdict]:
    return [each for each in decision.verdicts if each.observed and each.judgement.outcome is not Outcome.PERMITTED]


def own_facts(decision: Decision) -> list[str]:
    """Paths of the facts that rules read and that come from the user's own files."""
    used = (fact for each in decision.verdicts for fact in each.judgement.used)
    return sorted({fact.path for fact in used if fact.source.ownership is Ownership.USER})


def _candidate_document(candidate: Candidate) -> Document:
    most = candidate.bound
    return {
        "deployment": candidate.deployment,
        "expected_usd": amount(candidate.expected_nano_usd),
        "most_usd": amount(most.nano_usd),
        "bound_basis": most.basis.name.lower(),
        "input_tokens_max": most.input_tokens,
        "output_tokens_max": most.max_output_tokens,
        "obligations": [{"subject": duty.subject, "text": duty.text} for duty in candidate.obligations],
    }


def _deciding_fact(verdict: Verdict) -> UsedFact | None:
    judgement = verdict.judgement
    return next((fact for fact in judgement.used if fact.path == judgement.fact), None)


def verdict_document(verdict: Verdict) -> Document:
    """One rule's answer for programs."""
    judgement, fact = verdict.judgement, _deciding_fact(verdict)
    return {
        "policy": verdict.layer,
        "level": verdict.level.value,
        "rule": verdict.rule,
        "outcome": judgement.outcome.value,
        "reason": judgement.reason,
        "fact": judgement.fact,
        "value": None if fact is None else fact.shown,
        "source": None if fact is None else source_document(fact.source),
        "because": verdict.because,
        "remedy": judgement.remedy,
    }


def source_document(source: Source) -> Document:
    """Where a fact comes from, for programs."""
    return {
        "ref": source.ref,
        "checked_on": None if source.checked_on is None else source.checked_on.isoformat(),
        "confidence": source.confidence.name.lower(),
        "grade": source.grade.value,
        "ownership": source.ownership.value,
    }


def source_words(source: Source) -> str:
    """Where a fact comes from, for people."""
    dated = "undated" if source.checked_on is None else f"checked {source.checked_on}"
    whose = ", from your files" if source.ownership is Ownership.USER else ""
    return f"{source.ref} ({dated}, {source.confidence.name.lower()} confidence{whose})"


def attempt_document(attempt: Attempt) -> Document:
    """One attempt for programs."""
    failure, usage = attempt.failure, attempt.usage
    return {
        "number": attempt.number,
        "deployment": attempt.deployment,
        "failure": None if failure is None else failure.kind.value,
        "detail": None if failure is None else failure.detail,
        "status": None if failure is None else failure.status,
        "billing": attempt.billing.value,
        "cost_usd": amount(attempt.cost_nano_usd),
        "most_usd": amount(attempt.bound.nano_usd),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
    }


# --- for people -------------------------------------------------------------------------------------------------------


def show_decision(screen: Console, decision: Decision) -> None:
    """Everything about one decision, at any width."""
    nobody = not decision.permitted
    screen.print(f"route {decision.route}", style="bold", end="")
    screen.print(
        f": {len(decision.permitted)} of {len(decision.considered)} permitted", style="red" if nobody else "green"
    )
    names = ", ".join(f"{layer.policy.name} ({layer.level.value})" for layer in decision.layers)
    screen.print(f"policies: {names or 'none'}", style="dim")
    if decision.permitted:
        _show_permitted(screen, decision)
    if any(_refused(decision)):
        show_refused(screen, _refused(decision))
    if nobody:
        screen.print(decision.summary())
    _show_noted(screen, decision)


def _show_permitted(screen: Console, decision: Decision) -> None:
    permitted = table("", "permitted", "expected", "at most", "bound", right=("expected", "at most"))
    for place, candidate in enumerate(decision.permitted, start=1):
        permitted.add_row(
            str(place),
            candidate.deployment,
            format_usd(candidate.expected_nano_usd),
            format_usd(candidate.bound.nano_usd),
            f"{candidate.bound.basis.name.lower()}: {candidate.bound.input_tokens} input, "
            f"{candidate.bound.max_output_tokens} output tokens",
        )
    screen.print(permitted)
    for candidate in decision.permitted:
        for duty in candidate.obligations:
            screen.print(f"duty of {candidate.deployment}: {duty.text} ({duty.subject})", style="yellow")


def show_refused(
    screen: Console, refused: Iterable[tuple[str, tuple[Verdict, ...]]], *, in_full: bool = True
) -> None:  # fmt: skip
    """Who is refused, by which rule, on which fact, from which source.

    Args:
        in_full: every rule with its fact and source; else the first, and the others by name.
    """
    from rich.text import Text

    shown = table("refused", "rule, fact, source")
    for name, refusals in refused:
        why = Text()
        for verdict in refusals if in_full else refusals[:1]:
            why.append(f"{verdict.layer}/{verdict.rule}: {verdict.judgement.reason}\n", style="red")
            fact = _deciding_fact(verdict)
            if fact is not None:
                why.append(f"{fact.path} = {fact.shown}\n")
                why.append(f"{source_words(fact.source)}\n", style="dim")
            elif verdict.judgement.fact and verdict.layer != "wire":
                why.append(f"{verdict.judgement.fact}\n")
            if verdict.because:
                why.append(f"because {verdict.because}\n", style="dim")
        others = () if in_full else refusals[1:]
        if others:
            why.append("and: " + ", ".join(f"{each.rule} ({each.judgement.reason})" for each in others), style="red")
        why.rstrip()
        shown.add_row(name, why)
    screen.print(shown)


def _show_noted(screen: Console, decision: Decision) -> None:
    for each in decision.verdicts:
        if each.waiver is not None:
            screen.print(
                f"waiver {each.waiver.id} admits {each.deployment} past {each.layer}/{each.rule} until "
                f"{each.waiver.expires} ({each.waiver.owner}: {each.waiver.because})",
                style="yellow",
            )
    for each in _observed(decision):
        screen.print(
            f"observed: {each.layer}/{each.rule} would refuse {each.deployment} ({each.judgement.reason})",
            style="yellow",
        )
    for line in share_lines(decision):
        screen.print(f"share: {line}", style="dim")
    for line in reserving_lines(decision):
        screen.print(line, style="yellow")
    own = own_facts(decision)
    if own:
        screen.print(f"facts from your files: {', '.join(own)}", style="dim")
