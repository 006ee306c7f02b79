"""The release trials of money, whole: over-admission, kills, and stops past the lease, on both stores.

Four processes with 64 tasks each spend three budgets at once until each is used; callers are killed, or stopped for
longer than their lease, in the middle of their work, while a server keeps its own account of what it billed. A count of
0 leaves a trial out. Exit 1 at the first thing that does not hold. The second test suite runs a tenth of it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from tests.money.kills import kill, stop
from tests.money.over_admission import trial
from tests.money.stores import STORES, book_url

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20_261_122


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
    if isinstance(value, (Decimal, float)):
        return round(float(value), 4)
    return value


def main() -> int:
    """Run, print, record."""
    asked = arguments(__doc__, calls=20_000, kills=300, stops=30)
    trials: dict[str, tuple[int, Callable[[Path, str], object]]] = {
        "over-admission": (
            asked.calls,
            lambda folder, ledger: trial(folder, ledger, calls=asked.calls, seed=SEED),
        ),
        "kill -9": (
            asked.kills,
            lambda folder, ledger: kill(folder, ledger, kills=asked.kills // len(STORES), seed=SEED),
        ),
        "stopped": (
            asked.stops,
            lambda folder, ledger: stop(folder, ledger, stops=asked.stops // len(STORES), seed=SEED),
        ),
    }
    results = {name: on_each_store(name, run) for name, (count, run) in trials.items() if count}
    settings = {"calls": asked.calls, "kills": asked.kills, "stops": asked.stops, "seed": SEED}
    record(asked.record, "money", settings, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
