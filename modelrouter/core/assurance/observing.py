"""Whether a policy that only observes can be enforced: what it would have done to the calls that it watched.

A call **would have been refused** where it was sent to a deployment that the policy would have kept out. It would have
had **nobody** where the policy would have kept out everybody who was permitted. Where only a deployment that was not
needed would have gone, the call would have had **fewer** to fall back on. Whom a waiver would have admitted is kept in.
Only calls under the policy as it is now written count: what an earlier version would have done proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.core.assurance.told import Told, ToldCall

__all__ = ["RuleWatch", "Watch", "watched"]


@dataclass(slots=True)
class RuleWatch:
    """What one rule would have done, at one deployment on one route.

    Attributes:
        calls: that had the deployment as a candidate it would have kept out.
        refused: of these, calls that were sent there.
        last_us: when the last of these calls was; microseconds since 1970, UTC.
    """

    rule: str
    route: str
    deployment: str
    calls: int = 0
    refused: int = 0
    last_us: int = 0


@dataclass(slots=True)
class Watch:
    """What a policy would have done.

    Attributes:
        digest: of the text that is watched.
        calls: that it bound.
        refused: calls that would have been refused where they were sent.
        nobody: calls that would have had nobody.
        fewer: calls that would have had fewer to fall back on, and are not among the refused.
        earlier: calls that another version of it bound.
        first_us: of the calls that it bound, microseconds since 1970, UTC; None while there are none.
        last_refused_us: of those that would have been refused or had nobody; None while there are none.
        routes: how many calls of each route it bound.
        rules: by rule, route and deployment.
        waived: by waiver, how often it would have admitted a deployment.
    """

    policy: str
    digest: str
    calls: int = 0
    refused: int = 0
    nobody: int = 0
    fewer: int = 0
    earlier: int = 0
    first_us: int | None = None
    last_us: int | None = None
    last_refused_us: int | None = None
    routes: dict[str, int] = field(default_factory=dict)
    rules: dict[tuple[str, str, str], RuleWatch] = field(default_factory=dict)
    waived: dict[str, int] = field(default_factory=dict)

    @property
    def is_safe(self) -> bool:
        """Whether there were calls, and none of them would have been refused."""
        return bool(self.calls) and not self.refused and not self.nobody

    def take(self, call: ToldCall) -> None:
        """Count a call that the policy bound."""
        self.calls += call.count
        self.routes[call.route] = self.routes.get(call.route, 0) + call.count
        self.first_us = call.at_us if self.first_us is None else min(self.first_us, call.at_us)
        self.last_us = call.at_us if self.last_us is None else max(self.last_us, call.at_us)
        kept_out = self._kept_out(call, call.told)
        if not kept_out:
            return
        is_refused = not kept_out.isdisjoint(call.attempted)
        has_nobody = bool(call.told.permitted) and kept_out.issuperset(call.told.permitted)
        self.refused += call.count * is_refused
        self.nobody += call.count * has_nobody
        if is_refused or has_nobody:
            self.last_refused_us = max(self.last_refused_us or call.at_us, call.at_us)
        else:
            self.fewer += call.count * (not kept_out.isdisjoint(call.told.permitted))

    def _kept_out(self, call: ToldCall, told: Told) -> set[str]:
        """Whom it would have kept out; each rule is counted on the way."""
        found: set[str] = set()
        for each in told.observed:
            if each.policy != self.policy:
                continue
            if each.waiver:
                self.waived[each.waiver] = self.waived.get(each.waiver, 0) + call.count
                continue
            found.add(each.deployment)
            key = each.rule, call.route, each.deployment
            row = self.rules.setdefault(key, RuleWatch(*key))
            row.calls += call.count
            row.refused += call.count * (each.deployment in call.attempted)
            row.last_us = max(row.last_us, call.at_us)
        return found


def watched(calls: Iterable[ToldCall], policies: Mapping[str, str]) -> dict[str, Watch]:
    """What policies would have done to calls.

    Args:
        policies: name to the digest of the text that is watched.
    """
    found = {name: Watch(name, digest) for name, digest in policies.items()}
    for call in calls:
        for layer in call.told.layers:
            watch = found.get(layer.policy)
            if watch is None:
                continue
            if layer.observe and layer.digest == watch.digest:
                watch.take(call)
            else:
                watch.earlier += call.count
    return found
