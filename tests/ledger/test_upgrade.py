"""From a file of version 1, with lines as that version wrote them, to a book of today."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import FailureKind
from modelrouter.core.budget import Balance, Window
from modelrouter.core.pricing import Usage
from modelrouter.errors import DuplicateRequestError, LedgerUnavailableError
from modelrouter.ledger import AttemptState, Totals
from modelrouter.ledger.schema import FIRST, version_of
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ports import Document
from tests.ledger.budget_conformance import balances
from tests.ledger.builders import START_S, StillClock, budget, call_record, reservation, reserve, resolution, resolve
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from pathlib import Path

START_US = round(START_S * 1e6)
PRICE = (
    '{"input_usd_per_mtok":"0.0333","output_usd_per_mtok":"0.4","cached_input_usd_per_mtok":"1E-7",'
    '"reasoning_usd_per_mtok":null,"request_usd":"0","free":false,"cache_write_usd_per_mtok":null}'
)
"""A price as version 1 wrote it."""
RESERVED = (
    "writer, writer_seq, at_us, amount_nano_usd, reservation_id, call_id, number, deployment, operator, model,"
    " bound_input_tokens, bound_output_tokens, basis, price, kind"
)
ENDED = (
    "writer, writer_seq, at_us, kind, amount_nano_usd, resolves, input_tokens, cached_input_tokens, cache_write_tokens,"
    " output_tokens, reasoning_tokens, failure, phase, status, detail, duration_us, length_reached, saved_nano_usd"
)


class OldFile:
    """A file of version 1, written by SQL."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        for statement in FIRST:
            self.connection.execute(statement)
        self.connection.execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
        self._written: dict[int, int] = {}

    def writer(self, number: int, at_us: int = START_US) -> None:
        """A process that wrote."""
        self.connection.execute(
            "INSERT INTO writers VALUES (?, ?, 77, 'host', '0.1.0', ?)", (number, f"writer-{number}", at_us)
        )

    def call(self, name: str, writer: int, at_us: int, *, request_id: str | None = None, tags: str = "{}") -> None:
        """A request."""
        self.connection.execute(
            "INSERT INTO calls VALUES (?, ?, ?, ?, 'support', NULL, ?, '[\"house\", \"eu-customers\"]', '{}')",
            (name, request_id, at_us, writer, tags),
        )

    def reserve(self, name: str, call: str, writer: int, at_us: int, amount: int, number: int = 1) -> int:
        """A reservation; its line."""
        values = (
            writer, self._next(writer), at_us, amount, name, call, number, "small", "self", "qwen3-32b", 120, 400,
            "documented", PRICE, "reserve",
        )  # fmt: skip
        return self._add(RESERVED, values)

    def end(self, seq: int, writer: int, at_us: int, kind: str, amount: int, *more: int | str | None) -> int:
        """An end."""
        rest = more or (None, None, None, None, None, None, None, None, None, 1_500_000, 0, None)
        return self._add(ENDED, (writer, self._next(writer), at_us, kind, amount, seq, *rest))

    def close(self) -> None:
        """As it was left."""
        self.connection.close()

    def _add(self, columns: str, values: tuple[int | str | None, ...]) -> int:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO entries ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
        return int(self.connection.execute(sql, values).lastrowid or 0)

    def _next(self, writer: int) -> int:
        self._written[writer] = self._written.get(writer, 0) + 1
        return self._written[writer]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 1: two writers that took turns, every kind of end, and one attempt without an end."""
    old = OldFile(tmp_path / "book.db")
    old.writer(1)
    old.writer(2, START_US + 5)
    old.writer(3, START_US + 6)  # kept documents only
    old.connection.execute("INSERT INTO documents VALUES ('sha256:1', 'policy', 'house', 'rules: {}', ?)", (START_US,))
    old.call("c-1", 1, START_US, request_id="order-7", tags='{"team": "a", "app": "x"}')
    first = old.reserve("r-1", "c-1", 1, START_US, 100)
    old.call("c-2", 2, START_US + 5)
    second = old.reserve("r-2", "c-2", 2, START_US + 5, 200)
    failed = (None, None, None, None, None, "timed_out", "sent", None, "no byte within 2 s", 2_000_000, 0, None)
    old.end(first, 2, START_US + 9, "uncertain", 100, *failed)
    third = old.reserve("r-3", "c-1", 1, START_US + 9, 50, 2)
    old.end(third, 1, START_US + 20, "settle", 64, 11, 1, 2, 22, 3, None, None, None, None, 1_500_000, 1, -4)
    old.end(second, 2, START_US + 20, "settle", 20)
    old.call("c-3", 2, START_US + 30)
    fourth = old.reserve("r-4", "c-3", 2, START_US + 30, 70)
    old.end(fourth, 2, START_US + 31, "release", 0)
    old.reserve("r-5", "c-3", 2, START_US + 40, 80, 2)
    old.close()
    return tmp_path / "book.db"


def test_everything_booked_is_there_afterwards(path: Path) -> None:
    """Each attempt has its state, cost, usage, failure and price; the sums are those of the old file."""
    store = SqliteLedger(path, StillClock())
    rows = {row.reservation_id: row for row in store.attempts()}
    assert {name: (row.state, row.cost_nano_usd) for name, row in rows.items()} == {
        "r-1": (AttemptState.UNCERTAIN, 100),
        "r-2": (AttemptState.SETTLED, 20),
        "r-3": (AttemptState.SETTLED, 64),
        "r-4": (AttemptState.RELEASED, 0),
        "r-5": (AttemptState.RESERVED, 0),
    }
    assert rows["r-3"].overrun_nano_usd == 14
    assert (rows["r-3"].usage, rows["r-3"].length_reached, rows["r-3"].saved_nano_usd) == (
        Usage(11, 22, 1, 3, 2),
        True,
        -4,
    )
    assert (rows["r-1"].failure, rows["r-1"].detail) == (FailureKind.TIMED_OUT, "no byte within 2 s")
    assert (rows["r-1"].reserved_us, rows["r-1"].resolved_us) == (START_US, START_US + 9)
    assert rows["r-1"].tags == {"team": "a", "app": "x"}
    assert rows["r-1"].developer == ""
    assert str(rows["r-1"].price.input_usd_per_mtok) == "0.0333"
    assert store.totals() == Totals(3, 5, 1, 70, 100, 80, -4, 14, 0)
    call = store.call("order-7")
    assert call is not None
    assert [row.reservation_id for row in call.attempts] == ["r-1", "r-3"]
    assert store.document("sha256:1") == Document("sha256:1", "policy", "house", "rules: {}")
    assert_sound(store)


def test_chains_begin_as_they_do_today(path: Path) -> None:
    """Each old writer, the one without an entry too, has an opening line before its own; nothing else is added."""
    store = SqliteLedger(path, StillClock())
    found = [(each["writer_id"], each["kind"]) for each in lines(store)]
    assert found == [
        ("writer-1", "open"),
        ("writer-1", "reserve"),
        ("writer-2", "open"),
        ("writer-2", "reserve"),
        ("writer-2", "uncertain"),
        ("writer-1", "reserve"),
        ("writer-1", "settle"),
        ("writer-1", "overrun"),
        ("writer-2", "settle"),
        ("writer-2", "reserve"),
        ("writer-2", "release"),
        ("writer-2", "reserve"),
        ("writer-3", "open"),
    ]
    assert json.loads(str(lines(store)[0]["content"]))["pid"] == 77
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 2
        tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert not [name for name in tables if name.startswith("v1_")]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM entries")


def test_the_book_goes_on(path: Path) -> None:
    """What was left open expires with the next batch, its late end is a correction, known requests stay known."""
    clock = StillClock()
    clock.at_s += 60
    store = SqliteLedger(path, clock)
    assert reserve(store, reservation("r-6", bound_nano_usd=5)) is None
    assert {row.reservation_id: row.state for row in store.attempts()}["r-5"] is AttemptState.EXPIRED
    assert resolve(store, resolution("r-5", cost_nano_usd=33)) is None
    assert store.totals() == Totals(4, 6, 1, 70, 180, 5, -4, 14, -47)
    again = reservation("r-7", call=call_record("c-7", request_id="order-7"))
    assert isinstance(reserve(store, again), DuplicateRequestError)
    assert_sound(store)
    store.close(5)
    assert_sound(store)


def test_budgets_count_what_was_spent_before_them(path: Path) -> None:
    """The first budgets of the book find the old file's money in their windows."""
    clock = StillClock()
    clock.at_s += 1
    limits = [budget("all", 1_000), budget("day", 1_000, window=Window.DAY, each="tag.team")]
    store = SqliteLedger(path, clock, budgets=limits)
    whole = Balance(settled=70, uncertain=100, reserved=80, overrun=14)
    assert balances(store)["all", ""] == whole
    assert reserve(store, reservation("r-6", bound_nano_usd=5)) is None
    found = balances(store)
    assert found["all", ""].used == whole.used + 5
    assert found["day", "a"] == Balance(settled=50, uncertain=100, overrun=14)
    assert_sound(store)


def test_an_upgrade_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A call that makes no sense stops the upgrade, and the file is still one of version 1."""
    path = tmp_path / "book.db"
    old = OldFile(path)
    old.writer(1)
    old.call("c-1", 1, START_US, tags="no json")
    old.reserve("r-1", "c-1", 1, START_US, 1)
    old.close()
    with pytest.raises(LedgerUnavailableError, match="cannot be brought to this version"):
        SqliteLedger(path, StillClock())
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == 1
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (1,)


@pytest.mark.parametrize("seed", range(4))
def test_any_old_file_comes_out_sound(tmp_path: Path, seed: int) -> None:
    """Drawn files with up to 300 attempts by several writers: chains and all derived tables hold."""
    chance = random.Random(seed)
    path = tmp_path / "book.db"
    old = OldFile(path)
    count = chance.randrange(1, 6)
    for number in range(1, count + 1):
        old.writer(number)
    open_ones: list[tuple[int, int]] = []
    totals = {"settle": 0, "uncertain": 0, "release": 0}
    for number in range(chance.randrange(300)):
        at_us, writer = START_US + number * 40_000_000, chance.randrange(1, count + 1)
        old.call(f"c-{number}", writer, at_us, tags=json.dumps({"team": chance.choice("ab")}))
        amount = chance.randrange(1_000)
        open_ones.append((old.reserve(f"r-{number}", f"c-{number}", writer, at_us, amount), amount))
        if chance.random() < 0.8:
            seq, bound = open_ones.pop(chance.randrange(len(open_ones)))
            kind = chance.choice(list(totals))
            cost = {"settle": chance.randrange(1_200), "uncertain": bound, "release": 0}[kind]
            old.end(seq, chance.randrange(1, count + 1), at_us, kind, cost)
            totals[kind] += cost
    old.close()
    store = SqliteLedger(path, StillClock())
    found = store.totals()
    assert found.settled_nano_usd + found.overrun_nano_usd == totals["settle"]
    assert (found.uncertain_nano_usd, found.reserved_nano_usd) == (
        totals["uncertain"],
        sum(amount for _, amount in open_ones),
    )
    assert_sound(store)
