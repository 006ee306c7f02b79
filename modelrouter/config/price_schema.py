"""What a configuration may say about prices: the shape of `price` for editors, and the rates of currencies.

`modelrouter.catalog.price_entries` reads a price and names what is wrong in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, Field, Strict, field_validator

from modelrouter.catalog.currency import USD, CurrencyRate
from modelrouter.catalog.price_entries import CHANGE_KEYS, HOURS_KEYS, PRICE_KEYS, TIER_KEYS
from modelrouter.config.fields import Amount, Base, Day, Text, fault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Currency", "RateConfig", "price_schema", "rates_from"]

AMOUNT: Final = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
DAY: Final = {"type": "string", "format": "date"}
FLAG: Final = {"type": "boolean"}


def _shape(keys: frozenset[str], known: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """A closed mapping; a key that `known` does not name holds an amount."""
    found = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: known.get(key, AMOUNT) for key in sorted(keys)},
    }
    return {**found, "required": list(required)} if required else found


def price_schema(source: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a price.

    Args:
        source: that of a source.
    """
    clock = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"}
    tier = _shape(TIER_KEYS, {"above_input_tokens": {"type": "integer", "minimum": 1}}, "above_input_tokens")
    tiers = {"type": "array", "items": tier}
    weekdays = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 7}}
    hours = _shape(HOURS_KEYS, {"start": clock, "end": clock, "weekdays": weekdays, "tiers": tiers}, "start", "end")
    listed = {
        "tiers": tiers,
        "hours": {"type": "array", "items": hours},
        "fees": {"type": "object", "additionalProperties": AMOUNT},
        "source": source,
    }
    change = _shape(CHANGE_KEYS, {**listed, "begins_on": DAY}, "begins_on")
    terms = {
        "free": FLAG,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "marginal": FLAG,
        "billed_at": {"enum": ["start", "end"]},
        "changes": {"type": "array", "items": change},
        "mode": {"enum": ["standard", "batch", "flex", "priority"]},
        "valid_from": DAY,
        "valid_until": DAY,
        "slots": {"type": "integer", "minimum": 1},
        "reported_settles": FLAG,
    }
    return _shape(PRICE_KEYS, {**listed, **terms})


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise fault(f"`{text[:80]}` is no currency: write its three letters, as `EUR`")
    if text == USD:
        raise fault("a dollar is a dollar: write the rates of other currencies only")
    return text


Currency: TypeAlias = Annotated[str, Strict(), AfterValidator(_currency)]


class RateConfig(Base):
    """What one unit of a currency is worth."""

    usd: Amount = Field(description="dollars for one unit")
    checked_on: Day = Field(description="the day of the rate")
    source: Text = Field(description="where the rate comes from")

    @field_validator("usd")
    @classmethod
    def _above_zero(cls, amount: Any) -> Any:  # noqa: ANN401 - already an amount
        if amount == 0:
            raise fault("a rate of zero would make every price nothing: write the dollars for one unit, as `1.08`")
        return amount


def rates_from(written: Mapping[str, RateConfig]) -> dict[str, CurrencyRate]:
    """Rates for the catalog's readers."""
    return {
        currency: CurrencyRate(currency, each.usd, each.checked_on, each.source) for currency, each in written.items()
    }
