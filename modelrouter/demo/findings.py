"""What the demo found, as values: each is computed from this run's decision, reply, ledger and catalog."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from modelrouter.core.money import usd_from_nano

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter import Decision, Reply
    from modelrouter.core.facts import World
    from modelrouter.core.verdict import Verdict
    from modelrouter.ledger import AttemptRow

__all__ = [
    "BookedAttempt",
    "CallMade",
    "CandidateFound",
    "Elsewhere",
    "RefusalFound",
    "Story",
    "TriedAttempt",
    "booked",
    "call_made",
    "candidates_of",
    "elsewhere",
]

TENTH: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class RefusalFound:
    """Why a candidate may not serve: the rule, the fact that decided it, and where that fact can be checked.

    Attributes:
        because: why the policy asks; empty where it does not say.
        source: empty where no fact but the moment decided, as for a key that is not set.
        checked_on: the day on which the source was last read, as 2026-11-22; empty where undated.
    """

    rule: str
    reason: str
    because: str
    fact: str
    source: str
    checked_on: str


@dataclass(frozen=True, slots=True)
class CandidateFound:
    """One candidate with its verdict.

    Attributes:
        operator: the organisation's name.
        most_usd: the most that an attempt can cost; None for a refused one.
        refusals: empty for a permitted one.
    """

    deployment: str
    model: str
    operator: str
    permitted: bool
    most_usd: Decimal | None
    refusals: tuple[RefusalFound, ...]


@dataclass(frozen=True, slots=True)
class TriedAttempt:
    """One attempt of a call: `failure` is its kind, empty for the attempt that answered."""

    number: int
    deployment: str
    failure: str
    detail: str
    duration_s: float
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call as the reply tells it; tokens are None where the server reported none."""

    route: str
    text: str
    deployment: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal
    saved_usd: Decimal | None
    attempts: tuple[TriedAttempt, ...]
    call_id: str


@dataclass(frozen=True, slots=True)
class BookedAttempt:
    """One line of the ledger, as it was read back from the file: what was reserved, and what became of it."""

    call_id: str
    number: int
    deployment: str
    state: str
    reserved_usd: Decimal
    cost_usd: Decimal
    input_tokens: int | None
    output_tokens: int | None
    failure: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the same tokens cost at one candidate, by its price.

    Attributes:
        paid: this is the one that answered, and what it cost.
        times: how many times what was paid; None where nothing was paid.
        source: where the price can be checked.
    """

    deployment: str
    model: str
    operator: str
    cost_usd: Decimal
    paid: bool
    times: Decimal | None
    source: str


@dataclass(frozen=True, slots=True)
class Story:
    """The whole demo."""

    model: str
    model_file: str
    parameter_count: int
    prompt: str
    candidates: tuple[CandidateFound, ...]
    answer: CallMade
    fallback: CallMade
    ledger: tuple[BookedAttempt, ...]
    elsewhere: tuple[Elsewhere, ...]
    next_steps: tuple[str, ...]


def candidates_of(decision: Decision, world: World) -> tuple[CandidateFound, ...]:
    """Every candidate of a decision, in the route's order."""
    bounds = {each.deployment: each.bound.nano_usd for each in decision.permitted}
    found = []
    for name in decision.considered:
        model, operator = _names(name, world)
        most = usd_from_nano(bounds[name]) if name in bounds else None
        refusals = tuple(_refusal(each) for each in decision.refusals(name))
        found.append(CandidateFound(name, model, operator, name in bounds, most, refusals))
    return tuple(found)


def _names(deployment: str, world: World) -> tuple[str, str]:
    facts = world.deployments[deployment]
    organisation = world.organisations.get(facts.operator)
    return world.models[facts.model].name, facts.operator if organisation is None else organisation.name


def _refusal(verdict: Verdict) -> RefusalFound:
    judgement = verdict.judgement
    used = next((fact for fact in judgement.used if fact.path == judgement.fact), next(iter(judgement.used), None))
    if used is None:
        return RefusalFound(verdict.rule, judgement.reason, verdict.because, judgement.fact, "", "")
    day = used.source.checked_on
    return RefusalFound(
        verdict.rule,
        judgement.reason,
        verdict.because,
        f"{used.path} = {used.shown}",
        used.source.ref,
        "" if day is None else day.isoformat(),
    )


def call_made(route: str, reply: Reply) -> CallMade:
    """What a reply tells of its call."""
    usage = reply.usage
    return CallMade(
        route=route,
        text=reply.text,
        deployment=reply.deployment,
        input_tokens=None if usage is None else usage.input_tokens,
        output_tokens=None if usage is None else usage.output_tokens,
        cost_usd=reply.cost_usd,
        saved_usd=reply.saved_usd,
        attempts=tuple(
            TriedAttempt(
                number=each.number,
                deployment=each.deployment,
                failure="" if each.failure is None else each.failure.kind.value,
                detail="" if each.failure is None else each.failure.detail,
                duration_s=round(each.ended_s - each.started_s, 3),
                cost_usd=usd_from_nano(each.cost_nano_usd),
            )
            for each in reply.attempts
        ),
        call_id=reply.call_id,
    )


def booked(rows: Sequence[AttemptRow]) -> tuple[BookedAttempt, ...]:
    """The ledger's lines."""
    return tuple(
        BookedAttempt(
            call_id=row.call_id,
            number=row.number,
            deployment=row.deployment,
            state=row.state.value,
            reserved_usd=usd_from_nano(row.bound.nano_usd),
            cost_usd=usd_from_nano(row.cost_nano_usd),
            input_tokens=None if row.usage is None else row.usage.input_tokens,
            output_tokens=None if row.usage is None else row.usage.output_tokens,
            failure="" if row.failure is None else row.failure.value,
        )
        for row in rows
    )


def elsewhere(reply: Reply, world: World) -> tuple[Elsewhere, ...]:
    """What the tokens of a reply cost at each candidate with a price, dearest first; the one that answered among them.

    A token is counted as the local model's tokenizer counts it; another one counts the same text a little differently.
    """
    usage = reply.usage
    if usage is None:
        return ()
    found = []
    for name in reply.decision.considered:
        price = world.deployments[name].price
        if price.value is not None:
            nano_usd = price.value.cost_nano_usd(usage)
            times = TENTH * round(10 * Fraction(nano_usd, reply.cost_nano_usd)) if reply.cost_nano_usd else None
            row = Elsewhere(
                name, *_names(name, world), usd_from_nano(nano_usd), name == reply.deployment, times, price.source.ref
            )
            found.append((nano_usd, row))
    return tuple(row for _, row in sorted(found, key=lambda pair: pair[0], reverse=True))
