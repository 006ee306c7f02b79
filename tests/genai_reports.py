"""Reports as providers send them, read and priced by `genai_prices` and by us: where they differ, and who is right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from genai_prices.data import providers

from modelrouter.core.usage import UsageDialect
from modelrouter.transports.usage import usage_of
from modelrouter.transports.usage_native import native_usage
from tests.genai_cases import NOON, models
from tests.price_oracle import up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.genai_cases import Model

__all__ = ["REPORTS", "Read", "Report", "read"]


@dataclass(frozen=True, slots=True)
class Report:
    """One usage report of one provider.

    Attributes:
        flavor: their name for the API that it came from.
        root: the member of the reply that holds it.
        why: why the two differ and who is right; empty where they must agree.
    """

    what: str
    model: str
    flavor: str
    dialect: UsageDialect
    body: Mapping[str, Any]
    root: str = "usage"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """Nano-dollars; theirs is None where they refuse."""

    ours: int
    theirs: int | None
    settled: int


def _openai(prompt: int, completion: int, total: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


REPORTS: Final = (
    Report(
        "OpenAI, cached and reasoning",
        "openai/gpt-5",
        "chat",
        UsageDialect.OPENAI,
        _openai(
            2006,
            300,
            2306,
            prompt_tokens_details={"cached_tokens": 1920, "audio_tokens": 0},
            completion_tokens_details={"reasoning_tokens": 128, "audio_tokens": 0},
        ),
    ),
    Report(
        "OpenAI, audio both ways",
        "openai/gpt-audio",
        "chat",
        UsageDialect.OPENAI,
        _openai(
            1000,
            300,
            1300,
            prompt_tokens_details={"cached_tokens": 0, "audio_tokens": 400},
            completion_tokens_details={"reasoning_tokens": 0, "audio_tokens": 250},
        ),
    ),
    Report(
        "DeepSeek, cache hits",
        "deepseek/deepseek-chat",
        "chat",
        UsageDialect.OPENAI,
        _openai(
            900,
            200,
            1100,
            prompt_tokens_details={"cached_tokens": 640},
            completion_tokens_details={"reasoning_tokens": 150},
            prompt_cache_hit_tokens=640,
            prompt_cache_miss_tokens=260,
        ),
    ),
    Report(
        "DeepSeek, hits in its own members alone",
        "deepseek/deepseek-chat",
        "chat",
        UsageDialect.OPENAI,
        _openai(900, 200, 1100, prompt_cache_hit_tokens=640, prompt_cache_miss_tokens=260),
        why="ours: DeepSeek documents `prompt_cache_hit_tokens`; theirs reads OpenAI's member only and misses the hits",
    ),
    Report(
        "Moonshot, hits beside the prompt's details",
        "moonshotai/kimi-k2.5",
        "chat",
        UsageDialect.OPENAI,
        _openai(1900, 21, 1921, cached_tokens=1000),
        why="ours: Moonshot's `cached_tokens` stands at the top; theirs reads OpenAI's member only and misses the hits",
    ),
    Report(
        "xAI, reasoning beside the completion",
        "x-ai/grok-4-0709",
        "chat",
        UsageDialect.XAI,
        _openai(
            10120,
            1499,
            14428,
            prompt_tokens_details={"text_tokens": 10120, "cached_tokens": 128},
            completion_tokens_details={"reasoning_tokens": 2809},
        ),
    ),
    Report(
        "Google's OpenAI-compatible endpoint, thinking",
        "google/gemini-2.5-flash",
        "chat",
        UsageDialect.GEMINI,
        _openai(20, 198, 623),
        why="ours: the thinking is in the total alone and is billed as output; theirs leaves it out",
    ),
    Report(
        "Google, thoughts, tools and audio",
        "google/gemini-2.5-flash",
        "default",
        UsageDialect.UNSTATED,
        {
            "promptTokenCount": 1000,
            "candidatesTokenCount": 198,
            "thoughtsTokenCount": 405,
            "toolUsePromptTokenCount": 30,
            "cachedContentTokenCount": 600,
            "totalTokenCount": 1633,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 500},
                {"modality": "AUDIO", "tokenCount": 500},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": 150},
                {"modality": "AUDIO", "tokenCount": 450},
            ],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 198}],
        },
        "usageMetadata",
    ),
    Report(
        "Google, thoughts within the candidates",
        "google/gemini-2.5-flash",
        "default",
        UsageDialect.UNSTATED,
        {"promptTokenCount": 9, "candidatesTokenCount": 400, "thoughtsTokenCount": 300, "totalTokenCount": 409},
        "usageMetadata",
        why="ours: the total says that the thoughts are within; theirs adds them a second time",
    ),
    Report(
        "Anthropic, writes of both lifetimes and searches",
        "anthropic/claude-sonnet-4-5",
        "default",
        UsageDialect.UNSTATED,
        {
            "input_tokens": 10,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 7000,
            "cache_creation": {"ephemeral_5m_input_tokens": 3000, "ephemeral_1h_input_tokens": 4000},
            "output_tokens": 50,
            "server_tool_use": {"web_search_requests": 2},
        },
    ),
    Report(
        "Bedrock, cache reads and writes",
        "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "default",
        UsageDialect.UNSTATED,
        {
            "inputTokens": 10,
            "outputTokens": 50,
            "totalTokens": 7160,
            "cacheReadInputTokens": 100,
            "cacheWriteInputTokens": 7000,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 4000}, {"ttl": "5m", "inputTokens": 3000}],
        },
    ),
    Report(
        "Mistral, cached",
        "mistral/mistral-medium-3-5",
        "default",
        UsageDialect.OPENAI,
        _openai(801, 2, 803, prompt_tokens_details={"cached_tokens": 768}),
    ),
    Report(
        "Groq, cached and reasoning",
        "groq/openai/gpt-oss-120b",
        "default",
        UsageDialect.OPENAI,
        _openai(
            70,
            40,
            110,
            queue_time=0.03,
            prompt_tokens_details={"cached_tokens": 32},
            completion_tokens_details={"reasoning_tokens": 21},
        ),
    ),
    Report(
        "OpenRouter, its own figure beside the counts",
        "openrouter/anthropic/claude-sonnet-4.5",
        "chat",
        UsageDialect.OPENROUTER,
        _openai(
            194,
            2,
            196,
            cost=0.95,
            prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 100},
            completion_tokens_details={"reasoning_tokens": 0},
        ),
    ),
    Report(
        "Perplexity, deep research",
        "perplexity/sonar-deep-research",
        "default",
        UsageDialect.PERPLEXITY,
        _openai(33, 7163, 7196, citation_tokens=19016, num_search_queries=21, reasoning_tokens=73997),
    ),
)


def _model(name: str) -> Model:
    return next(each for each in models() if each.name == name)


def read(report: Report) -> Read:
    """The same report through both readers, priced with the same table."""
    model = _model(report.model)
    provider = next(each for each in providers if each.id == model.provider.id)
    found = usage_of(dict(native_usage(report.body) or {}), report.dialect)
    assert found is not None
    assert found.fault is None
    settled = model.price.settle_nano_usd(found)
    ours = model.price.cost_nano_usd(replace(found, reported_nano_usd=None))
    try:
        _, usage = provider.extract_usage({report.root: report.body, "model": "any"}, api_flavor=report.flavor)
        told = model.model.calc_price(usage, provider, genai_request_timestamp=NOON)
    except ValueError:
        return Read(ours, None, settled)
    return Read(ours, up(Fraction(told.total_price) * 10**9), settled)
