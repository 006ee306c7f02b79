"""The shipped operators: prices, places, wires, and that what examples use answers every question of a policy."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog.schema import (
    GroupEntry,
    LicenceEntry,
    OrganisationEntry,
)
from modelrouter.core.bounds import BoundBasis
from modelrouter.core.facts import (
    SELF,
    Grade,
    Hosting,
    State,
    Training,
)
from modelrouter.core.request import Reasoning
from tests.catalog.lineage import ancestors, countries

if TYPE_CHECKING:
    from pydantic import BaseModel

    from modelrouter.catalog import Catalog

ROOT = files("modelrouter.catalog")
FACT_DATE = date(2026, 11, 22)
TABLES: dict[str, type[BaseModel]] = {
    "organisations.yaml": OrganisationEntry,
    "licences.yaml": LicenceEntry,
    "groups.yaml": GroupEntry,
}


@pytest.mark.parametrize(
    ("operator", "endpoint", "model", "expected"),
    [
        ("mistral", "eu", "mistral-medium-3.5", ("1.65", "8.25", "0.165")),
        ("mistral", "global", "mistral-medium-3.5", ("1.5", "7.5", "0.15")),
        ("azure", "datazone-eu", "gpt-5.6-sol", ("4.4", "22", "0.44")),
        ("openai", "global", "gpt-5.6-sol", ("4", "20", "0.4")),
        ("bedrock", "eu", "claude-sonnet-5", ("2.2", "11", "0.22")),
        ("anthropic", "global", "claude-haiku-4-5", ("1", "5", "0.1")),
        ("groq", "default", "gpt-oss-20b", ("0.075", "0.3", "0.0375")),
    ],
)
def test_prices_at_endpoints_are_exact(
    catalog: Catalog, operator: str, endpoint: str, model: str, expected: tuple[str, str, str]
) -> None:
    """A list price times an uplift is the price that the vendor lists for the region, to the last digit."""
    template = catalog.template(operator)
    price = template.price(template.endpoint(endpoint), template.offer(model)).value
    assert price is not None
    found = (price.input_usd_per_mtok, price.output_usd_per_mtok, price.cached_input_usd_per_mtok)
    assert found == tuple(Decimal(amount) for amount in expected)


def test_a_cache_write_that_costs_more_than_input_is_in_the_bound(catalog: Catalog) -> None:
    """GPT-5.6 bills what it writes into its cache at 1.25 times the input price, so the worst case counts it."""
    price = catalog.template("openai").offer("gpt-5.6-sol").price.value
    assert price is not None
    assert price.cache_write_usd_per_mtok == Decimal(5)
    assert price.worst_nano_usd(200_000, 0) == 1_000_000_000
    assert price.worst_nano_usd(300_000, 0) == 3_000_000_000  # beyond the step, at twice the price


def test_a_price_in_steps_holds_only_for_the_context_that_is_offered(catalog: Catalog) -> None:
    """Where longer prompts cost more, the offer ends at the first step: the one price it has is right up to there."""
    assert catalog.template("azure").offer("gpt-5.6-sol").context_tokens.value == 272_000
    assert catalog.template("google-ai-studio").offer("gemini-2.5-pro").context_tokens.value == 200_000
    assert catalog.template("minimax-intl").offer("minimax-m3").context_tokens.value == 512_000


@pytest.mark.parametrize(
    ("operator", "model"),
    [
        ("scaleway", "mistral-small-3.2"),  # in euros, and nobody gave a rate
        ("openrouter", "gpt-oss-120b"),  # that of the pinned operator
        ("self-vllm", "qwen3-32b"),  # what one's own machine costs
    ],
)
def test_a_price_that_nobody_can_state_is_unknown(catalog: Catalog, operator: str, model: str) -> None:
    """No price is better than a wrong one: unknown refuses."""
    assert catalog.template(operator).offer(model).price.state is State.UNKNOWN


USABLE = [
    ("mistral", "eu", "mistral-medium-3.5"),
    ("azure", "datazone-eu", "gpt-5.6-sol"),
    ("openai", "global", "gpt-5.6-sol"),
    ("anthropic", "global", "claude-sonnet-5"),
    (None, "default", "qwen3-32b"),
    (None, "default", "mistral-small-3.2"),
    (None, "default", "smollm2-135m-instruct"),
    (None, "default", "gpt-oss-20b"),
    (None, "default", "gpt-oss-120b"),
]


@pytest.mark.parametrize(("operator", "endpoint", "model"), USABLE)
def test_what_demo_and_examples_use_answers_every_question(
    catalog: Catalog, operator: str | None, endpoint: str, model: str
) -> None:
    """Origin with all ancestors, operator with all parents, place, training, retention, licence: all known."""
    for ancestor in ancestors(catalog, model):
        facts = catalog.model(ancestor)
        assert facts.derived_from.state in {State.KNOWN, State.NONE}, ancestor
        assert facts.licence.value in catalog.licences
        assert countries(catalog, facts.developer.value or "") is not None, ancestor
    if operator is None:
        return
    template = catalog.template(operator)
    chosen = template.endpoint(endpoint)
    assert countries(catalog, template.operator) is not None
    assert chosen.terms.processing.source.grade in {Grade.CONTRACTUAL, Grade.TECHNICAL}
    assert chosen.terms.processing.value
    assert chosen.terms.training.value is Training.NEVER
    assert chosen.terms.retention_days.value == 30
    assert template.price(chosen, template.offer(model, endpoint)).state is State.KNOWN


def test_mistral_in_the_eu_may_run_in_switzerland(catalog: Catalog) -> None:
    """Its EU host promises the EU and EFTA; a policy for the EEA alone must not take that for the EEA."""
    assert catalog.template("mistral").endpoint("eu").terms.processing.value == frozenset({"EU", "EFTA"})
    assert catalog.template("mistral").endpoint().terms.processing.value == frozenset({"global"})


def test_every_direct_wire_is_https_and_bound_to_its_host(catalog: Catalog) -> None:
    """An operator's base URL is https and its host the only one; servers of one's own have none."""
    for template in catalog.templates.values():
        for endpoint in template.endpoints.values():
            if template.operator == SELF:
                assert (endpoint.wire.base_url, endpoint.wire.hosts, endpoint.wire.key) == ("", frozenset(), "")
            elif endpoint.wire.lane == "direct":
                assert endpoint.wire.base_url.startswith("https://"), template.id
                assert len(endpoint.wire.hosts) == 1, template.id
                assert endpoint.wire.key, template.id


def test_endpoints_do_not_share_hosts_with_other_operators(catalog: Catalog) -> None:
    """A host belongs to one operator, so that a base URL tells whose it is."""
    owners: dict[str, set[str]] = {}
    for template in catalog.templates.values():
        for endpoint in template.endpoints.values():
            for host in endpoint.wire.hosts:
                owners.setdefault(host, set()).add(template.operator)
    assert {host: names for host, names in owners.items() if len(names) > 1} == {}


def test_every_template_states_how_input_is_bounded(catalog: Catalog) -> None:
    """Each template has a basis for the upper bound, with a source; where searches write prompts, only the window."""
    found = {template.id: template.bound_basis.value for template in catalog.templates.values()}
    assert found.pop("perplexity") is BoundBasis.WINDOW
    assert set(found.values()) == {BoundBasis.DOCUMENTED}


def test_azure_bills_refused_prompts(catalog: Catalog) -> None:
    """Azure bills some 400 and 408 answers; its key goes into a header of its own; its host needs the resource."""
    wire = catalog.template("azure").endpoint("datazone-eu").wire
    assert wire.billed_statuses == {400, 408}
    assert wire.key_header == "api-key"
    assert wire.placeholders == {"resource"}
    assert wire.filled({"resource": "acme"}).hosts == {"acme.openai.azure.com"}


def test_an_aggregator_is_pinned_to_one_operator(catalog: Catalog) -> None:
    """OpenRouter gets the one provider and no fallback; Hugging Face gets it behind the model's name."""
    openrouter = catalog.template("openrouter")
    wire = openrouter.endpoint().wire.filled({"provider": openrouter.providers["groq"]})
    assert wire.pins["provider"] == {
        "only": ["groq"],
        "allow_fallbacks": False,
        "require_parameters": True,
        "data_collection": "deny",
    }
    router = catalog.template("huggingface")
    endpoint = router.endpoint()
    assert router.called(endpoint, router.offer("gpt-oss-120b")) == "openai/gpt-oss-120b:{provider}"


def test_the_name_on_bedrock_carries_the_place(catalog: Catalog) -> None:
    """The geographic profile is the prefix of the model's name; a model outside profiles is only served in a region."""
    bedrock = catalog.template("bedrock")
    offer = bedrock.offer("claude-sonnet-5", "eu")
    assert bedrock.called(bedrock.endpoint("eu"), offer) == "eu.anthropic.claude-sonnet-5"
    assert bedrock.endpoint("eu").wire.extra == {"aws_region_name": "{region}"}


def test_levels_of_reasoning_are_mapped_per_model(catalog: Catalog) -> None:
    """On vLLM, Qwen3 is told through its template and gpt-oss by effort; `none` does not exist for gpt-oss."""
    vllm = catalog.template(SELF, "vllm")
    qwen = vllm.wire(vllm.endpoint(), vllm.offer("qwen3-32b")).reasoning
    oss = vllm.wire(vllm.endpoint(), vllm.offer("gpt-oss-20b")).reasoning
    assert qwen[Reasoning.NONE] == {"chat_template_kwargs": {"enable_thinking": False}}
    assert set(oss) == {Reasoning.LOW, Reasoning.HIGH}


def test_who_holds_the_weights(catalog: Catalog) -> None:
    """Self-hosted, managed by another, or the vendor's own API; Gemini on Vertex is Google's own."""
    for operator, model, expected in (
        ("mistral", "mistral-medium-3.5", Hosting.VENDOR_API),
        ("azure", "gpt-5.6-sol", Hosting.MANAGED),
        ("vertex", "gemini-3.5-flash", Hosting.VENDOR_API),
        ("vertex", "gpt-oss-120b", Hosting.MANAGED),
        ("groq", "gpt-oss-20b", Hosting.MANAGED),
    ):
        template = catalog.template(operator)
        assert template.hosting(template.offer(model)) is expected
    server = catalog.template(SELF, "llamacpp")
    assert server.hosting(server.offer("smollm2-135m-instruct")) is Hosting.SELF_HOSTED
