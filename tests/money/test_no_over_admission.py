"""No budget is over-admitted: four processes, 64 tasks each, three budgets at once, on both stores.

The tenth of the release trial; `benchmarks/money.py` runs the whole and records it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.money.over_admission import trial
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 2_000


@pytest.mark.long
@pytest.mark.parametrize("store", STORES)
def test_no_budget_is_over_admitted(store: str, tmp_path: Path) -> None:
    """At every line of the book each budget holds; at the end each is used up, and nothing is pending."""
    with book_url(store, tmp_path) as ledger:
        found = trial(tmp_path, ledger, calls=CALLS, seed=20261122)
    sys.stdout.write(f"{found}\n")
