"""Everything that a catalog offers, as deployments of a world: each model at each endpoint, and on one's own servers.

Nothing is added to what is shipped but the facts of the caller and, for servers of one's own, what their owner decides:
they stand in its country, keep nothing, teach nothing, and cost nothing by the token.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.reading import Place
from modelrouter.config.deployment_schema import DeploymentConfig
from modelrouter.config.deployments import deployment_from
from modelrouter.config.offers import offer_for
from modelrouter.config.world import with_caller
from modelrouter.core.facts import SELF, Agreement, Openness, World
from modelrouter.core.usable import Offered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.config.world import Tables
    from modelrouter.core.facts import Deployment
    from modelrouter.core.policy import Policy

__all__ = ["agreements_with_all", "offers_in"]

TERMS: Final = "terms"
OF_OPERATOR: Final = ("training", "retention_days")
OF_ENDPOINT: Final = ("processing", "storage")
OF_OFFER: Final = ("price", "context_tokens", "capabilities", "quantization", "pinned", "retires_on")


def offers_in(tables: Tables, today: date) -> tuple[World, tuple[Offered, ...]]:
    """All offers, and the world in which they can be judged.

    Args:
        tables: the facts, asked for by a caller.
        today: the day on which the caller states what holds of its own servers.
    """
    found: dict[str, tuple[Deployment, Offered]] = {}
    for offered, written in (*_hosted(tables), *_own(tables, today)):
        made = deployment_from(
            offered.id, written, Place(None, ("deployments", offered.id)), offer_for(written, tables), tables
        )
        names = _names(made, offered, via=written.via)
        found[offered.id] = made, replace(offered, names=names)
    world = World(
        organisations=tables.organisations,
        licences=tables.licences,
        models=tables.models,
        deployments={name: made for name, (made, _) in found.items()},
        groups=tables.groups,
        caller=tables.caller,
    )
    return world, tuple(offered for _, offered in found.values())


def agreements_with_all(tables: Tables, policies: Iterable[Policy]) -> Tables:
    """The same facts for a caller who has signed, with everybody, each kind of agreement that a policy asks for."""
    kinds = {
        kind
        for policy in policies
        for spec in policy.rules
        if spec.key == "agreements" and isinstance(spec.require, frozenset)
        for kind in spec.require
    }
    papers = [Agreement(kind, name) for kind in sorted(kinds) for name in sorted(tables.organisations)]
    return with_caller(tables, replace(tables.caller, agreements=(*tables.caller.agreements, *papers)))


def _hosted(tables: Tables) -> Iterator[tuple[Offered, DeploymentConfig]]:
    for name, template in sorted(tables.templates.items()):
        if template.server:
            continue
        if template.providers:
            yield from _through(name, template, tables)
            continue
        for model, offer in template.models.items():
            for endpoint in sorted(template.endpoints if offer.endpoints is None else offer.endpoints):
                place = _place(name, endpoint, template)
                offered = Offered(f"{place}/{model}", template.operator, place, model)
                yield offered, _written(model=model, operator=name, endpoint=endpoint)


def _through(name: str, template: OperatorTemplate, tables: Tables) -> Iterator[tuple[Offered, DeploymentConfig]]:
    """What an aggregator offers: its models at those of its operators that are known to serve them."""
    serving = {
        (each.operator, model) for each in tables.templates.values() if not each.providers for model in each.models
    }
    for model in template.models:
        for operator in sorted(template.providers):
            if (operator, model) in serving:
                place = f"{name}/{operator}"
                yield (
                    Offered(f"{place}/{model}", operator, place, model),
                    _written(model=model, operator=operator, via=name),
                )


def _own(tables: Tables, today: date) -> Iterator[tuple[Offered, DeploymentConfig]]:
    """Every model whose weights can be had, on a server of the caller's own."""
    country = tables.caller.country.value
    stated = {
        "processing": "unknown" if country is None else [country],
        "storage": "none",
        "training": "never",
        "retention_days": 0,
        "price": {"free": True},
        "source": {"ref": "the caller", "checked_on": today, "confidence": "high", "grade": "technical"},
    }
    for model, facts in sorted(tables.models.items()):
        if facts.openness.value in {Openness.OPEN_WEIGHTS, Openness.OPEN_SOURCE}:
            written = _written(model=model, operator=SELF, runs_on="none", **stated)
            yield Offered(f"{SELF}/{model}", "", "", model), written


def _written(**values: Any) -> DeploymentConfig:  # noqa: ANN401 - as in a configuration
    return DeploymentConfig.model_validate(values)


def _place(name: str, endpoint: str, template: OperatorTemplate) -> str:
    """An endpoint by the operator's name; the only one goes without its own."""
    return name if len(template.endpoints) == 1 else f"{name}/{endpoint}"


def _names(made: Deployment, offered: Offered, *, via: str | None) -> dict[str, str]:
    """What the catalog calls the facts of a deployment: those of its operator, of an endpoint, of one offer.

    Whoever stands behind or before an operator answers with the `terms` of its organisation, and so does an operator
    behind an aggregator.
    """
    template = offered.endpoint.partition("/")[0] or SELF
    operator, endpoint = template, offered.endpoint or SELF
    if via is not None:
        operator = endpoint = f"{made.operator}.{TERMS}"
    owners = [
        (made.id, operator, OF_OPERATOR),
        (made.id, endpoint, OF_ENDPOINT),
        (made.id, f"{template}/{offered.model}", OF_OFFER),
        *((link.organisation, f"{link.organisation}.{TERMS}", (*OF_OPERATOR, *OF_ENDPOINT)) for link in made.chain[1:]),
    ]
    return {f"{path}.{name}": f"{owner}.{name}" for path, owner, names in owners for name in names}
