"""Where a model comes from, as a tree, and what was made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.cli.decisions import source_document
from modelrouter.core.facts import Fact, State

if TYPE_CHECKING:
    from rich.tree import Tree

    from modelrouter.catalog import Catalog
    from modelrouter.cli.facts import Sources
    from modelrouter.core.facts import Model

__all__ = ["descendants", "lineage_document", "lineage_tree"]

Names = frozenset[str]


def _relations(model: Model) -> dict[str, Fact[Names]]:
    """An alias has no lineage but that of what it stands for, on whatever day."""
    if model.alias_of.value is not None:
        stood_for = frozenset(each.model for each in model.alias_of.value)
        return {"alias_of": Fact.known(stood_for, model.alias_of.source)}
    return {
        "derived_from": model.derived_from,
        "distilled_from": model.distilled_from,
        "lineage_claim": model.lineage_claim,
    }


def lineage_document(catalog: Catalog, model_id: str, above: Names = frozenset()) -> dict[str, Any]:
    """A model with all it comes from. A model that is its own ancestor, or not in the catalog, has no relations.

    Args:
        above: the models on the way from the root.
    """
    model = catalog.models.get(model_id)
    if model is None or model_id in above:
        return {"model": model_id, "developer": None if model is None else model.developer.value, "relations": {}}
    return {
        "model": model_id,
        "developer": model.developer.value,
        "relations": {
            name: {
                "state": fact.state.value,
                "source": None if fact.state is State.UNKNOWN else source_document(fact.source),
                "models": [
                    lineage_document(catalog, each, above | {model_id}) for each in sorted(fact.value or frozenset())
                ],
            }
            for name, fact in _relations(model).items()
        },
    }


def lineage_tree(catalog: Catalog, model_id: str, sources: Sources) -> Tree:
    """The same for a terminal."""
    from rich.tree import Tree

    root = Tree("lineage")
    _grow(root, catalog, sources, model_id, frozenset())
    return root


def _grow(branch: Tree, catalog: Catalog, sources: Sources, model_id: str, above: Names) -> None:
    from rich.text import Text

    model = catalog.models.get(model_id)
    whose = "not in the catalog" if model is None else f"by {model.developer.value or model.developer.state.value}"
    node = branch.add(Text(f"{model_id} ({whose})"))
    if model is None or model_id in above:
        return
    for name, fact in _relations(model).items():
        if name == "lineage_claim" and fact.state is not State.KNOWN:
            continue  # nobody claims anything
        state = "" if fact.value else f": {fact.state.value}"
        relation = node.add(Text(name.replace("_", " ") + state + sources.mark(fact)))
        for each in sorted(fact.value or frozenset()):
            _grow(relation, catalog, sources, each, above | {model_id})


def descendants(catalog: Catalog, model_id: str) -> list[str]:
    """Models that continue the weights of a model, or learned from its outputs, at any distance."""
    found: set[str] = set()
    generation = {model_id}
    while generation:
        generation = {
            name
            for name, model in catalog.models.items()
            if generation & ((model.derived_from.value or frozenset()) | (model.distilled_from.value or frozenset()))
        } - found
        found |= generation
    return sorted(found - {model_id})
