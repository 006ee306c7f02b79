"""A Router over a lane that the test plays, for the faces: plain answers from a fake, streams piece by piece."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from modelrouter import Router
from modelrouter.ports import Delta, StreamEnd
from modelrouter.testing import MemoryLedger, reply
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

    from modelrouter.core.attempts import Failure
    from modelrouter.ports import Answer, Call, LedgerStore, OpenStream, Transport

__all__ = ["ASK", "SOON_S", "WEATHER", "Scripted", "delta", "routed", "two_words"]

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
SOON_S = 10.0
"""Long enough for any step of these tests; reached only when one of them fails."""


def routed(folder: Path, lane: Transport, ledger: LedgerStore | None = None, top: str = "") -> Router:
    """A Router with one deployment on a lane of the test's own."""
    routes = "  chat: {try: [one], output_tokens: {default: 16}}"
    config = write_config(folder, [Served("one", "http://127.0.0.1:9/v1")], routes, top=top)
    return Router.from_config(config, transports={"direct": lane}, ledger=ledger or MemoryLedger())


def delta(content: dict[str, Any], finish_reason: str | None = None) -> Delta:
    """One piece of a stream, as a server sends it; every one reports the usage so far, as some servers do."""
    choice: dict[str, Any] = {"index": 0, "delta": content, "finish_reason": finish_reason}
    body: dict[str, Any] = {
        "id": "chat-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "served",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return Delta(content.get("content") or "", has_content=bool(content), body=body)


class Scripted:
    """A lane with one stream; a `threading.Event` in the script is waited for.

    Attributes:
        handed_out: pieces that have been asked for and given.
        closed: set when the stream is closed.
    """

    def __init__(self, *pieces: Delta | StreamEnd | Failure | threading.Event) -> None:
        self._pieces = deque(pieces)
        self.handed_out = 0
        self.closed = threading.Event()

    async def send(self, call: Call) -> Answer | Failure:
        """Not played."""
        raise AssertionError("a stream was asked for as a plain answer")

    async def open(self, call: Call) -> OpenStream | Failure:
        """The stream is this object itself."""
        return self

    async def next(self) -> Delta | StreamEnd | Failure:
        """The next piece of the script."""
        piece = self._pieces.popleft()
        if isinstance(piece, threading.Event):
            assert await asyncio.to_thread(piece.wait, SOON_S), "nobody took what was there already"
            piece = self._pieces.popleft()
        assert not isinstance(piece, threading.Event)
        self.handed_out += 1
        return piece

    async def close(self) -> None:
        """Remember that the stream was let go."""
        self.closed.set()

    def abandon(self) -> None:
        """Nothing is inherited."""


def two_words(gate: threading.Event | None = None) -> Scripted:
    """A stream of two words and a finish, the second word behind a gate."""
    end = StreamEnd(reply("hello there", input_tokens=3, output_tokens=2, model="served"))
    first, second = delta({"role": "assistant", "content": "hello"}), delta({"content": " there"})
    return Scripted(first, *([gate] if gate else []), second, delta({}, "stop"), end)
