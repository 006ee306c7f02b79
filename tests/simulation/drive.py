"""One simulated request: it performs the steps of the attempt loop as `router.drive` does, with events for waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.attempts import (
    Answered,
    Billing,
    End,
    Failed,
    Granted,
    Lapsed,
    NotGranted,
    Opened,
    Overload,
    Plan,
    Relay,
    Reserve,
    Resolve,
    Resolved,
    Send,
    Waited,
)
from modelrouter.core.budget import Refusal
from modelrouter.core.failure import Blame
from modelrouter.core.route import Moment
from modelrouter.router.traffic import Need, Pass
from tests.simulation.faults import LATE, reply, with_other_key
from tests.simulation.watch import proves
from tests.simulation.world import EPOCH_S, HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.core.attempts import Outcome, Result, Step
    from modelrouter.core.load import Line
    from tests.simulation.run import Simulation, Writer
    from tests.simulation.store import Held
    from tests.simulation.world import Case

__all__ = ["Drive", "Gone"]

POLL_S = 0.5
REPLAYED = 16
"""One decision of so many is made again."""
KEYED = frozenset({Blame.CREDENTIAL, Blame.CAPACITY})


class Gone(BaseException):
    """The caller gave up, or its process died."""


class Drive:
    """One request of one writer on its way.

    Attributes:
        turn: which wait it is in; events of earlier ones are stale.
        is_over: it has ended, or its process has died.
        is_woken: its turn in a line has come, and the event for that is on its way.
    """

    __slots__ = (
        "_began", "_booking", "_entry", "_extra", "_flow", "_held", "_ill", "_lines", "_mark",
        "_plan", "_relayed", "_replay", "_reply", "_sends", "_slow_s", "_spent", "_step", "_until_s",
        "case", "is_over", "is_woken", "sim", "turn", "writer",
    )  # fmt: skip

    def __init__(self, sim: Simulation, writer: Writer, case: Case) -> None:
        self.sim, self.writer, self.case = sim, writer, case
        self.turn, self.is_over, self.is_woken, self._relayed, self._extra = 0, False, False, False, False
        self._sends = self._spent = 0
        self._ill: dict[str, bool] = {}
        self._lines: list[Line] = []
        self._replay: tuple[dict[str, int], list[str], Moment] | None = None
        self._entry: Pass | None = None
        self._held: Held | None = None
        self._until_s = self._slow_s = 0.0

    # --- the loop -----------------------------------------------------------------------------------------------------

    def begin(self, number: int) -> bool:
        """Decide and set off; False: nobody is permitted."""
        sim, case = self.sim, self.case
        route, refused = case.route, sim.refused[case.route.name]
        permitted = {name: cost for name, cost in case.expected.items() if name not in refused}
        if not permitted:
            return False
        readings = self.writer.traffic.readings(route.candidates)
        stream = number % 3 == 0
        moment = Moment(
            EPOCH_S + sim.now_s,
            str(number),
            {},
            readings.tried_last,
            readings.in_flight,
            readings.latency_s,
            readings.first_token_s,
            stream,
        )
        order = sim.rules.in_order(permitted, route, case.request, moment, {})
        if number % REPLAYED == 0:
            self._replay = (dict(reversed(permitted.items())), order, moment)
        now_s = sim.now_s
        self._plan = Plan(
            tuple([HOSTS[name].hop for name in order]),
            case.size,
            case.wanted_output_tokens,
            min(route.least_output_tokens, case.wanted_output_tokens),
            case.ceiling_nano_usd,
            now_s,
            now_s + route.timeout_s,
            route.attempts_max,
            stream,
            retries_max=route.retries_max,
        )
        self._flow = sim.rules.run(self._plan)
        self.writer.drives[self] = None
        self._advance(None)
        return True

    def _advance(self, outcome: Outcome | None) -> None:
        """Perform steps until one has to wait for an event, or the loop has ended."""
        flow = self._flow
        self.turn += 1
        try:
            step = next(flow) if outcome is None else flow.send(outcome)
            while True:
                self._step = step
                outcome = self._perform(step)
                if outcome is None:
                    return
                step = flow.send(outcome)
        except StopIteration as stop:
            self._over(stop.value)

    def _perform(self, step: Step) -> Outcome | None:
        sim = self.sim
        if isinstance(step, Resolve):
            return self._resolve(step)
        if isinstance(step, Reserve):
            return self._reserve(step)
        if isinstance(step, Send):
            return self._send(step)
        if isinstance(step, Relay):
            self._relayed = True
            sim.at(self._began + self._reply.after_s, Drive.replied, self)
            return None
        seconds = step.seconds * (1.0 if step.is_stated else 0.5 + 0.5 * sim.chance())
        sim.at(sim.now_s + seconds, Drive.waited, self)
        return None

    def _over(self, result: Result) -> None:
        self.is_over = True
        self.writer.drives.pop(self, None)
        if self._replay is not None:  # by what was kept, when much has changed since
            permitted, order, moment = self._replay
            again = self.sim.rules.in_order(permitted, self.case.route, self.case.request, moment, {})
            self.sim.watched.decided(list(permitted), order, again)
        self.sim.watched.in_time(self.sim.now_s - self._plan.deadline_s - self._slow_s, relayed=self._relayed)
        self.sim.watched.over(self.sim.now_s, self._plan, self.case, result, self._ill)
        self.sim.ended(result.end, result.cost_nano_usd)

    def cancel(self) -> None:
        """The caller gives up: what is open is booked at once."""
        if self.is_over:
            return
        self.turn += 1
        self._quit()
        if isinstance(self._step, Reserve):  # not granted yet, so the loop knows of nothing to resolve
            if self._held is not None:
                self._end(0)
            self._leave(None)
        try:
            step = self._flow.throw(Gone())
            while True:
                step = self._flow.send(self._perform(step) or Resolved(self.sim.now_s))
        except Gone:
            self.is_over = True
            self.writer.drives.pop(self, None)
            self.sim.ended(End.CANCELLED, self._spent)

    def die(self) -> None:
        """Its process is gone: nothing is booked, and its loop is let go."""
        self.is_over = True
        self.turn += 1
        try:
            self._flow.throw(Gone())
            while True:
                self._flow.send(Resolved(self.sim.now_s))
        except (Gone, StopIteration):
            return

    # --- room and money -----------------------------------------------------------------------------------------------

    def _reserve(self, step: Reserve) -> Outcome | None:
        sim = self.sim
        sim.watched.asked(relayed=self._relayed)
        name, now_s = step.hop.deployment, sim.now_s
        if self._is_refused(name):
            self._ill[name] = False
            return NotGranted("policy refuses it now", now_s)
        self._until_s = now_s + step.wait_s
        if step.is_last:
            held_s = self.writer.post(name).keys.held_until_s(now_s)
            if held_s is not None and held_s <= self._until_s:
                sim.at(min(now_s + (held_s - now_s) * (1 + 0.1 * sim.chance()), self._until_s), Drive.roomed, self)
                return None
        return self._enter(step)

    def _enter(self, step: Reserve) -> Outcome | None:
        """Room at the deployment: now, or by standing in line."""
        sim, name = self.sim, step.hop.deployment
        now_s, traffic, post = sim.now_s, self.writer.traffic, self.writer.post(step.hop.deployment)
        need = Need.of(step.bound, self.case.size)
        while True:
            is_extra, caller = step.number > 1, self if self._lines else None
            got = traffic._try(post, name, need, now_s, caller, is_extra=is_extra, is_last=step.is_last)  # type: ignore[arg-type]
            if isinstance(got, Pass):
                self._quit()
                self._entry, self._extra = got, is_extra
                probes = proves(got.breaker.state(now_s), is_last=step.is_last)
                watch = self.writer.watches[name]
                self._mark = watch.enter(now_s, need, is_extra=is_extra, probes=probes, age=got.age)
                return self._money(step)
            overload = got.overload
            if now_s >= self._until_s or got.line is None:
                break
            if got.line in self._lines:
                left_s = self._until_s - now_s
                later_s = None if overload is None else overload.retry_after_s
                sim.at(now_s + (left_s if later_s is None else min(later_s, left_s)), Drive.roomed, self)
                return None
            if not got.line.join(self):
                overload = Overload(0.0, None if overload is None else overload.retry_after_s)
                break
            self._lines.append(got.line)
        self._quit()
        if step.number > 1 and (got.line is post.undecided or "retry budget" in got.reason):
            self.writer.watches[name].refused_extra(now_s)
        self._ill[name] = self.writer.is_ill(name, got)
        return NotGranted(got.reason, now_s, overload=overload)

    def _quit(self) -> None:
        """Leave all lines, and let the next of them look."""
        if self._lines:
            for line in self._lines:
                line.quit(self)
            self._lines.clear()
            if isinstance(self._step, Reserve):
                self.writer.traffic._wake(self.writer.post(self._step.hop.deployment))

    def _money(self, step: Reserve) -> Outcome | None:
        sim, name = self.sim, step.hop.deployment
        now_s, bound = sim.now_s, step.bound.nano_usd
        if step.wait_s > 0 and self._is_refused(name):
            self._leave(None)
            self._ill[name] = False
            return NotGranted("policy refuses it now", now_s)
        held = sim.store.reserve(now_s, self.case, name, bound)
        if isinstance(held, Refusal):
            until_s = min(self._until_s, now_s + held.wait_s) if held.is_busy else now_s
            if now_s < until_s:
                sim.at(min(now_s + POLL_S, until_s), Drive.paid, self)
                return None
            self._leave(None)
            self._ill[name] = False
            return NotGranted("a budget has no room", now_s, held)
        self._held, self._booking = held, sim.watched.reserved(now_s, self.case, name, bound)
        self.writer.held[held] = self._booking
        if sim.chance() < 0.02:  # the book takes its time
            slow_s = sim.chance() ** 4 * self.case.route.timeout_s / 2
            self._slow_s += slow_s
            sim.at(now_s + slow_s, Drive.granted, self)
            return None
        return Granted("reserved", now_s)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _send(self, step: Send) -> Outcome | None:
        sim, name, held, entry = self.sim, step.hop.deployment, self._held, self._entry
        if held is None or entry is None:
            raise AssertionError("it is sent without a reservation, or without being let in")
        now_s = sim.now_s
        sim.watched.asked(relayed=self._relayed)
        if (held.is_lapsed and sim.rules.asks_book) or self._is_refused(name):
            return Lapsed(now_s)
        self._sends += 1
        refused = name in sim.refused[self.case.route.name]
        sim.watched.sent(
            now_s, self._plan, self.case, self._booking, sends=self._sends, spent=self._spent, refused=refused
        )
        self._began = entry.sent_s = now_s
        entry.is_cut_short = step.timeout_s < entry.breaker.terms.slow_s
        host = HOSTS[name]
        self._reply = came = reply(
            sim.random, host, sim.weather[host.operator], now_s, step.bound, stream=self._plan.stream
        )
        self._booking.billed = min(came.billed_nano_usd, step.bound.nano_usd)
        sim.sends += 1
        if came.first_s is not None and came.first_s < step.timeout_s:
            sim.at(now_s + came.first_s, Drive.opened, self)
        elif came.after_s < step.timeout_s:
            sim.at(now_s + came.after_s, Drive.replied, self)
        else:
            sim.at(now_s + step.timeout_s, Drive.late, self)
        return None

    def _resolve(self, step: Resolve) -> Outcome:
        entry = self._entry
        self._spent += step.cost_nano_usd
        self._leave(step)
        if entry is None or self._held is None:
            raise AssertionError("it is resolved without having been reserved")
        self._end(0 if step.billing is Billing.UNBILLED else step.cost_nano_usd)
        return Resolved(self.sim.now_s)

    def _end(self, amount: int) -> None:
        held, self._held = self._held, None
        if held is None:
            raise AssertionError("it is ended without having been reserved")
        self.writer.held.pop(held, None)
        self.sim.corrections += held.is_lapsed
        self.sim.store.end(held, amount)
        self.sim.watched.ended(self._booking, amount, held.ended)

    def _leave(self, step: Resolve | None) -> None:
        """Hand the pass back, and tell the account beside it."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        now_s, watch = self.sim.now_s, self.writer.watches[entry.deployment]
        attempt = None if step is None or entry.sent_s is None else step.attempt
        watch.leave(now_s, self._mark, entry.age, is_extra=self._extra, attempt=attempt)
        self.writer.traffic.leave(entry, None if step is None else step.attempt)

    def _is_refused(self, name: str) -> bool:
        return self.sim.rules.asks_policy and name in self.sim.refused[self.case.route.name]

    # --- events -------------------------------------------------------------------------------------------------------

    def waited(self) -> None:
        """A wait is over."""
        self._advance(Waited(self.sim.now_s))

    def roomed(self) -> None:
        """There may be room now, or no more time to wait for it."""
        self.is_woken = False
        self._go_on(self._enter)

    def paid(self) -> None:
        """Money may be back."""
        self._go_on(self._money)

    def _go_on(self, part: Callable[[Reserve], Outcome | None]) -> None:
        step = self._step
        if not isinstance(step, Reserve):
            raise TypeError("room or money came when none was asked for")
        self.turn += 1
        outcome = part(step)
        if outcome is not None:
            self._advance(outcome)

    def granted(self) -> None:
        """The book has answered at last."""
        self._advance(Granted("reserved", self.sim.now_s))

    def opened(self) -> None:
        """The first content came."""
        if self._entry is not None:
            self._entry.first_token_s = self._reply.first_s
        self._advance(Opened(self.sim.now_s))

    def replied(self) -> None:
        """The call is over."""
        came, now_s = self._reply, self.sim.now_s
        failure = came.failure
        if came.usage is not None:
            self._booking.billed = came.billed_nano_usd  # what goes beyond the bound can only be known from a report
        if failure is None:
            self._advance(Answered(came.usage, now_s))
            return
        entry = self._entry
        if failure.rule.blame in KEYED and entry is not None and self.writer.traffic.other_key_helps(entry, failure):
            failure = with_other_key(failure)
        self._advance(Failed(failure, now_s))

    def late(self) -> None:
        """The deadline came before anything else."""
        self._advance(Failed(LATE, self.sim.now_s))
