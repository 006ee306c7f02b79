"""Old lines leave the book for a file; what stays and what went can both still be proved."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import Usage
from modelrouter.errors import LedgerError, RequestError
from modelrouter.ledger.audit import archive
from modelrouter.ledger.audit.archive import remove_archived, write_archive
from modelrouter.ledger.audit.archive_check import check_archives, require_archive
from modelrouter.ledger.audit.cut import cut_before
from modelrouter.ledger.audit.verify import current_head, verify
from tests.ledger.audit_book import START_US, HonestBook, connect, session_on
from tests.ledger.audit_story import story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ledger.audit.archive import Archived
    from modelrouter.ledger.audit.verify import Report
    from modelrouter.ledger.sqlite_session import SqliteSession

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
EVER = Budget("ever", 10**12, Window.TOTAL, each="deployment")
DAILY = Budget("day", 10**12, Window.DAY)


@contextmanager
def snapshot(path: Path, now_us: int = START_US) -> Iterator[SqliteSession]:
    """One picture of a book."""
    session = session_on(path, now_us)
    try:
        session.snapshot()
        yield session
    finally:
        session.rollback()
        session.close()


def audited(path: Path) -> Report:
    """What the audit of a book says."""
    with snapshot(path) as session:
        return verify(session)


def archived(path: Path, to: Path, before_us: int, now_us: int) -> Archived | str:
    """Move lines out of a book."""
    with snapshot(path, now_us) as session:
        made = write_archive(session, to, before_us)
    if isinstance(made, str):
        return made
    session = session_on(path, now_us)
    try:
        return remove_archived(session, made, "0.2.0")
    finally:
        session.close()


@pytest.fixture
def days(tmp_path: Path) -> tuple[Path, HonestBook]:
    """A book of five days, with a budget by the day and one without an end; the last reservation has no end yet."""
    book = HonestBook()
    book.open(1)
    book.apply(1, (DAILY, EVER))
    for day in range(5):
        book.open(day + 2)
        for number in range(6):
            name = f"r-{day}-{number}"
            seq = book.reserve(day + 2, name, 50_000, request_id=f"q-{name}", tags={"team": "ab"[number % 2]})
            book.at_us += 7 * 60_000_000
            if (day, number) == (4, 5):
                break
            if number == 3:
                book.end(1, seq, "expire")
                book.correct(1, seq, -20_000)
            else:
                book.settle(1, seq, Usage(900 + number, 30), saved_nano_usd=number)
        book.checkpoint(1)
        book.at_us += DAY_US - 6 * 7 * 60_000_000
    path = tmp_path / "book.db"
    book.save(path)
    return path, book


def test_a_book_goes_on_after_its_first_days_were_archived(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """Book and file pass their audits, the sums of both together are those of before, and reports keep every hour."""
    path, book = days
    before = audited(path)
    assert before.is_good
    with closing(sqlite3.connect(path)) as connection:
        rollups = connection.execute("SELECT * FROM rollups ORDER BY rollup").fetchall()
    moved = archived(path, tmp_path / "old.jsonl", START_US + 2 * DAY_US, book.at_us)
    assert not isinstance(moved, str)
    assert moved.lines == moved.last_seq > 20
    after = audited(path)
    assert after.faults == ()
    assert after.first_seq == moved.last_seq + 1
    assert after.lines == before.lines - moved.lines + 2
    with snapshot(path) as session:
        [file] = check_archives(session, [tmp_path / "old.jsonl"])
    assert file.faults == ()
    assert (file.first_seq, file.last_seq, file.lines) == (1, moved.last_seq, moved.lines)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM rollups ORDER BY rollup").fetchall() == rollups
        [content] = connection.execute("SELECT content FROM entries WHERE kind = 'archive'").fetchone()
        assert connection.execute("SELECT count(*) FROM entries WHERE seq <= ?", (moved.last_seq,)).fetchone() == (0,)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM entries")
    sums = json.loads(content)["sums"]
    assert sums["settled_nano_usd"] + after.settled_nano_usd == before.settled_nano_usd
    assert sums["correction_nano_usd"] + after.correction_nano_usd == before.correction_nano_usd


def test_archives_follow_each_other(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """A second archive goes on where the first ended; both files are proved from the book that is left."""
    path, book = days
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    one = archived(path, first, START_US + DAY_US, book.at_us)
    other = archived(path, second, START_US + 3 * DAY_US, book.at_us)
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert other.first_seq == one.last_seq + 1
    assert audited(path).faults == ()
    with snapshot(path) as session:
        reports = check_archives(session, [first, second])
    assert [(each.first_seq, each.faults) for each in reports] == [(other.first_seq, ()), (1, ())]


def test_a_head_from_before_is_compared_in_the_file_that_holds_its_line(
    days: tuple[Path, HonestBook], tmp_path: Path
) -> None:
    """A head outlives the archive of its line: with the file it is compared, without it that file is asked for."""
    path, book = days
    with closing(sqlite3.connect(":memory:")), snapshot(path) as session:
        newest = current_head(session)
    early = tmp_path / "early.db"
    book.until(9).save(early)
    with snapshot(early) as session:
        head = current_head(session)
    file = tmp_path / "old.jsonl"
    archived(path, file, START_US + 2 * DAY_US, book.at_us)
    with snapshot(path) as session:
        first_seq = verify(session, against=newest).first_seq
        assert verify(session, against=newest).is_good
        assert check_archives(session, [file], head)[0].faults == ()
        forged = dataclasses.replace(head, digest="0" * 64)
        assert check_archives(session, [file], forged)[0].counts == {"head": 1}
        with pytest.raises(RequestError, match=f"taken at line 9, and the lines before {first_seq} were archived"):
            require_archive(head, first_seq, [])


def test_only_what_is_over_is_archived(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """A present window, an open reservation, a call that went on and a late correction each hold a cut back."""
    path, book = days
    with snapshot(path) as session:
        today = cut_before(session, START_US + 9 * DAY_US, book.at_us)
    assert "has no end yet" in today.reason or "budget `day`" in today.reason
    assert today.before_us <= book.pending()[0]["at_us"]
    late = HonestBook()
    late.open(1)
    first = late.reserve(1, "r-1", 500, call="c-1")
    late.end(1, first, "expire")
    other = late.reserve(1, "r-2", 500)
    late.end(1, other, "release")
    late.at_us += 3 * HOUR_US
    late.correct(1, other, 9)
    late.end(1, late.reserve(1, "r-3", 500, call="c-1"), "release")
    late.save(tmp_path / "late.db")
    with snapshot(tmp_path / "late.db") as session:
        cut = cut_before(session, late.at_us, late.at_us + DAY_US)
    assert cut.last_seq == 0
    assert "belongs to a call that went on" in cut.reason
    told = archived(tmp_path / "late.db", tmp_path / "none.jsonl", late.at_us, late.at_us + DAY_US)
    assert told == cut.reason
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("seed", range(3))
def test_any_book_is_archived_at_any_hour(seed: int, tmp_path: Path) -> None:
    """Stories with everything in them, cut at each of their hours: book and file pass, or nothing is moved."""
    book = story(seed, 400, budgets=(DAILY, EVER), later=(), most_open=2)
    for each in book.pending():
        book.end(1, each["seq"], "release")
    source = tmp_path / "source.db"
    book.save(source)
    moved_some = False
    for hour in range((book.at_us - START_US) // HOUR_US + 2):
        path, file = tmp_path / f"{hour}.db", tmp_path / f"{hour}.jsonl"
        path.write_bytes(source.read_bytes())
        moved = archived(path, file, START_US + hour * HOUR_US, book.at_us + 2 * DAY_US)
        assert audited(path).faults == ()
        if isinstance(moved, str):
            continue
        moved_some = True
        with snapshot(path) as session:
            assert check_archives(session, [file])[0].faults == ()
    assert moved_some


def test_rows_go_in_lots_and_an_interruption_is_no_fault(
    days: tuple[Path, HonestBook], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two lots the book is sound, says how many rows are left, and has its head; the next run removes them."""
    monkeypatch.setattr(archive, "TOGETHER", 4)
    path, book = days
    with snapshot(path) as session:
        head = current_head(session)
    moved = archived(path, tmp_path / "old.jsonl", START_US + 2 * DAY_US, book.at_us)
    assert not isinstance(moved, str)
    session = session_on(path, book.at_us)
    left = moved.lines - 4
    while left:
        report = audited(path)
        assert (report.faults, report.left, report.first_seq) == ((), left, moved.last_seq + 1)
        with snapshot(path) as reading:
            assert current_head(reading) == report.head
            assert verify(reading, against=head).is_good
        left -= archive.clear_archived(session)
    assert archive.clear_archived(session) == 0
    session.close()
    assert audited(path).left == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT MIN(seq) FROM entries").fetchone() == (moved.last_seq + 1,)
        orphans = "SELECT count(*) FROM calls c WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.call_id = c.call_id)"
        assert connection.execute(orphans).fetchone() == (0,)


def test_a_file_that_was_touched_is_found(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """One letter of it changed, a record left out, or another file altogether: the book does not know it."""
    path, book = days
    file = tmp_path / "old.jsonl"
    archived(path, file, START_US + 2 * DAY_US, book.at_us)
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    changed = {
        "another amount": text.replace('"reserve",', '"reserve" ,', 1),
        "a line left out": "".join(lines[:5] + lines[6:]),
        "an end left out": "".join(lines[:-1]),
    }
    with snapshot(path) as session:
        for name, other in changed.items():
            file.write_text(other, encoding="utf-8")
            [report] = check_archives(session, [file])
            assert report.counts.get("archive"), name
        file.write_text(lines[0] + "[]\n", encoding="utf-8")
        with pytest.raises(RequestError, match="line 2 is no record"):
            check_archives(session, [file])
        file.write_text("{}\n", encoding="utf-8")
        with pytest.raises(RequestError, match="is no archive"):
            check_archives(session, [file])
        with pytest.raises(RequestError, match="cannot be read: no such file"):
            check_archives(session, [tmp_path / "missing.jsonl"])


def test_a_book_with_faults_is_not_archived(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """What is wrong must not be hidden in a file; a file that is there already is left alone too."""
    path, book = days
    taken = tmp_path / "taken.jsonl"
    taken.write_text("mine", encoding="utf-8")
    with pytest.raises(RequestError, match="is there already"):
        archived(path, taken, START_US + 2 * DAY_US, book.at_us)
    assert taken.read_text(encoding="utf-8") == "mine"
    with closing(connect(path)) as connection:
        connection.execute("UPDATE entries SET amount_nano_usd = amount_nano_usd + 1 WHERE seq = 5")
    with pytest.raises(LedgerError, match="does not pass its audit"):
        archived(path, tmp_path / "new.jsonl", START_US + 2 * DAY_US, book.at_us)
    assert not (tmp_path / "new.jsonl").exists()


def test_a_correction_between_writing_and_removing_stops_it(days: tuple[Path, HonestBook], tmp_path: Path) -> None:
    """Writers go on while the file is written; what they touch meanwhile is not removed under their hands."""
    path, book = days
    with snapshot(path, book.at_us) as session:
        made = write_archive(session, tmp_path / "old.jsonl", START_US + 2 * DAY_US)
    assert not isinstance(made, str)
    expired = next(each["seq"] for each in book.lines if each["kind"] == "expire")
    book.correct(1, book.lines[expired - 1]["resolves"], 7)
    path.unlink()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    book.save(path)
    session = session_on(path, book.at_us)
    with pytest.raises(LedgerError, match="has changed meanwhile"):
        remove_archived(session, made, "0.2.0")
    session.close()
    assert audited(path).faults == ()
    assert audited(path).first_seq == 1
