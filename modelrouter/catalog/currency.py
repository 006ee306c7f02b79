"""Prices in other currencies: a dated rate that a person gave, and exact multiplication by it.

No rate is shipped and none is fetched: a price whose currency has no rate is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.pricing import PriceChange, Rates, Tier
from modelrouter.core.tariff import EXACT, RATE_NAMES, exact_product

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from decimal import Decimal

    from modelrouter.core.pricing import Alternative, PriceList

__all__ = ["NO_RATES", "USD", "CurrencyRate", "missing_rate", "scaled"]

USD: Final = "USD"


@dataclass(frozen=True, slots=True)
class CurrencyRate:
    """What one unit of a currency is worth.

    Attributes:
        currency: ISO 4217, as `EUR`.
        usd: dollars for one unit, above zero.
        checked_on: the day of the rate.
        source: where it comes from.
    """

    currency: str
    usd: Decimal
    checked_on: date
    source: str


NO_RATES: Final[Mapping[str, CurrencyRate]] = {}


def missing_rate(currency: str) -> str:
    """What a person adds for a price in a currency without a rate."""
    return (
        f"its price is in {currency}: add `rates: {{{currency}: {{usd: …, checked_on: …, source: …}}}}` with the "
        "dollars for one unit at the top of the configuration"
    )


def scaled(price: PriceList, factor: Decimal) -> PriceList:
    """Every amount of a price list times a factor, with all digits: another currency, or a dearer region."""
    if factor == 1:
        return price

    def of_one(amount: Decimal) -> Decimal:
        return exact_product(amount, factor).normalize(EXACT)

    def times(amount: Decimal | None) -> Decimal | None:
        return None if amount is None else of_one(amount)

    def rates(of: Rates) -> Rates:
        return Rates(**{each.name: times(getattr(of, each.name)) for each in fields(of)})

    def tiers(of: tuple[Tier, ...]) -> tuple[Tier, ...]:
        return tuple(Tier(each.above_input_tokens, rates(each.rates)) for each in of)

    def alternative(of: Alternative) -> Alternative:
        return replace(of, amounts=tuple((name, of_one(amount)) for name, amount in of.amounts))

    reference = price.reference
    if reference is not None:
        reference = replace(reference, alternatives=tuple(alternative(each) for each in reference.alternatives))
    amounts: dict[str, Any] = {
        name: times(getattr(price, name)) for name in (*RATE_NAMES, "request_usd", "machine_hour_usd")
    }
    return replace(
        price,
        **amounts,
        tiers=tiers(price.tiers),
        hours=tuple(replace(each, rates=rates(each.rates), tiers=tiers(each.tiers)) for each in price.hours),
        changes=tuple(PriceChange(each.begins_on, scaled(each.price, factor)) for each in price.changes),
        fees=tuple((name, of_one(amount)) for name, amount in price.fees),
        reference=reference,
    )
