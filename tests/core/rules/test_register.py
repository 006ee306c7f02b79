"""The one visible list of families, and the way from a key to its family."""

from __future__ import annotations

from itertools import chain

import pytest

from modelrouter.core.rules import ASSERTIONS, FAMILIES, all_keys, assertion_of, family_of, nearest_key

DESIGNED = (
    "agreements",
    "capability.audio_input",
    "capability.files",
    "capability.json_object",
    "capability.json_schema",
    "capability.logprobs",
    "capability.parallel_tools",
    "capability.reasoning",
    "capability.seed",
    "capability.tools",
    "capability.vision",
    "data.retention_days",
    "data.training",
    "developer.country",
    "developer.id",
    "developer.lists",
    "facts.age_days",
    "facts.confidence",
    "hosting",
    "model.id",
    "model.pinned",
    "operator.attestations",
    "operator.country",
    "operator.id",
    "price.input_usd_per_mtok",
    "price.output_usd_per_mtok",
    "processing.country",
    "quantization",
    "request.bound",
    "request.cost_usd",
    "storage.country",
    "weights.licence",
    "weights.openness",
    "weights.use",
)


def test_families_are_sorted() -> None:
    """A reader finds a family where its name says."""
    names = [type(family).__name__ for family in FAMILIES]
    assert names == sorted(names)
    assert len(names) == len(set(names))


def test_keys_are_sorted_and_told_once() -> None:
    """The list of keys is that of the families and of the assertions, each key once, in order."""
    told = list(chain(*(family.keys() for family in FAMILIES), *(each.keys() for each in ASSERTIONS)))
    assert sorted(told) == list(all_keys())
    assert len(told) == len(set(told))


@pytest.mark.parametrize("key", DESIGNED)
def test_every_designed_key_has_its_family(key: str) -> None:
    """Each key that policies may use is answered for by exactly one family."""
    assert key in all_keys()
    found = family_of(key)
    assert found is not None
    assert found.owns(key)
    assert [family for family in FAMILIES if family.owns(key)] == [found]


def test_what_is_asserted_of_a_route_is_no_rule_for_a_deployment() -> None:
    """An assertion has a key that policies may use, and nothing that could answer for one deployment."""
    found = assertion_of("vendors.survive_loss_of")
    assert found is not None
    assert family_of("vendors.survive_loss_of") is None
    assert not hasattr(found, "judge")
    for each in ASSERTIONS:
        for key in each.grammars:
            assert assertion_of(key) is each
            assert not any(family.owns(key) for family in FAMILIES)
    assert assertion_of("operator.id") is None


def test_families_own_what_they_list() -> None:
    """A family owns each key that it lists, and is found by it."""
    for family in FAMILIES:
        keys = family.keys()
        assert keys
        for key in keys:
            assert family.owns(key)
            assert family_of(key) is family


@pytest.mark.parametrize(
    "key", ["", "developer", "developer.", "Developer.country", "capability.telepathy", "processing.countries"]
)
def test_a_key_without_a_meaning_has_no_family(key: str) -> None:
    """Nearly right is not right: no family answers, so config can refuse."""
    assert family_of(key) is None
    assert not any(family.owns(key) for family in FAMILIES)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("developer.contry", "developer.country"),
        ("operator.countries", "operator.country"),
        ("processing.country ", "processing.country"),
        ("data.retention", "data.retention_days"),
        ("weights.license", "weights.licence"),
        ("weights.openess", "weights.openness"),
        ("agreement", "agreements"),
        ("quantisation", "quantization"),
        ("capability.tool", "capability.tools"),
        ("request.cost", "request.cost_usd"),
        ("facts.age", "facts.age_days"),
        ("models.id", "model.id"),
        ("vendor.survive_loss", "vendors.survive_loss_of"),
    ],
)
def test_the_nearest_key_is_what_was_meant(wrong: str, meant: str) -> None:
    """A misspelt key is answered with the right one."""
    assert nearest_key(wrong) == meant


@pytest.mark.parametrize("key", all_keys())
def test_a_right_key_is_its_own_nearest(key: str) -> None:
    """Nothing is nearer than the same."""
    assert nearest_key(key) == key
