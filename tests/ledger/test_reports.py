"""Reports against a slow oracle over the lines of the book, to the microsecond and to the last digit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrouter.errors import LedgerUnavailableError, RequestError
from modelrouter.ledger.derive import rollups
from modelrouter.ledger.report_sums import ADDED
from modelrouter.ledger.reports import GROUPS, Question, Sums, groups_of, report, spend
from modelrouter.ledger.sqlite_session import SqliteSession
from tests.ledger.report_books import HOUR_US, Attempt, BookOfLines, Change, memory_session, sums_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from modelrouter.ledger.reports import Report
    from modelrouter.ledger.session import Column, Row

MINUTE_US: Final = 60_000_000
ZONES: Final = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")
BEGINNINGS: Final = (
    datetime(2026, 10, 24, 20, 17, tzinfo=UTC),  # Berlin's clocks go back that night
    datetime(2026, 4, 4, 12, 45, tzinfo=UTC),  # Lord Howe's go back by half an hour
    datetime(2026, 2, 28, 21, 59, 59, tzinfo=UTC),  # the end of a month
)
NAMES: Final = (*GROUPS, "tag.team", "tag.~user", 'tag."q', "tag.nobody")
TOKENS: Final = st.tuples(*(st.integers(0, 10**6),) * 5)
AMOUNTS: Final = st.one_of(st.integers(0, 10**7), st.integers(0, 10**17))


def at_us(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@st.composite
def books(draw: st.DrawFn) -> BookOfLines:
    """A book of some hours or days, with every kind of line."""
    book = BookOfLines(memory_session())
    now_us = at_us(draw(st.sampled_from(BEGINNINGS)))
    pending: list[Attempt] = []
    ended: list[Attempt] = []
    for _ in range(draw(st.integers(0, 24))):
        now_us += draw(st.sampled_from((0, 1, 7 * MINUTE_US, 29 * MINUTE_US, HOUR_US - 1, HOUR_US, 9 * HOUR_US)))
        turn = draw(st.integers(0, 3))
        if turn < 2 or not book.attempts:
            after = draw(st.sampled_from([None, *book.attempts]))
            pending.append(book.reserve(now_us, draw(attempts()), after=after))
        elif turn == 2 and pending:
            ended.append(attempt := pending.pop(draw(st.integers(0, len(pending) - 1))))
            _end(draw, book, attempt, now_us)
        elif ended:
            attempt = draw(st.sampled_from(ended))
            kind = draw(st.sampled_from(("overrun", "correction")))
            amount = draw(AMOUNTS) * (draw(st.sampled_from((1, -1))) if kind == "correction" else 1)
            tokens = draw(st.none() | TOKENS) if kind == "correction" else None
            saved = draw(st.none() | st.integers(-(10**9), 10**9)) if kind == "correction" else None
            failure = "timed_out" if kind == "correction" and draw(st.booleans()) else None
            book.change(now_us, attempt, Change(kind, amount, tokens, failure, saved))
    book.write()
    return book


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """A reservation to be made."""
    return Attempt(
        0,
        0,
        draw(AMOUNTS),
        route=draw(st.sampled_from(("chat", "drafts"))),
        deployment=draw(st.sampled_from(("own", "dear", "=1+1"))),
        operator=draw(st.sampled_from(("self", "azure"))),
        developer=draw(st.sampled_from(("qwen", ""))),
        model=draw(st.sampled_from(("small", "large"))),
        tags=draw(
            st.dictionaries(st.sampled_from(("team", "~user", '"q')), st.sampled_from(("a", 'b"', "ü")), max_size=2)
        ),
        policies=draw(st.sampled_from(((), ("eu",), ("eu", "baseline")))),
    )


def _end(draw: st.DrawFn, book: BookOfLines, attempt: Attempt, now_us: int) -> None:
    kind = draw(st.sampled_from(("settle", "uncertain", "release", "expire")))
    amount = {"release": 0, "expire": attempt.bound}.get(kind, draw(st.integers(0, attempt.bound)))
    failure = None if kind == "expire" else draw(st.sampled_from((None, "timed_out")))
    tokens = draw(TOKENS) if kind == "settle" or (kind == "uncertain" and draw(st.booleans())) else None
    saved = draw(st.none() | st.integers(-(10**9), 10**9)) if kind == "settle" else None
    book.end(now_us, attempt, kind, amount, failure=failure, tokens=tokens, saved=saved)


def slow(book: BookOfLines, question: Question) -> tuple[dict[tuple[str, ...], Sums], Sums]:
    """The report, attempt by attempt."""
    groups: dict[tuple[str, ...], Sums] = defaultdict(Sums)
    total = Sums()
    for attempt in book.attempts:
        if (question.since_us or 0) <= attempt.at_us and (
            question.until_us is None or attempt.at_us < question.until_us
        ):
            sums = sums_of(attempt)
            total = total.plus(sums)
            for group in product(*(_values(attempt, name, question.zone) for name in question.by)):
                groups[group] = groups[group].plus(sums)
    return groups, total


def _values(attempt: Attempt, name: str, zone: tzinfo) -> tuple[str, ...]:
    if name == "policy":
        return attempt.policies or ("",)
    if name.startswith("tag."):
        return (attempt.tags.get(name.removeprefix("tag."), ""),)
    if name not in {"day", "hour", "month"}:
        return (str(getattr(attempt, name)),)
    begin_us = attempt.at_us - attempt.at_us % HOUR_US if name == "hour" else attempt.at_us
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=begin_us)).astimezone(zone)
    if name == "hour":
        return (local.isoformat(timespec="minutes").replace("+00:00", "Z"),)
    return (local.date().isoformat() if name == "day" else f"{local.year:04}-{local.month:02}",)


def moments(book: BookOfLines) -> st.SearchStrategy[int]:
    """Moments at which an error by one would show: those of lines, of whole hours, and one off either."""
    lines = {attempt.at_us for attempt in book.attempts} or {at_us(BEGINNINGS[0])}
    hours = {each - each % HOUR_US + more for each in lines for more in (0, HOUR_US)}
    return st.sampled_from(sorted({each + off for each in lines | hours for off in (-1, 0, 1, MINUTE_US)}))


class Knowing(SqliteSession):
    """A session that knows how its database reads JSON."""

    def member(self, column: str, name: str) -> str:
        """SQLite's own function, https://sqlite.org/json1.html."""
        return f"json_extract({column}, '$.\"{name}\"')"


def answered(book: BookOfLines, question: Question) -> Report:
    """The report as it is."""
    book.session.snapshot()
    try:
        return report(book.session, question)
    finally:
        book.session.rollback()


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_report_is_what_its_lines_come_to(data: st.DataObject) -> None:
    """By any one or two groups, in any zone and between any two moments, every sum is that of the oracle."""
    book = data.draw(books())
    by = tuple(data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)))
    ends = sorted(data.draw(st.tuples(moments(book), moments(book))))
    since_us = ends[0] if data.draw(st.booleans()) else None
    until_us = ends[1] if data.draw(st.booleans()) and ends[1] > ends[0] else None
    zone = data.draw(st.sampled_from(ZONES))
    question = Question(by, since_us, until_us, UTC if zone == "UTC" else ZoneInfo(zone))
    if data.draw(st.booleans()):
        assert isinstance(book.session, SqliteSession)
        book.session = Knowing(book.session.connection, Path("memory"), lambda: 0)
    found = answered(book, question)
    groups, total = slow(book, question)
    assert {row.group: row.sums for row in found.rows} == groups
    assert found.total == total


@settings(max_examples=40, deadline=None)
@given(books(), st.data())
def test_spend_gives_the_sums_of_one_group(book: BookOfLines, data: st.DataObject) -> None:
    """Rows for the port hold the oracle's sums under the same names; days are those of UTC."""
    by = data.draw(st.sampled_from(NAMES))
    since_us = data.draw(st.none() | moments(book))
    rows = spend(book.session, by=by, since_s=None if since_us is None else since_us // 1_000_000)
    question = Question((by,), None if since_us is None else since_us // 1_000_000 * 1_000_000)
    groups, _ = slow(book, question)
    assert [row.group for row in rows] == [each.group[0] for each in answered(book, question).rows]
    for row in rows:
        sums = groups[row.group,]
        assert all(getattr(row, name) == getattr(sums, name) for name in ADDED if hasattr(row, name))
        assert (row.calls, row.failed_nano_usd) == (sums.calls, sums.failed_nano_usd)


@settings(max_examples=60, deadline=None)
@given(books())
def test_the_sums_of_hours_are_those_that_a_book_derives(book: BookOfLines) -> None:
    """What these tests put into `rollups` is what the package makes of the same lines."""
    names = ", ".join(
        ("hour_us", *("route", "deployment", "operator", "developer", "model", "tags", "policies"), *ADDED)
    )
    rows = book.session.rows(f"SELECT {names} FROM rollups")  # noqa: S608 - our own names
    assert {tuple(row[:8]): list(row[8:]) for row in rows} == rollups(book.session)


def test_the_names_of_sums_are_those_that_are_added_up() -> None:
    """Statements and values agree on order: a swap would book tokens as money."""
    assert tuple(Sums.__dataclass_fields__) == ADDED


def test_sums_beyond_64_bits_are_exact() -> None:
    """Twenty amounts near the largest a column can hold, over hours and inside one that is cut, are added exactly."""
    book = BookOfLines(memory_session())
    large = 2**63 - 1 - 2**31
    start_us = at_us(BEGINNINGS[0])
    for place in range(20):
        attempt = book.reserve(start_us + place * 10 * MINUTE_US, Attempt(0, 0, large, deployment=f"d{place}"))
        if place % 2:
            book.end(attempt.at_us, attempt, "settle", large, saved=-large)
    book.write()
    whole = answered(book, Question(("route",)))
    assert [(row.group, row.sums) for row in whole.rows] == [(("chat",), whole.total)]
    assert (whole.total.settled_nano_usd, whole.total.reserved_nano_usd) == (10 * large, 10 * large)
    assert whole.total.saved_nano_usd == -10 * large
    cut = answered(book, Question(("route",), start_us + 1, start_us + 9 * 10 * MINUTE_US))
    assert (cut.total.settled_nano_usd, cut.total.reserved_nano_usd) == (4 * large, 4 * large)
    assert cut.total.saved_nano_usd == -4 * large


def test_an_overflow_is_the_only_error_that_is_tried_again() -> None:
    """A book that cannot be read is an error at once."""

    class Broken:
        asked = 0

        def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
            self.asked += 1
            raise LedgerUnavailableError("its disk reports an error")

    broken = Broken()
    with pytest.raises(LedgerUnavailableError, match="its disk"):
        report(broken, Question())  # type: ignore[arg-type]
    assert broken.asked == 1


def test_policies_count_everywhere_and_once_in_the_total() -> None:
    """An attempt under two policies stands in both rows; the total has it once."""
    book = BookOfLines(memory_session())
    for policies in (("a", "b"), ("b",), ()):
        attempt = book.reserve(HOUR_US, Attempt(0, 0, 100, policies=policies))
        book.end(HOUR_US, attempt, "settle", 10)
    book.write()
    found = answered(book, Question(("policy",)))
    assert {row.group[0]: row.sums.settled_nano_usd for row in found.rows} == {"": 10, "a": 10, "b": 20}
    assert found.total.settled_nano_usd == 30


def test_hours_that_come_twice_stand_apart_in_the_order_of_time() -> None:
    """When clocks go back, two hours have the same name and another offset; the earlier one comes first."""
    book = BookOfLines(memory_session())
    midnight_us = at_us(datetime(2026, 10, 25, tzinfo=UTC))
    for hour in (0, 1):
        book.reserve(midnight_us + hour * HOUR_US, Attempt(0, 0, 1))
    book.write()
    found = answered(book, Question(("hour",), zone=ZoneInfo("Europe/Berlin")))
    assert [row.group[0] for row in found.rows] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]


def test_no_group_is_the_total_alone() -> None:
    """Without groups there are no rows; an empty book comes to nothing."""
    book = BookOfLines(memory_session())
    assert answered(book, Question(())).total == Sums()
    book.reserve(HOUR_US, Attempt(0, 0, 5))
    book.write()
    found = answered(book, Question((), HOUR_US))
    assert found.rows == ()
    assert (found.total.attempts, found.total.reserved_nano_usd) == (1, 5)


@pytest.mark.parametrize("text", ["", "colour", "tag.", "route,", "route,route", "route,model,day", "tag", "Route"])
def test_what_is_no_group_is_refused(text: str) -> None:
    """Unknown names, the same twice and more than two are wrong requests, said in one sentence."""
    with pytest.raises(RequestError, match=r"is none of .*tag.NAME|names a group twice|name one or two"):
        groups_of(text)


def test_two_groups_are_too_many_for_the_port() -> None:
    """A row of `spend` has one name."""
    with pytest.raises(RequestError, match="ask for a report"):
        spend(memory_session(), by="route,model")


@pytest.mark.parametrize("until_us", [HOUR_US, HOUR_US - 1])
def test_an_end_before_the_beginning_is_refused(until_us: int) -> None:
    """Such a report would be empty, and mean nothing."""
    with pytest.raises(RequestError, match="not after its begin"):
        report(memory_session(), Question(("route",), HOUR_US, until_us))


def test_archived_hours_count_as_a_whole_and_are_never_cut() -> None:
    """Lines that were moved away stay in the sums of their hours; a report that would need them apart is refused."""
    book = BookOfLines(memory_session())
    for place in range(4):
        attempt = book.reserve(place * HOUR_US, Attempt(0, 0, 100))
        book.end(place * HOUR_US + 1, attempt, "settle", 10 + place)
    book.write()
    session = book.session
    session.run("DELETE FROM entries WHERE seq <= 4")
    session.run("UPDATE state SET first_seq = 5")
    assert answered(book, Question(("route",), 0)).total.settled_nano_usd == 46
    assert answered(book, Question(("route",), HOUR_US)).total.settled_nano_usd == 36
    assert answered(book, Question(("route",), 2 * HOUR_US + 1)).total.settled_nano_usd == 13
    for since_us in (1, HOUR_US + 1):
        with pytest.raises(RequestError, match="in an archive"):
            answered(book, Question(("route",), since_us))


def test_moments_beyond_the_calendar_are_no_error() -> None:
    """Whoever asks since the year 300,000 gets nothing, and since before 1970 everything."""
    book = BookOfLines(memory_session())
    book.reserve(HOUR_US, Attempt(0, 0, 5))
    book.write()
    assert spend(book.session, by="route", since_s=1e15) == ()
    assert spend(book.session, by="route", since_s=-1e15, until_s=1e15)[0].attempts == 1
    assert astuple(answered(book, Question((), -1, 2**80)).total)[1] == 1
