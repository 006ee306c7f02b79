"""Cells that no spreadsheet calculates, and periods as people write them."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.cli.audit.period import period_of
from modelrouter.cli.audit.sheet import Sheet, csv_of
from tests.strategies import everyday


def cells(*row: str | int | None) -> list[str]:
    """A row as a spreadsheet reads it."""
    sheet = Sheet("s", "about", {f"c{place}": "" for place in range(len(row))}, [row])
    _, found = csv.reader(io.StringIO(csv_of(sheet), newline=""))
    return found


def test_what_looks_like_a_formula_gets_an_apostrophe() -> None:
    """Numbers stay numbers, negative ones too; text that a spreadsheet would calculate does not."""
    assert cells("=1+1", "+49 30", "-x", "@cmd", "\tx", "\r=x") == ["'=1+1", "'+49 30", "'-x", "'@cmd", "'\tx", "'\n=x"]
    assert cells("-0.5", "12", 7, -7, None, "a=b", "") == ["-0.5", "12", "7", "-7", "", "a=b", ""]


@everyday(60)
@given(
    st.builds(
        str.__add__, st.sampled_from(("", "=", "-", "\r", "\t")), st.text(st.characters(codec="utf-8"), max_size=9)
    )
)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    """Whatever is written, what is read back is that, or that behind an apostrophe; line breaks are one kind."""
    (found,) = cells(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    assert found in {text, f"'{text}"}
    assert not found.startswith(("=", "@", "\t", "\n", "\uff1d"))
    if found.startswith(("+", "-")):
        assert found.startswith("-")
        assert float(found) <= 0


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-10-15..2026-10-15", date(2026, 10, 15), date(2026, 10, 15)),
    ],
)
def test_periods(text: str, first: date, last: date) -> None:
    """Whole days, both ends inside; the end in microseconds is that of the last day."""
    found = period_of(text)
    assert (found.first, found.last) == (first, last)
    assert found.until_us - found.since_us == (last - first + timedelta(days=1)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text", ["2026-Q5", "2026-13", "26", "", "..", "2026-12-01..2026-11-01", "last month", "9999", "9999-Q4"]
)
def test_what_is_no_period(text: str) -> None:
    """It is told how to write one."""
    with pytest.raises(typer.BadParameter):
        period_of(text)
