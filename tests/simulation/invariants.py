"""What must hold at every moment, watched from outside: nothing here asks the code under test whether all is well.

The first thing that does not hold ends the simulation with a `BrokenInvariantError` that names it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import End
from modelrouter.core.budget import Window
from modelrouter.core.failure import Remedy
from tests.simulation.broken import INVARIANTS, BrokenInvariantError
from tests.simulation.world import BUDGETS, EPOCH_S, HOSTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.attempts import Plan, Result
    from modelrouter.core.budget import Budget
    from tests.simulation.world import Case

__all__ = ["Booking", "Invariants"]

NOBODY_LEFT: Final = (End.NOT_GRANTED, End.OVERLOADED)
EARLY: Final = (End.DEADLINE, End.BROKEN, End.CANCELLED)


class Tally:
    """The sum that one budget limits, kept by reservation, in a window that slides exactly or goes by the calendar."""

    __slots__ = ("_entries", "_length_s", "_period", "_slides", "limit", "total")

    def __init__(self, budget: Budget) -> None:
        self.limit, self.total, self._period = budget.limit_nano_usd, 0, -1.0
        self._slides = budget.window is Window.ROLLING
        self._length_s = float({Window.HOUR: 3600, Window.DAY: 86_400}.get(budget.window, budget.length_s))
        self._entries: deque[list[float]] = deque()

    def add(self, now_s: float, amount: int) -> list[float]:
        """An amount was set aside; what comes back is for `change`."""
        if self._slides:
            entries, first_s = self._entries, now_s - self._length_s
            while entries and entries[0][0] <= first_s:
                gone = entries.popleft()
                gone[0] = -1.0
                self.total -= int(gone[1])
            entry = [now_s, amount]
            entries.append(entry)
        else:
            period = (EPOCH_S + now_s) // self._length_s
            if period != self._period:
                self._period, self.total = period, 0
            entry = [period, amount]
        self.total += amount
        return entry

    def change(self, entry: list[float], amount: int) -> None:
        """It came to something else."""
        if entry[0] >= 0 and (self._slides or entry[0] == self._period):
            self.total += amount - int(entry[1])
        entry[1] = amount


class Booking:
    """One reservation as seen from outside.

    Attributes:
        ends: how often it was settled, released or taken as spent; corrections do not count.
        billed: what the operator bills for it.
    """

    __slots__ = ("billed", "bound", "ends", "parts")

    def __init__(self, bound: int, parts: list[tuple[Tally, list[float]]]) -> None:
        self.bound, self.parts, self.ends, self.billed = bound, parts, 0, 0


def values_of(case: Case, deployment: str) -> dict[str, str]:
    """What budgets of this world may be kept apart by."""
    return {"route": case.route.name, "operator": HOSTS[deployment].operator, "tag.team": case.team}


class Invariants:
    """The account that is kept beside the simulation."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._covering: dict[tuple[str, str, str], tuple[Tally, ...]] = {}
        self.checks = dict.fromkeys(INVARIANTS, 0)
        self.open: set[Booking] = set()

    # --- money --------------------------------------------------------------------------------------------------------

    def reserved(self, now_s: float, case: Case, deployment: str, bound: int) -> Booking:
        """An amount was admitted."""
        key = (case.route.name, case.team, deployment)
        tallies = self._covering.get(key)
        if tallies is None:
            tallies = self._covering[key] = self._find(case, deployment)
        booking = Booking(bound, [(tally, tally.add(now_s, bound)) for tally in tallies])
        for tally in tallies:
            if tally.total > tally.limit:
                raise BrokenInvariantError("budgets", f"{tally.total} of {tally.limit} are taken at `{deployment}`")
        self.checks["budgets"] += 1
        self.open.add(booking)
        return booking

    def _find(self, case: Case, deployment: str) -> tuple[Tally, ...]:
        values, found = values_of(case, deployment), []
        for budget in BUDGETS:
            if all(values[name] in allowed for name, allowed in budget.only.items()):
                key = (budget.name, values[budget.each] if budget.each else "")
                if key not in self._tallies:
                    self._tallies[key] = Tally(budget)
                found.append(self._tallies[key])
        return tuple(found)

    def ended(self, booking: Booking, amount: int, ends: int) -> None:
        """A reservation was ended, or its end corrected; `ends` is how often the book has ended it by now."""
        booking.ends = ends
        for tally, entry in booking.parts:
            tally.change(entry, amount)
        if ends != 1:
            raise BrokenInvariantError("one end", f"it ended {ends} times")
        if amount < booking.billed:
            raise BrokenInvariantError("bill", f"{amount} is booked, and {booking.billed} billed")
        self.checks["one end"] += 1
        self.checks["bill"] += 1
        self.open.discard(booking)

    # --- calls --------------------------------------------------------------------------------------------------------

    def asked(self, *, relayed: bool) -> None:
        """The loop wants to reserve or to send."""
        self.checks["content"] += 1
        if relayed:
            raise BrokenInvariantError("content", "another candidate is asked")

    def sent(
        self, now_s: float, plan: Plan, case: Case, booking: Booking, *, sends: int, spent: int, refused: bool
    ) -> None:
        """A call leaves now; `sends` counts it, `spent` is what its request has cost before it."""
        for name in ("permission", "reservation", "attempts", "deadline", "ceiling"):
            self.checks[name] += 1
        if refused:
            raise BrokenInvariantError("permission", "it was sent")
        if booking.ends:
            raise BrokenInvariantError("reservation", "it was sent after its money was taken as spent")
        if sends > case.route.attempts_max:
            raise BrokenInvariantError("attempts", f"it was sent {sends} times of {case.route.attempts_max}")
        if now_s >= plan.started_s + case.route.timeout_s:
            raise BrokenInvariantError("deadline", f"it was sent {now_s - plan.started_s:.3f} s after its beginning")
        if case.ceiling_nano_usd is not None and spent + booking.bound > case.ceiling_nano_usd:
            raise BrokenInvariantError("ceiling", f"{spent} and {booking.bound} are more than {case.ceiling_nano_usd}")

    def in_time(self, late_s: float, *, relayed: bool) -> None:
        """A request has ended, so long after its deadline and whatever the book made it wait."""
        self.checks["deadline"] += 1
        if late_s > 1e-6 and not relayed:
            raise BrokenInvariantError("deadline", f"its caller waited {late_s:.3f} s longer")

    def over(self, now_s: float, plan: Plan, case: Case, result: Result, ill: Mapping[str, bool]) -> None:
        """A request has ended; `ill` are hops that were last refused for their health."""
        if result.end is End.ANSWERED:
            return
        self.checks["reasons"] += 1
        self.checks["pool"] += 1
        is_early = now_s >= plan.started_s + case.route.timeout_s
        if result.end in NOBODY_LEFT and not result.attempts and not is_early and any(ill.values()):
            raise BrokenInvariantError("pool", f"`{next(name for name in ill if ill[name])}` was never tried")
        attempts = result.attempts
        last = attempts[-1].failure if attempts else None
        if result.end in EARLY or len(attempts) >= case.route.attempts_max:
            return
        if last is not None and last.rule.remedy is Remedy.STOP:
            return
        known = {each.deployment for each in attempts if each.failure is not None and each.failure.detail}
        known.update(name for name, reason in result.not_granted if reason)
        known.update(name for name, short in result.shortfalls if short.reason)
        for hop in plan.hops:
            if hop.deployment not in known:
                raise BrokenInvariantError("reasons", f"`{hop.deployment}` has none, and it ended {result.end.value}")

    def decided(self, permitted: Sequence[str], order: Sequence[str], again: Sequence[str]) -> None:
        """A decision was made again from what was kept of its inputs."""
        self.checks["replay"] += 1
        if sorted(order) != sorted(permitted) or again != order:
            raise BrokenInvariantError("replay", f"{order} was found among {permitted}, and {again} the second time")

    def quiet(self) -> None:
        """Nothing is under way any more."""
        if self.open:
            raise BrokenInvariantError("one end", f"{len(self.open)} reservations have none")
