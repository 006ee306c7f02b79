"""Share caps under load, whole: two hard caps and a soft one, then routes with one vendor each, on both stores.

Four processes with 64 tasks each buy from three vendors through two routes: one has a hard cap on spend and one on
calls, the other a soft cap that is always exceeded. The book is then replayed line by line by an oracle of its own,
which looks at every hard cap at every admission. Exit 1 at the first thing that does not hold. The second test suite
runs a tenth of it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from tests.money.share_caps import alone, trial
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20_261_129


def on_each_store(name: str, run: Callable[[Path, str], object]) -> dict[str, dict[str, object]]:
    """Run one trial on an empty book of each store, print what it came to, and return it by store."""
    found: dict[str, dict[str, object]] = {}
    for store in STORES:
        with tempfile.TemporaryDirectory() as folder, book_url(store, Path(folder)) as ledger:
            found[store] = {key: _plain(value) for key, value in asdict(run(Path(folder), ledger)).items()}  # type: ignore[call-overload]
    keys = next(iter(found.values()))
    table((name, *found), [(key, *(str(figures[key]) for figures in found.values())) for key in keys])
    return found


def _plain(value: object) -> object:
    return round(float(value), 4) if isinstance(value, (Fraction, float)) else value


def main() -> int:
    """Run, print, record."""
    asked = arguments(__doc__, calls=10_000, alone=1_000)
    results = {
        "several vendors": on_each_store(
            "several vendors", lambda folder, ledger: trial(folder, ledger, calls=asked.calls, seed=SEED)
        ),
        "one vendor left": on_each_store(
            "one vendor left", lambda folder, ledger: alone(folder, ledger, calls=asked.alone, seed=SEED)
        ),
    }
    record(asked.record, "shares", {"calls": asked.calls, "alone": asked.alone, "seed": SEED}, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
