"""Books whose every line is known, for tests of reports: written by code beside the one that books calls."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.ddl import begin_state, make_tables
from modelrouter.ledger.reports import Sums
from modelrouter.ledger.sqlite_session import SqliteSession
from modelrouter.ledger.tables import ENTRY_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["HOUR_US", "Attempt", "BookOfLines", "Change", "memory_session", "sums_of"]

HOUR_US: Final = 3_600_000_000
WRITER: Final = 1_000
COLUMNS: Final = tuple(name for name, _ in ENTRY_COLUMNS)
SUMS: Final = tuple(Sums.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Change:
    """An overrun or a correction; `tokens` are input, cached, written, output and reasoning."""

    kind: str
    amount: int
    tokens: tuple[int, ...] | None = None
    failure: str | None = None
    saved: int | None = None


@dataclass(slots=True)
class Attempt:
    """A reservation with all that came of it; `end` is empty while there is none."""

    seq: int
    at_us: int
    bound: int
    route: str = "chat"
    deployment: str = "own"
    operator: str = "self"
    developer: str = "qwen"
    model: str = "qwen3-32b"
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    call_id: str = ""
    is_first: bool = True
    end: str = ""
    amount: int = 0
    tokens: tuple[int, ...] | None = None
    failure: str | None = None
    saved: int | None = None
    changes: list[Change] = field(default_factory=list)


class BookOfLines:
    """Writes lines one after the other, and the rollups that belong to them at the end.

    Args:
        session: on a database without tables, or on a book in which nothing was reserved.
        integer: its 64-bit integer; None where the tables are there.
    """

    def __init__(self, session: Session, integer: str | None = "INTEGER") -> None:
        self.session = session
        self.attempts: list[Attempt] = []
        self._lines: list[Row] = []
        self._calls: dict[str, Row] = {}
        if integer is not None:
            for statement in (*make_tables(integer), *begin_state()):
                session.run(statement)
        ((seq, at_us),) = session.rows("SELECT seq, at_us FROM state")
        self._before, self._at_us = int(seq or 0), int(at_us or 0)

    @property
    def _next(self) -> int:
        return self._before + len(self._lines) + 1

    def reserve(self, at_us: int, attempt: Attempt, *, after: Attempt | None = None) -> Attempt:
        """A reservation; `after` is an earlier one of the same call, whose route, tags and policies it has."""
        seq = self._next
        made = replace(attempt, seq=seq, at_us=at_us, call_id=f"call-{seq}", changes=[])
        if after is not None:
            made = replace(
                made, call_id=after.call_id, is_first=False, route=after.route, tags=after.tags, policies=after.policies
            )
        self.attempts.append(made)
        if made.is_first:
            texts = (json.dumps(dict(made.tags)), json.dumps(made.policies))
            self._calls[made.call_id] = (made.call_id, None, at_us, WRITER, made.route, None, *texts, "{}")
        self._line(
            at_us,
            kind="reserve",
            amount_nano_usd=made.bound,
            reservation_id=f"reservation-{seq}",
            call_id=made.call_id,
            call_digest="d" if made.is_first else None,
            deployment=made.deployment,
            operator=made.operator,
            developer=made.developer,
            model=made.model,
        )
        return made

    def end(self, at_us: int, attempt: Attempt, kind: str, amount: int, **rest: object) -> None:
        """Settle, uncertain, release or expire; `rest` is `tokens`, `failure` and `saved` of the attempt."""
        attempt.end, attempt.amount = kind, amount
        for name, value in rest.items():
            setattr(attempt, name, value)
        self._line(
            at_us,
            kind=kind,
            amount_nano_usd=amount,
            resolves=attempt.seq,
            failure=attempt.failure,
            saved_nano_usd=attempt.saved,
            **_tokens(attempt.tokens),
        )

    def change(self, at_us: int, attempt: Attempt, change: Change) -> None:
        """An overrun or a correction."""
        attempt.changes.append(change)
        self._line(
            at_us,
            kind=change.kind,
            amount_nano_usd=change.amount,
            corrects=attempt.seq,
            failure=change.failure,
            saved_nano_usd=change.saved,
            **_tokens(change.tokens),
        )

    def write(self) -> None:
        """Put everything into the tables."""
        session = self.session
        session.insert(
            "writers", ("writer", "writer_id", "pid", "host", "version", "at_us"), [(WRITER, "w", 1, "host", "1", 0)]
        )
        names = ("call_id", "request_id", "at_us", "writer", "route", "session", "tags", "policies", "decision")
        session.insert("calls", names, list(self._calls.values()))
        session.insert("entries", COLUMNS, self._lines)
        keys = ("hour_us", "route", "deployment", "operator", "developer", "model", "tags", "policies")
        session.insert("rollups", ("rollup", *keys, *SUMS), self._rollups())
        session.run("UPDATE state SET seq = ?, at_us = ?", (self._next - 1, self._at_us))

    def _rollups(self) -> list[Row]:
        found: dict[Row, Sums] = {}
        for each in self.attempts:
            hour_us = each.at_us - each.at_us % HOUR_US
            tags, policies = json.dumps(dict(each.tags)), json.dumps(each.policies)
            key = (hour_us, each.route, each.deployment, each.operator, each.developer, each.model, tags, policies)
            found[key] = found.get(key, Sums()).plus(sums_of(each))
        return [
            (place, *key, *(getattr(sums, name) for name in SUMS)) for place, (key, sums) in enumerate(found.items(), 1)
        ]

    def _line(self, at_us: int, **values: Column) -> None:
        assert at_us >= self._at_us, "the time of lines never falls"
        self._at_us = at_us
        seq = self._next
        given: dict[str, Column] = {
            "seq": seq,
            "writer": WRITER,
            "writer_seq": seq,
            "at_us": at_us,
            "hash": "",
            **values,
        }
        self._lines.append(tuple(given.get(name) for name in COLUMNS))


def sums_of(attempt: Attempt) -> Sums:
    """What one attempt adds to its groups, told in words: the rule against which reports are held."""
    failed = attempt.failure is not None
    overrun = sum(change.amount for change in attempt.changes if change.kind == "overrun")
    corrections = [change for change in attempt.changes if change.kind == "correction"]
    known = [each for each in (attempt.tokens, *(change.tokens for change in corrections)) if each is not None]
    tokens = [sum(counts) for counts in zip((0,) * 5, *known, strict=True)]
    return Sums(
        calls=int(attempt.is_first),
        attempts=1,
        failures=int(failed) + sum(change.failure is not None for change in corrections),
        input_tokens=tokens[0],
        cached_input_tokens=tokens[1],
        cache_write_tokens=tokens[2],
        output_tokens=tokens[3],
        reasoning_tokens=tokens[4],
        settled_nano_usd=attempt.amount if attempt.end == "settle" else 0,
        uncertain_nano_usd=attempt.amount if attempt.end in {"uncertain", "expire"} else 0,
        reserved_nano_usd=0 if attempt.end else attempt.bound,
        overrun_nano_usd=overrun,
        correction_nano_usd=sum(change.amount for change in corrections),
        failed_nano_usd=attempt.amount + overrun if failed else 0,
        saved_nano_usd=(attempt.saved or 0) + sum(change.saved or 0 for change in corrections),
    )


def memory_session() -> SqliteSession:
    """A SQLite database in memory; its clock stands at 0."""
    return SqliteSession(sqlite3.connect(":memory:", isolation_level=None), Path("memory"), lambda: 0)


def _tokens(tokens: tuple[int, ...] | None) -> dict[str, Column]:
    names = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    return dict(zip(names, tokens or (None,) * 5, strict=True))
