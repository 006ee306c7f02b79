"""What the trials share: a server with a meter, callers in their own processes, and a plain reading of the book."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Final

from modelrouter.ledger import open_ledger
from modelrouter.ledger.audit.verify import verify
from modelrouter.router.outside import SystemClock
from tests.money.counting_server import INPUT_NANO_USD, MODEL, OUTPUT_NANO_USD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Line",
    "Report",
    "audit",
    "begin",
    "billed",
    "call_all",
    "caller",
    "counting_server",
    "ended",
    "lines",
    "replay",
    "write_config",
]

Report = dict[str, object]
LINES: Final = """SELECT e.seq, e.kind, e.amount_nano_usd, e.resolves, e.corrects, c.route, c.tags, e.call_id
    FROM entries e LEFT JOIN calls c ON c.call_id = e.call_id ORDER BY e.seq"""
MTOK: Final = 1_000_000
NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the book, as the trials look at it."""

    seq: int
    kind: str
    amount: int
    target: int | None
    route: str
    team: str
    call_id: str


def out(process: subprocess.Popen[str]) -> IO[str]:
    """What a process prints."""
    assert process.stdout is not None
    return process.stdout


def begin(process: subprocess.Popen[str]) -> None:
    """Let a process that waits for a line go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@contextmanager
def counting_server(log: Path) -> Iterator[int]:
    """The server with a meter; gives its port."""
    command = [sys.executable, "-m", "tests.money.counting_server", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(out(process).readline())
        finally:
            process.kill()


@contextmanager
def caller(config: Path, name: str, *, seed: int, tasks: int, calls: int) -> Iterator[subprocess.Popen[str]]:
    """A calling process that is ready and waits for the word to begin; killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.money.caller", str(config), name, str(seed), str(tasks), str(calls)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert out(process).readline() == "ready\n"
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Report:
    """The report of a process that came to its end by itself."""
    text, _ = process.communicate()
    assert process.returncode == 0, f"a caller ended with status {process.returncode}"
    report: Report = json.loads(text)
    return report


def call_all(config: Path, *, processes: int, tasks: int, calls: int, seed: int) -> list[Report]:
    """Let several processes call at once until the budgets are spent, or each has begun so many calls."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(caller(config, f"p{number}", seed=seed + number, tasks=tasks, calls=calls))
            for number in range(processes)
        ]
        for process in started:
            begin(process)
        return [ended(process) for process in started]


def write_config(
    folder: Path, port: int, ledger: str, budgets: Mapping[str, str], *, lease_s: float = 30.0, output_tokens: int = 60
) -> Path:
    """A config with one metered deployment behind two routes, and these budgets as YAML flow mappings."""
    price = (
        f"{{input_usd_per_mtok: '{Fraction(INPUT_NANO_USD * MTOK, NANO)}', "
        f"output_usd_per_mtok: '{Fraction(OUTPUT_NANO_USD * MTOK, NANO)}'}}"
    )
    text = f"""modelrouter: 1
caller: {{name: Acme GmbH, country: DE, parent_country: DE}}
ledger: {{url: {json.dumps(ledger)}, lease_s: {lease_s}}}
policies: none
tags: {{team: {{values: [red, blue, green]}}}}
deployments:
  metered: {{model: {MODEL}, operator: self, runs_on: none, server: vllm, hosts: [127.0.0.1],
    base_url: 'http://127.0.0.1:{port}/v1', name: {MODEL}, processing: [DE], storage: none, retention_days: 0,
    training: never, context_tokens: 8192, price: {price},
    source: {{ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}}}}
routes:
  first: {{try: [metered], output_tokens: {{default: {output_tokens}, min: 1}}}}
  second: {{try: [metered], output_tokens: {{default: {output_tokens}, min: 1}}}}
"""
    if budgets:
        text += "budgets:\n" + "".join(f"  {name}: {body}\n" for name, body in budgets.items())
    path = folder / "modelrouter.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def lines(ledger: str) -> list[Line]:
    """The whole book, read without the package: by sqlite3 or psycopg alone."""
    found: dict[int, Line] = {}
    for seq, kind, amount, resolves, corrects, route, tags, call_id in _rows(ledger):
        target = resolves if resolves is not None else corrects
        if target is not None:
            origin = found[target]
            found[seq] = Line(seq, kind, amount, target, origin.route, origin.team, origin.call_id)
        else:
            team = json.loads(tags).get("team", "") if tags else ""
            found[seq] = Line(seq, kind, amount, None, route or "", team, call_id or "")
    return list(found.values())


def _rows(ledger: str) -> Sequence[tuple[int, str, int, int | None, int | None, str | None, str | None, str | None]]:
    if ledger.startswith("sqlite:///"):
        connection = sqlite3.connect(f"file:{ledger.removeprefix('sqlite:///')}?mode=ro", uri=True)
        try:
            return connection.execute(LINES).fetchall()
        finally:
            connection.close()
    import psycopg

    address, _, schema = ledger.partition("schema=")
    with psycopg.connect(address.rstrip("?&"), options=f"-c search_path={schema}") as server:
        return server.execute(LINES).fetchall()


def replay(book: Sequence[Line], limits: Mapping[str, int]) -> dict[str, int]:
    """Add the book up line by line and look at every line whether each budget still holds.

    Args:
        book: all lines.
        limits: nano-dollars by account: `all`, `team/NAME`, `route/NAME`.

    Returns:
        what is used of each account at the end.
    """
    used: defaultdict[str, int] = defaultdict(int)
    bounds: dict[int, int] = {}
    for line in book:
        if line.kind == "reserve":
            bounds[line.seq] = change = line.amount
        elif line.kind in {"settle", "uncertain", "release", "expire"}:
            assert line.target is not None
            change = line.amount - bounds.pop(line.target)
        elif line.kind in {"overrun", "correction"}:
            change = line.amount
        else:
            continue
        for account in ("all", f"team/{line.team}", f"route/{line.route}"):
            used[account] += change
            limit = limits.get(account)
            assert limit is None or used[account] <= limit, f"line {line.seq}: {account} stands at {used[account]}"
    assert not bounds, f"{len(bounds)} reservations have no end"
    return dict(used)


def audit(ledger: str) -> None:
    """The auditor finds nothing wrong with a book, all at once and while nobody is kept waiting."""
    store = open_ledger(ledger, SystemClock(), create=False)
    try:
        with store.reading() as session:
            report = verify(session)
    finally:
        store.close(10)
    assert report.is_good, [each.text for each in report.faults]


def billed(log: Path) -> int:
    """What the server billed, in nano-dollars."""
    return sum(int(line.split()[1]) for line in log.read_text(encoding="utf-8").splitlines())
