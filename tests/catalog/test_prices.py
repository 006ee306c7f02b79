"""Prices are read exactly, zero is unknown, and a wrong price says what to write."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from modelrouter.catalog.currency import CurrencyRate, scaled
from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.reading import Place
from modelrouter.core.facts import (
    Ownership,
    Source,
    State,
)
from modelrouter.core.pricing import PriceList, PriceMode, Span, Usage
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import parse

USER = Ownership.USER
SHIPPED = Ownership.SHIPPED
HERE = Place("house.yaml", ("models", "mine"))
PAPER = Source("training log 77", date(2026, 11, 1), ownership=USER)
EUR = CurrencyRate("EUR", Decimal("1.08"), date(2026, 11, 1), "central bank")
SUMMER_US = 1_781_524_800_000_000  # Monday 2026-06-15, 12:00 UTC
HOUR_US = 3_600_000_000


def _price(entry: object, **rates: CurrencyRate) -> PriceList:
    """The price list of an entry."""
    found = price_from(entry, PAPER, USER, HERE, rates).value
    assert found is not None
    return found


def _bare(price: PriceList | None) -> PriceList:
    """A price list without its provenance."""
    assert price is not None
    return replace(price, reference=None)


def _at(moment_us: int) -> Span:
    return Span(moment_us, moment_us)


@pytest.mark.parametrize("amount", ["0.075", Decimal("0.075")])
def test_prices_are_exact_as_text_and_as_decimal(amount: str | Decimal) -> None:
    """0.075 USD for a million tokens is 75 nano-dollars a thousand, whatever way it was written."""
    fact = price_from({"input_usd_per_mtok": amount, "output_usd_per_mtok": 1}, PAPER, USER, HERE)
    assert _bare(fact.value) == PriceList(Decimal("0.075"), Decimal(1))
    assert fact.source == PAPER


def test_a_number_in_yaml_is_as_exact_as_text() -> None:
    """The YAML reader hands on what was written: 0.1 stays a tenth."""
    entry = parse(
        "{input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.30, request_usd: 0.00005, source: x}", "test.yaml"
    ).value
    price = price_from(entry, None, USER, HERE).value
    assert price is not None
    assert price.input_usd_per_mtok == Decimal("0.1")
    assert price.request_usd == Decimal("0.00005")


def test_every_class_of_tokens_has_its_rate() -> None:
    """Cached, written and reasoning tokens are priced apart where the entry says so."""
    entry = {
        "input_usd_per_mtok": "4",
        "output_usd_per_mtok": "20",
        "cached_input_usd_per_mtok": "0.4",
        "cache_write_usd_per_mtok": "5",
        "reasoning_usd_per_mtok": "21",
    }
    price = price_from(entry, PAPER, USER, HERE).value
    assert _bare(price) == PriceList(
        Decimal(4), Decimal(20), Decimal("0.4"), Decimal(21), cache_write_usd_per_mtok=Decimal(5)
    )


def test_zero_is_unknown_unless_declared_free() -> None:
    """Most zeros in price tables mean that nobody filled them in."""
    zero = {"input_usd_per_mtok": "0", "output_usd_per_mtok": "0.00"}
    assert price_from(zero, PAPER, USER, HERE).state is State.UNKNOWN
    free = price_from({**zero, "free": True}, PAPER, USER, HERE)
    assert free.value is not None
    assert free.value.free
    assert free.value.is_zero
    assert price_from({"free": True}, PAPER, USER, HERE).value == free.value


def test_no_price_is_unknown() -> None:
    """Absent, or said to be unknown, or kept secret."""
    assert price_from(None, PAPER, USER, HERE).state is State.UNKNOWN
    assert price_from("unknown", PAPER, USER, HERE).state is State.UNKNOWN
    assert price_from("undisclosed", PAPER, USER, HERE).state is State.UNDISCLOSED


PLAIN = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"input_usd_per_mtok": 0.1, "output_usd_per_mtok": "1"}, "never a float"),
        ({"input_usd_per_mtok": True, "output_usd_per_mtok": "1"}, "not an exact amount"),
        ({"input_usd_per_mtok": "-1", "output_usd_per_mtok": "1"}, "zero or more"),
        ({"input_usd_per_mtok": "NaN", "output_usd_per_mtok": "1"}, "finite"),
        ({"input_usd_per_mtok": "one", "output_usd_per_mtok": "1"}, "`one` is not a number"),
        ({"input_usd_per_mtok": "1"}, "write both"),
        ({"input_usd_per_mtok": "1", "output_usd_per_mtok": "1", "free": True}, "remove one of the two"),
        ({"input_usd": "1", "output_usd_per_mtok": "1"}, "did you mean `input_usd_per_mtok`"),
        ("cheap", "a mapping"),
        ({"input_per_mtok": "1", "output_per_mtok": "2"}, "in USD: write `input_usd_per_mtok`"),
        ({"currency": "EUR", "input_per_mtok": "1", "output_per_mtok": "2"}, "add `rates: {EUR:"),
        ({"currency": "euro", "input_per_mtok": "1", "output_per_mtok": "2"}, "three letters"),
        ({**PLAIN, "tiers": [{"input_usd_per_mtok": "2"}]}, "a whole number"),
        ({**PLAIN, "tiers": [{"above_input_tokens": 9, "output": "2"}]}, "unknown key `output`"),
        ({**PLAIN, "tiers": [{"above_input_tokens": 9}, {"above_input_tokens": 5}]}, "ascending order"),
        ({**PLAIN, "hours": [{"start": "25:00", "end": "04:00"}]}, "`25:00` is no time of day"),
        ({**PLAIN, "hours": [{"start": "01:00", "end": "04:00", "weekdays": [0]}]}, "from 1, Monday, to 7"),
        ({**PLAIN, "hours": {"start": "01:00"}}, "must be a list"),
        ({**PLAIN, "billed_at": "night"}, "write one of start, end"),
        ({**PLAIN, "mode": "turbo"}, "write one of standard, batch, flex, priority"),
        ({**PLAIN, "valid_from": "2027-01-01", "valid_until": "2026-01-01"}, "before `valid_from`"),
        ({**PLAIN, "changes": [{"begins_on": "2027-01-01", "input_usd_per_mtok": "2"}]}, "write both"),
        ({**PLAIN, "fees": {"web_search": 0.01}}, "never a float"),
        ({**PLAIN, "slots": 0}, "one or more"),
    ],
)
def test_a_wrong_price_says_what_to_write(entry: object, words: str) -> None:
    """Each fault of a price has its own sentence."""
    with pytest.raises(CatalogError, match=words):
        price_from(entry, PAPER, USER, HERE)


def test_a_price_without_a_source_is_refused() -> None:
    """A price is a fact like any other."""
    with pytest.raises(CatalogError, match="nobody could check the price"):
        price_from({"input_usd_per_mtok": "1", "output_usd_per_mtok": "1"}, None, USER, HERE)


def test_an_uplift_is_exact_in_every_rate() -> None:
    """1.1 times 0.0375 is 0.04125; what is not priced apart stays so."""
    price = PriceList(Decimal("0.0375"), Decimal("7.5"), Decimal("0.15"), request_usd=Decimal("0.001"))
    dearer = scaled(price, Decimal("1.1"))
    assert dearer == PriceList(Decimal("0.04125"), Decimal("8.25"), Decimal("0.165"), request_usd=Decimal("0.0011"))
    assert dearer.reasoning_usd_per_mtok is None
    assert scaled(price, Decimal(1)) is price


def test_a_price_says_where_it_was_read() -> None:
    """Source and days go into the book with the price, and its digest is that of the same text everywhere."""
    price = _price({**PLAIN, "valid_from": "2026-01-01", "valid_until": "2026-12-31"})
    reference = price.reference
    assert reference is not None
    assert (reference.source, reference.checked_on) == ("training log 77", date(2026, 11, 1))
    assert (reference.valid_from, reference.valid_until) == (date(2026, 1, 1), date(2026, 12, 31))
    assert PriceList.from_text(price.to_text()) == price
    assert price.digest != _price(PLAIN).digest


@pytest.mark.parametrize(
    ("amount", "rate", "expected"),
    [("0.9", "1.08", "0.972"), ("0.333", "0.1391", "0.0463203"), ("1", "1.0000000000001", "1.0000000000001")],
)
def test_another_currency_is_multiplied_exactly(amount: str, rate: str, expected: str) -> None:
    """Published figure times dollars for one unit, every digit kept, with the rate and its day beside it."""
    entry = {"currency": "EUR", "input_per_mtok": amount, "output_per_mtok": amount, "request": "0.001"}
    price = _price(entry, EUR=replace(EUR, usd=Decimal(rate)))
    assert price.input_usd_per_mtok == Decimal(expected)
    assert price.request_usd == Decimal("0.001") * Decimal(rate)
    assert price.reference is not None
    assert (price.reference.currency, price.reference.usd_per_unit) == ("EUR", Decimal(rate))
    assert (price.reference.rate_on, price.reference.rate_source) == (date(2026, 11, 1), "central bank")


def test_everything_in_a_price_is_converted() -> None:
    """Tiers, hours, later prices and fees: no euro is left among the dollars."""
    entry = {
        "currency": "EUR",
        "input_per_mtok": "1",
        "output_per_mtok": "2",
        "tiers": [{"above_input_tokens": 1000, "input_per_mtok": "3"}],
        "hours": [{"start": "01:00", "end": "04:00", "output_per_mtok": "5"}],
        "fees": {"web_search": "0.1"},
        "changes": [{"begins_on": "2027-01-01", "input_per_mtok": "7", "output_per_mtok": "9"}],
    }
    price = _price(entry, EUR=EUR)
    assert price.tiers[0].rates.input_usd_per_mtok == Decimal("3.24")
    assert price.hours[0].rates.output_usd_per_mtok == Decimal("5.4")
    assert price.fees == (("web_search", Decimal("0.108")),)
    (change,) = price.changes
    assert (change.begins_on, change.price.output_usd_per_mtok) == (date(2027, 1, 1), Decimal("9.72"))


def test_hours_and_tiers_are_charged_as_written() -> None:
    """At night half the price, and long prompts cost more by day."""
    entry = {
        **PLAIN,
        "tiers": [{"above_input_tokens": 1000, "input_usd_per_mtok": "10"}],
        "hours": [{"start": "16:30", "end": "00:30", "weekdays": [1, 2, 3, 4, 5], "input_usd_per_mtok": "0.5"}],
    }
    price = _price(entry)
    short, long = Usage(1000, 0), Usage(1001, 0)
    assert price.cost_nano_usd(short, _at(SUMMER_US)) == 1_000_000
    assert price.cost_nano_usd(long, _at(SUMMER_US)) == 10_010_000
    assert price.cost_nano_usd(long, _at(SUMMER_US + 5 * HOUR_US)) == 500_500
    assert price.cost_nano_usd(short, _at(SUMMER_US + 5 * 24 * HOUR_US + 5 * HOUR_US)) == 1_000_000  # a Saturday


def test_marginal_tiers_modes_and_machine_hours_are_read() -> None:
    """Each is one key, and means what the price list calls by the same name."""
    marginal = _price({**PLAIN, "marginal": True, "tiers": [{"above_input_tokens": 10, "input_usd_per_mtok": "4"}]})
    assert marginal.cost_nano_usd(Usage(12, 0)) == 10 * 1000 + 2 * 4000
    assert _price({**PLAIN, "mode": "flex"}).mode is PriceMode.FLEX
    machine = _price({"machine_hour_usd": "3.6", "slots": 4})
    assert not machine.is_zero
    assert machine.cost_nano_usd(Usage(5, 5), Span(0, 4_000_000)) == 1_000_000
