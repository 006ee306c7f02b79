"""Awkward hosts under shipped policies: what is refused is refused for the right reason, read from its explanation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter.config import from_text
from modelrouter.core.bounds import Size
from modelrouter.core.decision import decide
from modelrouter.core.facts import LinkRole, State
from modelrouter.core.policy import Layer, Level
from modelrouter.core.request import Request
from modelrouter.core.route import Moment
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from modelrouter.catalog import Catalog
    from modelrouter.core.decision import Decision

CALLER: Final = """\
caller: {name: Acme GmbH, country: DE, agreements: [{type: dpa, with: scaleway}, {type: dpa, with: openrouter}]}"""
PRICE: Final = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1, source: the bill}"
NOON: Final = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()


def decided(deployment: str, policy: str) -> Decision:
    """What a shipped policy says of one deployment, named `it`."""
    text = f"""\
modelrouter: 1
{CALLER}
policies: none
deployments:
  it: {{{deployment}}}
routes: {{r: {{try: [it]}}}}
"""
    setup = from_text(text)
    layers = tuple(Layer(each, Level.REQUEST) for each in setup.policy_layers(policy))
    return decide(Request("r", (), size=Size(1000)), setup.routes["r"], layers, setup.world, Moment(NOON))


def reasons(decision: Decision) -> dict[str, str]:
    """The reason of each refusing rule."""
    return {verdict.rule: verdict.judgement.reason for verdict in decision.refusals("it")}


def test_a_host_in_the_us_does_not_make_a_model_american() -> None:
    """`groq/qwen/…`: the operator passes, the weights are Chinese; `no-prc-origin` names their developer."""
    by_origin = decided("model: qwen3.8-27b, operator: groq", "no-prc-origin")
    assert reasons(by_origin)["developer.country"] == "CN"
    assert "alibaba.country = CN" in by_origin.explain()
    by_operator = decided("model: qwen3.8-27b, operator: groq", "no-prc-operator")
    assert "operator.country" not in reasons(by_operator)
    assert reasons(by_operator)["processing.country"] == "global"  # it names no countries, so it may be anywhere


@pytest.mark.parametrize(
    "deployment",
    [
        "model: kimi-k3, operator: fireworks, endpoint: us",
        "model: glm-5.3, operator: fireworks, endpoint: us",
        "model: deepseek-r1-0528, operator: together",
        "model: qwen3.6-27b, operator: stackit, " + PRICE,
        "model: glm-5.2, operator: scaleway, " + PRICE,
        "model: qwen3-32b, operator: ovhcloud",
    ],
)
def test_chinese_weights_on_western_hosts_pass_where_the_place_is_stated(deployment: str) -> None:
    """Berlin 2025-06-27: what counts is the transfer to China. Who runs it and where it runs are both known here."""
    assert [each.deployment for each in decided(deployment, "no-prc-operator").permitted] == ["it"]


@pytest.mark.parametrize(
    ("deployment", "why"),
    [
        ("model: kimi-k3, operator: fireworks", "unknown"),  # its default routes name no country
        ("model: kimi-k3, operator: together", "unknown"),  # its word on North America is of DeepSeek's models
        ("model: kimi-k3, operator: ollama-cloud, " + PRICE, "unknown"),  # "may be transferred to" is no place
    ],
)
def test_a_western_name_alone_is_no_place(deployment: str, why: str) -> None:
    """Where an operator does not say in which countries it computes, nobody else says it for it."""
    assert reasons(decided(deployment, "no-prc-operator"))["processing.country"] == why


def test_the_us_endpoint_is_in_the_name_and_costs_half_more(catalog: Catalog) -> None:
    """Fireworks pins the place by the name of a router; both price sources list these names at 1.5 times the base."""
    fireworks = catalog.template("fireworks")
    offer = fireworks.offer("kimi-k3", "us")
    assert fireworks.called(fireworks.endpoint("us"), offer) == "accounts/fireworks/routers/kimi-k3-us"
    assert fireworks.called(fireworks.endpoint(), offer) == "accounts/fireworks/models/kimi-k3"
    price = fireworks.price(fireworks.endpoint("us"), offer).value
    assert price is not None
    assert (str(price.input_usd_per_mtok), str(price.output_usd_per_mtok)) == ("4.5", "22.5")


def test_a_name_of_another_place_is_refused_at_load() -> None:
    """The default name under the US endpoint would run anywhere while its facts say US."""
    wrong = "model: kimi-k3, operator: fireworks, endpoint: us, name: accounts/fireworks/models/kimi-k3"
    with pytest.raises(ConfigError, match="contradicts endpoint `us`"):
        decided(wrong, "no-prc-operator")


def test_stored_in_virginia_is_not_computed_in_virginia() -> None:
    """Alibaba's Global scope: storage in the US, inference on any node, mainland China too; and a Chinese parent."""
    found = decided("model: qwen-plus, operator: alibaba-intl, endpoint: us-global", "no-prc-operator")
    assert reasons(found) == {"operator.country": "parent CN", "processing.country": "CN"}
    assert "https://www.alibabacloud.com/help/en/model-studio/usa-virginia-global" in found.explain()


def test_a_singapore_entity_has_its_parents_country() -> None:
    """Moonshot's contract partner is in Singapore and belongs to a company in China: the parent is the reason."""
    found = decided("model: kimi-k3, operator: moonshot-intl", "no-prc-operator")
    assert reasons(found)["operator.country"] == "parent CN"
    assert "moonshot.country = CN" in found.explain()


@pytest.mark.parametrize(
    ("operator", "model"), [("alibaba-cn", "qwen3-32b"), ("moonshot-cn", "kimi-k3"), ("bigmodel-cn", "glm-5.2")]
)
def test_a_mainland_edition_is_the_parent_itself(operator: str, model: str) -> None:
    """No subsidiary in between: operator and place are both in China."""
    found = decided(f"model: {model}, operator: {operator}, {PRICE}", "no-prc-operator")
    assert reasons(found) == {"operator.country": "CN", "processing.country": "CN"}


def test_an_unknown_entity_of_a_chinese_parent_is_denied_for_the_parent() -> None:
    """Tencent Cloud's international entity was not established; denied beats unknown."""
    found = decided("model: kimi-k3, operator: tencent-cloud", "no-prc-operator")
    assert reasons(found)["operator.country"] == "parent CN"


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "kimi-k3:cloud"])
@pytest.mark.parametrize("server", ["", "server: ollama, "])
def test_a_cloud_tag_is_not_local(name: str, server: str) -> None:
    """Ollama passes such a tag on to ollama.com, so `operator: self` would be untrue."""
    written = (
        f'model: gpt-oss-120b, operator: self, {server}runs_on: none, hosts: ["127.0.0.1"], '
        f'base_url: "http://127.0.0.1:11434/v1", name: "{name}", source: us'
    )
    with pytest.raises(ConfigError, match=r"does not run here but at ollama\.com: write `operator: ollama-cloud`"):
        decided(written, "self-hosted-only")


def test_a_local_tag_stays_local() -> None:
    """The same server with a tag of its own is ours."""
    written = (
        'model: gpt-oss-120b, operator: self, server: ollama, runs_on: none, hosts: ["127.0.0.1"], '
        f'base_url: "http://127.0.0.1:11434/v1", name: "gpt-oss:120b", source: us, {PRICE}'
    )
    assert decided(written, "self-hosted-only").permitted


def test_zero_is_no_price() -> None:
    """Nobody listed a price and the bill says zero: unknown, unless it is declared free."""
    zero = "price: {input_usd_per_mtok: 0, output_usd_per_mtok: 0, source: a page}"
    found = decided(f"model: gpt-oss-120b, operator: stackit, {zero}", "baseline")
    assert reasons(found)["price"] == "unknown"
    assert decided("model: gpt-oss-120b, operator: stackit, price: {free: true, source: a page}", "baseline").permitted


@pytest.mark.parametrize(
    ("deployment", "why"),
    [
        ("model: gpt-oss-120b, operator: novita", "unknown"),  # no page was found
        ("model: gpt-oss-120b, operator: deepinfra", "undisclosed"),  # "for a limited period of time"
        ("model: gpt-oss-120b, operator: scaleway, " + PRICE, "14 days"),  # of requests that fail, known only later
    ],
)
def test_retention_that_is_not_known_to_be_zero_is_refused(deployment: str, why: str) -> None:
    """Not found, not said, and said with an exception: three reasons, and none of them is zero."""
    assert reasons(decided(deployment, "zdr-no-train"))["data.retention_days"] == why


def test_an_aggregator_in_between_answers_for_itself() -> None:
    """Through OpenRouter's default host the prompt may be read anywhere, whoever computes the answer."""
    contract = "source: {ref: a contract, checked_on: 2026-11-01, confidence: high, grade: contractual}"
    through = f"model: mistral-small-3.2, operator: mistral, via: openrouter, processing: [FR], {contract}, {PRICE}"
    found = decided(through, "no-prc-operator")
    assert reasons(found)["processing.country"] == "global"
    assert "openrouter.processing = global" in found.explain()
    assert "https://openrouter.ai/docs/features/provider-routing" in found.explain()


def test_an_aggregator_in_the_eu_does_not_take_its_operator_there() -> None:
    """OpenRouter's EU host keeps its own part in the EU; the operator behind it has its own facts, and they count."""
    through = f"model: gpt-oss-120b, operator: fireworks, via: openrouter, endpoint: eu, {PRICE}"
    found = decided(through, "eu-gdpr")
    chain = from_text(
        f"modelrouter: 1\npolicies: none\ndeployments: {{it: {{{through}}}}}\nroutes: {{r: {{try: [it]}}}}\n"
    ).world.deployments["it"].chain  # fmt: skip
    assert [(link.role, link.organisation) for link in chain] == [
        (LinkRole.OPERATOR, "fireworks"),
        (LinkRole.VIA, "openrouter"),
    ]
    assert chain[1].terms.processing.value == frozenset({"EU"})
    assert chain[0].terms.processing.state is State.UNKNOWN
    assert reasons(found)["processing.country"] == "unknown"


@pytest.mark.parametrize(
    "deployment",
    [
        "model: glm-5.2, operator: scaleway, " + PRICE,
        "model: gpt-oss-120b, operator: scaleway, " + PRICE,
    ],
)
def test_a_european_host_with_a_contract_meets_eu_gdpr(deployment: str) -> None:
    """Paris for inference and storage, two weeks at most, nothing taught, and the caller has the agreement."""
    assert decided(deployment, "eu-gdpr").permitted


def test_every_aggregator_is_pinned_to_the_declared_operator(catalog: Catalog) -> None:
    """Each aggregator takes the operator's slug into its pins or behind the name, so that nobody else may answer."""
    aggregators = {key for key, each in catalog.templates.items() if each.providers}
    assert aggregators == {"huggingface", "openrouter", "vercel"}
    for key in sorted(aggregators):
        template = catalog.template(key)
        for endpoint in template.endpoints.values():
            wire = endpoint.wire.filled({"provider": template.providers["fireworks"]})
            assert template.providers["fireworks"] in f"{wire.pins} {wire.name_suffix}", key
