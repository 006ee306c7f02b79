"""A writer that hashes honestly and books wrongly: chains prove nothing about amounts, the auditor's other rules do."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import Hours, PriceChange, PriceList, Rates, Usage
from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.verify import verify
from tests.ledger.audit_book import START_US, HonestBook, text
from tests.ledger.tampering import FoundError, StopAtFirst

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.ledger.audit.verify import Report

MINUTE_US = 60_000_000


class Rows:
    """A book in memory, to be read."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, sql: str, values: Any = ()) -> list[Any]:
        """Run a statement and return all its rows."""
        found: list[Any] = self.connection.execute(sql, values).fetchall()
        return found


def audited(book: HonestBook, *statements: str) -> Report:
    """What the audit says of a book, after something more was done to its tables."""
    with closing(book.unguarded()) as connection:
        for statement in statements:
            connection.execute(statement)
        return verify(Rows(connection))


@pytest.fixture
def book() -> HonestBook:
    """A book with a budget by the day, and one reservation of 50,000 nano-dollars in line 4."""
    made = HonestBook()
    made.open(1)
    made.apply(1, [Budget("day", 100_000, Window.DAY, each="tag.team")])
    assert made.reserve(1, "r-1", 50_000, tags={"team": "a"}) == 4
    return made


def settled(book: HonestBook, **columns: Any) -> None:
    """Settle line 4 with any columns."""
    usage = {"input_tokens": 1000, "output_tokens": 10, "duration_us": 7}
    book.line(1, "settle", **{"resolves": 4, **usage, **columns})


@pytest.mark.parametrize(
    ("lie", "kind", "said"),
    [
        (lambda book: settled(book, amount=37_301), "reprice", "$0.000037301, and its usage at its price comes to"),
        (lambda book: settled(book, amount=37_299), "reprice", "comes to $0.0000373"),
        (lambda book: settled(book, amount=60_000, input_tokens=None), "amount", "and $0.00005 were reserved"),
        (lambda book: settled(book, amount=0, input_tokens=-5), "usage", "a count is negative"),
        (lambda book: settled(book, amount=9, reasoning_tokens=11), "usage", "more reasoning than output"),
        (lambda book: settled(book, amount=9, units="{"), "usage", "cannot be true"),
        (lambda book: settled(book, amount=50_000, output_tokens=900), "amount", "never booked as an overrun"),
        (lambda book: book.line(1, "release", 5, resolves=4), "amount", "is a release, and books"),
        (lambda book: book.line(1, "expire", 49_999, resolves=4), "amount", "expired at"),
        (lambda book: book.line(1, "uncertain", 50_001, resolves=4), "amount", "were reserved"),
        (lambda book: book.line(1, "uncertain", 1, resolves=2), "ends", "no reservation without an end"),
        (lambda book: book.line(1, "correction", 1, corrects=4, content='{"why":"x"}'), "corrects", "with an end"),
        (lambda book: book.line(1, "overrun", 1, corrects=99), "corrects", "no reservation with an end"),
        (lambda book: book.line(1, "bonus", 1), "kind", "`bonus` is no kind of line"),
        (lambda book: book.line(1, "budgets", content="[1]"), "budgets", "does not hold budgets"),
        (lambda book: book.line(1, "checkpoint", content="{}"), "checkpoint", "does not hold the ends"),
        (lambda book: book.line(1, "checkpoint", content='{"heads":{}}'), "checkpoint", "has grown"),
        (lambda book: book.line(1, "documents", content="{}x"), "documents", "does not list documents"),
        (lambda book: book.line(1, "archive", content="{}"), "archive", "does not say what was archived"),
        (lambda book: book.line(1, "open", content="{}"), "chain", "first line, and no other"),
    ],
)
def test_a_line_that_must_not_be_is_named(
    book: HonestBook, lie: Callable[[HonestBook], object], kind: str, said: str
) -> None:
    """Whatever its hash is: the rule that it breaks is said, at its line."""
    lie(book)
    found = [each for each in audited(book).faults if each.kind == kind]
    assert any(said in each.text for each in found), audited(book).faults


def test_two_ends_are_one_too_many(book: HonestBook) -> None:
    """A reservation ends once; whatever comes later must correct it."""
    book.end(1, 4, "release")
    book.line(1, "uncertain", 50_000, resolves=4)
    assert audited(book).counts["ends"] == 2  # seen in the order of the lines, and in the column


def test_a_correction_below_nothing_is_named(book: HonestBook) -> None:
    """No attempt costs less than nothing, all corrections together."""
    book.end(1, 4, "uncertain")
    book.correct(1, 4, -50_000)
    assert audited(book).is_good
    book.correct(1, 4, -1)
    assert [each.text for each in audited(book).faults] == ["it brings the cost of line 4 to -$0.000000001"]


def test_an_overrun_is_what_lies_above_the_bound(book: HonestBook) -> None:
    """Settled at the bound, and the rest to the last digit in a line of its own."""
    usage = Usage(1000, 900)
    book.settle(1, 4, usage)
    assert audited(book).is_good
    book.lines[-1]["amount_nano_usd"] += 1
    wrong = audited(book.rewritten(len(book.lines), amount_nano_usd=book.lines[-1]["amount_nano_usd"]))
    assert "it books an overrun of $0.000343301, not $0.0003433" in [each.text for each in wrong.faults]


def test_more_set_aside_than_a_limit_allows_is_named(book: HonestBook) -> None:
    """At the line that passed it, with the budget, its scope and both amounts; another scope has room of its own."""
    book.reserve(1, "r-2", 50_000, tags={"team": "a"})
    book.reserve(1, "r-3", 100_000, tags={"team": "b"})
    assert audited(book).is_good
    seq = book.reserve(1, "r-4", 1, tags={"team": "a"})
    [fault] = audited(book).faults
    assert (fault.kind, fault.seq) == ("admission", seq)
    assert fault.text == "budget `day` for `a` held $0.000100001 after it, and its limit was $0.0001"


def test_an_excess_that_nobody_admitted_is_none(book: HonestBook) -> None:
    """Overruns, corrections and lowered limits may leave more spent than allowed; only the next admission may not."""
    book.settle(1, 4, Usage(10_000, 900))
    assert audited(book).is_good
    book.apply(1, [Budget("day", 10, Window.DAY, each="tag.team")])
    assert audited(book).is_good
    book.reserve(1, "r-2", 1, tags={"team": "a"})
    assert audited(book).counts == {"admission": 1}


def test_a_budget_counts_what_its_window_had_spent_before_it_came(book: HonestBook) -> None:
    """In force from one line on, it knows earlier lines of its window, and no earlier window."""
    book.end(1, 4, "uncertain")
    rolling = Budget("hour", 60_000, Window.ROLLING, length_s=3600)
    book.apply(1, [rolling])
    book.reserve(1, "r-2", 10_000, tags={"team": "a"})
    assert audited(book).is_good
    book.at_us += 3600 * 1_000_000 + MINUTE_US
    book.reserve(1, "r-3", 60_000)
    assert audited(book).is_good
    book.at_us -= MINUTE_US * 30
    book.reserve(1, "r-4", 1)
    assert audited(book).counts == {"admission": 1, "state": 1, "time": 1}


def test_a_call_belongs_to_its_first_reservation(book: HonestBook) -> None:
    """Its record is digested there and nowhere else."""
    book.reserve(1, "r-2", 5, call="call-r-1")
    assert audited(book).is_good
    book.lines[-1]["call_digest"] = "0" * 64
    twice = book.rewritten(len(book.lines), call_digest="0" * 64)
    assert [each.text for each in audited(twice).faults] == [
        "it digests call `call-r-1`, whose first reservation it is not"
    ]
    never = book.rewritten(4, call_digest=None)
    never.calls = dict(book.calls)
    assert "begins here, and nothing vouches for its record" in audited(never).faults[0].text


def test_a_late_settlement_is_priced_again(book: HonestBook) -> None:
    """What came after the lease had lapsed brings the attempt to usage times price, as if it had come in time."""
    book.end(1, 4, "expire")
    usage = Usage(1000, 10)
    late = {**book.counts(usage), "duration_us": 5, "content": text({"why": "late", "billing": "billed"})}
    book.line(1, "correction", 37_300 - 50_000, corrects=4, **late)
    assert audited(book).is_good
    assert audited(book).repriced == 1
    other = book.rewritten(len(book.lines), amount_nano_usd=-50_000)
    assert audited(other).counts == {"reprice": 1}


def test_a_price_by_the_hour_is_checked_within_its_windows() -> None:
    """When exactly an attempt began is not in the book: any moment between its lines may have decided."""
    night = Hours(0, 360, Rates(input_usd_per_mtok=Decimal(1), output_usd_per_mtok=Decimal(1)))
    price = PriceList(Decimal(2), Decimal(2), hours=(night,))
    for cost, is_good in ((2_000_000, True), (1_000_000, True), (2_000_001, False), (999_999, False)):
        book = HonestBook(at_us=START_US - START_US % 86_400_000_000 + 6 * 3_600_000_000 - MINUTE_US)
        book.open(1)
        seq = book.reserve(1, "r-1", 5_000_000, price=price)
        book.at_us += 2 * MINUTE_US
        book.line(1, "settle", cost, resolves=seq, input_tokens=900, output_tokens=100, duration_us=1_000_000)
        assert audited(book).is_good is is_good


def test_a_price_that_changed_on_a_day_and_one_by_machine_hours_are_checked() -> None:
    """Days decide as hours do; a duration is charged to the microsecond that it was booked with."""
    after = PriceChange(date(2026, 10, 1), PriceList(Decimal(4), Decimal(4)))
    changing = PriceList(Decimal(2), Decimal(2), changes=(after,))
    hourly = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal("3.6"))
    for price, cost in ((changing, 2_000_000), (hourly, 1_000_000)):
        book = HonestBook()
        book.open(1)
        seq = book.reserve(1, "r-1", 5_000_000, price=price)
        book.at_us += MINUTE_US
        book.line(1, "settle", cost, resolves=seq, input_tokens=900, output_tokens=100, duration_us=1_000_000)
        assert audited(book).is_good
        wrong = book.rewritten(len(book.lines), amount_nano_usd=cost + 1_000)
        assert audited(wrong).counts == {"reprice": 1}


def test_a_settlement_without_usage_is_counted_apart(book: HonestBook) -> None:
    """It cannot be priced again, and the report says how many there are."""
    settled(book, amount=7, input_tokens=None, output_tokens=None)
    report = audited(book)
    assert (report.is_good, report.repriced, report.unpriced) == (True, 0, 1)


def test_a_decision_names_policies_that_are_there(book: HonestBook) -> None:
    """Months later a call can be replayed only from texts that were kept."""
    digest = book.remember(1, "policy", "policy/house", "{}")
    decision = text({"policies": [["house", digest, "house"], ["route", "f" * 64, "route"]], "permitted": []})
    seq = book.reserve(1, "r-2", 5, decision=decision)
    [fault] = audited(book).faults
    assert (fault.kind, fault.seq) == ("documents", seq)
    assert fault.text == f"the document `{'f' * 64}` that it refers to is missing"


def test_an_archive_line_about_lines_that_are_here_is_named(book: HonestBook) -> None:
    """A line that says what went, while it is still there."""
    content = json.dumps({"last_seq": 2, "rollups": ""})
    seq = book.line(1, "archive", content=content)
    first = audited(book).faults[0]
    assert (first.kind, first.seq) == ("archive", seq)


@pytest.mark.parametrize("statement", ["DELETE FROM state", "UPDATE state SET first_seq = 3"])
def test_a_book_whose_beginning_is_unknown_cannot_be_audited(book: HonestBook, statement: str) -> None:
    """Neither a state, nor a line that says what was archived: one sentence."""
    with pytest.raises(LedgerError, match="restore it from a copy"):
        audited(book, statement)


def test_an_audit_may_stop_at_its_first_fault(book: HonestBook) -> None:
    """Whoever only wants to know whether there is one need not wait for all."""
    with closing(book.unguarded()) as connection:
        connection.execute("UPDATE entries SET at_us = 0 WHERE seq = 4")
        with pytest.raises(FoundError, match="time 4"):
            verify(Rows(connection), findings=StopAtFirst())


def test_only_the_first_faults_are_kept_in_full(book: HonestBook) -> None:
    """One wrong line near the beginning makes many later sums differ; all are counted."""
    for number in range(40):
        book.line(1, f"x{number}")
    report = audited(book)
    assert (report.counts, len(report.faults)) == ({"kind": 40}, 20)
