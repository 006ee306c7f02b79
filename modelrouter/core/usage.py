"""What one attempt used, counted in the classes that providers bill apart. Pure.

The classes nest. `input_tokens` is all input: fresh text and, each apart from the others, what was read from a cache,
what was written into one (by the lifetime that was paid for), audio and images. What meets is counted in both and where
they meet: audio that was read from a cache is in `audio_input_tokens`, in `cached_input_tokens` and in
`cached_audio_tokens`, an image likewise in `cached_image_tokens`. `output_tokens` is all output: text and, each apart
from the others, reasoning, audio and images.

Transports normalise what a provider reports into this meaning; `Usage.fault` finds reports that cannot be true, and
those are charged at the bound, so that a cost is never negative.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["COUNT_MAX", "OUTPUT_IMAGE", "WEB_SEARCH", "Usage", "UsageDialect", "Uses"]

Uses = tuple[tuple[str, int], ...]
"""How often each thing with a fee of its own was used, sorted by name."""

WEB_SEARCH: Final = "web_search"
OUTPUT_IMAGE: Final = "output_image"

COUNT_MAX: Final = 2**53
"""The largest whole number that every JSON reader holds exactly (RFC 8259, section 6). A larger count is no count."""

UNITS: Final = (
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "cached_audio_tokens",
    "image_input_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "cached_image_tokens",
)
"""The counts that have no column of their own in a book."""


class UsageDialect(enum.Enum):
    """How an operator counts in OpenAI's members: a fact of its endpoint, read by `transports.usage`.

    `UNSTATED` lets `total_tokens` decide. `OPENAI` has cached tokens within the prompt and reasoning within the
    completion; so have `OPENROUTER` and `DEEPINFRA`, which report a cost. `XAI` counts reasoning beside the completion,
    `GEMINI` thinking in the total alone, `PERPLEXITY` citations and reasoning beside prompt and completion, and
    `CACHE_APART` what was read from and written to a cache beside the prompt.
    """

    UNSTATED = "unstated"
    OPENAI = "openai"
    XAI = "xai"
    GEMINI = "gemini"
    OPENROUTER = "openrouter"
    PERPLEXITY = "perplexity"
    DEEPINFRA = "deepinfra"
    CACHE_APART = "cache_apart"


@dataclass(frozen=True, slots=True)
class Usage:
    """Counted units of one attempt.

    Attributes:
        cache_write_tokens: written into a cache for five minutes, or for however long its operator keeps it.
        cache_write_1h_tokens: written into a cache for an hour, where that is paid for apart.
        uses: things with a fee: `web_search`, `output_image` and others by name, each once, sorted.
        reported_nano_usd: what the provider says that it cost; None where it says nothing.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    image_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0
    uses: Uses = ()
    reported_nano_usd: int | None = None
    cached_image_tokens: int = 0

    @property
    def fault(self) -> str | None:
        """Why this report cannot be true, or None."""
        counts = (
            self.input_tokens,
            self.output_tokens,
            self.cached_input_tokens,
            self.reasoning_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            self.audio_input_tokens,
            self.cached_audio_tokens,
            self.image_input_tokens,
            self.audio_output_tokens,
            self.image_output_tokens,
            self.cached_image_tokens,
            self.reported_nano_usd or 0,
        )
        if not all(type(each) is int for each in counts):  # from a lane that no checker has seen
            return "a count is no whole number"
        least, most = min(counts), max(counts)
        if self.uses:
            used = [count for _, count in self.uses]
            least, most = min(least, *used), max(most, *used)
        if least < 0:
            return "a count is negative"
        if most > COUNT_MAX:
            return "a count is larger than any provider can mean"
        return self._fault_of_nesting()

    def _fault_of_nesting(self) -> str | None:
        beside = self.cached_input_tokens + self.cache_write_tokens + self.cache_write_1h_tokens
        if beside > self.input_tokens:
            return "more cached than input tokens"
        uncached_audio = self.audio_input_tokens - self.cached_audio_tokens
        uncached_image = self.image_input_tokens - self.cached_image_tokens
        cached_media = self.cached_audio_tokens + self.cached_image_tokens
        if min(uncached_audio, uncached_image) < 0 or cached_media > self.cached_input_tokens:
            return "more cached audio or image than there is of either"
        if beside + uncached_audio + uncached_image > self.input_tokens:
            return "more audio and image than input tokens"
        if self.reasoning_tokens > self.output_tokens:
            return "more reasoning than output tokens"
        if self.reasoning_tokens + self.audio_output_tokens + self.image_output_tokens > self.output_tokens:
            return "more audio and image than output tokens"
        return None

    @property
    def disjoint(self) -> tuple[int, ...]:
        """The tokens of each class alone, in the order of `tariff.TokenClass`: nothing is in two of them."""
        uncached_audio = self.audio_input_tokens - self.cached_audio_tokens
        uncached_image = self.image_input_tokens - self.cached_image_tokens
        written = self.cache_write_tokens + self.cache_write_1h_tokens
        return (
            self.input_tokens - self.cached_input_tokens - written - uncached_audio - uncached_image,
            self.cached_input_tokens - self.cached_audio_tokens - self.cached_image_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            uncached_audio,
            self.cached_audio_tokens,
            uncached_image,
            self.cached_image_tokens,
            self.output_tokens - self.reasoning_tokens - self.audio_output_tokens - self.image_output_tokens,
            self.reasoning_tokens,
            self.audio_output_tokens,
            self.image_output_tokens,
        )

    def units_text(self) -> str | None:
        """The counts that have no column of their own, as JSON by field name; None where all of them are zero."""
        units: dict[str, object] = {name: count for name in UNITS if (count := getattr(self, name))}
        if self.uses:
            units["uses"] = dict(self.uses)
        return json.dumps(units, separators=(",", ":"), sort_keys=True) if units else None

    @classmethod
    def from_columns(
        cls,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_input_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
        units: str | None = None,
        reported_nano_usd: int | None = None,
    ) -> Self:
        """The usage whose columns and `units_text` these are.

        Raises:
            ValueError: `units` is no JSON object of counts by field name.
        """
        rest = json.loads(units) if units else {}
        uses = rest.pop("uses", {}) if isinstance(rest, dict) else None
        if not isinstance(uses, dict) or not rest.keys() <= set(UNITS):
            raise ValueError(f"`{units}` does not count units of a usage")
        if not all(type(count) is int for count in (*uses.values(), *rest.values())):
            raise ValueError(f"`{units}` counts something in other than whole numbers")
        return cls(
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
            cache_write_tokens,
            uses=tuple(sorted(uses.items())),
            reported_nano_usd=reported_nano_usd,
            **rest,
        )
