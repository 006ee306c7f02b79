"""Money: exact in, whole nano-dollars inside, every digit out."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.money import NANO_PER_USD, exact_decimal, format_usd, nano_from_usd, usd_from_nano
from tests.strategies import everyday

NANOS = st.integers(-(2**63), 2**63 - 1)
AMOUNTS = st.decimals(0, 10**9, allow_nan=False, allow_infinity=False)


@everyday(500)
@given(AMOUNTS)
def test_a_limit_is_never_made_larger_and_loses_less_than_one_nano_dollar(amount: Decimal) -> None:
    """Dollars become nano-dollars by rounding down, whatever the number of digits."""
    exact = Fraction(amount) * NANO_PER_USD
    assert 0 <= exact - nano_from_usd(amount) < 1
    assert nano_from_usd(str(amount)) == nano_from_usd(amount)


@everyday(500)
@given(NANOS)
def test_nano_dollars_survive_the_way_out_and_back(nano_usd: int) -> None:
    """The Decimal at the edge is the exact amount, and without trailing zeros."""
    usd = usd_from_nano(nano_usd)
    assert Fraction(usd) * NANO_PER_USD == nano_usd
    assert "." not in format(usd, "f") or not format(usd, "f").endswith("0")


@given(NANOS)
def test_the_text_for_readers_is_the_exact_amount_without_an_exponent(nano_usd: int) -> None:
    """What a reader sees can be read back to the last digit."""
    text = format_usd(nano_usd)
    assert "e" not in text.lower()
    assert text.lstrip("-").startswith("$")
    assert Fraction(text.replace("$", "")) * NANO_PER_USD == nano_usd


@given(NANOS, st.integers(1, 5))
def test_the_decimal_context_of_the_host_changes_nothing(nano_usd: int, precision: int) -> None:
    """A host that sets three digits of precision gets the same money as everybody."""
    usual = usd_from_nano(nano_usd), format_usd(nano_usd)
    with decimal.localcontext() as context:
        context.prec = precision
        context.rounding = decimal.ROUND_CEILING
        assert (usd_from_nano(nano_usd), format_usd(nano_usd)) == usual
        assert nano_from_usd("123456.123456789") == 123_456_123_456_789


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "$0"),
        (1, "$0.000000001"),
        (123_000, "$0.000123"),
        (NANO_PER_USD, "$1"),
        (100 * NANO_PER_USD, "$100"),
        (1_500_000_000, "$1.5"),
        (-2_500, "-$0.0000025"),
    ],
)
def test_amounts_read_like_prices(nano_usd: int, text: str) -> None:
    """No exponent, no trailing zeros, and the zeros of a hundred dollars stay."""
    assert format_usd(nano_usd) == text


@pytest.mark.parametrize("value", [0.1, 1.0, float("nan"), True, None, b"1", Fraction(1, 3)])
def test_what_is_not_exact_is_refused(value: object) -> None:
    """A float is not what was written, and a bool is no amount."""
    with pytest.raises(ValueError, match="exact amount"):
        exact_decimal(value)  # type: ignore[arg-type]  # the wrong type is the point


@pytest.mark.parametrize("value", ["-1", "-0.000001", "NaN", "sNaN", "Infinity", "-Infinity", -1, Decimal("-0.5")])
def test_what_is_not_finite_or_below_zero_is_refused(value: str | int | Decimal) -> None:
    """No budget is negative or endless."""
    with pytest.raises(ValueError, match="finite amount"):
        exact_decimal(value)


@pytest.mark.parametrize("value", ["", "a lot", "1 000", "$5", "1.2.3", "0x10"])
def test_what_is_no_number_is_refused_with_its_text(value: str) -> None:
    """The sentence quotes what was written."""
    with pytest.raises(ValueError, match="is not a number") as caught:
        exact_decimal(value)
    assert f"`{value}`" in str(caught.value)


def test_more_than_a_ledger_column_holds_is_refused() -> None:
    """The largest amount still fits a signed 64-bit column; a cent more is refused."""
    assert nano_from_usd("1000000000") < 2**63
    with pytest.raises(ValueError, match="largest amount"):
        nano_from_usd("1000000000.01")
