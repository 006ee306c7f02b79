"""Money is an integer count of nano-dollars (1e-9 USD); a price is an exact ratio; float is refused.

Rounding happens in one place, `PriceList.cost_nano_usd`, once per attempt, and always **up**: a price of 0.0000333
USD a token is held exactly and only the finished sum is lifted to the next whole nano-dollar, so a book never
understates.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

__all__ = ["NANO_PER_USD", "exact_decimal", "format_usd", "nano_from_usd", "usd_from_nano"]

NANO_PER_USD: Final = 1_000_000_000
MAX_USD: Final = Decimal(1_000_000_000)  # a nano-dollar amount must fit a signed 64-bit column of the ledger


def exact_decimal(value: str | int | Decimal) -> Decimal:
    """Read a non-negative, finite amount exactly.

    Args:
        value: text, whole number or Decimal. A float is refused, because 0.1 is not what was written.

    Raises:
        ValueError: not a number, negative, infinite, or a float or bool.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        message = f"`{value}` is not an exact amount: write it as text, as a whole number or as Decimal, not as float"
        raise ValueError(message)  # noqa: TRY004 - callers catch one class for any text a person wrote
    try:
        amount = Decimal(value)
    except InvalidOperation:
        message = f"`{value}` is not a number: write digits alone, with a point before decimals, as `1234.5`"
        raise ValueError(message) from None
    if not amount.is_finite() or amount < 0:
        message = f"`{value}` must be a finite amount of zero or more"
        raise ValueError(message)
    return amount


def nano_from_usd(value: str | int | Decimal) -> int:
    """Turn a limit in dollars into nano-dollars, rounded **down**: a limit is never made larger by rounding.

    Raises:
        ValueError: as `exact_decimal`, or above 1e9 USD.
    """
    amount = exact_decimal(value)
    if amount > MAX_USD:
        message = f"`{value}` is more than the largest amount, {MAX_USD} USD"
        raise ValueError(message)
    numerator, denominator = amount.as_integer_ratio()
    return numerator * NANO_PER_USD // denominator


def usd_from_nano(nano_usd: int) -> Decimal:
    """Nano-dollars as an exact Decimal of dollars, without trailing zeros."""
    sign, digits, _ = Decimal(nano_usd).as_tuple()
    whole = Decimal((sign, digits, -9))  # built digit by digit: no context, so no rounding whatever the host has set
    text = format(whole, "f")
    return Decimal(text.rstrip("0").rstrip(".")) if "." in text else whole


def format_usd(nano_usd: int) -> str:
    """Nano-dollars for a reader, as `$0.000123`: every digit that is not a trailing zero, never an exponent."""
    text = format(usd_from_nano(abs(nano_usd)), "f")
    return f"{'-' if nano_usd < 0 else ''}${text}"
