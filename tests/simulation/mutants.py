"""Deliberately broken variants, one for each invariant: each must be caught, and by that invariant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.attempts import Billing, End, Resolve, Send, run
from modelrouter.core.budget import admit
from modelrouter.core.health import State
from modelrouter.core.load import Limits
from modelrouter.core.ordering import in_order
from modelrouter.router.traffic import Full
from tests.simulation.drive import Gone
from tests.simulation.run import Rules, SimulatedTraffic
from tests.simulation.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.attempts import Attempt, Flow, Plan, Result, Step
    from modelrouter.core.budget import Refusal, Standing
    from modelrouter.router.traffic import Pass
    from tests.simulation.store import Held

__all__ = ["MUTANTS"]


# --- money ------------------------------------------------------------------------------------------------------------


def forgets_a_budget(needed: int, positions: Sequence[Standing]) -> Refusal | None:
    """Only the first two of an attempt's budgets are asked."""
    return admit(needed, positions[:2])


class EndsTwice(Store):
    """An end that comes after a lease lapsed is booked as if it were the first."""

    def end(self, held: Held, amount: int) -> None:
        before, held.ended = held.ended, 0
        super().end(held, amount)
        held.ended += before


class LosesLapsed(Store):
    """What a lapsed lease left open is given back, and stays so until somebody says otherwise."""

    def lapse(self, held: Held) -> None:
        held.is_lapsed = True
        self.end(held, 0)


def _changed(flow: Flow, change: Any) -> Flow:
    """The same loop, each of its steps changed on its way out."""
    step: Step = next(flow)
    while True:
        try:
            outcome = yield change(step)
        except Gone as error:
            step = flow.throw(error)
        else:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                result: Result = stop.value
                return result


def books_doubts_at_nothing(plan: Plan) -> Flow:
    """What may have been billed is booked as if it had not been."""

    def change(step: Step) -> Step:
        if isinstance(step, Resolve) and step.billing is Billing.UNCERTAIN:
            return replace(step, billing=Billing.UNBILLED, cost_nano_usd=0)
        return step

    return _changed(run(plan), change)


# --- the loop ---------------------------------------------------------------------------------------------------------


def ignores_the_cap(plan: Plan) -> Flow:
    """Attempts without end."""
    return run(replace(plan, attempts_max=99, retries_max=9))


def ignores_the_deadline(plan: Plan) -> Flow:
    """A minute more than there is."""
    return run(replace(plan, deadline_s=plan.deadline_s + 60))


def keeps_callers_waiting(plan: Plan) -> Flow:
    """A call may take three times as long as the deadline leaves it."""

    def change(step: Step) -> Step:
        return replace(step, timeout_s=3 * step.timeout_s) if isinstance(step, Send) else step

    return _changed(run(plan), change)


def ignores_the_ceiling(plan: Plan) -> Flow:
    """As if none had been given."""
    return run(replace(plan, ceiling_nano_usd=None))


def forgets_reasons(plan: Plan) -> Flow:
    """A result without who was not granted anything."""
    result = yield from run(plan)
    return replace(result, not_granted=())


def falls_back_after_content(plan: Plan) -> Flow:
    """A stream that broke is begun anew, with somebody else."""
    result = yield from run(plan)
    if result.end is End.BROKEN and len(plan.hops) > 1:
        result = yield from run(replace(plan, hops=plan.hops[1:]))
    return result


class Counting:
    """An order that depends on what nobody wrote down."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, permitted: Mapping[str, int], *others: Any) -> list[str]:
        self._asked += 1
        order = in_order(permitted, *others)
        return order if self._asked % 3 else order[::-1]


# --- traffic ----------------------------------------------------------------------------------------------------------


class RetriesFreely(SimulatedTraffic):
    """Every attempt counts as the first of its request."""

    def _try(self, *values: Any, is_extra: bool, is_last: bool) -> Pass | Full:
        return super()._try(*values, is_extra=False, is_last=is_last)


class SharesBlame(SimulatedTraffic):
    """Whoever fails uses up the retry budgets of all."""

    def leave(self, entry: Pass, attempt: Attempt | None) -> None:
        super().leave(entry, attempt)
        if attempt is not None and attempt.failure is not None:
            for post in self._posts.values():
                post.budget.tokens = max(0.0, post.budget.tokens - 1)


class EmptiesPools(SimulatedTraffic):
    """Who is ill is never asked, whoever else is left."""

    def _try(self, post: Any, *values: Any, is_extra: bool, is_last: bool) -> Pass | Full:
        if post.breaker.state(self._clock.monotonic_s()) is State.OPEN:
            return Full("it is ill")
        return super()._try(post, *values, is_extra=is_extra, is_last=is_last)


class ProbesFreely(SimulatedTraffic):
    """A half-open breaker lets everybody in."""

    def _try(self, *values: Any, is_extra: bool, is_last: bool) -> Pass | Full:
        return super()._try(*values, is_extra=is_extra, is_last=True)


class NoLimit(SimulatedTraffic):
    """Limits that are not kept."""

    kept = Limits()

    def adopt(self, setup: Any) -> None:
        super().adopt(replace(setup, limits={name: self.without(each) for name, each in setup.limits.items()}))

    def without(self, limits: Limits) -> Limits:
        """The limits that are kept."""
        return replace(limits, max_in_flight=None)


class NoRate(NoLimit):
    """Limits of a minute that are not kept."""

    def without(self, limits: Limits) -> Limits:
        """The limits that are kept."""
        return replace(limits, requests_per_minute=None, tokens_per_minute=None)


MUTANTS: Final = (
    ("permission", "the driver does not ask policy again", lambda: Rules(asks_policy=False)),
    ("budgets", "admission forgets budgets", lambda: Rules(admit=forgets_a_budget)),
    ("reservation", "the driver does not ask whether it stands", lambda: Rules(asks_book=False)),
    ("one end", "a late end counts again", lambda: Rules(store=EndsTwice)),
    ("bill", "doubts are booked at nothing", lambda: Rules(run=books_doubts_at_nothing)),
    ("bill", "what a lapsed lease left is given back", lambda: Rules(store=LosesLapsed)),
    ("attempts", "the loop ignores its cap", lambda: Rules(run=ignores_the_cap)),
    ("deadline", "the loop ignores its deadline", lambda: Rules(run=ignores_the_deadline)),
    ("deadline", "a call may take longer", lambda: Rules(run=keeps_callers_waiting)),
    ("ceiling", "the loop ignores its ceiling", lambda: Rules(run=ignores_the_ceiling)),
    ("retry budget", "extra attempts count as first ones", lambda: Rules(traffic=RetriesFreely)),
    ("own failures", "a failure costs the others, too", lambda: Rules(traffic=SharesBlame)),
    ("pool", "an open breaker refuses", lambda: Rules(traffic=EmptiesPools)),
    ("content", "a broken stream falls back", lambda: Rules(run=falls_back_after_content)),
    ("reasons", "results forget reasons", lambda: Rules(run=forgets_reasons)),
    ("replay", "an order by a counter", lambda: Rules(in_order=Counting())),
    ("half-open", "a half-open breaker lets everybody in", lambda: Rules(traffic=ProbesFreely)),
    ("in flight", "the limit of calls at once is not kept", lambda: Rules(traffic=NoLimit)),
    ("per minute", "limits of a minute are not kept", lambda: Rules(traffic=NoRate)),
)
"""The invariant that must report it, what is wrong, and the rules that are."""
