"""A process of its own that writes to a ledger, for tests that share a file or kill.

    python -m tests.ledger.worker PATH NAME COUNT [SEED]

It prints one line after each durable entry, `reserved ID` or `resolved ID COST`. With a SEED it goes on until it is
killed.
"""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import Heard, StillClock, reservation, resolution

TOGETHER = 16


def say(*words: object) -> None:
    """One whole line in one write, so that a kill never leaves half of it."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def work(store: SqliteLedger, name: str, count: int | None, chance: random.Random | None) -> None:
    """Keep a few reservations under way; with chance, resolve about half of them."""
    numbers = itertools.count() if count is None else iter(range(count))
    while batch := [f"{name}-{number}" for number in itertools.islice(numbers, TOGETHER)]:
        ears = []
        for each in batch:
            ears.append((each, Heard()))
            store.reserve(reservation(each, bound_nano_usd=1_000), ears[-1][1])
        ends = []
        for each, ear in ears:
            error = ear.outcome()
            if error is not None:
                raise error
            say("reserved", each)
            if chance is not None and chance.random() < 0.5:
                ends.append((each, chance.randrange(1_000), Heard()))
                store.resolve(resolution(each, cost_nano_usd=ends[-1][1]), ends[-1][2])
        for each, cost, ear in ends:
            error = ear.outcome()
            if error is not None:
                raise error
            say("resolved", each, cost)


def main() -> None:
    """Write until done, or for ever."""
    path, name, count, *seed = sys.argv[1:]
    store = SqliteLedger(Path(path), StillClock(), lock_wait_s=60)
    say("ready", store.writer_id)
    sys.stdin.readline()
    chance = random.Random(int(seed[0])) if seed else None
    work(store, name, None if seed else int(count), chance)
    store.close(60)
    say("commits", store.commits)


if __name__ == "__main__":
    main()
