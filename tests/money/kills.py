"""The trials of what outlives a process: kills, and stops for longer than a lease.

After each round the auditor passes, nothing stays pending once the leases have lapsed, and what is booked is never less
than what the provider billed.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Billing
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger import open_ledger
from modelrouter.router.outside import SystemClock
from tests.ledger.builders import reservation, reserve, resolution, resolve
from tests.money.trial import audit, begin, billed, caller, counting_server, ended, lines, write_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.money.trial import Line

__all__ = ["Killed", "Stopped", "bills", "booked", "check", "kill", "settled_book", "some_work", "stop"]

TOGETHER: Final = 4
TASKS: Final = 16
LEASE_S: Final = 1.0
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of the kills: how many, and what was left by them.

    Attributes:
        left: reservations that had no end right after the kills.
        expired: those that were booked as uncertain at their bound when the lease had lapsed.
    """

    kills: int
    attempts: int
    left: int
    expired: int
    billed_nano_usd: int
    booked_nano_usd: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """What came of processes that were stopped for longer than their lease, and went on.

    Attributes:
        locked: stops in the middle of a transaction on a file, whose lock nobody can take from a stopped process:
            others are refused meanwhile, and nothing is sent.
    """

    stops: int
    locked: int
    attempts: int
    expired: int
    corrections: int
    billed_nano_usd: int
    booked_nano_usd: int


def kill(folder: Path, ledger: str, *, kills: int, seed: int) -> Killed:
    """Kill callers in the middle of their work, and look at the book after each round of them."""
    chance = random.Random(seed)
    log = folder / "billed.log"
    done = left = 0
    book: Sequence[Line] = ()
    with counting_server(log) as port:
        config = write_config(folder, port, ledger, {}, lease_s=LEASE_S)
        while done < kills:
            names = [f"k{done + each}" for each in range(min(TOGETHER, kills - done))]
            with ExitStack() as stack:
                processes = [
                    stack.enter_context(caller(config, name, seed=seed, tasks=TASKS, calls=10**6)) for name in names
                ]
                for process in processes:
                    begin(process)
                for process in processes:
                    some_work(log, chance.randrange(1, 60))
                    process.kill()
                    process.wait()
            done += len(names)
            left += len(pending(lines(ledger)))
            book = settled_book(ledger)
            check(book, ledger, log)
    return Killed(
        kills=done,
        attempts=count(book, "reserve"),
        left=left,
        expired=count(book, "expire"),
        billed_nano_usd=billed(log),
        booked_nano_usd=booked(book),
    )


def stop(folder: Path, ledger: str, *, stops: int, seed: int) -> Stopped:
    """Stop callers for longer than their lease while another one goes on, and let them go on then."""
    chance = random.Random(seed)
    log = folder / "billed.log"
    locked = 0
    book: Sequence[Line] = ()
    with counting_server(log) as port:
        config = write_config(folder, port, ledger, {}, lease_s=LEASE_S)
        for number in range(stops):
            with caller(config, f"s{number}", seed=seed + number, tasks=TASKS, calls=600) as process:
                begin(process)
                some_work(log, chance.randrange(20, 200))
                process.send_signal(signal.SIGSTOP)
                stopped = pending(lines(ledger))
                if _let_lapse(ledger):
                    kept = stopped & pending(lines(ledger))
                    assert not kept, "a stopped process kept its reservations beyond its lease"
                else:
                    locked += 1
                process.send_signal(signal.SIGCONT)
                ended(process)
            book = settled_book(ledger)
            check(book, ledger, log)
    return Stopped(
        stops=stops,
        locked=locked,
        attempts=count(book, "reserve"),
        expired=count(book, "expire"),
        corrections=count(book, "correction"),
        billed_nano_usd=billed(log),
        booked_nano_usd=booked(book),
    )


def check(book: Sequence[Line], ledger: str, log: Path) -> None:
    """The auditor passes, and the provider billed no more than what is booked."""
    audit(ledger)
    meter = billed(log)
    assert meter <= booked(book), f"the provider billed {meter} nano-dollars, {booked(book)} are booked"


def settled_book(ledger: str) -> Sequence[Line]:
    """All lines, once whatever nobody will end has been booked at its bound."""
    assert _let_lapse(ledger), "the book cannot be written"
    book = lines(ledger)
    assert not pending(book), "a reservation is still pending after the lease of its process"
    return book


def pending(book: Sequence[Line]) -> set[int]:
    """The reservations without an end."""
    ended_ones = {line.target for line in book if line.kind in {"settle", "uncertain", "release", "expire"}}
    return {line.seq for line in book if line.kind == "reserve"} - ended_ones


def booked(book: Sequence[Line]) -> int:
    """Spent and uncertain, with all that changed them later, in nano-dollars."""
    return sum(line.amount for line in book if line.kind != "reserve")


def count(book: Sequence[Line], kind: str) -> int:
    """How many lines of a kind there are."""
    return sum(line.kind == kind for line in book)


def some_work(log: Path, more: int) -> None:
    """Wait until the provider has billed so many further calls: the moment of a kill is drawn by work, not by time."""
    target = bills(log) + more
    give_up_at = time.monotonic() + PATIENCE_S
    while bills(log) < target:
        assert time.monotonic() < give_up_at, "the callers make no progress"
        time.sleep(0.002)


def bills(log: Path) -> int:
    """How many calls the provider has billed."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _let_lapse(ledger: str) -> bool:
    """Write to the book, as anybody might, until the leases of those that are gone have lapsed; False: it is locked."""
    give_up_at = time.monotonic() + PATIENCE_S
    before = pending(lines(ledger))
    store = open_ledger(ledger, SystemClock())
    try:
        numbers = itertools.count()
        while True:
            name = f"{store.writer_id}-{next(numbers)}"
            refused = reserve(store, reservation(name, bound_nano_usd=0))
            if isinstance(refused, LedgerUnavailableError):
                return False
            assert refused is None
            assert resolve(store, resolution(name, billing=Billing.UNBILLED)) is None
            if not before & pending(lines(ledger)):
                return True
            assert time.monotonic() < give_up_at, "reservations of a process that is gone do not expire"
            time.sleep(LEASE_S / 10)
    finally:
        store.close(10)
