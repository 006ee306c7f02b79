"""Prices in a configuration: listed or stated, in dollars or with a dated rate, and what a decision says of them."""

from __future__ import annotations

import importlib
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.catalog.price_entries import PRICE_KEYS
from modelrouter.catalog.schema import PriceEntry
from modelrouter.config import from_text
from modelrouter.config.json_schema import json_schema
from modelrouter.core.facts import Confidence, Ownership, State
from modelrouter.core.pricing import PriceMode, Usage
from modelrouter.core.request import Needs
from modelrouter.core.verdict import compile_rows
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import parse
from tests.config.texts import config, load_files, marked_line

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.config import Setup
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.verdict import Row

TODAY = date(2026, 11, 22)
OWN = """deployments:
  own: {{model: qwen3-32b, operator: self, runs_on: none, hosts: [llm.internal], base_url: "http://llm.internal/v1",
        name: qwen, processing: [DE], source: {{ref: offer 7, checked_on: 2026-11-01, confidence: high}},
        price: {price}}}"""
ROUTES = "routes:\n  support: {try: [own]}"
EURO = 'rates: {EUR: {usd: "1.08", checked_on: 2026-11-01, source: central bank}}'
SCALEWAY = """deployments:
  own: {model: llama-3.3-70b-instruct, operator: scaleway, endpoint: paris, key: "env:SCW_SECRET_KEY"}"""
DISPUTED = """deployments:
  own: {model: gpt-oss-120b, operator: ovhcloud, key: "env:OVH_KEY"}"""
CHANGING = """deployments:
  own: {model: gemini-3.8-flash, operator: google-ai-studio, key: "env:GEMINI_API_KEY"}"""


def _setup(price: str = "{}", **parts: str) -> Setup:
    return from_text(config(**{"deployments": OWN.format(price=price), "routes": ROUTES, **parts}))


def _price(price: str = "{}", **parts: str) -> PriceList:
    found = _setup(price, **parts).world.deployments["own"].price.value
    assert found is not None
    return found


def _row(setup: Setup, today: date = TODAY) -> tuple[Row, date | None]:
    """What holds for the one deployment without any policy, and until when."""
    compiled = compile_rows(setup.world, (), setup.routes["support"], Needs(), today)
    return compiled.rows["own"], compiled.valid_until


# --- stated -----------------------------------------------------------------------------------------------------------


def test_a_stated_price_names_its_source() -> None:
    """The deployment's source, its day and its confidence stand for the price, and go into the book with it."""
    setup = _setup("{input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}")
    fact = setup.world.deployments["own"].price
    assert (fact.source.ownership, fact.source.confidence) == (Ownership.USER, Confidence.HIGH)
    assert fact.value is not None
    assert fact.value.reference is not None
    assert (fact.value.reference.source, fact.value.reference.checked_on) == ("offer 7", date(2026, 11, 1))


def test_a_stated_price_may_hold_everything_that_is_billed() -> None:
    """Tiers, hours, cache writes, fees, mode and days from one entry."""
    price = _price(
        "{input_usd_per_mtok: 1, output_usd_per_mtok: 2, cache_write_usd_per_mtok: 1.25,"
        " cache_write_1h_usd_per_mtok: 2, fees: {web_search: 0.01}, mode: priority,"
        " tiers: [{above_input_tokens: 200000, input_usd_per_mtok: 2}],"
        " hours: [{start: 16:30, end: 00:30, output_usd_per_mtok: 1}], valid_until: 2027-03-31}"
    )
    assert price.cache_write_1h_usd_per_mtok == 2
    assert price.tiers[0].above_input_tokens == 200_000
    assert (price.hours[0].from_minute, price.hours[0].until_minute) == (16 * 60 + 30, 30)
    assert dict(price.fees) == {"web_search": Decimal("0.01")}
    assert price.mode is PriceMode.PRIORITY
    assert price.reference is not None
    assert price.reference.valid_until == date(2027, 3, 31)


def test_a_machine_is_paid_by_the_hour() -> None:
    """A price by machine-hours alone is a price."""
    setup = _setup("{machine_hour_usd: 2.5, slots: 8}")
    row, _ = _row(setup)
    assert not row.refusals
    assert "2.5 USD per machine hour" in row.verdicts[0].judgement.used[0].shown


@pytest.mark.parametrize(
    ("price", "state"),
    [("{input_usd_per_mtok: 0, output_usd_per_mtok: 0}", State.UNKNOWN), ("{free: true}", State.KNOWN)],
)
def test_zero_is_unknown_unless_declared_free(price: str, state: State) -> None:
    """A person says that nothing is paid; a zero does not."""
    setup = _setup(price)
    assert setup.world.deployments["own"].price.state is state
    assert bool(_row(setup)[0].refusals) is (state is State.UNKNOWN)


@pytest.mark.parametrize(
    ("price", "more", "key", "words"),
    [
        ("{currency: EUR, input_per_mtok: 1, output_per_mtok: 2}", "", "price.currency", "add `rates: {EUR:"),
        (
            "{currency: EUR, input_usd_per_mtok: 1, output_usd_per_mtok: 2}",
            EURO,
            "input_usd_per_mtok",
            "write `input_per",
        ),
        ("{input_per_mtok: 1, output_per_mtok: 2}", "", "price.input_per_mtok", "write `input_usd_per_mtok`"),
        ("{input_usd_per_mtok: 1}", "", "price", "write both"),
        ("{input_usd_per_mtok: 1, output_usd_per_mtok: 2, free: true}", "", "price", "remove one of the two"),
        ("{input_usd_per_mtok: 1, output_usd_per_mtok: 2, mdoe: flex}", "", "price.mdoe", "did you mean `mode`"),
        ("{mode: flex}", "", "price", "state the amounts of the price that you pay"),
        ("{mode: batch}", "", "price", "no mode in which calls are made"),
    ],
)
def test_a_wrong_price_names_file_line_and_key(price: str, more: str, key: str, words: str, tmp_path: Path) -> None:
    """The error stands where the price stands, and says what to write."""
    text = config(deployments=OWN.format(price=f"{price}") + " #!", routes=ROUTES, more=more)
    with pytest.raises(ConfigError) as caught:
        load_files(tmp_path, modelrouter=text)
    assert caught.value.key is not None
    assert caught.value.key.endswith(key)
    assert words in caught.value.reason
    assert caught.value.file is not None
    assert caught.value.file.endswith("modelrouter.yaml")
    assert caught.value.line == marked_line(text)


# --- currencies -------------------------------------------------------------------------------------------------------


def test_a_stated_price_in_euros_is_converted_exactly() -> None:
    """Figure times rate, with the rate, its day and its source in the book."""
    price = _price("{currency: EUR, input_per_mtok: 0.333, output_per_mtok: 1}", more=EURO)
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (Decimal("0.35964"), Decimal("1.08"))
    reference = price.reference
    assert reference is not None
    assert (reference.currency, reference.usd_per_unit, reference.rate_source) == (
        "EUR",
        Decimal("1.08"),
        "central bank",
    )


def test_a_list_in_euros_waits_for_a_rate() -> None:
    """Without one nobody is charged wrongly: refused, with the line to add. With one it is permitted."""
    refused, _ = _row(_setup(deployments=SCALEWAY))
    (verdict,) = refused.refusals
    assert (verdict.rule, verdict.judgement.reason) == ("price", "unknown")
    assert "add `rates: {EUR: {usd: …, checked_on: …, source: …}}`" in verdict.judgement.remedy
    permitted, _ = _row(_setup(deployments=SCALEWAY, more=EURO))
    assert not permitted.refusals
    assert _price(deployments=SCALEWAY, more=EURO).input_usd_per_mtok == Decimal("0.972")


def test_another_rate_is_another_world() -> None:
    """The price is part of what a decision rests on, so compiled verdicts do not outlive a rate."""
    first, second = (_setup(deployments=SCALEWAY, more=EURO.replace("1.08", rate)) for rate in ("1.08", "1.09"))
    assert first.world.epoch != second.world.epoch


@pytest.mark.parametrize(
    ("rates", "key", "words"),
    [
        ("rates: {EUR: {usd: 0, checked_on: 2026-11-01, source: x}} #!", "rates.EUR.usd", "above zero|a rate of zero"),
        ("rates: {EUR: {usd: 1.08, source: x}} #!", "rates.EUR.checked_on", "the day of the rate"),
        ("rates: {EUR: {usd: 1.08, checked_on: 2026-11-01}} #!", "rates.EUR.source", "where the rate comes from"),
        ("rates: {euro: {usd: 1.08, checked_on: 2026-11-01, source: x}} #!", "rates.euro", "three letters"),
        ("rates: {USD: {usd: 1, checked_on: 2026-11-01, source: x}} #!", "rates.USD", "a dollar is a dollar"),
    ],
)
def test_a_rate_needs_its_day_and_its_source(rates: str, key: str, words: str, tmp_path: Path) -> None:
    """A rate that nobody can check is no rate."""
    text = config(more=rates)
    with pytest.raises(ConfigError, match=words) as caught:
        load_files(tmp_path, modelrouter=text)
    assert (caught.value.key, caught.value.line) == (key, marked_line(text))


def test_a_rate_of_the_house_holds_below(tmp_path: Path) -> None:
    """A file below a house uses its rates and cannot give others."""
    text = config(include="include: [house.yaml]", deployments=SCALEWAY, routes=ROUTES)
    setup = load_files(tmp_path, house=f"modelrouter: 1\n{EURO}\n", modelrouter=text)
    found = setup.world.deployments["own"].price.value
    assert found is not None
    assert found.input_usd_per_mtok == Decimal("0.972")
    with pytest.raises(ConfigError, match=r"`EUR` is defined in .*house\.yaml"):
        load_files(tmp_path, house=f"modelrouter: 1\n{EURO}\n", modelrouter=text + EURO.replace("1.08", "0.01") + "\n")


def test_a_house_that_owns_prices_owns_rates(tmp_path: Path) -> None:
    """Where files below may state no price, they may not make one cheaper by a rate either."""
    text = config(include="include: [house.yaml]", deployments=SCALEWAY, routes=ROUTES, more=EURO)
    house = "modelrouter: 1\nownership: {price: forbidden}\n"
    with pytest.raises(ConfigError, match="forbids to state `price` here") as caught:
        load_files(tmp_path, house=house, modelrouter=text)
    assert caught.value.key == "rates.EUR"


# --- listed -----------------------------------------------------------------------------------------------------------


def test_a_disputed_price_is_flagged_and_reserved_at_the_dearest() -> None:
    """The decision's fact says so with the number of sources, and bound and cost are those of the dearest."""
    setup = _setup(deployments=DISPUTED)
    row, _ = _row(setup)
    (fact,) = row.verdicts[0].judgement.used
    assert fact.shown == "0.09/0.47 USD per Mtok, disputed: the dearest of 2 sources"
    assert "litellm 1.105.3" in fact.source.ref
    assert "genai-prices 0.2.3" in fact.source.ref
    price = _price(deployments=DISPUTED)
    assert price.disputed
    assert price.worst_nano_usd(1_000_000, 1_000_000) == 560_000_000
    assert price.cost_nano_usd(Usage(1_000_000, 1_000_000)) == 560_000_000


def test_a_mode_of_the_list_is_taken_together_with_the_wire() -> None:
    """`price: {mode: flex}` takes the listed flex price, and the calls ask for the flex tier: one cannot lie."""
    deployment = 'deployments:\n  own: {model: gpt-6-sol, operator: openai, endpoint: eu, key: "env:K"'
    setup = _setup(deployments=f"{deployment}, price: {{mode: flex}}}}")
    price = setup.world.deployments["own"].price.value
    assert price is not None
    assert (price.mode, price.input_usd_per_mtok) == (PriceMode.FLEX, Decimal("1.1"))
    assert setup.endpoints["own"].pins["service_tier"] == "flex"
    plain = _setup(deployments=f"{deployment}}}")
    assert plain.endpoints["own"].pins["service_tier"] == "default"


@pytest.mark.parametrize(
    ("today", "shown", "valid_until"),
    [
        (date(2026, 12, 31), "0.75/3.75 USD per Mtok", date(2027, 1, 1)),
        (date(2027, 1, 1), "1.5/7.5 USD per Mtok, disputed: the dearest of 3 sources", None),
    ],
)
def test_a_decision_is_good_until_the_price_changes(today: date, shown: str, valid_until: date | None) -> None:
    """The day of an announced change is the first on which a compiled verdict is looked at again."""
    row, until = _row(_setup(deployments=CHANGING), today)
    assert row.verdicts[0].judgement.used[0].shown == shown
    assert until == valid_until


@pytest.mark.parametrize(
    ("days", "today", "reason", "turns_on"),
    [
        ("valid_until: 2026-11-22", date(2026, 11, 22), "", date(2026, 11, 23)),
        ("valid_until: 2026-11-22", date(2026, 11, 23), "known until 2026-11-22", None),
        ("valid_from: 2026-11-23", date(2026, 11, 22), "known from 2026-11-23 on", date(2026, 11, 23)),
        ("valid_from: 2026-11-22", date(2026, 11, 22), "", None),
    ],
)
def test_a_price_holds_through_its_last_day(days: str, today: date, reason: str, turns_on: date | None) -> None:
    """Beyond its days a price is unknown, and unknown refuses."""
    row, until = _row(_setup(f"{{input_usd_per_mtok: 1, output_usd_per_mtok: 2, {days}}}"), today)
    assert [each.judgement.reason for each in row.refusals] == ([reason] if reason else [])
    assert until == turns_on


# --- the schema -------------------------------------------------------------------------------------------------------


jsonschema: Any = importlib.import_module("jsonschema")  # ships no types

ENTRIES = [
    "{input_usd_per_mtok: 1, output_usd_per_mtok: 2, tiers: [{above_input_tokens: 9, input_usd_per_mtok: '2'}]}",
    "{currency: EUR, input_per_mtok: 1, output_per_mtok: 2, hours: [{start: '16:30', end: '24:00', weekdays: [1]}]}",
    "{machine_hour_usd: 1.5, slots: 4}",
    "{machine_hour_usd: 1, changes: [{begins_on: 2027-01-01, input_usd_per_mtok: 1, output_usd_per_mtok: 3}]}",
    "{free: true}",
]


def _schema_of_price() -> dict[str, Any]:
    schema = json_schema()["config"]
    price: dict[str, Any] = schema["$defs"]["DeploymentConfig"]["properties"]["price"]
    return price


@pytest.mark.parametrize("text", ENTRIES)
def test_editors_accept_what_is_accepted(text: str) -> None:
    """The JSON Schema of a deployment's price and the catalog's own know every key that is read."""
    entry: Any = parse(text, "price.yaml").value
    plain = {key: float(each) if isinstance(each, Decimal) else each for key, each in entry.items()}
    jsonschema.validate(plain, _schema_of_price())
    PriceEntry.model_validate(entry)
    assert not _price(text, more=EURO).is_zero or entry.get("free")


@pytest.mark.parametrize(
    "entry",
    [
        {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "mode": "turbo"},
        {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "tiers": [{"input_usd_per_mtok": 2}]},
        {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "hours": [{"start": "4", "end": "05:00"}]},
        {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "price": 3},
    ],
)
def test_editors_refuse_what_is_refused(entry: dict[str, Any]) -> None:
    """A wrong word, a tier that begins nowhere, an hour that is none, an unknown key."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(entry, _schema_of_price())


def test_both_schemas_know_the_same_keys() -> None:
    """What is read, what the catalog's schema holds and what editors are told is one set of keys."""
    (written, *_) = _schema_of_price()["anyOf"]
    assert set(written["properties"]) == set(PriceEntry.model_fields) == PRICE_KEYS
