"""Revocations, and what they take away, for people and for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from modelrouter.cli.screen import console, printable, table
from modelrouter.cli.spend.when import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.config import Setup
    from modelrouter.core.assurance import Aftermath, Revocation

__all__ = ["Losses", "losses_of", "revocation_document", "show_losses", "show_revoked"]

Document = dict[str, Any]


class Losses:
    """What revocations take from a config.

    Attributes:
        whys: the deployments that are cut off, and by what.
        routes: what is left of each route that loses somebody.
        doubts: deployments that remain although nobody knows whether they fall under it, and which facts are missing.
    """

    def __init__(
        self, whys: Mapping[str, str], routes: Sequence[Aftermath], doubts: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.whys = whys
        self.routes = routes
        self.doubts = doubts

    @property
    def warnings(self) -> list[str]:
        """What a person should know, one sentence each."""
        return [each.warning for each in self.routes if each.warning]

    def document(self) -> Document:
        """For programs."""
        return {
            "deployments": dict(self.whys),
            "routes": [
                {"route": each.route, "taken": list(each.taken), "left": list(each.left)} for each in self.routes
            ],
            "not_known": {name: list(paths) for name, paths in self.doubts.items()},
            "warnings": self.warnings,
        }


def losses_of(setup: Setup, revocations: Sequence[Revocation]) -> Losses:
    """What these take away now."""
    from modelrouter.core.assurance import aftermath, exposure_of, revoked_by
    from modelrouter.core.decision import day_of
    from modelrouter.core.subject import Calendar, Subject

    now_s, world = time.time(), setup.world
    whys: dict[str, str] = {}
    doubts: dict[str, tuple[str, ...]] = {}
    for name, deployment in world.deployments.items():
        exposure = exposure_of(Subject(deployment, world, Calendar(day_of(now_s))))
        found = revoked_by(exposure.marks, revocations, int(now_s * 1_000_000))
        if found is not None:
            whys[name] = found.sentence(exposure.marks)
        elif exposure.doubts and revocations:
            doubts[name] = exposure.doubts
    return Losses(whys, tuple(aftermath(setup.routes, world, whys, now_s)), doubts)


def revocation_document(number: int, each: Revocation) -> Document:
    """One revocation for programs."""
    return {
        "number": number,
        "subject": each.subject,
        "kind": each.kind.value,
        "name": each.name,
        "roles": sorted(role.value for role in each.roles),
        "reason": each.reason,
        "since": _moment(each.from_us),
        "until": None if each.until_us is None else _moment(each.until_us),
        "abort_in_flight": each.abort_in_flight,
        "in_force": each.holds(int(time.time() * 1_000_000)),
    }


def show_revoked(revoked: Mapping[int, Revocation], shown: str) -> None:
    """All that were not restored."""
    screen = console()
    if not revoked:
        screen.print(f"nothing is revoked in {shown}", soft_wrap=True)
        return
    rows = table("number", "revoked", "as", "since", "until", "reason", right=("number",), whole=("revoked",))
    now_us = int(time.time() * 1_000_000)
    for number, each in revoked.items():
        ended = "" if each.holds(now_us) else " (ended)"
        until = "" if each.until_us is None else f"{_moment(each.until_us)}{ended}"
        roles = "every role" if len(each.roles) > 1 else ", ".join(role.value for role in each.roles)
        if each.roles != _all(each):
            roles = ", ".join(sorted(role.value for role in each.roles))
        rows.add_row(str(number), each.subject, roles, _moment(each.from_us), until, printable(each.reason))
    screen.print(rows)


def show_losses(losses: Losses) -> None:
    """Which routes lose whom, who is left, and what to worry about."""
    screen = console()
    if losses.routes:
        rows = table("route", "loses", "has left")
        for each in losses.routes:
            rows.add_row(each.route, ", ".join(each.taken), ", ".join(each.left) or "nobody")
        screen.print(rows)
    for name, why in losses.whys.items():
        screen.print(printable(f"  {name}: {why}"), style="dim", soft_wrap=True)
    for warning in losses.warnings:
        screen.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    if losses.doubts:
        paths = sorted({path for each in losses.doubts.values() for path in each})
        screen.print(
            f"not known, so not taken away: whether {', '.join(losses.doubts)} belongs to it ({', '.join(paths)}); "
            "revoke a deployment by its name to be sure",
            style="dim", soft_wrap=True,
        )  # fmt: skip


def _all(each: Revocation) -> frozenset[object]:
    from modelrouter.core.assurance import ROLES_OF

    return frozenset(ROLES_OF[each.kind])


def _moment(at_us: int) -> str:
    from datetime import UTC

    return written(at_us, UTC)
