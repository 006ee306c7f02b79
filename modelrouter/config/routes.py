"""Routes: candidates in order, and the layers of the house, the configuration and the route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.config.nearest import nearest
from modelrouter.config.policies import names_in, says_none
from modelrouter.config.route_schema import ANY, SplitConfig
from modelrouter.core.policy import Level
from modelrouter.core.request import Reasoning
from modelrouter.core.route import UNWANTED_ANSWERS, Objective, Route, Try
from modelrouter.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.route_schema import RouteConfig
    from modelrouter.config.schema import TimeoutsConfig
    from modelrouter.core.facts import Deployment
    from modelrouter.core.policy import Layer

__all__ = ["routes_of"]

NO_POLICY: Final = (
    "no policy holds here: add `policies: [baseline]` at the top, or write `policies: none` if that is what you mean"
)


def routes_of(
    files: Sequence[ConfigFile],
    deployments: Mapping[str, Deployment | None],
    book: PolicyBook,
    timeouts: TimeoutsConfig,
    faults: Faults,
) -> Mapping[str, Route]:
    """Every route of every file."""
    found: dict[str, Route] = {}
    for file in files:
        for name, written in file.config.routes.items():
            tries = _tries(file, name, written, tuple(deployments), faults)
            layers = _layers(file, name, written, files, book, faults)
            found.setdefault(name, _route(name, written, tries, layers, timeouts))
            if written.prefer == "quality":
                _check_quality(file, name, tries, deployments, faults)
    if not found:
        faults.add(files[-1].fault("missing: add `routes`, what application code names", "routes"))
    return found


def _route(
    name: str, written: RouteConfig, tries: tuple[Try, ...], layers: tuple[Layer, ...], timeouts: TimeoutsConfig
) -> Route:
    return Route(
        name=name,
        tries=tries,
        layers=layers,
        objective=Objective(written.prefer),
        needs=written.needs.needs(),
        default_output_tokens=written.output_tokens.default,
        least_output_tokens=written.output_tokens.min,
        reasoning=None if written.reasoning is None else Reasoning(written.reasoning),
        timeout_s=written.timeout_s or timeouts.request_s,
        timeouts=written.timeouts.timeouts(),
        attempts_max=written.attempts_max,
        retries_max=written.retries_max,
        strips_history=written.on_foreign_history == "strip",
        returned=frozenset(kind for key, kind in UNWANTED_ANSWERS.items() if getattr(written, key) == "return"),
    )


def _tries(
    file: ConfigFile, name: str, written: RouteConfig, deployments: Sequence[str], faults: Faults
) -> tuple[Try, ...]:
    if not deployments:
        faults.add(file.fault("a route without candidates: add `deployments`", "routes", name, "try"))
        return ()
    if isinstance(written.try_, str):
        return (_equals(deployments),)
    seen: dict[str, int] = {}
    tries: list[Try | None] = []
    for index, step in enumerate(written.try_):
        members = step.split if isinstance(step, SplitConfig) else {step: 1}
        path = ("routes", name, "try", index)
        if step == ANY:
            if None in tries:
                faults.add(file.fault("`any` stands here twice: remove one", *path))
            tries.append(None)
            continue
        for member in members:
            at = (*path, "split", member) if isinstance(step, SplitConfig) else path
            if member not in deployments:
                faults.add(file.fault(f"unknown deployment `{member}`{nearest(member, deployments)}", *at))
            elif member in seen:
                faults.add(file.fault(f"`{member}` is tried twice in this route: remove one", *at))
            seen[member] = index
        tries.append(Try(dict(members), step.sticky if isinstance(step, SplitConfig) else None))
    rest = [each for each in deployments if each not in seen]
    return tuple(_equals(rest) if step is None else step for step in tries if step is not None or rest)


def _check_quality(
    file: ConfigFile, name: str, tries: tuple[Try, ...], deployments: Mapping[str, Deployment | None], faults: Faults
) -> None:
    """An order by quality needs a figure for every candidate."""
    for member in (member for step in tries for member in step.weights):
        found = deployments.get(member)
        if found is not None and found.quality.value is None:
            reason = f"`quality` is not known for `{member}`: state it there, or choose listed, cost or latency"
            faults.add(file.fault(reason, "routes", name, "prefer"))


def _equals(names: Iterable[str]) -> Try:
    return Try(dict.fromkeys(names, 1), equals=True)


def _layers(  # noqa: PLR0917 - one per part of a configuration
    file: ConfigFile, name: str, written: RouteConfig, files: Sequence[ConfigFile], book: PolicyBook, faults: Faults
) -> tuple[Layer, ...]:
    """Layers by the height of who asked for them; a policy that is asked for twice holds once, at its highest."""
    route_none = says_none(written.policies)
    layers = [layer for each in files if each.level is Level.HOUSE for layer in _top(each, book)]
    if not route_none:
        layers += [layer for each in files if each.level is Level.CONFIG for layer in _top(each, book)]
    layers += book.layers(names_in(written.policies), Level.ROUTE)
    found: dict[str, Layer] = {}
    for layer in layers:
        found.setdefault(layer.policy.name, layer)
    is_meant = route_none or any(says_none(each.config.policies) for each in files)
    if not found and not is_meant and not _names_any(written, files):
        faults.add(file.fault(NO_POLICY, "routes", name, kind=PolicyError))
    return tuple(found.values())


def _top(file: ConfigFile, book: PolicyBook) -> Iterable[Layer]:
    return book.layers(names_in(file.config.policies), file.level)


def _names_any(written: RouteConfig, files: Sequence[ConfigFile]) -> bool:
    """Whether policies are named that do not exist, which was noted where they are named."""
    return bool(names_in(written.policies)) or any(names_in(file.config.policies) for file in files)
