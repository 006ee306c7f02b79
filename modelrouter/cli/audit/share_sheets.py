"""The tables of shares: how much of all each vendor has, how concentrated that is, and how far each share cap is."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.screen import amount
from modelrouter.cli.spend.buying import ratio_text
from modelrouter.core.concentration import concentrated, portions
from modelrouter.core.share_demands import VendorIds
from modelrouter.core.shares import BY, Measure, length_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.core.facts import World

__all__ = ["share_sheets"]

COUNTRY: Final = "country"
UNKNOWN: Final = "unknown"


def share_sheets(world: World, evidence: Evidence) -> Iterator[Sheet]:
    """Who has how much, and what the caps are."""
    yield _shares(world, evidence)
    yield _caps(evidence)


def _shares(world: World, evidence: Evidence) -> Sheet:
    vendors = VendorIds(world)
    rows: list[tuple[Cell, ...]] = []
    for by in BY:
        found = portions(evidence.bought, evidence.bought_before, by, vendors)
        is_whole = by != COUNTRY
        index = [concentrated(found, each) if is_whole and evidence.bought else None for each in Measure]
        for each in found:
            cells: list[Cell] = []
            for measure in Measure:
                before = each.before[measure]
                cells += [
                    _units(measure, each.units[measure]),
                    ratio_text(each.share[measure]),
                    "" if before is None else ratio_text(before),
                ]
            rows.append((by, each.vendor or UNKNOWN, *cells, *index))
    return Sheet(
        "shares",
        "How much of the period's spend, attempts and tokens each organisation had, from the ledger: by who ran the "
        "machines, by who developed the model, by who ultimately owns whoever ran the machines (`parent`), and by "
        "country. An operator counts under its own country and under that of each of its owners, so that countries may "
        "come to more than the whole, and have no index. `self` is what ran on own servers: no vendor. `hhi` is the "
        "Herfindahl-Hirschman index of the group, the sum of the squared shares in per cent, `self` included: 10,000 "
        "is one alone. Merger control, where it is about markets, reads it so: the European Commission's guidelines of "
        "2004 (OJ C 31, 5.2.2004) call concerns unlikely below 1,000, and below 2,000 unless it rises by 250 or more; "
        "those of the United States of 2023 call more than 1,800 highly concentrated.",
        {
            "by": "what is grouped by",
            "name": "the organisation, or the country",
            "spend_usd": "what was spent there",
            "spend_share": "its part of all, 1 is all",
            "spend_share_before": "its part in the time right before, which is as long; empty: nothing was spent then",
            "attempts": "calls to its services, failed ones too",
            "attempts_share": "its part of all, 1 is all",
            "attempts_share_before": "its part in the time right before",
            "tokens": "input and output tokens, as providers reported them",
            "tokens_share": "its part of all, 1 is all",
            "tokens_share_before": "its part in the time right before",
            "hhi_of_spend": "of the whole group, by spend; empty by country",
            "hhi_of_attempts": "of the whole group, by attempts",
            "hhi_of_tokens": "of the whole group, by tokens",
        },
        rows,
    )


def _caps(evidence: Evidence) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for each in evidence.distances:
        cap, holding = each.demand.cap, each.holding
        least = "yes" if holding.total < cap.least else ""
        amounts = (holding.settled, holding.reserved, max(cap.least, holding.total))
        rows.append(
            (
                cap.rule,
                cap.mode.value,
                each.demand.vendor or UNKNOWN,
                cap.by,
                length_text(cap.window_s),
                ratio_text(Fraction(cap.numerator, cap.denominator)),
                ratio_text(each.share),
                cap.of.value if cap.of is not Measure.SPEND else "usd",
                *(_units(cap.of, units) for units in amounts),
                least,
                _units(cap.of, each.room),
                "yes" if each.room < 0 else "",
            )
        )
    return Sheet(
        "share_caps",
        "Caps that policies set on how much one vendor may have (`vendors.share`), and the room under each, for every "
        "vendor that the configuration or the ledger knows, when the ledger's last line was written: over the cap's "
        "own window up to that moment, which need not be the period. No row: no policy caps a share.",
        {
            "rule": "the policy and its rule",
            "mode": "`hard`: a call that would exceed it is not sent there; `soft`: others come first",
            "vendor": "whose share",
            "by": "what vendors are told apart by; `parent` is the ultimate owner",
            "window": "how far back it looks",
            "cap": "the most that it may have, 1 is all",
            "share": "what it had, calls under way included",
            "unit": "of the four amounts that follow: usd, calls (attempts) or tokens",
            "settled": "booked for it",
            "reserved": "set aside for calls under way",
            "of": "the volume of which shares are taken",
            "is_minimum": "yes: less than the policy's `min_volume` was booked by all, so that was taken as the volume",
            "room": "how much more could be set aside for it; below 0 it is over",
            "is_over": "yes, or empty",
        },
        rows,
    )


def _units(measure: Measure, units: int) -> Cell:
    return amount(units) if measure is Measure.SPEND else units
