"""A process of its own that writes to a ledger on PostgreSQL, for tests that share a book, stop a writer or kill it.

    python -m tests.ledger.postgres_worker URL SPOOL NAME COUNT

It reserves and resolves COUNT attempts, several at a time, under `BUDGETS`, and prints one line for each thing that has
become durable or was refused: `reserved ID`, `resolved ID COST`, `refused KIND`. With a COUNT of 0 it goes on until it
is stopped.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from pathlib import Path
from typing import Final

from modelrouter.core.budget import Budget, Window
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.postgres import PostgresLedger
from tests.ledger.builders import Heard, call_record, reservation, resolution

__all__ = ["BOUND", "BUDGETS", "LIMIT"]

BOUND: Final = 1_000
LIMIT: Final = 400_000
BUDGETS: Final = (
    Budget("all", LIMIT, Window.TOTAL),
    Budget("team", 3 * LIMIT // 4, Window.TOTAL, each="tag.team"),
    Budget("route", LIMIT, Window.TOTAL, only={"route": frozenset({"support"})}),
)
TOGETHER: Final = 8


class RealClock:
    """This machine's."""

    def now_s(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that only count."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Nobody calls it."""
        raise NotImplementedError


def say(*words: object) -> None:
    """One whole line in one write, so that a kill never leaves half of it."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def work(ledger: PostgresLedger, names: itertools.count[int] | range, name: str) -> None:
    """Reserve some at a time, then end most of them, by chance at their bound, below it, or for nothing."""
    chance = random.Random(name)
    waiting = iter(names)
    while batch := list(itertools.islice(waiting, TOGETHER)):
        asked: list[tuple[str, Heard]] = []
        for number in batch:
            one = f"{name}-{number}"
            call = call_record(f"call-{one}", tags={"team": f"t{number % 2}"})
            ear = Heard()
            ledger.reserve(reservation(one, call=call, bound_nano_usd=BOUND), ear)
            asked.append((one, ear))
        granted: list[str] = []
        for one, ear in asked:
            error = ear.outcome()
            if error is None:
                say("reserved", one)
                granted.append(one)
            else:
                say("refused", type(error).__name__)
        for one in granted:
            cost = chance.choice((BOUND, BOUND // 2, BOUND // 10))
            ear = Heard()
            ledger.resolve(resolution(one, cost_nano_usd=cost), ear)
            if ear.outcome() is None:
                say("resolved", one, cost)


def main(url: str, spool: str, name: str, count: int) -> None:
    """Work, then end properly."""
    ledger = PostgresLedger(url, RealClock(), spool=Path(spool), budgets=BUDGETS)
    names = range(count) if count else itertools.count()
    threads = [threading.Thread(target=work, args=(ledger, names, f"{name}{lane}")) for lane in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        ledger.close(30)
    except LedgerUnavailableError as error:
        say("refused", type(error).__name__)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
