"""A chat endpoint on loopback that costs its clients' measurements little: one prebuilt answer, one prebuilt stream.

    python benchmarks/_server.py      prints its port, and ends when its stdin is closed

A stream is sent in one write, so that what a client spends on each chunk is not mixed with its wake-ups. Below
`/down/v1` every request is answered 500.
"""

from __future__ import annotations

import asyncio
import json
import sys

MODEL = "qwen3-32b"
CHUNKS = 50
"""Pieces of content in a stream; the finish, the usage and `[DONE]` come on top."""

USAGE = {"prompt_tokens": 120, "completion_tokens": CHUNKS, "total_tokens": 120 + CHUNKS}
TEXT = " word" * CHUNKS
HEAD = {"id": "chatcmpl-benchmark", "created": 1, "model": MODEL}


def _plain() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _down() -> bytes:
    body = json.dumps({"error": {"message": "the server had an error", "type": "server_error"}}).encode()
    head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _stream() -> bytes:
    def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return b"data: %s\n\n" % json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}).encode()

    usage = json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}).encode()
    words = b"".join(event({"content": " word"}) for _ in range(CHUNKS))
    body = b"%s%s%sdata: %s\n\ndata: [DONE]\n\n" % (event({"role": "assistant"}), words, event({}, "stop"), usage)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


class _Answering(asyncio.Protocol):
    """One connection: requests with a `content-length`, one after the other."""

    def __init__(self, plain: bytes, stream: bytes, down: bytes) -> None:
        self._plain, self._stream, self._down = plain, stream, down
        self._heard = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            head = self._heard[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            over = end + 4 + length
            if len(self._heard) < over:
                return
            body, self._heard = self._heard[end + 4 : over], self._heard[over:]
            if self._transport is not None:
                whole = self._stream if json.loads(body).get("stream") else self._plain
                self._transport.write(self._down if head.startswith(b"post /down/") else whole)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    plain, stream, down = _plain(), _stream(), _down()
    server = await loop.create_server(lambda: _Answering(plain, stream, down), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
