"""What replaying many requests came to, added up in bounded memory. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.replay import Change

if TYPE_CHECKING:
    from modelrouter.core.replay import Difference, Past

__all__ = ["NOBODY", "Group", "Part", "Share", "Tally"]

NOBODY: Final = ""
EXAMPLES_MAX: Final = 3


@dataclass(slots=True)
class Group:
    """Requests to which the same happens.

    Attributes:
        before_nano_usd: what those whose cost under the new regime is known did cost.
        after_nano_usd: what they would cost.
        unknown: those whose cost is not known there.
        calls: ids of the first few.
    """

    count: int = 0
    before_nano_usd: int = 0
    after_nano_usd: int = 0
    unknown: int = 0
    calls: list[str] = field(default_factory=list)

    def add(self, past: Past, difference: Difference) -> None:
        """One more."""
        self.count += past.count
        if difference.cost_nano_usd is None:
            self.unknown += past.count
        else:
            self.before_nano_usd += past.cost_nano_usd
            self.after_nano_usd += difference.cost_nano_usd
        if len(self.calls) < EXAMPLES_MAX:
            self.calls.append(past.recorded.moment.seed)


@dataclass(slots=True)
class Part:
    """Requests of one route."""

    count: int = 0
    served_before: int = 0
    served_after: int = 0


@dataclass(slots=True)
class Share:
    """What one operator or developer has of all requests that somebody serves, and of their known cost."""

    before: int = 0
    after: int = 0
    before_nano_usd: int = 0
    after_nano_usd: int = 0


@dataclass(slots=True)
class Tally:
    """All sums.

    Attributes:
        changes: requests by what becomes of them.
        groups: by change, route, before, after and why; those to which nothing happens are left out.
        lost: requests by deployment and rule: it was permitted for them and is not any more.
        gained: requests by deployment.
        cost: of all requests.
    """

    changes: Counter[Change] = field(default_factory=Counter)
    groups: dict[tuple[Change, str, str, str, str], Group] = field(default_factory=dict)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    gained: Counter[str] = field(default_factory=Counter)
    routes: dict[str, Part] = field(default_factory=dict)
    operators: dict[str, Share] = field(default_factory=dict)
    developers: dict[str, Share] = field(default_factory=dict)
    cost: Group = field(default_factory=Group)
    first_s: float | None = None
    last_s: float | None = None

    @property
    def count(self) -> int:
        """Requests in all."""
        return self.changes.total()

    @property
    def differences(self) -> int:
        """Requests to which anything happens."""
        return self.count - self.changes[Change.SAME] - self.changes[Change.STILL_REFUSED]

    @property
    def deserted(self) -> list[str]:
        """Routes that somebody served, and that would have had nobody."""
        return [name for name, part in self.routes.items() if part.served_before and not part.served_after]

    def add(self, past: Past, difference: Difference) -> None:
        """One request, or several that are alike."""
        change, count, route = difference.change, past.count, past.recorded.request.route
        self.changes[change] += count
        self.cost.add(past, difference)
        if change not in {Change.SAME, Change.STILL_REFUSED}:
            key = (change, route, difference.before, difference.after, difference.why)
            self.groups.setdefault(key, Group()).add(past, difference)
        for pair in difference.lost:
            self.lost[pair] += count
        for name in difference.gained:
            self.gained[name] += count
        part = self.routes.setdefault(route, Part())
        part.count += count
        part.served_before += count if difference.before else 0
        part.served_after += count if difference.after else 0
        self._share(self.operators, past, difference, past.operator, difference.operator)
        self._share(self.developers, past, difference, past.developer, difference.developer)
        at_s = past.recorded.moment.now_s
        self.first_s = at_s if self.first_s is None else min(self.first_s, at_s)
        self.last_s = at_s if self.last_s is None else max(self.last_s, at_s)

    @staticmethod
    def _share(shares: dict[str, Share], past: Past, difference: Difference, before: str, after: str) -> None:
        known = difference.cost_nano_usd is not None
        if past.answered:
            share = shares.setdefault(before, Share())
            share.before += past.count
            share.before_nano_usd += past.cost_nano_usd if known else 0
            if difference.after:
                share = shares.setdefault(after, Share())
                share.after += past.count
                share.after_nano_usd += difference.cost_nano_usd or 0
