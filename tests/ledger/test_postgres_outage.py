"""What happens to a ledger on PostgreSQL when its server stops, hangs, drops connections or refuses; and to its fleet.

After each of these the auditor must find the book sound, whoever was told that an entry is durable must be right, and
nobody may have waited for ever.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger import AttemptState, postgres_session, writer
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.postgres import PostgresLedger
from modelrouter.ledger.postgres_access import PostgresAccess
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.postgres_session import PostgresSession
from tests.ledger.builders import reservation, reserve, resolution, resolve
from tests.ledger.postgres_proxy import Cut, Proxy
from tests.ledger.postgres_worker import BOUND, BUDGETS, LIMIT, RealClock
from tests.real_postgres import fresh_schema, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real_postgres import PostgresServer

ROOT: Final = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that the tests of this file stop, freeze and start again."""
    with running_server() as own:
        yield own


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """The address of an empty book on that server."""
    with fresh_schema(server.url) as address:
        yield address


@pytest.fixture
def ledger(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresLedger]:
    """A book with one open reservation; it gives up soon and tries again quickly."""
    monkeypatch.setattr(writer, "FIRST_RETRY_S", 0.01)
    store = PostgresLedger(url, RealClock(), spool=tmp_path, lock_wait_s=2.0)
    assert reserve(store, reservation("r-1", bound_nano_usd=100)) is None
    yield store
    store.close(10)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.005)


def audit(ledger: PostgresLedger) -> None:
    """The auditor finds nothing."""
    with ledger.reading() as session:
        report = verify(session)
    assert report.is_good, report.faults


def states(ledger: PostgresLedger) -> dict[str, AttemptState]:
    """What has become of each reservation."""
    return {row.reservation_id: row.state for row in ledger.attempts(limit=100_000)}


# --- stops and breaks -------------------------------------------------------------------------------------------------


def test_a_stopped_server_refuses_and_comes_back(ledger: PostgresLedger, server: PostgresServer) -> None:
    """While it is down nothing is reserved, ends are kept, and all goes on by itself once it is up."""
    server.stop()
    try:
        error = reserve(ledger, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "nothing answers there" in error.message
        late = resolve(ledger, resolution("r-1", cost_nano_usd=40))
        assert isinstance(late, LedgerUnavailableError)
        assert "kept" in late.message
    finally:
        server.start()
    until(lambda: ledger.kept == 0)
    assert reserve(ledger, reservation("r-3")) is None
    assert states(ledger) == {"r-1": AttemptState.SETTLED, "r-3": AttemptState.RESERVED}
    audit(ledger)


def test_an_end_that_met_a_dead_server_survives_a_restart(url: str, server: PostgresServer, tmp_path: Path) -> None:
    """It waits in the spool, and whoever opens the book next writes it."""
    first = PostgresLedger(url, RealClock(), spool=tmp_path, lock_wait_s=1.0)
    assert reserve(first, reservation("r-1", bound_nano_usd=100)) is None
    server.stop()
    try:
        assert isinstance(resolve(first, resolution("r-1", cost_nano_usd=40)), LedgerUnavailableError)
        with pytest.raises(LedgerUnavailableError, match="ends of 1 attempts"):
            first.close(0.1)
    finally:
        server.start()
    second = PostgresLedger(url, RealClock(), spool=tmp_path)
    until(lambda: second.totals().settled_nano_usd == 40)
    audit(second)
    second.close(10)
    assert list(tmp_path.iterdir()) == []


def traffic(
    ledger: PostgresLedger, name: str, stop: threading.Event, told: dict[str, Exception | None], settled: dict[str, int]
) -> None:
    """Reserve and resolve without a pause, and write down what was told."""
    number = 0
    while not stop.is_set():
        one = f"{name}-{number}"
        number += 1
        told[one] = reserve(ledger, reservation(one, bound_nano_usd=100))
        if told[one] is None and resolve(ledger, resolution(one, cost_nano_usd=40)) is None:
            settled[one] = 40


def under_traffic(ledger: PostgresLedger, disturb: Callable[[int], None], times: int) -> None:
    """Disturb a book that four threads write to, then compare what they were told with what is there."""
    stop = threading.Event()
    told: dict[str, Exception | None] = {}
    settled: dict[str, int] = {}
    threads = [threading.Thread(target=traffic, args=(ledger, name, stop, told, settled)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for number in range(times):
        seen = len(settled)
        until(lambda seen=seen: len(settled) > seen + 20)  # type: ignore[misc]
        disturb(number)
    seen = len(settled)
    until(lambda: len(settled) > seen + 20)
    stop.set()
    for thread in threads:
        thread.join()
    until(lambda: ledger.kept == 0)
    found = states(ledger)
    assert {error.__class__ for error in told.values() if error is not None} <= {LedgerUnavailableError}
    assert {one for one in settled if found[one] is not AttemptState.SETTLED} == set()
    granted = {one for one, error in told.items() if error is None}
    assert {one for one in granted if found.get(one) is not AttemptState.SETTLED} == set(), "each end was kept"
    refused = {one: found[one] for one in told.keys() - granted if one in found}
    assert set(refused.values()) <= {AttemptState.RELEASED}, "what nobody was granted is let go"
    audit(ledger)


def test_a_server_that_crashes_under_load_harms_nothing(ledger: PostgresLedger, server: PostgresServer) -> None:
    """Three immediate stops amid traffic: what was told is true, no end is lost, nothing is set aside for nobody."""

    def crash(_: int) -> None:
        server.crash()
        server.start()

    under_traffic(ledger, crash, 3)


def test_connections_that_drop_under_load_harm_nothing(ledger: PostgresLedger, server: PostgresServer) -> None:
    """Twenty dropped connections amid traffic, at drawn moments."""

    def drop(_: int) -> None:
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'modelrouter'")

    under_traffic(ledger, drop, 20)


def test_answers_to_commits_that_are_lost_under_load_harm_nothing(server: PostgresServer, tmp_path: Path) -> None:
    """Ten commits whose answers never come, and ten that never arrive: nobody is told anything wrong, or an error."""
    with fresh_schema(server.url) as url, Proxy(server.socket) as proxy:
        through = f"{server.tcp_url(proxy.port)}&schema={postgres_address(url).schema}"
        ledger = PostgresLedger(through, RealClock(), spool=tmp_path)

        def cut(number: int) -> None:
            before = proxy.cuts
            proxy.cut(list(Cut)[number % 2])
            until(lambda: proxy.cuts > before)

        under_traffic(ledger, cut, 20)
        assert proxy.cuts == 20
        ledger.close(10)


def test_a_lost_answer_is_no_error(server: PostgresServer, tmp_path: Path) -> None:
    """Whether their commits were done or had to be done again, a reservation and an end are durable, and stand once."""
    with fresh_schema(server.url) as url, Proxy(server.socket) as proxy:
        through = f"{server.tcp_url(proxy.port)}&schema={postgres_address(url).schema}"
        ledger = PostgresLedger(through, RealClock(), spool=tmp_path)
        for number, cut in enumerate((Cut.AFTER, Cut.BEFORE, Cut.AFTER, Cut.BEFORE)):
            proxy.cut(cut)
            assert reserve(ledger, reservation(f"r-{number}", bound_nano_usd=100)) is None
            assert ledger.holds(f"r-{number}")
            proxy.cut(cut)
            assert resolve(ledger, resolution(f"r-{number}", cost_nano_usd=40)) is None
        assert proxy.cuts == 8
        totals = ledger.totals()
        assert (totals.attempts, totals.settled_nano_usd, totals.reserved_nano_usd) == (4, 160, 0)
        audit(ledger)
        ledger.close(10)


def test_a_grant_that_nobody_heard_of_is_let_go(server: PostgresServer, tmp_path: Path) -> None:
    """A commit was done, its answer lost, and the server out of reach: the call fails, and its money is freed later."""
    with fresh_schema(server.url) as url, Proxy(server.socket) as proxy:
        through = f"{server.tcp_url(proxy.port)}&schema={postgres_address(url).schema}"
        ledger = PostgresLedger(through, RealClock(), spool=tmp_path, lock_wait_s=0.5)
        assert reserve(ledger, reservation("r-1", bound_nano_usd=100)) is None
        proxy.cut(Cut.AFTER, then_refuse=True)
        error = reserve(ledger, reservation("r-2", bound_nano_usd=100))
        assert isinstance(error, LedgerUnavailableError)
        assert "is not known" in error.message
        assert not ledger.holds("r-2")
        proxy.refuses = False
        assert reserve(ledger, reservation("r-3", bound_nano_usd=100)) is None
        assert states(ledger) == {
            "r-1": AttemptState.RESERVED,
            "r-2": AttemptState.RELEASED,
            "r-3": AttemptState.RESERVED,
        }
        audit(ledger)
        ledger.close(10)


def test_an_end_that_nobody_heard_of_is_not_written_twice(server: PostgresServer, tmp_path: Path) -> None:
    """Its commit was done, its answer lost, and the server out of reach: it is kept, tried again, and found."""
    with fresh_schema(server.url) as url, Proxy(server.socket) as proxy:
        through = f"{server.tcp_url(proxy.port)}&schema={postgres_address(url).schema}"
        ledger = PostgresLedger(through, RealClock(), spool=tmp_path, lock_wait_s=0.5)
        assert reserve(ledger, reservation("r-1", bound_nano_usd=100)) is None
        proxy.cut(Cut.AFTER, then_refuse=True)
        assert isinstance(resolve(ledger, resolution("r-1", cost_nano_usd=40)), LedgerUnavailableError)
        proxy.refuses = False
        until(lambda: ledger.kept == 0)
        assert ledger.totals().settled_nano_usd == 40
        audit(ledger)
        ledger.close(10)


def test_a_frozen_server_fails_calls_in_time(ledger: PostgresLedger, server: PostgresServer) -> None:
    """A server that hangs fails a reservation after the time to wait, an end too, and a reader; then all goes on."""
    with server.frozen():
        begun = time.monotonic()
        error = reserve(ledger, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "in time" in error.message
        assert time.monotonic() - begun < 10
        assert isinstance(resolve(ledger, resolution("r-1", cost_nano_usd=40)), LedgerUnavailableError)
    until(lambda: ledger.kept == 0)
    assert reserve(ledger, reservation("r-3")) is None
    assert states(ledger)["r-1"] is AttemptState.SETTLED
    audit(ledger)


def test_a_full_disk_is_told(ledger: PostgresLedger, url: str) -> None:
    """What the server reports as a full disk refuses with what to do, and passes."""
    schema = postgres_address(url).schema
    with psycopg.connect(postgres_address(url).conninfo, autocommit=True) as owner:
        owner.execute(
            f"""CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$""".encode()
        )
        owner.execute(
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {schema}.entries EXECUTE FUNCTION {schema}.full()".encode()
        )
        error = reserve(ledger, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "disk is full" in error.message
        owner.execute(f"DROP TRIGGER full_disk ON {schema}.entries".encode())
    assert reserve(ledger, reservation("r-2")) is None


def test_a_server_that_became_read_only_is_told(ledger: PostgresLedger, server: PostgresServer) -> None:
    """As after a failover that left us on a standby: refused with where to go, and over once it can be written."""
    server.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        tries: list[Exception] = []

        def refused() -> bool:
            error = reserve(ledger, reservation(f"probe-{len(tries)}"))
            if error is not None:
                tries.append(error)
            return error is not None

        until(refused)
        assert isinstance(tries[0], LedgerUnavailableError)
        assert "can only be read there" in tries[0].message
        assert ledger.totals().attempts >= 1
    finally:
        server.run(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
    until(lambda: reserve(ledger, reservation("after")) is None)


# --- a fleet on one book ----------------------------------------------------------------------------------------------


def begin(url: str, spool: Path, name: str, count: int) -> subprocess.Popen[str]:
    """A process that writes to the book."""
    command = [sys.executable, "-m", "tests.ledger.postgres_worker", url, str(spool), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def ending(process: subprocess.Popen[str]) -> list[list[str]]:
    """What a process that ends by itself has said."""
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [line.split() for line in said.splitlines()]


def test_two_processes_never_reserve_more_than_a_limit(url: str, tmp_path: Path) -> None:
    """Both fill the budgets together to the last reservation that fits, and the book holds all that they were told."""
    lines = [line for each in [begin(url, tmp_path, name, 500) for name in "xy"] for line in ending(each)]
    ledger = PostgresLedger(url, RealClock(), spool=tmp_path, budgets=BUDGETS)
    found = states(ledger)
    reserved = {line[1] for line in lines if line[0] == "reserved"}
    resolved = {line[1]: int(line[2]) for line in lines if line[0] == "resolved"}
    assert reserved == resolved.keys() == found.keys()
    assert {line[1] for line in lines if line[0] == "refused"} <= {"BudgetBusyError", "BudgetExceededError"}
    totals = ledger.totals()
    assert totals.settled_nano_usd == sum(resolved.values())
    assert LIMIT - BOUND < totals.settled_nano_usd <= LIMIT
    for position in ledger.positions():
        assert position.balance.used <= position.budget.limit_nano_usd
    audit(ledger)
    ledger.close(10)


def test_a_process_that_is_stopped_amid_a_batch_keeps_nobody_waiting(url: str, tmp_path: Path) -> None:
    """Stopped again and again at drawn moments: the other process goes on within seconds, and the book is sound."""
    other = PostgresLedger(url, RealClock(), spool=tmp_path, budgets=BUDGETS)
    with begin(url, tmp_path, "x", 0) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("reserved")
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        try:
            for number in range(3):
                process.send_signal(signal.SIGSTOP)
                error = reserve(other, reservation(f"o-{number}", bound_nano_usd=1))
                assert error is None or not isinstance(error, LedgerUnavailableError)
                process.send_signal(signal.SIGCONT)
                before = other.totals().attempts
                until(lambda before=before: other.totals().attempts > before or filled(other))  # type: ignore[misc]
        finally:
            process.kill()
            drain.join()
    audit(other)
    other.close(10)


def filled(ledger: PostgresLedger) -> bool:
    """Whether no further reservation of the workers fits."""
    return any(each.balance.used + BOUND > each.budget.limit_nano_usd for each in ledger.positions())


def test_a_writer_stuck_amid_a_pipeline_is_ended_by_who_waits(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has no clock for half a pipeline; the next writer sees to it, and the stuck one learns of it."""
    monkeypatch.setattr(postgres_session, "STANDSTILL_S", 0.3)
    other = PostgresLedger(url, RealClock(), spool=tmp_path)
    stuck = PostgresSession(postgres_address(url), wait_s=10.0)
    stuck.begin()
    stuck.rows("SELECT seq FROM state")
    assert stuck._wire is not None
    stuck._wire._connection.send_query_params(b"SELECT 1", [])  # and no end of the pipeline
    assert stuck._wire._connection.flush() == 0
    assert reserve(other, reservation("r-1", bound_nano_usd=1)) is None
    with pytest.raises(LedgerUnavailableError):
        stuck.rows("SELECT 1")
    stuck.close()
    other.close(10)


def test_a_writer_that_is_at_work_is_not_ended(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a lock leaves alone a writer whose server is busy for it, however long it takes."""
    monkeypatch.setattr(postgres_session, "STANDSTILL_S", 0.1)
    PostgresLedger(url, RealClock(), spool=tmp_path)
    busy = PostgresSession(postgres_address(url), wait_s=10.0)
    busy.begin()
    busy.rows("SELECT seq FROM state")
    working = threading.Thread(target=busy.rows, args=("SELECT pg_sleep(1)",))
    working.start()
    impatient = PostgresAccess(postgres_address(url), lock_wait_s=0.5)
    session = impatient.connect()

    def work() -> None:
        session.rollback()
        session.begin()
        session.rows("SELECT seq FROM state")

    give_up_at = time.monotonic() + 0.5
    with pytest.raises(LedgerUnavailableError, match="another process kept it locked"):
        impatient.attempt(work, lambda: give_up_at)
    working.join()
    busy.commit()
    for each in (busy, session):
        each.close()


def kill_in_the_middle(url: str, spool: Path, name: str, after: int) -> set[str]:
    """Kill a process after so many of its lines; what it had been told is reserved."""
    with begin(url, spool, name, 0) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += process.stdout.readlines()
    return {line.split()[1] for line in lines if line.startswith("reserved") and line.endswith("\n")}


def killed_often(url: str, spool: Path, times: int) -> None:
    """After each kill the book opens, is sound, and holds every promise."""
    promised: set[str] = set()
    for number in range(times):
        promised |= kill_in_the_middle(url, spool, f"k{number}-", after=5 + 7 * number % 60)
        ledger = PostgresLedger(url, RealClock(), spool=spool, budgets=BUDGETS)
        assert promised <= states(ledger).keys()
        audit(ledger)
        for position in ledger.positions():
            assert position.balance.used <= position.budget.limit_nano_usd
        ledger.close(10)


def test_a_killed_writer_loses_nothing_it_promised(url: str, tmp_path: Path) -> None:
    """Four kills at drawn moments on one book."""
    killed_often(url, tmp_path, 4)


@pytest.mark.long
def test_a_killed_writer_loses_nothing_it_promised_60_times(url: str, tmp_path: Path) -> None:
    """The same, many times over one growing book."""
    killed_often(url, tmp_path, 60)


FORK = """
import os, sys
from pathlib import Path
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.postgres import PostgresLedger
from tests.ledger.builders import Heard, reservation, reserve
from tests.ledger.postgres_worker import RealClock

url, spool = sys.argv[1], Path(sys.argv[2])
store = PostgresLedger(url, RealClock(), spool=spool)
assert reserve(store, reservation("first", bound_nano_usd=1)) is None
children = []
for number in range(4):
    ears = [Heard() for _ in range(50)]
    for index, ear in enumerate(ears):
        store.reserve(reservation(f"flight-{number}-{index}", bound_nano_usd=1), ear)
    child = os.fork()
    if child == 0:
        heard = Heard()
        store.reserve(reservation("inherited"), heard)
        assert isinstance(heard.outcomes[0], LedgerUnavailableError), heard.outcomes
        store.close(1)
        own = PostgresLedger(url, RealClock(), spool=spool)
        assert own.writer_id != store.writer_id
        for index in range(20):
            assert reserve(own, reservation(f"child-{number}-{index}", bound_nano_usd=1)) is None
        own.close(30)
        sys.exit(0)
    children.append(child)
    assert [ear.outcome() for ear in ears] == [None] * 50
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert reserve(store, reservation("last", bound_nano_usd=1)) is None
print(codes, store.totals().attempts)
store.close(30)
"""


def test_a_fork_in_full_flight_harms_neither_side(url: str, tmp_path: Path) -> None:
    """Four forks with 50 entries in flight: parent and children write on, over connections of their own."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, url, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == f"[0, 0, 0, 0] {1 + 4 * 50 + 4 * 20 + 1}", done.stderr
