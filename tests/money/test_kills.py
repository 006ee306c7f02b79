"""Callers that are killed or stopped in the middle of their work, on both stores.

The tenth of the release trial; `benchmarks/money.py` runs the whole and records it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.money.kills import kill, stop
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 16
STOPS = 2


@pytest.mark.long
@pytest.mark.parametrize("store", STORES)
def test_killed_processes_leave_a_book_that_holds(store: str, tmp_path: Path) -> None:
    """After each round of kills the auditor passes and the book holds no less than what the provider billed."""
    with book_url(store, tmp_path) as ledger:
        found = kill(tmp_path, ledger, kills=KILLS, seed=20261122)
    sys.stdout.write(f"{found}\n")
    assert found.expired >= found.left  # a server may still commit what a killed process had sent


@pytest.mark.long
@pytest.mark.parametrize("store", STORES)
def test_processes_stopped_beyond_their_lease_lose_nothing(store: str, tmp_path: Path) -> None:
    """What a stopped process had reserved expires at its bound; what it settles later becomes a correction."""
    with book_url(store, tmp_path) as ledger:
        found = stop(tmp_path, ledger, stops=STOPS, seed=20261122)
    sys.stdout.write(f"{found}\n")
    assert store == "sqlite" or not found.locked  # a server takes its lock from whoever does not answer
