"""Who falls under a revocation: a truth table of roles, and a slow oracle over generated worlds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from modelrouter.core.assurance import (
    ROLES_OF,
    Revocation,
    RevokedKind,
    RevokedRole,
    aftermath,
    exposure_of,
    revocation_from,
    revoked_by,
    subjects_named,
)
from modelrouter.core.facts import SELF, Fact, LinkRole, Standing, State
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec
from modelrouter.core.route import Route, Try
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.world import (
    SOURCE,
    TODAY,
    UNDISCLOSED_SET,
    UNKNOWN,
    UNKNOWN_YES,
    deployment,
    link,
    low,
    model,
    names,
    organisation,
    self_hosted,
    world,
)
from tests.strategies import TODAY as DRAWN_DAY
from tests.strategies import everyday, scenarios

if TYPE_CHECKING:
    from datetime import date

    from modelrouter.core.facts import Deployment, World
    from tests.strategies import Scenario

VENDOR, MODEL, DEPLOYMENT = RevokedKind.VENDOR, RevokedKind.MODEL, RevokedKind.DEPLOYMENT
ROLE = RevokedRole
NOW_US = 1_790_000_000_000_000

HAND_ON = world(model("acme-tune", SELF, derived_from=names("deepseek-r1")))
BARE = model("latest", "rhein-labs")


def moving(until: date | None = None) -> World:
    """A world with an alias that stands for a model of DeepSeek's, up to a day or for ever."""
    standing = Standing("deepseek-r1", None, until, SOURCE)
    return world(replace(BARE, alias_of=Fact.known((standing,), SOURCE)))


def falls(
    found: Deployment, ground: World, kind: RevokedKind, name: str, *roles: RevokedRole, day: date = TODAY
) -> bool:
    """Whether a deployment falls under a revocation; no role is every role."""
    marks = exposure_of(Subject(found, ground, Calendar(day))).marks
    revocation = Revocation(kind, name, "trial", frozenset(roles) or ROLES_OF[kind], "entry 1")
    return revoked_by(marks, [revocation], NOW_US) is not None


GPT = deployment("gpt", "gpt-5", "azure")
CLAUDE = deployment("claude", "claude-opus", "azure", link(LinkRole.SUBPROCESSOR, "anthropic"))
ROUTED = deployment("routed", "mistral-medium", "mistral", link(LinkRole.VIA, "openrouter"))
RENTED = self_hosted("mistral-small", link(LinkRole.RUNS_ON, "hetzner"), name="rented")
R1 = deployment("r1", "deepseek-r1", "norwood")
TUNED = self_hosted("acme-tune", name="tuned")
LATEST = deployment("latest", "latest", "norwood")
SOMEWHERE = self_hosted("mistral-small", name="somewhere", complete=UNKNOWN_YES)

TABLE = [
    # each role of a vendor, and no other
    ("its operator", GPT, VENDOR, "azure", "operator", None),
    ("its operator's owner", GPT, VENDOR, "microsoft", "operator", None),
    ("its developer, of closed weights", GPT, VENDOR, "openai", "developer", None),
    ("its developer, of open weights in our own rooms", RENTED, VENDOR, "mistral", "developer", None),
    ("a developer's owner", deployment("lion", "lion-7b", "norwood"), VENDOR, "alibaba", "developer", None),
    ("its aggregator", ROUTED, VENDOR, "openrouter", "via", None),
    ("its sub-processor, who made it too", CLAUDE, VENDOR, "anthropic", "developer subprocessor", None),
    ("the cloud under it", RENTED, VENDOR, "hetzner", "cloud", None),
    ("an operator who made it too", ROUTED, VENDOR, "mistral", "developer operator", None),
    ("whoever made what it was made from", TUNED, VENDOR, "deepseek", "lineage", HAND_ON),
    ("its developer, also by what it was made from", R1, VENDOR, "deepseek", "developer lineage", None),
    ("nobody of its own", GPT, VENDOR, "hetzner", "", None),
    ("a sister of its operator", GPT, VENDOR, "norwood", "", None),
    ("a subsidiary of its developer", deployment("q", "qwen3-32b", "norwood"), VENDOR, "lion-labs", "", None),
    # models and deployments
    ("its model", GPT, MODEL, "gpt-5", "itself", None),
    ("what its model was made from", R1, MODEL, "deepseek-v3", "lineage", None),
    ("what that was made from", TUNED, MODEL, "deepseek-v3", "lineage", HAND_ON),
    ("what its model learned from is no lineage", GPT, MODEL, "deepseek-v3", "", None),
    ("another model", GPT, MODEL, "claude-opus", "", None),
    ("itself", GPT, DEPLOYMENT, "gpt", "itself", None),
    ("another deployment", GPT, DEPLOYMENT, "claude", "", None),
    # aliases
    ("an alias itself", LATEST, MODEL, "latest", "itself", moving()),
    ("what an alias stands for", LATEST, MODEL, "deepseek-r1", "itself", moving()),
    ("who made what an alias stands for", LATEST, VENDOR, "deepseek", "developer lineage", moving()),
    ("what that was made from", LATEST, MODEL, "deepseek-v3", "lineage", moving()),
    ("what an alias stood for yesterday", LATEST, MODEL, "deepseek-r1", "", moving(TODAY - timedelta(days=1))),
    # what is not known
    ("an undeclared cloud may be anybody's", SOMEWHERE, VENDOR, "hetzner", "cloud", None),
    (
        "a developer nobody knows may be anybody",
        deployment("x", "x", "norwood"),
        VENDOR,
        "hetzner",
        "developer",
        world(model("x", UNKNOWN)),
    ),
    ("a model nobody knows was made by anybody", deployment("x", "?", "norwood"), VENDOR, "meta", "developer", None),
    ("nobody runs it: anybody may", replace(GPT, chain=()), VENDOR, "meta", "operator", None),
    (
        "an owner nobody knows is none",
        deployment("x", "gpt-5", "norwood"),
        VENDOR,
        "meta",
        "",
        world(organisation("norwood", "GB", UNKNOWN)),
    ),
    (
        "an owner by hearsay is one",
        deployment("x", "gpt-5", "norwood"),
        VENDOR,
        "meta",
        "operator",
        world(organisation("norwood", "GB", low("meta"))),
    ),
    (
        "undisclosed origins are nobody's",
        deployment("x", "gpt-5", "norwood"),
        VENDOR,
        "meta",
        "",
        world(model("gpt-5", "openai", derived_from=UNDISCLOSED_SET)),
    ),
    ("an unknown part concerns no model", SOMEWHERE, MODEL, "gpt-5", "", None),
]


@pytest.mark.parametrize(("what", "found", "kind", "name", "roles", "ground"), TABLE, ids=[row[0] for row in TABLE])
def test_truth_table(
    what: str, found: Deployment, kind: RevokedKind, name: str, roles: str, ground: World | None
) -> None:
    """Each row tells in which roles a thing is part of a deployment; revoked in any other role, it goes on."""
    here = world() if ground is None else ground
    told = " ".join(sorted(role.value for role in ROLES_OF[kind] if falls(found, here, kind, name, role)))
    assert told == roles, what
    assert falls(found, here, kind, name) is bool(roles)


def test_ourselves_cannot_be_revoked() -> None:
    """`self` is nobody's vendor, in no role; it is no name of anything that can be revoked."""
    assert not falls(RENTED, world(), VENDOR, SELF)
    assert not falls(TUNED, HAND_ON, VENDOR, SELF)
    assert subjects_named(SELF, world()) == ()


def test_names_of_several_things_are_told_apart() -> None:
    """A kind before a colon takes one of them; a word that is no kind is part of a name."""
    deployments = {"mistral": ROUTED, "vendor:x": GPT}
    ground = replace(world(), deployments=deployments)
    assert subjects_named("mistral", ground) == ((VENDOR, "mistral"), (DEPLOYMENT, "mistral"))
    assert subjects_named("deployment:mistral", ground) == ((DEPLOYMENT, "mistral"),)
    assert subjects_named("vendor:nobody", ground) == ()
    assert subjects_named("deployment:vendor:x", ground) == ((DEPLOYMENT, "vendor:x"),)
    assert subjects_named("gpt-5", ground) == ((MODEL, "gpt-5"),)


def test_doubts_are_told() -> None:
    """What could add to it and is not known is named by its path, and takes nobody away."""
    ground = world(organisation("norwood", "GB", UNKNOWN), model("gpt-5", "openai", derived_from=UNDISCLOSED_SET))
    found = exposure_of(Subject(deployment("x", "gpt-5", "norwood"), ground, Calendar(TODAY)))
    assert found.doubts == ("norwood.parent", "gpt-5.derived_from")


@pytest.mark.parametrize("until_us", [None, NOW_US + 1])
def test_what_is_written_down_is_read_again(until_us: int | None) -> None:
    """Its content says all of it but when and where that stands."""
    roles = frozenset({ROLE.VIA, ROLE.CLOUD})
    made = Revocation(VENDOR, "azure", "why", roles, "entry 7", 5, until_us, abort_in_flight=True)
    assert revocation_from(made.content(), id="entry 7", from_us=5) == made
    assert made.holds(NOW_US)
    assert made.holds(NOW_US + 1) is (until_us is None)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "planet"},
        {"roles": []},
        {"roles": ["itself"]},
        {"roles": ["operator", "boss"]},
        {"roles": "operator"},
        {"name": 5},
        {"until_us": "soon"},
        {"until_us": True},
        {"abort_in_flight": 1},
    ],
)
def test_what_cannot_be_understood_is_refused(change: dict[str, object]) -> None:
    """A revocation that is not wholly understood takes away nobody knows whom: it is an error."""
    content = Revocation(VENDOR, "azure", "why", ROLES_OF[VENDOR]).content()
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do
        revocation_from({**content, **change}, id="x", from_us=0)
    with pytest.raises(ValueError, match="`reason`"):
        revocation_from({key: value for key, value in content.items() if key != "reason"}, id="x", from_us=0)


# --- the aftermath ----------------------------------------------------------------------------------------------------


def test_the_aftermath_tells_who_is_left_and_which_promise_broke() -> None:
    """One vendor left, nobody left, and an assertion that no longer holds; a route that loses nobody is not told of."""
    ground = replace(
        world(), deployments={each.id: each for each in (GPT, ROUTED, RENTED, replace(RENTED, id="other"))}
    )
    spec = RuleSpec("vendors.survive_loss_of", at_least=1)
    layers = (Layer(Policy("two-vendors", (spec,), "text"), Level.CONFIG),)
    routes = {
        "both": Route("both", (Try({"gpt": 1}), Try({"rented": 1})), layers),
        "one": Route("one", (Try({"gpt": 1}),)),
        "three": Route("three", (Try({"gpt": 1}), Try({"rented": 1}), Try({"other": 1}), Try({"routed": 1}))),
        "none": Route("none", (Try({"rented": 1}),)),
    }
    found = {each.route: each for each in aftermath(routes, ground, {"gpt"}, NOW_US / 1e6)}
    assert set(found) == {"both", "one", "three"}
    assert (found["both"].taken, found["both"].left, found["both"].last_vendor) == (("gpt",), ("rented",), "hetzner")
    assert [each.counterexample for each in found["both"].broken] == [("hetzner",)]
    assert "route `both` hangs on the one vendor `hetzner` now" in found["both"].warning
    assert found["one"].warning == "nobody is left for route `one`: `gpt` is cut off"
    assert (found["three"].last_vendor, found["three"].warning) == ("", "")


# --- the oracle -------------------------------------------------------------------------------------------------------


def family(ground: World, name: str) -> set[str]:
    """An organisation and everybody who owns it, ourselves left out."""
    found: set[str] = set()
    here: str | None = name
    while here is not None and here not in found:
        found.add(here)
        known = ground.organisations.get(here) if here != SELF else None
        here = known.parent.value if known is not None and known.parent.state is State.KNOWN else None
    return found - {SELF}


def stands_for(ground: World, name: str) -> set[str]:
    """What a model's name is today: itself, or what it is an alias of; an alias of an alias is nothing."""
    known = ground.models.get(name)
    if known is None or known.alias_of.value is None:
        return {name}
    today = {
        each.model
        for each in known.alias_of.value
        if (each.since is None or each.since <= DRAWN_DAY) and (each.until is None or each.until >= DRAWN_DAY)
    }
    aliases = {each for each in today if each in ground.models and ground.models[each].alias_of.state is not State.NONE}
    return {name} | (today - aliases)


def slowly(found: Deployment, ground: World) -> set[tuple[str, str]]:
    """Every role and name by which vendors and models are part of a deployment; `?` where the part is not known."""
    parts: set[tuple[str, str]] = set()
    words = {"operator": "operator", "via": "via", "subprocessor": "subprocessor", "runs_on": "cloud"}
    for each in found.chain:
        parts |= {(words[each.role.value], name) for name in family(ground, each.organisation)}
    if not found.chain:
        parts.add(("operator", "?"))
    own = stands_for(ground, found.model)
    seen, ahead = set(own), set(own)
    while ahead:
        name = ahead.pop()
        known = ground.models.get(name)
        role = "developer" if name in own else "lineage"
        parts.add(("model itself" if name in own else "model lineage", name))
        is_alias = known is not None and len(stands_for(ground, name)) > 1
        following = set() if known is None or is_alias else set(known.derived_from.value or ())
        following |= stands_for(ground, name)
        ahead |= following - seen
        seen |= following
        maker = None if known is None else known.developer
        if maker is not None and maker.value is not None:
            parts |= {(role, owner) for owner in family(ground, maker.value)}
        elif role == "developer" and (maker is None or maker.state is not State.NONE):
            parts.add((role, "?"))
    return parts


@everyday(40)
@given(scenario=scenarios())
def test_it_agrees_with_a_slow_oracle(scenario: Scenario) -> None:
    """Over generated worlds: every vendor in every role, every model, every deployment."""
    ground = scenario.world
    for found in ground.deployments.values():
        parts = slowly(found, ground)
        sure = found.chain_complete.state is State.KNOWN and found.chain_complete.source.confidence.name != "LOW"
        if not sure or found.chain_complete.value is not True:
            parts.add(("cloud", "?"))
        for name in ground.organisations.keys() - {SELF}:
            for role in ROLES_OF[VENDOR]:
                wanted = not parts.isdisjoint({(role.value, name), (role.value, "?")})
                assert falls(found, ground, VENDOR, name, role, day=DRAWN_DAY) is wanted, (found.id, name, role)
        for name in ground.models:
            for role in ROLES_OF[MODEL]:
                wanted = (f"model {role.value}", name) in parts
                assert falls(found, ground, MODEL, name, role, day=DRAWN_DAY) is wanted, (found.id, name, role)
        assert [name for name in ground.deployments if falls(found, ground, DEPLOYMENT, name)] == [found.id]
