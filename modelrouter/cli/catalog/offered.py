"""Every offer of a model, and itself on a server of one's own, as deployments that a policy can be asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.facts import SELF, Openness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.catalog.templates import EndpointTemplate, OperatorTemplate
    from modelrouter.core.facts import Model

__all__ = ["ASSUMED", "OWN", "offered_deployments", "providers_of"]

OWN: Final = "self"
ASSUMED: Final = "assumed: your own rooms in your own country, nothing kept, nothing trained"
"""What a server of one's own rests on while nobody has written its deployment."""

Written = dict[str, Any]


def offered_deployments(
    templates: Mapping[str, OperatorTemplate], model: Model, country: str | None
) -> dict[str, Written]:
    """Deployments as a config would hold them, by `operator.endpoint`, for aggregators `operator.provider`.

    Args:
        model: what is offered.
        country: the caller's; where its own server would stand. None leaves that unknown.
    """
    found: dict[str, Written] = {}
    for _, template in sorted(templates.items()):
        offer = template.models.get(model.id)
        if offer is None or template.server:
            continue
        for name, endpoint in template.endpoints.items():
            if offer.endpoints is None or name in offer.endpoints:
                providers = providers_of(templates, template, model)
                found.update(_at(template, endpoint, model.id, providers, named=bool(offer.name)))
    if model.openness.value is not Openness.CLOSED:
        found[OWN] = _own(model.id, country)
    return found


def providers_of(templates: Mapping[str, OperatorTemplate], template: OperatorTemplate, model: Model) -> list[str]:
    """Whom an aggregator can be pinned to for a model: who is known to serve it; all, where none of them is."""
    serving = {each.operator for each in templates.values() if not each.providers and model.id in each.models}
    found = [each for each in template.providers if each in serving or each == model.developer.value]
    return found or list(template.providers)


def _at(
    template: OperatorTemplate, endpoint: EndpointTemplate, model: str, providers: list[str], *, named: bool
) -> Iterator[tuple[str, Written]]:
    written: Written = {"model": model, "operator": template.id, "endpoint": endpoint.name}
    if not named:
        written["name"] = model
    if not template.providers:
        yield f"{template.id}.{endpoint.name}", written
    for provider in providers:
        place = f".{endpoint.name}" if len(template.endpoints) > 1 else ""
        yield f"{template.id}.{provider}{place}", {**written, "operator": provider, "via": template.id}


def _own(model: str, country: str | None) -> Written:
    place = {"processing": [country]} if country else {}
    return {
        "model": model,
        "operator": SELF,
        "runs_on": "none",
        "hosts": ["127.0.0.1"],
        "base_url": "http://127.0.0.1:8000/v1",
        "name": model,
        **place,
        "storage": "none",
        "training": "never",
        "retention_days": 0,
        "price": {"free": True},
        "bound_basis": "documented",
        "source": {"ref": ASSUMED, "confidence": "medium", "grade": "technical"},
    }
