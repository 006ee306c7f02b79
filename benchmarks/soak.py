"""Many calls with random faults, cancellations and dropped streams, and what is left of them afterwards: nothing.

A real Router on a real SQLite book calls three deployments of a server in a process of its own, which plays a fault of
the matrix for every third request. Calls are plain and streamed, async and sync; some are cancelled at a random moment,
some streams are left, dropped without a word, or held until they are idle; the config is read again in between. After
the warm-up the memory of the process may grow by 5 MB; no task, thread, socket, file or reservation may be left; the
auditor must find nothing, and no less be booked than the server has billed. Exit 1 if one of it does not hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final

import psutil

from _lab import ROOT, arguments, environment, record, table

sys.path.insert(0, str(ROOT))

from modelrouter import Router
from modelrouter.errors import ModelRouterError, NoRouteError
from modelrouter.ledger import open_ledger
from modelrouter.router.outside import SystemClock
from tests.matrix.weather import LIMITS
from tests.money.trial import audit
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter import AsyncReplyStream

SEED: Final = 20_261_129
FAULTS: Final = 1 / 3
TASKS: Final = 24
SAMPLES: Final = 10
GROWTH_MOST_MB: Final = 5.0
QUIET_WITHIN_S: Final = 30.0
IDLE_S: Final = 1.0
CANCELLED_WITHIN_S: Final = 0.02
"""About twice what a call takes here, so that cancellations hit every stage of one."""
KINDS: Final = {
    "plain": 30,
    "plain, cancelled": 15,
    "plain, sync": 10,
    "stream": 20,
    "stream, cancelled": 10,
    "stream, left": 6,
    "stream, dropped": 6,
    "stream, held idle": 1,
    "stream, sync, left": 2,
}
"""Ways to call, by weight."""

ROUTE = (
    "  ask: {try: [a, b, c], attempts_max: 4, retries_max: 1, output_tokens: {default: 20}, timeout_s: 20, "
    "timeouts: {attempt_s: 1, between_chunks_s: 1}}"
)
TOP = "budgets: {each: {usd: 1000000, window: day, each: deployment}}"


class Weather:
    """The server's process."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        if child.stdin is None or child.stdout is None:
            raise AssertionError("the server was started without pipes")
        self._stdin, self._stdout = child.stdin, child.stdout
        self.urls: list[str] = json.loads(self._stdout.readline())

    def ended(self) -> dict[str, int]:
        """End it: what it has seen on all its ports."""
        self._stdin.close()
        totals: Counter[str] = Counter()
        for seen in json.loads(self._stdout.readline()):
            totals.update(seen)
        return dict(totals)


@contextlib.contextmanager
def weather(seed: int) -> Iterator[Weather]:
    """The server, in a process of its own."""
    command = [sys.executable, "-m", "tests.matrix.weather", str(seed), str(FAULTS)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield Weather(child)


class Ear(logging.Handler):
    """Hears every warning of any library, as of event loops about what nobody closed.

    Attributes:
        complaints: their texts.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.complaints.append(record.getMessage())


class Soak:
    """Calls of all kinds, drawn from a seed.

    Attributes:
        made: calls by kind.
        ends: what became of them.
        reloads: how often the config was read again because every deployment had answered as somebody else.
        rss_mb: memory of the process while nothing was under way, after the warm-up and then by tenths.
    """

    def __init__(self, router: Router, seed: int, pool: ThreadPoolExecutor) -> None:
        self.made: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.reloads = 0
        self.rss_mb: list[float] = []
        self._router = router
        self._draw = random.Random(seed)  # noqa: S311 - spread, not a secret
        self._pool = pool
        self._held: list[AsyncReplyStream] = []

    async def run(self, warm: int, calls: int) -> None:
        """The warm-up, and then the calls in parts between which nothing is under way."""
        await self._part(warm)
        self.rss_mb.append(rss_mb())
        for part in range(SAMPLES):
            await self._part(calls * (part + 1) // SAMPLES - calls * part // SAMPLES)
            self._router.reload()
            self.rss_mb.append(rss_mb())

    async def _part(self, calls: int) -> None:
        left = deque(range(calls))

        async def work() -> None:
            while left:
                left.popleft()
                await self._one()

        await asyncio.gather(*(work() for _ in range(TASKS)))
        await self._quiet()
        self._held.clear()
        gc.collect()

    async def _quiet(self) -> None:
        """Wait until no call is under way: dropped and idle streams end by themselves."""
        until_s = perf_counter() + QUIET_WITHIN_S
        while self._router.explain("ask").moment.in_flight or len(asyncio.all_tasks()) > 1:
            if perf_counter() > until_s:
                raise SystemExit(f"left under way: {[str(each) for each in asyncio.all_tasks()]}")
            gc.collect()
            await asyncio.sleep(0.05)

    async def _one(self) -> None:
        kind = self._draw.choices(list(KINDS), list(KINDS.values()))[0]
        self.made[kind] += 1
        try:
            self.ends[await self._called(kind)] += 1
        except (ModelRouterError, asyncio.CancelledError) as error:
            self.ends[type(error).__name__] += 1
            if isinstance(error, NoRouteError) and not self._router.explain("ask").permitted:
                self.reloads += 1  # as whoever has mended them would
                self._router.reload()

    async def _called(self, kind: str) -> str:
        loop = asyncio.get_running_loop()
        if kind == "plain, sync":
            await loop.run_in_executor(self._pool, self._router.complete, "ask", "Say a word.")
            return "answered"
        if kind == "stream, sync, left":
            return await loop.run_in_executor(self._pool, self._sync_left)
        if kind == "plain":
            await self._router.acomplete("ask", "Say a word.")
            return "answered"
        if kind == "stream":
            return await self._read()
        if kind.endswith("cancelled"):
            read = self._read() if kind.startswith("stream") else self._router.acomplete("ask", "Say a word.")
            task = asyncio.ensure_future(read)
            await asyncio.wait([task], timeout=self._draw.random() * CANCELLED_WITHIN_S)
            task.cancel()
            await task
            return "answered"
        return await self._abandoned(kind)

    async def _read(self) -> str:
        async with self._router.astream("ask", "Say a word.") as stream:
            async for _ in stream:
                pass
        return "answered"

    async def _abandoned(self, kind: str) -> str:
        stream = self._router.astream("ask", "Say a word.")
        if kind == "stream, left":
            async with stream:
                await anext(stream, None)
            return kind
        await anext(stream, None)
        if kind == "stream, held idle":
            self._held.append(stream)
        return kind

    def _sync_left(self) -> str:
        with self._router.stream("ask", "Say a word.") as stream:
            next(iter(stream), None)
        return "stream, left"


def rss_mb() -> float:
    """Memory of this process."""
    return float(psutil.Process().memory_info().rss) / 2**20


def held() -> dict[str, int]:
    """What this process holds besides memory."""
    process = psutil.Process()
    sockets = [each for each in process.net_connections("inet") if each.status != psutil.CONN_NONE]
    return {"threads": threading.active_count(), "sockets": len(sockets), "files": process.num_fds()}


def book(ledger: str) -> dict[str, int]:
    """What the book holds, after the auditor went through it."""
    audit(ledger)
    store = open_ledger(ledger, SystemClock(), create=False)
    try:
        rows = store.spend(by="deployment")
    finally:
        store.close(10)
    parts = ("settled", "uncertain", "overrun", "correction", "reserved")
    return {part: sum(getattr(row, f"{part}_nano_usd") for row in rows) for part in parts}


def soaked(folder: Path, warm: int, calls: int, seed: int) -> dict[str, Any]:
    """Soak, and say what was found."""
    ear = Ear()
    logging.getLogger().addHandler(ear)
    with weather(seed) as server:
        served = [
            Served(name, url, price=("2", "8"), more=LIMITS) for name, url in zip("abc", server.urls, strict=True)
        ]
        config = write_config(folder, served, ROUTE, top=TOP)
        before, begun_s, cpu_s = held(), perf_counter(), process_time()
        with ThreadPoolExecutor(4) as pool:
            router = Router.from_config(config, idle_stream_s=IDLE_S)
            soak = Soak(router, seed, pool)

            async def run() -> None:
                await soak.run(warm, calls)
                await router.aclose()

            asyncio.run(run())
        took_s, cpu_s = perf_counter() - begun_s, process_time() - cpu_s
        gc.collect()
        after, seen = held(), server.ended()
    logging.getLogger().removeHandler(ear)
    booked = book(f"sqlite:///{folder / 'book.db'}")
    reserved = booked.pop("reserved")
    return {
        "calls": dict(soak.made),
        "ends": dict(soak.ends),
        "reloads": soak.reloads + SAMPLES,
        "server": seen,
        "rss_mb": [round(each, 1) for each in soak.rss_mb],
        "growth_mb": round(soak.rss_mb[-1] - soak.rss_mb[0], 1),
        "left": {**{key: after[key] - before[key] for key in before}, "reserved_nano_usd": reserved},
        "complaints": ear.complaints,
        "booked_nano_usd": {**booked, "whole": sum(booked.values())},
        "took_s": round(took_s, 1),
        "cpu_s": round(cpu_s, 1),
    }


def wrong(found: dict[str, Any]) -> list[str]:
    """What does not hold."""
    faults = [f"{count} {name} left" for name, count in found["left"].items() if count > 0]
    if found["growth_mb"] > GROWTH_MOST_MB:
        faults.append(f"memory grew by {found['growth_mb']} MB")
    if found["booked_nano_usd"]["whole"] < found["server"]["billed_nano_usd"]:
        faults.append("the server has billed more than the book holds")
    if found["server"]["trapped"]:
        faults.append("a redirect was followed")
    return [*faults, *found["complaints"]]


def main() -> int:
    """Soak, print, perhaps record."""
    chosen = arguments(__doc__, calls=20_000, warm=2_000, seed=SEED)
    with tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-") as folder:
        found = soaked(Path(folder), chosen.warm, chosen.calls, chosen.seed)
    faults = wrong(found)
    rows = [
        ("calls", sum(found["calls"].values())),
        *sorted(found["ends"].items()),
        ("reloads", found["reloads"]),
        *((f"server: {name}", count) for name, count in found["server"].items()),
        ("booked, nano-USD", found["booked_nano_usd"]["whole"]),
        ("memory after the warm-up, MB", found["rss_mb"][0]),
        ("growth, MB", found["growth_mb"]),
        *((f"left: {name}", count) for name, count in found["left"].items()),
        ("seconds", found["took_s"]),
        ("CPU seconds", found["cpu_s"]),
    ]
    table((f"seed {chosen.seed}", "found"), [(name, f"{count:,}") for name, count in rows])
    print(f"\nmemory by tenths, MB: {' '.join(str(each) for each in found['rss_mb'])}")
    print(f"does not hold: {'; '.join(faults) or 'nothing'}")
    record(chosen.record, "soak", {"calls": chosen.calls, "warm": chosen.warm, "seed": chosen.seed}, found)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
