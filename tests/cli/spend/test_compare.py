"""`--compare-to`: which price is meant, and what the same tokens come to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.catalog import load_catalog
from modelrouter.cli.spend.compare import comparison, estimate_nano_usd
from modelrouter.config import find_config, load
from modelrouter.core.pricing import PriceList, Rates, Tier
from modelrouter.errors import CatalogError, RequestError
from modelrouter.ledger.reports import Sums
from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.config import Setup

PRICE: Final = PriceList(
    Decimal("0.3"),
    Decimal("1.5"),
    cached_input_usd_per_mtok=Decimal("0.03"),
    reasoning_usd_per_mtok=Decimal("2.5"),
    cache_write_usd_per_mtok=Decimal("0.375"),
)
COUNTS: Final = st.integers(0, 10**9)


@pytest.fixture
def setup(folder: Path) -> Setup:
    """The tests' config: `own` of one's own at 1 and 2 USD, `dear` at OpenAI by the catalog."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    return load(find_config(None))


@given(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), st.integers(1, 10**4))
def test_an_estimate_is_the_price_of_all_tokens(counts: tuple[int, int, int, int, int], attempts: int) -> None:
    """Every token is priced once at the rate of its class; rounding adds less than a nano-dollar for each attempt."""
    fresh, cached, written, plain, reasoning = counts
    sums = Sums(
        attempts=attempts,
        input_tokens=fresh + cached + written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=plain + reasoning,
        reasoning_tokens=reasoning,
    )
    exact = Decimal(300) * fresh + 30 * cached + 375 * written + 1500 * plain + 2500 * reasoning
    assert 0 <= estimate_nano_usd(PRICE, sums) - exact < attempts


def test_fees_are_paid_by_each_attempt_that_answered() -> None:
    """Three answers of four attempts pay three fees; without any token nothing is estimated."""
    price = PriceList(Decimal(1), Decimal(1), request_usd=Decimal("0.01"))
    sums = Sums(attempts=4, failures=1, input_tokens=300, output_tokens=0)
    assert estimate_nano_usd(price, sums) == 3 * 10_000_000 + 300_000
    assert estimate_nano_usd(price, Sums(attempts=4)) == 0


def test_a_tier_goes_by_the_mean_prompt() -> None:
    """A thousand prompts of 100 tokens do not reach a tier that begins above 200; ten of 1,000 do."""
    dearer = Rates(input_usd_per_mtok=Decimal(10), output_usd_per_mtok=Decimal(10))
    price = PriceList(Decimal(1), Decimal(1), tiers=(Tier(200, dearer),))
    assert estimate_nano_usd(price, Sums(attempts=1_000, input_tokens=100_000)) == 100_000_000
    assert estimate_nano_usd(price, Sums(attempts=10, input_tokens=10_000)) == 100_000_000


def test_a_deployment_of_the_config_comes_first(setup: Setup) -> None:
    """By its own name or its model's, with the operator or without: the price that would be paid here."""
    for text in ("own", "gpt-oss-20b", "gpt-oss-20b@self", "own@self"):
        found = comparison(setup, load_catalog(), text)
        assert found.name == "gpt-oss-20b@self"
        assert found.price.output_usd_per_mtok == 2
        assert "deployment `own`" in found.found


def test_the_catalog_knows_the_rest(setup: Setup) -> None:
    """An operator may be named; without one the developer's own offer counts."""
    catalog = load_catalog()
    model = next(
        name
        for name, entry in sorted(catalog.models.items())
        if (entry.developer.value or "") in catalog.templates
        and name in catalog.templates[entry.developer.value or ""].models
        and name not in {each.model for each in setup.world.deployments.values()}
        and catalog.templates[entry.developer.value or ""].models[name].price.value is not None
    )
    found = comparison(setup, catalog, model)
    assert found.operator == catalog.models[model].developer.value
    assert "the catalog" in found.found
    assert comparison(setup, catalog, f"{model}@{found.operator}") == found
    with pytest.raises(RequestError, match="at `nobody` is not known: it is known for"):
        comparison(setup, catalog, f"{model}@nobody")


def test_a_model_with_many_prices_wants_an_operator(setup: Setup) -> None:
    """Where the developer offers nothing and several others do, one must be named; each of them can be."""
    catalog = load_catalog()
    offered: dict[str, set[str]] = {}
    for template in catalog.templates.values():
        for name, offer in template.models.items():
            if offer.price.value is not None and template.operator != "self":
                offered.setdefault(name, set()).add(template.operator)
    several = [
        name
        for name, operators in sorted(offered.items())
        if len(operators) > 1 and catalog.models[name].developer.value not in operators
    ]
    assert several
    with pytest.raises(RequestError, match="several operators offer `"):
        comparison(setup, catalog, several[0])
    for operator in offered[several[0]]:
        assert comparison(setup, catalog, f"{several[0]}@{operator}").operator == operator


def test_what_is_unknown_is_one_sentence(setup: Setup) -> None:
    """A model that nobody knows names the nearest; machine hours cannot be compared with tokens."""
    with pytest.raises(CatalogError, match="did you mean `gpt-6-sol`"):
        comparison(setup, load_catalog(), "gpt-6-sool")
    deployments = dict(setup.world.deployments)
    hourly = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal(3))
    own = deployments["own"]
    deployments["own"] = replace(own, price=replace(own.price, value=hourly))
    changed = replace(setup, world=replace(setup.world, deployments=deployments))
    with pytest.raises(RequestError, match="by the hour of its machine"):
        comparison(changed, load_catalog(), "own")


def test_two_prices_in_the_config_want_a_name(setup: Setup) -> None:
    """Two deployments of a model at two prices are told by their names."""
    own = setup.world.deployments["own"]
    twin = replace(own, id="twin", price=replace(own.price, value=PriceList(Decimal(9), Decimal(9))))
    changed = replace(setup, world=replace(setup.world, deployments={**setup.world.deployments, "twin": twin}))
    with pytest.raises(RequestError, match="compare with one of `own`, `twin`"):
        comparison(changed, load_catalog(), "gpt-oss-20b")
    assert comparison(changed, load_catalog(), "twin").price.input_usd_per_mtok == 9
