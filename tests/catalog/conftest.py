"""What several tests of the catalog share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog import load_catalog

if TYPE_CHECKING:
    from modelrouter.catalog import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The shipped catalog."""
    return load_catalog()
