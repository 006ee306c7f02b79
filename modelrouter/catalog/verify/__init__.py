"""Everything that is wrong with a catalog, at once: `modelrouter catalog verify`, and the tests of the shipped one.

`shelf` reads to the end whatever can be read; `sources`, `links`, `sense`, `offer_sense` and `generated` each ask one
kind of question about what was read. Nothing here reads a clock or a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.catalog.verify.findings import Finding, Kind
from modelrouter.catalog.verify.generated import check_generated, check_schema
from modelrouter.catalog.verify.links import check_links
from modelrouter.catalog.verify.offer_sense import check_offers
from modelrouter.catalog.verify.sense import check_sense
from modelrouter.catalog.verify.shelf import Shelf
from modelrouter.catalog.verify.sources import check_sources

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

__all__ = ["AGE_MAX_DAYS", "Finding", "Kind", "verify"]

AGE_MAX_DAYS: Final = 365
"""After how long a fact must be looked up again."""


def verify(folder: Path, today: date, *, age_max_days: int = AGE_MAX_DAYS) -> tuple[Shelf, list[Finding]]:
    """Read a catalog and everything that is wrong with it.

    Args:
        folder: in the layout of the shipped one.
        today: days after it have not come.
        age_max_days: how old a check may be.

    Returns:
        what could be read, and the findings by file and line.
    """
    shelf = Shelf(folder)
    check_schema(shelf)
    check_sources(shelf, today, age_max_days)
    check_links(shelf)
    check_sense(shelf, today)
    check_offers(shelf)
    check_generated(shelf, today)
    return shelf, shelf.findings.in_order()
