"""A simulated book: accounts of budgets, reservations and leases. The rule of admission is the package's own.

It keeps what a shared store keeps and nothing else: several writers set money aside at the same balances, each for as
long as its lease holds. Whatever a writer leaves open when its lease lapses is taken as spent to its bound; an end that
comes later is a correction.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import Balance, Position, Spending, charges, period_us, span_us
from tests.simulation.world import EPOCH_S, HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelrouter.core.budget import Budget, Refusal, Standing
    from tests.simulation.world import Case

__all__ = ["Held", "Store"]

NEVER_US: Final = 2**62


class Sums:
    """What was spent and reserved in one period of an account; no longer live once it has left its window."""

    __slots__ = ("is_live", "reserved", "spent", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us, self.spent, self.reserved, self.is_live = start_us, 0, 0, True


class Pot:
    """The balance of one budget for one scope over its window; a `core.budget.Standing`."""

    __slots__ = ("_changes_us", "_periods", "budget", "scope", "spent", "used")

    def __init__(self, budget: Budget, scope: str) -> None:
        self.budget, self.scope, self.spent, self.used = budget, scope, 0, 0
        self._periods: deque[Sums] = deque()
        self._changes_us = -1

    def position(self) -> Position:
        """Where it stands now; of the spent sums only their total is kept here."""
        return Position(self.budget, self.scope, Balance(settled=self.spent, reserved=self.used - self.spent), None)

    def period(self, at_us: int) -> Sums:
        """The sums of the present period, after what has left the window is gone from the balance."""
        if at_us < self._changes_us:
            return self._periods[-1]
        first_us, resets_us = span_us(self.budget, at_us)
        while self._periods and self._periods[0].start_us < first_us:
            gone = self._periods.popleft()
            gone.is_live = False
            self.spent -= gone.spent
            self.used -= gone.spent + gone.reserved
        start_us, end_us = period_us(self.budget, at_us)
        if not self._periods or self._periods[-1].start_us != start_us:
            self._periods.append(Sums(start_us))
        self._changes_us = min(NEVER_US if moment is None else moment for moment in (end_us, resets_us))
        return self._periods[-1]


class Held:
    """A reservation.

    Attributes:
        ended: how often it was ended; late ends are corrections, and do not count.
        booked: what it stands at in the book.
        is_lapsed: its lease lapsed before anybody ended it.
    """

    __slots__ = ("booked", "bound", "ended", "is_lapsed", "periods", "pots")

    def __init__(self, bound: int, pots: Sequence[Pot], periods: list[Sums]) -> None:
        self.bound, self.pots, self.periods = bound, pots, periods
        self.ended, self.booked, self.is_lapsed = 0, bound, False


class Store:
    """The book that all writers share."""

    def __init__(self, budgets: Sequence[Budget], admit: Callable[[int, Sequence[Standing]], Refusal | None]) -> None:
        self._budgets, self._admit = budgets, admit
        self._pots: dict[tuple[str, str], Pot] = {}
        self._subjects: dict[tuple[str, str, str], tuple[Pot, ...]] = {}

    def reserve(self, now_s: float, case: Case, deployment: str, bound: int) -> Held | Refusal:
        """Set an amount aside in every account that covers it, or say whose limit forbids it."""
        key = (case.route.name, case.team, deployment)
        pots = self._subjects.get(key)
        if pots is None:
            pots = self._subjects[key] = self._covering(*key)
        at_us = int((EPOCH_S + now_s) * 1_000_000)
        periods = [pot.period(at_us) for pot in pots]
        refusal = self._admit(bound, pots)
        if refusal is not None:
            return refusal
        for pot, period in zip(pots, periods, strict=True):
            period.reserved += bound
            pot.used += bound
        return Held(bound, pots, periods)

    def end(self, held: Held, amount: int) -> None:
        """Book what a reservation came to; a correction, where it had been taken as spent already."""
        first = held.ended == 0
        change = amount - held.booked
        for pot, period in zip(held.pots, held.periods, strict=True):
            period.spent += amount if first else change
            period.reserved -= held.bound if first else 0
            if period.is_live:
                pot.spent += amount if first else change
                pot.used += change
        held.booked = amount
        if first:
            held.ended = 1

    def lapse(self, held: Held) -> None:
        """A lease lapsed: nobody knows what came of it, so it is taken as spent to its bound."""
        held.is_lapsed = True
        self.end(held, held.bound)

    def _covering(self, route: str, team: str, deployment: str) -> tuple[Pot, ...]:
        host = HOSTS[deployment]
        spending = Spending(route, ("house",), deployment, host.operator, host.developer, {"team": team})
        found = charges(self._budgets, spending)
        return tuple(self._pots.setdefault((budget.name, scope), Pot(budget, scope)) for budget, scope in found)
