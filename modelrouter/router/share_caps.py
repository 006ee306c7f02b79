"""The share caps of one request: which are asked at which step, and what they said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.shares import ShareMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.decision import Decision
    from modelrouter.core.shares import ShareDemand, ShareRefusal
    from modelrouter.core.steps import Reserve
    from modelrouter.ports import Reservation

__all__ = ["ShareCaps"]


class ShareCaps:
    """See the module.

    Attributes:
        told: deployments that a cap spoke against, in order, and what it said.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, ShareRefusal]] = []

    def seen_in(self, decision: Decision, not_granted: tuple[tuple[str, str], ...]) -> Decision:
        """A decision with what reserving came to."""
        if not (not_granted or self.told):
            return decision
        return replace(decision, not_granted=not_granted, capped=tuple(self.told))

    def asked(self, step: Reserve, demands: Mapping[str, tuple[ShareDemand, ...]]) -> tuple[ShareDemand, ...]:
        """Those that are asked now; once all others have been asked, a soft one asks nothing.

        Args:
            demands: by deployment.
        """
        asked = demands.get(step.hop.deployment, ())
        if step.is_last or step.is_past_soft_caps:
            return tuple(each for each in asked if each.cap.mode is not ShareMode.SOFT)
        return asked

    def without_observed(self, reservation: Reservation, refusal: ShareRefusal) -> Reservation | None:
        """The reservation to ask for instead, where the cap that refused it is only observed; else None."""
        if refusal.demand.cap.mode is not ShareMode.OBSERVED:
            return None
        return replace(reservation, shares=tuple(each for each in reservation.shares if each != refusal.demand))
