"""What the decisions of a period come to: policies in force, waivers used, refusals by reason. Pure counting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelrouter.core.assurance.told import ToldCall, ToldLayer

__all__ = ["Count", "Tally", "tally_of"]

PER_REQUEST: Final = frozenset({"request.bound", "request.cost_usd", "vendors.share"})
"""Rules whose reason holds figures of a single request: they are counted without it."""


@dataclass(slots=True)
class Count:
    """How often, and from when to when; microseconds since 1970, UTC."""

    calls: int = 0
    first_us: int = 0
    last_us: int = 0

    def take(self, call: ToldCall) -> None:
        """Count a call."""
        self.first_us = min(self.first_us, call.at_us) if self.calls else call.at_us
        self.last_us = max(self.last_us, call.at_us)
        self.calls += call.count


@dataclass(slots=True)
class Tally:
    """The counts.

    Attributes:
        policies: by name, hash of the text, level and whether it only observed.
        waivers: by id and deployment.
        refusals: by route, deployment, layer, rule and reason.
        observed: what was recorded and not enforced, by route, deployment, policy and rule.
        nobody: calls that nobody might serve, by route.
        permitted: those for which somebody was permitted, by everybody who was.
    """

    calls: Count = field(default_factory=Count)
    policies: dict[ToldLayer, Count] = field(default_factory=dict)
    waivers: dict[tuple[str, str], Count] = field(default_factory=dict)
    refusals: dict[tuple[str, str, str, str, str], Count] = field(default_factory=dict)
    observed: dict[tuple[str, str, str, str], Count] = field(default_factory=dict)
    nobody: dict[str, Count] = field(default_factory=dict)
    permitted: dict[frozenset[str], Count] = field(default_factory=dict)

    def take(self, call: ToldCall) -> None:
        """Count a call in all of them."""
        self.calls.take(call)
        for layer in call.told.layers:
            self.policies.setdefault(layer, Count()).take(call)
        for name, waiver in call.told.waived:
            self.waivers.setdefault((waiver, name), Count()).take(call)
        for name, refusals in call.told.refused.items():
            for each in refusals:
                reason = "" if each.rule in PER_REQUEST else each.reason
                key = call.route, name, each.layer, each.rule, reason
                self.refusals.setdefault(key, Count()).take(call)
        for seen in call.told.observed:
            if not seen.waiver:
                self.observed.setdefault((call.route, seen.deployment, seen.policy, seen.rule), Count()).take(call)
        if call.told.permitted:
            self.permitted.setdefault(frozenset(call.told.permitted), Count()).take(call)
        if not call.attempted:
            self.nobody.setdefault(call.route, Count()).take(call)


def tally_of(calls: Iterable[ToldCall]) -> Tally:
    """Count calls."""
    found = Tally()
    for call in calls:
        found.take(call)
    return found
