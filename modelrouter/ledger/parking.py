"""Reservations that wait for money which others have set aside.

First come, first served: whoever has waited is tried before whoever comes, each time something has been resolved here,
and now and then because other processes resolve too. Whoever has waited long enough is told what it was refused for.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from modelrouter.ports import Resolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.errors import BudgetBusyError
    from modelrouter.ledger.operations import Operation
    from modelrouter.ports import Committed, Reservation

__all__ = ["Parked", "Parking"]

RETRY_S: Final = 0.05
"""How often those who wait are tried although nothing was resolved here."""


class Parked:
    """One that waits.

    Attributes:
        until: by `time.monotonic`.
        refusal: what it was refused for the last time.
    """

    __slots__ = ("done", "refusal", "reservation", "until")

    def __init__(self, reservation: Reservation, done: Committed | None, refusal: BudgetBusyError) -> None:
        self.reservation = reservation
        self.done = done
        self.refusal = refusal
        self.until = time.monotonic() + patience_s(reservation, refusal)


class Parking:
    """All that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._parked: deque[Parked] = deque()
        self._retry_at = 0.0

    def wake_in_s(self) -> float | None:
        """In how many seconds there is something to do; None: nobody waits."""
        if not self._parked:
            return None
        moment = min(self._retry_at, *(each.until for each in self._parked))
        return max(moment - time.monotonic(), 0.0)

    def take_late(self, *, everyone: bool = False) -> list[Parked]:
        """Those who have waited long enough, or everyone; they no longer wait."""
        if not self._parked:
            return []
        now = time.monotonic()
        late = [each for each in self._parked if everyone or each.until <= now]
        if late:
            gone = set(map(id, late))
            self._parked = deque(each for each in self._parked if id(each) not in gone)
        return late

    def take(self, items: Sequence[tuple[Operation, Committed | None]]) -> list[Parked]:
        """Those to be tried with this batch, if it resolves something; they no longer wait, unless they are put back.

        Args:
            items: what else is in the batch.
        """
        if not self._parked:
            return []
        resolving = any(isinstance(operation, Resolution) for operation, _ in items)
        if not resolving and time.monotonic() < self._retry_at:
            return []
        self._retry_at = time.monotonic() + RETRY_S
        found = list(self._parked)
        self._parked.clear()
        return found

    def put(self, parked: Parked) -> None:
        """Let one wait, behind all others."""
        if not self._parked:
            self._retry_at = time.monotonic() + RETRY_S
        self._parked.append(parked)


def patience_s(reservation: Reservation, refusal: BudgetBusyError) -> float:
    """How long a reservation may wait; 0 if it may not."""
    return min(reservation.wait_s, refusal.refusal.wait_s)
