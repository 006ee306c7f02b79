"""What differs between two catalogs, fact by fact, by meaning: comments, order and layout are no difference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.currency import USD
from modelrouter.cli.facts import fact_document
from modelrouter.config.canonical import canonical
from modelrouter.core.facts import Fact, Terms
from modelrouter.core.pricing import PriceList, PriceMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OfferedModel, OperatorTemplate

__all__ = ["Change", "changes"]

TABLES: Final = ("organisations", "licences", "groups", "models", "operators", "endpoints", "offers", "prices")
"""In the order in which they are shown. Endpoints and offers are `operator/endpoint` and `operator/model`."""
NAMED_BY_CONFIGS: Final = frozenset({"endpoints", "offers", "prices"})
"""Where an addition can change what an existing config comes to; other new entries are named by nobody yet."""
FOR_PEOPLE: Final = frozenset({"name", "family", "roles", "source"})
"""What no rule reads and no wire carries."""
NOTHING: Final[Mapping[str, Any]] = {"state": None, "value": None, "source": None}

Leaf = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        table: one of `TABLES`.
        entry: the id.
        fact: the path inside, as `terms.training`; empty where the whole entry is new or gone.
        kind: added, removed or changed.
        parts: which of state, value, confidence, grade, date and reference differ.
        before: state, value and source; None where there was none.
        decides: whether a decision, or the cost of a call, could come out differently.
    """

    table: str
    entry: str
    fact: str
    kind: str
    parts: tuple[str, ...]
    before: Leaf | None
    after: Leaf | None
    decides: bool


def changes(old: Catalog, new: Catalog) -> list[Change]:
    """All differences, by table, id and fact."""
    before, after = dict(_entries(old)), dict(_entries(new))
    found: list[Change] = []
    for table, entry in sorted({*before, *after}, key=lambda each: (TABLES.index(each[0]), each[1])):
        was, now = before.get((table, entry)), after.get((table, entry))
        if was is None:
            found.append(Change(table, entry, "", "added", (), None, None, table in NAMED_BY_CONFIGS))
        elif now is None:
            found.append(Change(table, entry, "", "removed", (), None, None, decides=True))
        else:
            found.extend(_between(table, entry, was, now))
    return found


def _between(table: str, entry: str, was: Mapping[str, Leaf], now: Mapping[str, Leaf]) -> Iterator[Change]:
    for fact in sorted({*was, *now}):
        first, second = was.get(fact), now.get(fact)
        if first != second:
            kind = "added" if first is None else "removed" if second is None else "changed"
            parts = _parts(first or NOTHING, second or NOTHING)
            decides = fact.rpartition(".")[2] not in FOR_PEOPLE and parts != ("reference",)
            yield Change(table, entry, fact, kind, parts, first, second, decides)


def _parts(first: Leaf, second: Leaf) -> tuple[str, ...]:
    """What differs. A reference alone decides nothing; a day can, where a policy limits the age of facts."""
    one, other = first.get("source") or {}, second.get("source") or {}
    pairs = {
        "state": (first["state"], second["state"]),
        "value": (first["value"], second["value"]),
        "confidence": (one.get("confidence"), other.get("confidence")),
        "grade": (one.get("grade"), other.get("grade")),
        "date": (one.get("checked_on"), other.get("checked_on")),
        "reference": (one.get("ref"), other.get("ref")),
    }
    return tuple(name for name, (was, now) in pairs.items() if was != now)


# --- a catalog as entries and their facts -----------------------------------------------------------------------------


def _entries(catalog: Catalog) -> Iterator[tuple[tuple[str, str], dict[str, Leaf]]]:
    for table in ("organisations", "licences", "models"):
        for key, value in getattr(catalog, table).items():
            yield (table, key), dict(_leaves(value, ""))
    for key, members in catalog.groups.items():
        yield ("groups", key), {"members": _plain(members)}
    for key, template in catalog.templates.items():
        yield ("operators", key), dict(_operator(template))
        for name, endpoint in template.endpoints.items():
            yield ("endpoints", f"{key}/{name}"), dict(_leaves(endpoint, ""))
        for name, offer in template.models.items():
            yield ("offers", f"{key}/{name}"), dict(_offer(template, offer))
    if catalog.prices is not None:
        yield ("prices", "snapshot"), {"checked_on": _plain(catalog.prices.checked_on)}


def _plain(value: object) -> Leaf:
    return {"state": None, "value": json.loads(canonical(value)), "source": None}


def _leaves(thing: Any, prefix: str) -> Iterator[tuple[str, Leaf]]:  # noqa: ANN401 - any value of the catalog
    for item in fields(thing):
        value, path = getattr(thing, item.name), f"{prefix}{item.name}"
        if isinstance(value, Fact):
            yield path, fact_document(value)
        elif isinstance(value, Mapping) and any(isinstance(each, Fact) for each in value.values()):
            for key, each in value.items():
                yield f"{path}.{key}", fact_document(each)
        elif isinstance(value, Terms) or item.name == "wire":
            yield from _leaves(value, f"{path}.")
        elif item.name != "id":
            yield path, _plain(value)


def _operator(template: OperatorTemplate) -> Iterator[tuple[str, Leaf]]:
    apart = {"terms", "endpoints", "models"}  # terms are those of the endpoints
    for path, leaf in _leaves(template, ""):
        if path.partition(".")[0] not in apart:
            yield path, leaf


def _offer(template: OperatorTemplate, offer: OfferedModel) -> Iterator[tuple[str, Leaf]]:
    """An offer; its price at each endpoint that serves it, in each mode."""
    for path, leaf in _leaves(offer, ""):
        if not path.startswith("listed") and path not in {"stated_price", "model"}:
            yield path, leaf
    listed = offer.listed
    modes = (PriceMode.STANDARD,) if listed is None else tuple(PriceMode(each) for each in listed.modes)
    for name, endpoint in template.endpoints.items():
        if offer.endpoints is None or name in offer.endpoints:
            for mode in modes:
                path = f"price.{name}" if mode is PriceMode.STANDARD else f"price.{name}.{mode.value}"
                yield path, _price(template.price(endpoint, offer, mode=mode), is_listed=listed is not None)
    if listed is not None and listed.currency != USD:
        yield "price", _plain({"currency": listed.currency, "modes": listed.entry.get("modes", {})})


def _price(fact: Fact[PriceList], *, is_listed: bool) -> Leaf:
    """The amounts of a price. The day of a listed one is that of all, which `prices` holds."""
    found = fact_document(fact)
    if found["value"] is not None:
        amounts = found["value"]["list"]
        found["value"] = {key: each for key, each in amounts.items() if key not in {"reference", "version"}}
    if is_listed and found["source"] is not None:
        found["source"] = {"confidence": found["source"]["confidence"]}
    return found
