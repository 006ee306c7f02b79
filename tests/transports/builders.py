"""Endpoints, calls and chunks as the tests of the lanes want them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from modelrouter.ports import Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.request import JSON

__all__ = ["MESSAGES", "call_to", "chunk", "completion", "endpoint_of", "events"]

MESSAGES: tuple[Mapping[str, JSON], ...] = ({"role": "user", "content": "Say hello."},)


def endpoint_of(base_url: str = "http://127.0.0.1:1/v1", **changes: Any) -> Endpoint:
    """An endpoint on this machine without a key."""
    fields: dict[str, Any] = {
        "deployment": "local",
        "lane": "direct",
        "base_url": base_url,
        "hosts": frozenset({"127.0.0.1", "localhost"}),
        "name": "tiny",
    }
    return Endpoint(**{**fields, **changes})


def call_to(endpoint: Endpoint, **changes: Any) -> Call:
    """A call that says hello."""
    fields: dict[str, Any] = {
        "messages": MESSAGES,
        "parameters": {},
        "max_output_tokens": 50,
        "reasoning": None,
        "timeout_s": 10.0,
    }
    return Call(endpoint, **{**fields, **changes})


def completion(text: str | None = "hello", finish_reason: str | None = "stop", **changes: Any) -> dict[str, Any]:
    """A reply of a chat-completions server."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "model": "tiny",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason},
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        **changes,
    }


def chunk(delta: Mapping[str, Any] | None = None, finish_reason: str | None = None, **changes: Any) -> dict[str, Any]:
    """A chunk of a stream with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "tiny", "choices": [choice], **changes}


def events(*chunks: Mapping[str, Any] | bytes, done: bool = True) -> bytes:
    """Chunks as server-sent events, with `[DONE]` at the end."""
    lines = [each if isinstance(each, bytes) else orjson.dumps(each) for each in chunks]
    return b"".join(b"data: " + line + b"\n\n" for line in [*lines, *([b"[DONE]"] if done else [])])
