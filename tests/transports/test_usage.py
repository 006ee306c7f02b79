"""What each provider reports, as it stands on the wire, in one meaning; shapes are those of their documentation."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from modelrouter.core.usage import Usage, UsageDialect
from modelrouter.ports import Answer
from modelrouter.transports.assembly import Assembly
from modelrouter.transports.litellm_evidence import Evidence
from modelrouter.transports.reply import decode
from modelrouter.transports.usage import usage_of
from tests.transports.builders import completion, endpoint_of

D = UsageDialect

OPENAI_AUDIO: dict[str, Any] = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 256, "audio_tokens": 400},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 250,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
DEEPSEEK: dict[str, Any] = {
    "prompt_tokens": 900,
    "completion_tokens": 200,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 640},
    "completion_tokens_details": {"reasoning_tokens": 150},
    "prompt_cache_hit_tokens": 640,
    "prompt_cache_miss_tokens": 260,
}
XAI: dict[str, Any] = {
    "prompt_tokens": 10120,
    "completion_tokens": 1499,
    "total_tokens": 14428,
    "prompt_tokens_details": {"text_tokens": 10120, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 128},
    "completion_tokens_details": {"reasoning_tokens": 2809, "audio_tokens": 0},
    "num_sources_used": 0,
    "cost_in_usd_ticks": 232856000,
}
OPENROUTER: dict[str, Any] = {
    "prompt_tokens": 194,
    "completion_tokens": 2,
    "total_tokens": 196,
    "cost": 0.95,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": None},
    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
PERPLEXITY: dict[str, Any] = {
    "prompt_tokens": 33,
    "completion_tokens": 7163,
    "total_tokens": 7196,
    "citation_tokens": 19016,
    "num_search_queries": 21,
    "reasoning_tokens": 73997,
    "search_context_size": "low",
    "cost": {"input_tokens_cost": 0.0, "output_tokens_cost": 0.057, "total_cost": 0.422},
}
GEMINI_COMPATIBLE: dict[str, Any] = {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}
MISTRAL: dict[str, Any] = {"prompt_tokens": 801, "completion_tokens": 2, "total_tokens": 803, "num_cached_tokens": 768}
VOXTRAL: dict[str, Any] = {
    "prompt_tokens": 400,
    "completion_tokens": 20,
    "total_tokens": 420,
    "prompt_audio_seconds": 31,
}
GROQ: dict[str, Any] = {
    "queue_time": 0.03,
    "prompt_tokens": 70,
    "prompt_time": 0.002,
    "completion_tokens": 40,
    "completion_time": 0.1,
    "total_tokens": 110,
    "total_time": 0.102,
    "prompt_tokens_details": {"cached_tokens": 32},
    "completion_tokens_details": {"reasoning_tokens": 21},
}
LLAMA_CPP: dict[str, Any] = {
    "completion_tokens": 35,
    "prompt_tokens": 237,
    "total_tokens": 272,
    "prompt_tokens_details": {"cached_tokens": 236},
}
VLLM: dict[str, Any] = {"prompt_tokens": 14, "total_tokens": 34, "completion_tokens": 20, "prompt_tokens_details": None}
MOONSHOT: dict[str, Any] = {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10}
HANDED_THROUGH: dict[str, Any] = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 122,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
}
DEEPINFRA: dict[str, Any] = {
    "prompt_tokens": 15,
    "completion_tokens": 16,
    "total_tokens": 31,
    "estimated_cost": 2.085e-05,
}


@pytest.mark.parametrize(
    ("dialect", "report", "usage"),
    [
        (D.UNSTATED, OPENAI_AUDIO, Usage(1000, 300, 256, audio_input_tokens=400, audio_output_tokens=250)),
        (D.OPENAI, OPENAI_AUDIO, Usage(1000, 300, 256, audio_input_tokens=400, audio_output_tokens=250)),
        (D.UNSTATED, DEEPSEEK, Usage(900, 200, 640, 150)),
        (D.OPENAI, DEEPSEEK, Usage(900, 200, 640, 150)),
        (D.UNSTATED, XAI, Usage(10120, 4308, 128, 2809, reported_nano_usd=23_285_600)),
        (D.XAI, XAI, Usage(10120, 4308, 128, 2809, reported_nano_usd=23_285_600)),
        (D.OPENROUTER, OPENROUTER, Usage(194, 2, cache_write_tokens=100, reported_nano_usd=950_000_000)),
        (D.UNSTATED, OPENROUTER, Usage(194, 2, cache_write_tokens=100)),
        (
            D.PERPLEXITY,
            PERPLEXITY,
            Usage(19049, 81160, 0, 73997, uses=(("web_search", 21),), reported_nano_usd=422_000_000),
        ),
        (D.GEMINI, GEMINI_COMPATIBLE, Usage(20, 603, 0, 405)),
        (D.UNSTATED, GEMINI_COMPATIBLE, Usage(20, 603, 0, 405)),
        (D.UNSTATED, MISTRAL, Usage(801, 2, 768)),
        (D.UNSTATED, VOXTRAL, Usage(400, 20, uses=(("audio_second", 31),))),
        (D.UNSTATED, GROQ, Usage(70, 40, 32, 21)),
        (D.UNSTATED, LLAMA_CPP, Usage(237, 35, 236)),
        (D.UNSTATED, VLLM, Usage(14, 20)),
        (D.UNSTATED, MOONSHOT, Usage(19, 21, 10)),
        (D.UNSTATED, HANDED_THROUGH, Usage(117, 5, 100, 0, 3, 4)),
        (D.CACHE_APART, HANDED_THROUGH, Usage(117, 5, 100, 0, 3, 4)),
        (D.DEEPINFRA, DEEPINFRA, Usage(15, 16, reported_nano_usd=20_850)),
    ],
)
def test_every_wire_in_one_meaning(dialect: UsageDialect, report: dict[str, Any], usage: Usage) -> None:
    """Cached tokens are within the input and reasoning within the output, whatever the provider counts beside."""
    assert usage_of(report, dialect) == usage
    assert usage.fault is None
    answer = decode(endpoint_of(usage_dialect=dialect), 200, {}, orjson.dumps(completion(usage=report)))
    assert isinstance(answer, Answer)
    assert answer.usage == usage


def test_who_pays_the_provider_directly_pays_the_aggregator_too() -> None:
    """OpenRouter's own fee and what the provider behind it takes are two parts of one cost."""
    report = {**OPENROUTER, "is_byok": True, "cost": 0.95, "cost_details": {"upstream_inference_cost": 19}}
    found = usage_of(report, D.OPENROUTER)
    assert found is not None
    assert found.reported_nano_usd == 19_950_000_000


@pytest.mark.parametrize(
    ("cost", "nano_usd"),
    [(0, 0), (1e-10, 1), (0.000123456789, 123_457), (3, 3_000_000_000), ("0.5", None), (True, None), (None, None)],
)
def test_a_reported_cost_is_read_as_written_and_rounded_up(cost: Any, nano_usd: int | None) -> None:
    """The figure on the wire, not the float next to it; no number, no cost."""
    found = usage_of({**OPENROUTER, "cost": cost}, D.OPENROUTER)
    assert found is not None
    assert found.reported_nano_usd == nano_usd


@pytest.mark.parametrize(
    ("total", "details", "usage"),
    [
        (130, {}, Usage(100, 30)),
        (150, {}, Usage(100, 50, 0, 20)),
        (120, {}, Usage(100, 30)),
        (-5, {}, Usage(100, 30)),
        (130, {"reasoning": 30}, Usage(100, 30, 0, 30)),
        (150, {"reasoning": 20}, Usage(100, 50, 0, 20)),
        (151, {"reasoning": 20}, Usage(100, 51, 0, 41)),
        (150, {"cached": 20}, Usage(120, 30, 20)),
        (150, {"cached": 20, "reasoning": 20}, Usage(100, 50, 20, 20)),
        (170, {"cached": 20, "reasoning": 20}, Usage(100, 70, 20, 60)),
    ],
)
def test_a_total_that_contradicts_decides_by_rule(total: int, details: dict[str, int], usage: Usage) -> None:
    """Reasoning beside, cache beside, an unexplained rest as reasoning, and never less than the parts."""
    report: dict[str, Any] = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": details.get("cached", 0)},
        "completion_tokens_details": {"reasoning_tokens": details.get("reasoning", 0)},
    }
    assert usage_of(report) == usage


@pytest.mark.parametrize(
    ("details", "audio_cached", "image_cached"),
    [
        ({"cached_tokens": 500, "audio_tokens": 500}, 0, 0),
        ({"cached_tokens": 600, "audio_tokens": 500}, 100, 0),
        ({"cached_tokens": 1000, "audio_tokens": 500, "image_tokens": 200}, 500, 200),
        ({"cached_tokens": 500, "audio_tokens": 300, "image_tokens": 400}, 200, 0),
        ({"cached_tokens": 500, "audio_tokens": 300, "cached_tokens_details": {"audio_tokens": 250}}, 250, 0),
        (
            {"cached_tokens": 500, "image_tokens": 300, "cached_tokens_details": {"image_tokens": 250}},
            0,
            250,
        ),
    ],
)
def test_how_much_audio_was_cached(details: dict[str, Any], audio_cached: int, image_cached: int) -> None:
    """As reported, else the least that makes the sum true, of audio first; of images likewise."""
    found = usage_of({"prompt_tokens": 1000, "completion_tokens": 1, "prompt_tokens_details": details})
    assert found is not None
    assert (found.cached_audio_tokens, found.cached_image_tokens) == (audio_cached, image_cached)
    assert found.fault is None


@pytest.mark.parametrize(
    "report",
    [
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"audio_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 2**60},
        {"prompt_tokens": 2**60, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -5},
        {"prompt_tokens": 5, "completion_tokens": 5, "cost_in_usd_ticks": -70},
        {"prompt_tokens": 5, "completion_tokens": 5, "num_search_queries": -1},
        {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "cache_creation_input_tokens": 2,
            "cache_creation": {"ephemeral_1h_input_tokens": 3},
        },
    ],
)
def test_a_report_that_cannot_be_true_reaches_the_core(report: dict[str, Any]) -> None:
    """It is not mended on the way: the attempt is booked at its bound."""
    found = usage_of(report)
    assert found is not None
    assert found.fault is not None


ANTHROPIC: dict[str, Any] = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 30},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0, "code_execution_requests": 1},
    "service_tier": "standard",
}
BEDROCK: dict[str, Any] = {
    "inputTokens": 10,
    "outputTokens": 50,
    "totalTokens": 167,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 4}, {"ttl": "5m", "inputTokens": 3}],
}
GOOGLE: dict[str, Any] = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 198,
    "thoughtsTokenCount": 405,
    "toolUsePromptTokenCount": 30,
    "cachedContentTokenCount": 600,
    "totalTokenCount": 1633,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 200},
        {"modality": "AUDIO", "tokenCount": 500},
        {"modality": "IMAGE", "tokenCount": 300},
    ],
    "cacheTokensDetails": [
        {"modality": "TEXT", "tokenCount": 100},
        {"modality": "AUDIO", "tokenCount": 450},
        {"modality": "IMAGE", "tokenCount": 50},
    ],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 150}, {"modality": "TEXT", "tokenCount": 48}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
}
TOOLS = (("code_execution", 1), ("web_search", 2))
GOOGLE_USAGE = Usage(1030, 603, 600, 405, 0, 0, 500, 450, 300, 0, 150, (("web_search", 2),), cached_image_tokens=50)


@pytest.mark.parametrize(
    ("reply", "usage"),
    [
        ({"model": "claude-x", "usage": ANTHROPIC}, Usage(117, 50, 100, 30, 3, 4, uses=TOOLS)),
        ({"output": {}, "usage": BEDROCK}, Usage(117, 50, 100, 0, 3, 4)),
        (
            {
                "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}, "finishReason": "STOP"}],
                "usageMetadata": GOOGLE,
            },
            GOOGLE_USAGE,
        ),
        (
            {
                "candidates": [],
                "usageMetadata": {"promptTokenCount": 9, "thoughtsTokenCount": 4, "totalTokenCount": 13},
            },
            Usage(9, 4, 0, 4),
        ),
        (
            {
                "candidates": [],
                "usageMetadata": {
                    "promptTokenCount": 9,
                    "candidatesTokenCount": 40,
                    "thoughtsTokenCount": 30,
                    "totalTokenCount": 49,
                },
            },
            Usage(9, 40, 0, 30),
        ),
    ],
)
def test_reports_behind_litellm(reply: dict[str, Any], usage: Usage) -> None:
    """Anthropic, Bedrock and Google count in words of their own, which are read from the wire itself."""
    evidence = Evidence(64)
    evidence.take_bytes(orjson.dumps(reply))
    assert usage_of(dict(evidence.usage or {})) == usage
    assert usage.fault is None


def test_the_last_choice_of_a_stream_may_hold_the_report() -> None:
    """Moonshot gives its usage within the last choice."""
    assembly = Assembly(endpoint_of())
    assembly.take_chunk({"model": "tiny", "choices": [{"index": 0, "delta": {"content": "hi"}}]})
    last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": MOONSHOT}
    assembly.take_chunk({"model": "tiny", "choices": [last]})
    assert assembly.usage == Usage(19, 21, 10)
