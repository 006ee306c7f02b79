# ruff: noqa: S608 - statements are put together from our own names
"""A small writer of honest books, of its own: nothing in it comes from the code that writes books for users.

It keeps the lines in a list and works out every other table from that list in the plainest way, at the end.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.budget import Spending, charges, period_us, span_us
from modelrouter.core.pricing import PriceList
from modelrouter.ledger.sqlite_session import SqliteSession
from modelrouter.ledger.tables import APPEND_ONLY, ENTRY_COLUMNS, INDEXES, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelrouter.core.budget import Budget
    from modelrouter.core.pricing import Usage

__all__ = ["PRICES", "START_US", "HonestBook", "connect", "session_on"]

START_US: Final = 1_790_000_000_000_000  # 2026-09-21, 14:13:20 UTC
NAMES: Final = [name for name, _ in ENTRY_COLUMNS]
HOUR_US: Final = 3_600_000_000
PRICES: Final = (
    PriceList(Decimal("0.0333"), Decimal("0.4")),
    PriceList(Decimal("2.5"), Decimal(10), cached_input_usd_per_mtok=Decimal("0.25"), request_usd=Decimal("0.000001")),
)
KINDS: Final = {"settle": 0, "uncertain": 1, "expire": 1, "overrun": 3, "correction": 4}


def text(value: object) -> str:
    """JSON as the book keeps it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def sha256(value: str) -> str:
    """In hex."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass
class HonestBook:
    """All lines, and what belongs to them, in memory.

    Attributes:
        at_us: the moment of the next line; tests move it.
    """

    at_us: int = START_US
    lines: list[dict[str, Any]] = field(default_factory=list)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, tuple[str, str, str, int]] = field(default_factory=dict)
    writers: dict[int, tuple[str, int, str, str, int]] = field(default_factory=dict)
    heads: dict[int, tuple[int, str]] = field(default_factory=dict)
    checked: dict[int, int] = field(default_factory=dict)
    in_force: tuple[Budget, ...] = ()
    ever: list[tuple[Budget, int]] = field(default_factory=list)  # each budget and the line that put it in force
    entry: int = 0
    history: list[tuple[tuple[Budget, ...], int]] = field(default_factory=list)

    # --- lines -------------------------------------------------------------------------------------------------

    def line(self, writer: int, kind: str, amount: int = 0, **columns: object) -> int:
        """Write one line; its number."""
        number, previous = self.heads.get(writer, (0, ""))
        row: dict[str, Any] = dict.fromkeys(NAMES)
        row.update(seq=len(self.lines) + 1, writer=writer, writer_seq=number + 1, kind=kind, at_us=self.at_us)
        row.update(amount_nano_usd=amount, **columns)
        values = [self.writers[writer][0] if name == "writer" else row[name] for name in NAMES if name != "hash"]
        row["hash"] = sha256(previous + "\n" + json.dumps(values, separators=(",", ":"), ensure_ascii=False))
        self.heads[writer] = (number + 1, row["hash"])
        self.lines.append(row)
        return int(row["seq"])

    def open(self, writer: int) -> int:
        """Let another writer begin."""
        self.writers[writer] = (f"{writer:016x}", 100 + writer, "häuschen", "0.2.0", self.at_us)
        writer_id, pid, host, version, at_us = self.writers[writer]
        content = {"writer_id": writer_id, "pid": pid, "host": host, "version": version, "at_us": at_us}
        return self.line(writer, "open", content=text(content))

    def remember(self, writer: int, kind: str, name: str, body: str) -> str:
        """Keep a document, once; its digest."""
        digest = sha256(body)
        if digest not in self.documents:
            self.documents[digest] = (kind, name, body, self.at_us)
            self.line(writer, "documents", content=text([[digest, kind, name]]))
        return digest

    def apply(self, writer: int, budgets: Sequence[Budget]) -> int:
        """Put budgets in force."""
        written = [json.loads(each.definition) for each in sorted(budgets, key=lambda each: each.name)]
        seq = self.line(writer, "budgets", content=text(sorted(written, key=text)))
        self.adopt(budgets, seq)
        return seq

    def adopt(self, budgets: Sequence[Budget], seq: int) -> None:
        """Go by these budgets, which a line put in force."""
        self.history.append((tuple(budgets), seq))
        self.entry = seq
        known = {each.definition for each in self.in_force}
        self.ever = [(each, entry) for each, entry in self.ever if each.definition in {b.definition for b in budgets}]
        self.ever += [(each, seq) for each in budgets if each.definition not in known]
        self.in_force = tuple(budgets)

    def revoke(self, writer: int, name: str) -> int:
        """Cut somebody off."""
        said = {"abort_in_flight": False, "kind": "vendor", "name": name, "reason": "why", "until_us": None}
        return self.line(writer, "revoke", content=text({**said, "roles": ["operator", "via"]}))

    def restore(self, writer: int, entry: int) -> int:
        """Undo that."""
        return self.line(writer, "restore", content=text({"entry": entry, "reason": ""}))

    def revocations(self) -> tuple[list[tuple[int, int, str]], int]:
        """What is in force, and how many lines made it so."""
        changes = [each for each in self.lines if each["kind"] in {"revoke", "restore"}]
        gone = {json.loads(each["content"])["entry"] for each in changes if each["kind"] == "restore"}
        made = [each for each in changes if each["kind"] == "revoke" and each["seq"] not in gone]
        return [(each["seq"], each["at_us"], each["content"]) for each in made], len(changes)

    def reserve(
        self,
        writer: int,
        name: str,
        amount: int,
        *,
        call: str | None = None,
        price: PriceList = PRICES[0],
        deployment: str = "small",
        **record: object,
    ) -> int:
        """Reserve; a call that is new gets its record."""
        call_id = call or f"call-{name}"
        body = price.to_text()
        digest = self.remember(writer, "price", deployment, body)
        known = call_id in self.calls
        if not known:
            self.calls[call_id] = {
                "call_id": call_id,
                "request_id": record.get("request_id"),
                "at_us": self.at_us,
                "writer": writer,
                "route": record.get("route", "support"),
                "session": record.get("session"),
                "tags": text(record.get("tags", {})),
                "policies": text(record.get("policies", ["house"])),
                "decision": record.get("decision", '{"epoch":"e1"}'),
            }
        values = [self.writers[writer][0] if key == "writer" else each for key, each in self.calls[call_id].items()]
        vouched = None if known else sha256(json.dumps(values, separators=(",", ":"), ensure_ascii=False))
        number = 1 + sum(each["call_id"] == call_id for each in self.lines)
        return self.line(
            writer,
            "reserve",
            amount,
            reservation_id=name,
            call_id=call_id,
            call_digest=vouched,
            number=number,
            deployment=deployment,
            operator=f"operator of {deployment}",
            developer="mistral",
            model="mistral-small-3.2",
            bound_input_tokens=1000,
            bound_output_tokens=500,
            basis="documented",
            price=digest,
        )

    def settle(self, writer: int, seq: int, usage: Usage, **columns: object) -> None:
        """Settle at what the usage costs; what lies above the bound is an overrun."""
        reserved = self.lines[seq - 1]
        cost = PriceList.from_text(self.documents[reserved["price"]][2]).settle_nano_usd(usage)
        bound = reserved["amount_nano_usd"]
        counts = self.counts(usage)
        ended = {"duration_us": 1_500_000, "length_reached": 0, **counts, **columns}
        self.line(writer, "settle", min(cost, bound), resolves=seq, **ended)
        if cost > bound:
            self.line(writer, "overrun", cost - bound, corrects=seq)

    def end(self, writer: int, seq: int, kind: str, **columns: object) -> None:
        """End a reservation without usage: released, uncertain or expired."""
        amount = 0 if kind == "release" else self.lines[seq - 1]["amount_nano_usd"]
        self.line(writer, kind, amount, resolves=seq, **columns)

    def correct(self, writer: int, seq: int, amount: int, usage: Usage | None = None) -> None:
        """Correct what was booked by an amount."""
        counts = {} if usage is None else self.counts(usage)
        self.line(writer, "correction", amount, corrects=seq, content=text({"why": "reconcile"}), **counts)

    def checkpoint(self, writer: int, **columns: Any) -> int:
        """Name the heads of all chains that have grown since one was named."""
        grown = {each: head for each, head in self.heads.items() if head[0] > self.checked.get(each, 0)}
        self.checked.update((each, number) for each, (number, _) in grown.items())
        heads = {self.writers[each][0]: list(head) for each, head in grown.items()}
        return self.line(writer, "checkpoint", content=text({"heads": heads}), **columns)

    @staticmethod
    def counts(usage: Usage) -> dict[str, Any]:
        """The columns of a usage."""
        return {
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "units": usage.units_text(),
            "reported_nano_usd": usage.reported_nano_usd,
        }

    # --- the other tables --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write a file with all tables."""
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            self._create(connection)
            self._fill(connection)
            connection.execute("COMMIT")

    def unguarded(self) -> sqlite3.Connection:
        """A book in memory whose tables refuse nothing: no key, no check, no trigger, as a forger would make them."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for name, columns in TABLES.items():
            names = ", ".join(each.split()[0] for each in columns if each.split()[0] not in {"CHECK", "UNIQUE"})
            connection.execute(f"CREATE TABLE {name} ({names})")
        for column in ("seq", "resolves", "corrects", "call_id"):
            connection.execute(f"CREATE INDEX by_{column} ON entries ({column})")
        connection.execute("CREATE INDEX calls_by_id ON calls (call_id)")
        self._fill(connection)
        return connection

    def until(self, seq: int) -> HonestBook:
        """The same book as it was when its last line was `seq`."""
        lines = [dict(each) for each in self.lines[:seq]]
        made = HonestBook(at_us=lines[-1]["at_us"], lines=lines)
        made.calls = {each["call_id"]: self.calls[each["call_id"]] for each in lines if each["call_digest"]}
        made.writers = {each["writer"]: self.writers[each["writer"]] for each in lines}
        numbers = {writer_id: number for number, (writer_id, *_) in self.writers.items()}
        for each in lines:
            made.heads[each["writer"]] = (each["writer_seq"], each["hash"])
            if each["kind"] == "documents":
                made.documents.update({digest: self.documents[digest] for digest, _, _ in json.loads(each["content"])})
            elif each["kind"] == "checkpoint":
                heads = json.loads(each["content"])["heads"]
                made.checked.update({numbers[writer_id]: number for writer_id, (number, _) in heads.items()})
        applied = [(each, entry) for each, entry in self.history if entry <= seq]
        last = max((entry for _, entry in applied), default=0)
        for budgets, entry in applied:
            made.adopt(budgets, entry)
        assert last == 0 or made.in_force
        return made

    def rewritten(self, seq: int, **columns: object) -> HonestBook:
        """The same book with one line changed and every hash and every sum after it made anew, as if it had been so."""
        made = self.until(len(self.lines))
        made.lines[seq - 1].update(columns)
        made.heads, made.checked = {}, {}
        lines, made.lines = made.lines, []
        at_us = made.at_us
        for each in lines:
            made.at_us = each["at_us"]
            kept = {name: each[name] for name in NAMES[6:-1]}
            if each["kind"] == "checkpoint":  # what it says is made anew, all else of it stays
                made.checkpoint(each["writer"], **{name: kept[name] for name in kept if name != "content"})
            else:
                made.line(each["writer"], each["kind"], each["amount_nano_usd"], **kept)
        made.at_us = at_us
        return made

    @staticmethod
    def _create(connection: sqlite3.Connection) -> None:
        for name, columns in TABLES.items():
            made = ", ".join(each.replace(" INT ", " INTEGER ").replace(" INT", " INTEGER") for each in columns)
            connection.execute(f"CREATE TABLE {name} ({made})")
        for statement in INDEXES:
            connection.execute(statement)
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                connection.execute(
                    f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END"
                )

    def _fill(self, connection: sqlite3.Connection) -> None:
        def add(table: str, rows: Sequence[Sequence[object]]) -> None:
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

        add("meta", [("format", "modelrouter-ledger"), ("schema_version", "2")])
        add("documents", [(digest, *each) for digest, each in self.documents.items()])
        add("writers", [(number, *each) for number, each in self.writers.items()])
        add("calls", [tuple(each.values()) for each in self.calls.values()])
        add("entries", [tuple(each.values()) for each in self.lines])
        rollups, rollup_of = self._rollups()
        accounts, accounts_of = self._accounts()
        open_ones = self.pending()
        add("rollups", [(number, *key, *sums) for number, (key, sums) in enumerate(rollups.items(), 1)])
        add("budgets", [
            (number, each.name, each.shape, each.definition, self.entry, 1)
            for number, (each, _) in enumerate(self.ever, 1)
        ])  # fmt: skip
        add("accounts", [(number, *key, *sums) for number, (key, sums) in enumerate(accounts.items(), 1)])
        add("pending", [
            (row["seq"], row["reservation_id"], row["writer"], row["at_us"], row["amount_nano_usd"],
             text([list(accounts).index(key) + 1 for key in accounts_of[row["seq"]]]),
             list(rollups).index(rollup_of[row["seq"]]) + 1)
            for row in open_ones
        ])  # fmt: skip
        add("leases", [
            (writer, self.at_us + 30_000_000, digest, number, self.checked.get(writer, 0), 1)
            for writer, (number, digest) in self.heads.items()
        ])  # fmt: skip
        revocations, revoked = self.revocations()
        add("revocations", revocations)
        in_force = f"[{','.join(sorted(each.definition for each in self.in_force))}]"
        has_budgets = any(each["kind"] == "budgets" for each in self.lines)
        add("state", [(1, len(self.lines), self.at_us, sha256(in_force) if has_budgets else "", 0, revoked, 1)])

    def pending(self) -> list[dict[str, Any]]:
        """Reservations without an end."""
        ended = {each["resolves"] for each in self.lines}
        return [each for each in self.lines if each["kind"] == "reserve" and each["seq"] not in ended]

    def _story(self, seq: int) -> list[dict[str, Any]]:
        """All lines about one reservation, itself first."""
        about = [each for each in self.lines if seq in {each["resolves"], each["corrects"]}]
        return [self.lines[seq - 1], *about]

    def _rollups(self) -> tuple[dict[tuple[object, ...], list[int]], dict[int, tuple[object, ...]]]:
        found: dict[tuple[object, ...], list[int]] = {}
        keys: dict[int, tuple[object, ...]] = {}
        seen: set[str] = set()
        for row in self.lines:
            if row["kind"] != "reserve":
                continue
            call = self.calls[row["call_id"]]
            hour = row["at_us"] - row["at_us"] % HOUR_US
            about = (row["deployment"], row["operator"], row["developer"], row["model"], call["tags"], call["policies"])
            key = keys[row["seq"]] = (hour, call["route"], *about)
            sums = found.setdefault(key, [0] * 15)
            sums[0] += row["call_id"] not in seen
            seen.add(row["call_id"])
            sums[1] += 1
            self._tally(row["seq"], sums)
        return found, keys

    def _tally(self, seq: int, sums: list[int]) -> None:
        first, *rest = self._story(seq)
        if not any(each["resolves"] for each in rest):
            sums[10] += first["amount_nano_usd"]
        failed = any(each["failure"] and each["resolves"] for each in rest)
        for each in rest:
            amount = each["amount_nano_usd"]
            sums[2] += each["failure"] is not None
            if each["kind"] in KINDS:
                sums[8 + KINDS[each["kind"]]] += amount
            sums[13] += amount if failed and each["kind"] != "correction" else 0
            sums[14] += each["saved_nano_usd"] or 0
            for place, name in enumerate(("input", "cached_input", "cache_write", "output", "reasoning"), 3):
                sums[place] += each[f"{name}_tokens"] or 0

    def _accounts(self) -> tuple[dict[tuple[int, str, int], list[int]], dict[int, list[tuple[int, str, int]]]]:
        found: dict[tuple[int, str, int], list[int]] = {}
        keys: dict[int, list[tuple[int, str, int]]] = {}
        numbers = {each.name: number for number, (each, _) in enumerate(self.ever, 1)}
        applied = {each.name: self.lines[entry - 1] for each, entry in self.ever}
        for row in self.lines:
            if row["kind"] != "reserve":
                continue
            call = self.calls[row["call_id"]]
            spending = Spending(
                call["route"],
                tuple(json.loads(call["policies"])),
                row["deployment"],
                row["operator"],
                row["developer"],
                json.loads(call["tags"]),
            )
            for budget, scope in charges([each for each, _ in self.ever], spending):
                start = period_us(budget, row["at_us"])[0]
                if start < span_us(budget, applied[budget.name]["at_us"])[0]:
                    continue
                key = (numbers[budget.name], scope, start)
                keys.setdefault(row["seq"], []).append(key)
                self._balance(row["seq"], found.setdefault(key, [0] * 5))
            keys.setdefault(row["seq"], [])
        return found, keys

    def _balance(self, seq: int, sums: list[int]) -> None:
        first, *rest = self._story(seq)
        if not any(each["resolves"] for each in rest):
            sums[2] += first["amount_nano_usd"]
        for each in rest:
            if each["kind"] in KINDS:
                sums[KINDS[each["kind"]]] += each["amount_nano_usd"]


def connect(path: Path) -> sqlite3.Connection:
    """A connection as whoever tampers with a file would open it: nothing of ours stands in the way."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    return connection


def session_on(path: Path, now_us: int = START_US) -> SqliteSession:
    """A session as the auditor takes it, on a machine whose clock says `now_us`."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return SqliteSession(connection, path, lambda: now_us)
