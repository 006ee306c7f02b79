"""What to write in place of a name that names no operator: a model does not say yet who is to run it."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.core.facts import Model

__all__ = ["instead"]

ALIKE: Final = 0.7
"""How much of two names must be the same for one to be taken for a slip of the other."""
SHOWN: Final = 3
"""How many operators of a model are named."""


def instead(catalog: Catalog, operators: Mapping[str, OperatorTemplate], name: str) -> str:
    """The end of a sentence about a name that is not understood.

    Args:
        operators: what may stand in a name, with its template.
    """
    word = name.casefold()
    of_organisation = [f"`{each.server or each.id}`" for each in catalog.templates.values() if each.operator == word]
    if of_organisation:
        return f": write {' or '.join(of_organisation)}"
    models = [each for each in catalog.models.values() if _is_meant(each, word)]
    if models:
        runs = [f"`{word}-{each}`" for each in _who_run(operators, models)]
        return f": say who is to run the model, as {' or '.join(runs)}" if runs else ": no operator offers the model"
    return _slip_of(catalog, operators, word) or ": `modelrouter catalog list operators` has them all"


def _is_meant(model: Model, word: str) -> bool:
    return word in {model.family, model.developer.value} or (len(word) > 1 and model.id.startswith(word))


def _who_run(operators: Mapping[str, OperatorTemplate], models: list[Model]) -> list[str]:
    """Operators of these models, their developers first, then whoever has most of them; and a server of one's own."""
    developers = {each.developer.value for each in models}
    served = {name: sum(each.id in template.models for each in models) for name, template in operators.items()}
    able = [name for name, count in served.items() if count]
    able.sort(key=lambda name: (operators[name].operator not in developers, -served[name], name))
    own = [name for name in able if operators[name].server == name]
    return [*[name for name in able if not operators[name].server][:SHOWN], *own[:1]]


def _slip_of(catalog: Catalog, operators: Mapping[str, OperatorTemplate], word: str) -> str:
    """What is nearest to the name or to what stands behind a model in it; empty where nothing is near."""
    places = (f"{each.id}-{place}" for each in catalog.templates.values() for place in each.endpoints)
    known = [*operators, *places]
    words = word.split("-")
    close = [
        (SequenceMatcher(None, "-".join(words[cut:]), each).ratio(), "-".join([*words[:cut], each]))
        for cut in range(len(words))
        for each in known
    ]
    alike, meant = max(close)
    return f": did you mean `{meant}`?" if alike >= ALIKE else ""
