"""What two sets of policies answer otherwise: values, and whether the new one permits more."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.bounds import BoundBasis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.assurance.loosening import Loosening
    from modelrouter.core.policy import Obligation, RuleSpec, Waiver
    from modelrouter.core.verdict import Verdict

__all__ = [
    "AssertionChange",
    "Difference",
    "DutyChange",
    "LimitChange",
    "Limits",
    "SignedWaiver",
    "Turn",
    "Turned",
    "WaiverTurn",
]

Tags = tuple["Mapping[str, str]", ...]


class Turn(enum.Enum):
    """How a deployment's verdict turns."""

    NEWLY_PERMITTED = "newly_permitted"
    NEWLY_REFUSED = "newly_refused"
    OTHER_REASONS = "other_reasons"


@dataclass(frozen=True, slots=True)
class Turned:
    """A deployment on a route that gets another answer, or the same one for other reasons.

    Attributes:
        before: every verdict that refused; empty where it was permitted.
        after: every verdict that refuses now; empty where it is permitted.
        tags: examples of the tags under which this happens; an empty one is a request without tags.
    """

    route: str
    deployment: str
    before: tuple[Verdict, ...]
    after: tuple[Verdict, ...]
    tags: Tags = ()

    @property
    def turn(self) -> Turn:
        """How it turns."""
        if self.before and self.after:
            return Turn.OTHER_REASONS
        return Turn.NEWLY_REFUSED if self.after else Turn.NEWLY_PERMITTED


@dataclass(frozen=True, slots=True)
class Limits:
    """What single requests must keep to at a deployment, by all enforced layers together.

    Attributes:
        ceiling_nano_usd: the lowest `request.cost_usd`; None is none.
        basis: the highest `request.bound`.
    """

    ceiling_nano_usd: int | None = None
    basis: BoundBasis = BoundBasis.WINDOW

    def is_looser_than(self, other: Limits) -> bool:
        """Whether some request keeps to these and not to the others."""
        if self.basis < other.basis:
            return True
        if other.ceiling_nano_usd is None:
            return False
        return self.ceiling_nano_usd is None or self.ceiling_nano_usd > other.ceiling_nano_usd


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Other limits for requests at a deployment that both sides permit."""

    route: str
    deployment: str
    before: Limits
    after: Limits
    tags: Tags = ()


@dataclass(frozen=True, slots=True)
class DutyChange:
    """Other obligations at a deployment that both sides permit."""

    route: str
    deployment: str
    added: tuple[Obligation, ...]
    removed: tuple[Obligation, ...]


@dataclass(frozen=True, slots=True)
class AssertionChange:
    """Something else is asserted of routes.

    Attributes:
        before: what enforced policies asserted, each with the policy's name.
        after: what they assert.
        is_looser: something that was asserted is asserted by nothing any more, or not as much of it.
    """

    routes: tuple[str, ...]
    before: tuple[tuple[str, RuleSpec], ...]
    after: tuple[tuple[str, RuleSpec], ...]
    is_looser: bool


class WaiverTurn(enum.Enum):
    """What became of a waiver."""

    ADDED = "added"
    CHANGED = "changed"
    KEPT = "kept"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class SignedWaiver:
    """A waiver and what became of it.

    Attributes:
        days_left: how many days it holds after today; negative where it is over.
        admits: route and deployment where it turns a refusal today, on the new side.
    """

    waiver: Waiver
    turn: WaiverTurn
    days_left: int
    admits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that two sides answer otherwise.

    Attributes:
        loosenings: rules of the old side that nothing of the new one is proved to replace, for whatever deployments.
        waivers: every waiver of either side, the new side's first.
        wider: what only the new side takes at all, as routes and values of tags, in words.
        cells: how many answers were compared.
        deployments: over how many deployments.
    """

    turned: tuple[Turned, ...]
    limits: tuple[LimitChange, ...]
    duties: tuple[DutyChange, ...]
    assertions: tuple[AssertionChange, ...]
    loosenings: tuple[Loosening, ...]
    waivers: tuple[SignedWaiver, ...] = ()
    wider: tuple[str, ...] = ()
    cells: int = 0
    deployments: int = 0

    def of(self, turn: Turn) -> tuple[Turned, ...]:
        """What turns in one way."""
        return tuple(each for each in self.turned if each.turn is turn)

    @property
    def loosened_limits(self) -> tuple[LimitChange, ...]:
        """Limits to which more requests keep."""
        return tuple(each for each in self.limits if each.after.is_looser_than(each.before))

    @property
    def is_proved(self) -> bool:
        """Whether the new policies permit no more than the old ones by their rules alone, at any deployment."""
        return not self.loosenings and not self.wider and not any(each.is_looser for each in self.assertions)

    @property
    def permits_more(self) -> bool:
        """Whether the new side permits anything that the old one refused, or takes back what its text enforced."""
        return bool(
            self.of(Turn.NEWLY_PERMITTED)
            or self.loosened_limits
            or any(each.is_looser for each in self.assertions)
            or any(each.cause.counts for each in self.loosenings)
        )
