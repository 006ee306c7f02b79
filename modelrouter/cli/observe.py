"""`modelrouter observe`: what policies that only observe would have refused, and whether they can be enforced."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from rich.console import Console

    from modelrouter.config import Setup
    from modelrouter.core.assurance import Watch
    from modelrouter.core.assurance.observing import RuleWatch
    from modelrouter.core.policy import Policy, Waiver

__all__ = ["observe"]

ROWS_MAX: Final = 30
"""Rows of a table; `--json` has all."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One policy that only observes, and what became of it.

    Attributes:
        routes: the routes that name it; others may be called with it.
        broken: what it asserts of routes and they do not meet: enforced, the config would not load.
    """

    policy: Policy
    watch: Watch
    routes: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def is_safe(self) -> bool:
        """Whether it can be enforced."""
        return self.watch.is_safe and not self.broken

    def words(self, since: str) -> str:
        """The answer in one sentence."""
        watch = self.watch
        if not watch.calls:
            return f"not known: no call since {since} was bound by it as it is written now"
        would = f"{watch.refused:,} of {_calls(watch.calls)} since {since} would have been refused"
        if watch.nobody:
            would += f", {watch.nobody:,} would have had nobody left"
        if self.broken:
            would += "; what it asserts of routes does not hold"
        return f"{'safe to enforce' if self.is_safe else 'not safe to enforce'}: {would}"


def observe(
    policy: Annotated[
        list[str] | None, typer.Argument(metavar="POLICY", help="those with `observe: true`; absent is each of them")
    ] = None,
    *,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="a length as 24h, 30d, 4w, a day as 2026-11-01, or 2026-11-01T09:30")
    ] = "30d",
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what policies with `observe: true` would have refused, from the ledger, and whether it is safe to enforce.

    Only calls under a policy as it is written now count. 1 if it is not safe, or not known because there was no call.
    """
    from modelrouter.cli.spend.when import moment_us, written
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    now = datetime.now(UTC)
    since_us = moment_us(since, now, UTC, option="--since")
    setup = read(find_config(config)).setup
    untold: Counter[str] = Counter()
    seen = _seen(setup, _asked(setup, policy or ()), since_us, now, untold)
    begin = written(since_us, UTC)
    if as_json:
        print_document({**_document(seen, begin, now.date()), "left_out": dict(untold)})
    else:
        _show(console(), seen, begin, now.date())
        for reason, calls in untold.items():
            console().print(f"left out: {calls:,}: {reason}", style="yellow", soft_wrap=True)
    if not all(each.is_safe for each in seen):
        raise typer.Exit(REFUSED)


def _asked(setup: Setup, names: Sequence[str]) -> dict[str, Policy]:
    """The policies that are asked about.

    Raises:
        BadParameter: there is none of a name, or it is enforced.
    """
    from modelrouter.config.nearest import nearest

    observing = {name: each[-1] for name, each in setup.policies.items() if each[-1].observe}
    for name in names:
        if name not in setup.policies:
            raise typer.BadParameter(f"unknown policy `{name}`{nearest(name, setup.policies)}", param_hint="POLICY")
        if name not in observing:
            raise typer.BadParameter(f"`{name}` is enforced: it has no `observe: true`", param_hint="POLICY")
    return {name: each for name, each in observing.items() if not names or name in names}


def _seen(
    setup: Setup, policies: Mapping[str, Policy], since_us: int, now: datetime, untold: Counter[str]
) -> list[_Seen]:
    from modelrouter.config.proof import broken_in
    from modelrouter.core.assurance import watched

    digests = {name: each.digest for name, each in policies.items()}
    path = Path(setup.ledger_path) if setup.ledger_path else None
    if not policies or (path is not None and path.parent.is_dir() and not path.exists()):
        watches = watched((), digests)  # the book is made with the first call
    else:
        from modelrouter.cli.booked import opened
        from modelrouter.ledger.told import told_calls

        with opened(setup.ledger) as book, book.reading() as session:
            watches = watched(told_calls(session, since_us, untold=untold), digests)
    broken = [each for each in broken_in(setup, now.timestamp()) if each.asserted.observed]
    return [
        _Seen(
            each,
            watches[name],
            tuple(
                route for route, found in setup.routes.items() if any(layer.policy == each for layer in found.layers)
            ),
            tuple(one.reason for one in broken if one.asserted.policy == name),
        )
        for name, each in policies.items()
    ]


# --- what is printed --------------------------------------------------------------------------------------------------


def _document(seen: Sequence[_Seen], since: str, today: date) -> dict[str, Any]:
    return {
        "ok": all(each.is_safe for each in seen),
        "since": since,
        "policies": [_seen_document(each, since, today) for each in seen],
    }


def _seen_document(seen: _Seen, since: str, today: date) -> dict[str, Any]:
    watch = seen.watch
    return {
        "policy": seen.policy.name,
        "digest": watch.digest,
        "safe": seen.is_safe,
        "answer": seen.words(since),
        "calls": watch.calls,
        "refused": watch.refused,
        "nobody_left": watch.nobody,
        "fewer_left": watch.fewer,
        "calls_under_other_versions": watch.earlier,
        "first_call_at": _moment(watch.first_us),
        "last_call_at": _moment(watch.last_us),
        "last_refused_at": _moment(watch.last_refused_us),
        "routes": [{"route": name, "calls": watch.routes.get(name, 0)} for name in _routes(seen)],
        "rules": [
            {
                "rule": each.rule,
                "route": each.route,
                "deployment": each.deployment,
                "candidate_of": each.calls,
                "refused": each.refused,
                "last_at": _moment(each.last_us),
            }
            for each in _rules(watch)
        ],
        "asserted_and_broken": list(seen.broken),
        "waivers": [_waiver_document(each, watch, today) for each in seen.policy.waivers],
    }


def _waiver_document(waiver: Waiver, watch: Watch, today: date) -> dict[str, Any]:
    return {
        "id": waiver.id,
        "rule": waiver.rule,
        "subject": waiver.subject,
        "owner": waiver.owner,
        "because": waiver.because,
        "expires": waiver.expires.isoformat(),
        "days_left": (waiver.expires - today).days,
        "admitted": watch.waived.get(waiver.id, 0),
    }


def _moment(at_us: int | None) -> str | None:
    from modelrouter.cli.spend.when import written

    return None if at_us is None else written(at_us, UTC)


def _routes(seen: _Seen) -> list[str]:
    return sorted({*seen.routes, *seen.watch.routes})


def _rules(watch: Watch) -> list[RuleWatch]:
    """The most refused first."""
    return sorted(watch.rules.values(), key=lambda each: (-each.refused, -each.calls, each.rule, each.deployment))


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _show(screen: Console, seen: Sequence[_Seen], since: str, today: date) -> None:
    if not seen:
        screen.print("no policy observes: each is enforced")
    for each in seen:
        screen.print(each.policy.name, style="bold", end="")
        screen.print(f": {each.policy.description}" if each.policy.description else "")
        _show_counts(screen, each)
        _show_rules(screen, each.watch)
        _show_waivers(screen, each, today)
        for reason in each.broken:
            screen.print(f"asserted: {reason}", style="red")
        screen.print(each.words(since), style="bold green" if each.is_safe else "bold red")
        screen.print()


def _show_counts(screen: Console, seen: _Seen) -> None:
    watch = seen.watch
    routes = ", ".join(f"{name} ({_calls(watch.routes.get(name, 0))})" for name in _routes(seen)) or "none"
    screen.print(f"on routes: {routes}", style="dim")
    if watch.fewer:
        screen.print(f"{_calls(watch.fewer)} would have had fewer to fall back on", style="yellow")
    if watch.earlier:
        screen.print(f"{_calls(watch.earlier)} under another version of it do not count", style="dim")


def _show_rules(screen: Console, watch: Watch) -> None:
    rows = _rules(watch)
    if not rows:
        return
    shown = table("rule", "route", "deployment", "candidate", "refused", "last", right=("candidate", "refused"))
    for each in rows[:ROWS_MAX]:
        last = _moment(each.last_us) or ""
        shown.add_row(each.rule, each.route, each.deployment, f"{each.calls:,}", f"{each.refused:,}", last[:10])
    screen.print(shown)
    if len(rows) > ROWS_MAX:
        screen.print(f"and {len(rows) - ROWS_MAX} more: `--json` has all", style="dim")


def _show_waivers(screen: Console, seen: _Seen, today: date) -> None:
    for waiver in seen.policy.waivers:
        days = (waiver.expires - today).days
        left = f"{days} days left" if days >= 0 else f"expired {waiver.expires}"
        admitted = seen.watch.waived.get(waiver.id, 0)
        screen.print(
            f"waiver {waiver.id}: {waiver.subject} past {waiver.rule}, {left} ({waiver.owner}: {waiver.because}); it "
            f"would have admitted it {admitted:,} times",
            style="yellow",
        )
