"""What decisions rest on and no request changes: the facts that a configuration needs, its routes and its policies.

A book keeps these once for each configuration (`grounds_text`), named by their hash, and every decision names its own.
So a decision can be derived again from the book alone, however policies, prices and the catalog have changed since.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF
from modelrouter.core.policy import Layer, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelrouter.core.facts import Deployment, Fact, Model, Organisation, World
    from modelrouter.core.policy import Policy
    from modelrouter.core.route import Route

__all__ = ["Grounds", "layers_named", "needed"]

RELATIONS = ("derived_from", "distilled_from", "lineage_claim")


@dataclass(frozen=True, slots=True)
class Grounds:
    """The static part of decisions.

    Attributes:
        world: only what its deployments need, see `needed`.
        policies: those that a call may add, each with what it extends, itself last.
        version: of the package that decided.
        texts: hashes of the texts that all this was read from, by name, as `config` or `policy/eu-customers`.
    """

    world: World
    routes: Mapping[str, Route]
    policies: Mapping[str, tuple[Policy, ...]] = field(default_factory=dict)
    version: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)


def layers_named(route: Route, added: Sequence[str], policies: Mapping[str, tuple[Policy, ...]]) -> tuple[Layer, ...]:
    """Every layer that may bind a request: those of its route, then those that the call adds by name.

    Raises:
        KeyError: there is no policy of such a name.
    """
    if not added:
        return route.layers
    return (*route.layers, *(Layer(policy, Level.REQUEST) for name in added for policy in policies[name]))


def needed(world: World) -> World:
    """The world without what no rule can ask about one of its deployments, in the same order.

    Kept are their models with all that these are made from, learned from, are said to be made from or stand for; who
    developed those, and everybody in the deployments' chains, with their parents; the licences of those models; all
    groups; and the caller.
    """
    models = _models(world.deployments.values(), world.models)
    named = {SELF, *(each.developer.value or "" for each in models.values())}
    for deployment in world.deployments.values():
        named.update(link.organisation for link in deployment.chain)
    organisations = _with_parents(named, world.organisations)
    licences = {each.licence.value for each in models.values()}
    return replace(
        world,
        organisations={name: each for name, each in world.organisations.items() if name in organisations},
        licences={name: each for name, each in world.licences.items() if name in licences},
        models={name: each for name, each in world.models.items() if name in models},
    )


def _models(deployments: Iterable[Deployment], known: Mapping[str, Model]) -> dict[str, Model]:
    found: dict[str, Model] = {}
    ahead = [each.model for each in deployments]
    while ahead:
        name = ahead.pop()
        model = known.get(name)
        if model is None or name in found:
            continue
        found[name] = model
        for relation in RELATIONS:
            fact: Fact[frozenset[str]] = getattr(model, relation)
            ahead.extend(fact.value or ())
        ahead.extend(each.model for each in model.alias_of.value or ())
    return found


def _with_parents(names: set[str], known: Mapping[str, Organisation]) -> set[str]:
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name in found or name not in known:
            continue
        found.add(name)
        if known[name].parent.value is not None:
            ahead.append(known[name].parent.value or "")
    return found
