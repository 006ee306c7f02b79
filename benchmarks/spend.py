"""Reports over a large book: seconds for each group, whole, between moments inside hours, and as the command.

The book is written twice. Once by bulk SQL, with the lines, calls and hourly sums that a store would have written for
a quarter of a year (only the hashes are filler: no report reads them), with a personal tag of so many users that
hardly two attempts share a row of the hourly sums: the dearest case. And once, with fewer attempts, through the store
itself, where every sum is compared with one that was kept beside it. The files lie in the folder for temporary files,
or in `MODELROUTER_BENCHMARK_FOLDER`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import closing
from dataclasses import astuple
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from _lab import ROOT, arguments, environment, record, spread, table, write_config

sys.path.insert(0, str(ROOT))

from modelrouter.core.attempts import Attempt, Billing
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.ledger import open_ledger
from modelrouter.ledger.reports import Question, Sums, report
from modelrouter.ledger.tables import ENTRY_COLUMNS
from modelrouter.ledger.waiting import reserved, resolved
from modelrouter.ports import CallRecord, Reservation, Resolution
from modelrouter.router.outside import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ledger import Ledger
    from modelrouter.ledger.session import Column

HOUR_US = 3_600_000_000
DAYS = 90
BEGIN_US = 1_787_000_000_000_000 // HOUR_US * HOUR_US
WAITERS = 64
DEPLOYMENTS = tuple((f"deployment-{n}", f"operator-{n % 4}", f"developer-{n % 3}", f"model-{n}") for n in range(8))
ROUTES = ("support", "drafts", "batch")
POLICIES = ('["baseline"]', '["baseline", "eu-gdpr"]')
PRICE = PriceList(Decimal("0.05"), Decimal("0.20"))
COLUMNS = tuple(name for name, _ in ENTRY_COLUMNS)
KEYS = ("hour_us", "route", "deployment", "operator", "developer", "model", "tags", "policies")
GROUPS = (
    *(("deployment",), ("route",), ("operator",), ("developer",), ("model",), ("policy",), ("tag.team",)),
    *(("tag.user",), ("hour",), ("day",), ("month",), ("route", "model"), ("tag.team", "day")),
)
Values = tuple["Column", ...]


# --- a book by bulk SQL -----------------------------------------------------------------------------------------------


class Bulk:
    """Writes lines as a store would have left them, an hour at a time.

    Attributes:
        total: what the book comes to.
    """

    def __init__(self, book: sqlite3.Connection, users: int) -> None:
        self.total = Sums()
        self._book = book
        self._random = random.Random(1)  # noqa: S311 - spread, not a secret
        self._users = users
        self._seq = int(book.execute("SELECT seq FROM state").fetchone()[0])
        self._writer_seq = count(1)
        self._rollup = count(1)
        self._lines: list[Values] = []
        self._calls: list[Values] = []
        self._sums: dict[Values, list[int]] = {}

    def write(self, attempts: int) -> None:
        """Spread so many attempts evenly over the days."""
        book = self._book
        book.execute("INSERT INTO writers VALUES (1000, 'bulk', 1, 'host', '0', ?)", (BEGIN_US,))
        hours = DAYS * 24
        for hour in range(hours):
            first, last = hour * attempts // hours, (hour + 1) * attempts // hours
            for place in range(first, last):
                self._attempt(BEGIN_US + hour * HOUR_US + (place - first) * HOUR_US // (last - first), place)
            self._flush()
        end_us = BEGIN_US + hours * HOUR_US
        book.execute("UPDATE state SET seq = ?, at_us = ?", (self._seq, end_us))

    def _attempt(self, at_us: int, place: int) -> None:
        draw = self._random
        names, route, policies = draw.choice(DEPLOYMENTS), draw.choice(ROUTES), draw.choice(POLICIES)
        tags = f'{{"team": "team-{draw.randrange(12)}", "user": "~{draw.randrange(self._users):024x}"}}'
        bound, spent = 1_000_000 + draw.randrange(10**6), 100_000 + draw.randrange(900_000)
        failed, over = place % 50 == 0, 7 if place % 500 == 1 else 0
        call_id = f"{place:032x}"
        self._calls.append((call_id, None, at_us, 1000, route, None, tags, policies, "{}"))
        reserve = self._line(
            at_us,
            kind="reserve",
            amount_nano_usd=bound,
            reservation_id=f"r{place:031x}",
            call_id=call_id,
            call_digest="0" * 64,
            number=1,
            **dict(zip(("deployment", "operator", "developer", "model"), names, strict=True)),
        )
        amount = bound if failed or over else spent
        self._line(
            at_us,
            kind="uncertain" if failed else "settle",
            amount_nano_usd=amount,
            resolves=reserve,
            failure="timed_out" if failed else None,
            input_tokens=None if failed else 900,
            cached_input_tokens=None if failed else 300,
            cache_write_tokens=None if failed else 0,
            output_tokens=None if failed else 200,
            reasoning_tokens=None if failed else 20,
            saved_nano_usd=None if failed else 999,
        )
        if over:
            self._line(at_us, kind="overrun", amount_nano_usd=over, corrects=reserve)
        tokens = (0, 0, 0, 0, 0) if failed else (900, 300, 0, 200, 20)
        money = (0, amount, 0, 0, 0, amount, 0) if failed else (amount, 0, 0, over, 0, 0, 999)
        key = (at_us // HOUR_US * HOUR_US, route, *names, tags, policies)
        sums = self._sums.setdefault(key, [0] * 15)
        for index, value in enumerate((1, 1, int(failed), *tokens, *money)):
            sums[index] += value

    def _line(self, at_us: int, **values: Column) -> int:
        self._seq += 1
        given: dict[str, Column] = {
            "seq": self._seq,
            "writer": 1000,
            "writer_seq": next(self._writer_seq),
            "at_us": at_us,
            "hash": f"{self._seq:064x}",
            **values,
        }
        self._lines.append(tuple(given.get(name) for name in COLUMNS))
        return self._seq

    def _flush(self) -> None:
        marks = ", ".join("?" * len(COLUMNS))
        self._book.executemany("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._calls)
        self._book.executemany(f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({marks})", self._lines)  # noqa: S608 - our own names
        rows = [(next(self._rollup), *key, *sums) for key, sums in self._sums.items()]
        names = ", ".join(("rollup", *KEYS, *Sums.__dataclass_fields__))
        self._book.executemany(f"INSERT INTO rollups ({names}) VALUES ({', '.join('?' * 24)})", rows)  # noqa: S608 - our own names
        if rows:
            self.total = self.total.plus(Sums(*(sum(column) for column in zip(*self._sums.values(), strict=True))))
        self._lines, self._calls, self._sums = [], [], {}


def bulk_book(path: Path, attempts: int, users: int) -> Sums:
    """Make the book; what it comes to."""
    open_ledger(f"sqlite:///{path}", SystemClock()).close(5.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as book:
        book.execute("PRAGMA synchronous = OFF")
        book.execute("BEGIN")
        bulk = Bulk(book, users)
        bulk.write(attempts)
        book.execute("COMMIT")
    return bulk.total


# --- a book through the store -----------------------------------------------------------------------------------------


async def through(store: Ledger, attempts: int) -> dict[str, list[int]]:
    """Reserve and settle with 64 waiters; attempts and nano-dollars by deployment, kept beside the book."""
    left = iter(range(attempts))
    kept: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    async def wait() -> None:
        for place in left:
            names = DEPLOYMENTS[place % len(DEPLOYMENTS)]
            call = CallRecord(f"call-{place}", None, ROUTES[place % 3], {"team": f"team-{place % 12}"}, "{}")
            bound = Bound(2_000_000, 1_000, 500, BoundBasis.DOCUMENTED)
            name = f"reservation-{place}"
            await reserved(store, Reservation(name, call, 1, names[0], names[1], names[3], bound, PRICE, names[2]))
            usage = Usage(900 + place % 100, 200)
            cost = PRICE.cost_nano_usd(usage)
            attempt = Attempt(
                1, names[0], bound, PRICE, 0.0, 1.0, usage=usage, billing=Billing.BILLED, cost_nano_usd=cost
            )
            await resolved(store, Resolution(name, Billing.BILLED, cost, attempt))
            kept[names[0]][0] += 1
            kept[names[0]][1] += cost

    await asyncio.gather(*(wait() for _ in range(WAITERS)))
    return kept


# --- measuring --------------------------------------------------------------------------------------------------------


def questions(now_us: int) -> Iterator[tuple[str, Question]]:
    """Every group over the whole book, and some between moments and in other zones."""
    for by in GROUPS:
        yield ",".join(by), Question(by)
    edges = (BEGIN_US + 17 * 24 * HOUR_US + 1_234_567_891, BEGIN_US + 71 * 24 * HOUR_US + 987_654_321)
    yield "deployment, 54 days and two cut hours", Question(("deployment",), *edges)
    yield "tag.team, the last 24 h and a cut hour", Question(("tag.team",), now_us - 24 * HOUR_US + 17, None)
    yield "day in Asia/Kolkata, cut at half hours", Question(("day",), None, None, ZoneInfo("Asia/Kolkata"))


def measured(path: Path, rounds: int, total: Sums) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each question, by the clock and of CPU, in interleaved rounds after one of warming; all is checked."""
    seen: dict[str, list[float]] = defaultdict(list)
    used: dict[str, list[float]] = defaultdict(list)
    with closing_book(path) as book:
        for number in range(rounds + 1):
            for name, question in questions(BEGIN_US + DAYS * 24 * HOUR_US):
                begun_s, begun_cpu_s = perf_counter(), process_time()
                with book.reading() as session:
                    found = report(session, question)
                took_s, took_cpu_s = perf_counter() - begun_s, process_time() - begun_cpu_s
                assert question.since_us is not None or found.total == total, name
                assert found.rows, name
                if number:
                    seen[name].append(took_s)
                    used[name].append(took_cpu_s)
    return seen, used


class closing_book:  # noqa: N801 - used as a function
    """A ledger that is closed at the end."""

    def __init__(self, path: Path) -> None:
        self._book = open_ledger(f"sqlite:///{path}", SystemClock(), create=False)

    def __enter__(self) -> Ledger:
        return self._book

    def __exit__(self, *error: object) -> None:
        self._book.close(5.0)


def command_s(folder: Path, rounds: int) -> list[float]:
    """Seconds of `modelrouter spend --by deployment --json`, from the start of its process to its end."""
    write_config(folder, "http://127.0.0.1:9/v1")
    took = []
    for _ in range(rounds):
        begun_s = perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "modelrouter", "spend", "--by", "deployment", "--json"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            check=True,
        )
        took.append(perf_counter() - begun_s)
        assert len(json.loads(done.stdout)["rows"]) == len(DEPLOYMENTS)
    return took


def checked_through(path: Path, attempts: int) -> float:
    """Write through the store, compare every sum, and say how many seconds the report took."""
    store = open_ledger(f"sqlite:///{path}", SystemClock())
    try:
        kept = asyncio.run(through(store, attempts))
        begun_s = perf_counter()
        rows = store.spend(by="deployment", since_s=datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 0.5)
        took_s = perf_counter() - begun_s
    finally:
        store.close(60.0)
    assert {row.group: [row.attempts, row.settled_nano_usd] for row in rows} == kept
    return took_s


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, attempts=1_000_000, users=500, rounds=5, through=20_000)
    place = os.environ.get("MODELROUTER_BENCHMARK_FOLDER")
    with tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-", dir=place) as name:
        folder = Path(name)
        total = bulk_book(folder / "book.db", chosen.attempts, chosen.users)
        with closing(sqlite3.connect(folder / "book.db")) as book:
            ((rollups,),) = book.execute("SELECT COUNT(*) FROM rollups").fetchall()
        size_mb = (folder / "book.db").stat().st_size / 1e6
        seen, used = measured(folder / "book.db", chosen.rounds, total)
        seen["the command, --by deployment --json"] = command_s(folder, chosen.rounds)
        through_s = checked_through(folder / "through.db", chosen.through)
    print(
        f"{astuple(total)[1]:,} attempts, {rollups:,} rows of hourly sums, {size_mb:,.0f} MB; through the store: "
        f"{chosen.through:,} attempts, every sum right, {through_s:.3f} s\n"
    )
    table(
        ["by", "median s", "min s", "max s", "CPU s"],
        [
            [
                each,
                *(f"{figure(s):.3f}" for figure in (median, min, max)),
                f"{min(used[each]):.3f}" if used[each] else "",
            ]
            for each, s in seen.items()
        ],
    )
    settings = {**{key: getattr(chosen, key) for key in ("attempts", "users", "rounds", "through")}, "rollups": rollups}
    figures = {
        **{each: {**spread(s), "cpu_min": min(used[each], default=0.0)} for each, s in seen.items()},
        "through the store": through_s,
    }
    record(chosen.record, "spend", settings, figures)


if __name__ == "__main__":
    main()
