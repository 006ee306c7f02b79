"""Filter, then order: which deployments may serve a request, in which order, and why each other one may not.

``decide(request, route, layers, world, moment)`` is a function of its values. Verdicts that only dates can turn come in
as `Compiled`; what depends on this one request (its bound, its ceiling, whether an endpoint can be called) is judged
here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelrouter.core.attempts import Hop
from modelrouter.core.bounds import Bound, BoundBasis, Shortfall, bound
from modelrouter.core.explanation import explanation, summary
from modelrouter.core.facts import trusted
from modelrouter.core.inspection import UNINSPECTED
from modelrouter.core.money import format_usd, nano_from_usd
from modelrouter.core.ordering import expected_output_tokens, in_order
from modelrouter.core.policy import Judgement, Level, Outcome
from modelrouter.core.portability import RULE, judge_history, target_of
from modelrouter.core.pricing import Span, Usage
from modelrouter.core.route import Moment, Objective, Route, Try
from modelrouter.core.rules import family_of
from modelrouter.core.subject import Calendar, Subject
from modelrouter.core.verdict import Compiled, Row, Verdict, compile_rows, layers_for, refusing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.inspection import Inspected
    from modelrouter.core.policy import Layer, Obligation
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.request import Request
    from modelrouter.core.shares import ShareRefusal

__all__ = [
    "REVOKED",
    "Candidate",
    "Compiled",
    "Decision",
    "Moment",
    "Objective",
    "Route",
    "Row",
    "Try",
    "Verdict",
    "compile_rows",
    "day_of",
    "decide",
    "layers_for",
]

CUT_OFF = "cut-off"
REVOKED = "revoked"
"""The layer and the rule of a verdict about what was revoked."""
BYTES_PER_TOKEN = 4  # a common rule of thumb for English; only an expectation, never a bound


@dataclass(frozen=True, slots=True)
class Candidate:
    """A permitted deployment, in its place of the order.

    Attributes:
        bound: the most a first attempt can cost.
        expected_nano_usd: what an answer of the usual length would cost.
        obligations: duties its use brings along.
    """

    deployment: str
    hop: Hop
    bound: Bound
    expected_nano_usd: int
    obligations: tuple[Obligation, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What may serve a request, in order, and every verdict that led there. Pure values: keep it, print it, replay it.

    Attributes:
        considered: every candidate of the route, in the route's order.
        permitted: best first.
        rows: the compiled verdicts of each candidate.
        moment_verdicts: those that belong to this request and this moment.
        layers: the policies that bound it.
        epoch: hash of all static facts.
        inspected: what was found in the request, and which tags that raised.
        not_granted: of a call that is over: for whom nothing could be reserved, and why.
        capped: of a call that is over: whom a share cap spoke against, soft and observed ones too, and what it said.
    """

    route: str
    considered: tuple[str, ...]
    permitted: tuple[Candidate, ...]
    rows: Mapping[str, Row]
    moment_verdicts: tuple[Verdict, ...]
    layers: tuple[Layer, ...]
    epoch: str
    moment: Moment
    inspected: Inspected = UNINSPECTED
    not_granted: tuple[tuple[str, str], ...] = ()
    capped: tuple[tuple[str, ShareRefusal], ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict, candidate by candidate."""
        compiled = (verdict for name in self.considered for verdict in self.rows[name].verdicts)
        return (*compiled, *self.moment_verdicts)

    def refusals(self, deployment: str) -> tuple[Verdict, ...]:
        """What keeps a deployment out, in the order of judging; empty if it is permitted."""
        now = tuple(each for each in self.moment_verdicts if each.deployment == deployment and each.refuses)
        return (*self.rows[deployment].refusals, *now)

    def summary(self) -> str:
        """One line: how many are permitted, refusals counted by their first rule, and the nearest way out."""
        return summary(self)

    def explain(self) -> str:
        """Everything, for people: order, costs, obligations, each refusal with its fact and source."""
        return explanation(self)


def day_of(now_s: float) -> date:
    """The UTC day of a moment: all dates in facts, waivers and agreements are valid through their day, UTC."""
    return datetime.fromtimestamp(now_s, UTC).date()


def decide(
    request: Request,
    route: Route,
    layers: tuple[Layer, ...],
    world: World,
    moment: Moment,
    *,
    compiled: Compiled | None = None,
) -> Decision:
    """Decide who may serve a request, and in which order.

    Args:
        layers: those that bind this request, from `layers_for`.
        compiled: verdicts for the same layers, route, needs and epoch, not past their `valid_until`; None judges anew.

    Returns:
        a Decision; with an empty `permitted` nobody may serve it. Nothing is raised.
    """
    today = day_of(moment.now_s)
    if compiled is None:
        compiled = compile_rows(world, layers, route, route.needs.joined(request.needs), today)
    calendar = Calendar(today)
    timeout_s = route.timeout_s if request.timeout_s is None else request.timeout_s
    span = _span(moment, timeout_s)
    verdicts: list[Verdict] = []
    found: dict[str, Candidate] = {}
    for name, row in compiled.rows.items():
        out_of_reach = moment.unavailable.get(name)
        if out_of_reach is not None:
            judgement = Judgement(Outcome.REFUSED, out_of_reach, f"{name}.endpoint", remedy=f"a way to call `{name}`")
            verdicts.append(Verdict(name, "wire", Level.CONFIG, "endpoint", judgement))
        cut_off = moment.revoked.get(name)
        if cut_off is not None:
            judgement = Judgement(Outcome.REFUSED, cut_off, remedy=f"`modelrouter restore` of what cut off `{name}`")
            verdicts.append(Verdict(name, CUT_OFF, Level.CONFIG, REVOKED, judgement))
        subject = Subject(world.deployments[name], world, calendar)
        foreign = _foreign_history(request, route, subject)
        verdicts.extend(foreign)
        price = world.deployments[name].price.value
        if price is None:
            continue  # refused in the row: no price, no bound
        judged, hop, most = _bounded(request, route, layers, subject, price, span=span)
        verdicts.extend(judged)
        if (
            row.refusals
            or out_of_reach is not None
            or cut_off is not None
            or any(each.refuses for each in (*foreign, *judged))
            or most is None
        ):
            continue
        expected = _expected(request, route, name, price, moment, timeout_s=timeout_s)
        found[name] = Candidate(name, hop, most, expected, row.obligations)
    order = in_order(
        {name: each.expected_nano_usd for name, each in found.items()}, route, request, moment, world.deployments
    )
    return Decision(
        route.name,
        tuple(compiled.rows),
        tuple(found[name] for name in order),
        compiled.rows,
        tuple(verdicts),
        layers,
        world.epoch,
        moment,
        request.inspected,
    )


def _foreign_history(request: Request, route: Route, subject: Subject) -> tuple[Verdict, ...]:
    """Whether it can take this conversation; plain ones need no verdict."""
    if request.history.is_plain:
        return ()
    judgement = judge_history(request.history, target_of(subject, request, route), strips=route.strips_history)
    return (Verdict(subject.deployment.id, "route", Level.ROUTE, RULE, judgement),)


def _bounded(
    request: Request, route: Route, layers: tuple[Layer, ...], subject: Subject, price: PriceList, *, span: Span
) -> tuple[list[Verdict], Hop, Bound | None]:
    """The per-request rules, each judged alone, and the bound under all ceilings that are enforced."""
    hop = _hop(subject.deployment, price)
    wanted, least = _output_tokens(request, route)
    verdicts: list[Verdict] = []
    ceilings: list[int] = []

    def most_within(ceiling: int | None) -> Bound | Shortfall:
        return bound(
            price,
            request.size,
            overhead=hop.overhead,
            basis=hop.basis,
            context_tokens=hop.context_tokens,
            wanted_output_tokens=wanted,
            least_output_tokens=least,
            ceiling_nano_usd=ceiling,
            span=span,
        )

    free = most_within(None)
    if isinstance(free, Shortfall):
        verdicts.append(_unbounded(subject, free))
        return verdicts, hop, None
    for layer in layers:
        for spec in layer.policy.rules:
            family = family_of(spec.key)
            if family is None or not family.per_request:
                continue
            ceiling = _ceiling_of(spec.key, spec.at_most)
            judgement = family.judge_request(spec, subject, free if ceiling is None else most_within(ceiling))
            verdict = refusing(layer, spec, subject, judgement)
            verdicts.append(verdict)
            if ceiling is not None and not verdict.observed and verdict.waiver is None:
                ceilings.append(ceiling)
    if request.ceiling_nano_usd is not None:
        own = most_within(request.ceiling_nano_usd)
        verdicts.append(_under_own_ceiling(subject, request.ceiling_nano_usd, own))
        ceilings.append(request.ceiling_nano_usd)
    if not ceilings:
        return verdicts, hop, free
    lowest = min(ceilings)
    clamped = most_within(lowest)
    limited = Hop(hop.deployment, hop.price, hop.overhead, hop.basis, hop.context_tokens, hop.billed_statuses, lowest)
    return verdicts, limited, clamped if isinstance(clamped, Bound) else None


def _hop(deployment: Deployment, price: PriceList) -> Hop:
    return Hop(
        deployment.id,
        price,
        deployment.overhead,
        trusted(deployment.bound_basis) or BoundBasis.WINDOW,
        trusted(deployment.context_tokens),
        deployment.billed_statuses,
    )


def _output_tokens(request: Request, route: Route) -> tuple[int, int]:
    wanted = route.default_output_tokens if request.max_output_tokens is None else request.max_output_tokens
    return wanted, min(route.least_output_tokens, wanted)


def _ceiling_of(key: str, limit: object) -> int | None:
    if key != "request.cost_usd" or limit is None:
        return None
    return nano_from_usd(str(limit))


def _unbounded(subject: Subject, shortfall: Shortfall) -> Verdict:
    name = subject.deployment.id
    judgement = Judgement(
        Outcome.UNKNOWN, shortfall.reason, f"{name}.context_tokens", remedy=f"a known context window for `{name}`"
    )
    return Verdict(name, "catalog", Level.CONFIG, "request.bound", judgement)


def _under_own_ceiling(subject: Subject, ceiling: int, most: Bound | Shortfall) -> Verdict:
    """The ceiling that the call itself gave."""
    name = subject.deployment.id
    judgement = Judgement(Outcome.PERMITTED)
    if isinstance(most, Shortfall):
        needed = most.needed_nano_usd
        reason = most.reason if needed is None else f"needs {format_usd(needed)} of {format_usd(ceiling)}"
        remedy = "a higher ceiling" if needed is None else f"a ceiling of {format_usd(needed)}"
        judgement = Judgement(Outcome.REFUSED, reason, "request.max_cost_usd", remedy=remedy)
    return Verdict(name, "request", Level.REQUEST, "request.cost_usd", judgement)


def _span(moment: Moment, length_s: float) -> Span:
    """From now on for so long: the hours and the days that prices may change in."""
    started_us = int(moment.now_s * 1_000_000)
    return Span(started_us, started_us + math.ceil(length_s * 1_000_000))


def _expected(request: Request, route: Route, name: str, price: PriceList, moment: Moment, *, timeout_s: float) -> int:
    """What it will probably cost; time on a machine as it was observed, or all that there is."""
    wanted, _ = _output_tokens(request, route)
    size = request.size
    tokens = size.expected_tokens
    if tokens is None:
        tokens = (size.text_bytes + size.tool_bytes) // BYTES_PER_TOKEN + 1
    output = expected_output_tokens(name, wanted, moment) * size.choices
    return price.cost_nano_usd(Usage(tokens, output), _span(moment, moment.latency_s.get(name, timeout_s)))
