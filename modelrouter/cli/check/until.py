"""`check --until`: what dates will stop or start, and which routes would have nobody."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import typer

from modelrouter.cli.screen import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from modelrouter.config import Setup
    from modelrouter.core.horizon import Flip, Horizon, Outage

__all__ = ["horizon_document", "horizon_within", "show_horizon", "until_day"]

Document = dict[str, Any]
LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([dw])", re.ASCII)
DAYS: Final = {"d": 1, "w": 7}


def until_day(text: str, today: date) -> date:
    """The last day that `90d`, `12w` or `2027-03-01` means.

    Raises:
        BadParameter: it is none of them, or is not ahead.
    """
    length = LENGTH.fullmatch(text)
    try:
        day = today + timedelta(days=int(length[1]) * DAYS[length[2]]) if length else date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"`{text}` is no length and no day: write it as `90d` or `2027-03-01`", param_hint="--until"
        ) from None
    if day <= today:
        raise typer.BadParameter(f"`{text}` is not ahead: today is {today}", param_hint="--until")
    return day


def horizon_within(setup: Setup, today: date, until: date) -> Horizon:
    """What turns for each route, asked as `check` asks."""
    from modelrouter.core.horizon import horizon_of
    from modelrouter.router.epoch import Epoch

    epoch = Epoch(setup)
    asked = {name: (route, epoch.question(name, {})) for name, route in setup.routes.items()}
    tags = {name: tag.values for name, tag in setup.tags.items()}
    return horizon_of(asked, setup.world, tags, today=today, until=until)


def horizon_document(found: Horizon, today: date, until: date) -> Document:
    """For programs."""
    return {
        "from": today.isoformat(),
        "until": until.isoformat(),
        "ok": not found.outages,
        "flips": [_flip_document(each) for each in found.flips],
        "outages": [
            {"at": _instant(each.day), "route": each.route, "tags": [dict(tags) for tags in each.tags]}
            for each in found.outages
        ],
    }


def _flip_document(flip: Flip) -> Document:
    from modelrouter.cli.decisions import verdict_document

    return {
        "at": _instant(flip.day),
        "route": flip.route,
        "deployment": flip.deployment,
        "becomes": "permitted" if flip.permitted else "refused",
        "refusals": [verdict_document(each) for each in flip.refusals],
        "waivers_ended": [waiver.id for waiver in flip.ended],
        "tags": [dict(tags) for tags in flip.tags],
    }


def _instant(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def show_horizon(screen: Console, found: Horizon, today: date, until: date) -> None:
    """For people, by day."""
    screen.print()
    screen.print(f"until {until} ({(until - today).days} days)", style="bold")
    if not found.flips:
        screen.print("no date changes who may serve", style="green")
        return
    shown = table("from (UTC)", "route", "deployment", "is then", whole=("from (UTC)",))
    turns: list[Flip | Outage] = [*found.flips, *found.outages]
    for each in sorted(turns, key=lambda each: each.day):  # of one day, the flips stand before what comes of them
        shown.add_row(each.day.isoformat(), each.route, *_words(each))
    screen.print(shown)


def _words(each: Flip | Outage) -> tuple[str, str]:
    from modelrouter.core.horizon import Outage

    under = _under(each.tags)
    if isinstance(each, Outage):
        return "nobody", f"without anybody{under}"
    if each.permitted:
        return each.deployment, f"permitted: {_why(each)} is over{under}"
    ended = "".join(f"; waiver {waiver.id} ended on {waiver.expires}" for waiver in each.ended)
    return each.deployment, f"refused: {_why(each)}{ended}{under}"


def _why(flip: Flip) -> str:
    return ", ".join(f"{each.layer}/{each.rule} ({each.judgement.reason})" for each in flip.refusals)


def _under(tags: tuple[Mapping[str, str], ...]) -> str:
    """Under which tags, unless a request without any is among them."""
    if any(not each for each in tags):
        return ""
    shown = " or ".join(", ".join(f"{name}={value}" for name, value in each.items()) for each in tags)
    return f" [{shown}]"
