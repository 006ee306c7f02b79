"""The awkward operators: a name, a brand or a zero that hides who sees a prompt, where it goes, and what it costs.

What each must lead to was written from the page that the fact cites, before any output was seen.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from modelrouter.config import Config, build
from modelrouter.core.bounds import Size
from modelrouter.core.decision import decide
from modelrouter.core.facts import LinkRole, State
from modelrouter.core.request import Request
from modelrouter.core.verdict import layers_for
from modelrouter.errors import ConfigError
from tests.strategies import moment_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.catalog import Catalog
    from modelrouter.core.decision import Decision

TODAY = date(2026, 11, 29)
PARTNERS = ["anthropic", "aws", "azure", "google", "ibm", "mistral", "openai", "xai"]
DPA = {"name": "Acme", "country": "DE", "agreements": [{"type": "dpa", "with": each, "id": "1"} for each in PARTNERS]}
PRICE = {"input_usd_per_mtok": "2", "output_usd_per_mtok": "6"}
HONG_KONG = {
    "model": "deepseek-r1",
    "operator": "bedrock",
    "endpoint": "region",
    "region": "ap-east-1",
    "price": PRICE,
    "processing": ["HK"],
    "storage": ["HK"],
    "source": {"ref": "the region of the call", "checked_on": "2026-11-29", "confidence": "high", "grade": "technical"},
}


def judged(policy: str | Mapping[str, object], **deployments: Mapping[str, object]) -> Decision:
    """The decision on one small request under a shipped policy, or under rules, with processing contracts."""
    parts = {
        "caller": DPA,
        "policies": [policy if isinstance(policy, str) else {"policy": "here", "rules": policy}],
        "routes": {"r": {"try": list(deployments)}},
        "deployments": deployments,
    }
    setup = build(Config.model_validate(parts))
    route = setup.routes["r"]
    layers = layers_for({}, route.layers)
    return decide(Request("r", (), size=Size(1000)), route, layers, setup.world, moment_on(TODAY))


def refused(decision: Decision, deployment: str) -> dict[str, str]:
    """Rule and reason of what keeps a deployment out."""
    return {each.rule: each.judgement.reason for each in decision.refusals(deployment)}


def permitted(decision: Decision) -> list[str]:
    """Who may serve it."""
    return sorted(each.deployment for each in decision.permitted)


# --- one brand, several places ----------------------------------------------------------------------------------------


def test_azure_global_is_no_place_and_the_data_zone_is_one() -> None:
    """A Global deployment may run in any region of Azure; one of the EU's Data Zone stays in it, under contract."""
    gpt = {"model": "gpt-5.6-sol", "operator": "azure", "resource": "acme"}
    found = judged("eu-gdpr", world={**gpt, "endpoint": "global"}, zone={**gpt, "endpoint": "datazone-eu"})
    assert permitted(found) == ["zone"]
    assert refused(found, "world") == {"processing.country": "global", "storage.country": "unknown"}
    assert "processing.country (global)" in found.summary()
    assert "models-sold-directly" in found.explain() or "deployment-types" in found.explain()


def test_a_price_of_the_data_zone_is_its_own(catalog: Catalog) -> None:
    """GPT-6 costs 1.2 times its list price in the EU's zone and 1.1 times in that of the US, each to the digit."""
    azure = catalog.template("azure")
    offer = azure.offer("gpt-6-sol")
    found = {name: azure.price(azure.endpoint(name), offer).value for name in ("global", "datazone-eu", "datazone-us")}
    amounts = {name: str(price.input_usd_per_mtok) for name, price in found.items() if price is not None}
    assert amounts == {"global": "2", "datazone-eu": "2.4", "datazone-us": "2.2"}


def test_the_prefix_on_bedrock_is_the_promise() -> None:
    """`eu.` keeps to the EU, what is kept and what is computed; `global.` keeps to nothing, with the same region."""
    claude = {"model": "claude-sonnet-5", "operator": "bedrock", "region": "eu-central-1"}
    found = judged("eu-gdpr", eu={**claude, "endpoint": "eu"}, world={**claude, "endpoint": "global"})
    assert permitted(found) == ["eu"]
    assert refused(found, "world") == {"processing.country": "global", "storage.country": "global"}


@pytest.mark.parametrize("region", ["eu-central-2", "eu-west-2"])
def test_a_profile_of_the_eu_is_not_called_from_outside_it(region: str) -> None:
    """Zurich and London have regions named `eu-`, and neither is in the EU: from there the profile keeps no promise."""
    with pytest.raises(ConfigError, match=f"`{region}` is no region from which endpoint `eu` keeps to its places"):
        judged("eu-gdpr", d={"model": "claude-sonnet-5", "operator": "bedrock", "endpoint": "eu", "region": region})


def test_vertex_global_keeps_to_no_place_and_its_multi_region_does() -> None:
    """Nobody can tell where Google's global endpoint runs; that of the EU computes and keeps there, at most 30 days."""
    claude = {"model": "claude-opus-5-5", "operator": "vertex", "project": "acme"}
    found = judged("eu-gdpr", eu={**claude, "endpoint": "eu"}, world={**claude, "endpoint": "global"})
    assert permitted(found) == ["eu"]
    assert refused(found, "world") == {"processing.country": "global", "storage.country": "global"}


def test_europe_at_openai_is_more_than_the_eea() -> None:
    """Its European projects may compute and store in Switzerland: not for a rule of the EEA, which names the place."""
    gpt = {"model": "gpt-5.6-sol", "operator": "openai", "endpoint": "eu"}
    found = judged({"processing.country": {"allow": ["EEA"]}, "storage.country": {"allow": ["EEA"]}}, gpt=gpt)
    assert refused(found, "gpt") == {"processing.country": "CH", "storage.country": "CH"}
    wider = {"processing.country": {"allow": ["EEA", "CH"]}, "storage.country": {"allow": ["EEA", "CH"]}}
    assert permitted(judged(wider, gpt=gpt)) == ["gpt"]


def test_a_word_about_storage_is_no_contract() -> None:
    """Mistral's page on its regions says that data stays there; a rule that wants a contract or a pin says so."""
    mistral = {"model": "mistral-medium-3.5", "operator": "mistral", "endpoint": "eu"}
    rules = {"storage.country": {"allow": ["EU", "EFTA"]}}
    assert refused(judged(rules, m=mistral), "m") == {"storage.country": "asserted only"}
    assert permitted(judged({"storage.country": {**rules["storage.country"], "grade": ["asserted"]}}, m=mistral)) == [
        "m"
    ]


# --- three countries at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "deny", "reason"),
    [
        ("processing.country", "HK", "HK"),
        ("operator.country", "US", "US"),
        ("developer.country", "CN", "CN"),
    ],
)
def test_deepseek_on_bedrock_in_hong_kong_is_in_three_countries(rule: str, deny: str, reason: str) -> None:
    """Made in China, run by a US company, in Hong Kong: each question has its own answer, and none has another's."""
    found = judged({rule: {"deny": [deny]}}, r1=HONG_KONG)
    assert list(refused(found, "r1")) == [rule]
    assert reason in refused(found, "r1")[rule]
    others = {"HK", "US", "CN"} - {deny}
    assert permitted(judged({rule: {"deny": sorted(others)}}, r1=HONG_KONG)) == ["r1"]


def test_no_prc_operator_names_the_place_and_not_the_maker() -> None:
    """Weights of any origin are welcome there; Hong Kong as the place is what refuses."""
    found = judged("no-prc-operator", r1=HONG_KONG)
    reasons = refused(found, "r1")
    assert reasons.get("processing.country") == "HK"
    assert not {"developer.country", "operator.country"} & set(reasons)


# --- who sees the prompt ----------------------------------------------------------------------------------------------


def test_claude_in_foundry_is_processed_by_anthropic() -> None:
    """Microsoft bills it, Anthropic runs it and is the processor: a link of its own, with terms of its own."""
    foundry = {"operator": "azure-foundry-claude", "endpoint": "datazone-us", "resource": "acme"}
    claude = {**foundry, "model": "claude-opus-5-5", "price": PRICE, "source": "our bill"}
    setup = build(
        Config.model_validate({"policies": "none", "routes": {"r": {"try": ["c"]}}, "deployments": {"c": claude}})
    )
    chain = setup.world.deployments["c"].chain
    assert [(link.role, link.organisation) for link in chain] == [
        (LinkRole.OPERATOR, "azure"),
        (LinkRole.SUBPROCESSOR, "anthropic"),
    ]
    found = judged({"operator.id": {"deny": ["anthropic"]}}, c=claude)
    assert "anthropic" in refused(found, "c")["operator.id"]
    assert "c.subprocessor" in found.explain()
    inside = judged({"processing.country": {"allow": ["US"]}}, c=claude)
    assert refused(inside, "c") == {"processing.country": "global"}
    assert "anthropic.processing" in inside.explain()


def test_claude_that_google_manages_is_seen_by_google_alone(catalog: Catalog) -> None:
    """The addresses of the platform are those of what Google manages: no rule about Anthropic as operator meets it."""
    claude = {"model": "claude-opus-5-5", "operator": "vertex", "endpoint": "eu", "project": "acme"}
    assert permitted(judged({"operator.id": {"deny": ["anthropic"]}}, c=claude)) == ["c"]
    assert {offer.subprocessor for offer in catalog.template("vertex").models.values()} == {None}


def test_a_maker_that_asks_for_the_prompts_is_in_the_chain_on_bedrock() -> None:
    """Fable 5 is kept for 30 days and Anthropic may look; the Claude before and after it is kept by nobody."""
    bedrock = {"operator": "bedrock", "endpoint": "us", "region": "us-east-1"}
    fable, opus = {**bedrock, "model": "claude-fable-5"}, {**bedrock, "model": "claude-opus-4-8"}
    found = judged({"data.retention_days": {"max": 0}}, fable=fable, opus=opus)
    assert permitted(found) == ["opus"]
    assert refused(found, "fable") == {"data.retention_days": "30 days"}
    assert permitted(judged({"operator.id": {"deny": ["anthropic"]}}, fable=fable, opus=opus)) == ["opus"]


def test_a_maker_and_an_operator_may_swap_continents() -> None:
    """GLM at Mistral: run by a French company, made by a Chinese one that stands on a list of the US."""
    glm = {"model": "glm-5.3", "operator": "mistral", "endpoint": "eu"}
    assert permitted(judged({"operator.country": {"deny": ["CN"]}}, g=glm)) == ["g"]
    assert list(refused(judged({"developer.country": {"deny": ["CN"]}}, g=glm), "g")) == ["developer.country"]


def test_an_attested_service_is_not_its_company() -> None:
    """HDS was attested for Google's cloud; the developer API of the same company has no such paper."""
    gemini = {"model": "gemini-3.5-flash"}
    found = judged(
        {"operator.attestations": {"require": ["hds"]}},
        cloud={**gemini, "operator": "vertex", "endpoint": "eu", "project": "acme"},
        studio={**gemini, "operator": "google-ai-studio"},
    )
    assert permitted(found) == ["cloud"]
    assert refused(found, "studio") == {"operator.attestations": "unknown"}


# --- what is not known ------------------------------------------------------------------------------------------------


def test_an_unknown_retention_refuses_and_says_what_is_missing() -> None:
    """Who takes the shipped figure away, for terms that nobody has read yet, is refused, and told what would admit."""
    gpt = {"model": "gpt-5.6-sol", "operator": "azure", "endpoint": "datazone-eu", "resource": "acme"}
    found = judged({"data.retention_days": {"max": 30}}, m={**gpt, "retention_days": "unknown", "source": "new terms"})
    assert refused(found, "m") == {"data.retention_days": "unknown"}
    assert "retain at most 30 days" in found.explain()


def test_the_developer_api_of_google_keeps_longer_than_a_month() -> None:
    """55 days against abuse: known, and too long; the free tier would train as well."""
    gemini = {"model": "gemini-3.5-flash", "operator": "google-ai-studio"}
    reasons = refused(judged("eu-gdpr", g=gemini), "g")
    assert (reasons["data.retention_days"], reasons["data.training"]) == ("55 days", "opt_out")


def test_zero_is_no_price(catalog: Catalog) -> None:
    """A price map says 0 for Command A+: nobody says that it is free, so the price is unknown and refuses."""
    cohere = catalog.template("cohere")
    price = cohere.price(cohere.endpoint(), cohere.offer("command-a-plus-05-2026"))
    assert price.state is State.UNKNOWN
    found = judged({"data.retention_days": {"max": 30}}, c={"model": "command-a-plus-05-2026", "operator": "cohere"})
    assert refused(found, "c") == {"price": "unknown"}


def test_a_region_without_a_list_has_no_price(catalog: Catalog) -> None:
    """Bedrock's regions differ in price by model: Paris lists Mixtral, and no factor makes a list of that of Ohio."""
    bedrock = catalog.template("bedrock")
    paris = bedrock.price(bedrock.endpoint("eu-west-3"), bedrock.offer("mixtral-8x7b-instruct")).value
    assert paris is not None
    assert (str(paris.input_usd_per_mtok), str(paris.output_usd_per_mtok)) == ("0.59", "0.91")
    elsewhere = bedrock.price(bedrock.endpoint("region"), bedrock.offer("mixtral-8x7b-instruct"))
    assert elsewhere.state is State.UNKNOWN
    assert "state yours" in elsewhere.source.ref


# --- what it comes to -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deployment",
    [
        {"model": "gpt-5.6-sol", "operator": "azure", "endpoint": "datazone-eu", "resource": "acme"},
        {"model": "claude-sonnet-5", "operator": "bedrock", "endpoint": "eu", "region": "eu-central-1"},
        {"model": "claude-opus-5-5", "operator": "vertex", "endpoint": "eu", "project": "acme"},
        {"model": "gemini-3.5-flash", "operator": "vertex", "endpoint": "europe-west3", "project": "acme"},
        {"model": "mixtral-8x7b-instruct", "operator": "bedrock", "endpoint": "eu-west-3"},
        {"model": "nova-lite-v1", "operator": "bedrock", "endpoint": "eu", "region": "eu-west-1"},
        {"model": "granite-4.0-h-small", "operator": "watsonx", "endpoint": "eu-de"},
    ],
    ids=lambda each: f"{each['operator']}/{each['model']}",
)
def test_the_eu_has_a_gpt_a_claude_a_gemini_and_a_mistral(deployment: Mapping[str, object]) -> None:
    """Shipped facts alone, and a processing contract, admit each under `eu-gdpr`."""
    assert permitted(judged("eu-gdpr", d=deployment)) == ["d"]
