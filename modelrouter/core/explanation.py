"""A decision in words, like a scheduler's: counted refusals, the nearest way out, each fact with its source."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import Ownership
from modelrouter.core.money import format_usd
from modelrouter.core.policy import Outcome
from modelrouter.core.rules.share import cap_of
from modelrouter.core.shares import ShareMode, cap_text, share_refusal_text

if TYPE_CHECKING:
    from modelrouter.core.decision import Decision
    from modelrouter.core.inspection import Inspected
    from modelrouter.core.policy import UsedFact
    from modelrouter.core.verdict import Verdict

__all__ = ["explanation", "nearest", "reserving_lines", "share_lines", "summary"]

HARD: Final = ShareMode.HARD


def summary(decision: Decision) -> str:
    """One line. Each refused candidate counts once, under the first rule that refuses it."""
    total, permitted = len(decision.considered), len(decision.permitted)
    counted = Counter(
        (first.rule, first.judgement.reason) for name in decision.considered for first in decision.refusals(name)[:1]
    )
    parts = [f"{count} {rule} ({reason})" for (rule, reason), count in counted.most_common()]
    text = f"{permitted} of {total} deployments permitted for route {decision.route}"
    if parts:
        text += ": " + ", ".join(parts)
    way_out = "" if decision.permitted else nearest_sentence(decision)
    return f"{text}.{' ' + way_out if way_out else ''}"


def nearest(decision: Decision) -> tuple[str, tuple[Verdict, ...]] | None:
    """The refused candidate with the fewest refusals, and these; the earlier in the route wins a tie."""
    refused = [(name, decision.refusals(name)) for name in decision.considered]
    refused = [(name, refusals) for name, refusals in refused if refusals]
    return min(refused, key=lambda each: len(each[1]), default=None)


def nearest_sentence(decision: Decision) -> str:
    """What would have to be otherwise for one more candidate."""
    found = nearest(decision)
    if found is None:
        return ""
    name, refusals = found
    remedies = dict.fromkeys(verdict.judgement.remedy or f"without {verdict.rule}" for verdict in refusals)
    return f"Nearest: {' and '.join(remedies)} would admit {name}."


def explanation(decision: Decision) -> str:
    """Everything, line by line."""
    lines = [summary(decision)]
    if decision.layers:
        names = ", ".join(f"{layer.policy.name} ({layer.level.value})" for layer in decision.layers)
        lines.append(f"policies: {names}")
    if decision.inspected.found:
        lines.append(_inspection_line(decision.inspected))
    for place, candidate in enumerate(decision.permitted, start=1):
        most = candidate.bound
        lines.append(
            f"  {place}. {candidate.deployment}: permitted; expected {format_usd(candidate.expected_nano_usd)}, "
            f"at most {format_usd(most.nano_usd)} ({most.basis.name.lower()}: {most.input_tokens} input and "
            f"{most.max_output_tokens} output tokens)"
        )
        lines.extend(f"       duty: {duty.text} ({duty.subject})" for duty in candidate.obligations)
        if candidate.deployment in decision.moment.unhealthy:
            lines.append(f"       tried last: {decision.moment.unhealthy[candidate.deployment]}")
    for name in decision.considered:
        refusals = decision.refusals(name)
        if refusals:
            lines.append(f"  -  {name}: refused")
            lines.extend(_refusal_line(verdict) for verdict in refusals)
    lines.extend(f"  share: {line}" for line in share_lines(decision))
    lines.extend(f"  {line}" for line in reserving_lines(decision))
    lines.extend(_noted(decision))
    return "\n".join(lines)


def share_lines(decision: Decision) -> list[str]:
    """The share caps that are asked when money is reserved, each with its reason."""
    if not decision.permitted:
        return []
    lines: list[str] = []
    for layer in decision.layers:
        for spec in layer.policy.rules:
            cap = cap_of(layer.policy, spec)
            if cap is not None:
                why = spec.because or spec.ref
                alone = "; a vendor that is alone is permitted" if cap.permits_alone and cap.mode is HARD else ""
                lines.append(
                    f"{cap.rule}: {cap_text(cap)} ({cap.mode.value}), asked when money is reserved{alone}"
                    + (f", because {why}" if why else "")
                )
    return lines


def reserving_lines(decision: Decision) -> list[str]:
    """What reserving came to, where a call was made: refusals, and what share caps said that refused nobody."""
    lines = [f"not granted: {name}: {reason}" for name, reason in decision.not_granted]
    refused = dict(decision.not_granted)
    for name, refusal in decision.capped:
        text = share_refusal_text(refusal)
        if refusal.demand.cap.mode is ShareMode.OBSERVED:
            lines.append(f"observed: {name} would not have been granted: {text}")
        elif refused.get(name) != text:
            lines.append(f"put off: {name}: {text}")
    return lines


def _inspection_line(inspected: Inspected) -> str:
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(inspected.found.items()))
    raised = ", ".join(f"{tag} raised to {value}" for tag, value in sorted(inspected.raised.items()))
    return f"inspection: {found}; {raised or 'no tag raised'}"


def _refusal_line(verdict: Verdict) -> str:
    judgement = verdict.judgement
    text = f"       {verdict.layer}/{verdict.rule}: {judgement.reason}"
    facts = [fact for fact in judgement.used if fact.path == judgement.fact]
    if facts:
        text += f" [{_fact(facts[0])}]"
    elif judgement.fact:
        text += f" [{judgement.fact}]"
    return f"{text} because {verdict.because}" if verdict.because else text


def _fact(fact: UsedFact) -> str:
    source = fact.source
    dated = "undated" if source.checked_on is None else f"checked {source.checked_on}"
    whose = ", from your files" if source.ownership is Ownership.USER else ""
    return f"{fact.path} = {fact.shown}; {source.ref}, {dated}, {source.confidence.name.lower()} confidence{whose}"


def _noted(decision: Decision) -> list[str]:
    """Waivers that were needed, what observed policies would have refused, and facts from the user's own files."""
    lines = [
        f"  waiver {each.waiver.id} admits {each.deployment} past {each.layer}/{each.rule} "
        f"until {each.waiver.expires} ({each.waiver.owner}: {each.waiver.because})"
        for each in decision.verdicts
        if each.waiver is not None
    ]
    lines.extend(
        f"  observed: {each.layer}/{each.rule} would refuse {each.deployment} ({each.judgement.reason})"
        for each in decision.verdicts
        if each.observed and each.judgement.outcome is not Outcome.PERMITTED
    )
    own = sorted(
        {
            fact.path
            for each in decision.verdicts
            for fact in each.judgement.used
            if fact.source.ownership is Ownership.USER
        }
    )
    if own:
        lines.append(f"  facts from your files: {', '.join(own)}")
    return lines
