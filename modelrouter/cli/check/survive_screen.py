"""What `check --survive` prints: for people, as one document, and as annotations that CI shows beside a line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from modelrouter.cli.check.survive import gaps_of
from modelrouter.cli.screen import amount, console, print_document, printable, table
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from rich.console import Console

    from modelrouter.cli.check.survive import Aftermath, RouteSurvey, Survey
    from modelrouter.core.assurance import Ground
    from modelrouter.core.decision import Candidate

__all__ = ["print_annotations", "print_survey", "show_survey"]

Document = dict[str, Any]
SHOWN_MAX = 60
"""Losses shown of a route; `--json` has all."""


def print_survey(survey: Survey) -> None:
    """One document; amounts are text."""
    print_document(
        {
            "ok": survey.is_good,
            "config": survey.config,
            "lost": survey.asked,
            "routes": [_route_document(each, survey.ground) for each in survey.routes],
            "unproved": [{"deployment": name, "missing": missing} for name, missing in gaps_of(survey)],
            "without_key": [{"deployment": name, "reason": reason} for name, reason in survey.keyless],
            "notes": list(survey.notes),
        }
    )


def _route_document(route: RouteSurvey, ground: Ground) -> Document:
    candidates = {each.deployment: each for each in route.decision.permitted}
    return {
        "route": route.route,
        "ok": not route.reasons,
        "file": route.origin.file,
        "line": route.origin.line,
        "reasons": list(route.reasons),
        "policies": [layer.policy.name for layer in route.decision.layers],
        "permitted": [_candidate_document(each, ground) for each in candidates.values()],
        "counterexample": None if route.counterexample is None else list(route.counterexample),
        "losses": [_aftermath_document(each, candidates) for each in route.aftermaths],
        "asserted": [
            {
                "rule": each.asserted.rule,
                "min": each.asserted.most_lost,
                "observed": each.asserted.observed,
                "counterexample": list(each.counterexample),
            }
            for each in route.broken
        ],
    }


def _candidate_document(candidate: Candidate, ground: Ground) -> Document:
    found = ground.vendors[candidate.deployment]
    return {
        "deployment": candidate.deployment,
        "expected_usd": amount(candidate.expected_nano_usd),
        "most_usd": amount(candidate.bound.nano_usd),
        "vendors": [
            {"id": vendor.id, "roles": sorted(role.value for role in vendor.roles)} for vendor in found.vendors
        ],
        "vendors_known": found.are_known,
        "missing": [{"fact": gap.path, "reason": gap.reason} for gap in found.gaps],
    }


def _aftermath_document(after: Aftermath, candidates: dict[str, Candidate]) -> Document:
    first = candidates[after.left[0]] if after.left else None
    return {
        "lost": list(after.lost),
        "left": list(after.left),
        "left_count": after.left_count,
        "expected_usd": None if first is None else amount(first.expected_nano_usd),
        "most_usd": None if first is None else amount(first.bound.nano_usd),
    }


# --- for people -------------------------------------------------------------------------------------------------------


def show_survey(survey: Survey) -> None:
    """Each route with who is left after each loss, then what proves nothing, then the answer."""
    screen = console()
    screen.print(f"{survey.config}: after the loss of {survey.asked}", style="bold")
    for route in survey.routes:
        screen.print()
        _show_route(screen, route)
    screen.print()
    for name, missing in gaps_of(survey):
        screen.print(f"never counts as a survivor: {name} ({missing})", style="yellow")
    for name, reason in survey.keyless:
        screen.print(f"counted as if its key were here: {name} ({printable(reason)})", style="dim")
    for note in survey.notes:
        screen.print(f"note: {note}", style="yellow")
    bad = [each.route for each in survey.routes if each.reasons]
    if bad:
        screen.print(f"nobody is left for: {', '.join(bad)}", style="bold red")
    else:
        screen.print(f"every route has somebody left after the loss of {survey.asked}", style="bold green")


def _show_route(screen: Console, route: RouteSurvey) -> None:
    permitted = route.decision.permitted
    screen.print(f"route {route.route}", style="bold", end="")
    screen.print(f": {len(permitted)} of {len(route.decision.considered)} permitted", end="")
    screen.print("" if route.reasons else ", somebody is always left", style="green")
    names = ", ".join(f"{layer.policy.name} ({layer.level.value})" for layer in route.decision.layers)
    screen.print(f"policies: {names or 'none'}", style="dim")
    for reason in route.reasons:
        screen.print(reason, style="red")
    for broken in route.broken:
        if broken.asserted.observed:
            screen.print(f"observed: {broken.reason}", style="yellow")
    _show_losses(screen, route)


def _show_losses(screen: Console, route: RouteSurvey) -> None:
    """Every loss of one, and of more only what leaves nobody without a smaller loss that does."""
    candidates = {each.deployment: each for each in route.decision.permitted}
    fatal = set(route.fatal)
    told = [
        each
        for each in route.aftermaths
        if each.is_asked or len(each.lost) == 1 or (not each.left_count and fatal.isdisjoint(each.lost))
    ]
    told.sort(key=lambda each: each.left_count)
    shown = table("lost", "left", "next", "expected", "at most", right=("left", "expected", "at most"))
    for after in told[:SHOWN_MAX]:
        first = candidates[after.left[0]] if after.left else None
        shown.add_row(
            " and ".join(after.lost),
            str(after.left_count),
            "nobody" if first is None else first.deployment,
            "" if first is None else format_usd(first.expected_nano_usd),
            "" if first is None else format_usd(first.bound.nano_usd),
            style="red" if first is None else None,
        )
    if told:
        screen.print(shown)
    rest = len(route.aftermaths) - len(told[:SHOWN_MAX])
    if rest:
        screen.print(f"and {rest} more losses that say nothing else or leave more: `--json` has all", style="dim")


# --- for CI -----------------------------------------------------------------------------------------------------------


def print_annotations(survey: Survey) -> None:
    """GitHub's workflow commands, one line for each reason, at the line where the route is written.

    Source of the form: GitHub's documentation of workflow commands; of the escapes: `packages/core/src/command.ts` in
    `actions/toolkit`.
    """
    for route in survey.routes:
        for reason in route.reasons:
            place = {"file": _from_here(route.origin.file or survey.config), "line": str(route.origin.line or 1)}
            told = {**place, "title": f"modelrouter: route {route.route}"}
            properties = ",".join(f"{name}={_escaped(value, inside=True)}" for name, value in told.items())
            print(f"::error {properties}::{_escaped(reason)}")


def _from_here(file: str) -> str:
    """A path as CI knows it: from the folder in which it runs, if it is below that."""
    path = os.path.relpath(file)
    return file if path.startswith(os.pardir) else path


def _escaped(text: str, *, inside: bool = False) -> str:
    """What would end a line, or inside of properties a property, as percent codes."""
    found = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return found.replace(":", "%3A").replace(",", "%2C") if inside else found
