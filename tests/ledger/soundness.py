"""Whether a book is sound: its chains, and everything derived from it, made anew from its lines."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from modelrouter.core.budget import charges, period_us, span_us
from modelrouter.ledger import derive
from modelrouter.ledger.in_force import in_force
from modelrouter.ledger.tables import ENTRY_COLUMNS
from modelrouter.ledger.tallies import ACCOUNT_SUMS, ROLLUP_KEY, ROLLUP_SUMS

if TYPE_CHECKING:
    from modelrouter.ledger.session import Column, Session
    from modelrouter.ledger.store import StoredLedger

__all__ = ["assert_sound", "lines"]

COLUMNS = tuple(name for name, _ in ENTRY_COLUMNS)
ENDS = {"settle", "uncertain", "release", "expire"}


def lines(ledger: StoredLedger) -> list[dict[str, str | int | None]]:
    """All lines of a book, by the names of their columns, with the writer's id in `writer_id`."""
    with ledger.reading() as session:
        return _lines(session)


def _lines(session: Session) -> list[dict[str, str | int | None]]:
    names = _pairs(session, "SELECT writer, writer_id FROM writers")
    rows = session.rows(f"SELECT {', '.join(COLUMNS)} FROM entries ORDER BY seq")  # noqa: S608 - our own names
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for line in found:
        line["writer_id"] = names[line["writer"]]
    return found


def assert_sound(ledger: StoredLedger) -> None:
    """Nothing in the book contradicts anything else in it."""
    with ledger.reading() as session:
        found = _lines(session)
        _check_chains(session, found)
        _check_calls(session, found)
        _check_ends(session, found)
        _check_sums(session)


def _pairs(session: Session, sql: str) -> dict[Column, Column]:
    return {row[0]: row[1] for row in session.rows(sql)}


def _check_chains(session: Session, found: list[dict[str, str | int | None]]) -> None:
    ends: dict[str, tuple[int, str]] = {}
    for seq, line in enumerate(found, 1):
        assert line["seq"] == seq
        name = str(line["writer_id"])
        number, previous = ends.get(name, (0, ""))
        assert (line["writer_seq"] == 1) == (line["kind"] == "open")
        assert line["writer_seq"] == number + 1
        values = [line["seq"], name, *(line[column] for column in COLUMNS[2:-1])]
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        assert line["hash"] == hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        if line["kind"] == "checkpoint":
            for writer, head in json.loads(str(line["content"]))["heads"].items():
                assert ends[writer] == tuple(head)
        ends[name] = (int(line["writer_seq"] or 0), str(line["hash"]))
    leases = session.rows("SELECT w.writer_id, l.written, l.head FROM leases l JOIN writers w ON w.writer = l.writer")
    assert {str(name): (number, head) for name, number, head in leases} == ends
    times = [int(line["at_us"] or 0) for line in found]
    assert times == sorted(times)
    ((last, at_us),) = session.rows("SELECT seq, at_us FROM state")
    assert last == len(found)
    assert at_us == (times[-1] if times else 0)


def _check_calls(session: Session, found: list[dict[str, str | int | None]]) -> None:
    names = _pairs(session, "SELECT writer, writer_id FROM writers")
    digests: dict[str, str] = {}
    for call_id, request_id, at_us, writer, *rest in session.rows(
        "SELECT call_id, request_id, at_us, writer, route, session, tags, policies, decision FROM calls"
    ):
        text = json.dumps([call_id, request_id, at_us, names[writer], *rest], separators=(",", ":"), ensure_ascii=False)
        digests[str(call_id)] = hashlib.sha256(text.encode()).hexdigest()
    bodies = _pairs(session, "SELECT digest, body FROM documents WHERE kind = 'price'")
    for line in found:
        if line["kind"] == "reserve":
            assert line["call_digest"] == digests.pop(str(line["call_id"]), None)
            assert hashlib.sha256(str(bodies[line["price"]]).encode()).hexdigest() == line["price"]
    assert not digests


def _check_ends(session: Session, found: list[dict[str, str | int | None]]) -> None:
    reserved = {line["seq"]: line for line in found if line["kind"] == "reserve"}
    ended = {line["resolves"]: line for line in found if line["kind"] in ENDS}
    assert len(ended) == sum(line["kind"] in ENDS for line in found)
    assert ended.keys() <= reserved.keys()
    for seq, line in ended.items():
        assert int(line["amount_nano_usd"] or 0) <= int(reserved[seq]["amount_nano_usd"] or 0)
    pending = session.rows("SELECT seq, reservation_id, writer, at_us, amount_nano_usd FROM pending ORDER BY seq")
    wanted = [
        (seq, line["reservation_id"], line["writer"], line["at_us"], line["amount_nano_usd"])
        for seq, line in reserved.items()
        if seq not in ended
    ]
    assert pending == wanted


def _check_sums(session: Session) -> None:
    columns = ", ".join((*ROLLUP_KEY, *ROLLUP_SUMS))
    rollups = {row[:8]: list(row[8:]) for row in session.rows(f"SELECT {columns} FROM rollups")}  # noqa: S608 - our own names
    assert {key: sums for key, sums in rollups.items() if any(sums)} == {
        key: sums for key, sums in derive.rollups(session).items() if any(sums)
    }
    numbers = _pairs(session, "SELECT seq, rollup FROM pending")
    keys = {row[0]: row[1:] for row in session.rows(f"SELECT rollup, {', '.join(ROLLUP_KEY)} FROM rollups")}  # noqa: S608 - our own names
    ((at_us, digest),) = session.rows("SELECT at_us, budgets FROM state")
    moment = int(at_us or 0)
    budgets = in_force(session)
    texts = ",".join(sorted(budget.definition for budget in budgets.values()))
    assert digest == "" or digest == hashlib.sha256(f"[{texts}]".encode()).hexdigest()
    names = ", ".join(ACCOUNT_SUMS)
    accounts = {
        (int(row[1] or 0), str(row[2]), int(row[3] or 0)): (row[0], list(row[4:]))
        for row in session.rows(f"SELECT account, budget, scope, start_us, {names} FROM accounts")  # noqa: S608 - our own names
    }
    counting = {
        key: sums for key, (_, sums) in accounts.items() if key[2] >= span_us(budgets[key[0]], moment)[0] and any(sums)
    }
    wanted = {key: sums for key, sums in derive.accounts(session, budgets, moment).items() if any(sums)}
    assert counting == wanted
    rows = {budget.name: row for row, budget in budgets.items()}
    held = {seq: json.loads(str(text)) for seq, text in session.rows("SELECT seq, accounts FROM pending")}
    for each in derive.booked_since(session, 0):
        if each.is_open:
            assert keys[numbers[each.seq]] == each.key
            found = {key for key, (number, _) in accounts.items() if number in held[each.seq]}
            due = {
                (rows[budget.name], scope, period_us(budget, each.at_us)[0])
                for budget, scope in charges(budgets.values(), each.spending)
            }
            assert found <= due
            assert {key for key in due if key[2] >= span_us(budgets[key[0]], moment)[0]} <= found
