"""A report for programs: one JSON document, or rows of CSV that a spreadsheet takes for text and numbers alone."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.screen import amount, print_document
from modelrouter.cli.spend.view import MONEY
from modelrouter.cli.spend.when import written

if TYPE_CHECKING:
    from modelrouter.cli.spend.view import Line, View
    from modelrouter.core.budget import Position

__all__ = ["print_csv", "print_json"]

COUNTS: Final = (
    "calls",
    "attempts",
    "failures",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
FORMULA: Final = ("=", "+", "-", "@")
"""What makes a spreadsheet run a cell, as OWASP lists it ("CSV Injection"); an apostrophe in front keeps it text."""


def print_json(view: View) -> None:
    """Everything, with exact amounts twice: as text of dollars, and in whole nano-dollars."""
    question, comparison = view.question, view.comparison
    print_document(
        {
            "by": ",".join(question.by),
            "groups": list(question.by),
            "since": None if question.since_us is None else written(question.since_us, view.zone),
            "until": None if question.until_us is None else written(question.until_us, view.zone),
            "tz": str(view.zone),
            "ledger": view.ledger,
            "baseline": view.baseline,
            "compared_to": None
            if comparison is None
            else {"model": comparison.model, "operator": comparison.operator, "price": comparison.found},
            "rows": [_row(line, view) for line in view.lines],
            "others": None if view.others is None else {**_row(view.others, view), "rows": view.others_count},
            "total": _row(view.total, view),
            "budgets": [_position(position, view) for position in view.positions],
            "budgets_note": view.budget_note or None,
        }
    )


def _row(line: Line, view: View) -> dict[str, Any]:
    row: dict[str, Any] = {"group": " / ".join(line.group), "groups": list(line.group)}
    row.update((name, getattr(line.sums, name)) for name in COUNTS)
    for name in MONEY:
        row[f"{name}_usd"], row[f"{name}_nano_usd"] = amount(line.money(name)), line.money(name)
    if view.comparison is not None:
        for name, nano_usd in (("compared", line.compared_nano_usd), ("difference", line.difference_nano_usd)):
            row[f"{name}_usd"], row[f"{name}_nano_usd"] = amount(nano_usd), nano_usd
    return row


def _position(position: Position, view: View) -> dict[str, Any]:
    budget, balance = position.budget, position.balance
    amounts = {
        "limit": budget.limit_nano_usd,
        "settled": balance.settled,
        "uncertain": balance.uncertain,
        "reserved": balance.reserved,
        "overrun": balance.overrun,
        "correction": balance.correction,
        "left": budget.limit_nano_usd - balance.used,
    }
    return {
        "budget": budget.name,
        "each": budget.each or None,
        "scope": position.scope,
        "resets_at": None if position.resets_us is None else written(position.resets_us, view.zone),
        **{f"{name}_usd": amount(nano_usd) for name, nano_usd in amounts.items()},
        **{f"{name}_nano_usd": nano_usd for name, nano_usd in amounts.items()},
    }


def print_csv(view: View) -> None:
    """A line of names, and one line for each row; no total, which whoever adds up a column would count again."""
    columns = [f"{name}_usd" for name in MONEY]
    if view.comparison is not None:
        columns += ["compared_usd", "difference_usd"]
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow([*view.question.by, *COUNTS, *columns])
    for line in view.lines:
        row = _row(line, view)
        rows.writerow([*(_cell(value) for value in line.group), *(row[name] for name in (*COUNTS, *columns))])


def _cell(text: str) -> str:
    """A value as one line of text, whatever a spreadsheet or a terminal would make of it."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line
