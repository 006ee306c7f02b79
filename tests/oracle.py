"""A second, slow and obvious implementation of the decision, written from the design alone.

It shares the value types with the package and no function. Every rule is one paragraph that reads all it needs, in no
clever order; a verdict is a yes or no, with the facts it rests on. Whatever is not plainly permitted is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.core.bounds import BoundBasis
from modelrouter.core.facts import (
    Confidence,
    State,
)
from tests.oracle_rules import Question, answers, is_free_of_charge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from modelrouter.core.bounds import Size
    from modelrouter.core.facts import (
        Deployment,
        Fact,
        World,
    )
    from modelrouter.core.policy import Level, Policy, RuleSpec
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.request import Request
    from modelrouter.core.route import Moment, Route

__all__ = ["OracleAnswer", "dearest_nano_usd", "oracle_cost_nano_usd", "oracle_decide"]

T = TypeVar("T")

BASES: Final = {basis.name.lower(): basis for basis in BoundBasis}
CONFIDENCES: Final = {confidence.name.lower(): confidence for confidence in Confidence}


@dataclass(frozen=True, slots=True)
class OracleAnswer:
    """Who is permitted, and for each deployment every enforced test that refuses it.

    `refusers` holds `policy/rule` for rules, and for what no policy asks: `catalog` (retired, or no price to believe),
    `route` (needs), `wire` (cannot be called), `bound` (no upper bound on its input), `request` (the call's ceiling).
    """

    permitted: frozenset[str]
    refusers: Mapping[str, frozenset[str]]


# --- what no policy asks --------------------------------------------------------------------------------------------


def _catalog(question: Question) -> bool:
    """Not retired, and with a price that can be believed."""
    model = question.world.models[question.deployment.model]
    dates = [fact.value for fact in (model.retires_on, question.deployment.retires_on) if fact.state is State.KNOWN]
    price = question.known(question.deployment.price)
    retired = any(day is not None and question.today > day for day in dates)
    return not retired and price is not None and (price.free or not is_free_of_charge(price))


def _route(question: Question, route: Route, request: Request) -> bool:
    """The needs of the route and of the request, met by known facts."""
    windows = [needs.context_tokens for needs in (route.needs, request.needs) if needs.context_tokens is not None]
    if windows and (question.known(question.deployment.context_tokens) or 0) < max(windows):
        return False
    taken = question.deployment.parameters
    if taken is not None and not route.needs.parameters | request.needs.parameters <= taken:
        return False
    wanted = route.needs.capabilities | request.needs.capabilities
    return not wanted or wanted <= (question.known(question.deployment.capabilities) or frozenset())


# --- bounds, with fractions -----------------------------------------------------------------------------------------


@cache
def _rates(price: PriceList) -> dict[str, Fraction]:
    """Nano-dollars per token by class, and per request."""

    def rate(usd: Decimal | None, otherwise: Decimal) -> Fraction:
        return Fraction(otherwise if usd is None else usd) * 10**9 / 10**6

    return {
        "fresh": rate(price.input_usd_per_mtok, Decimal(0)),
        "cached": rate(price.cached_input_usd_per_mtok, price.input_usd_per_mtok),
        "written": rate(price.cache_write_usd_per_mtok, price.input_usd_per_mtok),
        "output": rate(price.output_usd_per_mtok, Decimal(0)),
        "reasoning": rate(price.reasoning_usd_per_mtok, price.output_usd_per_mtok),
        "request": Fraction(price.request_usd) * 10**9,
    }


def oracle_cost_nano_usd(price: PriceList, **tokens: int) -> int:
    """Cost of tokens counted by the classes `fresh`, `cached`, `written`, `output` and `reasoning`, rounded up."""
    rates = _rates(price)
    exact = rates["request"] + sum((count * rates[name] for name, count in tokens.items()), Fraction(0))
    whole = int(exact)
    return whole if whole == exact else whole + 1


def dearest_nano_usd(price: PriceList, tokens_in: int, tokens_out: int) -> int:
    """Every way to class the tokens as a whole, and the dearest of them: cost is linear, so a corner is the maximum."""
    return max(
        oracle_cost_nano_usd(price, **{class_in: tokens_in, class_out: tokens_out})
        for class_in in ("fresh", "cached", "written")
        for class_out in ("output", "reasoning")
    )


def _input_bound(question: Question, size: Size) -> tuple[int, BoundBasis] | None:
    """The most input tokens and what that rests on: bytes and overhead, or the window where bytes do not bound it.

    The facts that it notes are those of the deployment alone, whatever the request at hand carries.
    """
    basis = question.known(question.deployment.bound_basis)
    if basis is None or basis is BoundBasis.WINDOW:
        window = question.known(question.deployment.context_tokens)
        return None if window is None else (window, BoundBasis.WINDOW)
    if size.opaque_count:
        window = Question(question.world, question.deployment, question.today).known(question.deployment.context_tokens)
        return None if window is None else (window, BoundBasis.WINDOW)
    each = question.deployment.overhead
    tools = size.tool_bytes + size.tool_count * each.per_tool_tokens + bool(size.tool_count) * each.per_toolset_tokens
    messages = size.text_bytes + size.message_count * each.per_message_tokens
    return messages + tools + each.per_request_tokens, basis


def _fits(question: Question, request: Request, route: Route, ceiling_nano_usd: int | None) -> bool:
    """Whether some acceptable answer stays within a ceiling; tried from the longest down."""
    price = question.known(question.deployment.price)
    most = _input_bound(question, request.size)
    if most is None or price is None:
        return False
    wanted = route.default_output_tokens if request.max_output_tokens is None else request.max_output_tokens
    least = min(wanted, route.least_output_tokens)
    return any(
        ceiling_nano_usd is None or dearest_nano_usd(price, most[0], output * request.size.choices) <= ceiling_nano_usd
        for output in range(wanted, least - 1, -1)
    )


# --- the whole ------------------------------------------------------------------------------------------------------


def _bind(policy: Policy, tags: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a policy binds, and whether its waivers hold: a missing tag binds and activates no waiver."""
    mismatch = [tag for tag, values in policy.applies_to.items() if tag in tags and tags[tag] not in values]
    missing = [tag for tag in policy.applies_to if tag not in tags]
    return not mismatch, not mismatch and not missing


def _waived(policy: Policy, key: str, deployment: str, today: date) -> bool:
    return any(
        waiver.rule == f"{policy.name}/{key}" and waiver.subject == deployment and today <= waiver.expires
        for waiver in policy.waivers
    )


def _believed(spec: RuleSpec, facts: Iterable[Fact[object]], today: date) -> bool:
    """`facts.confidence` and `facts.age_days` over all the facts that were used."""
    if spec.key == "facts.confidence":
        least = CONFIDENCES[str(spec.at_least)]
        return all(fact.source.confidence >= least for fact in facts)
    assert isinstance(spec.at_most, int)
    oldest = today - timedelta(days=spec.at_most)
    return all(fact.source.checked_on is not None and fact.source.checked_on >= oldest for fact in facts)


def _refusers(scenario: _Scenario, deployment: Deployment) -> frozenset[str]:
    """Every enforced test that refuses one deployment."""
    today = scenario.today

    def ask() -> Question:
        return Question(scenario.world, deployment, today)

    found = {
        name
        for name, answer in (
            ("catalog", _catalog(ask())),
            ("route", _route(ask(), scenario.route, scenario.request)),
            ("wire", deployment.id not in scenario.moment.unavailable),
            ("cut-off", deployment.id not in scenario.moment.revoked),
            ("bound", _input_bound(ask(), scenario.request.size) is not None),
            ("request", _fits(ask(), scenario.request, scenario.route, scenario.request.ceiling_nano_usd)),
        )
        if not answer
    }
    used: list[Fact[object]] = []
    later: list[tuple[str, RuleSpec]] = []
    for policy, waivers_hold in scenario.enforced:
        for spec in policy.rules:
            waived = waivers_hold and _waived(policy, spec.key, deployment.id, today)
            name = f"{policy.name}/{spec.key}"
            if spec.key.startswith("facts."):
                later += [] if waived else [(name, spec)]
                continue
            answer, facts = _judge(ask(), spec, scenario)
            used += facts
            found |= set() if answer or waived else {name}
    found |= {name for name, spec in later if not _believed(spec, used, today)}
    return frozenset(found)


def _judge(question: Question, spec: RuleSpec, scenario: _Scenario) -> tuple[bool, list[Fact[object]]]:
    if spec.key == "request.cost_usd":
        assert isinstance(spec.at_most, Decimal)
        ceiling = int(Fraction(spec.at_most) * 10**9)
        return _fits(question, scenario.request, scenario.route, ceiling), question.facts
    if spec.key == "request.bound":
        most = _input_bound(question, scenario.request.size)
        return most is not None and most[1] >= BASES[str(spec.at_least)], question.facts
    return answers(question, spec), question.facts


@dataclass(frozen=True, slots=True)
class _Scenario:
    world: World
    route: Route
    request: Request
    moment: Moment
    today: date
    enforced: tuple[tuple[Policy, bool], ...]


def oracle_decide(
    request: Request, route: Route, policies: Iterable[tuple[Policy, Level]], world: World, moment: Moment
) -> OracleAnswer:
    """Judge every candidate of a route against every policy that binds the request."""
    bound = [(policy, *_bind(policy, request.tags)) for policy, _ in policies]
    enforced = tuple((policy, hold) for policy, binds, hold in bound if binds and not policy.observe)
    today = datetime.fromtimestamp(moment.now_s, tz=UTC).date()
    scenario = _Scenario(world, route, request, moment, today, enforced)
    candidates = [world.deployments[name] for step in route.tries for name in step.weights]
    refusers = {deployment.id: _refusers(scenario, deployment) for deployment in candidates}
    return OracleAnswer(frozenset(name for name, found in refusers.items() if not found), refusers)
