"""What the attempt loop asks a driver for, and what a driver may answer; `core.attempts` has the loop itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from modelrouter.core.bounds import Bound
    from modelrouter.core.budget import Refusal
    from modelrouter.core.failure import Billing, Failure
    from modelrouter.core.plan import Attempt, Hop
    from modelrouter.core.pricing import Usage
    from modelrouter.core.shares import ShareRefusal

__all__ = [
    "Answered",
    "Failed",
    "Granted",
    "Lapsed",
    "NotGranted",
    "Opened",
    "Outcome",
    "Overload",
    "Relay",
    "Reserve",
    "Resolve",
    "Resolved",
    "Send",
    "Step",
    "Wait",
    "Waited",
]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask policy and revocations again and commit a reservation of `bound` before anything is sent.

    Attributes:
        wait_s: how long it may wait where a budget is held by reservations of others, or a deployment is full; 0 is
            answered at once.
        is_last: nobody else is left to be asked, so reasons to ask this one later no longer count.
        is_past_soft_caps: all others have been asked before, because of a soft share cap that so counts no more.
    """

    hop: Hop
    bound: Bound
    number: int
    wait_s: float = 0.0
    is_last: bool = False
    is_past_soft_caps: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The reservation is committed."""

    reservation: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Overload:
    """A deployment that should not be asked now: its own limits are reached, or it asked to be left alone.

    Attributes:
        wait_s: how long waiting for it makes sense; infinite is up to the deadline, 0 not at all.
        retry_after_s: when it will probably have room, where that is known.
        turns: how long its line is; of several that are full the shortest is waited in.
    """

    wait_s: float
    retry_after_s: float | None = None
    turns: float = 0.0


@dataclass(frozen=True, slots=True)
class NotGranted:
    """No reservation: refused by policy at this moment, revoked, no money, or no room. The loop moves on.

    Attributes:
        refusal: what the budget said, where it was one.
        overload: where it was the deployment that has no room.
        revoked: it is cut off.
        share: what a cap on its vendor's share said, where it was one. A soft one has the others tried first.
    """

    reason: str
    at_s: float
    refusal: Refusal | None = None
    overload: Overload | None = None
    revoked: bool = False
    share: ShareRefusal | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; `timeout_s` is all the time that the deadline leaves."""

    hop: Hop
    bound: Bound
    reservation: str
    timeout_s: float
    fresh_connection: bool


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Not sent: its lease had lapsed by then, so its money may be somebody else's, or it was no longer permitted."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer. Without a usage report, or with an impossible one, it is booked at the bound."""

    usage: Usage | None
    at_s: float
    length_reached: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """The first content of a stream is here."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer."""

    failure: Failure
    at_s: float


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand the stream's content out until it ends; from here on there is no fallback."""

    hop: Hop
    reservation: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """Resolve a reservation: settled at `cost_nano_usd`, booked as uncertain at it, or released at zero."""

    hop: Hop
    reservation: str
    billing: Billing
    cost_nano_usd: int
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resolution was taken by the ledger."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait, because nobody else is left and the deadline allows it.

    Attributes:
        is_stated: the provider asked for this long, so not less; else it is the longest pause of our own choice.
    """

    seconds: float
    is_stated: bool = True


@dataclass(frozen=True, slots=True)
class Waited:
    """The wait is over."""

    at_s: float


Step: TypeAlias = Reserve | Send | Relay | Resolve | Wait
Outcome: TypeAlias = Granted | NotGranted | Lapsed | Answered | Opened | Failed | Resolved | Waited
