"""`modelrouter spend --concentration`: which vendor has how much, whither it goes, and how far each cap is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.booked import opened
from modelrouter.cli.screen import amount, console, print_document, printable, table
from modelrouter.cli.spend.buying import bought, caps_of, distances, ratio_text
from modelrouter.cli.spend.when import written
from modelrouter.core.concentration import concentrated, portions
from modelrouter.core.share_demands import VendorIds
from modelrouter.core.shares import Measure, length_text, percent, units_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from modelrouter.config import Setup
    from modelrouter.core.concentration import Distance, Portion

__all__ = ["Span", "show_concentration"]

WITHOUT: Final = "(not known)"
SHARE_OF: Final = {
    Measure.SPEND: "of spend",
    Measure.CALLS: "of calls",
    Measure.TOKENS: "of tokens",
}


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when; the span before is as long.

    Attributes:
        since_us: microseconds since 1970, as is `until_us`, the first that no longer counts.
        zone: whose clock moments are written by.
    """

    since_us: int
    until_us: int
    zone: tzinfo

    @property
    def before_us(self) -> int:
        """When the span before begins."""
        return 2 * self.since_us - self.until_us


@dataclass(frozen=True, slots=True)
class _Found:
    """What the book says."""

    portions: tuple[Portion, ...]
    distances: tuple[Distance, ...]


def show_concentration(setup: Setup, by: str, span: Span, *, as_json: bool) -> None:
    """Read the book and print.

    Args:
        by: one of `core.shares.BY`.
    """
    found = _read(setup, by, span)
    if as_json:
        print_document(_document(setup, by, span, found))
    else:
        _show(setup, by, span, found)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(setup: Setup, by: str, span: Span) -> _Found:
    vendors = VendorIds(setup.world)
    path = Path(setup.ledger_path) if setup.ledger_path else None
    if path is not None and path.parent.is_dir() and not path.exists():
        return _Found((), ())  # it is made with the first call
    with opened(setup.ledger) as book, book.reading() as session:
        now = bought(session, span.since_us, span.until_us)
        before = bought(session, span.before_us, span.since_us)
        found = distances(session, setup, [*now, *before], vendors)
    return _Found(portions(now, before, by, vendors), found)


# --- for programs -----------------------------------------------------------------------------------------------------


def _document(setup: Setup, by: str, span: Span, found: _Found) -> dict[str, Any]:
    is_whole = by != "country"
    return {
        "by": by,
        "since": written(span.since_us, span.zone),
        "until": written(span.until_us, span.zone),
        "before_since": written(span.before_us, span.zone),
        "ledger": setup.ledger_path or setup.ledger_shown,
        "rows": [_row(each) for each in found.portions],
        "hhi": {each.value: concentrated(found.portions, each) for each in Measure} if is_whole else None,
        "caps": [_cap(each) for each in found.distances],
    }


def _row(portion: Portion) -> dict[str, Any]:
    row: dict[str, Any] = {"vendor": portion.vendor}
    for measure in Measure:
        units, share, before = portion.units[measure], portion.share[measure], portion.before[measure]
        row[measure.value] = {
            **_units(measure, "booked", units),
            "share": ratio_text(share),
            "share_before": None if before is None else ratio_text(before),
        }
    return row


def _cap(distance: Distance) -> dict[str, Any]:
    demand, holding = distance.demand, distance.holding
    cap = demand.cap
    return {
        "rule": cap.rule,
        "mode": cap.mode.value,
        "of": cap.of.value,
        "by": cap.by,
        "vendor": demand.vendor,
        "window": length_text(cap.window_s),
        "max": ratio_text(Fraction(cap.numerator, cap.denominator)),
        "share": ratio_text(distance.share),
        "is_over": distance.room < 0,
        **_units(cap.of, "settled", holding.settled),
        **_units(cap.of, "reserved", holding.reserved),
        **_units(cap.of, "total", holding.total),
        **_units(cap.of, "min_volume", cap.least),
        **_units(cap.of, "room", distance.room),
    }


def _units(measure: Measure, name: str, units: int) -> dict[str, Any]:
    if measure is Measure.SPEND:
        return {f"{name}_usd": amount(units), f"{name}_nano_usd": units}
    return {name: units}


# --- for people -------------------------------------------------------------------------------------------------------


def _show(setup: Setup, by: str, span: Span, found: _Found) -> None:
    screen = console()
    when = f"from {written(span.since_us, span.zone)} to {written(span.until_us, span.zone)}"
    if found.portions:
        titles = ("spend", *SHARE_OF.values(), "before", "trend")
        rows = table(by, *titles, right=titles)
        for each in found.portions:
            spend, before = each.share[Measure.SPEND], each.before[Measure.SPEND]
            rows.add_row(
                printable(each.vendor) or WITHOUT,
                units_text(Measure.SPEND, each.units[Measure.SPEND]),
                *(percent(each.share[measure].numerator, each.share[measure].denominator) for measure in Measure),
                "" if before is None else percent(before.numerator, before.denominator),
                "" if before is None else _trend(spend - before),
            )
        screen.print(rows)
        for note in _notes(by, when, found):
            screen.print(note, style="dim")
    else:
        screen.print(f"nothing is booked {when}: {setup.ledger_path or setup.ledger_shown}", soft_wrap=True)
    if found.distances:
        _show_caps(screen, found.distances)
    elif not caps_of(setup):
        screen.print("no policy of a route caps a share: see `vendors.share`", style="dim")


def _notes(by: str, when: str, found: _Found) -> list[str]:
    notes = [f"booked {when}, what is uncertain included; before: as long, right before that, by spend"]
    if by == "country":
        notes.append("an operator counts under its own country and under that of each of its owners")
    else:
        index = concentrated(found.portions, Measure.SPEND)
        notes.append(f"concentration of spend (Herfindahl-Hirschman): {index:,} of 10,000, which is one vendor alone")
    return notes


def _trend(change: Fraction) -> str:
    """Percentage points more or less, to a tenth."""
    tenths = round(change * 1_000)
    sign = "+" if tenths > 0 else "-" if tenths < 0 else ""
    whole, part = divmod(abs(tenths), 10)
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def _show_caps(screen: Any, distances: Sequence[Distance]) -> None:  # noqa: ANN401 - rich is loaded late
    screen.print("\ncaps now", style="bold")
    titles = ("has", "cap", "room")
    rows = table("rule", "vendor", "of", *titles, right=titles)
    for each in distances:
        cap = each.demand.cap
        room = units_text(cap.of, each.room) if each.room >= 0 else f"over by {units_text(cap.of, -each.room)}"
        rows.add_row(
            f"{cap.rule.rpartition('/')[0]} ({cap.mode.value})",
            printable(each.demand.vendor) or WITHOUT,
            f"{cap.of.value} by {cap.by}, {length_text(cap.window_s)}",
            percent(each.share.numerator, each.share.denominator),
            percent(cap.numerator, cap.denominator),
            room,
        )
    screen.print(rows)
    least = [each.demand.cap for each in distances if each.holding.total < each.demand.cap.least]
    for cap in dict.fromkeys(least):
        screen.print(
            f"{cap.rule}: less than its `min_volume` is booked, so shares are of {units_text(cap.of, cap.least)}",
            style="dim",
        )
