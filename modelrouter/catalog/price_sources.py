"""Reads the three price sources as data: litellm's price map, `genai-prices` and `model-prices`.

Only the maintainer's command `python -m modelrouter.catalog.refresh_prices` comes here; a running router reads the
snapshot that the command wrote. None of the sources is asked to compute anything, and litellm is not imported: its map
is a JSON file. Amounts are taken digit by digit from the text of the files.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

from modelrouter.catalog.price_sheets import DAY_MINUTES, DAYS, Hours, Sheet, Statement, minutes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["GenaiPrices", "LitellmMap", "ModelPrices", "PriceSource", "installed_sources"]

Json = dict[str, Any]
MTOK: Final = Decimal(1_000_000)
EVERY_DAY: Final = tuple(sorted(DAYS))
WORKDAYS: Final = (1, 2, 3, 4, 5)


class PriceSource(Protocol):
    """One source of prices.

    Attributes:
        name: of the package.
        version: of the package, as installed.
        sha256: of the file that was read.
    """

    name: str
    version: str
    sha256: str

    def statement(self, ref: str, modes: Mapping[str, str]) -> Statement | None:
        """What it says of one of its own ids; None where it says nothing.

        Args:
            ref: its id, exactly; nothing is matched by prefix or pattern.
            modes: how it calls our modes where it has words of its own.
        """
        ...


def _plain(value: Decimal | int) -> Decimal:
    """An amount without trailing zeros or exponent."""
    return Decimal(format(Decimal(value).normalize(), "f"))


# --- litellm ----------------------------------------------------------------------------------------------------------

LITELLM_CLASSES: Final = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "cache_read_input_audio_token_cost": "cached_audio",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
}
LITELLM_KEY: Final = re.compile(
    rf"(?P<name>{'|'.join(sorted(LITELLM_CLASSES, key=len, reverse=True))})"
    r"(?:_above_(?P<above>\d+)k_tokens)?(?:_(?P<mode>batches|flex|priority))?"
)
LITELLM_MODES: Final = {None: "standard", "batches": "batch", "flex": "flex", "priority": "priority"}


class LitellmMap:
    """litellm's map: flat entries, one key for each class, tier and mode, in USD per token."""

    name = "litellm"

    def __init__(self, entries: Json, version: str, sha256: str) -> None:
        self.entries = entries
        self.version = version
        self.sha256 = sha256

    @classmethod
    def read(cls, path: Path, version: str) -> LitellmMap:
        """The map from its file."""
        raw = path.read_bytes()
        return cls(json.loads(raw, parse_float=Decimal), version, hashlib.sha256(raw).hexdigest())

    def statement(self, ref: str, modes: Mapping[str, str]) -> Statement | None:  # noqa: ARG002 - its words are ours
        """An entry of the map."""
        entry = self.entries.get(ref)
        if not isinstance(entry, dict):
            return None
        found: dict[str, dict[int, dict[str, Decimal]]] = {}
        for key, value in entry.items():
            match = LITELLM_KEY.fullmatch(key)
            if match is None or not isinstance(value, (int, Decimal)):
                continue
            tiers = found.setdefault(LITELLM_MODES[match["mode"]], {})
            above = int(match["above"] or 0) * 1000
            tiers.setdefault(above, {})[LITELLM_CLASSES[match["name"]]] = _plain(value * MTOK)
        self._listed_tiers(entry, found)
        sheets = {mode: (self._sheet(entry, mode, tiers),) for mode, tiers in found.items() if 0 in tiers}
        return Statement(self.name, ref, sheets, str(entry.get("source", ""))) if sheets else None

    @staticmethod
    def _listed_tiers(entry: Json, found: dict[str, dict[int, dict[str, Decimal]]]) -> None:
        """Some entries list ranges instead: `tiered_pricing`."""
        for item in entry.get("tiered_pricing", ()):
            rates = {
                LITELLM_CLASSES[key]: _plain(value * MTOK)
                for key, value in item.items()
                if key in LITELLM_CLASSES and isinstance(value, (int, Decimal))
            }
            found.setdefault("standard", {})[int(item["range"][0])] = rates

    @staticmethod
    def _sheet(entry: Json, mode: str, tiers: dict[int, dict[str, Decimal]]) -> Sheet:
        base = tiers.pop(0)
        if base.get("reasoning") == base.get("output"):
            base.pop("reasoning", None)  # it says no more than `output` does
        if mode == "standard":
            base.update(_litellm_fees(entry))
        above = tuple(sorted(tiers.items()))
        off_peak = entry.get("off_peak_pricing")
        if mode != "standard" or not isinstance(off_peak, dict):
            return Sheet(base, above)
        cheaper = {
            LITELLM_CLASSES[key]: _plain(value * MTOK)
            for key, value in off_peak.items()
            if key in LITELLM_CLASSES and isinstance(value, (int, Decimal))
        }
        there = Sheet({**base, **cheaper})
        return Sheet(base, above, tuple((hours, there) for hours in _litellm_hours(off_peak["windows"])))


def _litellm_fees(entry: Json) -> dict[str, Decimal]:
    """A search costs what its dearest context size costs."""
    sizes = entry.get("search_context_cost_per_query")
    fees = {"request": entry.get("input_cost_per_request")}
    if isinstance(sizes, dict) and sizes:
        fees["web_search"] = max(sizes.values())
    return {name: _plain(Decimal(value)) for name, value in fees.items() if value}


def _litellm_hours(windows: Iterable[Json]) -> Iterator[Hours]:
    for window in windows:
        days = tuple(sorted(window.get("weekdays", EVERY_DAY)))
        spans = window["hours_utc"]
        for span in [spans] if isinstance(spans, str) else spans:
            start, _, end = span.partition("-")
            yield from _hours(days, minutes(start), minutes(end))


def _hours(days: tuple[int, ...], start: int, end: int) -> Iterator[Hours]:
    """A window as parts that do not run past midnight; a window that ends where it begins is the whole day."""
    if end > start:
        yield Hours(days, start, end)
        return
    yield Hours(days, start, DAY_MINUTES)
    if end:
        yield Hours(tuple(sorted(day % 7 + 1 for day in days)), 0, end)


# --- genai-prices -----------------------------------------------------------------------------------------------------

GENAI_CLASSES: Final = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio",
    "output_audio_mtok": "audio_output",
    "input_image_mtok": "image_input",
    "output_image_mtok": "image_output",
}
GENAI_FEES: Final = {"web_searches_kcount": "web_search", "requests_kcount": "request"}
GENAI_MODES: Final = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}


class GenaiPrices:
    """The data of `genai-prices`: providers of models with prices in USD per million tokens, some with conditions."""

    name = "genai-prices"

    def __init__(self, providers: Iterable[Any], version: str, sha256: str) -> None:
        self.version = version
        self.sha256 = sha256
        self.models = {
            f"{provider.id}/{model.id}": (provider, model) for provider in providers for model in provider.models
        }

    @classmethod
    def installed(cls) -> GenaiPrices:
        """The data of the installed package."""
        from genai_prices import data

        raw = _package_file("genai-prices", "genai_prices/data.py").read_bytes()
        return cls(data.providers, importlib.metadata.version("genai-prices"), hashlib.sha256(raw).hexdigest())

    def statement(self, ref: str, modes: Mapping[str, str]) -> Statement | None:  # noqa: ARG002 - its words are ours
        """A model, by its provider's id and its own: `openai/gpt-5.6-sol`."""
        if ref not in self.models:
            return None
        provider, model = self.models[ref]
        conditional = model.prices if isinstance(model.prices, list) else [_Always(model.prices)]
        standard = tuple(_genai_timeline(conditional))
        if not standard:
            return None
        sheets = {"standard": standard}
        for mode, when in GENAI_MODES.items():
            variants = [each for each in model.price_variants or () if each.when == when]
            if variants:
                sheets[mode] = tuple(_genai_variants(standard, variants))
        return Statement(self.name, ref, sheets, (provider.pricing_urls or [""])[0])


@dataclass(frozen=True, slots=True)
class _Always:
    """A price without a condition."""

    prices: Any
    constraint: Any = None


def _genai_sheet(prices: Any, starts_on: date | None = None) -> Sheet:  # noqa: ANN401 - attributes by name
    rates: dict[str, Decimal] = {}
    tiers: dict[int, dict[str, Decimal]] = {}
    for key, name in GENAI_CLASSES.items():
        value = getattr(prices, key, None)
        if isinstance(value, Decimal):
            rates[name] = _plain(value)
        elif value is not None:
            rates[name] = _plain(value.base)
            for tier in value.tiers:
                tiers.setdefault(tier.start, {})[name] = _plain(tier.price)
    for key, name in GENAI_FEES.items():
        value = getattr(prices, key, None)
        if isinstance(value, Decimal):
            rates[name] = _plain(value / 1000)
    return Sheet(rates, tuple(sorted(tiers.items())), starts_on=starts_on)


def _genai_timeline(conditional: Iterable[Any]) -> Iterator[Sheet]:
    """Dated prices in their order; a price for hours of the day belongs to every dated one.

    The last condition that is met wins there, so hours, which stand last, win over days.
    """
    dated: list[Sheet] = []
    timed: list[tuple[Hours, Sheet]] = []
    for each in conditional:
        if each.constraint is None or hasattr(each.constraint, "start_date"):
            dated.append(_genai_sheet(each.prices, getattr(each.constraint, "start_date", None)))
        else:
            start, end = (_minute(each.constraint.start_time), _minute(each.constraint.end_time))
            timed.extend((hours, _genai_sheet(each.prices)) for hours in _hours(EVERY_DAY, start, end))
    if timed and len(dated) > 1:
        dated = dated[-1:]  # the hours were written for the newest price
    for sheet in sorted(dated, key=lambda each: each.starts_on or date.min):
        yield Sheet(sheet.rates, sheet.tiers, tuple(timed), sheet.starts_on)


def _minute(moment: Any) -> int:  # noqa: ANN401 - a time of day, in UTC there
    return int(moment.hour) * 60 + int(moment.minute)


def _genai_variants(standard: tuple[Sheet, ...], variants: Iterable[Any]) -> Iterator[Sheet]:
    """Partial prices of a mode, over the standard ones of their day."""
    for variant in sorted(variants, key=lambda each: each.constraint.start_date if each.constraint else date.min):
        own = _genai_sheet(variant.prices, variant.constraint.start_date if variant.constraint else None)
        day = own.starts_on or date.min
        base = [each for each in standard if each.starts_on is None or each.starts_on <= day][-1:] or standard[:1]
        inherited = {name: rate for name, rate in base[0].rates.items() if name not in own.rates}
        yield Sheet({**inherited, **own.rates}, own.tiers, starts_on=own.starts_on)


# --- model-prices -----------------------------------------------------------------------------------------------------

MODEL_PRICES_CLASSES: Final = {
    "input": "input",
    "cache_read": "cached_input",
    "cache_write": "cache_write",
    "output": "output",
}


class ModelPrices:
    """The snapshot of `model-prices`: timelines in USD per million tokens, with schedules by the hour."""

    name = "model-prices"

    def __init__(self, content: Json, version: str, sha256: str) -> None:
        self.version = version
        self.sha256 = sha256
        self.updated_on = date.fromisoformat(content["updated_at"][:10])
        self.prices: Json = content["prices"]
        self._schedules: list[Json] = content["schedules"]["schedule"]

    @classmethod
    def read(cls, path: Path, version: str) -> ModelPrices:
        """The snapshot from its file."""
        raw = path.read_bytes()
        return cls(json.loads(raw, parse_float=Decimal), version, hashlib.sha256(raw).hexdigest())

    def statement(self, ref: str, modes: Mapping[str, str]) -> Statement | None:
        """A model, by its provider's id and its own: `openai/gpt-5.6-sol`."""
        provider, _, model = ref.partition("/")
        timelines = self.prices.get(provider, {}).get(model)
        if timelines is None:
            return None
        sheets = {}
        for mode in ("standard", "batch", "flex", "priority"):
            timeline = timelines.get(modes.get(mode, mode), ())
            dated = [_dated(each) for each in timeline if each["rates"] is not None]
            if mode == "standard" and "thinking" in timelines:
                dated = _dearest_output(dated, [_dated(each) for each in timelines["thinking"] if each["rates"]])
            if dated:
                sheets[mode] = tuple(self._scheduled(provider, model, sheet) for sheet in dated)
        newest = [each["rates"] for each in timelines.get("standard", ()) if each["rates"]]
        return Statement(self.name, ref, sheets, newest[-1]["source"]) if sheets else None

    def _scheduled(self, provider: str, model: str, sheet: Sheet) -> Sheet:
        """A sheet with the hours of the provider's newest schedule.

        Public holidays are charged as the weekdays that they fall on, which is never cheaper.
        """
        rules = [each for each in self._schedules if each["provider"] == provider and "valid_until" not in each]
        if not rules:
            return sheet
        rule = rules[-1]
        if "peak_hours_utc" in rule:
            days = WORKDAYS if rule.get("weekdays_only") else EVERY_DAY
            spans, factor = rule["peak_hours_utc"], rule["peak_multiplier"]
        elif model in rule["off_peak_multiplier"]:
            days, spans, factor = EVERY_DAY, rule["off_peak_hours_utc"], rule["off_peak_multiplier"][model]
        else:
            return sheet
        there = Sheet(
            {name: _plain(rate * factor) for name, rate in sheet.rates.items()},
            tuple(
                (above, {name: _plain(rate * factor) for name, rate in rates.items()}) for above, rates in sheet.tiers
            ),
        )
        hours = [each for start, end in spans for each in _hours(days, minutes(start), minutes(end))]
        return Sheet(sheet.rates, sheet.tiers, tuple((each, there) for each in hours), sheet.starts_on)


def _dated(entry: Json) -> Sheet:
    rates = entry["rates"]
    start = max(filter(None, (entry["start"], rates.get("valid_from"))), default=None)
    return Sheet(
        _model_rates(rates, rates.get("cache_write_1h_multiple")),
        tuple(
            (int(tier["above"]), _model_rates(tier, rates.get("cache_write_1h_multiple")))
            for tier in sorted(rates.get("tiers", ()), key=lambda each: int(each["above"]))
        ),
        starts_on=None if start is None else datetime.fromisoformat(start).date(),
    )


def _model_rates(rates: Json, multiple: Decimal | None) -> dict[str, Decimal]:
    found = {name: _plain(rates[key]) for key, name in MODEL_PRICES_CLASSES.items() if rates.get(key) is not None}
    if multiple is not None and "input" in found and found.get("cache_write"):
        found["cache_write_1h"] = _plain(found["input"] * multiple)
    return found


def _dearest_output(plain: list[Sheet], thinking: list[Sheet]) -> list[Sheet]:
    """Where thinking is priced apart, all output of a reply that thought costs more: we cannot know before, so it does.

    Timelines of both modes change on the same days; a sheet without its pair stays as it is.
    """
    by_day = {sheet.starts_on: sheet for sheet in thinking}

    def dearer(sheet: Sheet) -> Sheet:
        other = by_day.get(sheet.starts_on, sheet)
        tiers = tuple(
            (above, {**rates, "output": max(rates["output"], other.above(above)["output"])})
            for above, rates in sheet.tiers
        )
        rates = {**sheet.rates, "output": max(sheet.rates["output"], other.rates["output"])}
        return Sheet(rates, tiers, starts_on=sheet.starts_on)

    return [dearer(sheet) for sheet in plain]


# --- what is installed ------------------------------------------------------------------------------------------------


def _package_file(package: str, name: str) -> Path:
    """A file of an installed package, found without importing it."""
    from pathlib import Path

    return Path(str(importlib.metadata.distribution(package).locate_file(name)))


def installed_sources() -> tuple[PriceSource, ...]:
    """The three sources as they are installed.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not.
    """
    version = importlib.metadata.version
    return (
        GenaiPrices.installed(),
        ModelPrices.read(_package_file("model-prices", "model_prices/snapshot.json"), version("model-prices")),
        LitellmMap.read(
            _package_file("litellm", "litellm/model_prices_and_context_window_backup.json"), version("litellm")
        ),
    )
