"""What several sources together say that an offer costs. Pure.

The rule, for each rate by itself (a class of tokens, in a mode, above a prompt length, at an hour of the week):

1. A source that is silent on a rate, or says zero, does not vote. A source without a tier says that its price is flat.
2. Values within half a percent of each other agree. Where two or more agree, the rate is `agreed`, and its value is the
   exact value that most of those name; the dearest of them where that is a tie.
3. Where only one source names it, the rate is `single`.
4. Otherwise, also where two values have as many voices, it is `disputed`, and its value is the dearest that was named.
5. A price that was copied from one of the sources is no voice of its own: it cannot make a rate agreed. It is used
   where no source names the rate (`single`), and one that differs from the only source's makes the rate `disputed`.
6. From a later day on for which a source announces a change, sources that do not announce it are only out of date:
   unless all name the same value, the rate is `disputed`. A mode for which nobody announces the change of the standard
   price ends with the old standard price.

An offer is as well known as the worst known of its rates for text.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from modelrouter.catalog.price_sheets import DAY_MINUTES, DAYS, MODES, Hours, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from modelrouter.catalog.price_sheets import Statement

__all__ = ["TOLERANCE", "Agreement", "Finding", "Held", "consensus", "found"]

TOLERANCE: Final = Decimal("0.005")
"""Two values agree if they differ by no more than this part of the larger one."""

TEXT_RATES: Final = ("input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning")


class Agreement(Enum):
    """How well a price is known."""

    AGREED = "agreed"
    SINGLE = "single"
    DISPUTED = "disputed"


WORST: Final = (Agreement.DISPUTED, Agreement.SINGLE, Agreement.AGREED)


@dataclass(frozen=True, slots=True)
class Finding:
    """The value of one rate, and how well it is known."""

    value: Decimal
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Held:
    """What holds from a day on.

    Attributes:
        starts_on: None for what holds now.
        ends_on: its last day, where another price follows or nobody says what follows; None where no end is known.
        since: from when on, as far as a source says, today's price has held; no price was looked up for earlier days.
        sheet: the values to charge.
        agreement: of the worst known rate for text, at any hour and prompt length.
        disputed: rates whose value is disputed at some hour or prompt length, in order.
        single: rates that only one source names.
    """

    starts_on: date | None
    sheet: Sheet
    agreement: Agreement
    disputed: tuple[str, ...]
    single: tuple[str, ...]
    since: date | None = None
    ends_on: date | None = None


def found(votes: Sequence[Decimal], copies: Sequence[Decimal] = (), *, announced: bool = False) -> Finding | None:
    """The value of one rate.

    Args:
        votes: what each independent source names; zeros do not vote.
        copies: what prices say that were copied from those sources.
        announced: it is a rate of a later day (rule 6).

    Returns:
        None where nobody names it.
    """
    named = [vote for vote in votes if vote > 0]
    others = [copy for copy in copies if copy > 0]
    if not named:
        return Finding(max(others), Agreement.SINGLE) if others else None
    if announced and any(not _close(vote, max(named)) for vote in named):
        return Finding(max(named), Agreement.DISPUTED)
    if len(named) == 1:
        differs = any(not _close(named[0], copy) for copy in others)
        return Finding(max(named + others), Agreement.DISPUTED) if differs else Finding(named[0], Agreement.SINGLE)
    voices = {value: sum(_close(value, vote) for vote in named) for value in set(named)}
    most = max(voices.values())
    leading = [value for value, count in voices.items() if count == most]
    if most < 2 or any(not _close(value, max(leading)) for value in leading):
        return Finding(max(named), Agreement.DISPUTED)
    exact = Counter(named)
    return Finding(max(leading, key=lambda value: (exact[value], value)), Agreement.AGREED)


def _close(first: Decimal, second: Decimal) -> bool:
    return abs(first - second) <= TOLERANCE * max(first, second)


def consensus(
    statements: Sequence[Statement], today: date, copies: Sequence[Statement] = ()
) -> dict[str, tuple[Held, ...]]:
    """What holds today and after each announced change, by mode. A mode in which nobody names a price is absent."""
    announced = {mode: set().union(*(each.changes_after(mode, today) for each in statements)) for mode in MODES}
    held: dict[str, tuple[Held, ...]] = {}
    for mode in MODES:
        periods = [_held(statements, copies, mode, today, None)]
        periods.extend(_held(statements, copies, mode, change, change) for change in sorted(announced[mode]))
        kept = [each for each in periods if each is not None]
        if kept and kept[0].starts_on is None:
            held[mode] = _ended(kept, min(announced["standard"] - announced[mode], default=None))
    return held


def _ended(periods: Sequence[Held], last: date | None) -> tuple[Held, ...]:
    """Periods with their last days; on `last` the standard price changes, and nobody says what this mode costs then."""
    kept = [each for each in periods if last is None or each.starts_on is None or each.starts_on < last]
    starts = [*(each.starts_on for each in kept[1:]), last]
    return tuple(
        replace(each, ends_on=None if start is None else start - timedelta(days=1))
        for each, start in zip(kept, starts, strict=True)
    )


def _held(
    statements: Sequence[Statement], copies: Sequence[Statement], mode: str, day: date, starts_on: date | None
) -> Held | None:
    sheets = [sheet for each in statements if (sheet := each.on(mode, day)) is not None]
    copied = [sheet for each in copies if (sheet := each.on(mode, day)) is not None]
    if not sheets and not copied:
        return None
    cells = {
        part: _Cell.of(sheets, copied, part, announced=starts_on is not None) for part in _parts([*sheets, *copied])
    }
    findings = [item for cell in cells.values() for item in cell.findings()]
    agreements = {finding.agreement for name, finding in findings if name in TEXT_RATES}
    return Held(
        starts_on,
        _joined(cells),
        next(each for each in WORST if each in agreements),
        tuple(sorted({name for name, finding in findings if finding.agreement is Agreement.DISPUTED})),
        tuple(sorted({name for name, finding in findings if finding.agreement is Agreement.SINGLE})),
        max((each.starts_on for each in sheets if each.starts_on is not None), default=None),
    )


# --- hours of the week ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of one day of the week in which no source changes its price."""

    day: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """Findings of one part of the week, by prompt length and rate."""

    tiers: tuple[tuple[int, tuple[tuple[str, Finding], ...]], ...]

    @classmethod
    def of(cls, sheets: Iterable[Sheet], copies: Iterable[Sheet], part: _Part, *, announced: bool) -> _Cell:
        """What all sheets say of a part of the week."""
        here = [each.at(part.day, part.start) for each in sheets]
        copied = [each.at(part.day, part.start) for each in copies]
        thresholds = sorted({0, *(start for each in here for start, _ in each.tiers)})
        tiers = []
        for threshold in thresholds:
            votes = [each.above(threshold) for each in here]
            others = [each.above(threshold) for each in copied] if threshold == 0 else []
            names = sorted(set().union(*votes, *others))
            findings = ((name, found(_named(votes, name), _named(others, name), announced=announced)) for name in names)
            tiers.append((threshold, tuple((name, each) for name, each in findings if each is not None)))
        return cls(tuple(tiers))

    def findings(self) -> list[tuple[str, Finding]]:
        """All of them."""
        return [item for _, rates in self.tiers for item in rates]

    def sheet(self) -> Sheet:
        """The values."""
        (_, base), *tiers = self.tiers
        return Sheet(
            {name: each.value for name, each in base},
            tuple((above, {name: each.value for name, each in rates}) for above, rates in tiers),
        )


def _named(sheets: Iterable[Mapping[str, Decimal]], name: str) -> list[Decimal]:
    return [each[name] for each in sheets if name in each]


def _parts(sheets: Iterable[Sheet]) -> list[_Part]:
    """The week, cut wherever one of the sheets changes."""
    windows = [hours for sheet in sheets for hours, _ in sheet.hours]
    if not windows:
        return [_Part(1, 0, DAY_MINUTES)]
    cuts = sorted({0, DAY_MINUTES, *(each.start for each in windows), *(each.end for each in windows)})
    return [_Part(day, start, end) for day in sorted(DAYS) for start, end in itertools.pairwise(cuts)]


def _joined(cells: Mapping[_Part, _Cell]) -> Sheet:
    """One sheet of all parts: the dearest values hold where no hours are named."""
    kinds = sorted(set(cells.values()), key=lambda cell: tuple(sorted(cell.sheet().rates.items(), reverse=True)))
    base = max(kinds, key=lambda cell: (cell.sheet().rates.get("input", 0), cell.sheet().rates.get("output", 0)))
    hours: list[tuple[Hours, Sheet]] = []
    for kind in kinds:
        if kind.sheet() != base.sheet():
            hours.extend((each, kind.sheet()) for each in _windows([part for part in cells if cells[part] == kind]))
    whole = base.sheet()
    return Sheet(whole.rates, whole.tiers, tuple(sorted(hours, key=lambda item: item[0])))


def _windows(parts: Iterable[_Part]) -> list[Hours]:
    """Parts that touch become one, and days that have the same parts stand together."""
    by_day: dict[int, list[tuple[int, int]]] = {}
    for part in sorted(parts, key=lambda each: (each.day, each.start)):
        spans = by_day.setdefault(part.day, [])
        if spans and spans[-1][1] == part.start:
            spans[-1] = (spans[-1][0], part.end)
        else:
            spans.append((part.start, part.end))
    days: dict[tuple[int, int], list[int]] = {}
    for day, spans in by_day.items():
        for span in spans:
            days.setdefault(span, []).append(day)
    return [Hours(tuple(each), start, end) for (start, end), each in sorted(days.items())]
