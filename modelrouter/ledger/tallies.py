"""What one line adds to the sums of reports and budgets. Pure; the same for whoever writes and whoever derives anew.

An attempt belongs to the hour of its reservation, whatever becomes of it later. It has failed if its end says so, or
the correction that took the place of its end; what has merely expired is not known to have failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.ledger.session import Column

__all__ = [
    "ACCOUNT_SUMS",
    "ATTEMPTS",
    "CALLS",
    "CORRECTION",
    "HOUR_US",
    "MONEY",
    "OVERRUN",
    "RESERVED",
    "ROLLUP_KEY",
    "ROLLUP_SUMS",
    "SETTLED",
    "UNCERTAIN",
    "add_correction",
    "add_end",
    "add_reservation",
]

HOUR_US: Final = 3_600_000_000

ACCOUNT_SUMS: Final = (
    "settled_nano_usd",
    "uncertain_nano_usd",
    "reserved_nano_usd",
    "overrun_nano_usd",
    "correction_nano_usd",
)
SETTLED, UNCERTAIN, RESERVED, OVERRUN, CORRECTION = range(5)
"""Places in `ACCOUNT_SUMS`."""
ROLLUP_KEY: Final = ("hour_us", "route", "deployment", "operator", "developer", "model", "tags", "policies")
ROLLUP_SUMS: Final = (
    "calls",
    "attempts",
    "failures",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    *ACCOUNT_SUMS,
    "failed_nano_usd",
    "saved_nano_usd",
)
CALLS, ATTEMPTS, MONEY = 0, 1, 8
"""Places in `ROLLUP_SUMS`; the five kinds of money begin at `MONEY`."""
FAILURES, TOKENS, FAILED, SAVED = 2, 3, 13, 14
END_FAILURE, END_SAVED = 7, 13
"""Places in `rows.END_COLUMNS`; its first five are the counts of tokens, in the order of `ROLLUP_SUMS`."""


def add_reservation(sums: list[int], bound: int, *, opens_call: bool) -> None:
    """Add a reservation to `ROLLUP_SUMS`."""
    if opens_call:
        sums[CALLS] += 1
    sums[ATTEMPTS] += 1
    sums[MONEY + RESERVED] += bound


def add_end(  # noqa: PLR0917 - called for each end, where names would cost
    sums: list[int], place: int, bound: int, booked: int, overrun: int, columns: Sequence[Column]
) -> None:
    """Add an end, with its overrun.

    Args:
        place: `SETTLED` or `UNCERTAIN`; a release books nothing under either.
        bound: what was reserved and no longer is.
        columns: of the end, see `rows.END_COLUMNS`.
    """
    sums[MONEY + place] += booked
    sums[MONEY + RESERVED] -= bound
    if overrun:
        sums[MONEY + OVERRUN] += overrun
    if columns[END_FAILURE] is not None:
        sums[FAILURES] += 1
        sums[FAILED] += booked + overrun
    _add_usage(sums, columns)


def add_correction(sums: list[int], amount: int, columns: Sequence[Column]) -> None:
    """Add a correction."""
    sums[MONEY + CORRECTION] += amount
    if columns[END_FAILURE] is not None:
        sums[FAILURES] += 1
    _add_usage(sums, columns)


def _add_usage(sums: list[int], columns: Sequence[Column]) -> None:
    saved = columns[END_SAVED]
    if saved:
        sums[SAVED] += int(saved)
    if columns[0] is not None:
        for place in range(5):
            count = columns[place]
            if count:
                sums[TOKENS + place] += int(count)
