"""Ends of attempts that find no book: kept in a file, across restarts and kills, until they are booked."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.attempts import Billing, Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger import AttemptState
from modelrouter.ledger.rows import end_columns
from modelrouter.ledger.spool import Spool, line_of, orphans, resolution_of
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import StillClock, reservation, reserve, resolution, resolve, timed_out
from tests.ledger.soundness import assert_sound
from tests.ledger.test_outage import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTS = st.integers(0, 2**40)
USAGES = st.builds(
    lambda fresh, output, units, uses, reported: Usage(
        fresh + units, output, cache_write_1h_tokens=units, uses=tuple(sorted(uses.items())), reported_nano_usd=reported
    ),
    COUNTS,
    COUNTS,
    COUNTS,
    st.dictionaries(st.sampled_from(["web_search", "output_image"]), COUNTS),
    st.one_of(st.none(), COUNTS),
)
FAILURES = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.sampled_from(Phase),
    st.text(max_size=20),
    st.one_of(st.none(), st.integers(100, 599)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the book is."""
    return tmp_path / "book.db"


@contextmanager
def outage(path: Path) -> Iterator[None]:
    """Nothing can be written: another connection holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def opened(path: Path, clock: StillClock | None = None) -> SqliteLedger:
    """A store that gives up quickly."""
    return SqliteLedger(path, clock or StillClock(), lock_wait_s=0.05)


def spooled(path: Path) -> list[Path]:
    """The files beside the book."""
    return sorted(path.parent.glob(f"{path.name}.late-*"))


@given(
    billing=st.sampled_from(Billing),
    cost=COUNTS,
    usage=st.one_of(st.none(), USAGES),
    failure=st.one_of(st.none(), FAILURES),
    saved=st.one_of(st.none(), st.integers(-(10**9), 10**9)),
    length_reached=st.booleans(),
)
def test_a_line_says_all_that_the_book_needs(
    billing: Billing, cost: int, usage: Usage | None, failure: Failure | None, saved: int | None, length_reached: bool
) -> None:
    """Any end comes back from its line with the columns that it would have had."""
    ended = resolution(
        billing=billing,
        cost_nano_usd=0 if billing is Billing.UNBILLED else cost,
        usage=usage,
        failure=failure,
        saved_nano_usd=saved,
        length_reached=length_reached,
    )
    line = line_of(ended)
    assert "\n" not in line
    again = resolution_of(line)
    assert (again.reservation_id, again.billing, again.cost_nano_usd) == ("r-1", billing, ended.cost_nano_usd)
    assert end_columns(again) == end_columns(ended)


def test_an_end_that_waits_is_in_a_file_until_it_is_booked(path: Path) -> None:
    """The file is for its owner alone, has one line, and is gone with the outage."""
    store = opened(path)
    reserve(store, reservation())
    with outage(path):
        assert isinstance(resolve(store, resolution(cost_nano_usd=40)), LedgerUnavailableError)
        (file,) = spooled(path)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.name.endswith(store.writer_id)
        assert [resolution_of(line).cost_nano_usd for line in file.read_text(encoding="utf-8").splitlines()] == [40]
    until(lambda: store.kept == 0)
    until(lambda: not spooled(path))
    assert store.totals().settled_nano_usd == 40
    store.close(5)


def test_an_end_survives_a_restart(path: Path) -> None:
    """Closed during the outage: the error names the file, and the next store books what it holds."""
    first = opened(path)
    reserve(first, reservation())
    with outage(path):
        resolve(first, resolution(cost_nano_usd=40, usage=Usage(4, 5)))
        with pytest.raises(LedgerUnavailableError, match=r"late-.* keeps them"):
            first.close(0.05)
        assert spooled(path)
    second = opened(path)
    until(lambda: not spooled(path))
    (row,) = second.attempts()
    assert (row.state, row.cost_nano_usd, row.usage) == (AttemptState.SETTLED, 40, Usage(4, 5))
    second.close(5)
    assert_sound(second)


def test_what_has_expired_meanwhile_is_corrected(path: Path) -> None:
    """Restarted after the lease had lapsed and somebody had noticed: the end becomes a correction."""
    clock = StillClock()
    first = opened(path, clock)
    reserve(first, reservation(bound_nano_usd=90))
    with outage(path):
        resolve(first, resolution(cost_nano_usd=40))
        with pytest.raises(LedgerUnavailableError):
            first.close(0.05)
    (file,) = spooled(path)
    aside = file.with_name("aside")
    file.rename(aside)
    clock.at_s += 31
    second = opened(path, clock)
    reserve(second, reservation("r-2", bound_nano_usd=1))
    second.close(5)
    aside.rename(file)
    third = opened(path, clock)
    until(lambda: not spooled(path))
    totals = third.totals()
    assert (totals.uncertain_nano_usd, totals.correction_nano_usd) == (90, -50)
    third.close(5)
    assert_sound(third)


def test_what_was_booked_after_all_is_not_booked_twice(path: Path) -> None:
    """A file whose ends are in the book already changes nothing and is removed."""
    first = opened(path)
    reserve(first, reservation())
    resolve(first, resolution(cost_nano_usd=40))
    first.close(5)
    path.with_name("book.db.late-0123").write_text(line_of(resolution(cost_nano_usd=40)) + "\n", encoding="utf-8")
    second = opened(path)
    until(lambda: not spooled(path))
    second.close(5)
    assert second.totals().settled_nano_usd == 40
    assert_sound(second)


def test_a_living_writer_s_file_is_left_alone(path: Path) -> None:
    """Another store opened during the outage does not take what its owner still holds."""
    first = opened(path)
    reserve(first, reservation())
    with outage(path):
        resolve(first, resolution(cost_nano_usd=40))
        second = opened(path)
        assert not orphans([path.with_name("book.db.late-")])
        assert spooled(path)
    until(lambda: first.kept == 0)
    first.close(5)
    second.close(5)
    assert second.totals().settled_nano_usd == 40


def test_readers_adopt_nothing(path: Path) -> None:
    """Who only looks leaves the file to who writes."""
    opened(path).close(5)
    path.with_name("book.db.late-0123").write_text(line_of(resolution()) + "\n", encoding="utf-8")
    SqliteLedger(path, StillClock(), create=False).close(5)
    assert spooled(path)


def test_a_line_cut_off_is_left_out(path: Path) -> None:
    """A crash in the middle of a line loses that line and no other."""
    first = opened(path)
    reserve(first, reservation())
    first.close(5)
    text = line_of(resolution(cost_nano_usd=12)) + "\n" + line_of(resolution("r-2"))[:30]
    path.with_name("book.db.late-0123").write_text(text, encoding="utf-8")
    second = opened(path)
    until(lambda: not spooled(path))
    assert second.totals().settled_nano_usd == 12
    second.close(5)


def test_a_line_that_this_version_cannot_read_keeps_its_file(path: Path) -> None:
    """As a newer version may write it: what can be read is booked, and the rest waits for whoever can read it."""
    first = opened(path)
    reserve(first, reservation())
    first.close(5)
    place = path.with_name("book.db.late-0123")
    place.write_text('{"from": "a newer version"}\n' + line_of(resolution(cost_nano_usd=12)) + "\n", encoding="utf-8")
    second = opened(path)
    until(lambda: second.totals().settled_nano_usd == 12)
    second.close(5)
    assert place.exists()


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1" + "0" * 400, "[" * 100_000, "5" * 5000])
def test_a_line_with_a_number_that_is_none_keeps_its_file_too(path: Path, number: str) -> None:
    """A damaged file never keeps a ledger from being opened."""
    opened(path).close(1)
    place = path.with_name("book.db.late-0123")
    line = line_of(resolution()).replace('"duration_us":', f'"duration_us":{number},"was":')
    place.write_text(line + "\n", encoding="utf-8")
    opened(path).close(1)
    assert place.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users have no numbers here")
def test_a_file_of_somebody_else_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for what lasts until a restart is everybody's: what others leave there settles nothing of ours."""
    place = path.with_name("book.db.late-0123")
    place.write_text(line_of(resolution()) + "\n", encoding="utf-8")
    owner = place.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert not orphans([path.with_name("book.db.late-")])
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    (orphan,) = orphans([path.with_name("book.db.late-")])
    orphan.let_go()


def test_another_place_is_taken_where_the_first_takes_nothing(tmp_path: Path) -> None:
    """A folder that cannot be made, because a file has its name, is passed over."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    places = [tmp_path / "taken" / "late-", tmp_path / "other" / "late-"]
    spool = Spool(places, "w1")
    assert spool.add([resolution()])
    assert spool.path == tmp_path / "other" / "late-w1"
    assert not orphans(places)
    spool.let_go()
    (orphan,) = orphans(places)
    assert [each.reservation_id for each in orphan.resolutions] == ["r-1"]
    orphan.remove()
    assert not orphans(places)


def test_where_no_place_takes_it_the_caller_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing pretends to be kept."""
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    spool = Spool([tmp_path / "taken" / "late-"], "w1")
    assert not spool.add([resolution()])
    assert spool.path is None
    assert "end with the process" in caplog.text


KILLED = """
import sqlite3, sys, time
from pathlib import Path
from modelrouter.core.attempts import Billing
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import StillClock, reservation, reserve, resolution, resolve, timed_out

path = Path(sys.argv[1])
store = SqliteLedger(path, StillClock(), lock_wait_s=0.05)
for number in range(5):
    assert reserve(store, reservation(f"r-{number}", bound_nano_usd=100)) is None
other = sqlite3.connect(path, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
for number in range(4):
    assert resolve(store, resolution(f"r-{number}", cost_nano_usd=number)) is not None
ended = resolution("r-4", billing=Billing.UNCERTAIN, cost_nano_usd=100, failure=timed_out())
assert resolve(store, ended) is not None
print("kept", flush=True)
time.sleep(60)
"""


def test_ends_survive_a_kill(path: Path) -> None:
    """Killed in the middle of an outage: all five ends are booked by the next to open the book."""
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        process.kill()
    store = opened(path)
    until(lambda: not spooled(path))
    totals = store.totals()
    assert (totals.settled_nano_usd, totals.uncertain_nano_usd, totals.reserved_nano_usd) == (6, 100, 0)
    assert totals.failures == 1
    assert timed_out().detail in {row.detail for row in store.attempts()}
    store.close(5)
    assert_sound(store)
