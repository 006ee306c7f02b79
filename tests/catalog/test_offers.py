"""Operator templates: endpoints, offers, placeholders; and what is refused in them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog.offers import template_from
from modelrouter.catalog.reading import Place
from modelrouter.core.facts import Hosting, Ownership, State, Training
from modelrouter.core.request import Reasoning
from modelrouter.errors import CatalogError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from modelrouter.catalog.templates import OperatorTemplate

TEXT = """
operator: acme
kind: host
source: {ref: https://acme.example/terms, checked_on: 2026-11-22, confidence: high, grade: contractual}
terms: {training: never, retention_days: 7, processing: [global]}
wire:
  base_url: "https://{resource}.acme.example/v1"
  key: ACME_KEY
  supported_parameters: [temperature, tools, seed]
  pins: {route: {only: ["{provider}"]}}
  reasoning: {none: {effort: none}, high: {effort: high}}
  billed_statuses: [400]
  usage: openrouter
bound: {basis: documented, overhead: {per_request_tokens: 200}, source: template}
endpoints:
  world: {}
  eu:
    base_url: https://eu.acme.example/v1
    processing: [EU]
    price_uplift: "1.25"
    name_prefix: eu.
models:
  small:
    name: small-1
    price: {input_usd_per_mtok: "0.10", output_usd_per_mtok: "0.40"}
    context_tokens: 8192
    unsupported_parameters: [seed]
    reasoning: {}
    overhead: {per_request_tokens: 500}
  large: {name: large-1, endpoints: [world], subprocessor: other, hosting: vendor_api}
"""


def template(text: str = TEXT) -> OperatorTemplate:
    """A template from YAML."""
    document = parse(text, "acme.yaml")
    return template_from("acme", document.value, Ownership.SHIPPED, Place("acme.yaml", (), document.line))


def test_an_endpoint_takes_the_operators_terms_and_states_its_own() -> None:
    """The EU endpoint says where it runs; training and retention are the operator's."""
    eu = template().endpoint("eu")
    assert eu.terms.processing.value == frozenset({"EU"})
    assert eu.terms.training.value is Training.NEVER
    assert eu.terms.retention_days.value == 7
    assert template().endpoint("world").terms.processing.value == frozenset({"global"})


def test_an_endpoint_with_its_own_url_has_only_its_own_host() -> None:
    """The operator's global host is no host of the EU endpoint."""
    assert template().endpoint("eu").wire.hosts == {"eu.acme.example"}
    assert template().endpoint("world").wire.hosts == {"{resource}.acme.example"}


def test_an_endpoint_must_be_chosen_where_there_are_several() -> None:
    """No default: the caller hears which there are. A wrong name gets the nearest."""
    with pytest.raises(CatalogError, match="choose an endpoint of `acme`: eu, world"):
        template().endpoint()
    with pytest.raises(CatalogError, match="did you mean `world`"):
        template().endpoint("wrld")
    assert template(TEXT + "default_endpoint: eu\n").endpoint().name == "eu"


def test_one_endpoint_is_the_default() -> None:
    """With a single endpoint, or none written, there is nothing to choose."""
    head = "operator: acme\nkind: host\nsource: x\n"
    assert template(head).endpoint().name == "default"
    assert template(head + "endpoints: {only: {}}\n").endpoint().name == "only"


def test_an_offer_changes_what_it_must() -> None:
    """Parameters are taken away, reasoning replaced, the overhead is its own."""
    acme = template()
    wire = acme.wire(acme.endpoint("eu"), acme.offer("small"))
    assert wire.supported_parameters == frozenset({"temperature", "tools"})
    assert wire.reasoning == {}
    large = acme.wire(acme.endpoint("world"), acme.offer("large"))
    assert large.supported_parameters == frozenset({"temperature", "tools", "seed"})
    assert large.reasoning[Reasoning.NONE] == {"effort": "none"}
    assert acme.overhead.per_request_tokens == 200
    overhead = acme.offer("small").overhead
    assert overhead is not None
    assert (overhead.per_request_tokens, overhead.per_message_tokens) == (500, 16)


def test_price_and_name_depend_on_the_endpoint() -> None:
    """A quarter more in the EU, under a name with a prefix."""
    acme = template()
    price = acme.price(acme.endpoint("eu"), acme.offer("small")).value
    assert price is not None
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (Decimal("0.125"), Decimal("0.5"))
    assert acme.called(acme.endpoint("eu"), acme.offer("small")) == "eu.small-1"
    assert acme.price(acme.endpoint("world"), acme.offer("large")).state is State.UNKNOWN


def test_a_place_may_stand_behind_the_name() -> None:
    """An endpoint's suffix takes the place of the operator's, and only there."""
    changed = template(
        TEXT.replace("    name_prefix: eu.\n", '    name_suffix: "-eu"\n').replace(
            "  key: ACME_KEY\n", '  key: ACME_KEY\n  name_suffix: "-any"\n'
        )
    )
    small = changed.offer("small")
    assert changed.called(changed.endpoint("eu"), small) == "small-1-eu"
    assert changed.called(changed.endpoint("world"), small) == "small-1-any"


def test_an_offer_knows_its_endpoints_and_its_model() -> None:
    """What is not served, or not served there, is refused with the nearest name."""
    acme = template()
    with pytest.raises(CatalogError, match="`acme` serves `large` at world, not at `eu`"):
        acme.offer("large", "eu")
    with pytest.raises(CatalogError, match="did you mean `small`"):
        acme.offer("smal")
    assert acme.hosting(acme.offer("large")) is Hosting.VENDOR_API
    assert acme.hosting(acme.offer("small")) is Hosting.MANAGED
    assert acme.offer("large").subprocessor == "other"


def test_a_server_of_ones_own_serves_any_model() -> None:
    """Nobody but its owner knows what it loaded."""
    server = template("operator: self\nserver: vllm\nkind: self_hosted\nsource: x\n")
    offer = server.offer("acme-support")
    assert offer.model == "acme-support"
    assert server.hosting(offer) is Hosting.SELF_HOSTED


def test_placeholders_are_filled_everywhere() -> None:
    """In the URL, in hosts and deep inside pins."""
    wire = template().endpoint("world").wire
    assert wire.placeholders == {"resource", "provider"}
    filled = wire.filled({"resource": "acme-eu", "provider": "groq"})
    assert filled.base_url == "https://acme-eu.acme.example/v1"
    assert filled.hosts == {"acme-eu.acme.example"}
    assert filled.pins == {"route": {"only": ["groq"]}}
    assert filled.placeholders == frozenset()


@pytest.mark.parametrize("value", ["evil.example/", "a.b", "x@y", "", "-x", "a b", "a/../b", "x#"])
def test_a_value_cannot_name_another_host(value: str) -> None:
    """What is filled in could otherwise turn the URL to a host of its own."""
    with pytest.raises(CatalogError, match="cannot be a resource"):
        template().endpoint("world").wire.filled({"resource": value, "provider": "groq"})


def test_a_missing_value_is_named() -> None:
    """The deployment hears which key to write."""
    with pytest.raises(CatalogError, match="`resource` is missing: write it in the deployment"):
        template().endpoint("world").wire.filled({"provider": "groq"})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: host", "kind: shop", "write one of vendor_api"),
        ("source: {ref: https://acme.example/terms,", "sources: {ref: x,", "did you mean `source`"),
        ("https://{resource}.acme", "http://{resource}.acme", "is no base URL of an operator"),
        ("https://{resource}.acme", "https://key@{resource}.acme", "is no base URL of an operator"),
        ("{resource}", "{tenant}", "`{tenant}` is no placeholder"),
        ("none: {effort: none}", "off: {effort: none}", "`off` is no level of reasoning"),
        ("effort: high}", "effort: 0.5}", "must be whole"),
        ("basis: documented", "basis: guessed", "`guessed` is no basis"),
        ("per_request_tokens: 200", "per_call: 200", "unknown key `per_call`"),
        ("billed_statuses: [400]", "billed_statuses: 400", "a list of HTTP statuses"),
        ('price_uplift: "1.25"', 'price_uplift: "0"', "a price times zero"),
        ("    name_prefix: eu.", "    regions: [eu-west-1]", "the address here has no `{region}`"),
        ("context_tokens: 8192", 'price_uplift: "0"', "a price times zero"),
        ("endpoints: [world]", "endpoints: [moon]", "`moon` is no endpoint here"),
        ("hosting: vendor_api", "hosting: theirs", "`theirs` is not known here"),
        (
            "supported_parameters: [temperature, tools, seed]\n",
            "\n",
            "list the operator's `supported_parameters` first",
        ),
        ("key: ACME_KEY", "lane: smoke", "write one of direct, litellm"),
        ("context_tokens: 8192", "context_token: 8192", "did you mean `context_tokens`"),
    ],
)
def test_a_wrong_template_says_what_to_write(old: str, new: str, words: str) -> None:
    """Each fault of an operator's file has its own sentence, with the file and a line."""
    assert old in TEXT
    with pytest.raises(CatalogError, match=words) as caught:
        template(TEXT.replace(old, new))
    assert caught.value.file == "acme.yaml"
    assert caught.value.line is not None


def test_a_model_may_have_terms_of_its_own() -> None:
    """What an offer states stands in the place of its endpoint's, at each endpoint; the rest is the endpoint's."""
    text = TEXT.replace(
        "  large: {name: large-1,",
        "  large: {terms: {retention_days: 30, training: unknown}, source: their page, name: large-1,",
    )
    acme = template(text)
    found = acme.terms_of(acme.endpoint("world"), acme.offer("large"))
    assert found.retention_days.value == 30
    assert found.retention_days.source.ref == "their page"
    assert found.training.state is State.UNKNOWN
    assert found.processing.value == frozenset({"global"})
    assert acme.terms_of(acme.endpoint("world"), acme.offer("small")) == acme.endpoint("world").terms


def test_an_endpoint_without_a_factor_has_no_price_but_one_that_is_listed_for_it() -> None:
    """`price_uplift: unknown` says that no list price holds there; an offer's own factor goes before the endpoint's."""
    acme = template(TEXT.replace('price_uplift: "1.25"', "price_uplift: unknown"))
    unknown = acme.price(acme.endpoint("eu"), acme.offer("small"))
    assert unknown.state is State.UNKNOWN
    assert "state yours" in unknown.source.ref
    everywhere = template(
        TEXT.replace("    context_tokens: 8192\n", '    context_tokens: 8192\n    price_uplift: "1"\n')
    )
    price = everywhere.price(everywhere.endpoint("eu"), everywhere.offer("small")).value
    assert price is not None
    assert price.input_usd_per_mtok == Decimal("0.1")


def test_a_service_may_be_attested_apart_from_its_company() -> None:
    """A template without attestations leaves the question to the organisation; `none` answers it."""
    assert template().attestations is None
    found = template(TEXT + "attestations: [c5, hds]\n").attestations
    assert found is not None
    assert found.value == frozenset({"c5", "hds"})
    nothing = template(TEXT + "attestations: none\n").attestations
    assert nothing is not None
    assert nothing.state is State.NONE


def test_a_default_endpoint_that_is_not_there_is_refused() -> None:
    """The nearest one is named."""
    with pytest.raises(CatalogError, match="`wrld` is no endpoint here: did you mean `world`"):
        template(TEXT + "default_endpoint: wrld\n")
