"""`vendors.share` as a rule: what it asks of facts, what its words mean, and to whose shares a deployment adds."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.facts import Fact
from modelrouter.core.policy import Layer, Level, Outcome, Policy, RuleSpec
from modelrouter.core.rules.share import SHARE, ShareFamily, cap_of
from modelrouter.core.share_demands import VendorIds, caps_in, demands
from modelrouter.core.shares import Measure, ShareCap, ShareMode
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.world import (
    CELLAR,
    CLAUDE,
    DEEPSEEK,
    GPT,
    MISTRAL,
    QWEN_SG,
    RENTED,
    TODAY,
    WORLD,
    Without,
    deployment,
    low,
    model,
    organisation,
    world,
)

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment, World

RULE: dict[str, object] = {"window": "30d", "min_volume": 100, "when_alone": "permit"}


def spec(most: Any = Decimal("0.6"), **options: object) -> RuleSpec:
    """A rule; an option of None is left out."""
    given = {name: value for name, value in {**RULE, **options}.items() if value is not None}
    return RuleSpec(SHARE, at_most=most, options=given)


def made(rule: RuleSpec, *, observe: bool = False) -> ShareCap:
    """The cap of a rule that has a meaning."""
    assert ShareFamily().check(rule) is None
    found = cap_of(Policy("two", (rule,), observe=observe), rule)
    assert found is not None
    return found


def answer(rule: RuleSpec, asked: Deployment, facts: World = WORLD) -> Outcome:
    """What the rule answers about one deployment."""
    return ShareFamily().judge(rule, Subject(asked, facts, Calendar(TODAY))).outcome


def asked_of(
    rule: RuleSpec, *permitted: Deployment, facts: World = WORLD, observe: bool = False
) -> dict[str, list[tuple[str, str]]]:
    """The vendors that each deployment is asked for, with their ids in the book."""
    found = demands([made(rule, observe=observe)], permitted, VendorIds(facts))
    return {name: [(each.vendor, " ".join(sorted(each.members))) for each in wanted] for name, wanted in found.items()}


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_rule_becomes_a_cap() -> None:
    """An exact share, whole units, and what is not written: spend by operator, hard."""
    cap = made(spec("0.6", min_volume="12.5"))
    assert cap == ShareCap(
        "two/vendors.share", 3, 5, Measure.SPEND, "operator", 30 * 86_400, 12_500_000_000, ShareMode.HARD, True
    )
    other = made(spec(Decimal("0.333"), of="tokens", by="country", window="36h", min_volume=10, when_alone="refuse"))
    assert (other.numerator, other.denominator, other.of, other.by) == (333, 1_000, Measure.TOKENS, "country")
    assert (other.window_s, other.least, other.permits_alone) == (36 * 3_600, 10, False)


def test_modes() -> None:
    """A soft rule is soft, and one of an observing policy is observed whatever it says."""
    soft = spec(mode="soft", when_alone=None)
    assert made(soft).mode is ShareMode.SOFT
    assert made(soft, observe=True).mode is ShareMode.OBSERVED
    assert made(spec(), observe=True).mode is ShareMode.OBSERVED


@pytest.mark.parametrize(
    "wrong",
    [
        spec("1"),
        spec("0"),
        spec(None),
        spec("0.6", window=None),
        spec("0.6", window=30),
        spec("0.6", window="0d"),
        spec("0.6", min_volume=None),
        spec("0.6", min_volume="-1"),
        spec("0.6", min_volume=1.5),
        spec("0.6", min_volume=True),
        spec("0.6", of="calls", min_volume=str(2**53 + 1)),
        spec("0.6", min_volume="0.0000000001"),
        spec("0.6", when_alone=None),
        spec("0.6", mode="soft"),
        spec("0.6", by=["operator"]),
        spec("0.6", beside="this"),
    ],
)
def test_a_rule_without_a_meaning_permits_nobody(wrong: RuleSpec) -> None:
    """What `check` refuses is no cap, and where it slips through it is answered unknown."""
    assert ShareFamily().check(wrong) is not None
    assert cap_of(Policy("two", (wrong,)), wrong) is None
    assert answer(wrong, GPT) is Outcome.UNKNOWN


def test_other_rules_are_no_caps() -> None:
    """Only `vendors.share` is one."""
    other = RuleSpec("operator.id", deny=frozenset({"azure"}))
    assert cap_of(Policy("two", (other,)), other) is None


def test_layers_give_their_caps_once() -> None:
    """A policy that binds twice asks once; two policies with the same rule are two caps, by their names."""
    rule = spec()
    bound = (("a", Level.HOUSE), ("a", Level.ROUTE), ("b", Level.ROUTE))
    layers = [Layer(Policy(name, (rule,)), level) for name, level in bound]
    assert [cap.rule for cap in caps_in(layers)] == ["a/vendors.share", "b/vendors.share"]


# --- facts ------------------------------------------------------------------------------------------------------------

NOBODY = replace(GPT, chain=())
SECRET: Fact[str] = Fact.undisclosed(WORLD.models["gpt-5"].developer.source)


@pytest.mark.parametrize(
    ("rule", "asked", "facts", "outcome"),
    [
        (spec(), GPT, WORLD, Outcome.PERMITTED),
        (spec(), NOBODY, WORLD, Outcome.UNKNOWN),
        (spec(by="developer"), GPT, WORLD, Outcome.PERMITTED),
        (spec(by="developer"), GPT, world(model("gpt-5", Fact.unknown())), Outcome.UNKNOWN),
        (spec(by="developer"), GPT, world(model("gpt-5", SECRET)), Outcome.UNKNOWN),
        (spec(by="developer"), GPT, world(model("gpt-5", low("openai"))), Outcome.UNKNOWN),
        (spec(by="developer"), GPT, world(Without("gpt-5")), Outcome.UNKNOWN),
        (spec(by="developer", mode="soft", when_alone=None), GPT, world(Without("gpt-5")), Outcome.PERMITTED),
        (spec(by="parent"), GPT, world(organisation("azure", "US", Fact.unknown())), Outcome.PERMITTED),
        (spec(by="country"), GPT, WORLD, Outcome.PERMITTED),
        (spec(by="country"), GPT, world(organisation("azure", Fact.unknown(), "microsoft")), Outcome.UNKNOWN),
        (spec(by="country"), GPT, world(organisation("microsoft", low("US"))), Outcome.UNKNOWN),
        (spec(by="country"), GPT, world(organisation("azure", "US", Fact.unknown())), Outcome.UNKNOWN),
        (spec(by="country"), CELLAR, WORLD, Outcome.PERMITTED),
    ],
)  # fmt: skip
def test_a_hard_cap_refuses_whom_it_cannot_count(
    rule: RuleSpec, asked: Deployment, facts: World, outcome: Outcome
) -> None:
    """To whose share it would add must be known; a soft one permits, for it never refuses."""
    assert answer(rule, asked, facts) is outcome


def test_vendors_of_a_deployment() -> None:
    """By operator, developer, topmost known parent, and each country of the operator; `self` is no vendor."""
    vendors = VendorIds(WORLD)
    assert [vendors.of(by, QWEN_SG) for by in ("operator", "developer", "parent", "country")] == [
        ("alibaba-cloud-sg",),
        ("alibaba",),
        ("alibaba",),
        ("SG", "CN"),
    ]
    assert [vendors.of(by, RENTED) for by in ("operator", "parent", "country")] == [(), (), ()]
    assert vendors.of("developer", RENTED) == ("mistral",)
    assert vendors.of("developer", deployment("ours", "acme-support", "azure")) == ()
    assert VendorIds(world(organisation("azure", "US", Fact.unknown()))).of("parent", GPT) == ("azure",)


def test_members_are_all_that_is_one_vendor_in_the_book() -> None:
    """A parent stands for each operator that it owns, whether a deployment uses it or not; a country likewise."""
    vendors = VendorIds(WORLD)
    assert vendors.members("parent", "alibaba") == {"alibaba", "alibaba-cloud-sg", "lion-labs", "straits-inference"}
    assert vendors.members("parent", "mistral") == {"mistral"}
    assert {"azure", "microsoft", "openai"} <= vendors.members("country", "US")
    assert "mistral" not in vendors.members("country", "US")
    assert vendors.members("developer", "openai") == {"openai"}
    assert vendors.members("country", "XX") == frozenset()


# --- who is asked -----------------------------------------------------------------------------------------------------


def test_each_candidate_is_asked_for_its_own_vendor() -> None:
    """Where there is a choice, every cap is asked; what runs here adds to nobody's share."""
    assert asked_of(spec(), GPT, MISTRAL, CELLAR) == {
        "gpt": [("azure", "azure")],
        "mistral": [("mistral", "mistral")],
        "cellar": [],
    }
    found = asked_of(spec(by="country"), QWEN_SG, DEEPSEEK, MISTRAL)
    assert [vendor for vendor, _ in found["qwen-sg"]] == ["SG", "CN"]


@pytest.mark.parametrize(
    ("rule", "is_asked"),
    [
        (spec(when_alone="permit"), False),
        (spec(when_alone="refuse"), True),
        (spec(mode="soft", when_alone=None), False),
    ],
)
def test_when_a_vendor_is_alone(rule: RuleSpec, is_asked: bool) -> None:
    """Two deployments of one vendor are no choice: `when_alone` decides; a soft cap has nobody to be put behind."""
    assert asked_of(rule, GPT, CLAUDE) == {name: [("azure", "azure")] * is_asked for name in ("gpt", "claude")}
    assert asked_of(rule, GPT, CLAUDE, CELLAR)["gpt"] == [("azure", "azure")], "what runs here is somebody else"


def test_who_is_alone_depends_on_what_vendors_are_told_apart_by() -> None:
    """Two operators of one parent are alone by parent, and not by operator; the one country in common is not asked."""
    facts = world(organisation("mistral", "FR", "alibaba"))
    assert asked_of(spec(by="parent"), QWEN_SG, MISTRAL, facts=facts) == {"qwen-sg": [], "mistral": []}
    by_country = asked_of(spec(by="country"), QWEN_SG, MISTRAL, facts=facts)
    assert {name: [vendor for vendor, _ in asked] for name, asked in by_country.items()} == {
        "qwen-sg": ["SG"],
        "mistral": ["FR"],
    }


def test_nobody_permitted_is_asked_nothing() -> None:
    """A decision without candidates has no demands."""
    assert asked_of(spec()) == {}
