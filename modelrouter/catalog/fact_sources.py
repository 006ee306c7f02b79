"""What the public price sources say beside prices: windows, capabilities, last days, and which models there are.

Only the maintainer's command `python -m modelrouter.catalog.refresh_facts` comes here. The sources are data; nothing is
matched by likeness of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelrouter.catalog.price_sources import GenaiPrices, LitellmMap, ModelPrices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.catalog.price_sources import PriceSource

__all__ = ["FactSource", "GenaiFacts", "LitellmFacts", "ModelPricesFacts", "Said", "fact_sources"]

LITELLM_CAPABILITIES: Final = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_reasoning": "reasoning",
    "supports_audio_input": "audio_input",
    "supports_pdf_input": "files",
}
LITELLM_CHAT: Final = frozenset({"chat", "responses"})


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says of one of its entries; None and the empty set where it says nothing."""

    context_tokens: int | None = None
    retires_on: date | None = None
    capabilities: frozenset[str] = frozenset()
    url: str = ""


class FactSource(Protocol):
    """One source of facts; `name` and `version` are those of its package."""

    name: str
    version: str

    def said(self, ref: str) -> Said | None:
        """What it says of one of its own ids; None where it does not have it."""
        ...

    def shelf(self, ref: str) -> str:
        """Where an id stands among the others: its provider there."""
        ...

    def ids(self) -> Iterator[str]:
        """Its ids of models that answer in chats."""
        ...


class LitellmFacts:
    """litellm's map: limits, flags of capabilities and days of deprecation."""

    name = "litellm"

    def __init__(self, entries: Mapping[str, Any], version: str) -> None:
        self.entries = entries
        self.version = version

    def said(self, ref: str) -> Said | None:
        """An entry of the map."""
        entry = self.entries.get(ref)
        if not isinstance(entry, dict):
            return None
        window = entry.get("max_input_tokens")
        return Said(
            int(window) if window else None,
            _day(entry.get("deprecation_date")),
            frozenset(word for key, word in LITELLM_CAPABILITIES.items() if entry.get(key) is True),
            str(entry.get("source", "")),
        )

    def shelf(self, ref: str) -> str:
        """What it calls `litellm_provider`."""
        return str(self.entries.get(ref, {}).get("litellm_provider", ""))

    def ids(self) -> Iterator[str]:
        """Entries of modes that answer in chats."""
        for ref, entry in self.entries.items():
            if isinstance(entry, dict) and entry.get("mode") in LITELLM_CHAT:
                yield ref


class GenaiFacts:
    """genai-prices: windows."""

    name = "genai-prices"

    def __init__(self, models: Mapping[str, Any], version: str) -> None:
        self.models = models
        self.version = version

    def said(self, ref: str) -> Said | None:
        """A model of a provider."""
        if ref not in self.models:
            return None
        provider, model = self.models[ref]
        return Said(context_tokens=model.context_window, url=(provider.pricing_urls or [""])[0])

    def shelf(self, ref: str) -> str:
        """The provider."""
        return ref.partition("/")[0]

    def ids(self) -> Iterator[str]:
        """All of them."""
        yield from self.models


class ModelPricesFacts:
    """model-prices: which models there are."""

    name = "model-prices"

    def __init__(self, prices: Mapping[str, Mapping[str, Any]], version: str) -> None:
        self.prices = prices
        self.version = version

    def said(self, ref: str) -> Said | None:
        """That it has it; it says nothing but prices."""
        provider, _, model = ref.partition("/")
        return Said() if model in self.prices.get(provider, {}) else None

    def shelf(self, ref: str) -> str:
        """The provider."""
        return ref.partition("/")[0]

    def ids(self) -> Iterator[str]:
        """All of them."""
        for provider, models in self.prices.items():
            for model in models:
                yield f"{provider}/{model}"


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None  # absent, or words


def fact_sources(installed: tuple[PriceSource, ...]) -> list[FactSource]:
    """The sources of facts among those of prices."""
    found: list[FactSource] = []
    for source in installed:
        if isinstance(source, LitellmMap):
            found.append(LitellmFacts(source.entries, source.version))
        elif isinstance(source, GenaiPrices):
            found.append(GenaiFacts(source.models, source.version))
        elif isinstance(source, ModelPrices):
            found.append(ModelPricesFacts(source.prices, source.version))
    return found
