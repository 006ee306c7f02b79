"""What the tests of the litellm lane share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure
from modelrouter.ports import Delta
from modelrouter.transports.litellm import LitellmTransport
from modelrouter.transports.litellm_import import importing
from tests.transports.builders import endpoint_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from modelrouter.ports import Endpoint, OpenStream, StreamEnd
    from tests.transports.servers import Peer, RawServer

__all__ = ["drain", "lane", "replies", "shaped"]


@pytest.fixture
async def lane() -> AsyncIterator[LitellmTransport]:
    """A lane whose import is done; after it is closed nothing of litellm's runs on the loop."""
    await asyncio.wrap_future(importing())
    transport = LitellmTransport()
    yield transport
    await transport.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in tasks if "litellm" in repr(task) or "async_generator" in repr(task)] == []


def shaped(server: RawServer, **changes: Any) -> Endpoint:
    """An OpenAI-compatible endpoint, called through litellm."""
    return endpoint_of(server.url, **{"lane": "litellm", "provider": "openai", **changes})


def replies(*answers: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Answer each request of a connection with the next reply, then close."""

    async def behave(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)

    return behave


async def drain(stream: OpenStream | Failure) -> tuple[str, StreamEnd | Failure]:
    """All the text of a stream, and its end."""
    if isinstance(stream, Failure):
        return "", stream
    text = ""
    while True:
        piece = await stream.next()
        if not isinstance(piece, Delta):
            return text, piece
        text += piece.text
