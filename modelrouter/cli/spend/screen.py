"""A report for people: a table with bars, or one block for each row where the terminal is too narrow for a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.cli.screen import console, printable, table
from modelrouter.cli.spend.view import MONEY
from modelrouter.cli.spend.when import written
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console
    from rich.text import Text

    from modelrouter.cli.spend.view import Line, View
    from modelrouter.core.budget import Position

__all__ = ["show"]

GROUP_WIDTH_MAX: Final = 26
"""Longer names are folded."""
BAR_WIDTHS: Final = (8, 24)
"""A bar that is narrower says nothing; a wider one says no more."""
BLOCKS: Final = (("█", "green"), ("▒", "yellow"), ("░", "cyan"))
PLAIN_BLOCKS: Final = (("#", "green"), ("?", "yellow"), (".", "cyan"))
"""Spent, uncertain, reserved; and what stands for them where the terminal has no such letters."""
GAP: Final = 3
"""Between two columns of our tables."""
WITHOUT: Final = "(without)"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures.

    Attributes:
        spare: columns of a higher number are left out first where the table is too wide; 0 always stays.
    """

    title: str
    text: Callable[[Line], str]
    spare: int = 0


def show(view: View) -> None:
    """Print the table, what its words mean, and where budgets stand."""
    screen = console()
    if view.lines:
        _show_sums(screen, view)
    else:
        screen.print(f"nothing is booked{_span(view)}: {view.ledger}", soft_wrap=True)
    if view.positions:
        _show_budgets(screen, view)
    if view.budget_note:
        screen.print(view.budget_note, style="yellow")


def _span(view: View) -> str:
    since_us, until_us = view.question.since_us, view.question.until_us
    since = "" if since_us is None else f" since {written(since_us, view.zone)}"
    return since + ("" if until_us is None else f" until {written(until_us, view.zone)}")


# --- sums -------------------------------------------------------------------------------------------------------------


def _show_sums(screen: Console, view: View) -> None:
    columns, labels = _columns(view), _labels(view)
    lines = [*view.lines, *(() if view.others is None else (view.others,)), view.total]
    room = screen.width + GAP - sum(_width(column) for column in labels)
    while (over := sum(_width([each.title, *map(each.text, lines)]) for each in columns) - room) > 0:
        spare = max(each.spare for each in columns)
        if not spare:
            break
        columns = [each for each in columns if each.spare != spare]
    if over > 0:
        _show_blocks(screen, view, labels, lines)
    else:
        _show_table(screen, view, columns, bar=min(-over - GAP, BAR_WIDTHS[1]))
    for note in _notes(view, lines):
        screen.print(note, style="dim")


def _show_table(screen: Console, view: View, columns: Sequence[Column], *, bar: int) -> None:
    titles = tuple(each.title for each in columns)
    with_bar = bar >= BAR_WIDTHS[0]
    sums = table(*view.question.by, *titles, *(("",) if with_bar else ()), right=titles)
    most = max((_weight(line) for line in view.lines), default=0)
    blocks = _blocks(screen)
    for line in view.lines:
        drawn = (_bar(_parts(line), most, bar, blocks),) if with_bar else ()
        sums.add_row(*map(_label, line.group), *(each.text(line) for each in columns), *drawn)
    if view.others is not None:
        sums.add_row(*_padded(_others(view), view), *(each.text(view.others) for each in columns))
    sums.add_section()
    sums.add_row(*_padded("total", view), *(each.text(view.total) for each in columns))
    screen.print(sums)


def _show_blocks(screen: Console, view: View, labels: Sequence[Sequence[str]], lines: Sequence[Line]) -> None:
    """For narrow terminals: a heading and one line for each figure."""
    columns = _columns(view)
    wide = max(len(each.title) for each in columns)
    for place, line in enumerate(lines, 1):
        names = [column[place] for column in labels]
        screen.print(" / ".join(name for name in names if name), style="bold")
        for each in columns:
            screen.print(f"  {each.title:<{wide}}  {each.text(line)}", soft_wrap=True)


def _labels(view: View) -> list[list[str]]:
    """What stands in the columns of the groups, from the title to the total."""
    others = [] if view.others is None else [_padded(_others(view), view)]
    rows = [list(map(_label, line.group)) for line in view.lines] + others + [_padded("total", view)]
    return [[title, *(row[place] for row in rows)] for place, title in enumerate(view.question.by)]


def _columns(view: View) -> list[Column]:
    """Columns of money that hold nothing are left out, all but the settled."""
    lines = [*view.lines, view.total]
    columns = [
        Column("calls", lambda line: f"{line.sums.calls:,}", 5),
        Column("attempts", lambda line: f"{line.sums.attempts:,}", 2),
        Column("failed", lambda line: f"{line.sums.failures:,}", 3),
        Column("in", lambda line: f"{line.sums.input_tokens:,}", 4),
    ]
    if any(line.sums.cached_input_tokens for line in lines):
        columns.append(Column("cached", _cached_share, 6))
    columns.append(Column("out", lambda line: f"{line.sums.output_tokens:,}", 4))
    columns += [_money(name) for name in MONEY if name == "settled" or any(line.money(name) for line in lines)]
    if view.comparison is not None:
        columns.append(Column("compared", lambda line: format_usd(line.compared_nano_usd or 0)))
        columns.append(Column("difference", lambda line: _signed(line.difference_nano_usd or 0)))
    return columns


def _money(name: str) -> Column:
    title = {"failed": "of it failed", "saved": "saved (est.)"}.get(name, name)
    return Column(title, lambda line: format_usd(line.money(name)), int(name == "failed"))


def _cached_share(line: Line) -> str:
    """Of the input, rounded down: 100 % means all of it."""
    whole = line.sums.input_tokens
    return f"{line.sums.cached_input_tokens * 100 // whole} %" if whole else ""


def _signed(nano_usd: int) -> str:
    return f"{'+' if nano_usd > 0 else ''}{format_usd(nano_usd)}"


def _label(value: str) -> str:
    return printable(value).replace("\n", " ").replace("\t", " ") or WITHOUT


def _others(view: View) -> str:
    return f"({view.others_count:,} others)"


def _padded(text: str, view: View) -> list[str]:
    return [text, *[""] * (len(view.question.by) - 1)]


def _width(texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return min(max(map(cell_len, texts)), GROUP_WIDTH_MAX) + GAP


def _weight(line: Line) -> int:
    return sum(max(part, 0) for part in _parts(line))


def _parts(line: Line) -> tuple[int, int, int]:
    return line.sums.known_nano_usd, line.sums.uncertain_nano_usd, line.sums.reserved_nano_usd


def _bar(parts: Sequence[int], most: int, width: int, blocks: Sequence[tuple[str, str]]) -> Text:
    """Lengths by amount; what is there at all has a block of its own if there is room for one."""
    from rich.text import Text

    bar, drawn = Text(no_wrap=True), 0
    reached = 0
    for part, (block, style) in zip(parts, blocks, strict=True):
        reached += max(part, 0)
        until = min(max(reached * width // most, drawn + 1 if part > 0 else drawn), width) if most else 0
        bar.append(block * (until - drawn), style)
        drawn = max(until, drawn)
    return bar


def _notes(view: View, lines: Sequence[Line]) -> list[str]:
    """What a reader must know about the figures, and nothing about figures that are not there."""
    notes = [f"booked{_span(view)}: {view.ledger}"] if _span(view) else []
    if any(line.sums.uncertain_nano_usd for line in lines):
        notes.append("uncertain: attempts whose cost nobody has told us, at the most that they can have cost")
    if any(line.sums.reserved_nano_usd for line in lines):
        notes.append("reserved: attempts under way, at the most that they can cost")
    if any(line.sums.failed_nano_usd for line in lines):
        notes.append("of it failed: how much of settled, uncertain and overrun went to attempts that failed")
    if any(line.sums.saved_nano_usd for line in lines):
        against = f"`{view.baseline}`" if view.baseline else "the baseline of each call"
        notes.append(
            f"saved: an estimate: what {against} would have cost for the same tokens, less what was paid, failed "
            "attempts and dearer models included"
        )
    if view.comparison is not None:
        notes.append(
            f"compared: an estimate: the same tokens at {view.comparison.name}, by the price of "
            f"{view.comparison.found}; without attempts that reported no tokens, and beside settled, overrun and "
            "correction; rounding, tiers and hours go by the mean of the attempts"
        )
    if "policy" in view.question.by:
        notes.append("an attempt counts under every policy that bound it, and once in the total")
    if view.personal:
        notes.append(f"values of {', '.join(view.personal)} are keyed hashes, as they stand in the book")
    return notes


# --- budgets ----------------------------------------------------------------------------------------------------------


def _show_budgets(screen: Console, view: View) -> None:
    """Limit and what is left of it, now: whatever the report is about."""
    rows = []
    for position in view.positions:
        budget, balance = position.budget, position.balance
        left = budget.limit_nano_usd - balance.used
        rows.append(
            {
                "budget": printable(budget.name),
                "for": _label(position.scope) if budget.each else "all",
                "limit": format_usd(budget.limit_nano_usd),
                "spent": format_usd(balance.spent),
                "reserved": format_usd(balance.reserved),
                "left": format_usd(left) if left >= 0 else f"over by {format_usd(-left)}",
                "resets": "" if position.resets_us is None else written(position.resets_us, view.zone),
            }
        )
    titles = list(rows[0])
    while (over := sum(_width([title, *(row[title] for row in rows)]) for title in titles) - GAP - screen.width) > 0:
        spare = next((title for title in ("resets", "reserved", "spent") if title in titles), None)
        if spare is None:
            break
        titles.remove(spare)
    screen.print("\nbudgets now", style="bold")
    if over > 0:
        for row in rows:
            screen.print(f"{row['budget']}, {row['for']}", style="bold")
            for title, text in list(row.items())[2:]:
                screen.print(f"  {title:<8}  {text}", soft_wrap=True)
    else:
        _show_positions(screen, view.positions, [[row[title] for title in titles] for row in rows], titles, -over - GAP)


def _show_positions(
    screen: Console, positions: Sequence[Position], rows: Sequence[Sequence[str]], titles: Sequence[str], room: int
) -> None:
    """The table of budgets, with a bar of the limit if there is room for one."""
    width = min(room, BAR_WIDTHS[1])
    bars = [_limit_bar(position, width, _blocks(screen)) for position in positions] if width >= BAR_WIDTHS[0] else []
    figures = tuple(title for title in titles if title in {"limit", "spent", "reserved", "left"})
    limits = table(*titles, *(("",) if bars else ()), right=figures, whole=("resets",))
    for place, row in enumerate(rows):
        limits.add_row(*row, *bars[place : place + 1])
    screen.print(limits)


def _limit_bar(position: Position, width: int, blocks: Sequence[tuple[str, str]]) -> Text:
    balance = position.balance
    parts = (balance.spent - balance.uncertain, balance.uncertain, balance.reserved)
    return _bar(parts, max(position.budget.limit_nano_usd, balance.used), width, blocks)


def _blocks(screen: Console) -> Sequence[tuple[str, str]]:
    return BLOCKS if screen.encoding.lower().startswith("utf") else PLAIN_BLOCKS
