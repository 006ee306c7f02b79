"""One attempt as a lane is asked for it, and a streamed answer that is wanted in one piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Call, Delta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.attempts import Send
    from modelrouter.core.request import Message, Reasoning, Request
    from modelrouter.core.route import Timeouts
    from modelrouter.ports import Endpoint, OpenStream, StreamEnd

__all__ = ["call_for", "rest_of"]

CONNECT_S: Final = 5.0
"""Where nothing says how long a connection may take, as in a `Setup` that was put together by hand."""


def call_for(  # noqa: PLR0917 - what the parts of a call come from
    step: Send,
    endpoint: Endpoint,
    request: Request,
    messages: Sequence[Message],
    reasoning: Reasoning | None,
    times: Timeouts,
) -> Call:
    """The call, within the limits of time of its deployment and route, and within what the deadline leaves.

    Args:
        messages: the request's, as this deployment takes them.
    """
    return Call(
        endpoint=endpoint,
        messages=messages,
        parameters=request.parameters,
        max_output_tokens=step.bound.max_output_tokens,
        reasoning=reasoning,
        timeout_s=step.timeout_s if times.attempt_s is None else min(step.timeout_s, times.attempt_s),
        fresh_connection=step.fresh_connection,
        connect_s=CONNECT_S if times.connect_s is None else times.connect_s,
        first_token_s=times.first_token_s,
        between_chunks_s=times.between_chunks_s,
    )


async def rest_of(opened: OpenStream, call: Call, left_s: float) -> StreamEnd | Failure:
    """Read a stream to its end, or for as long as the attempt has left."""
    try:
        async with asyncio.timeout(left_s):
            piece = await opened.next()
            while isinstance(piece, Delta):
                piece = await opened.next()
            return piece
    except TimeoutError:
        late = f"`{call.endpoint.deployment}`: no whole answer in {call.timeout_s:g} s"
        return Failure(FailureKind.TIMED_OUT, Phase.ANSWERING, late)
