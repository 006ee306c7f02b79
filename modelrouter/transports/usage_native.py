"""Usage reports of Anthropic, Google and Bedrock in OpenAI's members, so that one reader serves all wires. Pure.

- Anthropic (Messages, "Prompt caching"): what was read from and written to a cache stands beside `input_tokens`;
  `cache_creation` splits the writes by lifetime; `server_tool_use` counts tools that have a fee; thinking is within
  `output_tokens`, its share in `output_tokens_details`.
- Bedrock (Converse, `TokenUsage`): the same, with `cacheDetails` by `ttl`.
- Google (generateContent, `UsageMetadata`): the cached tokens are within `promptTokenCount`, those of tools beside it;
  thoughts are beside `candidatesTokenCount`, unless `totalTokenCount` says that they are within. `...TokensDetails`
  split text, audio and images; what is left of documents and video is billed as text and images are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["native_usage"]

CACHE_READ: Final = ("cache_read_input_tokens", "cacheReadInputTokens")
CACHE_WRITTEN: Final = ("cache_creation_input_tokens", "cacheWriteInputTokens")
INPUT: Final = ("input_tokens", "inputTokens")
OUTPUT: Final = ("output_tokens", "outputTokens")


def native_usage(report: Mapping[str, JSON], *, searches: int = 0) -> Mapping[str, JSON] | None:
    """A report in OpenAI's members, or None where it counts nothing.

    Args:
        report: as its provider gave it; one that is in OpenAI's members already is given back.
        searches: what the reply says of web searches outside its report.
    """
    if not report or "prompt_tokens" in report:
        return report or None
    return _google(report, searches) if "promptTokenCount" in report else _anthropic(report)


def _anthropic(report: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
    """Anthropic's and Bedrock's."""
    prompt, output = _count(report, *INPUT), _count(report, *OUTPUT)
    if prompt is None or output is None:
        return None
    read, written = _count(report, *CACHE_READ) or 0, _count(report, *CACHE_WRITTEN) or 0
    hour = _written_for_an_hour(report)
    thinking = report.get("output_tokens_details")
    reasoning = _count(thinking, "thinking_tokens", "reasoning_tokens") if isinstance(thinking, Mapping) else None
    found = _openai(
        prompt + read + written,
        output,
        {"cached_tokens": read, "cache_write_tokens": written - hour, "cache_write_1h_tokens": hour},
        {"reasoning_tokens": reasoning or 0},
    )
    tools = report.get("server_tool_use")
    return {**found, "server_tool_use": tools} if isinstance(tools, Mapping) else found


def _written_for_an_hour(report: Mapping[str, JSON]) -> int:
    by_lifetime, details = report.get("cache_creation"), report.get("cacheDetails")
    if isinstance(by_lifetime, Mapping):
        return _count(by_lifetime, "ephemeral_1h_input_tokens") or 0
    if isinstance(details, list):
        parts = [each for each in details if isinstance(each, Mapping) and each.get("ttl") == "1h"]
        return sum(_count(each, "inputTokens") or 0 for each in parts)
    return 0


def _google(report: Mapping[str, JSON], searches: int) -> Mapping[str, JSON]:
    tools = _count(report, "toolUsePromptTokenCount") or 0
    prompt = (_count(report, "promptTokenCount") or 0) + tools
    candidates, thoughts = _count(report, "candidatesTokenCount") or 0, _count(report, "thoughtsTokenCount") or 0
    are_within = _count(report, "totalTokenCount") == prompt + candidates and thoughts <= candidates
    cached = _modalities(report, "cacheTokensDetails")
    sent, used = _modalities(report, "promptTokensDetails"), _modalities(report, "toolUsePromptTokensDetails")
    said = _modalities(report, "candidatesTokensDetails")
    inner: dict[str, JSON] = {
        "cached_tokens": _count(report, "cachedContentTokenCount") or 0,
        "audio_tokens": sent.get("AUDIO", 0) + used.get("AUDIO", 0),
        "image_tokens": sent.get("IMAGE", 0) + used.get("IMAGE", 0),
    }
    if cached:
        inner["cached_tokens_details"] = {
            "audio_tokens": cached.get("AUDIO", 0),
            "image_tokens": cached.get("IMAGE", 0),
        }
    outer: dict[str, JSON] = {
        "reasoning_tokens": thoughts,
        "audio_tokens": said.get("AUDIO", 0),
        "image_tokens": said.get("IMAGE", 0),
    }
    found = _openai(prompt, candidates if are_within else candidates + thoughts, inner, outer)
    return {**found, "server_tool_use": {"web_search_requests": searches}} if searches else found


def _openai(prompt: int, output: int, inner: Mapping[str, JSON], outer: Mapping[str, JSON]) -> dict[str, JSON]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {name: count for name, count in inner.items() if count or name in KEPT},
        "completion_tokens_details": {name: count for name, count in outer.items() if count or name in KEPT},
    }


KEPT: Final = frozenset({"cached_tokens", "cache_write_tokens", "reasoning_tokens"})
"""What a caller may look for even where it is zero."""


def _modalities(report: Mapping[str, JSON], name: str) -> dict[str, int]:
    """Tokens by modality, in Google's words."""
    found: dict[str, int] = {}
    details = report.get(name)
    for each in details if isinstance(details, list) else ():
        if isinstance(each, Mapping):
            modality, count = each.get("modality"), _count(each, "tokenCount")
            if isinstance(modality, str) and count is not None:
                found[modality] = found.get(modality, 0) + count
    return found


def _count(report: Mapping[str, JSON], *names: str) -> int | None:
    return next((value for name in names if type(value := report.get(name)) is int), None)
