"""`modelrouter catalog prices`: what is charged, what each source says, and where they differ."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.core.pricing import PriceList

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Ran


@pytest.fixture
def wide(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command before a terminal in which no line of a table folds."""
    monkeypatch.setenv("COLUMNS", "400")
    return run


def _offers(ran: Ran) -> dict[str, dict[str, Any]]:
    return {each["operator"]: each for each in ran.document["offers"]}


def test_every_offer_is_shown_with_its_sources(run: Callable[..., Ran]) -> None:
    """Each operator that offers the model, with the snapshot that it comes from, and each source with its version."""
    catalog = load_catalog()
    document = run("catalog", "prices", "gpt-oss-120b", "--json").document
    operators = {each.id for each in catalog.templates.values() if "gpt-oss-120b" in each.models}
    assert {each["operator"] for each in document["offers"]} == operators
    assert catalog.prices is not None
    assert document["snapshot"]["sha256"] == catalog.prices.sha256
    for offer in document["offers"]:
        assert (offer["unpriced"] is None) == bool(offer["stated"])
        for stated in offer["stated"]:
            assert (
                stated["is_copy"] or stated["version"] == document["snapshot"]["sources"][stated["source"]]["version"]
            )


def test_a_price_is_that_of_its_endpoint_and_mode(run: Callable[..., Ran]) -> None:
    """A region's uplift is in the price, every mode is listed, and the booked text reads back."""
    offer = _offers(run("catalog", "prices", "gpt-5.6-sol", "--json"))["openai"]
    endpoints = {each["endpoint"]: each for each in offer["endpoints"]}
    assert endpoints["global"]["is_default"]
    assert endpoints["global"]["prices"]["standard"]["input_usd_per_mtok"] == "4"
    assert endpoints["eu"]["prices"]["priority"]["input_usd_per_mtok"] == "8.8"
    catalog = load_catalog()
    template = catalog.template("openai")
    price = template.price(template.endpoint("eu"), template.offer("gpt-5.6-sol")).value
    assert price is not None
    shown = endpoints["eu"]["prices"]["standard"]
    assert (shown["digest"], shown["disputed"]) == (price.digest, False)
    assert PriceList.from_text(price.to_text()).tiers[0].rates.input_usd_per_mtok == Decimal("8.8")


def test_the_table_says_what_is_disputed(wide: Callable[..., Ran]) -> None:
    """Both figures, the classes in which they differ, and which one counts."""
    out = wide("catalog", "prices", "gpt-oss-120b", "--operator", "ovhcloud").out
    assert "disputed (input, output): the dearest counts" in out
    assert "0.09 in, 0.47 out" in out
    assert "0.08 in, 0.4 out" in out
    assert "litellm 1.105.3" in out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("deepseek-v4-pro", "Mon-Fri 10:00-24:00 UTC: 0.66 in, 1.98 out, cached 0.022"),
        ("gemini-3.8-flash", "until 2026-12-31"),
        ("gpt-5.6-sol", "above 272000: 8 in, 30 out"),
        ("llama-3.3-70b-instruct", "in EUR: needs a rate for it in your configuration"),
        ("qwen3-32b", "self-vllm: no price (a server of one's own"),
    ],
)
def test_the_table_shows_everything_that_changes_a_price(wide: Callable[..., Ran], model: str, words: str) -> None:
    """Hours, announced days, prompt lengths, currencies, and why there is no price."""
    assert words in wide("catalog", "prices", model).out


def test_one_operator_can_be_asked_for(run: Callable[..., Ran]) -> None:
    """Only its offer is shown; one that does not serve the model is told who does."""
    ran = run("catalog", "prices", "gpt-oss-120b", "--operator", "groq", "--json")
    assert list(_offers(ran)) == ["groq"]
    wrong = run("catalog", "prices", "gpt-5.6-sol", "--operator", "groq")
    assert wrong.code == 2
    assert "`groq` is not known to serve `gpt-5.6-sol`: it is offered by `azure`, `openai`, `openrouter`" in wrong.err
    unknown = run("catalog", "prices", "gpt-5.6-sol", "--operator", "openia")
    assert (unknown.code, "did you mean `openai`" in unknown.err) == (2, True)


def test_an_unknown_model_names_the_nearest(run: Callable[..., Ran]) -> None:
    """One sentence, as the other catalog commands answer."""
    ran = run("catalog", "prices", "gpt-5.6-so")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: model `gpt-5.6-so` is not in the catalog: did you mean `gpt-5.6-sol`?\n"


def test_a_model_that_nobody_offers_says_so(run: Callable[..., Ran]) -> None:
    """No table, one sentence."""
    catalog = load_catalog()
    offered = {model for template in catalog.templates.values() for model in template.models}
    lonely = next(name for name in sorted(catalog.models) if name not in offered)
    ran = run("catalog", "prices", lonely)
    assert ran.code == 0
    assert "no operator in the catalog offers it" in ran.out
    assert run("catalog", "prices", lonely, "--json").document["offers"] == []
