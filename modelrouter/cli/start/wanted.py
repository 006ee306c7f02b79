"""What somebody means by `mistral`, `bedrock-eu`, `qwen-vllm` or `gpt-oss-120b-groq`: an operator, a place, a model.

Everything comes from the templates of the catalog; no operator is known here by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.catalog.reading import nearest
from modelrouter.cli.catalog.offered import providers_of
from modelrouter.cli.start.meant import instead
from modelrouter.cli.start.starter import begin_with, start_for, start_without_models
from modelrouter.core.facts import Openness
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.cli.start.meant import instead
from modelrouter.cli.start.starter import Start

__all__ = ["operator_named", "start_named", "start_of"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of a name; `model` is what stands in front of the operator, empty where nothing does."""

    template: OperatorTemplate
    endpoint: str | None
    model: str


def start_named(catalog: Catalog, name: str, environment: Mapping[str, str], today: date) -> Start:
    """A start from a name: an operator, `operator-endpoint`, `model-operator` or `model-server`.

    Raises:
        CatalogError: it names nothing, with the nearest name that does.
    """
    readings = list(_readings(catalog, name))
    for each in readings:
        model = _model(catalog, each, today)
        if model is not None:
            return start_of(catalog, each.template, model, each.endpoint, environment, today, name=name)
    if readings:
        first = readings[0]
        known = first.template.models
        if not known and not first.model:
            return start_without_models(first.template, first.endpoint, environment, name=name)
        raise CatalogError(
            f"`{name}`: `{first.template.id}` offers no model `{first.model}`{nearest(first.model, known)}"
        )
    kinds = "`operator-endpoint`, `model-operator` or `model-server`"
    raise CatalogError(f"`{name}` names no operator, {kinds}{instead(catalog, _operators(catalog), name)}")


def start_of(  # noqa: PLR0917 - each is a part of what was named
    catalog: Catalog,
    template: OperatorTemplate,
    model: str,
    endpoint: str | None,
    environment: Mapping[str, str],
    today: date,
    *,
    stated: Mapping[str, str] | None = None,
    name: str = "",
    provider: str | None = None,
) -> Start:
    """A start for a model at an operator.

    Raises:
        CatalogError: the model is not known or not offered there, nobody can host its weights, or an aggregator cannot
            be pinned to the provider.
    """
    known = catalog.model(model)
    if template.server and known.openness.value is Openness.CLOSED:
        raise CatalogError(
            f"the weights of `{model}` are closed, so no server of yours can have them: {_offered(catalog, model)}"
        )
    if not template.server and model not in template.models:
        raise CatalogError(f"`{template.id}` is not known to serve `{model}`: {_offered(catalog, model)}")
    if provider is not None and provider not in template.providers:
        what = f"`{template.id}` cannot be pinned to `{provider}`{nearest(provider, template.providers)}"
        raise CatalogError(what if template.providers else f"`{template.id}` is no aggregator: leave the provider out")
    pinned = provider or _provider(catalog, template, model)
    return start_for(template, model, endpoint, environment, today, stated=stated, name=name, provider=pinned)


def operator_named(catalog: Catalog, name: str) -> OperatorTemplate:
    """A template by its id, the kind of one's own server, or an organisation that has one template.

    Raises:
        CatalogError: there is none, with the nearest name.
    """
    found = _operators(catalog).get(name)
    if found is not None:
        return found
    of_organisation = [each for each in catalog.templates.values() if each.operator == name]
    if len(of_organisation) == 1:
        return of_organisation[0]
    if of_organisation:
        words = ", ".join(f"`{each.server or each.id}`" for each in of_organisation)
        raise CatalogError(f"`{name}` has several: choose one of {words}")
    raise CatalogError(f"operator `{name}` is not in the catalog{nearest(name, _operators(catalog))}")


def _operators(catalog: Catalog) -> dict[str, OperatorTemplate]:
    """Templates by their ids, and those of one's own servers by the kind of server."""
    own = {each.server: each for each in catalog.templates.values() if each.server}
    return {**own, **catalog.templates}


def _offered(catalog: Catalog, model: str) -> str:
    names = [f"`{each}`" for each, template in sorted(catalog.templates.items()) if model in template.models]
    return f"it is offered by {', '.join(names)}" if names else "no operator in the catalog offers it"


def _readings(catalog: Catalog, name: str) -> Iterator[Meaning]:
    """What a name can mean, the readings with the longest operator first."""
    words = name.split("-")
    for cut in range(len(words)):
        model, rest = "-".join(words[:cut]), "-".join(words[cut:])
        for operator, template in _operators(catalog).items():
            if rest == operator:
                yield Meaning(template, None, model)
            elif rest.startswith(f"{operator}-"):
                place = _place(template, rest.removeprefix(f"{operator}-"))
                if place is not None:
                    yield Meaning(template, place, model)


def _place(template: OperatorTemplate, word: str) -> str | None:
    """An endpoint by its name, or by a part of it that only it has, as `eu` of `datazone-eu`."""
    if word in template.endpoints:
        return word
    found = [name for name in template.endpoints if f"-{word}-" in f"-{name}-"]
    return found[0] if len(found) == 1 else None


def _model(catalog: Catalog, meaning: Meaning, today: date) -> str | None:
    """The model that is meant: by its id, else one to begin with of those whose id, family or developer it names."""
    template, word = meaning.template, meaning.model
    served = [
        name
        for name, offer in template.models.items()
        if meaning.endpoint is None or offer.endpoints is None or meaning.endpoint in offer.endpoints
    ]
    if not word:
        return begin_with(template, served, today)
    if word in served or (template.server and word in catalog.models):
        return word
    close = [name for name in served if name.startswith(word) or _is_of(catalog, name, word)]
    return begin_with(template, close, today)


def _is_of(catalog: Catalog, name: str, word: str) -> bool:
    model = catalog.models.get(name)
    return model is not None and word in {model.family, model.developer.value}


def _provider(catalog: Catalog, template: OperatorTemplate, model: str) -> str:
    """Whom to pin an aggregator to."""
    return next(iter(providers_of(catalog.templates, template, catalog.model(model))), "")
