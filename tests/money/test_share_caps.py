"""Share caps hold at each admission: four processes, 64 tasks each, on both stores.

The tenth of the release trial; `benchmarks/shares.py` runs the whole and records it.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.money.share_caps import Cap, Line, alone, broken, trial
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 1_000
SEED = 20261129


@pytest.mark.long
@pytest.mark.parametrize("store", STORES)
def test_share_caps_hold_at_each_admission(store: str, tmp_path: Path) -> None:
    """By an oracle that replays the book: no hard cap is passed, no soft one refuses, and both have work to do."""
    with book_url(store, tmp_path) as ledger:
        found = trial(tmp_path, ledger, calls=CALLS, seed=SEED)
    sys.stdout.write(f"{found}\n")
    assert found.checked > CALLS // 4
    assert found.closest > Fraction(9, 10), "no cap was ever near"
    assert found.moved > 0


@pytest.mark.long
@pytest.mark.parametrize("store", STORES)
def test_when_alone_decides_where_one_vendor_is_left(store: str, tmp_path: Path) -> None:
    """Where it permits, every call goes on beyond the cap; where it refuses, the cap holds and calls are refused."""
    with book_url(store, tmp_path) as ledger:
        found = alone(tmp_path, ledger, calls=CALLS, seed=SEED)
    sys.stdout.write(f"{found}\n")
    assert found.beyond > 0
    assert found.refused > 0
    assert found.checked > 0


def test_the_oracle_sees_an_admission_too_many() -> None:
    """Two calls of one vendor under a cap of half of three: the second is one too many, whoever else is paid."""
    cap = Cap(Fraction(1, 2), "calls", "operator", 24, 3)
    lines = [Line(seq, "reserve", 5, 10**15, "north", 9, None, 0, "first", f"c{seq}") for seq in (1, 2)]
    faults, checked, closest = broken(lines, {"first": [cap]})
    assert (len(faults), checked, closest) == (1, 2, Fraction(4, 3))
    assert broken(lines[:1], {"first": [cap]})[0] == []
