"""What a replay came to, on screen and as a document."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.screen import amount, console, table
from modelrouter.cli.spend.when import written
from modelrouter.core.money import format_usd
from modelrouter.core.replay import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from modelrouter.cli.replay.usage_file import BadLine
    from modelrouter.core.replay_sums import Group, Share, Tally

__all__ = ["Report", "report_document", "show_report"]

Key = tuple[Change, str, str, str, str]

WORDS: Final = {
    Change.NEWLY_REFUSED: "newly refused",
    Change.NOBODY_LEFT: "nobody left",
    Change.GONE: "gone",
    Change.NEWLY_PERMITTED: "newly permitted",
    Change.MOVED: "moved",
    Change.REPRICED: "other price",
}
SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Report:
    """A replay.

    Attributes:
        asked: what was replaced by what.
        left_out: requests that could not be replayed, by the reason.
        unlike: those that this version of the package decides otherwise on the inputs of their day.
        bad_lines: the first lines of a log that could not be used.
        unmatched: requests by names of models that the catalog does not know.
        estimated: requests whose cost before is an estimate.
    """

    tally: Tally
    asked: Mapping[str, str | None]
    left_out: Mapping[str, int] = field(default_factory=dict)
    unlike: int = 0
    bad_lines: tuple[BadLine, ...] = ()
    unmatched: Counter[str] = field(default_factory=Counter)
    estimated: int = 0


def report_document(report: Report) -> dict[str, Any]:
    """For programs; amounts are text."""
    tally = report.tally
    return {
        **report.asked,
        "requests": tally.count,
        "from_at": None if tally.first_s is None else written(int(tally.first_s * 1_000_000), UTC),
        "until_at": None if tally.last_s is None else written(int(tally.last_s * 1_000_000), UTC),
        "differences": tally.differences,
        "changes": {change.value: tally.changes[change] for change in Change},
        "groups": [_group_document(key, group) for key, group in _in_order(tally)],
        "lost": [
            {"deployment": name, "rule": rule, "requests": count} for (name, rule), count in tally.lost.most_common()
        ],
        "gained": [{"deployment": name, "requests": count} for name, count in tally.gained.most_common()],
        "cost": {
            "before_usd": amount(tally.cost.before_nano_usd),
            "after_usd": amount(tally.cost.after_nano_usd),
            "saved_usd": amount(tally.cost.before_nano_usd - tally.cost.after_nano_usd),
            "requests_of_unknown_cost": tally.cost.unknown,
            "requests_of_estimated_cost": report.estimated,
        },
        "operators": [_share_document(name, share, tally) for name, share in _by_size(tally.operators)],
        "developers": [_share_document(name, share, tally) for name, share in _by_size(tally.developers)],
        "routes": [
            {
                "route": name,
                "requests": part.count,
                "served_before": part.served_before,
                "served_after": part.served_after,
            }
            for name, part in sorted(tally.routes.items())
        ],
        "routes_with_nobody": sorted(tally.deserted),
        "left_out": dict(report.left_out),
        "decided_otherwise_by_this_version": report.unlike,
        "bad_lines": [{"place": each.place, "reason": each.reason} for each in report.bad_lines],
        "unmatched_models": dict(report.unmatched.most_common()),
    }


def _in_order(tally: Tally) -> list[tuple[Key, Group]]:
    """What weighs most first."""
    places = {change: place for place, change in enumerate(WORDS)}
    return sorted(tally.groups.items(), key=lambda each: (places[each[0][0]], -each[1].count, each[0][1:]))


def _group_document(key: Key, group: Group) -> dict[str, Any]:
    change, route, before, after, why = key
    return {
        "change": change.value,
        "route": route,
        "before": before or None,
        "after": after or None,
        "why": why or None,
        "requests": group.count,
        "before_usd": amount(group.before_nano_usd),
        "after_usd": amount(group.after_nano_usd),
        "requests_of_unknown_cost": group.unknown,
        "calls": group.calls,
    }


def _by_size(shares: Mapping[str, Share]) -> list[tuple[str, Share]]:
    return sorted(shares.items(), key=lambda each: (-each[1].before - each[1].after, each[0]))


def _served(shares: Mapping[str, Share]) -> tuple[int, int]:
    return sum(each.before for each in shares.values()), sum(each.after for each in shares.values())


def _share_document(name: str, share: Share, tally: Tally) -> dict[str, Any]:
    before, after = _served(tally.operators)
    return {
        "id": name or None,
        "requests_before": share.before,
        "requests_after": share.after,
        "share_before": round(share.before / before, 6) if before else None,
        "share_after": round(share.after / after, 6) if after else None,
        "before_usd": amount(share.before_nano_usd),
        "after_usd": amount(share.after_nano_usd),
    }


# --- for people -------------------------------------------------------------------------------------------------------


def show_report(report: Report) -> None:
    """Differences, cost, shares, and what could not be replayed."""
    screen, tally = console(), report.tally
    asked = ", ".join(f"{name} {value}" for name, value in report.asked.items() if value)
    span = "" if tally.first_s is None or tally.last_s is None else f", {_day(tally.first_s)} to {_day(tally.last_s)}"
    screen.print(f"{tally.count:,} requests{span}, under {asked}", style="bold", soft_wrap=True)
    if not tally.differences:
        screen.print("0 differences", style="bold green")
    else:
        counts = ", ".join(f"{tally.changes[each]:,} {word}" for each, word in WORDS.items() if tally.changes[each])
        screen.print(f"{tally.differences:,} differences: {counts}", style="yellow", soft_wrap=True)
        _show_groups(screen, tally)
    _show_candidates(screen, tally)
    _show_cost(screen, report)
    if tally.differences:
        _show_shares(screen, "operator", tally.operators)
        _show_shares(screen, "developer", tally.developers)
    for name in sorted(tally.deserted):
        screen.print(f"route {name} would have had nobody", style="red")
    _show_left_out(screen, report)


def _day(at_s: float) -> str:
    return written(int(at_s * 1_000_000), UTC)[:10]


def _show_groups(screen: Console, tally: Tally) -> None:
    figures = ("requests", "cost before", "after")
    shown = table("what", "route", "from -> to, why", *figures, right=figures)
    groups = _in_order(tally)
    for (change, route, before, after, why), group in groups[:SHOWN_MAX]:
        moved = f"{before or 'nobody'} -> {after or 'nobody'}" if before != after else before
        cost = ("unknown",) * 2 if group.unknown == group.count else _costs(group)
        shown.add_row(WORDS[change], route, f"{moved}\n{why}".rstrip(), f"{group.count:,}", *cost)
    screen.print(shown)
    if len(groups) > SHOWN_MAX:
        screen.print(f"and {len(groups) - SHOWN_MAX} more kinds of difference: `--json` has all", style="dim")


def _costs(group: Group) -> tuple[str, str]:
    return format_usd(group.before_nano_usd), format_usd(group.after_nano_usd)


def _show_candidates(screen: Console, tally: Tally) -> None:
    for (name, rule), count in tally.lost.most_common(SHOWN_MAX):
        screen.print(f"{name} is not permitted any more for {count:,} requests: {rule}", style="yellow", soft_wrap=True)
    for name, count in tally.gained.most_common(SHOWN_MAX):
        screen.print(f"{name} is permitted for {count:,} requests more", style="dim", soft_wrap=True)


def _show_cost(screen: Console, report: Report) -> None:
    cost = report.tally.cost
    saved = cost.before_nano_usd - cost.after_nano_usd
    percent = f" ({abs(saved) / cost.before_nano_usd:.1%})" if cost.before_nano_usd else ""
    word = "less" if saved >= 0 else "more"
    line = f"cost {format_usd(cost.before_nano_usd)} before, {format_usd(cost.after_nano_usd)} after"
    screen.print(line + (f": {format_usd(abs(saved))} {word}{percent}" if saved else ": the same"), style="bold")
    if cost.unknown:
        screen.print(f"{cost.unknown:,} requests are in neither sum: their cost is not known", style="dim")
    if report.estimated:
        screen.print(
            f"{report.estimated:,} requests came without a cost: the price of their model stands in", style="dim"
        )


def _show_shares(screen: Console, what: str, shares: Mapping[str, Share]) -> None:
    before, after = _served(shares)
    shown = table(what, "requests before", "after", "cost before", "after ", right=("requests before", "after"))
    for name, share in _by_size(shares):
        counts = (_part(share.before, before), _part(share.after, after))
        shown.add_row(name or "unknown", *counts, format_usd(share.before_nano_usd), format_usd(share.after_nano_usd))
    screen.print(shown)


def _part(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.1%})" if total else f"{count:,}"


def _show_left_out(screen: Console, report: Report) -> None:
    for reason, count in sorted(report.left_out.items()):
        screen.print(f"left out: {count:,}: {reason}", style="red", soft_wrap=True)
    for line in report.bad_lines:
        screen.print(f"{line.place}: {line.reason}", style="red", soft_wrap=True)
    if report.unmatched:
        names = ", ".join(f"{name} ({count:,})" for name, count in report.unmatched.most_common(SHOWN_MAX))
        screen.print(f"models that the catalog does not know: {names}", style="yellow", soft_wrap=True)
    if report.unlike:
        screen.print(
            f"{report.unlike:,} requests are decided otherwise by this version of the package on the inputs of their "
            "day: their differences are not those of your change alone",
            style="red",
            soft_wrap=True,
        )
