"""Policies: by name, by what they extend, with their waivers; and the shipped ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from modelrouter.config import from_text
from modelrouter.config.files import shipped_policies
from modelrouter.core.policy import Level
from modelrouter.errors import PolicyError
from tests.config.texts import config, load_files

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = (
    "air-gap",
    "baseline",
    "eu-gdpr",
    "eu-sovereign",
    "no-prc-operator",
    "no-prc-origin",
    "no-single-vendor",
    "open-weights-only",
    "permissive-licence-only",
    "phi-hipaa",
    "self-hosted-only",
    "uk-gdpr",
    "us-dod-contractor",
    "us-federal-civil",
    "zdr-no-train",
)
WAIVER = "{id: W-1, rule: RULE, subject: mistral, because: pending, owner: dpo, expires: 2026-12-31}"
MINE = "policy: mine\nextends: [baseline]\nrules: {data.retention_days: {max: 7}}\n"


def test_the_shipped_policies_can_all_be_named() -> None:
    """Each shipped policy loads, and a call may name it."""
    setup = from_text(config())
    assert tuple(sorted(setup.policies)) == SHIPPED
    for name in SHIPPED:
        assert setup.policy_layers(name)[-1].name == name
    with pytest.raises(PolicyError, match="did you mean `baseline`"):
        setup.policy_layers("basline")


@pytest.mark.parametrize("path", shipped_policies(), ids=lambda path: path.stem)
def test_a_shipped_policy_is_short_dated_and_gives_its_reasons(path: Path) -> None:
    """At most 25 lines, a day, `not legal advice`, and for each rule a reason and what it rests on."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25
    assert re.search(r"As of \d{4}-\d{2}-\d{2}\. A starting point, not legal advice", text)
    policy = from_text(config()).policies[path.stem][-1]
    assert policy.description
    assert all(rule.because and rule.ref for rule in policy.rules)


def test_an_extended_policy_comes_along_as_a_layer_of_its_own(tmp_path: Path) -> None:
    """Nothing is merged: each policy keeps its rules, comes once, and before what extends it."""
    text = config(routes="routes: {a: {try: [own], policies: [mine, baseline]}}", policies="")
    setup = load_files(tmp_path, policies__mine=MINE, modelrouter=text)
    layers = setup.routes["a"].layers
    assert [(layer.policy.name, layer.level) for layer in layers] == [("baseline", Level.ROUTE), ("mine", Level.ROUTE)]
    assert [rule.key for rule in layers[1].policy.rules] == ["data.retention_days"]
    assert [policy.name for policy in setup.policy_layers("mine")] == ["baseline", "mine"]


def test_a_policy_beside_the_configuration_goes_before_a_shipped_one(tmp_path: Path) -> None:
    """A file in `policies/` takes the shipped name, and is what the routes get."""
    own = "policy: baseline\nrules: {hosting: {allow: [self_hosted]}}\n"
    setup = load_files(tmp_path, policies__baseline=own, modelrouter=config())
    assert [rule.key for rule in setup.routes["support"].layers[0].policy.rules] == ["hosting"]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("policy: other\nrules: {hosting: {allow: [managed]}}\n", 1, "policy", "give them one name"),
        ("policy: mine\nruls: {}\n", 2, "ruls", "did you mean `rules`?"),
        ("policy: mine\nrules:\n  hosting:\n    allow: [self-hosted]\n", 3, "rules.hosting", "self_hosted"),
        ("policy: mine\nextends: [mine]\n", 2, "extends", "mine -> mine"),
        (
            "policy: mine\nrules: {hosting: {allow: [managed]}}\napplies_to:\n  tem: [a]\n",
            4,
            "applies_to.tem",
            "`team`",
        ),
        (
            f"policy: mine\nextends: [baseline]\nwaivers:\n  - {WAIVER.replace('RULE', 'baseline/data.training')}\n",
            4,
            "waivers[0]",
            "`baseline` belongs to",
        ),
        ("- policy: mine\n", 1, None, "expected keys with values"),
        ("policy: mine\nrules: {hosting: {allow: [NO, no]}}\n", 2, "rules.hosting", "`NO` is not one of"),
    ],
)
def test_a_wrong_policy_file_is_named_itself(tmp_path: Path, text: str, line: int, key: str | None, words: str) -> None:
    """File, line and key are those of the policy file, used or not."""
    with pytest.raises(PolicyError) as caught:
        load_files(tmp_path, policies__mine=text, modelrouter=config())
    assert caught.value.file == str(tmp_path / "policies" / "mine.yaml")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert words in caught.value.reason


def test_a_circle_of_policies_is_named(tmp_path: Path) -> None:
    """Three files that extend each other: the way round is shown."""
    files = {
        f"policies__{name}": f"policy: {name}\nextends: [{other}]\n"
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    }
    with pytest.raises(PolicyError, match="a -> b -> c -> a"):
        load_files(tmp_path, modelrouter=config(), **files)


def test_a_waiver_stands_with_the_rule_it_waives(tmp_path: Path) -> None:
    """In the policy's own file it holds for that policy alone."""
    own = MINE + f"waivers: [{WAIVER.replace('RULE', 'mine/data.retention_days')}]\n"
    setup = load_files(tmp_path, policies__mine=own, modelrouter=config(policies="policies: [mine]"))
    by_name = {layer.policy.name: layer.policy.waivers for layer in setup.routes["support"].layers}
    assert [waiver.id for waiver in by_name["mine"]] == ["W-1"]
    assert by_name["baseline"] == ()


def test_a_house_may_waive_what_stands_below_it_and_not_the_other_way_round(tmp_path: Path) -> None:
    """A waiver in the house reaches the configuration's policy; one below reaches no house and no shipped policy."""
    waiver = f"waivers: [{WAIVER.replace('RULE', 'mine/data.retention_days')}]\n"
    house = f"modelrouter: 1\n{waiver}"
    below = config(include="include: [above/house.yaml]", policies="policies: [mine]")
    setup = load_files(tmp_path, above__house=house, policies__mine=MINE, modelrouter=below)
    assert [waiver.id for waiver in setup.policies["mine"][-1].waivers] == ["W-1"]
    for text in (
        config(policies="policies: [mine]", more=waiver),
        config(include="include: [above/house.yaml]", more=waiver),
    ):
        with pytest.raises(PolicyError, match="in that file or in a house above it") as caught:
            load_files(
                tmp_path, above__house="modelrouter: 1\npolicies: [baseline]\n", policies__mine=MINE, modelrouter=text
            )
        assert caught.value.key == "waivers[0]"


def test_a_policy_inside_the_configuration_can_be_waived_there() -> None:
    """What a file holds it may except from."""
    text = config(
        policies="policies: [{policy: mine, rules: {data.retention_days: {max: 7}}}]",
        more=f"waivers: [{WAIVER.replace('RULE', 'mine/data.retention_days')}]",
    )
    assert [waiver.subject for waiver in from_text(text).policies["mine"][-1].waivers] == ["mistral"]


def test_a_waiver_id_is_given_once() -> None:
    """Two waivers of one id could not be told apart in the ledger."""
    waiver = WAIVER.replace("RULE", "mine/data.retention_days")
    with pytest.raises(PolicyError, match="`W-1` is given twice"):
        from_text(
            config(
                policies="policies: [{policy: mine, rules: {data.retention_days: {max: 7}}}]",
                more=f"waivers: [{waiver}, {waiver}]",
            )
        )


def test_none_says_that_no_policy_is_meant() -> None:
    """At the top or on the route; without it, a route that no policy holds for is an error."""
    assert from_text(config(policies="policies: none")).routes["support"].layers == ()
    routes = "routes: {support: {try: [own], policies: none}}"
    assert from_text(config(policies="", routes=routes)).routes["support"].layers == ()
    with pytest.raises(PolicyError, match="no policy holds here"):
        from_text(config(policies="", routes="routes:\n  a: {try: [own], policies: [baseline]}\n  b: {try: [own]}"))


def test_norway_is_a_country() -> None:
    """`NO` in a list of countries is Norway."""
    text = config(policies="policies: [{policy: mine, rules: {processing.country: {allow: [NO, DE]}}}]")
    (rule,) = from_text(text).policies["mine"][-1].rules
    assert rule.allow == frozenset({"NO", "DE"})
