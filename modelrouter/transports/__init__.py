"""The lanes that carry one attempt to one deployment. No retry, no fallback, no price and no policy lives here.

`credentials` reads keys. `parameters` knows what may be in a request, `wire` writes one, `reply` reads a complete
answer, `sse` and `assembly` read a stream, `bounded` holds both to a size and a depth; they are pure, as is
`classify`, which turns what a server says into a failure kind. `faults` does the same for what a network does. `pool`
keeps connections for each event loop, `exchange` makes the call with them, and `direct` is the lane in front of it.
`litellm` is the other lane, over the modules named `litellm_*`; it judges replies and streams with the same pure parts.

A lane's own libraries (aiohttp, litellm) load with its first call: neither may cost a start that needs the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelrouter.ports import Transport

__all__ = ["open_lane"]


def open_lane(lane: str) -> Transport:
    """The transport of a lane.

    Args:
        lane: `direct` or `litellm`.

    Raises:
        ValueError: there is no such lane.
    """
    if lane == "direct":
        from modelrouter.transports.direct import DirectTransport

        return DirectTransport()
    if lane == "litellm":
        from modelrouter.transports.litellm import LitellmTransport

        return LitellmTransport()
    raise ValueError(f"no lane `{lane}`: write `direct` or `litellm`")
