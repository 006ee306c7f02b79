"""House files: they hold for everybody below, and can only be tightened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.core.policy import Level
from modelrouter.errors import ConfigError, PolicyError
from tests.config.texts import config, load_files

if TYPE_CHECKING:
    from pathlib import Path

HOUSE = "modelrouter: 1\npolicies: [eu-gdpr]\n"
INCLUDE = "include: [house.yaml]"


def test_a_house_policy_holds_for_every_route(tmp_path: Path) -> None:
    """Neither `none` at the top nor `none` on a route takes a house policy away."""
    text = config(
        include=INCLUDE,
        policies="policies: none",
        routes="routes:\n  a: {try: [own], policies: none}\n  b: {try: [own]}",
    )
    setup = load_files(tmp_path, house=HOUSE, modelrouter=text)
    for route in setup.routes.values():
        assert [(layer.policy.name, layer.level) for layer in route.layers] == [("eu-gdpr", Level.HOUSE)]


def test_the_top_holds_for_every_route_that_does_not_say_none(tmp_path: Path) -> None:
    """`policies: none` on a route takes the policies of its own file's top away, and nobody else's."""
    text = config(
        include=INCLUDE,
        policies="policies: [baseline]",
        routes="routes:\n  a: {try: [own], policies: none}\n  b: {try: [own], policies: [zdr-no-train]}",
    )
    setup = load_files(tmp_path, house=HOUSE, modelrouter=text)
    assert [layer.policy.name for layer in setup.routes["a"].layers] == ["eu-gdpr"]
    assert [(layer.policy.name, layer.level) for layer in setup.routes["b"].layers] == [
        ("eu-gdpr", Level.HOUSE),
        ("baseline", Level.CONFIG),
        ("zdr-no-train", Level.ROUTE),
    ]


@pytest.mark.parametrize(
    ("house", "part", "key", "words"),
    [
        ("tags: {team: {}}", {}, "tags.team", "house.yaml:3 and cannot be redefined"),
        ("routes: {support: {try: [own]}}", {}, "routes.support", "house.yaml:3 and cannot"),
        ("ledger: sqlite:///a.db", {"more": "ledger: sqlite:///b.db"}, "ledger", "`ledger` is set in"),
        ("caller: {country: DE}", {}, "caller", "house.yaml:3 and holds here"),
        ("offline: true", {"more": "offline: false"}, "offline", "says `offline: true`"),
        ("ownership: {retention_days: forbidden}", {}, "deployments.own.retention_days", "house.yaml:3 forbids"),
        ("ownership: {agreements: forbidden}", {}, "caller.agreements", "forbids to state `agreements`"),
        (
            "ownership: {models: forbidden}",
            {"models": "models: {m: {developer: self, derived_from: none, licence: mit, source: x}}"},
            "models.m",
            "forbids to state `models`",
        ),
        (
            "ownership: {training: forbidden}",
            {
                "deployments": "deployments:\n  own: {model: gpt-oss-120b, operator: groq}\n"
                "  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu}",
                "more": "organisations: {groq: {country: US, source: me, terms: {training: never}}}",
            },
            "organisations.groq.terms.training",
            "forbids to state `training`",
        ),
        (
            "ownership: {processing: forbidden}",
            {
                "deployments": "deployments:\n  own: {model: gpt-oss-120b, operator: groq}\n"
                "  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu}",
                "more": "operators: {me: {operator: groq, kind: host, source: x, endpoints: {a: {processing: [FR]}}}}",
            },
            "operators.me.endpoints.a.processing",
            "forbids to state `processing`",
        ),
        (
            "organisations: {mistral: {country: FR, parent: none, source: register}}",
            {"more": "organisations: {mistral: {country: FR, source: me}}"},
            "organisations.mistral",
            "cannot be redefined",
        ),
    ],
)
def test_what_a_house_has_settled_cannot_be_settled_again(
    tmp_path: Path, house: str, part: dict[str, str], key: str, words: str
) -> None:
    """Names, settings and facts of the house are refused below it, with both places in the sentence."""
    with pytest.raises(ConfigError) as caught:
        load_files(tmp_path, house=f"{HOUSE}{house}\n", modelrouter=config(include=INCLUDE, **part))
    assert caught.value.file == str(tmp_path / "modelrouter.yaml")
    assert caught.value.key == key
    assert words in caught.value.reason


def test_flagged_facts_are_noted_and_not_refused(tmp_path: Path) -> None:
    """A fact that the house wants flagged is told with its place."""
    house = f"{HOUSE}ownership: {{retention_days: flagged, price: allowed}}\n"
    setup = load_files(tmp_path, house=house, modelrouter=config(include=INCLUDE))
    (note,) = setup.notes
    assert "deployments.own.retention_days" in note
    assert "house.yaml:3 wants flagged" in note


def test_a_house_sees_only_what_is_above_it(tmp_path: Path) -> None:
    """A policy that is defined below a house is unknown to it, even if the name is right."""
    house = "modelrouter: 1\npolicies: [mine]\n"
    below = config(include="include: [above/house.yaml]", policies="policies: [{policy: mine, extends: [baseline]}]")
    with pytest.raises(PolicyError, match="unknown policy `mine`") as caught:
        load_files(tmp_path, above__house=house, modelrouter=below)
    assert caught.value.file == str(tmp_path / "above" / "house.yaml")


def test_names_of_house_policies_are_taken(tmp_path: Path) -> None:
    """Neither a policy of the house nor a shipped one that it uses can be given another meaning below."""
    own = "policies: [{policy: NAME, rules: {hosting: {allow: [self_hosted]}}}]"
    include = "include: [above/house.yaml]"
    with pytest.raises(PolicyError, match="uses the shipped policy `eu-gdpr`"):
        load_files(
            tmp_path, above__house=HOUSE, modelrouter=config(include=include, policies=own.replace("NAME", "eu-gdpr"))
        )
    house = f"modelrouter: 1\n{own.replace('NAME', 'acme')}\n"
    with pytest.raises(PolicyError, match="cannot be redefined"):
        load_files(
            tmp_path, above__house=house, modelrouter=config(include=include, policies=own.replace("NAME", "acme"))
        )
    free = config(include=include, policies=own.replace("NAME", "zdr-no-train"))
    setup = load_files(tmp_path, above__house=HOUSE, modelrouter=free)
    assert [rule.key for rule in setup.policies["zdr-no-train"][-1].rules] == ["hosting"]


def test_houses_may_stand_on_houses(tmp_path: Path) -> None:
    """The highest house comes first; one that is reached twice is read once."""
    setup = load_files(
        tmp_path,
        corporate="modelrouter: 1\npolicies: [no-prc-operator]\n",
        division="modelrouter: 1\ninclude: [corporate.yaml]\npolicies: [eu-gdpr]\n",
        modelrouter=config(include="include: [corporate.yaml, division.yaml]"),
    )
    assert [layer.policy.name for layer in setup.routes["support"].layers] == ["no-prc-operator", "eu-gdpr", "baseline"]
    assert sorted(setup.digests)[:4] == ["catalog", "config", "include/corporate.yaml", "include/division.yaml"]


def test_a_circle_of_includes_is_named(tmp_path: Path) -> None:
    """The error leads to the include that closes the circle and shows the way round."""
    with pytest.raises(ConfigError) as caught:
        load_files(
            tmp_path,
            a="modelrouter: 1\ninclude:\n  - b.yaml\n",
            b="modelrouter: 1\ninclude: [a.yaml]\n",
            modelrouter=config(include="include: [a.yaml]"),
        )
    assert "a.yaml -> b.yaml -> a.yaml" in caught.value.reason
    assert (caught.value.file, caught.value.line, caught.value.key) == (str(tmp_path / "b.yaml"), 2, "include[0]")
    with pytest.raises(ConfigError, match=r"modelrouter\.yaml -> modelrouter\.yaml"):
        load_files(tmp_path, modelrouter=config(include="include: [modelrouter.yaml]"))


def test_relative_paths_are_those_of_the_file_that_holds_them(tmp_path: Path) -> None:
    """A ledger named by a house lies beside the house."""
    setup = load_files(
        tmp_path,
        above__house=f"{HOUSE}ledger: sqlite:///books/one.db\n",
        modelrouter=config(include="include: [above/house.yaml]"),
    )
    assert setup.ledger_path == str(tmp_path / "above" / "books" / "one.db")
    assert setup.ledger == f"sqlite:///{setup.ledger_path}"


def test_a_house_may_define_what_is_used_below(tmp_path: Path) -> None:
    """Deployments and tags of a house are there for the routes of the configuration."""
    house = """modelrouter: 1
tags: {region: {values: [eu, us]}}
deployments:
  shared: {model: mistral-medium-3.5, operator: mistral, endpoint: eu}
policies: [{policy: acme, applies_to: {region: [eu]}, extends: [baseline], rules: {operator.country: {deny: [CN]}}}]
"""
    setup = load_files(
        tmp_path, house=house, modelrouter=config(include=INCLUDE, routes="routes: {a: {try: [shared, own]}}")
    )
    assert setup.routes["a"].candidates == ("shared", "own")
    assert setup.binding_tags == {"region"}


def test_any_is_every_deployment_that_is_not_named(tmp_path: Path) -> None:
    """The word stands for all, or in a list for the rest, as equals."""
    routes = "routes:\n  a: {try: any}\n  b: {try: [mistral, any]}\n  c: {try: [own, mistral, any]}"
    found = load_files(tmp_path, modelrouter=config(routes=routes)).routes
    assert [(dict(step.weights), step.equals) for step in found["a"].tries] == [({"own": 1, "mistral": 1}, True)]
    assert [(dict(step.weights), step.equals) for step in found["b"].tries] == [
        ({"mistral": 1}, False),
        ({"own": 1}, True),
    ]
    assert found["c"].candidates == ("own", "mistral")
