"""Several processes on one file: together, killed, forked."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from modelrouter.ledger import AttemptState
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.sqlite_file import connect_to_read
from tests.ledger.builders import StillClock, reservation, reserve, resolution, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO


@contextmanager
def worker(path: Path, name: str, count: int, *seed: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has opened the file and waits for a line to begin."""
    command = [sys.executable, "-m", "tests.ledger.worker", str(path), name, str(count), *map(str, seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert next(out(process)).startswith("ready ")
            yield process
        finally:
            process.kill()


def out(process: subprocess.Popen[str]) -> IO[str]:
    """What it prints."""
    assert process.stdout is not None
    return process.stdout


def begin(process: subprocess.Popen[str]) -> None:
    """Let it go."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def check_file(path: Path) -> None:
    """SQLite itself finds nothing wrong, and each writer's lines are numbered without a gap."""
    with closing(connect_to_read(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        gaps = connection.execute(
            "SELECT writer FROM entries GROUP BY writer HAVING count(*) <> max(writer_seq) OR min(writer_seq) <> 1"
            " OR count(DISTINCT writer_seq) <> count(*)"
        )
        assert gaps.fetchall() == []


def test_two_processes_write_to_one_file(tmp_path: Path) -> None:
    """Twice 500 reservations at the same time: all are there, none was refused, nobody waited for ever."""
    path = tmp_path / "book.db"
    with worker(path, "a", 500) as first, worker(path, "b", 500) as second:
        begin(first)
        begin(second)
        lines = [out(process).read().splitlines() for process in (first, second)]
        assert [process.wait(60) for process in (first, second)] == [0, 0]
    assert [sum(line.startswith("reserved ") for line in each) for each in lines] == [500, 500]
    store = SqliteLedger(path, StillClock())
    assert {row.reservation_id for row in store.attempts(limit=2_000)} == {
        f"{name}-{number}" for name in "ab" for number in range(500)
    }
    assert store.totals().reserved_nano_usd == 1_000_000
    check_file(path)


def kill_in_the_middle(path: Path, seed: int) -> None:
    """Kill a writer after a drawn number of lines; what it had printed by then must be in the book."""
    chance = random.Random(seed)
    name = f"k{seed}"
    with worker(path, name, 0, seed) as process:
        begin(process)
        printed = [next(out(process)) for _ in range(chance.randrange(1, 200))]
        process.kill()
        printed += out(process).read().splitlines(keepends=True)
        process.wait(30)
    words = [line.split() for line in printed if line.endswith("\n")]
    reserved = {each[1] for each in words if each[0] == "reserved"}
    resolved = {each[1]: int(each[2]) for each in words if each[0] == "resolved"}
    store = SqliteLedger(path, StillClock())
    rows = {row.reservation_id: row for row in store.attempts(limit=10**6) if row.reservation_id.startswith(f"{name}-")}
    assert reserved <= rows.keys()
    for each in reserved:
        state = rows[each].state
        if each in resolved:
            assert (state, rows[each].cost_nano_usd) == (AttemptState.SETTLED, resolved[each])
        else:  # the end may have been durable without having been printed
            assert state in {AttemptState.RESERVED, AttemptState.SETTLED}
    open_rows = [row for row in rows.values() if row.state is AttemptState.RESERVED]
    assert open_rows or resolved.keys() == rows.keys()
    assert reserve(store, reservation(f"after-{seed}", bound_nano_usd=0)) is None
    for row in open_rows[:3]:
        assert resolve(store, resolution(row.reservation_id, cost_nano_usd=1)) is None
    store.close(30)
    check_file(path)


def test_a_killed_writer_loses_nothing_it_promised(tmp_path: Path) -> None:
    """Four kills at drawn moments on one file; after each the book opens and every promise is kept."""
    for seed in range(4):
        kill_in_the_middle(tmp_path / "book.db", seed)


@pytest.mark.long
def test_a_killed_writer_loses_nothing_it_promised_60_times(tmp_path: Path) -> None:
    """The same with 60 kills over one growing file."""
    for seed in range(1_000, 1_060):
        kill_in_the_middle(tmp_path / "book.db", seed)


FORK = """
import os, sys, threading
from pathlib import Path
import psutil
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import Heard, StillClock, reservation, reserve

path = Path(sys.argv[1])
store = SqliteLedger(path, StillClock())
stop = threading.Event()
written = [0]

def traffic(name):
    while not stop.is_set():
        assert reserve(store, reservation(f"{name}-{written[0]}-{os.urandom(4).hex()}")) is None
        written[0] += 1

def report():
    while not stop.is_set():
        store.spend(by="deployment")

threads = [threading.Thread(target=traffic, args=(name,)) for name in range(2)] + [threading.Thread(target=report)]
for thread in threads:
    thread.start()
children = []
for number in range(6):
    ears = [Heard() for _ in range(50)]
    for index, ear in enumerate(ears):
        store.reserve(reservation(f"flight-{number}-{index}"), ear)
    child = os.fork()
    if child == 0:
        heard = Heard()
        store.reserve(reservation("inherited"), heard)
        assert isinstance(heard.outcomes[0], LedgerUnavailableError), heard.outcomes
        files = [file.path for file in psutil.Process().open_files()]
        assert not [name for name in files if name.startswith(str(path))], files
        store.abandon()
        store.close(1)
        own = SqliteLedger(path, StillClock())
        assert own.writer_id != store.writer_id
        for index in range(50):
            assert reserve(own, reservation(f"child-{number}-{index}")) is None
        own.close(30)
        os._exit(0)
    children.append(child)
    assert [ear.outcome() for ear in ears] == [None] * 50
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
store.close(30)
print(codes, store.totals().attempts - written[0])
"""


def test_a_fork_in_full_flight_harms_neither_side(tmp_path: Path) -> None:
    """Six forks under traffic with 50 entries in flight: parent and children write on, and nothing is missing."""
    path = tmp_path / "book.db"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split("] ")[0] + "]" == "[0, 0, 0, 0, 0, 0]", done.stderr
    assert done.stdout.split("] ")[1].strip() == str(6 * 50 + 6 * 50)
    check_file(path)


RAW_FORK = """
import gc, os, sys
from pathlib import Path
import psutil
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import StillClock, reservation, reserve

path = Path(sys.argv[1])
store = SqliteLedger(path, StillClock())
store.let_go = lambda: None  # as if the hook before the fork had not run
assert reserve(store, reservation("r-1")) is None
child = os.fork()
if child == 0:
    before = len(psutil.Process().open_files())
    store.abandon()
    del store
    gc.collect()
    assert len(psutil.Process().open_files()) == before > 0
    sys.exit(0)  # the whole end of an interpreter: nothing may touch the parent's files
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert reserve(store, reservation("r-2")) is None
store.close(30)
print(code, store.totals().attempts)
"""


def test_an_inherited_connection_is_forgotten_and_never_closed(tmp_path: Path) -> None:
    """Where a connection did cross a fork, the child's end leaves the parent's file alone."""
    path = tmp_path / "book.db"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", RAW_FORK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["0", "2"], done.stderr
    check_file(path)
