"""Prices as people write them, to price lists: exact, in dollars or in a currency with a dated rate.

In dollars the keys say so, as `input_usd_per_mtok`; beside `currency: EUR` they are `input_per_mtok`, `request` and
`machine_hour`, so that no figure stands under the name of another currency.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.currency import NO_RATES, USD, missing_rate, scaled
from modelrouter.catalog.price_sheets import DAY_MINUTES, DAYS, minutes
from modelrouter.catalog.reading import Reading
from modelrouter.core.facts import Fact, State
from modelrouter.core.pricing import (
    BilledAt,
    Hours,
    PriceChange,
    PriceList,
    PriceMode,
    PriceReference,
    Rates,
    Tier,
)
from modelrouter.core.tariff import RATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.catalog.currency import CurrencyRate
    from modelrouter.catalog.reading import Place
    from modelrouter.core.facts import Ownership, Source

__all__ = ["CHANGE_KEYS", "HOURS_KEYS", "PRICE_KEYS", "TIER_KEYS", "key_of", "price_from"]

REQUEST: Final = "request_usd"
MACHINE_HOUR: Final = "machine_hour_usd"
AMOUNTS: Final = (*RATE_NAMES, REQUEST, MACHINE_HOUR)


def key_of(name: str, currency: str = USD) -> str:
    """The key of an amount: the name of a price list's field, without `usd` in another currency."""
    return name if currency == USD else name.replace("_usd", "")


def _both(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset({*names, *(key_of(name, "") for name in names)})


TIER_KEYS: Final = frozenset({"above_input_tokens"}) | _both(RATE_NAMES)
HOURS_KEYS: Final = frozenset({"start", "end", "weekdays", "tiers"}) | _both(RATE_NAMES)
CHANGE_KEYS: Final = frozenset({"begins_on", "tiers", "hours", "fees", "source"}) | _both(AMOUNTS)
PRICE_KEYS: Final = (CHANGE_KEYS - {"begins_on"}) | {
    "free", "currency", "marginal", "billed_at", "changes", "mode", "valid_from", "valid_until", "slots",
    "reported_settles",
}  # fmt: skip


def price_from(
    entry: object,
    source: Source | None,
    ownership: Ownership,
    place: Place,
    rates: Mapping[str, CurrencyRate] = NO_RATES,
) -> Fact[PriceList]:
    """A price list, exact. Zero throughout without `free: true` is unknown: most zeros in price tables mean "no price".

    Args:
        entry: the mapping, the word `unknown` or `undisclosed`, or None.
        source: what the prices rest on, unless the mapping has a `source` of its own.
        ownership: whose file it is.
        place: where it stands.
        rates: of other currencies; a price in one that is not here is refused with what to add.

    Raises:
        CatalogError: a float, a negative amount, input or output missing, `free` beside a price, no source, a key of
            another currency, hours or days that cannot be.
    """
    if entry is None or entry == State.UNKNOWN.value:
        return Fact.unknown()
    if entry == State.UNDISCLOSED.value and source is not None:
        return Fact.undisclosed(source)
    reading = Reading(entry, ownership, place, source)
    reading.only(PRICE_KEYS)
    currency = reading.text("currency", USD)
    if len(currency) != 3 or not currency.isupper():
        place.at("currency").fail(f"`{currency}` is no currency: write its three letters, as `EUR`")
    rate = rates.get(currency)
    if currency != USD and rate is None:
        place.at("currency").fail(missing_rate(currency))
    price = _list(reading, currency)
    _check_both(reading, currency)
    if price.free and not price.is_zero:
        place.fail("`free: true` beside a price above zero: remove one of the two")
    if price.is_zero and not price.free:
        return Fact.unknown()
    if reading.source is None:
        place.fail("nobody could check the price: add `source:`")
    return Fact.known(_referred(price, reading, rate), reading.source)


def _check_both(reading: Reading, currency: str) -> None:
    first, second = key_of(RATE_NAMES[0], currency), key_of("output_usd_per_mtok", currency)
    stated = {first, second} <= reading.entry.keys()
    if not stated and not reading.flag("free") and key_of(MACHINE_HOUR, currency) not in reading.entry:
        reading.place.fail(f"write both `{first}` and `{second}`, or `free: true`")


def _amounts(reading: Reading, names: tuple[str, ...], currency: str) -> dict[str, Decimal]:
    """Amounts by the names of a price list's fields; a key of another currency is refused."""
    found: dict[str, Decimal] = {}
    for name in names:
        key, other = key_of(name, currency), key_of(name, "" if currency == USD else USD)
        if other in reading.entry:
            reading.place.at(other).fail(f"this price is in {currency}: write `{key}`")
        amount = reading.amount(key)
        if amount is not None:
            found[name] = amount
    return found


def _list(reading: Reading, currency: str) -> PriceList:
    """The list in its own currency, with what it changes to."""
    price = _plain_list(reading, currency)
    changes = [PriceChange(day, _plain_list(each, currency, price)) for day, each in _changes(reading, currency)]
    return _built(reading.place, replace, price, changes=tuple(changes))  # type: ignore[no-any-return]


def _plain_list(reading: Reading, currency: str, before: PriceList | None = None) -> PriceList:
    amounts: dict[str, Any] = {"input_usd_per_mtok": Decimal(0), "output_usd_per_mtok": Decimal(0)}
    amounts.update(_amounts(reading, AMOUNTS, currency))
    if before is not None:
        terms: dict[str, Any] = {
            name: getattr(before, name) for name in ("marginal", "billed_at", "mode", "slots", "reported_settles")
        }
    else:
        terms = {
            "free": reading.flag("free"),
            "marginal": reading.flag("marginal"),
            "billed_at": BilledAt(reading.word("billed_at", tuple(each.value for each in BilledAt), "start")),
            "mode": PriceMode(reading.word("mode", tuple(each.value for each in PriceMode), "standard")),
            "slots": Reading.count(reading.entry.get("slots", 1), reading.place.at("slots")),
            "reported_settles": reading.flag("reported_settles"),
        }
    fees = reading.inside("fees")
    return _built(  # type: ignore[no-any-return]
        reading.place,
        PriceList,
        **amounts,
        **terms,
        tiers=_tiers(reading, currency),
        hours=tuple(_hours(reading, currency)),
        fees=tuple((name, fees.amount(name) or Decimal(0)) for name in fees.entry),
    )


def _built(place: Place, build: Any, *values: object, **named: object) -> Any:  # noqa: ANN401 - what `build` makes
    """What is built, with what the core refuses told at its place."""
    try:
        return build(*values, **named)
    except ValueError as error:
        place.fail(str(error))


def _entries(reading: Reading, key: str, keys: frozenset[str]) -> Iterator[Reading]:
    """The mappings of a list."""
    value = reading.entry.get(key, [])
    place = reading.place.at(key)
    if not isinstance(value, (list, tuple)):
        place.fail("this must be a list, as `[{…}]`")
    for index, item in enumerate(value):
        each = Reading(item, reading.ownership, place.at(index), reading.source)
        each.only(keys)
        yield each


def _tiers(reading: Reading, currency: str) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            Reading.count(each.entry.get("above_input_tokens"), each.place.at("above_input_tokens")),
            Rates(**_amounts(each, RATE_NAMES, currency)),
        )
        for each in _entries(reading, "tiers", TIER_KEYS)
    )


def _hours(reading: Reading, currency: str) -> Iterator[Hours]:
    for each in _entries(reading, "hours", HOURS_KEYS):
        weekdays = each.entry.get("weekdays", sorted(DAYS))
        if not isinstance(weekdays, (list, tuple)):
            each.place.at("weekdays").fail("this must be a list of days, as `[1, 2, 3, 4, 5]`: Monday is 1")
        yield _built(
            each.place,
            Hours,
            _minute(each, "start") % DAY_MINUTES,
            _minute(each, "end") or DAY_MINUTES,
            Rates(**_amounts(each, RATE_NAMES, currency)),
            frozenset(Reading.count(day, each.place.at("weekdays")) for day in weekdays),
            _tiers(each, currency),
        )


def _minute(reading: Reading, key: str) -> int:
    text = reading.text(key)
    try:
        return minutes(text)
    except ValueError:
        reading.place.at(key).fail(f"`{text}` is no time of day: write hours and minutes in UTC, as `16:30`")


def _changes(reading: Reading, currency: str) -> Iterator[tuple[Any, Reading]]:
    for each in _entries(reading, "changes", CHANGE_KEYS):
        _check_both(each, currency)
        yield Reading.day(each.entry.get("begins_on", ""), each.place.at("begins_on")), each


def _referred(price: PriceList, reading: Reading, rate: CurrencyRate | None) -> PriceList:
    """The list in dollars, with where it was read; lists that follow carry their own days."""
    place = reading.place
    days = {
        key: Reading.day(reading.entry[key], place.at(key))
        for key in ("valid_from", "valid_until")
        if key in reading.entry
    }
    source = reading.source
    if source is None:
        place.fail("nobody could check the price: add `source:`")
    reference = _built(
        place,
        PriceReference,
        source=source.ref,
        checked_on=source.checked_on,
        currency=rate.currency if rate else USD,
        usd_per_unit=rate.usd if rate else None,
        rate_on=rate.checked_on if rate else None,
        rate_source=rate.source if rate else "",
    )
    changes = tuple(
        PriceChange(each.begins_on, replace(each.price, reference=replace(reference, valid_from=each.begins_on)))
        for each in price.changes
    )
    listed = replace(price, reference=_built(place, replace, reference, **days), changes=changes)
    return scaled(listed, rate.usd if rate else Decimal(1))
