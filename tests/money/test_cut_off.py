"""A vendor is cut off by the command line while processes call it in every role, on both stores."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.money.cut_off import PROCESSES, ROLES, cut_off
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@pytest.mark.parametrize("abort", [False, True])
@pytest.mark.parametrize("store", STORES)
def test_a_revoked_vendor_gets_nothing_more(store: str, tmp_path: Path, *, abort: bool) -> None:
    """After the command returns nothing is admitted to it in any role, by any process; what is under way ends as asked.

    One vendor is left, so each process warns of it once, and its traffic goes on.
    """
    with book_url(store, tmp_path) as ledger:
        found = cut_off(tmp_path, ledger, abort=abort, hold_s=20.0 if abort else 3.0)
    sys.stdout.write(f"{store}, abort: {abort}: {found}\n")
    assert set(found.admitted_before) == set(ROLES)
    assert found.admitted_after == 0
    assert found.others > 0
    assert found.under_way > 0
    assert found.warned == [1] * (PROCESSES + 1)
    if not abort:
        assert found.finished == found.under_way
    else:
        assert found.finished < found.under_way
        assert found.latest_end_s < 20.0, "a held call was not aborted"
