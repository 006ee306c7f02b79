"""What time it is in the book, and whether the clock that says so can be trusted.

Lines never go back in time, and windows of budgets belong to the moment of the reservation. A clock that was set back
would keep the book in the past; one that was set forward would open windows before their time, for good. Both are seen
and refused with a sentence: the first against the last line of the book, the second against a clock that only counts.
"""

from __future__ import annotations

import functools
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.ports import Clock

__all__ = ["Moment", "Moments", "elapsed_of"]

BACK_US: Final = 2_000_000
"""How far a clock may lag behind the last line: clocks of one machine are corrected by less, and batches are quick."""
FORWARD_S: Final = 60.0
"""By how much more than the counting clock a clock may go on between two batches."""
SAME_S: Final = 1.0
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch is written, and why it may not reserve; None: it may."""

    at_us: int
    fault: LedgerUnavailableError | None


class Moments:
    """The moments of one process's batches.

    Args:
        elapsed: seconds that only count, also while the machine sleeps.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._offset_s: float | None = None  # of the store's clock beside ours, as of the last batch that was trusted

    def next(self, now_us: int, last_us: int) -> Moment:
        """The moment of a batch.

        Args:
            now_us: what the store's clock says.
            last_us: of the last line of the book.
        """
        offset_s = now_us / 1_000_000 - self._elapsed()
        ahead_s = 0.0 if self._offset_s is None else offset_s - self._offset_s
        if ahead_s > FORWARD_S:
            expected_us = now_us - round(ahead_s * 1_000_000)
            fault = LedgerUnavailableError(
                f"the clock went forward by {_length(ahead_s)} while this program was running, and budgets go by it: "
                "set it right, or restart the program if it is right now"
            )
            return Moment(max(expected_us, last_us), fault)
        if now_us < last_us - BACK_US:
            last = (EPOCH + timedelta(microseconds=last_us)).isoformat(timespec="seconds")
            fault = LedgerUnavailableError(
                f"the clock went back by {_length((last_us - now_us) / 1_000_000)} since the last entry of the ledger "
                f"({last}): set it right"
            )
            return Moment(last_us, fault)
        self._offset_s = offset_s
        return Moment(max(now_us, last_us), None)


def elapsed_of(clock: Clock) -> Callable[[], float]:
    """Seconds that only count: the clock's own, or where that is this machine's, one that goes on while it sleeps.

    A machine that was asleep for an hour has not set its clock, but its leases have lapsed.
    """
    if abs(clock.monotonic_s() - time.monotonic()) > SAME_S:
        return clock.monotonic_s
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux
        return functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if platform.system() == "Darwin":  # where `time.monotonic` stands still during sleep, and this clock does not
        return functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic


def _length(seconds: float) -> str:
    for name, size_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {name}"
    return f"{seconds:.0f} s"
