"""Who is left after a loss, and the shortest counterexample, on hand-drawn ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.core.assurance import Ground, Loss, LossKind
from modelrouter.core.facts import LinkRole, World
from tests.core.rules.world import (
    UNKNOWN,
    UNKNOWN_YES,
    deployment,
    link,
    low,
    organisation,
    self_hosted,
    world,
)

if TYPE_CHECKING:
    from modelrouter.core.facts import Fact


def ground_of(*deployments: str, own: bool = False) -> Ground:
    """Deployments of open weights written as their vendors: `ab` falls with a and with b; `own` adds our own rooms."""
    letters = sorted({letter for each in deployments for letter in each})
    base = world(*(organisation(letter, "DE") for letter in letters))
    found = {
        each: deployment(each, "qwen3-32b", each[0], *(link(LinkRole.SUBPROCESSOR, more) for more in each[1:]))
        for each in deployments
    }
    if own:
        found["own"] = self_hosted("qwen3-32b")
    return Ground(World(base.organisations, base.licences, base.models, found, base.groups, base.caller))


@pytest.mark.parametrize(
    ("deployments", "most", "expected"),
    [
        ("a", 1, "a"),
        ("ab", 1, "a"),  # the first by name
        ("a b", 1, None),
        ("a b", 2, "ab"),
        ("ab bc", 1, "b"),  # what they share
        ("ab bc ca", 1, None),
        ("ab bc ca", 2, "ab"),
        ("ab cd ef", 2, None),
        ("ab cd ef", 3, "ace"),
        ("ab cd ef", 9, "ace"),
        ("az bz cz dy ey fy", 2, "yz"),  # not the greedy four
        ("abx cdx aby cdy", 2, "ac"),
        ("ac ad bc bd", 2, "ab"),
        ("a b c d e f g h", 7, None),
        ("a b c d e f g h", 8, "abcdefgh"),
    ],
)
def test_the_shortest_counterexample(deployments: str, most: int, expected: str | None) -> None:
    """It is the fewest vendors, and of equally few the first by name; None where so many are not enough."""
    names = deployments.split()
    found = ground_of(*names).footing(names).shortest_counterexample(most)
    assert found == (None if expected is None else tuple(expected))


def test_own_rooms_outlive_everybody() -> None:
    """A deployment without a vendor leaves no counterexample of any size."""
    assert ground_of("a", own=True).footing(["a", "own"]).shortest_counterexample(50) is None


def test_nobody_is_nobody_without_a_loss() -> None:
    """With nobody permitted the counterexample is the loss of nobody, which is shorter than any other."""
    assert ground_of("a").footing([]).shortest_counterexample(1) == ()


def test_only_the_permitted_count() -> None:
    """A deployment that stands on other ground is no help while a policy refuses it."""
    ground = ground_of("a", "b")
    assert ground.footing(["a"]).shortest_counterexample(1) == ("a",)
    assert ground.footing(["a"]).left((Loss("a"),)) == ()
    assert ground.footing(["a", "b"]).left((Loss("a"),)) == ("b",)


def test_a_deployment_of_unknown_vendors_never_counts() -> None:
    """It is in nobody's way and saves nobody: not after a loss, and not before one."""
    base = world()
    found = {
        "gpt": base.deployments["gpt"],
        "unclear": self_hosted("qwen3-32b", name="unclear", complete=UNKNOWN_YES),
    }
    ground = Ground(World(base.organisations, base.licences, base.models, found, base.groups, base.caller))
    assert ground.footing(["gpt", "unclear"]).shortest_counterexample(1) == ("azure",)
    assert ground.footing(["gpt", "unclear"]).left((Loss("mistral"),)) == ("gpt",)
    assert ground.footing(["unclear"]).shortest_counterexample(1) == ()


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        (Loss("microsoft"), "mistral qwen-sg qwen-via mistral-via deepseek rented cellar"),
        (Loss("azure"), "mistral qwen-sg qwen-via mistral-via deepseek rented cellar"),
        (Loss("openai"), "claude mistral qwen-sg qwen-via mistral-via deepseek rented cellar"),
        (Loss("mistral"), "gpt claude qwen-sg qwen-via deepseek rented cellar"),
        (Loss("hetzner"), "gpt claude mistral qwen-sg qwen-via mistral-via deepseek cellar"),
        (Loss("meta"), "gpt claude mistral qwen-sg qwen-via mistral-via deepseek rented cellar"),
        (Loss("alibaba", LossKind.PARENT), "gpt claude mistral mistral-via deepseek rented cellar"),
        (Loss("US", LossKind.COUNTRY), "mistral qwen-sg deepseek rented cellar"),
        (Loss("CN", LossKind.COUNTRY), "gpt claude mistral mistral-via rented cellar"),
        (Loss("EU", LossKind.COUNTRY), "gpt claude qwen-sg qwen-via deepseek cellar"),
        (Loss("env:KEY", LossKind.CREDENTIAL), "mistral qwen-sg mistral-via deepseek rented cellar"),
    ],
)
def test_who_is_left(lost: Loss, left: str) -> None:
    """By vendor, owner, country, group of countries and credential; `somewhere` runs nobody knows where."""
    base = world()
    ground = Ground(
        base, credentials={"gpt": "env:KEY", "claude": "env:KEY", "qwen-via": "env:KEY", "mistral": "env:M"}
    )
    assert ground.footing(base.deployments).left((lost,)) == tuple(left.split())


def test_losses_add_up() -> None:
    """What is lost together is gone together."""
    base = world()
    both = (Loss("US", LossKind.COUNTRY), Loss("mistral"))
    assert Ground(base).footing(base.deployments).left(both) == ("qwen-sg", "deepseek", "rented", "cellar")


@pytest.mark.parametrize("country", [UNKNOWN, low("FR")])
def test_a_vendor_of_no_known_country_may_be_of_any(country: Fact[str]) -> None:
    """With a country goes everybody who may belong to it, and whoever is only said to belong elsewhere."""
    base = world(organisation("mistral", country))
    left = Ground(base).footing(base.deployments).left((Loss("CN", LossKind.COUNTRY),))
    assert left == ("gpt", "claude", "rented", "cellar")


def test_a_loss_is_written_as_on_the_command_line() -> None:
    """The text of a loss is what somebody writes to ask for it."""
    assert [each.text for each in (Loss("openai"), Loss("US", LossKind.COUNTRY))] == ["openai", "country:US"]
