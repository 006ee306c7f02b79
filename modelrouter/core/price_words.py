"""A price list in a few words, for decisions and the terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.tariff import PriceMode

if TYPE_CHECKING:
    from modelrouter.core.pricing import PriceList

__all__ = ["price_words"]


def price_words(price: PriceList) -> str:
    """Input and output, as `4/20 USD per Mtok`, with all that can make it another price."""
    if price.free:
        return "free"
    parts = []
    if price.input_usd_per_mtok or price.output_usd_per_mtok or price.machine_hour_usd is None:
        parts.append(f"{price.input_usd_per_mtok:f}/{price.output_usd_per_mtok:f} USD per Mtok")
    if price.machine_hour_usd is not None:
        parts.append(f"{price.machine_hour_usd:f} USD per machine hour")
    if price.mode is not PriceMode.STANDARD:
        parts.append(f"{price.mode.value} tier")
    if price.tiers:
        parts.append(f"more above {price.tiers[0].above_input_tokens} input tokens")
    if price.hours:
        parts.append("other rates at some hours")
    reference = price.reference
    if reference is not None and reference.disputed:
        parts.append(f"disputed: the dearest of {len(reference.alternatives)} sources")
    return ", ".join(parts)
