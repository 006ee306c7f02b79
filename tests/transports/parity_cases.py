"""Requests, replies, failures and streams on which both lanes must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.core.attempts import FailureKind
from modelrouter.core.request import Reasoning
from tests.transports.builders import chunk, completion, events
from tests.transports.servers import http

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAILURES", "REPLIES", "REQUESTS", "STREAMS", "USAGE", "WRONG"]

K = FailureKind

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Weather of a place.",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}},
                "required": ["place"],
                "additionalProperties": False,
            },
        },
    }
]
SCHEMA = {
    "name": "answer",
    "strict": True,
    "schema": {"type": "object", "properties": {}, "additionalProperties": False},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Bonn"}'}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}

REQUESTS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "plain": ({}, {}),
    "parameters": (
        {},
        {
            "parameters": {
                "temperature": 0.25,
                "top_p": 1,
                "seed": 7,
                "stop": ["\n", "END"],
                "presence_penalty": 0.5,
                "frequency_penalty": -0.5,
                "logit_bias": {"42": -100},
                "user": "u1",
                "service_tier": "flex",
            }
        },
    ),
    "names that litellm keeps for itself": (
        {},
        {"parameters": {"metadata": {"run": "7"}, "store": False, "prompt_cache_key": "k", "safety_identifier": "s"}},
    ),
    "tools": ({}, {"parameters": {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False}}),
    "tool results": (
        {},
        {
            "messages": (
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "name": "ann", "content": "Weather?"},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            ),
            "parameters": {"tools": TOOLS},
        },
    ),
    "response_format": ({}, {"parameters": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}}),
    "json_object": ({}, {"parameters": {"response_format": {"type": "json_object"}}}),
    "picture": ({}, {"messages": ({"role": "user", "content": [{"type": "text", "text": "See"}, PICTURE]},)}),
    "parts of an assistant": (
        {},
        {
            "messages": (
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "text", "text": "b"}], "reasoning_content": "c"},
                {"role": "user", "content": [{"type": "text", "text": "d"}]},
            )
        },
    ),
    "logprobs": ({}, {"parameters": {"logprobs": True, "top_logprobs": 2}}),
    "renamed limit": ({"parameter_names": {"max_tokens": "max_completion_tokens"}}, {}),
    "reasoning": ({"reasoning": {Reasoning.LOW: {"reasoning_effort": "low"}}}, {"reasoning": Reasoning.LOW}),
    "reasoning by template": (
        {"reasoning": {Reasoning.NONE: {"chat_template_kwargs": {"enable_thinking": False}}}},
        {"reasoning": Reasoning.NONE},
    ),
    "deployment's own": (
        {
            "parameters": {"temperature": 0, "top_k": 20},
            "supported_parameters": frozenset({"temperature", "top_k", "min_p"}),
            "pins": {"provider": {"only": ["deepinfra"], "allow_fallbacks": False}},
        },
        {"parameters": {"min_p": 0.05}},
    ),
    "a model's name with slashes": ({"name": "Org/Model-7B-Instruct", "answers_as": frozenset({"tiny"})}, {}),
    "a name that litellm knows": (
        {"name": "gpt-5-pro", "answers_as": frozenset({"tiny"})},
        {"parameters": {"temperature": 0.1}},
    ),
}
"""Changes of the endpoint and of the call."""

USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 31,
    "total_tokens": 151,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 12},
}


REPLIES: Mapping[str, Mapping[str, Any]] = {
    "text": completion("hello", usage=USAGE),
    "length": completion("hel", "length", usage=USAGE),
    "deepseek's cache": completion(
        "hello", usage={"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}
    ),
    "openrouter's cache": completion(
        "hello",
        usage={
            "prompt_tokens": 90,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 40},
        },
    ),
    "xai's reasoning": completion(
        "hello",
        usage={
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "total_tokens": 16,
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    ),
    "tool call": completion(
        None,
        usage=USAGE,
        choices=[
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
                "finish_reason": "tool_calls",
            }
        ],
    ),
    "reasoning": completion(
        usage=USAGE,
        choices=[
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "reasoning_content": "hm"},
                "finish_reason": "stop",
            }
        ],
    ),
}


def error(status: int, **members: Any) -> bytes:
    """An OpenAI-shaped error."""
    return http({"error": {"message": "words of the provider", "type": None, "code": None, **members}}, status)


FAILURES: Mapping[str, tuple[bytes, FailureKind]] = {
    "400": (error(400, type="invalid_request_error"), K.INVALID_REQUEST),
    "401": (error(401, code="invalid_api_key"), K.UNAUTHORIZED),
    "402": (error(402), K.QUOTA_EXHAUSTED),
    "403": (error(403), K.UNAUTHORIZED),
    "404": (error(404, code="model_not_found"), K.MODEL_MISSING),
    "409": (error(409), K.SERVER_ERROR),
    "413": (error(413), K.CONTEXT_TOO_LONG),
    "422": (error(422), K.INVALID_REQUEST),
    "429": (error(429, code="rate_limit_exceeded"), K.RATE_LIMITED),
    "429 quota": (error(429, code="insufficient_quota"), K.QUOTA_EXHAUSTED),
    "500": (error(500), K.SERVER_ERROR),
    "503": (http(b"<html>busy</html>", 503), K.SERVER_ERROR),
    "529": (error(529), K.SERVER_ERROR),
    "307": (http(b"", 307, headers={"Location": "http://127.0.0.1:9/"}), K.UNREACHABLE),
    "context overflow": (error(400, code="context_length_exceeded"), K.CONTEXT_TOO_LONG),
    "context overflow, vllm": (
        http({"object": "error", "message": "This model's maximum context length is 8 tokens", "code": 400}, 400),
        K.CONTEXT_TOO_LONG,
    ),
    "context overflow, llama.cpp": (error(400, type="exceed_context_size_error"), K.CONTEXT_TOO_LONG),
    "content filter": (error(400, code="content_filter"), K.CONTENT_FILTERED),
    "error in a 200": (http({"error": {"code": 429, "message": "words of the provider"}}), K.RATE_LIMITED),
    "no JSON": (http(b"not json"), K.MALFORMED_REPLY),
    "no choice": (http({"id": "c1", "model": "tiny", "choices": []}), K.MALFORMED_REPLY),
    "no HTTP": (b"HELLO THERE\r\n\r\n", K.MALFORMED_REPLY),
}


STREAMS: Mapping[str, tuple[bytes, FailureKind | None]] = {
    "cut after content": (events(chunk({"content": "hel"}), done=False), K.TRUNCATED),
    "cut before content": (b"", K.TRUNCATED),
    "only [DONE]": (events(chunk({"content": "hel"})), K.TRUNCATED),
    "cut in a chunk": (events(chunk({"content": "hel"}), done=False) + b'data: {"id":', K.TRUNCATED),
    "no JSON": (events(chunk({"content": "hel"}), b"{nonsense"), K.MALFORMED_REPLY),
    "error after content": (
        events(chunk({"content": "hel"}), {"error": {"code": 503, "message": "words"}}),
        K.SERVER_ERROR,
    ),
    "error first": (events({"error": {"code": 429, "message": "words"}}), K.RATE_LIMITED),
    "another model": (events(chunk({"content": "hel"}, model="other"), chunk({}, "stop")), K.WRONG_MODEL),
    "given up": (events(chunk({"content": "hel"}), chunk({}, "abort")), K.TRUNCATED),
    "filtered": (events(chunk({"content": ""}), chunk({}, "content_filter")), K.CONTENT_FILTERED),
    "nothing said": (events(chunk({"role": "assistant"}), chunk({}, "length")), K.OUT_OF_TOKENS_EMPTY),
    "whole, no [DONE]": (events(chunk({"content": "hel"}), chunk({}, "stop"), done=False), None),
    "whole, no usage": (events(chunk({"content": "hel"}), chunk({}, "stop")), None),
}


WRONG: Mapping[str, tuple[Mapping[str, Any], FailureKind]] = {
    "another model": (completion(model="other"), K.WRONG_MODEL),
    "nothing said": (completion("", "length"), K.OUT_OF_TOKENS_EMPTY),
    "filtered": (completion("", "content_filter"), K.CONTENT_FILTERED),
    "given up": (completion("hel", "abort"), K.TRUNCATED),
    "declined": (
        completion(
            choices=[
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": None, "refusal": "I cannot."},
                    "finish_reason": "stop",
                }
            ]
        ),
        K.REFUSED,
    ),
}
