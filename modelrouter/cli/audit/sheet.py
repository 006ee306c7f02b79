"""A table of the audit pack, and how its cells are written so that no spreadsheet takes one for a formula."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Cell", "Sheet", "csv_of"]

Cell = str | int | None
FORMULA: Final = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet calculate, or hide what it calculates; the last four are the first four, full width."""
NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table.

    Attributes:
        name: of its file, without an ending.
        about: what it holds, whence, and of which time: for somebody who has never seen the tool.
        columns: name to what it means.
        rows: one cell for each column.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]

    def documents(self) -> list[dict[str, Any]]:
        """The rows as objects."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def csv_of(sheet: Sheet) -> str:
    """The table as CSV; a cell that begins like a formula gets an apostrophe in front."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(sheet.columns)
    for row in sheet.rows:
        writer.writerow([_safe(cell) for cell in row])
    return target.getvalue()


def _safe(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")  # one that stands alone would end a row for some readers
    return f"'{text}" if text.startswith(FORMULA) and NUMBER.fullmatch(text) is None else text
