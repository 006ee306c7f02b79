"""Reads the shipped files and joins them into one `Catalog`."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from modelrouter.catalog.compiled import files_of
from modelrouter.catalog.entries import group_from, licence_from, model_from, organisation_from
from modelrouter.catalog.offers import template_from
from modelrouter.catalog.prices import PRICES, load_prices, read_prices
from modelrouter.catalog.reading import Place, nearest
from modelrouter.core.facts import SELF, Ownership
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from modelrouter.catalog.compiled import CatalogFile
    from modelrouter.catalog.prices import Snapshot
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.core.facts import Licence, Model, Organisation

__all__ = ["Catalog", "load_catalog", "read_catalog"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The shipped facts. Immutable by agreement.

    Attributes:
        groups: dated country groups, as `EEA`, to their members.
        templates: by id: an operator's, or `self-vllm`, `self-llamacpp`, … for servers of one's own.
        digest: SHA-256 of the content in canonical form; comments and layout change nothing.
        prices: the shipped prices; None in a catalog that was read without them.
    """

    organisations: Mapping[str, Organisation]
    licences: Mapping[str, Licence]
    models: Mapping[str, Model]
    groups: Mapping[str, frozenset[str]]
    templates: Mapping[str, OperatorTemplate]
    digest: str = field(default="")
    prices: Snapshot | None = None

    def organisation(self, organisation_id: str) -> Organisation:
        """An organisation by its id. Raises `CatalogError` with the nearest known id."""
        return _look_up(self.organisations, organisation_id, "organisation")

    def licence(self, licence_id: str) -> Licence:
        """A licence by its id. Raises `CatalogError` with the nearest known id."""
        return _look_up(self.licences, licence_id, "licence")

    def model(self, model_id: str) -> Model:
        """A model by its id. Raises `CatalogError` with the nearest known id."""
        return _look_up(self.models, model_id, "model")

    def group(self, group_id: str) -> frozenset[str]:
        """The members of a country group. Raises `CatalogError` with the nearest known id."""
        return _look_up(self.groups, group_id, "country group")

    def template(self, operator: str, server: str | None = None) -> OperatorTemplate:
        """The template of an operator; for `self`, that of a kind of server.

        Raises:
            CatalogError: not known, with the nearest known id; `self` without a kind of server.
        """
        if operator != SELF:
            return _look_up(self.templates, operator, "operator")
        kinds = {each.server: each for each in self.templates.values() if each.server}
        if server is None:
            raise CatalogError(
                f"say which server it is: `server:` with one of {', '.join(sorted(kinds))}", key="server"
            )
        return _look_up(kinds, server, "server")


def _look_up(known: Mapping[str, T], wanted: str, what: str) -> T:
    found = known.get(wanted)
    if found is None:
        raise CatalogError(f"{what} `{wanted}` is not in the catalog{nearest(wanted, known)}")
    return found


@functools.cache
def load_catalog() -> Catalog:
    """The shipped catalog, read once per process.

    Raises:
        CatalogError: a shipped file is damaged.
    """
    return read_catalog(files(__package__), load_prices(), on_demand=True)


def read_catalog(
    folder: Traversable | Path, prices: Snapshot | None = None, *, on_demand: bool = False
) -> Catalog:  # fmt: skip
    """Read a catalog from a folder in the layout of this one.

    Args:
        folder: where it is.
        prices: of the operators' offers; None reads those of the folder. Where it has none, an offer costs what its
            operator's file says.
        on_demand: the models of operators are read when they are asked for, and so are faults in them found. `catalog
            verify` and the tests have asked for all of the shipped ones.

    Raises:
        CatalogError: an entry is wrong, given twice, or names an id that is not there.
    """
    if prices is None and (folder / PRICES).is_file():
        prices = read_prices(folder)
    documents = files_of(folder)
    tables = {name: _table(document) for name, document in documents.items() if not name.startswith("operators/")}
    organisations: dict[str, Organisation] = {}
    licences: dict[str, Licence] = {}
    models: dict[str, Model] = {}
    groups: dict[str, frozenset[str]] = {}
    for name, table in tables.items():
        for key, entry in table.items():
            place = Place(name, (key,), documents[name].line)
            if name.startswith("models/"):
                if key in models:
                    place.fail(f"`{key}` is in two files: remove one of the two")
                models[key] = model_from(key, entry, Ownership.SHIPPED, place)
            elif name == "organisations.yaml":
                organisations[key] = organisation_from(key, entry, Ownership.SHIPPED, place)
            elif name == "licences.yaml":
                licences[key] = licence_from(key, entry, Ownership.SHIPPED, place)
            else:
                groups[key] = group_from(key, entry, place)
    templates = {
        key: template_from(
            key,
            document.value,
            Ownership.SHIPPED,
            Place(name, (), document.line),
            prices=prices,
            on_demand=on_demand,
        )
        for name, document in documents.items()
        if name.startswith("operators/")
        for key in (name.removeprefix("operators/").removesuffix(".yaml"),)
    }
    content: dict[str, object] = {name: document.value for name, document in sorted(documents.items())}
    if prices is not None:
        content[PRICES] = prices.sha256
    return Catalog(organisations, licences, models, groups, templates, _digest(content), prices)


def _table(document: CatalogFile) -> dict[str, object]:
    if not isinstance(document.value, dict):
        raise CatalogError("a catalog file is a mapping of ids to entries", file=document.name, line=1)
    return dict(document.value)


def _digest(content: object) -> str:
    def plain(value: object) -> str:
        if isinstance(value, Decimal):
            return str(value)
        raise TypeError(value)

    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()
