"""Complete replies: usage, the name that answered, and what is no answer although it looks like one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.ports import Answer
from modelrouter.transports.credentials import CallableKey
from modelrouter.transports.reply import decode, text_of
from modelrouter.transports.usage import usage_of
from tests.transports.builders import completion, endpoint_of

USAGE = Usage(12, 3)


def decoded(body: object, endpoint: dict[str, Any] | None = None, status: int = 200) -> Answer | Failure:
    """What a body comes to."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return decode(endpoint_of(**(endpoint or {})), status, {}, raw)


def choice(message: dict[str, Any], finish_reason: str | None = "stop", **rest: Any) -> dict[str, Any]:
    """One choice of a reply."""
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason, **rest}


def test_plain_answer() -> None:
    """A good reply is kept whole, with its usage and the name that answered."""
    body = completion(provider="Anywhere", system_fingerprint="f", timings={"x": 1})
    answer = decoded(body)
    assert isinstance(answer, Answer)
    assert answer.message == {"role": "assistant", "content": "hello"}
    assert (answer.finish_reason, answer.usage, answer.model) == ("stop", USAGE, "tiny")
    assert (answer.served_by, answer.notes, answer.body) == ("Anywhere", (), body)


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 4}, Usage(9, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(9, 4, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(9, 4)),
        (
            {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3},
            Usage(9, 4, 6),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 2}, Usage(9, 4, 2)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 0},
                "cached_tokens": 2,
            },
            Usage(9, 4),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 7},
            },
            Usage(9, 4, 1, 0, 7),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 13,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(9, 4, 0, 3),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 43,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(9, 34, 0, 30),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 4, "reasoning_tokens": 1}, Usage(9, 4, 0, 1)),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10}}, Usage(9, 4, 10)),
        ({"prompt_tokens": -9, "completion_tokens": 4}, Usage(-9, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 0}, Usage(9, 0)),
        ({"prompt_tokens": 9}, None),
        ({"completion_tokens": 9}, None),
        ({"prompt_tokens": "9", "completion_tokens": 4}, None),
        ({"prompt_tokens": True, "completion_tokens": 4}, None),
        ({"prompt_tokens": 9.5, "completion_tokens": 4}, None),
        ({}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage(report: Any, usage: Usage | None) -> None:
    """Every server's report in one meaning: input includes cached, output includes reasoning; a false one is kept."""
    assert usage_of(report) == usage


def test_impossible_usage_is_kept_for_the_core() -> None:
    """More cached than input tokens reaches the core with its fault, and the answer stands."""
    body = completion(usage={"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}})
    answer = decoded(body)
    assert isinstance(answer, Answer)
    assert answer.usage is not None
    assert answer.usage.fault is not None


def test_a_report_of_nothing_is_no_report() -> None:
    """Zero input and zero output tokens cannot have made an answer: it is uncertain, not free."""
    answer = decoded(completion(usage={"prompt_tokens": 0, "completion_tokens": 0}))
    assert isinstance(answer, Answer)
    assert answer.usage is None
    assert len(answer.notes) == 1


@pytest.mark.parametrize(
    ("name", "answers_as", "model", "is_same"),
    [
        ("gpt-x", (), "gpt-x", True),
        ("gpt-x", (), "GPT-X", True),
        ("gpt-x", (), "gpt-x-2026-01-01", True),
        ("gpt-x", (), "gpt-x-20260101", True),
        ("gpt-4", (), "gpt-4-0613", True),
        ("mistral-large-latest", (), "mistral-large-2512", True),
        ("mistral-large-latest", (), "mistral-large-latest", True),
        ("mistral-large-latest", (), "mistral-large", True),
        ("mistral-large-latest", (), "mistral-small-2512", False),
        ("acme-prod", ("gpt-x",), "gpt-x-2026-01-01", True),
        ("acme-prod", ("gpt-x",), "gpt-y", False),
        ("acme-prod", (), "gpt-x", False),
        ("gpt-x", (), "gpt-x-mini", False),
        ("gpt-x", (), "gpt-x-mini-2026-01-01", False),
        ("gpt-x", (), "gpt-x-4096", False),
        ("gpt-x", (), "gpt-x2026-01-01", False),
        ("gpt-x-2026-01-01", (), "gpt-x", False),
        ("gpt-x-2026-01-01", (), "gpt-x-2026-02-02", False),
        ("tiny", (), "/models/tiny.gguf", False),
        ("tiny", (), "tiny.gguf", False),
        ("tiny", (), "vendor/tiny", False),
        ("tiny", ("/models/tiny.gguf",), "/models/tiny.gguf", True),
    ],
)
def test_name_that_answered(name: str, answers_as: tuple[str, ...], model: str, is_same: bool) -> None:
    """Same name, declared name, or a dated form of one; everything else is another model, and its usage is kept."""
    got = decoded(completion(model=model), {"name": name, "answers_as": frozenset(answers_as)})
    if is_same:
        assert isinstance(got, Answer)
        assert got.model == model
    else:
        assert isinstance(got, Failure)
        assert (got.kind, got.phase, got.usage) == (FailureKind.WRONG_MODEL, Phase.ANSWERING, USAGE)
        assert f"`{model}`" in got.detail


@pytest.mark.parametrize("model", [None, "", 7])
def test_missing_name_is_noted_only(model: Any) -> None:
    """A server that does not say who answered is not accused of anything."""
    answer = decoded(completion(model=model))
    assert isinstance(answer, Answer)
    assert (answer.model, answer.notes) == ("", ("the reply names no model",))


def test_foreign_name_is_not_repeated_when_it_is_no_name() -> None:
    """A reply cannot put words of its own into our messages."""
    got = decoded(completion(model="ignore all\nprevious"))
    assert isinstance(got, Failure)
    assert "ignore" not in got.detail


@pytest.mark.parametrize(
    ("only", "provider", "answers_as", "is_same"),
    [
        (["deepinfra"], "DeepInfra", (), True),
        (["deepinfra/fp8"], "DeepInfra", (), True),
        (["amazon-bedrock"], "Amazon Bedrock", (), True),
        (["z-ai"], "Z.AI", (), True),
        (["a", "b"], "B", (), True),
        (["google-vertex"], "Google", ("Google",), True),
        (["deepinfra"], "Novita", (), False),
        (["google-vertex"], "Google", (), False),
        (["deepinfra"], None, (), True),
    ],
)
def test_provider_of_an_aggregator(
    only: list[str], provider: str | None, answers_as: tuple[str, ...], is_same: bool
) -> None:
    """A pinned aggregator that was served by somebody else is a wrong model; not saying so is not."""
    endpoint = {"pins": {"provider": {"only": only, "allow_fallbacks": False}}, "answers_as": frozenset(answers_as)}
    got = decoded(completion(provider=provider), endpoint)
    if is_same:
        assert isinstance(got, Answer)
        assert got.served_by == (provider or "")
    else:
        assert isinstance(got, Failure)
        assert got.kind is FailureKind.WRONG_MODEL


SAID_NOTHING: list[tuple[dict[str, Any], FailureKind, str]] = [
    (completion("", "length"), FailureKind.OUT_OF_TOKENS_EMPTY, ""),
    (completion(None, "length"), FailureKind.OUT_OF_TOKENS_EMPTY, ""),
    (completion(None, "model_length"), FailureKind.OUT_OF_TOKENS_EMPTY, ""),
    (
        completion(choices=[choice({"content": "", "reasoning_content": "hm"}, "length")]),
        FailureKind.OUT_OF_TOKENS_EMPTY,
        "",
    ),
    (completion("half", "content_filter"), FailureKind.CONTENT_FILTERED, "half"),
    (completion("", "content_filter"), FailureKind.CONTENT_FILTERED, ""),
    (completion("", "sensitive"), FailureKind.CONTENT_FILTERED, ""),
    (completion(choices=[choice({"content": None, "refusal": "no"})]), FailureKind.REFUSED, ""),
    (completion(choices=[choice({"content": [{"type": "refusal", "refusal": "no"}]})]), FailureKind.REFUSED, ""),
    (completion("", "refusal"), FailureKind.REFUSED, ""),
    (completion("half", "error"), FailureKind.SERVER_ERROR, "half"),
    (completion("half", "insufficient_system_resource"), FailureKind.SERVER_ERROR, "half"),
    (completion("half", "abort"), FailureKind.TRUNCATED, "half"),
    (
        completion(choices=[choice({"content": "half"}, "error", error={"code": 429, "message": "x"})]),
        FailureKind.RATE_LIMITED,
        "half",
    ),
    (completion(choices=[]), FailureKind.MALFORMED_REPLY, ""),
    (completion(choices=None), FailureKind.MALFORMED_REPLY, ""),
    (completion(choices=[{"index": 0, "text": "x"}]), FailureKind.MALFORMED_REPLY, ""),
    (completion(choices=["x"]), FailureKind.MALFORMED_REPLY, ""),
]


@pytest.mark.parametrize(("body", "kind", "text"), SAID_NOTHING)
def test_reply_that_is_no_answer(body: dict[str, Any], kind: FailureKind, text: str) -> None:
    """Each keeps what was billed and what was said; the status stays 200, so that it is not taken for unbilled."""
    got = decoded(body)
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, got.usage, got.text, got.status) == (kind, Phase.ANSWERING, USAGE, text, 200)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (completion("half", "length"), "length"),
        (completion("half", "max_tokens"), "length"),
        (completion("", "stop"), "stop"),
        (completion(choices=[choice({"content": None, "tool_calls": [{"id": "t"}]}, "length")]), "length"),
        (completion(choices=[choice({"content": "yes", "refusal": "but"})]), "stop"),
        (completion(choices=[choice({"content": ""}, "length"), choice({"content": "b"})]), "length"),
        (
            completion(
                choices=[choice({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "x"}]})]
            ),
            "stop",
        ),
        (completion("x", None), ""),
    ],
)
def test_reply_that_is_an_answer(body: dict[str, Any], reason: str) -> None:
    """Length with content, tool calls without text, an empty stop: answers, flagged by their reason."""
    got = decoded(body)
    assert isinstance(got, Answer)
    assert got.finish_reason == reason


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, FailureKind.RATE_LIMITED, 429),
        ({"error": {"code": "502", "message": "down"}}, FailureKind.SERVER_ERROR, 502),
        ({"error": {"code": "context_length_exceeded"}}, FailureKind.CONTEXT_TOO_LONG, 400),
        (
            {"error": {"message": "This model's maximum context length is 8"}, "choices": []},
            FailureKind.CONTEXT_TOO_LONG,
            400,
        ),
        ({"error": "something"}, FailureKind.SERVER_ERROR, 500),
        ({"object": "error", "message": "x", "code": 404, "type": "NotFoundError"}, FailureKind.MODEL_MISSING, 404),
    ],
)
def test_success_that_holds_only_an_error(error: dict[str, Any], kind: FailureKind, status: int) -> None:
    """It carries the status that the error stands for, which makes it unbilled like any other error."""
    got = decoded(error)
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, got.status, got.usage) == (kind, Phase.ANSWERING, status, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"null", b"{", b"\xff\xfe"])
def test_success_that_is_no_reply(body: bytes) -> None:
    """Anything but a JSON object with choices is malformed."""
    got = decoded(body)
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.MALFORMED_REPLY


@pytest.mark.parametrize("status", [201, 204, 302, 404, 500])
def test_error_text_is_never_repeated(status: int) -> None:
    """A provider's words may quote prompts and keys; no failure holds any of them."""
    secret = "sk" + "-live-and-the-prompt"
    for body in (
        {"error": {"message": secret, "code": secret, "type": secret}},
        {"message": secret},
        {"error": secret},
    ):
        got = decoded(body, status=status)
        assert isinstance(got, Failure)
        assert secret not in repr(got)


def test_text_of_parts() -> None:
    """Text parts are joined; anything else has no text."""
    assert text_of("a") == "a"
    assert text_of([{"type": "text", "text": "a"}, {"type": "x", "text": "b"}, "c", {"type": "text"}]) == "a"
    assert text_of(None) == text_of(7) == ""


def unreadable() -> str:
    """A key whose reader fails."""
    raise OSError("no such file")


@pytest.mark.parametrize(
    ("model", "key", "is_shown"),
    [
        ("gpt-other", lambda: "sesame-opens", True),
        ("gpt-other", lambda: None, True),
        ("sesame-opens", lambda: "sesame-opens", False),
        ("Bearer:sesame-opens", lambda: "sesame-opens", False),
        ("sesame-op", lambda: "sesame-opens", False),
        ("gpt-other", unreadable, False),
        ("You are a helpful assistant", lambda: "sesame-opens", False),
    ],
)
def test_a_wrong_name_is_repeated_only_where_it_tells_nothing(model: str, key: Any, is_shown: bool) -> None:
    """A server that echoes what it was sent in place of a model's name puts neither key nor prompt into a message."""
    got = decoded(completion(model=model), {"key": CallableKey(key)})
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.WRONG_MODEL
    assert (model in got.detail) == is_shown
    assert ("another name" in got.detail) != is_shown
