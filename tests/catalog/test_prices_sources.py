"""The three sources are read as data: every class, tier, mode and hour lands where it belongs, digit by digit."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from genai_prices.types import (
    ConditionalPrice,
    ModelPrice,
    PriceVariant,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from modelrouter.catalog.price_sheets import Hours, Sheet
from modelrouter.catalog.price_sources import GenaiPrices, LitellmMap, ModelPrices, installed_sources

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
TODAY = date(2026, 11, 22)


def _litellm(**entry: object) -> LitellmMap:
    return LitellmMap(json.loads(json.dumps({"x": entry}), parse_float=Decimal), "1", "")


def _genai(prices: object, variants: list[PriceVariant] | None = None) -> GenaiPrices:
    model = SimpleNamespace(id="m", prices=prices, price_variants=variants)
    return GenaiPrices([SimpleNamespace(id="p", models=[model], pricing_urls=["https://example.org/prices"])], "1", "")


def _model_prices(timelines: dict[str, Any], schedules: list[dict[str, Any]] | None = None) -> ModelPrices:
    content = {
        "updated_at": "2026-10-26T18:46:35Z",
        "prices": {"p": {"m": timelines}},
        "schedules": {"schedule": schedules or []},
    }
    return ModelPrices(json.loads(json.dumps(content), parse_float=Decimal), "1", "")


def _entry(start: str | None, **rates: object) -> dict[str, Any]:
    return {"start": start, "rates": {"source": "https://example.org", "valid_from": None, **rates}}


def _sheet(source: LitellmMap | GenaiPrices | ModelPrices, ref: str, mode: str = "standard", **words: str) -> Sheet:
    statement = source.statement(ref, words)
    assert statement is not None
    found = statement.on(mode, TODAY)
    assert found is not None
    return found


def _texts(rates: Any) -> dict[str, str]:
    return {name: str(rate) for name, rate in rates.items()}


def test_litellm_amounts_per_token_become_amounts_per_million() -> None:
    """A float in JSON is taken by its digits: 7.5e-08 a token is 0.075 a million, not 0.07499999."""
    found = _sheet(
        _litellm(
            input_cost_per_token=7.5e-08,
            output_cost_per_token=1e-06,
            cache_read_input_token_cost=3.75e-08,
            cache_creation_input_token_cost=9.375e-08,
            cache_creation_input_token_cost_above_1hr=1.5e-07,
            output_cost_per_reasoning_token=2e-06,
            input_cost_per_audio_token=3e-06,
            output_cost_per_image_token=4e-05,
            search_context_cost_per_query={"search_context_size_low": 0.01, "search_context_size_high": 0.025},
            input_cost_per_request=0.001,
            max_tokens=5,
        ),
        "x",
    )
    assert _texts(found.rates) == {
        "input": "0.075",
        "output": "1",
        "cached_input": "0.0375",
        "cache_write": "0.09375",
        "cache_write_1h": "0.15",
        "reasoning": "2",
        "audio_input": "3",
        "image_output": "40",
        "web_search": "0.025",
        "request": "0.001",
    }


def test_litellm_tiers_and_modes() -> None:
    """`_above_200k_tokens` is a tier, `_batches`, `_flex` and `_priority` are modes, and both may stand in one key."""
    source = _litellm(
        input_cost_per_token=1e-06,
        output_cost_per_token=2e-06,
        input_cost_per_token_above_200k_tokens=3e-06,
        cache_creation_input_token_cost_above_1hr_above_200k_tokens=7e-06,
        input_cost_per_token_priority=5e-06,
        output_cost_per_token_priority=6e-06,
        output_cost_per_token_above_200k_tokens_priority=8e-06,
        input_cost_per_token_batches=5e-07,
        output_cost_per_token_batches=1e-06,
    )
    standard = _sheet(source, "x")
    assert [(above, _texts(rates)) for above, rates in standard.tiers] == [
        (200_000, {"input": "3", "cache_write_1h": "7"})
    ]
    assert _texts(_sheet(source, "x", "priority").above(200_000)) == {"input": "5", "output": "8"}
    assert _texts(_sheet(source, "x", "batch").rates) == {"input": "0.5", "output": "1"}
    statement = source.statement("x", {})
    assert statement is not None
    assert "flex" not in statement.modes


def test_litellm_ranges_and_off_peak_hours() -> None:
    """Ranges are tiers; a window that ends where it begins is the whole day; one past midnight is two."""
    ranges = [
        {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "range": [0, 32000.0]},
        {"input_cost_per_token": 4e-06, "output_cost_per_token": 5e-06, "range": [32000.0, 64000.0]},
    ]
    assert [above for above, _ in _sheet(_litellm(tiered_pricing=ranges), "x").tiers] == [32_000]
    windows = [
        {"hours_utc": ["22:00-01:00"], "weekdays": [5, 7]},
        {"hours_utc": "00:00-00:00", "weekdays": [6]},
    ]
    off_peak = {"input_cost_per_token": 5e-07, "output_cost_per_token": 1e-06, "windows": windows}
    found = _sheet(_litellm(input_cost_per_token=1e-06, output_cost_per_token=2e-06, off_peak_pricing=off_peak), "x")
    assert [hours for hours, _ in found.hours] == [
        Hours((5, 7), 22 * 60, 24 * 60),
        Hours((1, 6), 0, 60),
        Hours((6,), 0, 24 * 60),
    ]
    assert _texts(found.at(1, 30).rates) == {"input": "0.5", "output": "1"}
    assert _texts(found.at(1, 90).rates) == {"input": "1", "output": "2"}


def test_ids_are_taken_exactly() -> None:
    """Nothing is matched by prefix or pattern: a newer model never gets an older one's price."""
    assert _litellm(input_cost_per_token=1e-06, output_cost_per_token=1e-06).statement("x-2", {}) is None
    assert _genai(ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))).statement("p/m-2", {}) is None
    assert _model_prices({"standard": [_entry(None, input=1.0, output=2.0)]}).statement("p/m-2", {}) is None


def test_genai_prices_tiers_dates_and_variants() -> None:
    """The newest price that has begun holds; a variant lays its own rates over the standard ones."""
    old = ModelPrice(input_mtok=Decimal(9), output_mtok=Decimal(9))
    new = ModelPrice(
        input_mtok=TieredPrices(base=Decimal("1.50"), tiers=[Tier(start=200_000, price=Decimal(3))]),
        output_mtok=Decimal(2),
        cache_write_1h_mtok=Decimal(4),
        web_searches_kcount=Decimal(14),
    )
    source = _genai(
        [ConditionalPrice(prices=old), ConditionalPrice(StartDateConstraint(date(2026, 8, 1)), prices=new)],
        [
            PriceVariant(when={"processing": "batch"}, prices=ModelPrice(output_mtok=Decimal(1))),
            PriceVariant(when={"speed": "fast"}, prices=ModelPrice(output_mtok=Decimal(99))),
        ],
    )
    found = _sheet(source, "p/m")
    assert _texts(found.rates) == {"input": "1.5", "output": "2", "cache_write_1h": "4", "web_search": "0.014"}
    assert [(above, _texts(rates)) for above, rates in found.tiers] == [(200_000, {"input": "3"})]
    assert found.starts_on == date(2026, 8, 1)
    statement = source.statement("p/m", {})
    assert statement is not None
    assert set(statement.modes) == {"standard", "batch"}
    assert statement.url == "https://example.org/prices"
    assert _texts(_sheet(source, "p/m", "batch").rates)["output"] == "1"


def test_genai_prices_hours_stand_over_the_newest_price() -> None:
    """Peak hours are written as a price of their own, in UTC."""
    peak = TimeOfDateConstraint(time(1, tzinfo=UTC), time(4, tzinfo=UTC))
    source = _genai(
        [
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))),
            ConditionalPrice(peak, prices=ModelPrice(input_mtok=Decimal(3), output_mtok=Decimal(4))),
        ]
    )
    found = _sheet(source, "p/m")
    assert found.hours == ((Hours(EVERY_DAY, 60, 240), Sheet({"input": Decimal(3), "output": Decimal(4)})),)


def test_model_prices_timelines_and_modes() -> None:
    """What began last holds; an operator may have a word of its own for a mode; an hour's write is a multiple."""
    source = _model_prices(
        {
            "standard": [
                _entry(None, input=9.0, output=9.0),
                _entry(
                    "2026-08-25T04:37:24Z",
                    input=4.0,
                    output=20.0,
                    cache_write=5.0,
                    cache_write_1h_multiple=2.0,
                    tiers=[{"above": 272000, "input": 8.0}],
                ),
            ],
            "fast": [_entry(None, input=8.0, output=40.0)],
            "batch": [{"start": None, "rates": None}, _entry("2026-10-01T00:00:00Z", input=2.0, output=10.0)],
        }
    )
    found = _sheet(source, "p/m")
    assert _texts(found.rates) == {"input": "4", "output": "20", "cache_write": "5", "cache_write_1h": "8"}
    assert found.starts_on == date(2026, 8, 25)
    assert found.tiers == ((272_000, {"input": Decimal(8)}),)
    assert _texts(_sheet(source, "p/m", "priority", priority="fast").rates)["output"] == "40"
    assert _texts(_sheet(source, "p/m", "batch").rates)["output"] == "10"


def test_model_prices_peaks_and_thinking() -> None:
    """A schedule multiplies every rate in its hours; where thinking is dearer, all output is taken to be thinking."""
    rule = {
        "provider": "p",
        "valid_from": "2026-08-16T16:00:00Z",
        "peak_hours_utc": [["01:00", "04:00"]],
        "peak_multiplier": 2.0,
        "weekdays_only": True,
    }
    gone = {**rule, "peak_multiplier": 9.0, "valid_until": "2026-08-16T16:00:00Z"}
    source = _model_prices(
        {
            "standard": [_entry("2026-09-01T00:00:00Z", input=1.0, output=2.0, tiers=[{"above": 10, "output": 3.0}])],
            "thinking": [_entry("2026-09-01T00:00:00Z", input=1.0, output=5.0)],
        },
        [gone, rule],
    )
    found = _sheet(source, "p/m")
    assert _texts(found.rates) == {"input": "1", "output": "5"}
    assert _texts(found.above(10))["output"] == "5"
    ((hours, there),) = found.hours
    assert hours == Hours((1, 2, 3, 4, 5), 60, 240)
    assert _texts(there.rates) == {"input": "2", "output": "10"}


@pytest.mark.parametrize(
    ("ref", "moment"),
    [
        (("openai/gpt-5.6-sol", "openai", "gpt-5.6-sol"), datetime(2026, 11, 22, 12, tzinfo=UTC)),
        (("deepseek/deepseek-v4-pro", "deepseek", "deepseek-v4-pro"), datetime(2026, 11, 23, 2, tzinfo=UTC)),
        (("deepseek/deepseek-v4-pro", "deepseek", "deepseek-v4-pro"), datetime(2026, 11, 23, 5, tzinfo=UTC)),
        (("google/gemini-3.8-flash", "google", "gemini-3.8-flash"), datetime(2027, 1, 2, tzinfo=UTC)),
        (("anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5"), datetime(2026, 11, 22, 12, tzinfo=UTC)),
    ],
)
def test_what_is_read_is_what_the_package_itself_would_charge(ref: tuple[str, str, str], moment: datetime) -> None:
    """genai-prices' own calculator, asked for a million tokens of each kind, comes to what was read of it."""
    from genai_prices import Usage, calc_price

    name, provider, model = ref
    source = next(each for each in installed_sources() if each.name == "genai-prices")
    statement = source.statement(name, {})
    assert statement is not None
    sheet = statement.on("standard", moment.date())
    assert sheet is not None
    rates = sheet.at(moment.isoweekday(), moment.hour * 60).above(1_000_000)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    theirs = calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment)
    assert theirs.total_price == rates["input"] + rates["output"]
