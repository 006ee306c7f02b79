"""How long is really waited: tenacity's wait objects, so that those who wait do not come back together.

Where a wait ends - after how many attempts, at which deadline - is not asked of tenacity's stop objects: those limits
hold over all hops of a request, and the pure loop keeps them, so that a simulation without any driver keeps them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tenacity.wait import wait_base

__all__ = ["JITTER_MOST", "shortened", "with_jitter"]

JITTER_MOST: Final = 0.1
"""What is added at most to a wait that somebody asked for, as a share of it."""


def with_jitter(seconds: float) -> float:
    """What a provider asked for, and up to a tenth more: never less."""
    import tenacity

    return _drawn(tenacity.wait_fixed(seconds) + tenacity.wait_random(0, seconds * JITTER_MOST))


def shortened(seconds: float) -> float:
    """A pause of our own choice: somewhere between its half and all of it."""
    import tenacity

    return _drawn(tenacity.wait_random(seconds / 2, seconds))


def _drawn(wait: wait_base) -> float:
    import tenacity

    return wait(tenacity.RetryCallState(retry_object=tenacity.AsyncRetrying(), fn=None, args=(), kwargs={}))
