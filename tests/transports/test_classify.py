"""Statuses and error codes of the servers in use, as failure kinds."""

from __future__ import annotations

from typing import Any

import pytest

from modelrouter.core.attempts import FailureKind, Phase
from modelrouter.transports.classify import (
    CODES,
    STATUSES,
    kind_of_error,
    kind_of_status,
    retry_after_s,
    status_failure,
)

K = FailureKind


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_a_kind(status: int) -> None:
    """The mapping is total, and classes of statuses without a meaning of their own stay together."""
    kind = kind_of_status(status)
    assert isinstance(kind, FailureKind)
    if status not in STATUSES:
        assert (
            kind
            is [K.MALFORMED_REPLY, K.MALFORMED_REPLY, K.UNREACHABLE, K.INVALID_REQUEST, K.SERVER_ERROR][
                status // 100 - 1
            ]
        )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, K.UNREACHABLE),
        (307, K.UNREACHABLE),
        (400, K.INVALID_REQUEST),
        (401, K.UNAUTHORIZED),
        (402, K.QUOTA_EXHAUSTED),
        (403, K.UNAUTHORIZED),
        (404, K.MODEL_MISSING),
        (408, K.TIMED_OUT),
        (409, K.SERVER_ERROR),
        (413, K.CONTEXT_TOO_LONG),
        (422, K.INVALID_REQUEST),
        (429, K.RATE_LIMITED),
        (500, K.SERVER_ERROR),
        (501, K.PORTABILITY),
        (502, K.SERVER_ERROR),
        (503, K.SERVER_ERROR),
        (504, K.TIMED_OUT),
        (529, K.SERVER_ERROR),
    ],
)
def test_statuses(status: int, kind: FailureKind) -> None:
    """What each common status means."""
    assert kind_of_status(status) is kind


@pytest.mark.parametrize(
    ("server", "status", "body", "kind"),
    [
        (
            "OpenAI",
            400,
            {"error": {"message": "", "type": "invalid_request_error", "code": "context_length_exceeded"}},
            K.CONTEXT_TOO_LONG,
        ),
        ("OpenAI", 400, {"error": {"type": "invalid_request_error", "code": None, "param": "n"}}, K.INVALID_REQUEST),
        ("OpenAI", 400, {"error": {"type": "invalid_request_error", "code": "unsupported_parameter"}}, K.PORTABILITY),
        ("OpenAI", 429, {"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}, K.QUOTA_EXHAUSTED),
        ("OpenAI", 429, {"error": {"type": "tokens", "code": "rate_limit_exceeded"}}, K.RATE_LIMITED),
        ("OpenAI", 404, {"error": {"type": "invalid_request_error", "code": "model_not_found"}}, K.MODEL_MISSING),
        ("OpenAI", 401, {"error": {"type": "invalid_request_error", "code": "invalid_api_key"}}, K.UNAUTHORIZED),
        (
            "OpenAI",
            403,
            {"error": {"code": "unsupported_country_region_territory", "type": "request_forbidden"}},
            K.UNAUTHORIZED,
        ),
        ("OpenAI", 500, {"error": {"type": "server_error", "code": None}}, K.SERVER_ERROR),
        (
            "Azure",
            400,
            {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            K.CONTENT_FILTERED,
        ),
        (
            "Azure",
            400,
            {"error": {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            K.CONTENT_FILTERED,
        ),
        ("Azure", 404, {"error": {"code": "DeploymentNotFound"}}, K.MODEL_MISSING),
        ("Azure", 429, {"error": {"code": "429"}}, K.RATE_LIMITED),
        (
            "llama.cpp",
            400,
            {"error": {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}},
            K.CONTEXT_TOO_LONG,
        ),
        ("llama.cpp", 503, {"error": {"code": 503, "type": "unavailable_error"}}, K.SERVER_ERROR),
        ("llama.cpp", 501, {"error": {"code": 501, "type": "not_supported_error"}}, K.PORTABILITY),
        (
            "llama.cpp",
            500,
            {"error": {"type": "server_error", "message": "image input is not supported - hint"}},
            K.PORTABILITY,
        ),
        ("llama.cpp", 401, {"error": {"code": 401, "type": "authentication_error"}}, K.UNAUTHORIZED),
        (
            "vLLM",
            400,
            {
                "object": "error",
                "message": "This model's maximum context length is 8192 tokens.",
                "type": "BadRequestError",
                "code": 400,
            },
            K.CONTEXT_TOO_LONG,
        ),
        (
            "vLLM",
            400,
            {
                "error": {
                    "message": "The decoder prompt (length 9) is longer than the maximum model length of 8.",
                    "type": "BadRequestError",
                    "code": 400,
                }
            },
            K.CONTEXT_TOO_LONG,
        ),
        (
            "vLLM",
            404,
            {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}},
            K.MODEL_MISSING,
        ),
        (
            "SGLang",
            400,
            {
                "object": "error",
                "message": "The input (9 tokens) is longer than the model's context length (8 tokens).",
                "type": "BadRequestError",
                "code": 400,
            },
            K.CONTEXT_TOO_LONG,
        ),
        (
            "TGI",
            422,
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8.",
                "error_type": "validation",
            },
            K.CONTEXT_TOO_LONG,
        ),
        ("TGI", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, K.SERVER_ERROR),
        (
            "Ollama",
            404,
            {"error": {"message": "model 'x' not found", "type": "api_error", "code": None}},
            K.MODEL_MISSING,
        ),
        ("OpenRouter", 402, {"error": {"code": 402, "message": "Insufficient credits"}}, K.QUOTA_EXHAUSTED),
        (
            "OpenRouter",
            403,
            {"error": {"code": 403, "metadata": {"reasons": ["x"], "flagged_input": "y"}}},
            K.CONTENT_FILTERED,
        ),
        ("OpenRouter", 403, {"error": {"code": 403, "message": "Key limit exceeded"}}, K.UNAUTHORIZED),
        ("OpenRouter", 503, {"error": {"code": 503}}, K.SERVER_ERROR),
        (
            "DeepSeek",
            402,
            {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}},
            K.QUOTA_EXHAUSTED,
        ),
        ("Groq", 413, {"error": {"type": "tokens", "code": "rate_limit_exceeded"}}, K.RATE_LIMITED),
        (
            "Groq",
            400,
            {"error": {"type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "x"}},
            K.MALFORMED_REPLY,
        ),
        ("Groq", 400, {"error": {"type": "invalid_request_error", "code": "model_decommissioned"}}, K.MODEL_MISSING),
        ("Groq", 498, {"error": {"code": "capacity_exceeded"}}, K.RATE_LIMITED),
        ("Moonshot", 429, {"error": {"type": "exceeded_current_quota_error"}}, K.QUOTA_EXHAUSTED),
        ("Moonshot", 400, {"error": {"type": "content_filter"}}, K.CONTENT_FILTERED),
        ("Moonshot", 429, {"error": {"type": "engine_overloaded_error"}}, K.RATE_LIMITED),
        ("Z.ai", 429, {"error": {"code": "1113", "message": "arrears"}}, K.QUOTA_EXHAUSTED),
        ("Z.ai", 400, {"error": {"code": "1301"}, "contentFilter": [{}]}, K.CONTENT_FILTERED),
        ("Z.ai", 400, {"error": {"code": 1261}}, K.CONTEXT_TOO_LONG),
        ("Mistral", 401, {"detail": "Unauthorized"}, K.UNAUTHORIZED),
        (
            "Mistral",
            422,
            {
                "object": "error",
                "message": {"detail": [{"type": "missing"}]},
                "type": "invalid_request_error",
                "code": None,
            },
            K.INVALID_REQUEST,
        ),
        ("DashScope", 400, {"error": {"code": "data_inspection_failed"}}, K.CONTENT_FILTERED),
        ("a proxy", 502, None, K.SERVER_ERROR),
        ("anybody", 400, [1], K.INVALID_REQUEST),
        ("anybody", 400, {"error": {"code": True, "type": 7.5, "message": 3}}, K.INVALID_REQUEST),
    ],
)
def test_servers(server: str, status: int, body: Any, kind: FailureKind) -> None:
    """Documented errors of each server."""
    assert kind_of_error(status, body) is kind, server


@pytest.mark.parametrize("status", [401, 404, 503])
def test_text_decides_only_where_the_status_is_open(status: int) -> None:
    """A status that says enough is not overruled by words, which anybody may put into a message."""
    assert kind_of_error(status, {"error": {"message": "maximum context length"}}) is kind_of_status(status)


def test_codes_are_lower_case_words() -> None:
    """Codes are compared in lower case, and none of them is a plain status."""
    assert all(code == code.lower() and not (len(code) == 3 and code.isdigit()) for code in CODES)


def test_status_failure() -> None:
    """A failure carries the status, what was asked for as a wait, and words of ours."""
    got = status_failure(429, {"Retry-After": "7"}, {"error": {"message": "key sk-1 did too much"}})
    assert (got.kind, got.phase, got.status, got.retry_after_s) == (K.RATE_LIMITED, Phase.ANSWERING, 429, 7.0)
    assert got.detail == "answered HTTP 429: too many requests"
    moved = status_failure(308, {"Location": "https://elsewhere.example"}, None)
    assert (moved.kind, moved.status) == (K.UNREACHABLE, 308)
    assert "elsewhere" not in moved.detail
    assert "redirect" in moved.detail


DATE = "Sun, 22 Nov 2026 10:00:00 GMT"
LATER = "Sun, 22 Nov 2026 10:00:30 GMT"


@pytest.mark.parametrize(
    ("headers", "now_s", "seconds"),
    [
        ({}, None, None),
        ({"Retry-After": "0"}, None, 0.0),
        ({"Retry-After": " 12 "}, None, 12.0),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, None, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, None, 9.0),
        ({"Retry-After": LATER, "Date": DATE}, None, 30.0),
        ({"Retry-After": DATE, "Date": LATER}, None, 0.0),
        ({"Retry-After": "Sunday, 22-Nov-26 10:00:30 GMT", "Date": DATE}, None, 30.0),
        ({"Retry-After": LATER}, 1_795_341_600.0, 30.0),
        ({"Retry-After": LATER}, None, None),
        ({"Retry-After": LATER, "Date": "yesterday"}, None, None),
        ({"Retry-After": "-5"}, None, None),
        ({"Retry-After": "later"}, None, None),
        ({"Retry-After": "inf"}, None, None),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "١٢"}, None, None),
        ({"Retry-After": "1" * 40}, None, None),
        ({"Retry-After": ""}, None, None),
    ],
)
def test_retry_after(headers: dict[str, str], now_s: float | None, seconds: float | None) -> None:
    """Seconds, milliseconds and dates are read; what cannot be read is no wait."""
    assert retry_after_s(headers, now_s=now_s) == seconds
