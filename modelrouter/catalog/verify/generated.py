"""Whether what was made from the catalog's files was made from these, and whether pydantic's schema takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.compiled import COMPILED, compiled
from modelrouter.catalog.prices import PRICES
from modelrouter.catalog.verify.findings import Kind
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pydantic import BaseModel

    from modelrouter.catalog.verify.shelf import Shelf
    from modelrouter.yaml12 import Path

__all__ = ["check_generated", "check_schema"]

AGAIN: Final = "write it anew with `python -m modelrouter.catalog.refresh_compiled`"


def check_generated(shelf: Shelf, today: date) -> None:
    """Note compiled files that are not these files, and prices from a day to come."""
    if shelf.prices is not None and shelf.prices.checked_on > today:
        message = f"the prices were read on {shelf.prices.checked_on}, which has not come yet: refresh them"
        shelf.findings.add(Kind.DATE, PRICES, (), message)
    file = shelf.folder / COMPILED
    if not file.is_file() or shelf.unread:
        return  # a catalog need not be compiled; one that cannot be read cannot be compiled either
    try:
        held, wanted = json.loads(file.read_bytes()), json.loads(compiled(shelf.folder))
    except (ValueError, CatalogError):
        shelf.findings.add(Kind.GENERATED, COMPILED, (), f"this is no JSON: {AGAIN}")
        return
    if held != wanted:
        shelf.findings.add(Kind.GENERATED, COMPILED, (), f"these are not the files beside it: {AGAIN}")


def check_schema(shelf: Shelf) -> None:
    """Note what the schema does not take; where the readers have spoken already, their sentences stand."""
    from pydantic import ValidationError

    from modelrouter.catalog.schema import (
        GroupEntry,
        LicenceEntry,
        ModelEntry,
        OperatorTemplateEntry,
        OrganisationEntry,
    )

    schemas: dict[str, type[BaseModel]] = {
        "organisations": OrganisationEntry,
        "licences": LicenceEntry,
        "models": ModelEntry,
        "groups": GroupEntry,
        "operators": OperatorTemplateEntry,
    }
    for table, entries in shelf.raw.items():
        for key, entry in entries.items():
            try:
                schemas[table].model_validate(entry)
            except ValidationError as error:
                for details in error.errors(include_url=False, include_input=False):
                    path = _path(details["loc"], entry)
                    said = str(details["msg"]).removeprefix("Value error, ")
                    message = f"this does not fit the schema ({said[:1].lower()}{said[1:]}): correct it"
                    if not shelf.findings.is_told(*shelf.at(table, key, path)):
                        shelf.add(Kind.ENTRY, table, key, path, message)


def _path(location: tuple[int | str, ...], entry: Mapping[str, Any]) -> Path:
    """The keys of a location; pydantic also names branches of unions."""
    path: list[int | str] = []
    value: Any = entry
    for step in location:
        is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if is_item or (isinstance(value, dict) and step in value):
            value = value[step]
            path.append(step)
    return tuple(path)
