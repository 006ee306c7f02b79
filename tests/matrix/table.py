"""The matrix as a table: a line for each fault in each mode, and what it comes to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.ledger import AttemptState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelrouter.ledger import AttemptRow
    from tests.matrix.cells import Cell

__all__ = ["GOLDEN", "HEAD", "Key", "Row", "differences", "read_golden", "row_of", "table"]

GOLDEN: Final = Path(__file__).with_name("golden.txt")
HEAD: Final = ("fault", "mode", "kind", "phase", "sent", "billed", "booked", "with another", "alone", "after")

Row = tuple[str, ...]
Key = Row
"""The first two cells of a row: fault and mode."""


def row_of(two: Cell, alone: Cell) -> Row:
    """One fault, from the cell with another deployment to fall back to and the cell without."""
    attempts = (*two.attempts, *alone.attempts)
    return (
        two.case.fault,
        two.case.mode,
        _each(attempt.failure.value if attempt.failure else "-" for attempt in attempts),
        _each(attempt.phase.value if attempt.phase else "-" for attempt in attempts),
        str(two.sent) if two.sent == alone.sent else f"{two.sent}, {alone.sent}",
        " + ".join(str(count) for count in two.case.bills) if sum(two.case.bills) else "0",
        _each(_booked(attempt, two.case.bills) for attempt in attempts),
        two.outcome,
        alone.outcome,
        "open" if two.is_open else "closed",
    )


def _each(words: Iterable[str]) -> str:
    """Each once, in the order in which they came."""
    return ", ".join(dict.fromkeys(words)) or "-"


def _booked(attempt: AttemptRow, bills: tuple[int, int]) -> str:
    cost = attempt.cost_nano_usd
    billed = bills[0] * 2_000 + bills[1] * 8_000
    words = {attempt.bound.nano_usd: "the bound", billed: "the usage", 0: "nothing"}
    amount = words.get(cost, f"{cost} nano-USD")
    if attempt.state is AttemptState.SETTLED and attempt.overrun_nano_usd:
        amount += " beyond the bound"
    return f"{attempt.state.value} at {amount}"


def table(rows: Iterable[Row]) -> str:
    """Rows as text in columns."""
    lines = [HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines) + "\n"  # fmt: skip


def read_golden(lane: str) -> Mapping[Key, Row]:
    """What must come of each fault over this lane. A line that ends in `@LANE` is of that lane alone."""
    found: dict[Key, Row] = {}
    own: dict[Key, Row] = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "fault ")):
            continue
        *cells, last = re.split(r" {2,}", line.strip())
        words, _, only = last.partition(" @")
        row = (*cells, words)
        assert len(row) == len(HEAD), line
        if only in {"", lane}:
            (own if only else found)[row[:2]] = row
    return {**found, **own}


def differences(rows: Sequence[Row], golden: Mapping[Key, Row]) -> list[str]:
    """Where the table says otherwise than the golden file, a line each."""
    return [
        f"{row[0]}, {row[1]}: {name} is `{seen}`, must be `{wanted}`"
        for row in rows
        for name, seen, wanted in zip(HEAD, row, golden.get(row[:2], ("missing",) * len(HEAD)), strict=True)
        if seen != wanted
    ]
