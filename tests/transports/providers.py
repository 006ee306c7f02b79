"""What providers answer that do not speak chat completions, and a server that plays all of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from modelrouter.transports.credentials import CallableKey
from tests.transports.builders import endpoint_of
from tests.transports.servers import http, sse_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.ports import Endpoint
    from tests.transports.servers import Peer, RawServer, Received

__all__ = ["ANTHROPIC", "BEDROCK", "GEMINI", "PROVIDERS", "SECRET", "anthropic_events", "endpoint_at", "frame", "play"]

SECRET = "sk-test-0123456789"

ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 7,
        "output_tokens": 5,
    },
}

GEMINI: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": 117,
        "cachedContentTokenCount": 100,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 122,
    },
    "modelVersion": "gemini-x",
}

BEDROCK: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 122,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 7,
    },
    "metrics": {"latencyMs": 1},
}

PROVIDERS: Mapping[str, Mapping[str, Any]] = {
    "anthropic": {"name": "claude-x"},
    "gemini": {"name": "gemini-x"},
    "bedrock": {"name": "eu.anthropic.claude-x-v1:0", "extra": {"aws_region_name": "eu-west-1"}},
}
"""Providers that litellm translates for, with what their endpoints need."""


def endpoint_at(server: RawServer, operator: str, **changes: Any) -> Endpoint:
    """An endpoint of a provider at a server of ours."""
    base = server.url.removesuffix("/v1") + ("/v1beta" if operator == "gemini" else "")
    fields = {"lane": "litellm", "provider": operator, "key": CallableKey(lambda: SECRET), **PROVIDERS[operator]}
    return replace(endpoint_of(base, **fields), **changes)


def anthropic_events(*, ends: bool = True) -> bytes:
    """A stream of Anthropic's, with or without its end."""
    head = {**ANTHROPIC, "content": [], "stop_reason": None, "usage": {**ANTHROPIC["usage"], "output_tokens": 1}}
    chunks: list[dict[str, Any]] = [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    ]
    if ends:
        chunks += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ]
    return b"".join(b"event: " + each["type"].encode() + b"\ndata: " + orjson.dumps(each) + b"\n\n" for each in chunks)


def frame(name: str, payload: Mapping[str, Any], *, is_error: bool = False) -> bytes:
    """One message of an AWS event stream."""
    content = orjson.dumps(payload)
    named = {":exception-type" if is_error else ":event-type": name, ":content-type": "application/json"}
    named[":message-type"] = "exception" if is_error else "event"
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in named.items()
    )
    prelude = struct.pack(">II", 12 + len(headers) + len(content) + 4, len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + headers + content
    return whole + struct.pack(">I", zlib.crc32(whole))


def bedrock_frames(*, ends: bool = True) -> bytes:
    """A stream of Bedrock's, with or without its end."""
    frames = [
        frame("messageStart", {"role": "assistant"}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hel"}}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
    ]
    if ends:
        frames += [
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            frame("messageStop", {"stopReason": "end_turn"}),
            frame("metadata", {"usage": BEDROCK["usage"], "metrics": {"latencyMs": 1}}),
        ]
    return b"".join(frames)


def gemini_events(*, ends: bool = True) -> bytes:
    """A stream of Google's, with or without its end."""
    first = {**GEMINI, "candidates": [{"content": {"role": "model", "parts": [{"text": "hel"}]}, "index": 0}]}
    last = {
        **GEMINI,
        "candidates": [{**GEMINI["candidates"][0], "content": {"role": "model", "parts": [{"text": "lo"}]}}],
    }
    return b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in ([first, last] if ends else [first]))


async def play(peer: Peer) -> None:
    """Answer as the provider whose path is asked for; a stream ends with its connection."""
    while not await play_asked(peer, await peer.request()):
        pass


async def play_asked(peer: Peer, asked: Received) -> bool:
    """Answer one request; True if it was a stream, after which the connection is closed."""
    path = asked.line.split()[1]
    streams = {
        "/messages": sse_head() + anthropic_events() if asked.json.get("stream") else b"",
        ":streamGenerateContent": sse_head() + gemini_events(),
        "/converse-stream": sse_head().replace(b"text/event-stream", b"application/vnd.amazon.eventstream")
        + bedrock_frames(),
    }
    stream = next((each for part, each in streams.items() if part in path), b"")
    plain = {"/messages": ANTHROPIC, ":generateContent": GEMINI, "/converse": BEDROCK}
    await peer.send(stream or http(next(each for part, each in plain.items() if part in path)))
    return bool(stream)
