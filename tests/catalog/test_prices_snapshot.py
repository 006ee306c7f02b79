"""The shipped prices: complete, made from what is installed, unchanged since, and never cheaper than they were."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.catalog import refresh_prices
from modelrouter.catalog.currency import CurrencyRate
from modelrouter.catalog.loader import read_catalog
from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.prices import load_prices, read_prices
from modelrouter.catalog.reading import Place
from modelrouter.catalog.schema import PriceEntry
from modelrouter.core.facts import Confidence, Ownership, Source, State
from modelrouter.core.pricing import BilledAt, PriceList, PriceMode, Span, Usage
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from modelrouter.catalog import Catalog
    from modelrouter.catalog.prices import ListedPrice

SNAPSHOT = load_prices()
FOLDER = Path(refresh_prices.__file__).parent
PRICED = sorted(name for name, entry in SNAPSHOT.offers.items() if "unpriced" not in entry)
EURO = {"EUR": CurrencyRate("EUR", Decimal("1.08"), date(2026, 11, 1), "central bank")}
MONDAY_US = 1_781_481_600_000_000  # 2026-06-15, 00:00 UTC
HOUR_US = 3_600_000_000


def _listed(name: str) -> ListedPrice:
    found = SNAPSHOT.offer(*name.split("/", 1))
    assert found is not None
    return found


def _price(name: str) -> PriceList:
    found = _listed(name).fact(rates=EURO).value
    assert found is not None
    return found


def _written() -> dict[str, Any]:
    """The operators' files, by id."""
    return {
        file.stem: parse(file.read_text(encoding="utf-8"), file.name).value
        for file in sorted((FOLDER / "operators").glob("*.yaml"))
    }


# --- complete ---------------------------------------------------------------------------------------------------------


def test_every_offer_is_mapped_or_says_why_not(catalog: Catalog) -> None:
    """No offer is forgotten, and none is in the snapshot that the catalog does not have."""
    offers = {f"{template.id}/{model}" for template in catalog.templates.values() for model in template.models}
    served = {
        f"{template.id}/{model}@{endpoint}"
        for template in catalog.templates.values()
        for model, offer in template.models.items()
        for endpoint in offer.endpoints or template.endpoints
    }
    assert set(SNAPSHOT.offers) <= offers | served
    assert set(SNAPSHOT.unpriced) <= set(catalog.templates)
    for name in offers:
        listed = _listed(name)
        assert listed.unpriced or listed.entry["modes"]["standard"], name


def test_a_mapping_that_does_not_fit_the_catalog_is_refused() -> None:
    """A new offer without a line in the mapping, and a line without an offer, each with what to do."""
    mapping = {"operators": {"a": {"models": {"one": {"litellm": "x"}, "gone": {}}}, "b": {"unpriced": "a host"}}}
    with pytest.raises(ValueError, match="a/gone` is in the mapping, not in the catalog") as caught:
        refresh_prices.mapped_offers(mapping, {"a": ["one", "two"], "c": ["three"]})
    for words in ("`a/two` is missing in the mapping", "`b` is in the mapping", "`c` is missing in the mapping"):
        assert words in str(caught.value)


def test_an_endpoint_may_have_a_list_of_its_own() -> None:
    """What stands under `at` is an entry of its own beside the offer's; an endpoint that is not there is an error."""
    mapping = {"operators": {"a": {"models": {"one": {"litellm": "x", "at": {"eu": {"litellm": "y"}}}}}}}
    found = refresh_prices.mapped_offers(mapping, {"a": ["one"]})
    assert [(each.offer, each.refs) for each in found] == [("a/one", {"litellm": "x"}), ("a/one@eu", {"litellm": "y"})]
    operators = {"a": {"models": {"one": None}, "endpoints": {"us": {}}}}
    mapping["operators"]["a"]["models"]["one"] = {"unpriced": "nobody lists it", "at": {"eu": {"litellm": "y"}}}
    with pytest.raises(ValueError, match="`a/one@eu` is in the mapping, and `a` has no endpoint `eu`"):
        refresh_prices.snapshot({**mapping, "sources": {}, "copies": []}, operators, [], SNAPSHOT.checked_on)


@pytest.mark.parametrize("name", PRICED)
def test_every_listed_price_can_be_charged(name: str) -> None:
    """Each mode makes a price list with a source, which reads back from its text, and costs something."""
    listed = _listed(name)
    for mode in listed.modes:
        fact = listed.fact(PriceMode(mode), EURO)
        price = fact.value
        assert price is not None
        assert price.mode.value == mode
        assert not price.is_zero
        assert price.reference is not None
        assert price.reference.snapshot == SNAPSHOT.sha256
        assert price.reference.checked_on == SNAPSHOT.checked_on
        assert fact.source.ref == price.reference.source
        assert PriceList.from_text(price.to_text()) == price
        assert price.cost_nano_usd(Usage(1000, 1000)) <= price.worst_nano_usd(1000, 1000)


def test_zero_is_nowhere_a_price() -> None:
    """A class that a source calls free is charged as the class around it."""
    for name in PRICED:
        for each in _listed(name).entry["modes"].values():
            for held in each:
                assert all(Decimal(rate) > 0 for rate in held["rates"].values()), name


# --- made from what is installed --------------------------------------------------------------------------------------


def test_the_command_makes_what_is_shipped() -> None:
    """From the installed packages, on the recorded day, the same bytes come out, and the hash beside them fits."""
    made = refresh_prices.build(SNAPSHOT.checked_on)
    assert made == (FOLDER / "prices.json").read_bytes()
    recorded = (FOLDER / "prices.sha256").read_text(encoding="utf-8")
    assert recorded == f"{hashlib.sha256(made).hexdigest()}  prices.json\n"


def test_what_was_reviewed_is_what_is_pinned() -> None:
    """The mapping was reviewed for the versions that the project is tested with."""
    root = Path(__file__).parents[2]
    pinned = dict(
        line.split("==", 1) for line in (root / "constraints.txt").read_text(encoding="utf-8").split() if "==" in line
    )
    for name, source in SNAPSHOT.sources.items():
        assert source["version"] == pinned.get(name), f"{name}: pin and mapping differ"


def test_another_version_is_not_read_unreviewed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source that moved is looked at by a person before its prices are taken."""
    mapping = refresh_prices.read_mapping()
    mapping["sources"]["litellm"]["version"] = "0.0.1"
    monkeypatch.setattr(refresh_prices, "read_mapping", lambda folder=None: mapping)
    assert refresh_prices.main(["--check"]) == 2
    assert "was reviewed for 0.0.1: review it" in capsys.readouterr().err


def test_check_tells_whether_the_files_would_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 where all is as it would be written, 1 where it is not; without `--check` it is written."""
    made = b'{"checked_on":"2026-11-22"}'
    monkeypatch.setattr(refresh_prices, "HERE", tmp_path)
    monkeypatch.setattr(refresh_prices, "build", lambda day: made)
    assert refresh_prices.main(["--checked-on", "2026-11-22"]) == 0
    assert refresh_prices.main(["--check"]) == 0
    made += b"\n"
    assert refresh_prices.main(["--check"]) == 1
    assert "would change" in capsys.readouterr().out


def test_making_it_imports_no_litellm() -> None:
    """Its map is read as a file: importing the package would run code that changes a process."""
    code = (
        "import sys, datetime; from modelrouter.catalog import refresh_prices as r;"
        "r.build(datetime.date(2026, 11, 22)); print('litellm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "False"


# --- unchanged since --------------------------------------------------------------------------------------------------


def test_a_changed_snapshot_is_refused(tmp_path: Path) -> None:
    """One digit made cheaper is found at load, and the sentence says what to do instead."""
    for name in ("prices.json", "prices.sha256"):
        shutil.copy(FOLDER / name, tmp_path)
    assert read_prices(tmp_path) == SNAPSHOT
    raw = (tmp_path / "prices.json").read_text(encoding="utf-8")
    (tmp_path / "prices.json").write_text(raw.replace('"input":"4"', '"input":"3"', 1), encoding="utf-8")
    with pytest.raises(CatalogError, match=r"changed after they were shipped.*your own prices in your configuration"):
        read_prices(tmp_path)
    (tmp_path / "prices.sha256").unlink()
    with pytest.raises(CatalogError, match="cannot be read: install modelrouter again"):
        read_prices(tmp_path)


def test_a_snapshot_of_another_format_is_refused(tmp_path: Path) -> None:
    """A later format is not guessed at."""
    raw = json.dumps({"format": 99}).encode()
    (tmp_path / "prices.json").write_bytes(raw)
    (tmp_path / "prices.sha256").write_text(f"{hashlib.sha256(raw).hexdigest()}  prices.json\n", encoding="utf-8")
    with pytest.raises(CatalogError, match="format `99`"):
        read_prices(tmp_path)


def test_prices_are_part_of_the_catalogs_digest(catalog: Catalog, tmp_path: Path) -> None:
    """Another snapshot is another world, so no compiled verdict outlives it."""
    shutil.copytree(FOLDER, tmp_path / "catalog", ignore=shutil.ignore_patterns("*.py", "__pycache__", "prices.*"))
    assert read_catalog(tmp_path / "catalog").digest != catalog.digest


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_no_offer_became_cheaper_than_its_written_price() -> None:
    """What the operators' files said before is still the least: a class, where they wrote one, is not below it."""
    compared = 0
    for operator, document in _written().items():
        for model, offer in document.get("models", {}).items():
            if not isinstance(offer, dict) or not isinstance(offer.get("price"), dict):
                continue
            before = price_from(offer["price"], Source("x"), Ownership.SHIPPED, Place()).value
            now = _price(f"{operator}/{model}")
            assert before is not None
            PriceEntry.model_validate(offer["price"])
            for name in ("input", "output", "cached_input", "cache_write"):
                written, held = getattr(before, f"{name}_usd_per_mtok"), getattr(now, f"{name}_usd_per_mtok")
                assert written is None or (held is not None and held >= written), f"{operator}/{model} {name}"
                compared += 1
    assert compared >= 100


@pytest.mark.parametrize(
    ("name", "agreement", "confidence"),
    [
        ("openai/gpt-5.6-sol", "agreed", Confidence.HIGH),
        ("azure/gpt-5.6-sol", "single", Confidence.MEDIUM),
        ("ovhcloud/gpt-oss-120b", "disputed", Confidence.MEDIUM),
    ],
)
def test_agreement_decides_the_confidence(name: str, agreement: str, confidence: Confidence) -> None:
    """Two sources that agree are worth more than one alone, and than two that differ."""
    listed = _listed(name)
    assert listed.entry["modes"]["standard"][0]["agreement"] == agreement
    assert listed.fact().source.confidence is confidence


def test_a_disputed_price_is_the_dearest_and_shows_the_others() -> None:
    """Charged at what the dearest source says, with what each of them says beside it."""
    price = _price("ovhcloud/gpt-oss-120b")
    reference = price.reference
    assert reference is not None
    assert reference.disputed
    said = {each.source: dict(each.amounts) for each in reference.alternatives}
    assert said["litellm"]["input_usd_per_mtok"] < said["genai-prices"]["input_usd_per_mtok"]
    for name in ("input_usd_per_mtok", "output_usd_per_mtok"):
        assert getattr(price, name) == max(each[name] for each in said.values())


def test_steps_of_the_prompt_length_are_charged() -> None:
    """Beyond 272,000 tokens the whole request costs twice as much for input, and half as much again for output."""
    price = _price("openai/gpt-5.6-sol")
    assert price.cost_nano_usd(Usage(272_000, 1000)) == 272_000 * 4000 + 1000 * 20_000
    assert price.cost_nano_usd(Usage(272_001, 1000)) == 272_001 * 8000 + 1000 * 30_000


def test_hours_of_the_week_are_charged() -> None:
    """Twice the price at peak hours on workdays; the end of a reply decides; a bound over both takes the peak."""
    price = _price("deepseek/deepseek-v4-pro")
    assert price.billed_at is BilledAt.END
    usage = Usage(1_000_000, 0)

    def at(hours: float) -> int:
        moment = int(MONDAY_US + hours * HOUR_US)
        return price.cost_nano_usd(usage, Span(moment, moment))

    assert at(2) == at(8) == 1_320_000_000
    assert at(0.5) == at(5) == at(12) == at(5 * 24 + 2) == 660_000_000
    begins_off_peak = Span(MONDAY_US + HOUR_US // 2, MONDAY_US + 2 * HOUR_US)
    assert price.cost_nano_usd(usage, begins_off_peak) == 1_320_000_000
    assert price.worst_nano_usd(1_000_000, 0, begins_off_peak) == 1_320_000_000


def test_an_announced_price_comes_on_its_day() -> None:
    """Half the price until the last day of the year, through its end, and the whole from then on."""
    price = _price("google-ai-studio/gemini-3.8-flash")
    midnight = 1_798_761_600_000_000  # 2027-01-01, 00:00 UTC
    usage = Usage(1_000_000, 0)
    assert price.cost_nano_usd(usage, Span(midnight - 1, midnight - 1)) == 750_000_000
    assert price.cost_nano_usd(usage, Span(midnight, midnight)) == 1_500_000_000
    assert price.worst_nano_usd(1_000_000, 0, Span(midnight - 1, midnight)) == 1_500_000_000
    (change,) = price.changes
    assert change.price.reference is not None
    assert change.price.reference.disputed


def test_modes_have_prices_of_their_own() -> None:
    """Batch and flex cost half, priority twice as much; a mode without a price is unknown and says so."""
    listed = _listed("openai/gpt-5.6-sol")
    prices = {mode: listed.fact(PriceMode(mode)).value for mode in listed.modes}
    found = {mode: price.input_usd_per_mtok for mode, price in prices.items() if price is not None}
    assert found == {"standard": Decimal(4), "batch": Decimal(2), "flex": Decimal(2), "priority": Decimal(8)}
    unknown = _listed("mistral/mistral-small-4").fact(PriceMode.PRIORITY)
    assert (unknown.state, unknown.source.ref) == (State.UNKNOWN, "no source has a price of mode `priority`")


def test_a_list_in_euros_needs_a_rate() -> None:
    """Unknown with what to add; with a rate, exact, and the rate goes into the book."""
    listed = _listed("scaleway/llama-3.3-70b-instruct")
    assert listed.fact().state is State.UNKNOWN
    assert "add `rates: {EUR: {usd:" in listed.fact().source.ref
    price = _price("scaleway/llama-3.3-70b-instruct")
    assert price.input_usd_per_mtok == Decimal("0.972")
    assert price.reference is not None
    assert (price.reference.currency, price.reference.rate_on) == ("EUR", date(2026, 11, 1))
