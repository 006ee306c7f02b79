"""The shipped prices: a snapshot of what three public sources say, read once, checked against its hash, and offline.

`prices.json` is written by `refresh_prices`, which says by which rule (`price_consensus`) several sources become one
price. An offer is `agreed`, where at least two sources name the same value; `single`, where one source alone names it,
which permits at medium confidence; or `disputed`, where they differ: then the dearest value counts, and is flagged.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.currency import NO_RATES, USD, missing_rate, scaled
from modelrouter.catalog.price_sheets import FEES, MODES, RATES, minutes
from modelrouter.core.facts import Confidence, Fact, Source, State
from modelrouter.core.pricing import (
    Alternative,
    BilledAt,
    Hours,
    PriceChange,
    PriceList,
    PriceMode,
    PriceReference,
    Rates,
    Tier,
)
from modelrouter.core.tariff import exact_product
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from modelrouter.catalog.currency import CurrencyRate

__all__ = ["HASHED", "PRICES", "ListedPrice", "Snapshot", "load_prices", "read_prices", "unknown_price"]

PRICES: Final = "prices.json"
HASHED: Final = "prices.sha256"
FORMAT: Final = 1
CONFIDENCE: Final = {"agreed": Confidence.HIGH, "single": Confidence.MEDIUM, "disputed": Confidence.MEDIUM}
"""How far a price is trusted, by how its sources agree."""

Document = Mapping[str, Any]


def unknown_price(why: str) -> Fact[PriceList]:
    """No price, with what would make it known; a decision tells it to whom it refuses."""
    return Fact(State.UNKNOWN, None, Source(why, confidence=Confidence.LOW))


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What the snapshot holds on one offer; `fact` makes a price of it, for the few offers that are asked for.

    Attributes:
        offer: `operator/model`, or `operator/model@endpoint`.
        entry: as it stands in the file.
        snapshot: hash of the file.
        checked_on: when the sources were read.
        versions: of the sources, by name.
    """

    offer: str
    entry: Document
    snapshot: str
    checked_on: date
    versions: Mapping[str, str]

    @property
    def unpriced(self) -> str:
        """Why no source is asked for a price; empty where one is."""
        return str(self.entry.get("unpriced", ""))

    @property
    def currency(self) -> str:
        """In which the price is listed."""
        return str(self.entry.get("currency", USD))

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that have a price."""
        return tuple(mode for mode in MODES if mode in self.entry.get("modes", ()))

    def fact(
        self, mode: PriceMode = PriceMode.STANDARD, rates: Mapping[str, CurrencyRate] = NO_RATES
    ) -> Fact[PriceList]:
        """The price in a mode, in dollars; unknown where there is none, or no rate for its currency."""
        if self.unpriced:
            return unknown_price(self.unpriced)
        if mode.value not in self.modes:
            return unknown_price(f"no source has a price of mode `{mode.value}`")
        rate = rates.get(self.currency)
        if self.currency != USD and rate is None:
            return unknown_price(missing_rate(self.currency))
        now, *later = self.entry["modes"][mode.value]
        price = self._price(now, mode, rate)
        changes = tuple(
            PriceChange(date.fromisoformat(each["starts_on"]), self._price(each, mode, rate)) for each in later
        )
        if changes:
            price = replace(price, changes=changes)
        return Fact.known(price, self._source(now))

    def _source(self, held: Document) -> Source:
        return Source(self._named(), self.checked_on, CONFIDENCE[held["agreement"]])

    def _named(self) -> str:
        """The sources that have a say here, with their versions and ids, each of which a person can look up."""
        heard = [each for each in self.entry["stated"] if each.get("currency", USD) == self.currency]
        heard = [each for each in heard if "copy" not in each] or heard
        named = (
            f"{each['source']} {self.versions[each['source']]} {each['ref']}"
            if each["source"] in self.versions
            else str(each["ref"])
            for each in heard
        )
        return "; ".join(dict.fromkeys(named))

    def _price(self, held: Document, mode: PriceMode, rate: CurrencyRate | None) -> PriceList:
        amounts = _amounts(held["rates"])
        fees = {name: amounts.pop(name) for name in FEES if name in amounts}
        by_class: dict[str, Any] = {f"{name}_usd_per_mtok": amount for name, amount in amounts.items()}
        price = PriceList(
            **by_class,
            tiers=_tiers(held, amounts),
            hours=tuple(_hours(each) for each in held.get("hours", ())),
            billed_at=BilledAt(self.entry.get("billed_at", "start")),
            mode=mode,
            request_usd=fees.pop("request", Decimal(0)),
            fees=tuple(fees.items()),
        )
        listed = scaled(price, rate.usd if rate else Decimal(1))
        return replace(listed, reference=self._reference(held, mode, rate))

    def _reference(self, held: Document, mode: PriceMode, rate: CurrencyRate | None) -> PriceReference:
        disputed = held["agreement"] == "disputed"
        return PriceReference(
            source=self._named(),
            checked_on=self.checked_on,
            valid_from=_day(held, "starts_on"),
            valid_until=_day(held, "ends_on"),
            currency=self.currency,
            usd_per_unit=rate.usd if rate else None,
            rate_on=rate.checked_on if rate else None,
            rate_source=rate.source if rate else "",
            snapshot=self.snapshot,
            disputed=disputed,
            alternatives=self._alternatives(mode, held, rate) if disputed else (),
        )

    def _alternatives(self, mode: PriceMode, held: Document, rate: CurrencyRate | None) -> tuple[Alternative, ...]:
        day = held.get("starts_on", "")
        found = []
        for each in self.entry["stated"]:
            sheets = [sheet for sheet in each["modes"].get(mode.value, ()) if sheet.get("starts_on", "") <= day]
            sheets = sheets or each["modes"].get(mode.value, ())[:1]
            if sheets and each.get("currency", USD) == self.currency:
                factor = rate.usd if rate else Decimal(1)
                amounts = {
                    f"{name}_usd_per_mtok": exact_product(amount, factor)
                    for name, amount in _amounts(sheets[-1]["rates"]).items()
                    if name in RATES
                }
                found.append(Alternative(each["source"], tuple(amounts.items()), self.checked_on))
        return tuple(found)


def _day(held: Document, key: str) -> date | None:
    return date.fromisoformat(held[key]) if key in held else None


def _amounts(rates: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in rates.items()}


def _rates(amounts: Mapping[str, Decimal]) -> Rates:
    return Rates(**{f"{name}_usd_per_mtok": amount for name, amount in amounts.items() if name in RATES})


def _tiers(sheet: Document, base: Mapping[str, Decimal]) -> tuple[Tier, ...]:
    """Tiers with every class written out: one that is absent in a tier keeps the rate that it has below."""
    return tuple(
        Tier(int(each["above"]), _rates({**base, **_amounts(each["rates"])})) for each in sheet.get("tiers", ())
    )


def _hours(entry: Document) -> Hours:
    amounts = _amounts(entry["rates"])
    return Hours(
        minutes(entry["from"]),
        minutes(entry["until"]),
        _rates(amounts),
        frozenset(entry["days"]),
        _tiers(entry, amounts),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The shipped prices.

    Attributes:
        sha256: of the file.
        checked_on: the day on which the sources were read.
        sources: by name: version, when it was published, its licence, its home, the hash of what was read.
        offers: by `operator/model`, or `operator/model@endpoint` for an endpoint with a list of its own, as they
            stand in the file.
        unpriced: operators of whose models nobody lists a price, with the reason.
    """

    sha256: str
    checked_on: date
    sources: Mapping[str, Mapping[str, str]]
    offers: Mapping[str, Document]
    unpriced: Mapping[str, str]

    def offer(self, operator: str, model: str, endpoint: str = "") -> ListedPrice | None:
        """What is held on an offer, or on it at one endpoint alone; None where the snapshot does not know it."""
        name = f"{operator}/{model}@{endpoint}" if endpoint else f"{operator}/{model}"
        entry = self.offers.get(name)
        if entry is None and not endpoint and operator in self.unpriced:
            entry = {"unpriced": self.unpriced[operator]}
        if entry is None:
            return None
        versions = {name: each["version"] for name, each in self.sources.items()}
        return ListedPrice(name, entry, self.sha256, self.checked_on, versions)


@functools.cache
def load_prices() -> Snapshot:
    """The shipped snapshot, read once per process.

    Raises:
        CatalogError: it is not the file that was shipped.
    """
    return read_prices(files(__package__))


def read_prices(folder: Traversable | Path) -> Snapshot:
    """A snapshot from its folder.

    Raises:
        CatalogError: a file is missing, its hash differs, or it is of another format.
    """
    try:
        raw = (folder / PRICES).read_bytes()
        expected = (folder / HASHED).read_text(encoding="utf-8").split(maxsplit=1)[0]
    except (OSError, IndexError, UnicodeDecodeError):
        message = f"the prices cannot be read: install modelrouter again, with `{PRICES}` and `{HASHED}`"
        raise CatalogError(message, file=PRICES) from None
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != expected:
        raise CatalogError(
            f"the prices were changed after they were shipped: their SHA-256 is {sha256[:16]}…, `{HASHED}` says "
            f"{expected[:16]}…; install modelrouter again, and state your own prices in your configuration",
            file=PRICES,
        )
    content = json.loads(raw)
    if content.get("format") != FORMAT:
        raise CatalogError(
            f"the prices are of format `{content.get('format')}`, this version reads {FORMAT}", file=PRICES
        )
    day = date.fromisoformat(content["checked_on"])
    return Snapshot(sha256, day, content["sources"], content["offers"], content["unpriced"])
