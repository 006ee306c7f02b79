"""Reports on both stores: over lines that were written beside them, and over what the stores themselves have booked."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.pricing import Usage
from modelrouter.ledger import open_ledger
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.postgres_session import PostgresSession
from modelrouter.ledger.reports import Question, Sums, report
from modelrouter.ledger.sqlite_file import connect
from modelrouter.ledger.sqlite_session import SqliteSession
from modelrouter.ports import Correction
from modelrouter.router.outside import SystemClock
from tests.ledger.builders import Heard, call_record, reservation, reserve, resolution, resolve, timed_out
from tests.ledger.report_books import HOUR_US, Attempt, BookOfLines, Change
from tests.ledger.test_reports import NAMES, slow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ledger import Ledger
    from modelrouter.ledger.session import Session

MINUTE_US: Final = 60_000_000
BEGIN_US: Final = 1_900_000_000 // 3_600 * HOUR_US
"""After whatever a store writes into an empty book: times never fall."""
ZONES: Final = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Asia/Kathmandu"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a book that is not there yet, on each store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'book.db'}"
    found: str = request.getfixturevalue("book_url")
    return found


class ReadingSqlite(SqliteSession):
    """A session that reads JSON as its database does."""

    def member(self, column: str, name: str) -> str:
        """See https://sqlite.org/json1.html."""
        return f"json_extract({column}, '$.\"{name}\"')"


class ReadingPostgres(PostgresSession):
    """A session that reads JSON as its database does."""

    def member(self, column: str, name: str) -> str:
        """See https://www.postgresql.org/docs/current/functions-json.html."""
        return f"(CAST({column} AS json) ->> '{name}')"


@contextmanager
def connected(url: str, *, reads_members: bool) -> Iterator[Session]:
    """A session of ours on a book that is there."""
    session: Session
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        session = (ReadingSqlite if reads_members else SqliteSession)(connect(path), path, lambda: 0)
    else:
        session = (ReadingPostgres if reads_members else PostgresSession)(postgres_address(url), wait_s=60.0)
    try:
        yield session
    finally:
        session.close()


def drawn(session: Session, draw: random.Random, attempts: int) -> BookOfLines:
    """A book of some days, with every kind of line and amounts whose sums need more than 64 bits."""
    book, now_us = BookOfLines(session, integer=None), BEGIN_US
    pending: list[Attempt] = []
    ended: list[Attempt] = []
    while len(book.attempts) < attempts:
        now_us += draw.choice((0, 1, 7 * MINUTE_US, 29 * MINUTE_US, HOUR_US - 1, HOUR_US))
        after = draw.choice([None, *book.attempts])
        large = 2**62 if draw.randrange(20) == 0 else draw.randrange(10**9)
        made = Attempt(
            0,
            0,
            large,
            route=draw.choice(("chat", "drafts")),
            deployment=draw.choice(("own", "dear", "ü")) + (str(len(book.attempts)) if large == 2**62 else ""),
            operator=draw.choice(("self", "azure")),
            developer=draw.choice(("qwen", "")),
            tags={name: draw.choice(("a", 'b"%', "ü?")) for name in ("team", "~user", '"q') if draw.randrange(2)},
            policies=draw.choice(((), ("eu",), ("eu", "baseline"))),
        )
        pending.append(book.reserve(now_us, made, after=after))
        if draw.randrange(3) and pending:
            attempt = pending.pop(draw.randrange(len(pending)))
            kind = draw.choice(("settle", "settle", "uncertain", "release", "expire"))
            amount = {"release": 0, "expire": attempt.bound}.get(kind, attempt.bound)
            tokens = (9, 1, 2, 8, 3) if kind == "settle" else None
            failure = draw.choice((None, "timed_out")) if kind != "expire" else None
            book.end(now_us, attempt, kind, amount, tokens=tokens, failure=failure, saved=draw.choice((None, -5, 7)))
            ended.append(attempt)
        if ended and not draw.randrange(4):
            attempt, kind = draw.choice(ended), draw.choice(("overrun", "correction"))
            more = Change("correction", -11, (1, 0, 0, 1, 0), "timed_out", 3) if kind == "correction" else None
            book.change(now_us, attempt, more or Change("overrun", 13))
    book.write()
    return book


def test_both_stores_answer_as_the_oracle_does(url: str) -> None:
    """The same statements, on either database: any groups, zones and moments, JSON read by the database or by us."""
    open_ledger(url, SystemClock()).close(30.0)
    draw = random.Random(20261122)
    with connected(url, reads_members=False) as session:
        session.begin()
        book = drawn(session, draw, 150)
        session.commit()
    moments = [each.at_us + off for each in book.attempts for off in (-1, 0, 1, MINUTE_US)]
    for reads_members in (False, True):
        with connected(url, reads_members=reads_members) as session:
            for place in range(60):
                by = tuple(draw.sample(NAMES, draw.choice((1, 2))))
                since_us, until_us = sorted((draw.choice(moments), draw.choice(moments) + 1))
                question = Question(
                    by, draw.choice((None, since_us)), draw.choice((None, until_us)), draw.choice(ZONES)
                )
                session.snapshot()
                found = report(session, question)
                session.rollback()
                groups, total = slow(book, question)
                assert {row.group: row.sums for row in found.rows} == groups, (place, question)
                assert found.total == total


def test_what_a_store_has_booked_is_what_it_reports(url: str) -> None:
    """Settled, overrun, failed, released, pending and corrected, through the store's own front door, to the digit."""
    store = open_ledger(url, SystemClock())
    try:
        call = call_record("call-1", tags={"team": "a"})
        for name, number in (("settled", 1), ("over", 2)):
            assert reserve(store, reservation(name, call=call, number=number)) is None
        for name in ("failed", "released", "pending", "unknown"):
            assert reserve(store, reservation(name, deployment="large", model="gpt", operator="azure")) is None
        usage = Usage(100, 50, cached_input_tokens=40, reasoning_tokens=5, cache_write_tokens=1)
        assert resolve(store, resolution("settled", cost_nano_usd=1_000, usage=usage, saved_nano_usd=70)) is None
        assert resolve(store, resolution("over", cost_nano_usd=5_600, usage=Usage(7, 3))) is None
        failed = resolution("failed", billing=Billing.UNCERTAIN, cost_nano_usd=5_000, failure=timed_out())
        assert resolve(store, failed) is None
        assert resolve(store, resolution("released", billing=Billing.UNBILLED, failure=timed_out())) is None
        assert resolve(store, resolution("unknown", billing=Billing.UNCERTAIN, cost_nano_usd=5_000)) is None
        heard = Heard()
        store.correct([Correction("unknown", 3_999, "the invoice says so", Usage(11, 2))], heard)
        assert heard.outcome() is None
        with store.reading() as session:
            found = report(session, Question(("deployment", "tag.team")))
        small = Sums(
            calls=1,
            attempts=2,
            input_tokens=107,
            cached_input_tokens=40,
            cache_write_tokens=1,
            output_tokens=53,
            reasoning_tokens=5,
            settled_nano_usd=6_000,
            overrun_nano_usd=600,
            saved_nano_usd=70,
        )
        large = Sums(
            calls=4,
            attempts=4,
            failures=2,
            input_tokens=11,
            output_tokens=2,
            uncertain_nano_usd=10_000,
            reserved_nano_usd=5_000,
            correction_nano_usd=-1_001,
            failed_nano_usd=5_000,
        )
        assert {row.group: row.sums for row in found.rows} == {("small", "a"): small, ("large", ""): large}
        moments = sorted(row.reserved_us for row in store.attempts())
        _assert_same_by_lines(store, moments)
    finally:
        store.close(30.0)


def _assert_same_by_lines(ledger: Ledger, moments: list[int]) -> None:
    """The hour's sums are those of its lines: cut in two at any moment, the halves come to the whole."""
    with ledger.reading() as session:
        whole = report(session, Question(())).total
        for at_us in moments:
            before = report(session, Question((), None, at_us)).total
            assert before.plus(report(session, Question((), at_us)).total) == whole
