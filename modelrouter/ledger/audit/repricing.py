"""What an attempt must have cost: its counted usage times the price that its line names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.core.pricing import PriceList, Span, Usage
from modelrouter.ledger.audit.lines import body_digest

if TYPE_CHECKING:
    from modelrouter.ledger.audit.lines import Line, Reader

__all__ = ["Prices", "costs", "usage_of"]

ROUNDING_US: Final = 2
"""A duration is booked in whole microseconds, and came from two readings of a clock."""

CLOCKS_US: Final = 5_000_000
"""By how much the clock that times attempts may differ from the store's, where a price depends on the time."""


class Prices:
    """The prices that lines name, each read from its document once."""

    def __init__(self, session: Reader) -> None:
        self._session = session
        self._known: dict[str, PriceList | None] = {}

    def get(self, digest: str) -> PriceList | None:
        """The price whose text has this hash; None where the book has no such text."""
        if digest not in self._known:
            self._known[digest] = self._read(digest)
        return self._known[digest]

    def _read(self, digest: str) -> PriceList | None:
        rows = self._session.rows("SELECT body FROM documents WHERE digest = ? AND kind = 'price'", (digest,))
        if not rows or body_digest(str(rows[0][0])) != digest:
            return None
        try:
            return PriceList.from_text(str(rows[0][0]))
        except ValueError:
            return None


def usage_of(line: Line) -> Usage | None:
    """The usage in a line's columns; None where it has none.

    Raises:
        ValueError: the columns cannot be true together.
    """
    if line.input_tokens is None:
        return None
    usage = Usage.from_columns(
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens or 0,
        cached_input_tokens=line.cached_input_tokens or 0,
        cache_write_tokens=line.cache_write_tokens or 0,
        reasoning_tokens=line.reasoning_tokens or 0,
        units=line.units,
        reported_nano_usd=line.reported_nano_usd,
    )
    if usage.fault is not None:
        raise ValueError(usage.fault)
    return usage


def costs(price: PriceList, usage: Usage, reserved_us: int, ended_us: int, duration_us: int | None) -> tuple[int, int]:
    """The least and the most that the attempt may have cost; one figure, unless its price depends on the time.

    Args:
        reserved_us: when its reservation was written: it began no sooner, but for what the clocks differ.
        ended_us: when its end was written: it ended no later.
        duration_us: how long it took; when exactly it began is not in the book.
    """
    if price.is_plain and not price.has_machine_hours:
        cost = price.settle_nano_usd(usage)
        return cost, cost
    lasted = duration_us or 0
    latest_us = max(reserved_us, ended_us - lasted)
    slack = ROUNDING_US if price.has_machine_hours else 0
    found = [
        price.settle_nano_usd(usage, Span(start, start + length))
        for start in {reserved_us - CLOCKS_US, reserved_us, latest_us, latest_us + CLOCKS_US}
        for length in {max(lasted - slack, 0), lasted, lasted + slack}
    ]
    return min(found), max(found)
