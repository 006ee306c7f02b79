"""Counts of facts, on a catalog that is counted by hand, and on the shipped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.catalog.census import census_of
from modelrouter.catalog.loader import read_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.catalog import Catalog

ORGANISATIONS = """
acme: {name: Acme, country: DE, parent: none, source: {ref: register, confidence: high}}
"""
LICENCES = """
mit: {name: MIT, spdx: MIT, commercial_use: true, conditions: none, osi_approved: true, source: text}
"""
MODELS = """
one: {developer: acme, licence: mit, openness: open_weights, derived_from: none, source: card}
two: {developer: acme, licence: mit, openness: open_weights, derived_from: [one], source: card}
three: {developer: acme, licence: mit, openness: undisclosed, source: card}
latest: {developer: acme, alias_of: {value: [{model: two}], source: page}, source: page}
"""


def test_a_small_catalog_is_counted_as_by_hand(tmp_path: Path) -> None:
    """One organisation, one licence, three models and an alias: each state and confidence is what stands there."""
    (tmp_path / "models").mkdir()
    (tmp_path / "operators").mkdir()
    (tmp_path / "organisations.yaml").write_text(ORGANISATIONS, encoding="utf-8")
    (tmp_path / "licences.yaml").write_text(LICENCES, encoding="utf-8")
    (tmp_path / "groups.yaml").write_text("{}", encoding="utf-8")
    (tmp_path / "models" / "acme.yaml").write_text(MODELS, encoding="utf-8")
    census = census_of(read_catalog(tmp_path))
    assert (census.models, census.based, census.unsourced) == (3, 2, 0)
    assert census.states["undisclosed"] == 1
    assert census.confidences["high"] == 2  # country and parent of acme
    # of the licence: commercial use and approval; of each model developer and licence, of two openness, of one a base;
    # of the alias its developer, what it stands for, and that it is not pinned
    assert census.states["known"] == 1 + 2 + (3 * 2 + 2 + 1) + 3
    # acme has no parent, the licence no conditions, the first model no base; nobody claims anything of the four, and
    # three of them are no alias
    assert census.states["none"] == 1 + 1 + 1 + 4 + 3


def test_every_shipped_fact_has_a_source(catalog: Catalog) -> None:
    """Nothing that is said to be known, to be nothing or to be undisclosed is without one; most bases are known."""
    census = census_of(catalog)
    assert census.unsourced == 0
    assert census.confidences["low"] == 0
    assert sum(census.confidences.values()) == sum(census.states.values()) - census.states["unknown"]
    assert census.based > census.models * 0.75
