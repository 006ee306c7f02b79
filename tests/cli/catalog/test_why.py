"""`catalog why`: every way to a model under a policy, with the rule, the fact and the source that keep one out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

STRICT: Final = """\
policy: strict
rules:
  operator.country: {deny: [US], because: "the board, 2026-04"}
  hosting: {deny: [self_hosted], because: "we run nothing"}
"""


def offers(document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Offers by their names."""
    return {each["offer"]: each for each in document[key]}


def test_every_offer_and_a_server_of_ones_own_is_judged(run: Callable[..., Ran]) -> None:
    """Operator by operator, endpoint by endpoint; aggregators by whom they are pinned to."""
    document = run("catalog", "why", "gpt-oss-120b", "no-prc-operator", "--json").document
    judged = offers(document, "permitted") | offers(document, "refused")
    catalog = load_catalog()
    for template in catalog.templates.values():
        offer = template.models.get("gpt-oss-120b")
        if offer is not None and not template.server and not template.providers:
            for name in template.endpoints:
                assert (f"{template.id}.{name}" in judged) == (offer.endpoints is None or name in offer.endpoints)
    listed = [name for name, each in catalog.templates.items() if each.providers and "gpt-oss-120b" in each.models]
    assert listed
    assert all(any(offer.startswith(f"{name}.") for offer in judged) for name in listed)
    assert "self" in judged
    assert document["ok"]


def test_a_refusal_names_rule_fact_and_source(run: Callable[..., Ran]) -> None:
    """DeepSeek's own platform computes in China: the rule, the fact, and where it can be checked."""
    ran = run("catalog", "why", "deepseek-v4-pro", "no-prc-operator", "--json")
    refused = offers(ran.document, "refused")["deepseek.default"]["refusals"]
    first = next(each for each in refused if each["rule"] == "operator.country")
    assert first["policy"] == "no-prc-operator"
    assert "CN" in first["reason"]
    assert first["source"]["ref"]
    assert first["source"]["checked_on"]
    shown = run("catalog", "why", "deepseek-v4-pro", "no-prc-operator").out
    assert "no-prc-operator/operator.country" in shown


def test_facts_of_the_caller_decide(run: Callable[..., Ran]) -> None:
    """Without a country and a paper nobody serves under `eu-gdpr`; with both, rules that ask for them are met."""
    bare = run("catalog", "why", "mistral-medium-3.5", "eu-gdpr", "--json")
    assert bare.code == 1
    assert not bare.document["ok"]
    met = run(
        "catalog", "why", "mistral-medium-3.5", "eu-gdpr", "--country", "DE", "--agreement", "dpa:mistral", "--json"
    )
    assert met.code == 0
    assert "self" in offers(met.document, "permitted")
    rules = {each["rule"] for each in offers(met.document, "refused").get("mistral.eu", {"refusals": []})["refusals"]}
    assert "agreements" not in rules
    assert {"type": "dpa", "with": "mistral"} in met.document["caller"]["agreements"]
    assert "agreements" in {each["rule"] for each in offers(bare.document, "refused")["mistral.eu"]["refusals"]}


def test_closed_weights_cannot_be_self_hosted(run: Callable[..., Ran]) -> None:
    """Only an operator can serve a closed model."""
    document = run("catalog", "why", "claude-sonnet-5", "baseline", "--json").document
    assert "self" not in offers(document, "permitted") | offers(document, "refused")


def test_a_missing_price_is_no_refusal(folder: Path, run: Callable[..., Ran]) -> None:
    """Whoever pays can state it: the policy is what is asked."""
    (folder / "one.yaml").write_text("policy: one\nrules: {model.id: {allow: [gpt-oss-120b]}}\n", encoding="utf-8")
    document = run("catalog", "why", "gpt-oss-120b", "one.yaml", "--json").document
    assert document["refused"] == []
    states = {name: each["price"]["state"] for name, each in offers(document, "permitted").items()}
    assert {state for name, state in states.items() if name.startswith("openrouter.")} == {"unknown"}
    assert "yours to state" in run("catalog", "why", "gpt-oss-120b", "one.yaml").out


@pytest.mark.parametrize("place", ["strict.yaml", "policies/strict.yaml"])
def test_a_policy_may_be_a_file(place: str, folder: Path, run: Callable[..., Ran]) -> None:
    """Wherever it stands; a model that only such a policy refuses ends with 1 and says what is missing."""
    (folder / "policies").mkdir()
    (folder / place).write_text(STRICT, encoding="utf-8")
    refused = run("catalog", "why", "gpt-6-sol", f"./{place}")
    assert refused.code == 1
    assert "strict/operator.country" in refused.out
    assert "because the board, 2026-04" in refused.out
    permitted = run("catalog", "why", "mistral-medium-3.5", place, "--json")
    assert permitted.code == 0
    assert "mistral.eu" in offers(permitted.document, "permitted")
    assert "self" in offers(permitted.document, "refused")


def test_a_policy_file_may_ask_for_tags_and_extend_its_neighbours(folder: Path, run: Callable[..., Ran]) -> None:
    """A missing tag binds, and what is extended is a layer of its own."""
    (folder / "policies").mkdir()
    (folder / "policies" / "strict.yaml").write_text(STRICT, encoding="utf-8")
    text = "policy: mine\nextends: [strict, no-prc-operator]\napplies_to: {team: [x]}\n"
    text += "rules: {data.training: {allow: [never]}}\n"
    (folder / "policies" / "mine.yaml").write_text(text, encoding="utf-8")
    document = run("catalog", "why", "gpt-6-sol", "policies/mine.yaml", "--json").document
    assert [each["name"] for each in document["policies"]] == ["strict", "no-prc-operator", "mine"]
    assert not document["permitted"]


def test_a_config_says_who_asks(folder: Path, run: Callable[..., Ran]) -> None:
    """Its caller, its papers, its own policies and models count."""
    (folder / "policies").mkdir()
    (folder / "policies" / "strict.yaml").write_text(STRICT, encoding="utf-8")
    (folder / "mine.yaml").write_text(
        "modelrouter: 1\n"
        "caller: {name: Acme, country: DE, agreements: [{type: dpa, with: mistral, expires: 2027-12-31}]}\n"
        "policies: [strict]\n"
        "models: {ours: {developer: self, derived_from: [mistral-small-3.2], licence: apache-2.0, source: our log}}\n"
        "deployments: {a: {model: gpt-6-sol, operator: openai, endpoint: global, key: 'env:K'}}\n"
        "routes: {m: {try: [a]}}\n",
        encoding="utf-8",
    )
    ran = run("catalog", "why", "mistral-medium-3.5", "strict", "--config", "mine.yaml", "--json")
    assert ran.document["caller"]["country"] == "DE"
    assert "mistral.eu" in offers(ran.document, "permitted")
    own = run("catalog", "why", "ours", "eu-gdpr", "--config", "mine.yaml", "--json")
    assert own.code == 0, own.out
    assert list(offers(own.document, "permitted")) == ["self"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mistral-medium-3.4", "baseline"), "did you mean `mistral-medium-3.5`?"),
        (("mistral-medium-3.5", "eu-gpdr"), "did you mean `eu-gdpr`?"),
        (("mistral-medium-3.5", "nowhere/strict.yaml"), "there is no file `nowhere/strict.yaml`"),
        (("mistral-medium-3.5", "baseline", "--country", "UK"), "write `GB`"),
        (("mistral-medium-3.5", "baseline", "--agreement", "dpa"), "write it as `dpa:mistral`"),
        (("mistral-medium-3.5", "baseline", "--agreement", "dpa:mistrall"), "did you mean `mistral`?"),
        (("mistral-medium-3.5", "baseline", "--config", "none.yaml"), "there is no file `none.yaml`"),
        (("mistral-medium-3.5", "baseline", "--config", "x", "--country", "DE"), "leave one of the two out"),
        (("mistral-medium-3.5", "broken.yaml"), "a bracket"),
        (("mistral-medium-3.5", "odd.yaml"), "unknown key"),
    ],
)
def test_what_cannot_be_asked_is_wrong_use(
    arguments: tuple[str, ...], words: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """An id, a policy, a country, a paper or a file that is none."""
    (folder / "broken.yaml").write_text("policy: [", encoding="utf-8")
    (folder / "odd.yaml").write_text("policy: odd\nrules: {operator.country: {denny: [CN]}}\n", encoding="utf-8")
    refused = run("catalog", "why", *arguments)
    assert refused.code == 2, refused.out
    assert words in refused.err
