"""`modelrouter check --survive`: every route decided once, every loss subtracted, and who is left at which price.

An endpoint counts whether or not its key is here, for this is asked on machines that have none; which keys are missing
is said. Connects to nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from modelrouter.cli.faults import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.config import Setup
    from modelrouter.config.setup import Origin
    from modelrouter.core.assurance import Broken, Footing, Ground, Loss
    from modelrouter.core.decision import Decision
    from modelrouter.router.options import Options

__all__ = ["Aftermath", "RouteSurvey", "Survey", "gaps_of", "survey_of", "survive"]

Document = dict[str, Any]
LEFT_MAX = 10
"""How many of those who are left are named after each loss; the others are counted."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is lost together, and who surely remains, best first.

    Attributes:
        left: the first of them.
        is_asked: somebody named this loss; it was not made up by counting.
    """

    lost: tuple[str, ...]
    left: tuple[str, ...]
    left_count: int
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class RouteSurvey:
    """One route after every loss that was asked for.

    Attributes:
        decision: before any loss.
        counterexample: the fewest vendors, or the first asked-for loss, that leave nobody; None if somebody is always
            left; empty if nobody is left even without a loss.
        broken: what its policies assert and it does not meet.
    """

    decision: Decision
    footing: Footing
    origin: Origin
    aftermaths: tuple[Aftermath, ...]
    counterexample: tuple[str, ...] | None
    broken: tuple[Broken, ...] = ()

    @property
    def route(self) -> str:
        """Its name."""
        return self.decision.route

    @property
    def fatal(self) -> tuple[str, ...]:
        """Single vendors whose loss leaves nobody."""
        return tuple(each.lost[0] for each in self.aftermaths if len(each.lost) == 1 and not each.left_count)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks against it, each in one sentence; empty where somebody is always left."""
        enforced = [each for each in self.broken if not each.asserted.observed]
        is_told = self.counterexample is None or any(each.counterexample == self.counterexample for each in enforced)
        return (*(() if is_told else (_nobody(self),)), *(each.reason for each in enforced))


@dataclass(frozen=True, slots=True)
class Survey:
    """All routes.

    Attributes:
        asked: the losses in words, as `any 2 vendors` or `openai and azure`.
        keyless: deployments whose key is not here, with what is missing.
        notes: what a person should know beside the answer.
    """

    config: str
    asked: str
    setup: Setup
    ground: Ground
    routes: tuple[RouteSurvey, ...]
    keyless: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether every route has somebody left after every loss."""
        return not any(each.reasons for each in self.routes)


def survive(
    config: str | None,
    lose: Sequence[str],
    depth: int,
    needs: Sequence[str],
    options: Options,
    *,
    as_json: bool,
    annotated: bool,
) -> None:
    """Survey, print, and end with 1 if a route has nobody left."""
    from modelrouter.cli.check.survive_screen import print_annotations, print_survey, show_survey
    from modelrouter.config import find_config

    survey = survey_of(find_config(config), lose, depth, needs, options)
    if as_json:
        print_survey(survey)
    else:
        show_survey(survey)
        if annotated:
            print_annotations(survey)
    if not survey.is_good:
        raise typer.Exit(REFUSED)


def survey_of(config: str, lose: Sequence[str], depth: int, needs: Sequence[str], options: Options) -> Survey:
    """Decide every route once, and subtract every loss.

    Raises:
        ConfigError: something in the config is wrong.
        RequestError: a policy or tag that is asked for is not known.
    """
    from modelrouter.cli.check.losses import losses_from, needs_from
    from modelrouter.config.build import read
    from modelrouter.config.proof import broken_in
    from modelrouter.core.assurance import Ground
    from modelrouter.core.route import Moment
    from modelrouter.router.engine import without_key
    from modelrouter.router.epoch import Epoch

    setup = read(config).setup
    losses = [losses_from(text, setup) for text in lose]
    wanted = needs_from(needs)
    moment = Moment(time.time(), seed="survive")
    ground = Ground(setup.world, credentials=setup.credentials)
    epoch = Epoch(setup)
    broken = () if losses else tuple(broken_in(setup, moment.now_s))
    routes = []
    for name in setup.routes:
        request = epoch.question(name, options)
        decision = epoch.decide(replace(request, needs=request.needs.joined(wanted)), moment)
        footing = ground.footing(candidate.deployment for candidate in decision.permitted)
        after, counterexample = _chosen(footing, losses) if losses else _any(footing, depth)
        own = tuple(each for each in broken if each.route == name)
        routes.append(RouteSurvey(decision, footing, setup.origins[name], after, counterexample, own))
    keyless = ((name, without_key(endpoint)) for name, endpoint in setup.endpoints.items())
    return Survey(
        config,
        " or ".join(_together(each) for each in losses) or ("any vendor" if depth == 1 else f"any {depth} vendors"),
        setup,
        ground,
        tuple(routes),
        tuple((name, reason) for name, reason in keyless if reason),
        (*setup.notes, *_without_tags(setup, options)),
    )


def _without_tags(setup: Setup, options: Options) -> tuple[str, ...]:
    missing = ", ".join(sorted(setup.binding_tags - set(options.get("tags") or {})))
    if not missing:
        return ()
    note = (
        f"judged without tags that policies ask for, so all of these bind ({missing}): `--tag NAME=VALUE` judges with"
    )
    return (f"{note} them",)


def _any(footing: Footing, depth: int) -> tuple[tuple[Aftermath, ...], tuple[str, ...] | None]:
    """Every loss of so many vendors or fewer."""
    after = (
        Aftermath(lost, footing.names(standing, LEFT_MAX), standing.bit_count())
        for lost, standing in footing.left_after_each(depth)
    )
    return tuple(after), footing.shortest_counterexample(depth)


def _chosen(
    footing: Footing, losses: Sequence[tuple[Loss, ...]]
) -> tuple[tuple[Aftermath, ...], tuple[str, ...] | None]:
    """The losses that were asked for, each as a whole."""
    after = []
    for each in losses:
        left = footing.left(each)
        after.append(Aftermath(tuple(loss.text for loss in each), left[:LEFT_MAX], len(left), is_asked=True))
    if not footing.left(()):
        return tuple(after), ()
    return tuple(after), next((each.lost for each in after if not each.left_count), None)


def _together(losses: tuple[Loss, ...]) -> str:
    return " and ".join(loss.text for loss in losses)


def _nobody(survey: RouteSurvey) -> str:
    if not survey.decision.permitted:
        return (
            f"nobody may serve `{survey.route}` even before a vendor is lost: see `modelrouter explain {survey.route}`"
        )
    if not survey.counterexample:
        unproved = ", ".join(f"`{name}`" for name in survey.footing.unproved)
        return f"`{survey.route}` has nobody whose vendors are all known: state what is missing of {unproved}"
    lost = " and ".join(f"`{name}`" for name in survey.counterexample)
    them = "it" if len(survey.counterexample) == 1 else "them"
    return f"the loss of {lost} leaves nobody for `{survey.route}`: add a deployment that does without {them}"


def gaps_of(survey: Survey) -> Iterator[tuple[str, str]]:
    """Permitted deployments that prove nothing, each with the facts that are missing."""
    told: set[str] = set()
    for name in (name for each in survey.routes for name in each.footing.unproved):
        if name not in told:
            told.add(name)
            yield name, ", ".join(f"{gap.path} {gap.reason}" for gap in survey.ground.vendors[name].gaps)
