"""From a provider's usage report to `core.usage.Usage`. Pure.

Most servers report in OpenAI's members: `prompt_tokens` with what came from a cache inside, `completion_tokens` with
reasoning inside. Where an operator counts otherwise, that is a fact of its endpoint, its `UsageDialect`:

- xAI counts reasoning beside `completion_tokens` and says so (docs.x.ai, "Consumption and rate limits": "counted
  separately from completion_tokens, but will be counted in the total_tokens"); with it `prompt_tokens_details` splits
  text, audio and images, and `cost_in_usd_ticks` is what was charged, in 1e-10 USD (docs.x.ai, "Cost Tracking").
- Google's OpenAI-compatible endpoint leaves thinking out of `completion_tokens`; only `total_tokens` has it.
- OpenRouter says in `cost` what it took, in credits of a dollar; where the caller pays the provider directly, that is
  its own fee, and `cost_details.upstream_inference_cost` what the provider takes (openrouter.ai, "Usage Accounting").
- Perplexity counts citations and reasoning beside prompt and completion, each with a price of its own, and searches
  (docs.perplexity.ai, "Pricing"), and has the sum in `cost.total_cost`.
- DeepInfra has its own figure in `estimated_cost`.
- Some gateways in front of Anthropic hand its counts through: what was read from and written to a cache stands beside
  `prompt_tokens`.

Without such a fact `total_tokens` decides, because it is the sum that is billed:

1. It is prompt and completion: both are as reported.
2. It is prompt, completion and reasoning: reasoning stands beside completion.
3. It is prompt, completion and what was read from and written to a cache: these stand beside the prompt.
4. It is more than any of these: what nobody explains is counted as reasoning, the dearest reading.
5. It is less: the parts are believed, which is dearer.

Where audio and cached tokens together are more than the prompt and the report does not say how much audio was cached,
the least overlap that makes it true is taken, which is the dearest. A report that cannot be true is kept as it is, for
`Usage.fault` to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Final

from modelrouter.core.usage import OUTPUT_IMAGE, WEB_SEARCH, Usage, UsageDialect

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["usage_of"]

CACHED: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
"""DeepSeek, Moonshot, Mistral, Databricks: what was read from a cache, where OpenAI's detail is absent."""

COSTS: Final = {
    UsageDialect.OPENROUTER: ("cost",),
    UsageDialect.PERPLEXITY: ("cost", "total_cost"),
    UsageDialect.DEEPINFRA: ("estimated_cost",),
}
"""Where an operator reports what it charged, in USD."""

USES: Final = {
    "num_search_queries": WEB_SEARCH,  # Perplexity
    "num_sources_used": "search_source",  # xAI
    "prompt_audio_seconds": "audio_second",  # Mistral
    "web_search_requests": WEB_SEARCH,  # Anthropic, within `server_tool_use`
    "output_images": OUTPUT_IMAGE,
}
"""What is counted for a fee, by its name in a report."""

PLAIN_MEMBERS: Final = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
TICKS_PER_NANO: Final = 10
WIDE: Final = Context(prec=400)


def usage_of(report: JSON, dialect: UsageDialect = UsageDialect.UNSTATED) -> Usage | None:
    """A report in OpenAI's members as a usage; None where there is none, or no whole numbers in it."""
    if not isinstance(report, dict):
        return None
    prompt, completion = _count(report.get("prompt_tokens")), _count(report.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    is_plain = report.keys() <= PLAIN_MEMBERS
    if is_plain and report.get("total_tokens") == prompt + completion:
        return Usage(prompt, completion)  # nothing else is said, and whatever the dialect, nothing stands beside
    inner, outer = _details(report, "prompt_tokens_details"), _details(report, "completion_tokens_details")
    cached = _first(inner, "cached_tokens")
    if cached is None:
        cached = _first(report, *CACHED) or 0
    reasoning = _first(outer, "reasoning_tokens")
    if reasoning is None:
        reasoning = _first(report, "reasoning_tokens") or 0
    written, written_1h = _written(report, inner)
    prompt, completion, reasoning = _whole(
        report, dialect, (prompt, completion, reasoning), cached + written + written_1h
    )
    if is_plain:
        return Usage(prompt, completion, cached, reasoning, written, written_1h)
    audio, image = _first(inner, "audio_tokens") or 0, _first(inner, "image_tokens") or 0
    audio_cached, image_cached = _overlap(inner, audio, image, cached + written + written_1h + audio + image - prompt)
    return Usage(
        prompt,
        completion,
        cached,
        reasoning,
        written,
        written_1h,
        audio_input_tokens=audio,
        cached_audio_tokens=audio_cached,
        image_input_tokens=image,
        audio_output_tokens=_first(outer, "audio_tokens") or 0,
        image_output_tokens=_first(outer, "image_tokens") or 0,
        uses=_uses(report),
        reported_nano_usd=_reported(report, dialect),
        cached_image_tokens=image_cached,
    )


def _whole(
    report: Mapping[str, JSON], dialect: UsageDialect, counts: tuple[int, int, int], beside: int
) -> tuple[int, int, int]:
    """All input, all output and the reasoning in it."""
    prompt, completion, reasoning = counts
    total = _count(report.get("total_tokens"))
    match dialect:
        case UsageDialect.OPENAI | UsageDialect.OPENROUTER | UsageDialect.DEEPINFRA:
            return counts
        case UsageDialect.XAI:
            return prompt, completion + reasoning, reasoning
        case UsageDialect.PERPLEXITY:
            return prompt + (_first(report, "citation_tokens") or 0), completion + reasoning, reasoning
        case UsageDialect.CACHE_APART:
            return prompt + beside, completion, reasoning
        case UsageDialect.GEMINI if total is None:
            return prompt, completion + reasoning, reasoning
        case UsageDialect.GEMINI | UsageDialect.UNSTATED:
            pass
    if total is None or total <= prompt + completion or min(counts) < 0:
        return counts
    rest = total - prompt - completion
    if rest == beside != reasoning and dialect is UsageDialect.UNSTATED:
        return prompt + beside, completion, reasoning
    return prompt, completion + rest, reasoning if rest == reasoning else reasoning + rest


def _written(report: Mapping[str, JSON], inner: Mapping[str, JSON]) -> tuple[int, int]:
    """Tokens written into a cache, for five minutes and for an hour. Anthropic's members are handed through by some."""
    written = _first(inner, "cache_write_tokens", "cache_creation_tokens")
    own = _first(inner, "cache_write_1h_tokens")
    if own is not None:  # stands beside, as our own reading of other wires has it
        return written or 0, own
    by_lifetime = _details(report, "cache_creation")
    hour = _first(by_lifetime, "ephemeral_1h_input_tokens") or 0
    if written is None:
        written = _first(report, "cache_creation_input_tokens")
    if written is None:
        return _first(by_lifetime, "ephemeral_5m_input_tokens") or 0, hour
    return written - hour, hour


def _overlap(inner: Mapping[str, JSON], audio: int, image: int, least: int) -> tuple[int, int]:
    """How much of audio and of images was read from a cache: as reported, or the least that the sum allows."""
    cached = _details(inner, "cached_tokens_details")
    if cached:
        return _first(cached, "audio_tokens") or 0, _first(cached, "image_tokens") or 0
    of_audio = min(audio, max(least, 0))
    return of_audio, min(image, max(least - of_audio, 0))


def _uses(report: Mapping[str, JSON]) -> tuple[tuple[str, int], ...]:
    """Things with a fee, each once."""
    found: dict[str, int] = {}
    for holder in (report, _details(report, "server_tool_use")):
        for name, value in holder.items():
            use = USES.get(name)
            if use is None and holder is not report:
                use = name.removesuffix("_requests")  # a tool whose fee nobody has stated yet
            count = _count(value)
            if use is not None and count:
                found[use] = found.get(use, 0) + count
    return tuple(sorted(found.items()))


def _reported(report: Mapping[str, JSON], dialect: UsageDialect) -> int | None:
    """What the provider says that it charged, in nano-dollars, rounded up."""
    ticks = _count(report.get("cost_in_usd_ticks"))
    if ticks is not None:
        return -(-ticks // TICKS_PER_NANO)
    path = COSTS.get(dialect)
    if path is None:
        return None
    value: JSON = report
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    usd = _amount(value)
    if usd is not None and report.get("is_byok") is True:
        upstream = _amount(_details(report, "cost_details").get("upstream_inference_cost"))
        usd = WIDE.add(usd, upstream or Decimal(0))
    return None if usd is None else int(usd.scaleb(9, WIDE).to_integral_value(ROUND_CEILING, WIDE))


def _amount(value: JSON) -> Decimal | None:
    """A number of a JSON text as it was written: the shortest text that reads as the same float is what was sent."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    amount = Decimal(repr(value))
    return amount if amount.is_finite() else None


def _count(value: JSON) -> int | None:
    return value if type(value) is int else None


def _details(report: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    details = report.get(name)
    return details if isinstance(details, Mapping) else {}


def _first(report: Mapping[str, JSON], *names: str) -> int | None:
    return next((count for name in names if (count := _count(report.get(name))) is not None), None)
