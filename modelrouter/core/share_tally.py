"""What vendors have, added up hour by hour: the sums that share caps are asked of. Pure.

Whoever follows a book line by line adds each line's change here. Sums of a window are kept while its first hour stays
the same, so that asking once more costs a few additions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.core.shares import Holding, Measure, first_hour_us

if TYPE_CHECKING:
    from modelrouter.core.shares import ShareDemand

__all__ = ["NOTHING", "PLACES", "Tally", "Who"]

Who: TypeAlias = "tuple[str, str]"
"""Operator and developer of an attempt, as the book has them."""

PLACES: Final = {Measure.SPEND: (0, 1), Measure.CALLS: (2, 3), Measure.TOKENS: (4, 5)}
"""Where a cell has what is booked, and what is pending."""
NOTHING: Final = (0, 0, 0, 0, 0, 0)


class _Window:
    """Sums from one hour on."""

    __slots__ = ("first_us", "sums", "total")

    def __init__(self, first_us: int) -> None:
        self.first_us = first_us
        self.sums: dict[Who, list[int]] = {}
        self.total = list(NOTHING)

    def add(self, who: Who, change: tuple[int, ...] | list[int]) -> None:
        sums = self.sums.get(who)
        if sums is None:
            sums = self.sums[who] = list(NOTHING)
        for place, amount in enumerate(change):
            sums[place] += amount
            self.total[place] += amount


class Tally:
    """Cells by hour, operator and developer. Not for threads.

    Args:
        reach_s: the longest window that will be asked for; what lies before it is forgotten.
    """

    def __init__(self, reach_s: int) -> None:
        self.reach_s = reach_s
        self._hours: dict[int, dict[Who, list[int]]] = {}
        self._windows: dict[int, _Window] = {}

    def add(self, hour_us: int, who: Who, change: tuple[int, ...]) -> None:
        """Change a cell by so much: see `PLACES`."""
        cells = self._hours.setdefault(hour_us, {})
        cell = cells.get(who)
        if cell is None:
            cell = cells[who] = list(NOTHING)
        for place, amount in enumerate(change):
            cell[place] += amount
        for window in self._windows.values():
            if hour_us >= window.first_us:
                window.add(who, change)

    def holding(self, demand: ShareDemand, at_us: int) -> Holding:
        """What stands over the window of a demand, at a moment. Moments never go back."""
        cap = demand.cap
        window = self._window(cap.window_s, at_us)
        booked, pending = PLACES[cap.of]
        part = 1 if cap.by == "developer" else 0
        settled = reserved = 0
        for who, sums in window.sums.items():
            if who[part] in demand.members:
                settled += sums[booked]
                reserved += sums[pending]
        return Holding(settled, reserved, window.total[booked])

    def _window(self, window_s: int, at_us: int) -> _Window:
        first_us = first_hour_us(window_s, at_us)
        window = self._windows.get(window_s)
        if window is None or window.first_us != first_us:
            window = self._windows[window_s] = _Window(first_us)
            for hour_us, cells in self._hours.items():
                if hour_us >= first_us:
                    for who, cell in cells.items():
                        window.add(who, cell)
            self._forget(first_hour_us(self.reach_s, at_us))
        return window

    def _forget(self, first_us: int) -> None:
        """Drop hours that no window looks at any more."""
        for hour_us in [hour_us for hour_us in self._hours if hour_us < first_us]:
            del self._hours[hour_us]
