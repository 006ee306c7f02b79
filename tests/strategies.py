"""Scenarios: a generated world, a route through it, policies that may bind, a request and a moment."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from modelrouter.core.bounds import Size
from modelrouter.core.facts import Fact, State
from modelrouter.core.policy import Level, Policy, Waiver
from modelrouter.core.request import Needs, Request
from modelrouter.core.route import Moment, Objective, Route, Try
from tests.strategies_facts import NEAR_DAYS, TODAY, WorldMaker, subsets
from tests.strategies_rules import KEYS, SPECS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field
    from datetime import date

    from hypothesis.vendor.pretty import RepresentationPrinter

    from modelrouter.core.facts import World
    from modelrouter.core.policy import RuleSpec

__all__ = ["TODAY", "Scenario", "everyday", "moment_on", "policies", "rules", "scenarios"]

RELATIONS: Final = ("derived_from", "distilled_from", "lineage_claim")
APPLICABILITIES: Final[tuple[Mapping[str, frozenset[str]], ...]] = (
    {},
    {},
    {"data_class": frozenset({"personal"})},
    {"data_class": frozenset({"personal", "public"}), "team": frozenset({"a"})},
)
TAGS: Final[Mapping[str, tuple[str, ...]]] = {"data_class": ("personal", "public"), "team": ("a", "b")}


KEY_LISTS: Final = st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)


@dataclass(frozen=True, slots=True, repr=False)
class Scenario:
    """Everything that a decision is a function of; `policies` are those that may bind the request by its tags."""

    world: World
    route: Route
    policies: tuple[tuple[Policy, Level], ...]
    request: Request
    moment: Moment

    def __repr__(self) -> str:
        """What is out of the ordinary: whatever equals its default is left out."""
        return "\n".join(f"{each.name}={_brief(getattr(self, each.name))}" for each in fields(self))

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """The same for the report of a failing example, which would print every field of every fact."""
        printer.text(repr(self))


def _brief(value: object) -> str:
    """A value in few words, for the report of a failing example."""
    if isinstance(value, Fact):
        shown = _brief(value.value) if value.state is State.KNOWN else value.state.value
        source = value.source
        checked = "" if source.checked_on is None else f"{(TODAY - source.checked_on).days}d"
        return f"{shown}@{checked}/{source.confidence.name[0]}/{source.grade.value[0]}"
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_brief(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (tuple, frozenset)):
        return "(" + ", ".join(sorted(map(_brief, value)) if isinstance(value, frozenset) else map(_brief, value)) + ")"
    if is_dataclass(value):
        told = [each for each in fields(value) if each.init and getattr(value, each.name) != _default(each)]
        shown = ", ".join(f"{each.name}={_brief(getattr(value, each.name))}" for each in told)
        return f"{type(value).__name__}({shown})"
    return str(value)


def _default(told: Field[object]) -> object:
    return told.default_factory() if callable(told.default_factory) else told.default


def everyday(examples: int) -> settings:
    """Settings of a property: so many examples, always new ones, and a failure prints how to repeat it."""
    return settings(
        max_examples=examples,
        deadline=None,  # two busy cores: a slow example is no wrong example
        derandomize=False,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


def moment_on(day: date, **fields: object) -> Moment:
    """A moment in the middle of a day, UTC."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    return replace(Moment(now_s=noon), **fields)  # type: ignore[arg-type]  # fields of Moment, by name


class _Maker(WorldMaker):
    """Draws the parts of one scenario."""

    # --- policies -----------------------------------------------------------------------------------------------

    def rule(self, key: str) -> RuleSpec:
        spec = self.pick(SPECS[key])
        if key.startswith("developer."):
            lineage = self.pick((None, (), *subsets(RELATIONS, 3)))
            followed = RELATIONS[:1] if lineage is None else tuple(sorted(lineage))
            undisclosed = {name: self.pick(("permit", "refuse")) for name in self.pick(subsets(followed, 2))}
            options: dict[str, object] = {} if lineage is None else {"lineage": followed}
            return replace(spec, options={**options, **({"undisclosed": undisclosed} if undisclosed else {})})
        if key in {"processing.country", "storage.country"}:
            grades = self.pick(((), ("contractual",), ("asserted", "contractual", "technical")))
            return replace(spec, options={"grade": grades} if grades else {})
        if key in {"weights.licence", "weights.use"}:
            hosting = self.pick(((), ("managed", "self_hosted"), ("managed", "self_hosted", "vendor_api")))
            return replace(spec, options={"hosting": hosting} if hosting else {})
        return spec

    def policy(self, name: str, deployments: Sequence[str], names: Sequence[str]) -> Policy:
        keys = self.draw(KEY_LISTS)
        chosen = tuple(self.rule(key) for key in keys)
        waivers = tuple(
            Waiver(
                id=f"W-{number}",
                rule=f"{self.pick((name, name, name, *names))}/{self.pick(keys)}",
                subject=self.pick(deployments),
                because="tested",
                owner="tester",
                expires=self.pick(NEAR_DAYS),
            )
            for number in range(self.pick((0, 0, 1, 2)))
        )
        return Policy(
            name,
            chosen,
            applies_to=self.pick(APPLICABILITIES),
            waivers=waivers,
            observe=self.rarely(),
            digest=f"digest of {name}",
        )

    def policies(self, deployments: Sequence[str]) -> tuple[tuple[Policy, Level], ...]:
        names = tuple(f"p{number}" for number in range(self.count(0, 4)))
        return tuple((self.policy(name, deployments, names), self.pick(tuple(Level))) for name in names)

    # --- the request, the route and the moment ------------------------------------------------------------------

    def needs(self) -> Needs:
        capabilities = self.pick((frozenset(), frozenset(), frozenset({"tools"}), frozenset({"tools", "vision"})))
        return Needs(
            context_tokens=self.pick((None, None, 2000, 4000, 4001)),
            capabilities=capabilities,
            parameters=self.pick((frozenset(), frozenset({"temperature"}), frozenset({"seed"}))),
        )

    def route(self, deployments: Sequence[str]) -> Route:
        left = list(deployments)
        order = [left.pop(self.pick(range(len(left)))) for _ in deployments]
        cuts = [self.pick((True, True, False)) for _ in order]
        steps: list[list[str]] = []
        for name, begins in zip(order, cuts, strict=True):
            if begins or not steps:
                steps.append([])
            steps[-1].append(name)
        return Route(
            name="route",
            tries=tuple(
                Try({name: self.pick((1, 2, 70)) for name in step}, self.pick((None, "session")), equals=self.rarely())
                for step in steps
            ),
            objective=self.pick(tuple(Objective)),
            needs=self.needs(),
            default_output_tokens=self.pick((30, 50)),
            least_output_tokens=self.pick((1, 10, 40)),
        )

    def request(self) -> Request:
        return Request(
            route="route",
            messages=({"role": "user", "content": "a question"},),
            size=Size(
                text_bytes=self.pick((40, 0, 1000)),
                tool_bytes=self.pick((0, 0, 20)),
                message_count=self.pick((1, 3)),
                tool_count=self.pick((0, 0, 1)),
                opaque_count=self.pick((0, 0, 0, 1)),
                choices=self.pick((1, 1, 3)),
            ),
            needs=self.needs(),
            max_output_tokens=self.pick((None, None, 20, 60)),
            tags={tag: self.pick(values) for tag, values in TAGS.items() if self.pick((True, True, False))},
            ceiling_nano_usd=self.pick((None, None, None, 10**7, 10**6, 200_000, 130_000, 0)),
            session=self.pick((None, "s1")),
            request_id=self.pick((None, "r1")),
        )

    def moment(self, deployments: Sequence[str]) -> Moment:
        few = subsets(deployments, 2)
        return moment_on(
            TODAY,
            seed=self.pick(("a", "b", "c")),
            unavailable=dict.fromkeys(self.pick((frozenset(), frozenset(), *few)), "the key is not set"),
            revoked=dict.fromkeys(self.pick((frozenset(), frozenset(), *few)), "`lion-labs` was revoked"),
            unhealthy=dict.fromkeys(self.pick((frozenset(), *few)), "5 failures in a row"),
            in_flight={name: self.pick((0, 1, 5)) for name in self.pick((frozenset(), *few))},
            latency_s={name: self.pick((0.5, 1.0)) for name in self.pick((frozenset(), *few))},
            first_token_s={name: self.pick((0.1, 0.2)) for name in self.pick((frozenset(), *few))},
            is_stream=self.pick((False, True)),
            observed_output_tokens={name: self.pick((10.0, 33.3)) for name in self.pick((frozenset(), *few))},
        )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """One decision's whole input."""
    maker = _Maker(draw)
    world = maker.world()
    deployments = tuple(world.deployments)
    return Scenario(
        world=world,
        route=maker.route(deployments),
        policies=maker.policies(deployments),
        request=maker.request(),
        moment=maker.moment(deployments),
    )


@st.composite
def policies(draw: st.DrawFn, name: str, deployments: tuple[str, ...]) -> Policy:
    """One more policy, to be added to a scenario."""
    return _Maker(draw).policy(name, deployments, (name,))


@st.composite
def rules(draw: st.DrawFn) -> RuleSpec:
    """One more rule, of any family."""
    maker = _Maker(draw)
    return maker.rule(maker.pick(KEYS))
