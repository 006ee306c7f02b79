"""A provider's bill against the book: sure matches are proposed, doubtful ones listed, and nothing is guessed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.pricing import Usage
from modelrouter.errors import RequestError
from modelrouter.ledger.audit.export import moment
from modelrouter.ledger.audit.reconcile import reconcile
from modelrouter.ledger.audit.statement import Charge, read_statement
from tests.ledger.audit_book import START_US, HonestBook, session_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelrouter.ledger.audit.reconcile import Reconciliation

MINUTE_US = 60_000_000
MODEL = "mistral-small-3.2"


@pytest.fixture
def book() -> HonestBook:
    """An uncertain attempt, an expired one, a settled one and a released one, ten minutes apart."""
    made = HonestBook()
    made.open(1)
    for name, kind in (("unsure", "uncertain"), ("lost", "expire"), ("paid", "settle"), ("free", "release")):
        seq = made.reserve(1, name, 50_000, call=f"call-{name}", request_id=f"q-{name}")
        made.at_us += MINUTE_US
        if kind == "settle":
            made.settle(1, seq, Usage(1000, 20))
        else:
            made.end(1, seq, kind)
        made.at_us += 9 * MINUTE_US
    return made


@contextmanager
def reading(book: HonestBook, path: Path) -> Iterator[Any]:
    """The book, to be read."""
    book.save(path)
    session = session_on(path)
    session.snapshot()
    yield session
    session.close()


def compared(book: HonestBook, path: Path, *charges: Charge, **options: Any) -> Reconciliation:
    """What comes of an export with these lines."""
    with reading(book, path) as session:
        return reconcile(session, charges, **options)


def names(found: list[Any]) -> list[str]:
    """The reservations of matches or attempts."""
    return [getattr(each, "attempt", each).reservation.reservation_id for each in found]


@pytest.mark.parametrize("key", ["reservation_id", "call_id", "request_id"])
def test_a_line_that_names_one_of_our_ids_belongs_to_it(book: HonestBook, tmp_path: Path, key: str) -> None:
    """By any of the three ids; the correction brings the attempt to what was charged, with its usage."""
    names_it: dict[str, Any] = {key: {"reservation_id": "unsure", "call_id": "call-unsure"}.get(key, "q-unsure")}
    charge = Charge(2, 123, input_tokens=40, output_tokens=3, **names_it)
    found = compared(book, tmp_path / "b.db", charge)
    [match] = found.corrections
    assert (match.attempt.booked, match.cost_nano_usd, match.change_nano_usd) == (50_000, 123, -49_877)
    correction = match.correction()
    assert (correction.reservation_id, correction.cost_nano_usd) == ("unsure", 123)
    assert correction.usage == Usage(40, 3)
    assert "line 2" in correction.why


def test_a_line_without_an_id_belongs_to_the_only_attempt_that_fits(book: HonestBook, tmp_path: Path) -> None:
    """Model and time decide; a settled attempt takes the line with its tokens, and one that agrees needs nothing."""
    paid = Usage(1000, 20)
    cost = next(each["amount_nano_usd"] for each in book.lines if each["kind"] == "settle")
    found = compared(
        book,
        tmp_path / "b.db",
        Charge(2, 700, START_US + 30_000_000, MODEL),
        Charge(3, cost, START_US + 20 * MINUTE_US, MODEL, paid.input_tokens, paid.output_tokens),
        Charge(4, 5, START_US + 20 * MINUTE_US, "another-model"),
    )
    assert names(found.corrections) == ["unsure"]
    assert names(found.agreeing) == ["paid"]
    assert [each.line for each in found.unmatched] == [4]
    assert names(found.missing) == ["lost"]
    assert not found.is_complete


def test_a_settled_attempt_is_left_as_it_is(book: HonestBook, tmp_path: Path) -> None:
    """Its cost came with the reply: a bill that says otherwise is listed, and no correction is proposed."""
    found = compared(book, tmp_path / "b.db", Charge(2, 1, reservation_id="paid"))
    assert names(found.differing) == ["paid"]
    assert found.corrections == []


def test_a_release_that_was_charged_after_all_is_corrected(book: HonestBook, tmp_path: Path) -> None:
    """Where a bill names it, it cost something."""
    found = compared(book, tmp_path / "b.db", Charge(2, 77, call_id="call-free"))
    assert [(names([each]), each.change_nano_usd) for each in found.corrections] == [(["free"], 77)]


def test_what_fits_twice_is_listed_and_not_guessed(tmp_path: Path) -> None:
    """Two uncertain attempts at the same time and two lines: who belongs to whom cannot be told."""
    book = HonestBook()
    book.open(1)
    seqs = [book.reserve(1, name, 500) for name in ("one", "other")]
    for seq in seqs:
        book.end(1, seq, "uncertain")
    lines = [Charge(2, 10, START_US, MODEL), Charge(3, 20, START_US, MODEL)]
    found = compared(book, tmp_path / "b.db", *lines, complete=True)
    assert found.corrections == []
    assert [each.line for each in found.ambiguous] == [2, 3]
    assert names(found.missing) == ["one", "other"]
    sure = compared(book, tmp_path / "c.db", lines[0], Charge(3, 20, reservation_id="other"))
    assert sorted((*names([each]), each.cost_nano_usd) for each in sure.corrections) == [("one", 10), ("other", 20)]


def test_a_line_that_is_there_twice_charges_nobody_twice(book: HonestBook, tmp_path: Path) -> None:
    """Two lines for one attempt are doubtful, both of them."""
    found = compared(book, tmp_path / "b.db", Charge(2, 10, call_id="call-lost"), Charge(3, 12, call_id="call-lost"))
    assert found.corrections == []
    assert [each.line for each in found.ambiguous] == [2, 3]


def test_only_a_complete_export_says_that_an_attempt_was_free(book: HonestBook, tmp_path: Path) -> None:
    """Without `complete` an uncertain attempt that is not in it stays uncertain; with it, it cost nothing."""
    around = [Charge(2, 0, START_US - 1, "m"), Charge(3, 0, START_US + 60 * MINUTE_US, "m")]
    assert names(compared(book, tmp_path / "b.db", *around).missing) == ["unsure", "lost"]
    found = compared(book, tmp_path / "c.db", *around, complete=True)
    assert [(names([each]), each.change_nano_usd) for each in found.corrections] == [
        (["unsure"], -50_000),
        (["lost"], -50_000),
    ]
    assert "not in" in found.corrections[0].correction().why


def test_another_operators_attempts_are_not_looked_at(book: HonestBook, tmp_path: Path) -> None:
    """With `provider` only its own attempts can be meant."""
    charge = Charge(2, 9, START_US, MODEL)
    assert names(compared(book, tmp_path / "b.db", charge, provider="operator of small").corrections) == ["unsure"]
    assert compared(book, tmp_path / "c.db", charge, provider="somebody").unmatched == [charge]


def test_what_was_reconciled_once_agrees_the_second_time(book: HonestBook, tmp_path: Path) -> None:
    """Running it again changes nothing."""
    charge = Charge(2, 123, reservation_id="unsure")
    book.correct(1, 3, 123 - 50_000)
    found = compared(book, tmp_path / "b.db", charge)
    assert (found.corrections, names(found.agreeing)) == ([], ["unsure"])


# --- reading ----------------------------------------------------------------------------------------------------------


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    """Either form, other names for columns, a byte-order mark, columns that nobody knows, and every way of a moment."""
    table = tmp_path / "bill.csv"
    table.write_text(
        "\ufefftimestamp,model,prompt_tokens,completion_tokens,cost,region\n"
        "2026-09-21T14:13:20Z,m,12,3,$0.0000000015,eu\n"
        "2026-09-21T16:13:20+02:00,m,,,1,eu\n",
        encoding="utf-8",
    )
    lines = tmp_path / "bill.jsonl"
    lines.write_text(
        '{"time": 1790000000, "model": "m", "input_tokens": 12, "output_tokens": 3, "cost_usd": 0.0000000015}\n\n'
        '{"time": "2026-09-21T14:13:20", "model": "m", "cost_usd": "1", "input_tokens": null}\n',
        encoding="utf-8",
    )
    first, second = read_statement(table)
    assert first == Charge(2, 2, START_US, "m", 12, 3)
    assert second == Charge(3, 1_000_000_000, START_US, "m")
    assert [(each.cost_nano_usd, each.at_us, each.input_tokens) for each in read_statement(lines)] == [
        (2, START_US, 12),
        (1_000_000_000, START_US, None),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "line 1 has none of the columns"),
        ("cost,time,model\n1,2026-01-01,m\nx,2026-01-01,m\n", "line 3: `x` is no cost"),
        ("cost,time,model\n-1,2026-01-01,m\n", "line 2: `-1` is no cost that a book can hold"),
        ("cost,time,model\nNaN,2026-01-01,m\n", "line 2: `NaN` is no cost that a book can hold"),
        ("cost,time,model\n1,yesterday,m\n", "line 2: `yesterday` is no moment"),
        ("cost,time,model,input_tokens\n1,2026-01-01,m,1.5\n", "line 2: `1.5` is no count"),
        ("cost,time,model\n1,2026-01-01\n", "line 2 has more or fewer values"),
        ("cost,time\n1,2026-01-01\n", "line 2 names none of our ids"),
        ("time,model\n2026-01-01,m\n", "line 2: it has no `cost_usd`"),
        ('{"cost": 1, "call_id": "c"}\n[1]\n', "line 2 is no JSON object"),
        ('cost,call_id\n"1,c\n', "is no CSV"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    """One sentence, with the line to look at."""
    path = tmp_path / "bill"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        read_statement(path)
    assert said in str(caught.value)


def test_a_file_that_is_no_text_or_not_there_is_said_so(tmp_path: Path) -> None:
    """A spreadsheet's own format, and a name that is wrong."""
    path = tmp_path / "bill.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(RequestError, match="no UTF-8 text"):
        read_statement(path)
    with pytest.raises(RequestError, match="cannot be read: no such file"):
        read_statement(tmp_path / "missing.csv")


def test_moments_keep_every_microsecond() -> None:
    """As exports write them, and as they are read again."""
    assert moment(START_US + 7) == "2026-09-21T14:13:20.000007Z"
    assert json.dumps(moment(0)) == '"1970-01-01T00:00:00.000000Z"'
