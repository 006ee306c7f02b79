"""What `modelrouter spend` prints, from reports that are made up: tables, bars, blocks, documents and CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
import typer
from rich.cells import cell_len

from modelrouter.cli.spend.compare import Comparison
from modelrouter.cli.spend.documents import print_csv, print_json
from modelrouter.cli.spend.screen import show
from modelrouter.cli.spend.view import MONEY, View, view_of
from modelrouter.cli.spend.when import moment_us, written, zone_of
from modelrouter.core.budget import Balance, Budget, Position, Window
from modelrouter.core.pricing import PriceList
from modelrouter.ledger.reports import Question, Report, ReportRow, Sums

if TYPE_CHECKING:
    from collections.abc import Callable

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
SMALL: Final = Sums(
    calls=3,
    attempts=4,
    failures=1,
    input_tokens=3_000,
    cached_input_tokens=1_000,
    output_tokens=600,
    settled_nano_usd=2_000_000_001,
    failed_nano_usd=5,
    saved_nano_usd=-7,
)
LARGE: Final = Sums(attempts=1, settled_nano_usd=10**10, uncertain_nano_usd=2 * 10**10, reserved_nano_usd=10**10)
MONTH: Final = Position(
    Budget("month", 100 * 10**9, Window.MONTH), "", Balance(10 * 10**9, 20 * 10**9, 5 * 10**9), 1_796_083_200_000_000
)
TEAM: Final = Position(Budget("team", 10**9, Window.TOTAL, each="tag.team"), "a", Balance(2 * 10**9), None)


def view(*rows: tuple[tuple[str, ...], Sums], by: tuple[str, ...] = ("deployment",), **rest: Any) -> View:
    """A view of these rows; `limit` and fields of `View` may be given."""
    limit: int | None = rest.pop("limit", None)
    total = Sums()
    for _, sums in rows:
        total = total.plus(sums)
    question = Question(by, zone=rest.pop("zone", UTC))
    blank = replace(View(question, "book.db"), **rest)
    return view_of(Report(tuple(ReportRow(*row) for row in rows), total), blank, limit)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[View, int], list[str]]:
    """Prints a view in a terminal of some columns; its lines."""

    def lines(what: View, columns: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        show(what)
        return capsys.readouterr().out.splitlines()

    return lines


def test_the_dearest_come_first_and_the_others_are_one_row() -> None:
    """A limit leaves out the cheapest, and nothing of the sums."""
    found = view((("a",), SMALL), (("b",), LARGE), (("c",), SMALL), limit=1)
    assert [line.group for line in found.lines] == [("b",)]
    assert found.others is not None
    assert (found.others_count, found.others.sums) == (2, SMALL.plus(SMALL))
    assert found.total.sums == SMALL.plus(SMALL).plus(LARGE)


def test_rows_by_time_stay_in_order_and_the_newest_are_kept() -> None:
    """A limit on days is about the last days."""
    days = [((f"2026-11-0{day}",), SMALL if day % 2 else LARGE) for day in (1, 2, 3)]
    found = view(*days, by=("day",), limit=2)
    assert [line.group[0] for line in found.lines] == ["2026-11-02", "2026-11-03"]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 120, 160, 240])
@pytest.mark.parametrize("compared", [False, True])
def test_no_line_is_wider_than_the_terminal_and_no_amount_is_cut(
    columns: int, compared: bool, shown: Callable[[View, int], list[str]]
) -> None:
    """However narrow it is, every amount stands there with all its digits."""
    rows = ((("small-with-a-very-long-name-indeed",), SMALL), (("大きい",), LARGE))
    comparison = Comparison("m", "o", PriceList(Decimal(1), Decimal(2)), "the tests") if compared else None
    lines = shown(view(*rows, comparison=comparison, positions=(MONTH, TEAM)), columns)
    assert columns < 60 or max(map(cell_len, lines)) <= columns
    text = "\n".join(lines)
    for amount in ("$2.000000001", "$12.000000001", "-$0.000000007", "$65", "over by $1"):
        assert amount in text
    assert "…" not in text
    assert ("estimate: the same tokens at m@o" in " ".join(text.split())) == compared


def test_counts_give_way_before_money_does(shown: Callable[[View, int], list[str]]) -> None:
    """A wide terminal shows everything with bars; a narrower one leaves out the cached share first, money never."""
    rows = view((("small",), SMALL), (("large",), LARGE))
    wide = shown(rows, 170)
    assert wide[0].split() == [
        *("deployment", "calls", "attempts", "failed", "in", "cached", "out"),
        *("settled", "uncertain", "reserved", "of", "it", "failed", "saved", "(est.)"),
    ]
    assert any("█" in line and "▒" in line and "░" in line for line in wide)
    narrow = shown(rows, 100)[0].split()
    assert "cached" not in narrow
    assert "uncertain" in narrow
    assert "settled" in narrow


def test_bars_are_as_long_as_the_money(shown: Callable[[View, int], list[str]]) -> None:
    """Half the money is half the bar; what is there at all is seen."""
    rows = [((name,), Sums(settled_nano_usd=amount)) for name, amount in (("a", 10**9), ("b", 10**9 // 2), ("c", 1))]
    lengths = [line.count("█") for line in shown(view(*rows), 120) if "█" in line]
    assert lengths == [24, 12, 1]


def test_a_terminal_without_blocks_gets_letters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In ASCII, bars are drawn with marks that every terminal has."""
    monkeypatch.setenv("COLUMNS", "150")
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    show(view((("large",), LARGE), positions=(MONTH,)))
    plain.flush()
    assert isinstance(plain.buffer, io.BytesIO)
    text = plain.buffer.getvalue().decode("ascii")
    assert "######????????????......" in text
    assert "##?????." in text


def test_terminal_commands_in_names_are_not_passed_on(shown: Callable[[View, int], list[str]]) -> None:
    """A tag's value may hold anything; a terminal sees letters only."""
    text = "\n".join(shown(view((("red\x1b[31m\nnew",), SMALL), by=("tag.team",)), 200))
    assert "\x1b" not in text
    assert "red[31m new" in text


def test_budgets_tell_what_is_left(shown: Callable[[View, int], list[str]]) -> None:
    """Limit less all that is used; more than the limit is said in words; a narrow terminal drops the reset."""
    lines = shown(view((("a",), SMALL), positions=(MONTH, TEAM)), 120)
    month = next(line for line in lines if line.startswith("month"))
    assert month.split()[:7] == ["month", "all", "$100", "$30", "$5", "$65", "2026-12-01T00:00:00Z"]
    assert "over by $1" in next(line for line in lines if line.startswith("team"))
    assert "2026-12" not in "\n".join(shown(view(positions=(MONTH, TEAM)), 60))


def test_notes_speak_only_of_what_is_there(shown: Callable[[View, int], list[str]]) -> None:
    """Estimates are marked, double counting is told, and a plain table has no notes."""
    assert len(shown(view((("a",), Sums(attempts=1, settled_nano_usd=1))), 120)) == 5
    text = "\n".join(shown(view((("a",), SMALL), by=("policy",), baseline="gpt"), 200))
    assert "saved: an estimate: what `gpt` would have cost" in text
    assert "once in the total" in text
    assert "keyed hashes" in "\n".join(shown(view((("~1",), SMALL), by=("tag.u",), personal=("tag.u",)), 200))


def test_an_empty_report_is_one_sentence(shown: Callable[[View, int], list[str]]) -> None:
    """It says since when, and where the book is."""
    question = Question(("day",), 0, 3_600_000_000, ZoneInfo("Europe/Berlin"))
    [line] = shown(View(question, "book.db"), 80)
    assert line == "nothing is booked since 1970-01-01T01:00:00+01:00 until 1970-01-01T02:00:00+01:00: book.db"


def test_the_document_has_exact_amounts_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """As text of dollars and as whole nano-dollars, for each kind of money, for budgets and for the comparison."""
    comparison = Comparison("m", "o", PriceList(Decimal(1), Decimal(2)), "the tests")
    huge = Sums(settled_nano_usd=10**25 + 1)
    print_json(view((("a", "b"), SMALL), (("c", "d"), huge), by=("route", "model"), comparison=comparison, limit=1))
    document = json.loads(capsys.readouterr().out)
    assert document["groups"] == ["route", "model"]
    assert document["by"] == "route,model"
    assert document["rows"][0]["settled_nano_usd"] == 10**25 + 1
    assert document["rows"][0]["settled_usd"] == "10000000000000000.000000001"
    assert (document["rows"][0]["group"], document["rows"][0]["groups"]) == ("c / d", ["c", "d"])
    assert document["others"]["rows"] == 1
    assert document["others"]["compared_usd"] == "0.0042"
    assert document["others"]["difference_nano_usd"] == 4_200_000 - 2_000_000_001
    assert {f"{name}_{unit}" for name in MONEY for unit in ("usd", "nano_usd")} <= document["total"].keys()
    assert document["compared_to"] == {"model": "m", "operator": "o", "price": "the tests"}
    print_json(view(positions=(MONTH,)))
    [budget] = json.loads(capsys.readouterr().out)["budgets"]
    assert (budget["budget"], budget["left_usd"], budget["uncertain_nano_usd"]) == ("month", "65", 20 * 10**9)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=x", "' =x"),
        ("a\r\n=x\x1b[31m", "a  =x [31m"),
        ("", ""),
        ("~0f", "~0f"),
    ],
)
def test_no_cell_is_a_formula(name: str, cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a user wrote into a tag is text in a spreadsheet; other cells are as they are."""
    print_csv(view(((name, 'say "x", y'), SMALL), by=("tag.team", "route")))
    head, row = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert head[:3] == ["tag.team", "route", "calls"]
    assert row[:3] == [cell, 'say "x", y', "3"]
    assert dict(zip(head, row, strict=True))["saved_usd"] == "-0.000000007"


@pytest.mark.parametrize(
    ("text", "zone", "through", "means"),
    [
        ("90m", "UTC", False, "2026-11-22T10:30:00Z"),
        ("24h", "UTC", True, "2026-11-21T12:00:00Z"),
        ("7d", "Asia/Kolkata", False, "2026-11-15T12:00:00Z"),
        ("2w", "UTC", False, "2026-11-08T12:00:00Z"),
        ("2026-11-01", "UTC", False, "2026-11-01T00:00:00Z"),
        ("2026-11-01", "UTC", True, "2026-11-02T00:00:00Z"),
        ("2026-10-25", "Europe/Berlin", False, "2026-10-24T22:00:00Z"),
        ("2026-10-25", "Europe/Berlin", True, "2026-10-25T23:00:00Z"),
        ("2026-11-01T09:30", "Asia/Kolkata", True, "2026-11-01T04:00:00Z"),
        ("2026-11-01T09:30+01:00", "Asia/Kolkata", False, "2026-11-01T08:30:00Z"),
    ],
)
def test_moments_are_lengths_days_or_moments(text: str, zone: str, through: bool, means: str) -> None:
    """Lengths count back from now; days are those of the zone, and an end goes through its day."""
    assert written(moment_us(text, NOON, zone_of(zone), option="--since", through=through), UTC) == means


@pytest.mark.parametrize(
    "text", ["0d", "7", "d", "-1d", "7y", "2026-13-01", "", "2026-11-01T25:00", "\u0667d", "9999-12-31"]
)
def test_other_words_are_refused(text: str) -> None:
    """What is none of them is wrong use, the last day of the calendar as an end included."""
    with pytest.raises(typer.BadParameter, match="write it as `7d` or `2026-11-01`"):
        moment_us(text, NOON, UTC, option="--until", through=True)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe"])
def test_unknown_zones_are_refused(name: str) -> None:
    """A zone is a name that the system knows, and no file of one's own."""
    with pytest.raises(typer.BadParameter, match="is no time zone"):
        zone_of(name)
