"""What share caps are asked of, kept up to date by following the lines of the book.

Nothing is stored for it: the sums of hours are those of reports, and lines that came since are read once, whoever wrote
them. So a book without share caps is spared all of it, and the first reservation that brings one reads the window.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from modelrouter.core.share_tally import Tally
from modelrouter.core.shares import HOUR_US, first_hour_us
from modelrouter.ledger.report_sums import LATEST_US, ROLLUPS, grouped, within
from modelrouter.ledger.tables import ENTRY_COLUMNS
from modelrouter.ledger.tallies import ATTEMPTS, MONEY, RESERVED, ROLLUP_SUMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.share_tally import Who
    from modelrouter.core.shares import Holding, ShareDemand
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["Shares", "holdings"]

LAG_MAX: Final = 20_000
"""Beyond so many new lines it is quicker to read the sums anew."""
HOMES_MAX: Final = 10_000
COLUMNS: Final = tuple(name for name, _ in ENTRY_COLUMNS)
LINE: Final = (
    "seq", "kind", "at_us", "amount_nano_usd", "operator", "developer", "bound_input_tokens", "bound_output_tokens",
    "resolves", "corrects", "input_tokens", "output_tokens",
)  # fmt: skip
"""What is read of a line."""
LINES: Final = f"SELECT {', '.join(LINE)} FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq"  # noqa: S608 - ours
PENDING: Final = """SELECT p.seq, p.at_us, p.amount_nano_usd, r.operator, r.developer, r.bound_input_tokens,
    r.bound_output_tokens FROM pending p JOIN entries r ON r.seq = p.seq"""
TOKENS: Final = (ROLLUP_SUMS.index("input_tokens"), ROLLUP_SUMS.index("output_tokens"))
ENDS: Final = frozenset({"settle", "uncertain", "release", "expire"})
CHANGES: Final = frozenset({"overrun", "correction"})


class _Open:
    """A reservation without an end."""

    __slots__ = ("bound", "hour_us", "tokens", "who")

    def __init__(self, hour_us: int, who: Who, bound: int, tokens: int) -> None:
        self.hour_us = hour_us
        self.who = who
        self.bound = bound
        self.tokens = tokens


class Shares:
    """What everybody has, as of a line of the book and of what the present transaction adds to it.

    Args:
        reach_s: the longest window that is asked for.

    Attributes:
        seq: the last line of the book that counts here.
    """

    def __init__(self, reach_s: int) -> None:
        self.reach_s = reach_s
        self.seq = -1
        self._tally = Tally(reach_s)
        self._open: dict[int, _Open] = {}
        self._homes: dict[int, tuple[int, Who]] = {}
        """Where lines belong that a page has and the book has not yet."""
        self._page: Page | None = None
        self._followed = [0, 0, 0]

    def catch_up(self, session: Session, seq: int, at_us: int) -> None:
        """Count every line of the book up to this one, in the transaction that holds its lock."""
        if self.seq < 0 or seq - self.seq > LAG_MAX:
            self._load(session, at_us)
        elif seq > self.seq:
            for line in session.rows(LINES, (self.seq, seq)):
                self._count(session, line)
        self.seq = seq

    def follow(self, session: Session, page: Page) -> None:
        """Count what a page has beyond the book, as far as that was not done."""
        if self._page is not page:
            self._page, self._followed = page, [0, 0, 0]
            if len(self._homes) > HOMES_MAX:
                self._homes.clear()  # they are in the book by now
        for place, (shape, rows) in enumerate(page.rows):
            for row in rows[self._followed[place] :]:
                self._count(session, tuple(row[at] if at is not None else None for at in _places(shape)))
            self._followed[place] = len(rows)

    def keep(self, page: Page, base_seq: int) -> None:
        """A page has become part of the book: whoever has followed it needs not read it there.

        Args:
            base_seq: the last line before it.
        """
        if self.seq == base_seq and self._page is page:
            self.seq = page.seq
        self._page = None

    def holding(self, demand: ShareDemand, at_us: int) -> Holding:
        """What a demand is asked of."""
        return self._tally.holding(demand, at_us)

    # --- reading --------------------------------------------------------------------------------------------------

    def _load(self, session: Session, at_us: int) -> None:
        self._tally, self._open, self._homes = Tally(self.reach_s), {}, {}
        where, values = within(first_hour_us(self.reach_s, at_us), LATEST_US)
        for (hour, operator, developer), sums in grouped(
            session, ROLLUPS, ("operator", "developer"), where, values, moments=True
        ):
            money = sums[MONEY : MONEY + 5]
            spent = sum(money) - money[RESERVED]
            tokens = sum(sums[place] for place in TOKENS)
            change = (spent, money[RESERVED], sums[ATTEMPTS], 0, tokens, 0)
            self._tally.add(int(hour or 0), (str(operator), str(developer)), change)
        for seq, began_us, bound, operator, developer, most_in, most_out in session.rows(PENDING):
            opened = _opened(began_us, bound, operator, developer, (most_in, most_out))
            self._open[int(seq or 0)] = opened
            self._tally.add(opened.hour_us, opened.who, (0, 0, -1, 1, 0, opened.tokens))

    def _count(self, session: Session, line: Row) -> None:
        seq, kind, at_us, amount, operator, developer, most_in, most_out, resolves, corrects, tokens_in, tokens_out = (
            line
        )
        booked, tokens = int(amount or 0), int(tokens_in or 0) + int(tokens_out or 0)
        if kind == "reserve":
            opened = self._open[int(seq or 0)] = _opened(at_us, amount, operator, developer, (most_in, most_out))
            self._tally.add(opened.hour_us, opened.who, (0, booked, 0, 1, 0, opened.tokens))
        elif kind in ENDS:
            opened = self._open.pop(int(resolves or 0))
            self._homes[int(resolves or 0)] = opened.hour_us, opened.who
            self._tally.add(opened.hour_us, opened.who, (booked, -opened.bound, 1, -1, tokens, -opened.tokens))
        elif kind in CHANGES:
            hour_us, who = self._home(session, int(corrects or 0))
            self._tally.add(hour_us, who, (booked, 0, 0, 0, tokens, 0))

    def _home(self, session: Session, seq: int) -> tuple[int, Who]:
        """Where a reservation belongs that has ended."""
        found = self._homes.get(seq)
        if found is None:
            ((at_us, operator, developer),) = session.rows(
                "SELECT at_us, operator, developer FROM entries WHERE seq = ?", (seq,)
            )
            opened = _opened(at_us, 0, operator, developer, ())
            found = self._homes[seq] = opened.hour_us, opened.who
        return found


def holdings(session: Session, demands: Sequence[ShareDemand], at_us: int | None = None) -> list[Holding]:
    """What each of these demands would be asked of at a moment, by one picture of the book.

    Args:
        at_us: when, in microseconds since 1970; not before the newest line. None is now.
    """
    if not demands:
        return []
    ((seq, last_us),) = session.rows("SELECT seq, at_us FROM state")
    moment_us = max(session.now_us() if at_us is None else at_us, int(last_us or 0))
    shares = Shares(max(each.cap.window_s for each in demands))
    shares.catch_up(session, int(seq or 0), moment_us)
    return [shares.holding(each, moment_us) for each in demands]


def _opened(at_us: Column, bound: Column, operator: Column, developer: Column, tokens: Sequence[Column]) -> _Open:
    hour_us = int(at_us or 0) // HOUR_US * HOUR_US
    return _Open(
        hour_us, (str(operator or ""), str(developer or "")), int(bound or 0), sum(int(n or 0) for n in tokens)
    )


@functools.lru_cache(maxsize=4)
def _places(shape: tuple[str, ...]) -> tuple[int | None, ...]:
    """Where rows of some columns have those of `LINE`; None where they have nothing."""
    return tuple(shape.index(name) if name in shape else None for name in LINE)
