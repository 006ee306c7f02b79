"""What happens when the book cannot be written: nothing is lost silently, nobody waits for ever."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from modelrouter.errors import AlreadyResolvedError, LedgerError, LedgerUnavailableError
from modelrouter.ledger import Totals, sqlite_access, sqlite_file, writer
from modelrouter.ledger.memory import Memory
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ports import Correction, Document
from tests.ledger.builders import Heard, StillClock, budget, reservation, reserve, resolution, resolve
from tests.ledger.soundness import assert_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from modelrouter.ledger.batch import Batch
    from modelrouter.ledger.operations import Operation


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteLedger]:
    """A book with one open reservation; it tries again quickly."""
    monkeypatch.setattr(writer, "FIRST_RETRY_S", 0.005)
    store = SqliteLedger(tmp_path / "book.db", StillClock(), lock_wait_s=0.05)
    assert reserve(store, reservation("r-1", bound_nano_usd=100)) is None
    yield store
    store.abandon()
    store.close(5)


@contextmanager
def full_disk(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the file have no page more than it has."""
    genuine = sqlite_file.connect

    def limited(path: Path) -> sqlite3.Connection:
        connection = genuine(path)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to the present size
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_access, "connect", limited)
        ledger._book.let_go()
        yield
    ledger._book.let_go()


@contextmanager
def outage(ledger: SqliteLedger) -> Iterator[None]:
    """Nothing can be written: another connection holds the write lock."""
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.002)


def fill(ledger: SqliteLedger) -> LedgerUnavailableError:
    """Reserve until the disk is full; what is durable by then stays."""
    for number in range(2_000):
        error = reserve(ledger, reservation(f"f-{number}"))
        if error is not None:
            assert isinstance(error, LedgerUnavailableError)
            return error
    raise AssertionError("the disk was never full")


def test_a_full_disk_refuses_and_says_what_to_do(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reservations fail while there is no room, what was durable stays, and all goes on once there is room."""
    with full_disk(ledger, monkeypatch):
        assert "make room" in fill(ledger).message
        attempts = ledger.totals().attempts
    assert reserve(ledger, reservation("after")) is None
    assert ledger.totals().attempts == attempts + 1


def test_a_resolution_outlives_a_full_disk(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that find no room are kept, in their order, and all are there once there is room."""
    failed = 0
    with full_disk(ledger, monkeypatch):
        fill(ledger)
        durable = [row.reservation_id for row in ledger.attempts(limit=2_000)]
        for name in durable:
            failed += resolve(ledger, resolution(name, cost_nano_usd=3)) is not None
        assert failed
    until(lambda: ledger.kept == 0)
    assert ledger.totals() == Totals(len(durable), len(durable), 0, 3 * len(durable), 0, 0, 0)


def test_a_resolution_outlives_an_outage(ledger: SqliteLedger) -> None:
    """The end of an attempt that cannot be written is told so once, kept, and written without being asked again."""
    with outage(ledger):
        heard = Heard()
        ledger.resolve(resolution("r-1", cost_nano_usd=40), heard)
        error = heard.outcome()
        assert isinstance(error, LedgerUnavailableError)
        assert "kept" in error.message
        assert ledger.kept == 1
        assert ledger.totals().settled_nano_usd == 0
    until(lambda: ledger.kept == 0)
    assert ledger.totals().settled_nano_usd == 40
    assert len(heard.outcomes) == 1


def test_documents_are_written_before_what_is_reserved_after_them(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that fell into an outage is in the book together with the first reservation after it."""
    with outage(ledger):
        monkeypatch.setattr(ledger._writer, "_retry_s", 3600.0)  # nothing but the reservation can bring it in
        ledger.remember([Document("sha256:1", "policy", "house", "x" * 10_000)])
        until(lambda: ledger.kept == 1)
    assert reserve(ledger, reservation("after")) is None
    assert ledger.document("sha256:1") is not None


def test_closing_during_an_outage_says_what_is_missing(ledger: SqliteLedger) -> None:
    """`close` tries until its time is over, then names how many ends are missing; their reservations stand."""
    with outage(ledger):
        ledger.resolve(resolution("r-1", cost_nano_usd=40), Heard())
        with pytest.raises(LedgerUnavailableError, match="ends of 1 attempts"):
            ledger.close(0.05)
        thread = ledger._writer._thread
        assert thread is not None
        assert not thread.is_alive()
    assert ledger.totals().settled_nano_usd == 0
    ledger.close(5)


def test_closing_writes_what_was_kept(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolution that waits for its next try is written by `close`, not dropped."""
    with outage(ledger):
        monkeypatch.setattr(ledger._writer, "_retry_s", 3600.0)
        heard = Heard()
        ledger.resolve(resolution("r-1", cost_nano_usd=40), heard)
        heard.outcome()
    ledger.close(5)
    assert ledger.totals().settled_nano_usd == 40


def test_what_an_outage_refuses_is_not_done_later(ledger: SqliteLedger) -> None:
    """Budgets, corrections and keys that could not be written are not written behind the caller's back."""
    resolve(ledger, resolution("r-1", cost_nano_usd=40))
    heard = Heard()
    with outage(ledger):
        with pytest.raises(LedgerUnavailableError):
            ledger.apply([budget("all", 100)])
        with pytest.raises(LedgerUnavailableError):
            ledger.forget("user")
        ledger.correct([Correction("r-1", 1, "invoice")], heard)
        assert isinstance(heard.outcome(), LedgerUnavailableError)
        assert ledger.kept == 0
    assert reserve(ledger, reservation("r-2")) is None
    assert not ledger.budgets()
    assert ledger.totals().correction_nano_usd == 0


def test_too_many_kept_entries_are_refused(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage does not fill the memory: beyond the limit a resolution is refused, and its reservation stands."""
    monkeypatch.setattr(writer, "KEPT_MAX", 1)
    reserve(ledger, reservation("r-2", bound_nano_usd=7))
    with outage(ledger):
        resolve(ledger, resolution("r-1", cost_nano_usd=40))
        error = resolve(ledger, resolution("r-2", cost_nano_usd=1))
        assert isinstance(error, LedgerUnavailableError)
        assert "the reservation of this one stands" in error.message
        assert ledger.kept == 1
    until(lambda: ledger.kept == 0)
    assert ledger.totals() == Totals(2, 2, 0, 40, 0, 7, 0)


def test_a_commit_of_unknown_fate_is_not_resolved_twice(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If an end had been durable although its commit reported a failure, trying again finds it and is content."""
    genuine = ledger._book.write
    calls: list[int] = []

    def lying(operations: Sequence[Operation], *, repeats: int, give_up_at: Callable[[], float]) -> object:
        outcomes = genuine(operations, repeats=repeats, give_up_at=give_up_at)
        calls.append(repeats)
        if len(calls) == 1:
            raise LedgerUnavailableError("the disk did not answer")
        return outcomes

    monkeypatch.setattr(ledger._book, "write", lying)
    assert isinstance(resolve(ledger, resolution("r-1", cost_nano_usd=40)), LedgerUnavailableError)
    until(lambda: ledger.kept == 0)
    assert calls == [0, 1]
    ledger._writer.submit((), None)  # another batch, so that the outcome of the one before it was dealt with
    until(lambda: len(calls) == 3)
    assert not caplog.text
    assert ledger.totals().settled_nano_usd == 40
    assert isinstance(resolve(ledger, resolution("r-1", cost_nano_usd=40)), AlreadyResolvedError)


def test_a_kept_end_that_is_refused_later_is_logged(ledger: SqliteLedger, caplog: pytest.LogCaptureFixture) -> None:
    """An entry whose callback was already told cannot answer any more; what the book says to it is logged."""
    with outage(ledger):
        resolve(ledger, resolution("nobody"))
    with caplog.at_level(logging.ERROR):
        until(lambda: ledger.kept == 0)
        ledger.close(5)
    assert "`nobody` is not in the ledger" in caplog.text


def test_a_locked_file_is_waited_for_and_then_given_up(ledger: SqliteLedger) -> None:
    """A foreign write lock that stays is an outage after `lock_wait_s`; once it is gone, all goes on."""
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = reserve(ledger, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "another process" in error.message
        other.execute("ROLLBACK")
    assert reserve(ledger, reservation("r-2")) is None


def test_a_short_lock_is_not_noticed(tmp_path: Path) -> None:
    """A lock that is let go within the wait delays a reservation and does not fail it."""
    store = SqliteLedger(tmp_path / "book.db", StillClock(), lock_wait_s=30)
    heard = Heard()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.reserve(reservation(), heard)
        assert not heard._told.wait(0.05)
        other.execute("ROLLBACK")
    assert heard.outcome() is None
    store.close(5)


def test_a_file_that_was_moved_away_is_noticed(ledger: SqliteLedger) -> None:
    """Reservations do not go into a file that nobody can find any more, nor into a new one in its place."""
    aside = ledger.path.with_name("aside.db")
    ledger.path.rename(aside)
    error = reserve(ledger, reservation("r-2"))
    assert isinstance(error, LedgerUnavailableError)
    assert "moved" in error.message
    assert not ledger.path.exists()
    aside.rename(ledger.path)
    assert reserve(ledger, reservation("r-2")) is None


def test_a_file_that_was_replaced_is_noticed(ledger: SqliteLedger) -> None:
    """A copy put in the book's place is another book, even with the same content."""
    ledger._book.let_go()
    copy = ledger.path.with_name("copy.db")
    shutil.copy(ledger.path, copy)
    copy.replace(ledger.path)
    error = reserve(ledger, reservation("r-2"))
    assert isinstance(error, LedgerUnavailableError)
    assert "replaced" in error.message


def test_a_file_that_became_damaged_is_refused(ledger: SqliteLedger) -> None:
    """A damaged file is an outage with a sentence, for writing and for reading."""
    ledger._book.let_go()
    inode = ledger.path.stat().st_ino
    with ledger.path.open("r+b") as file:
        file.write(b"\xff" * 8192)
    assert ledger.path.stat().st_ino == inode
    for error in (reserve(ledger, reservation("r-2")), _error_of(ledger.totals)):
        assert isinstance(error, LedgerUnavailableError)
        assert "damaged" in error.message
        assert str(ledger.path) in error.message


def _error_of(read: Callable[[], Totals]) -> Exception:
    with pytest.raises(LedgerUnavailableError) as caught:
        read()
    return caught.value


def test_a_dead_writer_fails_everything_at_once(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault that nobody foresaw ends the thread: the batch, the queue and all later calls are told, each once."""
    reached, go_on = threading.Event(), threading.Event()

    def die(*_: object, **__: object) -> None:
        reached.set()
        assert go_on.wait(30)
        raise MemoryError

    monkeypatch.setattr(ledger._book, "write", die)
    heard = [Heard() for _ in range(10)]
    ledger.reserve(reservation("d-0"), heard[0])
    assert reached.wait(30)
    for number, ear in enumerate(heard[1:9], start=1):
        ledger.reserve(reservation(f"d-{number}"), ear)
    go_on.set()
    assert all(isinstance(ear.outcome(), LedgerUnavailableError) for ear in heard[:9])
    ledger.resolve(resolution("r-1"), heard[9])
    assert len(heard[9].outcomes) == 1, "a dead writer answers before `resolve` returns"
    error = heard[9].outcome()
    assert isinstance(error, LedgerUnavailableError)
    assert "`MemoryError`" in error.message
    ledger.close(5)
    assert [len(ear.outcomes) for ear in heard] == [1] * 10
    assert ledger.totals() == Totals(1, 1, 0, 0, 0, 100, 0)
    assert "writer has stopped" in caplog.text


@pytest.mark.parametrize("fault", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_a_callback_that_raises_harms_nobody(
    ledger: SqliteLedger, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """What a callback raises is logged; the writer goes on."""

    def raising(error: Exception | None) -> None:
        raise fault

    ledger.reserve(reservation("r-2"), raising)
    assert reserve(ledger, reservation("r-3")) is None
    assert "callback of the ledger raised" in caplog.text


def test_closing_writes_the_whole_queue(ledger: SqliteLedger) -> None:
    """What was accepted before `close` is durable after it, the release asked for by a callback included."""
    heard = [Heard() for _ in range(200)]
    released = Heard()

    def release(error: Exception | None) -> None:
        ledger.close(5)  # from the writer's own thread: a hint, it must not wait for itself
        ledger.resolve(resolution("late", cost_nano_usd=1), released)

    for number, ear in enumerate(heard):
        ledger.reserve(reservation(f"c-{number}"), ear)
    ledger.reserve(reservation("late"), release)
    ledger.close(30)
    assert [ear.outcomes for ear in heard] == [[None]] * 200
    assert released.outcomes == [None]
    assert ledger.totals().settled_nano_usd == 1


def test_every_entry_is_answered_however_close_and_submit_meet(tmp_path: Path) -> None:
    """Four threads submit while the store is closed under them, 20 times: every callback is called exactly once."""
    for round_number in range(20):
        store = SqliteLedger(tmp_path / f"{round_number}.db", StillClock())
        heard: list[Heard] = []

        def work(name: int, store: SqliteLedger = store, heard: list[Heard] = heard) -> None:
            for number in range(50):
                ear = Heard()
                heard.append(ear)
                store.reserve(reservation(f"{name}-{number}"), ear)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        store.close(30)
        for thread in threads:
            thread.join()
        outcomes = [ear.outcome() for ear in heard]
        assert [len(ear.outcomes) for ear in heard] == [1] * 200
        assert store.totals().attempts == sum(outcome is None for outcome in outcomes)


def test_an_entry_that_comes_as_the_writer_ends_is_answered(ledger: SqliteLedger) -> None:
    """Submitted while the store was open, queued after its thread had ended: refused, and not forgotten."""
    genuine = ledger._writer._queue

    class Slow:
        """A queue whose `put` is overtaken by a whole `close`."""

        def put(self, item: object) -> None:
            ledger._writer._queue = genuine
            ledger.close(5)
            genuine.put(item)  # type: ignore[arg-type]

    ledger._writer._queue = Slow()  # type: ignore[assignment]
    heard = Heard()
    ledger.reserve(reservation("r-2"), heard)
    assert isinstance(heard.outcome(), LedgerUnavailableError)


@pytest.mark.parametrize("value", [b"bytes", object(), 1.5, "\ud800"])
def test_a_value_that_no_column_holds_is_refused_alone(ledger: SqliteLedger, value: object) -> None:
    """An entry with something else than text where text belongs is refused, and the next one is not."""
    error = reserve(ledger, reservation("r-2", deployment=value))  # type: ignore[arg-type]
    assert type(error) is LedgerError
    assert "cannot hold this entry" in error.message
    assert reserve(ledger, reservation("r-3")) is None


# --- a part of a batch ------------------------------------------------------------------------------------------------


@contextmanager
def one_by_one(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, *, but_first: int) -> Iterator[None]:
    """Whole batches are refused for a row, and of single operations all but the first cannot be written."""
    real = ledger._book._transaction
    singles = 0

    def transaction(batch: Batch, *, careful: bool) -> list[Exception | None]:
        nonlocal singles
        if len(batch.operations) > 1:
            raise LedgerError("a row is refused")
        singles += 1
        if singles > but_first:
            raise LedgerUnavailableError("the disk is gone")
        return real(batch, careful=careful)

    with monkeypatch.context() as patch:
        patch.setattr(ledger._book, "_transaction", transaction)
        yield


def test_what_was_written_of_a_batch_is_not_told_to_be_unwritten(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two reservations is durable when the book goes away: it is granted, and the other is not."""
    with one_by_one(ledger, monkeypatch, but_first=1):
        outcomes = ledger._book.write([reservation("x-1"), reservation("x-2")], repeats=0, give_up_at=time.monotonic)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], LedgerUnavailableError)
    assert ledger.holds("x-1")
    assert not ledger.holds("x-2")
    assert resolve(ledger, resolution("x-1")) is None
    assert "x-2" not in {row.reservation_id for row in ledger.attempts()}


def test_an_end_that_was_left_out_of_a_batch_is_kept(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two ends one is written and one is not: its caller is told, and it is written when the book is back."""
    for name in ("x-1", "x-2"):
        assert reserve(ledger, reservation(name)) is None
    before = ledger.totals().settled_nano_usd
    reached, go_on = threading.Event(), threading.Event()

    def hold(error: Exception | None) -> None:
        reached.set()
        assert go_on.wait(30)

    first, second = Heard(), Heard()
    with one_by_one(ledger, monkeypatch, but_first=2):
        ledger.remember([Document("d-1", "policy", "x", "text")], hold)
        assert reached.wait(30)
        ledger.resolve(resolution("x-1", cost_nano_usd=5), first)
        ledger.resolve(resolution("x-2", cost_nano_usd=7), second)
        go_on.set()
        assert first.outcome() is None
        assert isinstance(second.outcome(), LedgerUnavailableError)
    until(lambda: not ledger.kept)
    assert ledger.totals().settled_nano_usd == before + 12


def test_a_read_that_fails_within_a_reservation_fails_its_whole_batch(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half built is committed: no line without its sums, and the next reservation finds a sound book."""

    def broken(*_: object) -> None:
        raise LedgerUnavailableError("the disk reports an error")

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "find_rollup", broken)
        assert isinstance(reserve(ledger, reservation("x-1", deployment="new")), LedgerUnavailableError)
    assert "x-1" not in {row.reservation_id for row in ledger.attempts()}
    assert reserve(ledger, reservation("x-2")) is None
    assert_sound(ledger)
