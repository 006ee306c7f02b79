"""Whether every id leads somewhere, and nothing leads back to itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from modelrouter.catalog.prices import PRICES
from modelrouter.catalog.reading import nearest
from modelrouter.catalog.verify.findings import Kind
from modelrouter.core.facts import GLOBAL, SELF

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from modelrouter.catalog.verify.shelf import Shelf
    from modelrouter.core.facts import Terms
    from modelrouter.yaml12 import Path

__all__ = ["check_links"]

RELATIONS: Final = ("derived_from", "distilled_from", "lineage_claim")
SPELT: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
GROUP: Final = re.compile(r"[A-Z][A-Z0-9-]*")
WHAT: Final = {
    "organisations": "organisation",
    "licences": "licence",
    "models": "model",
    "groups": "country group",
    "operators": "operator",
}


def check_links(shelf: Shelf) -> None:
    """Note ids that are badly spelt, that lead nowhere, or that lead back to where they came from."""
    for table, entries in shelf.raw.items():
        for key in entries:
            spelt = GROUP if table == "groups" else SPELT
            if not spelt.fullmatch(key):
                letters = "capitals" if table == "groups" else "lower case letters, digits, `.`, `_` and `-`"
                shelf.add(Kind.ID, table, key, (), f"`{key}` is no id: write {letters}")
    _organisations(shelf)
    _models(shelf)
    _templates(shelf)
    for licence in shelf.licences.values():
        for condition in licence.conditions.value or ():
            _places(shelf, "licences", licence.id, condition.territory, ("conditions",))
    _listings(shelf)
    _cycles(shelf)


def _names(shelf: Shelf, table: str, key: str, path: Path, named: Iterable[str | None], among: str) -> None:  # noqa: PLR0917
    for each in sorted({name for name in named if name is not None}):
        if not shelf.has(among, each):
            close = nearest(each, shelf.raw.get(among, {}))
            shelf.add(Kind.ID, table, key, path, f"{WHAT[among]} `{each}` is not in the catalog{close}")


def _places(shelf: Shelf, table: str, key: str, named: Iterable[str], path: Path) -> None:
    groups = [each for each in named if each != GLOBAL and (len(each) != 2 or each == "EU")]
    _names(shelf, table, key, path, groups, "groups")


def _place_facts(terms: Terms) -> Iterator[tuple[str, frozenset[str]]]:
    for name in ("processing", "storage"):
        yield name, getattr(terms, name).value or frozenset()


def _terms(shelf: Shelf, table: str, key: str, terms: Terms, path: Path) -> None:
    for name, places in _place_facts(terms):
        _places(shelf, table, key, places, (*path, name))


def _organisations(shelf: Shelf) -> None:
    for key, organisation in shelf.organisations.items():
        _names(shelf, "organisations", key, ("parent",), [organisation.parent.value], "organisations")
        _terms(shelf, "organisations", key, organisation.terms, ("terms",))


def _models(shelf: Shelf) -> None:
    for key, model in shelf.models.items():
        _names(shelf, "models", key, ("developer",), [model.developer.value], "organisations")
        _names(shelf, "models", key, ("licence",), [model.licence.value], "licences")
        for relation in RELATIONS:
            _names(shelf, "models", key, (relation,), getattr(model, relation).value or (), "models")


def _templates(shelf: Shelf) -> None:
    for key, template in shelf.templates.items():
        named = [] if template.operator == SELF else [template.operator]
        _names(shelf, "operators", key, ("operator",), named, "organisations")
        _names(shelf, "operators", key, ("providers",), template.providers, "organisations")
        _terms(shelf, "operators", key, template.terms, ("terms",))
        for name in shelf.written("operators", key, "endpoints"):
            if name in template.endpoints:
                written = shelf.written("operators", key, "endpoints", name)
                for place, places in _place_facts(template.endpoints[name].terms):
                    stated = places if place in written else frozenset()  # the others are the operator's own
                    _places(shelf, "operators", key, stated, ("endpoints", name, place))
        for model, offer in template.models.items():
            _names(shelf, "operators", key, ("models", model), [model], "models")
            behind = ("models", model, "subprocessor")
            _names(shelf, "operators", key, behind, [offer.subprocessor], "organisations")


def _listings(shelf: Shelf) -> None:
    """Every price that is listed must be one of an offer."""
    prices = shelf.prices
    if prices is None or "operators" in shelf.unread:
        return
    lines = (shelf.folder / PRICES).read_text(encoding="utf-8").splitlines()
    stands = {line.split('"', 2)[1]: number for number, line in enumerate(lines, start=1) if line.startswith('"')}
    for offer in sorted(prices.offers):
        operator, _, rest = offer.partition("/")
        model, _, endpoint = rest.partition("@")  # a price of one endpoint alone
        places = shelf.written("operators", operator, "endpoints") or {"default": None}
        is_offered = model in shelf.written("operators", operator, "models")
        if not is_offered or (endpoint and endpoint not in places):
            message = f"a price is listed for `{offer}`, which nobody offers: refresh the prices"
            shelf.findings.add(Kind.ID, PRICES, (offer,), message, stands.get(offer))
    for operator in sorted(prices.unpriced):
        if operator not in shelf.raw.get("operators", {}):
            message = f"`{operator}` is listed as unpriced and is not in the catalog: refresh the prices"
            shelf.findings.add(Kind.ID, PRICES, (operator,), message, 1)


# --- circles ----------------------------------------------------------------------------------------------------------


def _cycles(shelf: Shelf) -> None:
    parents = {
        key: {each.parent.value} if each.parent.value is not None else set()
        for key, each in shelf.organisations.items()
    }
    for circle in _circles(parents):
        shown = " -> ".join([*circle, circle[0]])
        shelf.add(Kind.CYCLE, "organisations", circle[0], ("parent",), f"parents in a circle: {shown}: correct one")
    made = {
        key: set(each.derived_from.value or ()) | set(each.distilled_from.value or ())
        for key, each in shelf.models.items()
    }
    for circle in _circles(made):
        shown = " -> ".join([*circle, circle[0]])
        derived = shelf.models[circle[0]].derived_from.value or frozenset()
        relation = "derived_from" if circle[1 % len(circle)] in derived else "distilled_from"
        message = f"a model that comes from itself: {shown}: correct one"
        shelf.add(Kind.CYCLE, "models", circle[0], (relation,), message)


def _circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Circles in a graph, each as the ids on its way from the smallest of them; one for each place where one closes."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> None:
        if node in trail:
            circle = trail[trail.index(node) :]
            first = circle.index(min(circle))
            found.append(circle[first:] + circle[:first])
            return
        if node in done:
            return
        for target in sorted(edges.get(node, ())):
            visit(target, [*trail, node])
        done.add(node)

    for node in sorted(edges):
        visit(node, [])
    return found
