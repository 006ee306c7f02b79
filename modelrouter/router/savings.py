"""What a call has saved against the baseline: its price for the same usage, less what was paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelrouter.core.attempts import Resolve
    from modelrouter.core.pricing import PriceList

__all__ = ["Savings"]


@dataclass(slots=True)
class Savings:
    """Of one call; a failed attempt saves nothing and costs what it cost.

    Args:
        price: the baseline's; None where there is none.
    """

    price: PriceList | None
    _sum_nano_usd: int = 0
    _has_answer: bool = False

    @property
    def nano_usd(self) -> int | None:
        """Over all attempts; None where no answer could be compared."""
        return self._sum_nano_usd if self._has_answer else None

    def of(self, step: Resolve) -> int | None:
        """Of one attempt, added to the others; None where it cannot be said."""
        if self.price is None:
            return None
        attempt = step.attempt
        saved = -step.cost_nano_usd
        if attempt.failure is None:
            if attempt.usage is None or attempt.usage.fault is not None:
                return None
            saved += self.price.cost_nano_usd(attempt.usage, attempt.span)
            self._has_answer = True
        self._sum_nano_usd += saved
        return saved
