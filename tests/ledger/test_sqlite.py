"""The SQLite store: what only a file can show."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Attempt, Billing, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.errors import DuplicateRequestError, LedgerError, LedgerUnavailableError
from modelrouter.ledger import AttemptState, BookedCall, Totals, open_ledger, writer
from modelrouter.ledger.rows import LARGEST
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.sqlite_session import SqliteSession
from modelrouter.ports import Document, Resolution
from tests.ledger.builders import (
    PRICE,
    START_S,
    Heard,
    StillClock,
    call_record,
    reservation,
    reserve,
    reserve_all,
    resolution,
    resolve,
    timed_out,
)
from tests.ledger.conformance import LedgerConformance
from tests.ledger.store_conformance import StoreConformance
from tests.ledger.test_outage import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelrouter.core.budget import Budget
    from modelrouter.ports import LedgerStore


@pytest.fixture
def clock() -> StillClock:
    """A clock at `START_S`."""
    return StillClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the book is."""
    return tmp_path / "book.db"


@pytest.fixture
def ledger(path: Path, clock: StillClock) -> Iterator[SqliteLedger]:
    """An empty book."""
    store = SqliteLedger(path, clock)
    yield store
    store.close(5)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another connection sees."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


class TestConformance(LedgerConformance):
    """The rules of every ledger."""

    @pytest.fixture
    def store(self, path: Path, clock: StillClock) -> Iterator[LedgerStore]:
        """A book in a new file."""
        store = open_ledger(f"sqlite:///{path}", clock)
        yield store
        store.close(5)


class FileShelf:
    """Stores on one file."""

    def __init__(self, path: Path) -> None:
        self.clock = StillClock()
        self._path = path
        self._opened: list[SqliteLedger] = []

    def open(self, *, budgets: Sequence[Budget] = (), lease_s: float = 30.0) -> SqliteLedger:
        """Another one."""
        self._opened.append(SqliteLedger(self._path, self.clock, budgets=budgets, lease_s=lease_s))
        return self._opened[-1]

    def close(self) -> None:
        """Close all."""
        for store in self._opened:
            store.close(5)


class TestStoreConformance(StoreConformance):
    """The rules of every book that several writers share."""

    @pytest.fixture
    def shelf(self, path: Path) -> Iterator[FileShelf]:
        """A file that is not there yet."""
        shelf = FileShelf(path)
        yield shelf
        shelf.close()


def test_a_reservation_is_durable_when_its_callback_is_called(ledger: SqliteLedger, path: Path) -> None:
    """A second connection sees the entry from inside the callback, 50 times of 50."""
    seen: list[int] = []
    told = threading.Semaphore(0)

    def look(name: str) -> None:
        seen.append(len(rows(path, f"SELECT 1 FROM entries WHERE reservation_id = '{name}'")))  # noqa: S608 - own name
        told.release()

    for number in range(50):
        ledger.reserve(reservation(f"r-{number}"), lambda error, name=f"r-{number}": look(name))  # type: ignore[misc]
    for _ in range(50):
        assert told.acquire(timeout=30)
    assert seen == [1] * 50


def test_every_connection_writes_through_to_the_disk(ledger: SqliteLedger) -> None:
    """WAL, and `synchronous` is FULL (2): a commit that returned survives a power cut."""
    reserve(ledger, reservation())
    session = ledger._book._session
    assert isinstance(session, SqliteSession)
    connection = session.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_what_is_queued_together_is_committed_together(ledger: SqliteLedger) -> None:
    """While one commit is held up, 64 more reservations queue up; they take one commit more, not 64."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(error: Exception | None) -> None:
        reached.set()
        assert go_on.wait(30)

    ledger.reserve(reservation("first"), hold)
    assert reached.wait(30)
    ears = []
    for number in range(64):
        ears.append(Heard())
        ledger.reserve(reservation(f"r-{number}"), ears[-1])
    go_on.set()
    assert [ear.outcome() for ear in ears] == [None] * 64
    assert ledger.commits == 2
    assert {ear.thread for ear in ears} == {ledger._writer._thread}


def test_one_bad_entry_does_not_harm_its_batch_mates(ledger: SqliteLedger, path: Path) -> None:
    """Entries that SQLite, Python or the rules refuse lie between good ones; only they fail, and leave no trace."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(error: Exception | None) -> None:
        reached.set()
        assert go_on.wait(30)

    ledger.reserve(reservation("first", call=call_record("first", request_id="q")), hold)
    assert reached.wait(30)
    bad = [
        reservation("first"),
        reservation("b-1", call=call_record("b-1", request_id="q")),
        reservation("b-2", bound_nano_usd=LARGEST + 1),
        reservation("b-3", bound_nano_usd=-1),
        reservation("b-4", call=call_record("b-4", route="\ud800")),
        reservation("b-5", call=call_record("b-5"), number=2**70),
    ]
    good_ears, bad_ears = [], []
    for number, each in enumerate(bad):
        good_ears.append(Heard())
        ledger.reserve(reservation(f"g-{number}"), good_ears[-1])
        bad_ears.append(Heard())
        ledger.reserve(each, bad_ears[-1])
    go_on.set()
    assert [ear.outcome() for ear in good_ears] == [None] * len(bad)
    assert isinstance(bad_ears[1].outcome(), DuplicateRequestError)
    assert all(isinstance(ear.outcome(), LedgerError) for ear in (*bad_ears[:1], *bad_ears[2:]))
    assert not any(isinstance(ear.outcome(), LedgerUnavailableError) for ear in bad_ears)
    assert ledger.commits == 2
    assert rows(path, "SELECT count(*) FROM calls WHERE call_id LIKE 'b-%'") == [(0,)]
    assert rows(path, "SELECT writer_seq FROM entries ORDER BY seq") == [
        (number,) for number in range(1, 10)
    ]  # with the opening line and that of the price


def test_a_resolution_that_no_column_holds_leaves_its_reservation(ledger: SqliteLedger) -> None:
    """A release with a cost, a negative cost or an absurd count is refused; the money stays set aside."""
    reserve(ledger, reservation(bound_nano_usd=8))
    for wrong in (
        resolution(billing=Billing.UNBILLED, cost_nano_usd=3),
        resolution(cost_nano_usd=-3),
        resolution(usage=Usage(2**80, 0)),
        resolution("\ud800"),
    ):
        error = resolve(ledger, wrong)
        assert type(error) is LedgerError
    assert ledger.totals() == Totals(1, 1, 0, 0, 0, 8, 0)


def test_an_end_before_its_reservation_is_refused_in_every_batch(ledger: SqliteLedger) -> None:
    """The order of the queue counts, also where both come into one commit."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(error: Exception | None) -> None:
        reached.set()
        assert go_on.wait(30)

    ledger.reserve(reservation("first"), hold)
    assert reached.wait(30)
    early, reserved, late = Heard(), Heard(), Heard()
    ledger.resolve(resolution("r-1", cost_nano_usd=1), early)
    ledger.reserve(reservation("r-1"), reserved)
    ledger.resolve(resolution("r-1", cost_nano_usd=2), late)
    go_on.set()
    assert type(early.outcome()) is LedgerError
    assert (reserved.outcome(), late.outcome()) == (None, None)
    assert ledger.totals().settled_nano_usd == 2
    assert ledger.commits == 2


def test_an_end_that_nobody_waits_for_goes_with_the_next_reservation(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that makes one call after the other pays for one commit a call."""
    monkeypatch.setattr(writer, "LINGER_S", 60.0)
    assert reserve(ledger, reservation("r-1")) is None
    for number in range(1, 5):
        ledger.resolve(resolution(f"r-{number}", cost_nano_usd=number))
        assert reserve(ledger, reservation(f"r-{number + 1}")) is None
    assert ledger.commits == 5
    assert ledger.totals().settled_nano_usd == 1 + 2 + 3 + 4


def test_ends_that_nobody_waits_for_do_not_wait_for_ever(ledger: SqliteLedger, path: Path) -> None:
    """Without company they are written by themselves, soon."""
    assert reserve(ledger, reservation("r-1")) is None
    ledger.resolve(resolution("r-1", cost_nano_usd=7))
    until(lambda: rows(path, "SELECT amount_nano_usd FROM entries WHERE kind = 'settle'") == [(7,)])


def test_many_ends_that_nobody_waits_for_are_company_enough(
    ledger: SqliteLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of them is written although nothing else comes."""
    monkeypatch.setattr(writer, "LINGER_S", 60.0)
    monkeypatch.setattr(writer, "LINGERING_MAX", 8)
    reserve_all(ledger, [reservation(f"r-{number}") for number in range(8)])
    for number in range(8):
        ledger.resolve(resolution(f"r-{number}", cost_nano_usd=1))
    until(lambda: rows(path, "SELECT COUNT(*) FROM entries WHERE kind = 'settle'") == [(8,)])


def test_closing_does_not_wait_for_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that nobody waits for is in the book when a store is closed, without a pause."""
    monkeypatch.setattr(writer, "LINGER_S", 60.0)
    store = SqliteLedger(tmp_path / "closing.db", StillClock())
    assert reserve(store, reservation("r-1")) is None
    store.resolve(resolution("r-1", cost_nano_usd=7))
    store.close(30)
    assert rows(tmp_path / "closing.db", "SELECT amount_nano_usd FROM entries WHERE kind = 'settle'") == [(7,)]


def test_a_batch_of_any_size_is_written_in_order(ledger: SqliteLedger, path: Path) -> None:
    """Batches that fill, miss and exceed a statement's rows: each entry is there once, with its own values."""
    names: list[str] = []
    for size in (1, 7, 8, 9, 31, 32, 33, 41, 73):
        batch = [f"{size}-{number}" for number in range(size)]
        names += batch
        reserve_all(ledger, [reservation(name, bound_nano_usd=len(names)) for name in batch])
        ears = [Heard() for _ in batch]
        for name, ear in zip(batch, ears, strict=True):
            ledger.resolve(resolution(name, cost_nano_usd=names.index(name)), ear)
        assert [ear.outcome() for ear in ears] == [None] * size
    attempts = ledger.attempts(limit=1_000)
    assert [row.reservation_id for row in attempts] == names
    assert [row.cost_nano_usd for row in attempts] == list(range(len(names)))
    numbers = rows(path, "SELECT writer_seq FROM entries ORDER BY seq")
    assert numbers == [
        (number,) for number in range(1, 2 * len(names) + 3)
    ]  # with the opening line and that of the price


def test_an_attempt_is_read_back_as_it_was_written(ledger: SqliteLedger, clock: StillClock) -> None:
    """Price, bound, usage, failure, length and times come back exactly, for an open and a finished attempt."""
    call = call_record("c-1", request_id="order-7", tags={"team": "a"}, session="s")
    reserve(ledger, reservation("r-1", call=call))
    reserve(ledger, reservation("r-2", call=call, number=2))
    clock.at_s += 2
    failure = timed_out()
    resolve(ledger, resolution("r-1", billing=Billing.UNCERTAIN, cost_nano_usd=5_000, failure=failure))
    first, second = ledger.attempts()
    assert (first.reservation_id, first.number, first.state) == ("r-1", 1, AttemptState.UNCERTAIN)
    assert (first.cost_nano_usd, first.failure, first.phase) == (5_000, FailureKind.TIMED_OUT, Phase.SENT)
    assert (first.detail, first.status, first.usage) == ("no byte within 2 s", None, None)
    assert (first.reserved_us, first.resolved_us) == (round(START_S * 1e6), round(START_S * 1e6) + 2_000_000)
    assert first.duration_us == 1_500_000
    assert (second.state, second.cost_nano_usd, second.resolved_us) == (AttemptState.RESERVED, 0, None)
    assert second.bound == reservation().bound
    assert second.price == PRICE
    assert str(second.price.cached_input_usd_per_mtok) == "1E-7"
    resolve(ledger, resolution("r-2", usage=Usage(9, 8, 7, 6), saved_nano_usd=-2, length_reached=True))
    (_, done) = ledger.attempts("c-1")
    assert (done.usage, done.saved_nano_usd, done.length_reached) == (Usage(9, 8, 7, 6), -2, True)
    for name in ("c-1", "order-7"):
        assert ledger.call(name) == BookedCall(call, round(START_S * 1e6), tuple(ledger.attempts("c-1")))
    assert ledger.call("nobody") is None
    assert [row.reservation_id for row in ledger.attempts(limit=1)] == ["r-2"]
    assert not ledger.attempts("nobody")


def test_a_call_id_comes_before_a_request_id_of_the_same_text(ledger: SqliteLedger) -> None:
    """Whoever picks another call's id as idempotency key cannot hide that call."""
    reserve(ledger, reservation("r-1", call=call_record("a", request_id="b")))
    reserve(ledger, reservation("r-2", call=call_record("b")))
    found = ledger.call("b")
    assert found is not None
    assert found.record.call_id == "b"


def test_sums_beyond_64_bits_are_exact(ledger: SqliteLedger) -> None:
    """Three of the largest amounts and counts that a column holds are added up all the same."""
    for number in range(3):
        reserve(ledger, reservation(f"r-{number}", bound_nano_usd=LARGEST))
        usage = Usage(LARGEST, LARGEST)
        resolve(ledger, resolution(f"r-{number}", cost_nano_usd=LARGEST, usage=usage, saved_nano_usd=-LARGEST))
    (row,) = ledger.spend(by="model")
    assert (row.settled_nano_usd, row.input_tokens, row.saved_nano_usd) == (3 * LARGEST, 3 * LARGEST, -3 * LARGEST)
    assert ledger.totals().settled_nano_usd == 3 * LARGEST


def test_days_are_of_utc_and_of_the_reservation(ledger: SqliteLedger, clock: StillClock) -> None:
    """An attempt that ends after midnight belongs to the day of its reservation."""
    clock.at_s = 1_789_948_799.9  # 2026-09-20, 23:59:59.9
    reserve(ledger, reservation("r-1"))
    clock.at_s += 0.2
    resolve(ledger, resolution("r-1", cost_nano_usd=5))
    reserve(ledger, reservation("r-2", bound_nano_usd=6))
    days = [(row.group, row.settled_nano_usd, row.reserved_nano_usd) for row in ledger.spend(by="day")]
    assert days == [("2026-09-20", 5, 0), ("2026-09-21", 0, 6)]


def test_times_never_go_back(ledger: SqliteLedger, clock: StillClock, path: Path) -> None:
    """A clock that was set back by a moment does not put an entry before the one that was there."""
    reserve(ledger, reservation("r-1"))
    clock.at_s -= 1.5
    assert reserve(ledger, reservation("r-2")) is None
    assert rows(path, "SELECT DISTINCT at_us FROM entries") == [(round(START_S * 1e6),)]


def test_the_book_is_there_after_reopening(path: Path, clock: StillClock) -> None:
    """A second store on the file sees all, goes on where the first ended, and signs with an id of its own."""
    first = SqliteLedger(path, clock)
    reserve(first, reservation("r-1", bound_nano_usd=5))
    first.close(5)
    second = SqliteLedger(path, clock)
    assert second.totals().reserved_nano_usd == 5
    assert resolve(second, resolution("r-1", cost_nano_usd=4)) is None
    second.close(5)
    assert second.totals() == Totals(1, 1, 0, 4, 0, 0, 0)
    writers = rows(path, "SELECT writer_id FROM writers ORDER BY writer")
    assert writers == [(first.writer_id,), (second.writer_id,)]
    assert first.writer_id != second.writer_id


def test_looking_leaves_no_trace(path: Path, clock: StillClock) -> None:
    """Opening a store to read it starts no thread and signs nobody in."""
    SqliteLedger(path, clock).close(5)
    before = threading.active_count()
    store = SqliteLedger(path, clock, create=False)
    assert store.totals() == Totals(0, 0, 0, 0, 0, 0, 0)
    assert threading.active_count() == before
    store.close(5)
    assert rows(path, "SELECT count(*) FROM writers") == [(0,)]


def test_the_file_is_for_its_owner_alone(ledger: SqliteLedger, path: Path) -> None:
    """The book and its log can be read by nobody else."""
    reserve(ledger, reservation())
    for name in (path, path.with_name("book.db-wal")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


def test_documents_are_kept_once(ledger: SqliteLedger, path: Path) -> None:
    """A document is found by its digest; another text under the same digest is refused, and the first stays."""
    document = Document("sha256:1", "policy", "house", "rules: {}")
    ledger.remember([document])
    ear = Heard()
    ledger.remember([document, Document("sha256:2", "config", "c", "x")], ear)
    assert ear.outcome() is None
    ear = Heard()
    ledger.remember([Document("sha256:3", "config", "d", "y"), Document("sha256:1", "policy", "house", "other")], ear)
    assert isinstance(ear.outcome(), LedgerError)
    assert ledger.document("sha256:1") == document
    assert ledger.document("sha256:3") is None
    assert rows(path, "SELECT count(*) FROM documents") == [(2,)]


@pytest.mark.parametrize("table", ["documents", "writers", "calls", "entries"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET at_us = 0", "DELETE FROM {}"])
def test_nothing_can_be_changed(ledger: SqliteLedger, path: Path, table: str, verb: str) -> None:
    """The file itself refuses to change or remove a line, whoever asks."""
    ledger.remember([Document("sha256:1", "policy", "house", "rules: {}")])
    reserve(ledger, reservation())
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), closing(sqlite3.connect(path)) as connection:
        connection.execute(verb.format(table))


def test_the_file_refuses_a_second_end(ledger: SqliteLedger, path: Path) -> None:
    """Exactly once is a property of the file, not of our code."""
    reserve(ledger, reservation())
    resolve(ledger, resolution())
    with pytest.raises(sqlite3.IntegrityError, match="resolves"), closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO entries (seq, writer, writer_seq, kind, at_us, amount_nano_usd, resolves, hash)"
            " VALUES (5, 1, 5, 'settle', 0, 1, 2, '')"
        )


def test_a_long_report_does_not_hold_up_writing(ledger: SqliteLedger, path: Path) -> None:
    """While a reader keeps its picture of the book, reservations go on, and the picture does not change."""
    reserve(ledger, reservation("r-1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM entries WHERE kind = 'reserve'").fetchone() == (1,)
        assert [ear.outcome() for ear in reserve_all(ledger, [reservation(f"s-{n}") for n in range(20)])] == [None] * 20
        assert reader.execute("SELECT count(*) FROM entries WHERE kind = 'reserve'").fetchone() == (1,)
    assert ledger.totals().attempts == 21


def test_the_attempt_of_a_late_release_may_be_without_end(ledger: SqliteLedger) -> None:
    """A release of something that was never sent has neither usage nor duration worth a word."""
    wanted = reservation()
    reserve(ledger, wanted)
    attempt = Attempt(1, "small", wanted.bound, PRICE, started_s=3.0, ended_s=3.0)
    assert resolve(ledger, Resolution("r-1", Billing.UNBILLED, 0, attempt)) is None
    assert ledger.attempts()[0].state is AttemptState.RELEASED
