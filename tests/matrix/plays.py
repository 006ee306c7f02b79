"""What a provider may do on a connection, as small pieces of which the table of faults is made.

A play is told the peer and returns whether the connection may be used for another request. Bodies quote key and prompt
of the request wherever a provider could quote them.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from email.utils import formatdate
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.matrix.server import Peer

__all__ = [
    "CLOSE",
    "DONE",
    "HOLD",
    "INPUT_TOKENS",
    "MODEL",
    "OUTPUT_TOKENS",
    "RESET",
    "Act",
    "Play",
    "answers",
    "bomb",
    "chunk",
    "completion",
    "deep",
    "drips",
    "error",
    "finish",
    "gives",
    "later",
    "role",
    "says",
    "sends",
    "streams",
    "text",
    "then",
    "trickles",
    "usage",
    "waits",
]

Play: TypeAlias = "Callable[[Peer], Awaitable[bool]]"
Act: TypeAlias = "bytes | str | Callable[[Peer], Any]"

MODEL: Final = "smollm2-135m-instruct"
INPUT_TOKENS: Final = 12
OUTPUT_TOKENS: Final = 3
USAGE: Final = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}

CLOSE: Final = "close"
RESET: Final = "reset"
HOLD: Final = "hold"
"""How a play goes on: end the connection, end it with a RST, or say no more until the client goes."""

DONE: Final = b"data: [DONE]\n\n"


# --- plain ------------------------------------------------------------------------------------------------------------


def completion(peer: Peer, **changes: Any) -> dict[str, Any]:
    """A whole answer; `text`, `reason`, `message` and `usage` may be given, and members of the reply."""
    message = {"role": "assistant", "content": changes.pop("text", "one two"), **changes.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("reason", "stop")}
    whole = {
        "id": peer.echo,
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
        "usage": USAGE,
        "system_fingerprint": peer.echo,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def answers(**changes: Any) -> Play:
    """Answer well, but for these changes; None leaves a member out."""
    return says(200, lambda peer: completion(peer, **changes))


def error(peer: Peer, **members: Any) -> dict[str, Any]:
    """An error as providers write it, quoting all that it was sent."""
    return {"error": {"message": f"no: {peer.echo}", "param": peer.echo, "type": "some_error", **members}}


def says(
    status: int,
    body: Callable[[Peer], Any] | None = None,
    *,
    headers: Callable[[Peer], Mapping[str, str]] | Mapping[str, str] | None = None,
    kind: str = "application/json",
    length: int = 0,
    **members: Any,
) -> Play:
    """A whole HTTP reply, after which the connection may be used again.

    Args:
        status: of HTTP.
        body: gives JSON, text or bytes; absent is an error object with `members`.
        headers: more of them.
        kind: its content type.
        length: how much more than the body is announced.
        members: of the error object.
    """

    async def play(peer: Peer) -> bool:
        made = error(peer, **members) if body is None else body(peer)
        content = made if isinstance(made, bytes) else made.encode() if isinstance(made, str) else orjson.dumps(made)
        more = headers(peer) if callable(headers) else headers or {}
        fields = {"Content-Type": kind, "Content-Length": str(len(content) + length), "X-Echo": peer.echo, **more}
        rows = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await peer.send(f"HTTP/1.1 {status} {peer.echo}\r\n{rows}\r\n".encode() + content)
        return not length

    return play


def sends(content: Act, end: str = HOLD) -> Play:
    """Bytes as they are, and then the end."""

    async def play(peer: Peer) -> bool:
        made = content(peer) if callable(content) else content
        await peer.send(made if isinstance(made, bytes) else str(made).encode())
        return await _end(peer, end)

    return play


def waits() -> Play:
    """Say nothing at all."""
    return sends(b"")


def then(first: Play, *rest: Play) -> Play:
    """One play for the first request to this port, and the next ones for those that follow; the last one again."""
    plays = (first, *rest)

    async def play(peer: Peer) -> bool:
        return await plays[min(peer.number, len(plays)) - 1](peer)

    return play


def trickles() -> Play:
    """A plain reply that drips in, byte by byte."""

    async def play(peer: Peer) -> bool:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n")
        while True:
            await peer.send(b" ")
            await asyncio.sleep(0.02)  # that it drips is the fault

    return play


def later(header: str, seconds: float) -> Callable[[Peer], Mapping[str, str]]:
    """A header that names a moment, and the reply's own date beside it."""

    def headers(peer: Peer) -> Mapping[str, str]:
        now = time.time()
        return {"Date": formatdate(now, usegmt=True), header: formatdate(now + seconds, usegmt=True)}

    return headers


def deep(levels: int) -> str:
    """JSON that is nested so deep."""
    return "[" * levels + "]" * levels


def bomb(size_bytes: int) -> bytes:
    """So many blanks, packed."""
    return gzip.compress(b" " * size_bytes, 9)


async def _end(peer: Peer, end: str) -> bool:
    if end == HOLD:
        await peer.gone()
    elif end == RESET:
        peer.reset()
    return False


# --- streamed ---------------------------------------------------------------------------------------------------------


def chunk(delta: Mapping[str, Any] | None = None, reason: str | None = None, **changes: Any) -> Act:
    """A chunk with one choice."""

    def made(peer: Peer) -> bytes:
        choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
        head = {"id": peer.echo, "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        body = {**head, "choices": [choice], "system_fingerprint": peer.echo, **changes}
        return b"data: " + orjson.dumps({name: value for name, value in body.items() if value is not None}) + b"\n\n"

    return made


def role() -> Act:
    """The first chunk of most servers: who speaks, and nothing said."""
    return chunk({"role": "assistant", "content": ""})


def text(content: str = "one ") -> Act:
    """Some text."""
    return chunk({"content": content})


def finish(reason: str = "stop", **delta: Any) -> Act:
    """Why it ended."""
    return chunk(delta, reason)


def usage(**counts: int) -> Act:
    """The report at the end."""
    return chunk(choices=[], usage={**USAGE, **counts})


def gives(members: Callable[[Peer], Any], name: str = "") -> Act:
    """An event with this JSON in it."""

    def made(peer: Peer) -> bytes:
        head = f"event: {name}\n".encode() if name else b""
        return head + b"data: " + orjson.dumps(members(peer)) + b"\n\n"

    return made


def drips(*pieces: bytes) -> Act:
    """Pieces one after the other, a tenth of a second between them."""

    async def act(peer: Peer) -> bytes:
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(0.1)  # that they drip is the fault
        return b""

    return act


def streams(*acts: Act, end: str = HOLD, kind: str = "text/event-stream", **headers: str) -> Play:
    """Begin a stream, perform the acts, and end."""

    async def play(peer: Peer) -> bool:
        rows = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await peer.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nX-Echo: {peer.echo}\r\n{rows}\r\n".encode())
        for act in acts:
            made = act(peer) if callable(act) else act
            if isawaitable(made):
                made = await made
            await peer.send(made if isinstance(made, bytes) else str(made).encode())
        return await _end(peer, end)

    return play
