"""The credentials of one deployment: used in turn, taken out alone when refused, held back when full.

A 429 is a matter of capacity and says nothing about health: the key rests for as long as was asked, and others of the
deployment go on. Nothing here ever says that there is no key.

Pure: a clock reading comes with every call. Not thread-safe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.failure import Blame, FailureKind

if TYPE_CHECKING:
    from modelrouter.core.failure import Failure

__all__ = ["HOLD_ASKED_MOST_S", "OUT_MOST_S", "Keys"]

HOLD_FIRST_S: Final = 1.0
HOLD_MOST_S: Final = 30.0
"""A 429 that names no time holds its key for a second, then twice as long each time, up to half a minute."""

HOLD_ASKED_MOST_S: Final = 3600.0
"""A provider that asks for more is asked again after an hour all the same."""

OUT_FIRST_S: Final = 30.0
OUT_MOST_S: Final = 900.0
"""A refused key is tried again after half a minute, then twice as long each time: somebody may have mended it."""


@dataclass(slots=True)
class _Key:
    in_flight: int = 0
    used_at: int = 0
    held_until_s: float = 0.0
    holds: int = 0
    out_until_s: float = 0.0
    outs: int = 0
    why: str = ""

    def until_s(self) -> float:
        return max(self.held_until_s, self.out_until_s)


class Keys:
    """The credentials of one deployment, in turn; one without any has a single nameless one."""

    def __init__(self, count: int) -> None:
        self._keys = [_Key() for _ in range(max(count, 1))]
        self._turns = 0
        self._all_well_s = 0.0  # from then on no key is out or held back

    def pick(self, now_s: float) -> int:
        """Which is used next: of those that are well the least busy, and among equals the one not used for longest.

        With none that is well, the one that will be so first: this never says no.
        """
        keys = self._keys
        if len(keys) == 1:
            return 0
        return min(
            range(len(keys)),
            key=lambda place: (
                keys[place].out_until_s > now_s,
                max(keys[place].until_s() - now_s, 0.0),
                keys[place].in_flight,
                keys[place].used_at,
            ),
        )

    def began(self, place: int) -> None:
        """A call with it begins."""
        self._turns += 1
        self._keys[place].in_flight += 1
        self._keys[place].used_at = self._turns

    def ended(self, now_s: float, place: int, failure: Failure | None, *, is_told: bool = True) -> None:
        """A call with it is over.

        Args:
            is_told: the call was made, so that its end says something about the key.
        """
        key = self._keys[place]
        key.in_flight -= 1
        if not is_told:
            return
        if failure is None:
            key.holds = key.outs = 0
            key.out_until_s = 0.0
            return
        if failure.rule.blame is Blame.CREDENTIAL:
            key.out_until_s = now_s + min(OUT_MOST_S, OUT_FIRST_S * 2.0 ** min(key.outs, 30))
            key.outs += 1
            empty = failure.kind is FailureKind.QUOTA_EXHAUSTED
            key.why = "its account is used up" if empty else "it was not accepted"
        elif failure.rule.blame is Blame.CAPACITY:
            key.held_until_s = max(key.held_until_s, now_s + _hold_s(failure.retry_after_s, key.holds))
            key.holds += 1
        self._all_well_s = max(self._all_well_s, key.until_s())

    def has_well(self, now_s: float, *, but: int | None = None) -> bool:
        """Whether some key is neither out nor held back, another than `but`."""
        if but is None and now_s >= self._all_well_s:
            return True
        return any(key.until_s() <= now_s for place, key in enumerate(self._keys) if place != but)

    def held_until_s(self, now_s: float) -> float | None:
        """Until when a full deployment is held back; None: it is not, or its keys are out for another reason."""
        if self.has_well(now_s):
            return None
        usable = [key.held_until_s for key in self._keys if key.out_until_s <= now_s]
        return min(usable, default=None)

    def trouble(self, now_s: float) -> str:
        """Why a deployment with these is to be tried last, or empty."""
        if self.has_well(now_s):
            return ""
        until_s = self.held_until_s(now_s)
        left_s = max(1, round((min(key.until_s() for key in self._keys) if until_s is None else until_s) - now_s))
        if until_s is not None:
            return f"it is full, and asked to be left alone for {left_s} s more"
        return f"no key of it is in use ({self._keys[0].why}); the next try is in {left_s} s"


def _hold_s(asked_s: float | None, holds: int) -> float:
    """For how long a full deployment is left alone: as it asked, if that can be read, within an hour."""
    if asked_s is not None and 0 < asked_s < math.inf:
        return min(asked_s, HOLD_ASKED_MOST_S)
    return min(HOLD_MOST_S, HOLD_FIRST_S * 2.0 ** min(holds, 30))
