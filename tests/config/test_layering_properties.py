"""However house and configuration are written, no rule of a house is ever lost, and nothing below it loosens one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrouter.config import load
from modelrouter.core.policy import Level
from modelrouter.errors import ConfigError
from tests.config.texts import config

if TYPE_CHECKING:
    from modelrouter.config import Setup

RULES: dict[str, list[dict[str, Any]]] = {
    "operator.country": [{"deny": ["CN"]}, {"allow": ["DE", "FR"]}],
    "data.retention_days": [{"max": 0}, {"max": 30}],
    "data.training": [{"allow": ["never"]}],
    "hosting": [{"allow": ["self_hosted"]}, {"deny": ["managed"]}],
}
SHIPPED = ["baseline", "eu-gdpr", "zdr-no-train"]

rules = st.dictionaries(st.sampled_from(sorted(RULES)), st.integers(0, 1), min_size=1).map(
    lambda chosen: {key: RULES[key][index % len(RULES[key])] for key, index in chosen.items()}
)


@st.composite
def policy_lists(draw: st.DrawFn, prefix: str, names: list[str]) -> Any:
    """`none`, nothing, or a list of shipped names and policies of one's own that extend what is there."""
    if draw(st.booleans()) and draw(st.booleans()):
        return "none"
    chosen: list[Any] = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    for number in range(draw(st.integers(0, 2))):
        policy: dict[str, Any] = {"policy": f"{prefix}{number}", "rules": draw(rules), "observe": draw(st.booleans())}
        extends = draw(st.lists(st.sampled_from(SHIPPED), unique=True, max_size=1))
        chosen.append({**policy, "extends": extends} if extends else policy)
    return chosen


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """A house and a configuration below it, which may also try to take the house's names or say `none`."""
    house = draw(policy_lists("house", SHIPPED))
    taken = [item["policy"] for item in house if isinstance(item, dict)] if isinstance(house, list) else []
    top = draw(policy_lists("top", [*SHIPPED, *taken]))
    route = draw(policy_lists("route", [*SHIPPED, *taken]))
    thief = draw(
        st.sampled_from([None, *taken, *(name for name in house if isinstance(name, str) and house != "none")])
    )
    return {"house": house, "top": top, "route": route, "thief": thief}


def _load(world: dict[str, Any]) -> Setup:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "above").mkdir()
        (folder / "above" / "house.yaml").write_text(f"modelrouter: 1\npolicies: {json.dumps(world['house'])}\n")
        if world["thief"]:
            (folder / "policies").mkdir()
            stolen = f"policy: {world['thief']}\nrules: {{hosting: {{allow: [managed]}}}}\n"
            (folder / "policies" / f"{world['thief']}.yaml").write_text(stolen)
        text = config(
            include="include: [above/house.yaml]",
            policies=f"policies: {json.dumps(world['top'])}",
            routes=f"routes: {{a: {{try: [own], policies: {json.dumps(world['route'])}}}}}",
        )
        (folder / "modelrouter.yaml").write_text(text)
        return load(folder / "modelrouter.yaml")


def _house_alone(world: dict[str, Any]) -> Setup:
    return _load({**world, "top": "none", "route": "none", "thief": None})


@settings(max_examples=150, deadline=None)
@given(world=worlds())
def test_a_house_rule_is_never_lost(world: dict[str, Any]) -> None:
    """Either the configuration is refused, or every layer of the house is there, first, whole and at its level."""
    wanted = _house_alone(world).routes["a"].layers
    try:
        found = _load(world).routes["a"].layers
    except ConfigError:
        no_policy = not wanted and "none" not in (world["house"], world["top"], world["route"])
        assert world["thief"] is not None or no_policy
        return
    assert world["thief"] is None
    assert found[: len(wanted)] == wanted
    assert all(layer.level is Level.HOUSE for layer in wanted)
    assert all(layer.level is not Level.HOUSE for layer in found[len(wanted) :])
    names = [layer.policy.name for layer in found]
    assert len(names) == len(set(names))


@settings(max_examples=60, deadline=None)
@given(world=worlds(), extra=rules)
def test_one_more_policy_only_adds_a_layer(world: dict[str, Any], extra: dict[str, Any]) -> None:
    """A policy that is added to a route leaves every other layer as it was."""
    world = {**world, "thief": None, "route": world["route"] if world["route"] != "none" else []}
    more = {**world, "route": [*world["route"], {"policy": "more", "rules": extra}]}
    if not world["house"] and not world["top"] and not world["route"]:
        return
    before, after = _load(world).routes["a"].layers, _load(more).routes["a"].layers
    assert after[:-1] == before
    assert after[-1].policy.name == "more"
