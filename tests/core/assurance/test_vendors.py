"""Whose loss takes a deployment away: a truth table, written from the design before the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.assurance import Gap, VendorRole, vendors_of
from modelrouter.core.facts import Fact, Hosting, LinkRole, Openness
from tests.core.rules.world import (
    SOURCE,
    UNDISCLOSED,
    UNKNOWN,
    UNKNOWN_SET,
    UNKNOWN_YES,
    Without,
    deployment,
    link,
    low,
    model,
    names,
    organisation,
    self_hosted,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.facts import Deployment, World

UNKNOWN_OPENNESS: Fact[Openness] = Fact.unknown()

# As they were on 2026-11-29; `us-cloud` stands for Amazon's cloud, `us-host` for a host of open weights.
FOUNDATION = organisation("openai-foundation", "US")
OPENAI = organisation("openai", "US", "openai-foundation")
AMAZON = organisation("amazon", "US")
AWS = organisation("aws", "US", "amazon")
HOST = organisation("us-host", "US")
GROUND = world(FOUNDATION, OPENAI, AMAZON, AWS, HOST)


@dataclass(frozen=True, slots=True)
class Row:
    """One case: a deployment, and its vendors as `id: roles`."""

    deployment: Deployment
    vendors: Mapping[str, str]
    gaps: tuple[Gap, ...] = ()
    ground: World = GROUND


TABLE = {
    # closed weights: two companies and everybody who owns one of them
    "gpt by openai": Row(
        deployment("gpt", "gpt-5", "openai"), {"openai": "developer operator", "openai-foundation": "parent"}
    ),
    "gpt by azure": Row(
        deployment("gpt", "gpt-5", "azure", hosting=Hosting.MANAGED),
        {"azure": "operator", "microsoft": "parent", "openai": "developer", "openai-foundation": "parent"},
    ),
    "claude by anthropic": Row(deployment("claude", "claude-opus", "anthropic"), {"anthropic": "developer operator"}),
    "claude on bedrock": Row(
        deployment("claude", "claude-opus", "aws", hosting=Hosting.MANAGED),
        {"amazon": "parent", "anthropic": "developer", "aws": "operator"},
    ),
    "claude in foundry": Row(
        deployment("claude", "claude-opus", "azure", link(LinkRole.SUBPROCESSOR, "anthropic"), hosting=Hosting.MANAGED),
        {"anthropic": "developer subprocessor", "azure": "operator", "microsoft": "parent"},
    ),
    "claude by anthropic through openrouter": Row(
        deployment("claude", "claude-opus", "anthropic", link(LinkRole.VIA, "openrouter")),
        {"anthropic": "developer operator", "openrouter": "via"},
    ),
    "the same, nobody says who owns openrouter": Row(
        deployment("claude", "claude-opus", "anthropic", link(LinkRole.VIA, "openrouter")),
        {"anthropic": "developer operator", "openrouter": "via"},
        (Gap("openrouter.parent", "unknown"),),
        world(organisation("openrouter", "US", UNKNOWN)),
    ),
    # open weights outlive their maker, not their host
    "open weights by their maker": Row(deployment("deepseek", "deepseek-v3", "deepseek"), {"deepseek": "operator"}),
    "open weights at a host": Row(
        deployment("qwen", "qwen3-32b", "us-host", hosting=Hosting.MANAGED), {"us-host": "operator"}
    ),
    "open weights at the maker's foreign subsidiary": Row(
        deployment("qwen", "qwen3-32b", "alibaba-cloud-sg", hosting=Hosting.MANAGED),
        {"alibaba": "parent", "alibaba-cloud-sg": "operator"},
    ),
    "a subsidiary of a subsidiary": Row(
        deployment("qwen", "qwen3-32b", "straits-inference", hosting=Hosting.MANAGED),
        {"alibaba": "parent", "alibaba-cloud-sg": "parent", "straits-inference": "operator"},
    ),
    "open weights that we hold, in our own rooms": Row(self_hosted("qwen3-32b"), {}),
    "open weights that we hold, in a cloud": Row(
        self_hosted("qwen3-32b", link(LinkRole.RUNS_ON, "aws")), {"amazon": "parent", "aws": "cloud"}
    ),
    "closed weights that we hold": Row(
        self_hosted("mistral-medium", link(LinkRole.RUNS_ON, "hetzner")), {"hetzner": "cloud", "mistral": "developer"}
    ),
    # weights of ours
    "a fine-tune of ours on hetzner": Row(
        self_hosted("acme-support", link(LinkRole.RUNS_ON, "hetzner")), {"hetzner": "cloud"}
    ),
    "a fine-tune of ours that nobody else may have": Row(
        self_hosted("acme-secret"),
        {},
        ground=world(model("acme-secret", "self", openness=Openness.CLOSED, derived_from=names("mistral-small"))),
    ),
    "a fine-tune of ours of closed weights": Row(
        deployment("tuned", "acme-gpt", "azure", hosting=Hosting.MANAGED),
        {"azure": "operator", "microsoft": "parent", "openai": "developer"},
        ground=world(model("acme-gpt", "self", openness=Openness.CLOSED, derived_from=names("gpt-5"))),
    ),
    "a company of ours runs it": Row(
        deployment("sister", "qwen3-32b", "sister"),
        {"sister": "operator"},
        ground=world(organisation("sister", "DE", "self")),
    ),
    # what is not known proves nothing
    "runs_on not declared": Row(
        self_hosted("qwen3-32b", complete=UNKNOWN_YES), {}, (Gap("own.runs_on", "not declared"),)
    ),
    "runs_on declared by somebody's hearsay": Row(
        self_hosted("qwen3-32b", complete=low(True)), {}, (Gap("own.runs_on", "low confidence"),)
    ),
    "a chain that is known to lack a link": Row(
        self_hosted("qwen3-32b", complete=False), {}, (Gap("own.runs_on", "not declared"),)
    ),
    "an owner that is not disclosed": Row(
        deployment("qwen", "qwen3-32b", "us-host"),
        {"us-host": "operator"},
        (Gap("us-host.parent", "undisclosed"),),
        world(organisation("us-host", "US", UNDISCLOSED)),
    ),
    "an owner by hearsay": Row(
        deployment("qwen", "qwen3-32b", "us-host"),
        {"norwood": "parent", "us-host": "operator"},
        (Gap("us-host.parent", "low confidence"),),
        world(organisation("us-host", "US", low("norwood"))),
    ),
    "an operator in no table": Row(
        deployment("qwen", "qwen3-32b", "nobody"), {"nobody": "operator"}, (Gap("nobody.parent", "unknown"),)
    ),
    "weights that may be closed": Row(
        deployment("x", "maybe", "us-host"),
        {"us-host": "operator"},
        (Gap("maybe.openness", "unknown"),),
        world(HOST, model("maybe", "norwood", openness=UNKNOWN_OPENNESS)),
    ),
    "weights that are neither open nor closed": Row(
        self_hosted("maybe"),
        {},
        (Gap("maybe.openness", "none"),),
        world(model("maybe", "norwood", openness=None)),
    ),
    "open weights by hearsay": Row(
        self_hosted("maybe"),
        {},
        (Gap("maybe.openness", "low confidence"),),
        world(model("maybe", "norwood", openness=low(Openness.OPEN_WEIGHTS))),
    ),
    "closed weights of nobody known": Row(
        self_hosted("maybe"),
        {},
        (Gap("maybe.developer", "unknown"),),
        world(model("maybe", UNKNOWN, openness=Openness.CLOSED)),
    ),
    "open weights of nobody known": Row(self_hosted("maybe"), {}, (), world(model("maybe", UNKNOWN))),
    "a model of ours, made from we do not know what": Row(
        self_hosted("acme-x"),
        {},
        (Gap("acme-x.derived_from", "unknown"),),
        world(model("acme-x", "self", openness=Openness.CLOSED, derived_from=UNKNOWN_SET)),
    ),
    "a model in no table": Row(
        self_hosted("acme-support"), {}, (Gap("acme-support.openness", "unknown"),), world(Without("acme-support"))
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_the_vendors_of_a_deployment(row: Row) -> None:
    """Each case has exactly these vendors in these roles, and lacks exactly these facts."""
    found = vendors_of(row.deployment, row.ground)
    roles = {vendor.id: " ".join(sorted(role.value for role in vendor.roles)) for vendor in found.vendors}
    assert roles == row.vendors
    assert found.gaps == row.gaps
    assert found.are_known is (not row.gaps)


def test_vendors_are_sorted_and_told_once() -> None:
    """An organisation in three places of one chain is one vendor with three roles."""
    chain = (link(LinkRole.VIA, "openai"), link(LinkRole.SUBPROCESSOR, "openai-foundation"))
    found = vendors_of(deployment("gpt", "gpt-5", "openai", *chain), GROUND)
    assert found.ids == ("openai", "openai-foundation")
    assert found.vendors[0].roles == {VendorRole.OPERATOR, VendorRole.VIA, VendorRole.DEVELOPER}
    assert found.vendors[1].roles == {VendorRole.SUBPROCESSOR, VendorRole.PARENT}


def test_owners_in_a_circle_end() -> None:
    """Two organisations that own each other are both vendors, and the walk ends."""
    ground = world(organisation("a", "DE", "b"), organisation("b", "DE", "a"))
    found = vendors_of(deployment("x", "qwen3-32b", "a"), ground)
    assert (found.ids, found.gaps) == (("a", "b"), ())


def test_a_circle_by_hearsay_ends_and_proves_nothing() -> None:
    """It is walked once like any other, and each owner that is only said to be one is a gap."""
    ground = world(organisation("a", "DE", low("b")), organisation("b", "DE", low("a")))
    found = vendors_of(deployment("x", "qwen3-32b", "a"), ground)
    assert found.ids == ("a", "b")
    assert found.gaps == (Gap("a.parent", "low confidence"), Gap("b.parent", "low confidence"))


def test_models_of_ours_in_a_circle_end() -> None:
    """Models of ours that are made from each other are asked once."""
    ring = (
        model("one", "self", openness=Openness.CLOSED, derived_from=names("two")),
        model("two", "self", openness=Openness.CLOSED, derived_from=names("one gpt-5")),
    )
    assert vendors_of(self_hosted("one"), world(*ring)).ids == ("openai",)


def test_a_deployment_without_a_chain_proves_nothing() -> None:
    """Nobody is named as its operator, so anybody may be."""
    bare = deployment("x", "qwen3-32b", "us-host")
    empty = type(bare)("x", "qwen3-32b", (), bare.hosting, bare.price, Fact.known(True, SOURCE))
    assert vendors_of(empty, GROUND).gaps == (Gap("x.operator", "unknown"),)
