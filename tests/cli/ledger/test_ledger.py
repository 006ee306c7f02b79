"""`modelrouter ledger …`: the book proved, kept, exported, corrected and moved."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter import AttemptsExhaustedError, Router
from modelrouter.core.pricing import Usage
from modelrouter.testing import FakeTransport, failure, reply
from tests.cli.command import SERVERLESS
from tests.ledger.audit_book import HonestBook, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

DAY_US = 86_400_000_000
TAGGED = SERVERLESS.replace("tags: {team: {}}", "tags: {team: {}, user: {personal: true}}")


@pytest.fixture
def booked(folder: Path) -> Path:
    """A book with an answer, a timeout that is uncertain, and a personal tag."""
    (folder / "modelrouter.yaml").write_text(TAGGED, encoding="utf-8")
    lane = FakeTransport(reply("one", input_tokens=1000, output_tokens=500), failure("timed_out"))
    with Router.from_config(transports={"direct": lane}) as router:
        router.complete("chat", "Hello", tags={"team": "a", "user": "ann@example.org"}, request_id="q-1")
        with pytest.raises(AttemptsExhaustedError):
            router.complete("chat", "Hello", tags={"team": "a"}, max_output_tokens=100)
    return folder


@pytest.fixture
def old(folder: Path) -> Path:
    """A book of two days, long ago."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    book = HonestBook()
    book.open(1)
    for number in range(4):
        seq = book.reserve(1, f"r-{number}", 50_000)
        book.at_us += 60_000_000
        book.settle(1, seq, Usage(100, number))
        book.at_us += DAY_US // 2
    book.save(folder / "modelrouter.db")
    return folder


def spoil(folder: Path) -> None:
    """Change an amount in the book, with the file in hands."""
    with closing(connect(folder / "modelrouter.db")) as connection:
        connection.execute("UPDATE entries SET amount_nano_usd = amount_nano_usd + 1 WHERE kind = 'settle'")


def test_a_book_that_calls_wrote_passes(booked: Path, run: Callable[..., Ran]) -> None:
    """What the router wrote is what the auditor expects, for people and for programs."""
    document = run("ledger", "verify", "--json").document
    assert document["good"] is True
    assert document["faults"] == []
    assert document["kinds"]["reserve"] == 2
    assert document["settled_usd"] == "0.002"
    assert document["repriced"] == 1
    shown = run("ledger", "verify")
    assert shown.code == 0
    assert "is as it was written" in shown.out


def test_a_changed_amount_is_found(booked: Path, run: Callable[..., Ran]) -> None:
    """Exit code 1, the line, and what is wrong with it."""
    spoil(booked)
    ran = run("ledger", "verify")
    assert ran.code == 1
    assert "its hash does not come from its columns" in ran.out
    document = run("ledger", "verify", "--json").document
    assert document["good"] is False
    assert document["fault_counts"]["chain"] == 1
    assert {"kind", "seq", "text"} == set(document["faults"][0])


def test_a_head_is_kept_and_compared(booked: Path, run: Callable[..., Ran]) -> None:
    """As text or in a file; one that is not of this book is exit code 1."""
    head = run("ledger", "head").out.strip()
    assert head == run("ledger", "head", "--json").document["head"]
    (booked / "head.txt").write_text(head + "\n", encoding="utf-8")
    assert run("ledger", "verify", "--against", head).code == 0
    assert run("ledger", "verify", "--against", "head.txt").code == 0
    _, seq, digest = head.split(":")
    other = run("ledger", "verify", "--against", f"mr1:{seq}:{digest[::-1]}")
    assert other.code == 1
    assert "is not the one that the head was taken of" in other.out
    later = run("ledger", "verify", "--against", f"mr1:{int(seq) + 5}:{digest}")
    assert later.code == 1
    assert f"taken at line {int(seq) + 5}, and the book ends at {seq}" in later.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "--against", "mr1:x"), "is no head"),
        (("verify", "--against", "nothing-here"), "neither a head nor a file"),
        (("verify", "--archive", "nothing-here"), "cannot be read: no such file"),
        (("export", "--format", "xlsx"), "none of jsonl, csv"),
        (("export", "--what", "calls"), "none of attempts, revocations"),
        (("export", "--since", "yesterday"), "is no length and no day"),
        (("reconcile", "--from", "nothing-here"), "cannot be read: no such file"),
        (("reconcile",), "missing option"),
        (("archive", "--before", "soon", "--to", "f"), "is no length and no day"),
        (("pseudonym", "team", "a"), "no personal tag"),
    ],
)
def test_wrong_use_is_one_sentence(
    booked: Path, run: Callable[..., Ran], arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, and what to change."""
    ran = run("ledger", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_there_must_be_a_book(folder: Path, run: Callable[..., Ran]) -> None:
    """Neither a missing file nor a foreign one is audited, and none is made."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    missing = run("ledger", "verify")
    assert missing.code == 1
    assert "there is no ledger at" in missing.err
    assert not (folder / "modelrouter.db").exists()
    (folder / "modelrouter.db").write_text("not a database, but long enough to be looked at as one", encoding="utf-8")
    assert "not a SQLite database" in run("ledger", "verify").err


def test_export_gives_one_row_for_each_attempt(booked: Path, run: Callable[..., Ran]) -> None:
    """Ids and request_id in clear, tags, price as text, each kind of money apart; the same as JSON lines and as CSV."""
    first, second = (json.loads(line) for line in run("ledger", "export").out.splitlines())
    assert (first["request_id"], first["state"], first["settled_usd"], first["uncertain_usd"]) == (
        "q-1",
        "settled",
        "0.002",
        "0",
    )
    assert json.loads(first["tags"])["team"] == "a"
    assert "ann@example.org" not in json.dumps(first)
    assert json.loads(first["price"])["version"] == 2
    assert (second["state"], second["failure"]) == ("uncertain", "timed_out")
    assert second["uncertain_usd"] == second["booked_usd"] == second["bound_usd"]
    table = list(csv.DictReader(io.StringIO(run("ledger", "export", "--format", "csv").out)))
    assert [row["reservation_id"] for row in table] == [first["reservation_id"], second["reservation_id"]]
    assert {name: row for name, row in table[0].items() if name == "price"} == {"price": first["price"]}
    assert run("ledger", "export", "--since", "2999-01-01").out == ""


def test_export_writes_a_new_file_only(booked: Path, run: Callable[..., Ran]) -> None:
    """Readable by its owner alone; what is there already is left alone. A summary needs a file for the rows."""
    assert "add `--to FILE`" in run("ledger", "export", "--json").document["error"]["message"]
    document = run("ledger", "export", "--to", "out.jsonl", "--json").document
    assert document == {"file": "out.jsonl", "format": "jsonl", "attempts": 2}
    assert (booked / "out.jsonl").stat().st_mode & 0o777 == 0o600
    again = run("ledger", "export", "--to", "out.jsonl")
    assert again.code == 2
    assert "is there already" in again.err


def test_reconcile_books_what_the_provider_charged(booked: Path, run: Callable[..., Ran]) -> None:
    """First a look, then the correction; run again it changes nothing, and the book still passes."""
    rows = [json.loads(line) for line in run("ledger", "export").out.splitlines()]
    unsure = next(row for row in rows if row["state"] == "uncertain")
    bill = "cost_usd,call_id,input_tokens,output_tokens\n0.000123," + unsure["call_id"] + ",9,2\n"
    (booked / "bill.csv").write_text(bill, encoding="utf-8")
    looked = run("ledger", "reconcile", "--from", "bill.csv", "--dry-run", "--json").document
    assert (looked["written"], looked["corrections"][0]["charged_usd"]) == (False, "0.000123")
    done = run("ledger", "reconcile", "--from", "bill.csv")
    assert done.code == 0
    assert "1 corrected by" in done.out
    again = run("ledger", "reconcile", "--from", "bill.csv", "--json").document
    assert (again["corrections"], again["agreeing"]) == ([], 1)
    corrected = next(
        row for row in map(json.loads, run("ledger", "export").out.splitlines()) if row["seq"] == unsure["seq"]
    )
    assert (corrected["booked_usd"], corrected["input_tokens"]) == ("0.000123", 9)
    assert run("ledger", "verify").code == 0


def test_reconcile_lists_what_is_left_over(booked: Path, run: Callable[..., Ran]) -> None:
    """A line of nobody is exit code 1; nothing is written for it."""
    (booked / "bill.jsonl").write_text('{"cost_usd": "1.5", "call_id": "nobody"}\n', encoding="utf-8")
    ran = run("ledger", "reconcile", "--from", "bill.jsonl")
    assert ran.code == 1
    assert "belongs to no attempt: line 1, $1.5" in ran.out


def test_archive_moves_old_days_and_the_book_still_passes(old: Path, run: Callable[..., Ran]) -> None:
    """Lines go into the file, the book verifies from there on, the file verifies with it, and calls go on."""
    head = run("ledger", "head").out.strip()
    document = run("ledger", "archive", "--before", "2026-09-22", "--to", "old.jsonl", "--json").document
    assert document["first_seq"] == 1
    assert document["lines"] == document["last_seq"] > 3
    assert run("ledger", "verify", "--archive", "old.jsonl").code == 0
    assert run("ledger", "verify", "--against", head).code == 0
    lane = FakeTransport(reply("one"))
    with Router.from_config(transports={"direct": lane}) as router:
        router.complete("chat", "Hello")
    both = run("ledger", "verify", "--archive", "old.jsonl", "--json").document
    assert both["good"] is True
    assert both["first_seq"] == document["last_seq"] + 1
    assert both["archives"][0]["lines"] == document["lines"]
    nothing = run("ledger", "archive", "--before", "2026-09-22", "--to", "none.jsonl")
    assert nothing.code == 0
    assert nothing.out.startswith("nothing was archived")
    assert not (old / "none.jsonl").exists()


def test_a_book_with_faults_is_not_archived(old: Path, run: Callable[..., Ran]) -> None:
    """They would be out of sight."""
    spoil(old)
    ran = run("ledger", "archive", "--before", "2026-09-22", "--to", "old.jsonl")
    assert ran.code == 1
    assert "does not pass its audit" in ran.err
    assert not (old / "old.jsonl").exists()


def test_a_personal_value_is_found_until_it_is_forgotten(booked: Path, run: Callable[..., Ran]) -> None:
    """The same hash as in the book; after `forget` it is another, and nobody can say whose the old one was."""
    hashed = run("ledger", "pseudonym", "user", "ann@example.org").out.strip()
    first = json.loads(run("ledger", "export").out.splitlines()[0])
    assert json.loads(first["tags"])["user"] == hashed
    assert run("ledger", "forget", "user", "--json").document == {"tag": "user", "forgotten": True}
    assert run("ledger", "pseudonym", "user", "ann@example.org").out.strip() != hashed
    never = run("ledger", "forget", "team")
    assert never.code == 1
    assert "has no key" in never.out
    assert run("ledger", "verify").code == 0
