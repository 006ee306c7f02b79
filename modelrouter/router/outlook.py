"""What budgets would say, without asking for money: where each stands, and whether a candidate's bound has room now.

Nothing is reserved by looking, so the answer may have changed by the time a call comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.budget import Balance, Position, admit, charges, span_us
from modelrouter.router.bookings import stored_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelrouter.config.setup import Setup
    from modelrouter.core.budget import Refusal
    from modelrouter.core.decision import Decision

__all__ = ["Room", "rooms", "standing"]


@dataclass(frozen=True, slots=True)
class Room:
    """One budget that an attempt would fall under.

    Attributes:
        refusal: why its bound has no room now; None where it has.
    """

    position: Position
    refusal: Refusal | None


def standing(setup: Setup, positions: Sequence[Position], now_us: int) -> tuple[Position, ...]:
    """Every budget's positions, in the order of the config; one for all is there before anything is spent."""
    found: list[Position] = []
    for budget in setup.budgets:
        mine = [each for each in positions if each.budget.name == budget.name]
        if not mine and not budget.each:
            mine = [Position(budget, "", Balance(), span_us(budget, now_us)[1])]
        found.extend(mine)
    return tuple(found)


def rooms(  # noqa: PLR0917 - what a decision says, and what the book says
    decision: Decision,
    setup: Setup,
    tags: Mapping[str, str],
    positions: Sequence[Position],
    pseudonym: Callable[[str, str], str],
    now_us: int,
) -> dict[str, tuple[Room, ...]]:
    """For each permitted candidate, the budgets that its first attempt would fall under.

    Args:
        tags: as the caller would give them.
        positions: of the budgets of this config, as `LedgerStore.positions` tells them.
        pseudonym: as `LedgerStore.pseudonym`.
    """
    stored = stored_tags(tags, setup.tags, pseudonym)
    balances = {(each.budget.name, each.scope): each.balance for each in positions}
    policies = tuple(layer.policy.name for layer in decision.layers)
    found: dict[str, tuple[Room, ...]] = {}
    for candidate in decision.permitted:
        spending = setup.spending(decision.route, candidate.deployment, policies, stored)
        found[candidate.deployment] = tuple(
            Room(position, admit(candidate.bound.nano_usd, [position]))
            for budget, scope in charges(setup.budgets, spending)
            for position in [
                Position(budget, scope, balances.get((budget.name, scope), Balance()), span_us(budget, now_us)[1])
            ]
        )
    return found
