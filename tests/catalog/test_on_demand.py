"""Tables that are read when they are asked for, and that the shipped catalog is the same either way."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from modelrouter.catalog.loader import load_catalog, read_catalog
from modelrouter.catalog.on_demand import OnDemand
from modelrouter.catalog.prices import load_prices


def test_an_entry_is_read_once_and_only_when_it_is_asked_for() -> None:
    """Names, their number and whether one is there are known without reading anything."""
    read: list[str] = []

    def twice(name: str, entry: object) -> int:
        read.append(name)
        assert isinstance(entry, int)
        return 2 * entry

    table = OnDemand({"a": 1, "b": 2}, twice)
    assert (list(table), len(table), "a" in table, "c" in table, read) == (["a", "b"], 2, True, False, [])
    assert (table["b"], table["b"], table.get("c"), read) == (4, 4, None, ["b"])
    assert dict(table) == {"a": 2, "b": 4}


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    """As of any mapping."""
    with pytest.raises(KeyError):
        OnDemand({}, lambda name, _: name)["a"]


def test_the_shipped_catalog_is_the_same_read_at_once_and_on_demand() -> None:
    """Every model of every operator, with all its facts."""
    at_once = read_catalog(Path(str(files("modelrouter.catalog"))), load_prices())
    on_demand = load_catalog()
    assert {name: dict(each.models) for name, each in on_demand.templates.items()} == {
        name: dict(each.models) for name, each in at_once.templates.items()
    }
    assert on_demand.digest == at_once.digest
