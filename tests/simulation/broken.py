"""What must hold, by name, and the error for what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["INVARIANTS", "BrokenInvariantError"]

INVARIANTS: Final[Mapping[str, str]] = {
    "permission": "no call leaves to a deployment that the policy refuses at that moment",
    "budgets": "settled, uncertain and reserved stay within each limit after every admission",
    "reservation": "every call stands on a reservation that is still open",
    "one end": "every reservation ends exactly once",
    "bill": "what is booked for an attempt is no less than what its operator bills",
    "attempts": "no request is sent more often than its cap",
    "deadline": "nothing is sent after the deadline, and nobody waits for a first content beyond it",
    "ceiling": "what a request spent, and the next bound, stay within its ceiling",
    "retry budget": "no extra attempt begins at a deployment whose retry budget has no room",
    "own failures": "no extra attempt is refused for a retry budget that other deployments' failures used up",
    "pool": "health alone never keeps a request from being tried",
    "content": "nothing is asked of anybody after content was handed out",
    "reasons": "a request that was not answered has a reason for each candidate",
    "replay": "the same inputs give the same order, of all that are permitted",
    "half-open": "no more calls than permits prove a half-open breaker, while there is somebody else",
    "in flight": "no deployment is asked more at once than its limit",
    "per minute": "in no minute more calls or tokens are let in than the limits say",
}
"""By name; the first four are the promises on policy and money, `reasons` and `replay` that every call is explained,
`pool` and `own failures` that nobody is indispensable."""


class BrokenInvariantError(Exception):
    """An invariant that does not hold.

    Attributes:
        name: one of `INVARIANTS`.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {INVARIANTS[name]}; but {why}")
        self.name = name
