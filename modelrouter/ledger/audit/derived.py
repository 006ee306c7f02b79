"""The tables that are only there for speed, each compared with what the lines give."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from modelrouter.ledger.audit.accounts import CHARGED
from modelrouter.ledger.audit.bookings import ROLLUP_SUMS
from modelrouter.ledger.audit.lines import BEFORE_ALL, compact, whole
from modelrouter.ledger.audit.windows import definitions_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.accounts import Key
    from modelrouter.ledger.audit.bookings import RollupKey
    from modelrouter.ledger.audit.findings import Findings
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.audit.walk import Walk
    from modelrouter.ledger.session import Column, Row

__all__ = ["archived_rollups", "check_derived", "rollups_digest", "table_rows"]

PAGE: Final = 2_000
ROLLUP_KEY: Final = ("hour_us", "route", "deployment", "operator", "developer", "model", "tags", "policies")
BALANCE: Final = (
    "settled_nano_usd",
    "uncertain_nano_usd",
    "reserved_nano_usd",
    "overrun_nano_usd",
    "correction_nano_usd",
)


def check_derived(session: Reader, walked: Walk, before_us: int) -> None:
    """Compare all of them.

    Args:
        before_us: hours before it were archived; their rollups stand in for the lines, see `rollups_digest`.
    """
    rollups, accounts = _pending(session, walked)
    _rollups(session, walked, before_us, rollups)
    shapes = _budgets(session, walked)
    _accounts(session, walked, before_us, shapes, accounts)
    _leases(session, walked)
    _revocations(session, walked)
    _state(session, walked)


def table_rows(session: Reader, table: str, key: str, columns: Sequence[str]) -> Iterator[Row]:
    """All rows of a table in the order of its numbers, a page at a time; the number comes first."""
    after: Column = BEFORE_ALL
    text = f"SELECT {key}, {', '.join(columns)} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {PAGE}"  # noqa: S608 - our own names
    while rows := session.rows(text, (after,)):
        yield from rows
        after = rows[-1][0]


def archived_rollups(session: Reader, before_us: int) -> Iterator[tuple[RollupKey, Sequence[int]]]:
    """The sums of hours whose lines were archived."""
    for row in table_rows(session, "rollups", "rollup", (*ROLLUP_KEY, *ROLLUP_SUMS)):
        key, sums = _rollup(row)
        if isinstance(row[1], int) and row[1] < before_us:
            yield key, sums


def rollups_digest(session: Reader, before_us: int) -> str:
    """What an `archive` line says of the sums that stay when its lines go: a hash over them, in their order."""
    rows = sorted(compact([*key, *sums]) for key, sums in archived_rollups(session, before_us))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


# --- one table each ---------------------------------------------------------------------------------------------------


def _pending(session: Reader, walked: Walk) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Compare `pending`; gives the lines that refer to each rollup and to each account."""
    findings, wanted = walked.findings, dict(walked.bookings.pending)
    rollups: dict[int, list[int]] = {}
    accounts: dict[int, list[int]] = {}
    rows = session.rows("SELECT seq, reservation_id, writer, at_us, amount_nano_usd, accounts, rollup FROM pending")
    for seq, *columns, listed, rollup in rows:
        held = wanted.pop(whole(seq), None)
        if held is None:
            findings.add("pending", None, f"`pending` holds line {seq}, which is no reservation without an end")
            continue
        if columns != [held.reservation_id, held.writer, held.at_us, held.amount]:
            findings.add("pending", held.seq, "`pending` holds other values for it")
        rollups.setdefault(whole(rollup), []).append(held.seq)
        for account in _numbers(listed):
            accounts.setdefault(account, []).append(held.seq)
    for seq in wanted:
        findings.add("pending", seq, "it has no end, and `pending` does not hold it")
    return rollups, accounts


def _rollups(session: Reader, walked: Walk, before_us: int, referred: dict[int, list[int]]) -> None:
    findings, bookings = walked.findings, walked.bookings
    wanted = {key for key in bookings.rollups if key[0] >= before_us}
    for row in table_rows(session, "rollups", "rollup", (*ROLLUP_KEY, *ROLLUP_SUMS)):
        key, written = _rollup(row)
        for seq in referred.pop(whole(row[0]), ()):
            if bookings.pending[seq].rollup_key != key:
                findings.add("pending", seq, "`pending` names a rollup that is not its own")
        if isinstance(row[1], int) and row[1] < before_us:
            continue
        if key not in wanted:
            findings.add("rollups", None, f"`rollups` row {row[0]} stands for no line, or twice")
            continue
        wanted.discard(key)
        sums = bookings.rollups[key]
        if list(written) != sums:
            name = next(name for name, a, b in zip(ROLLUP_SUMS, written, sums, strict=True) if a != b)
            findings.add("rollups", None, f"`rollups` row {row[0]} differs from its lines in `{name}`")
    for key in sorted(wanted):
        findings.add("rollups", None, f"`rollups` has no row for {key[2]} on route {key[1]} in the hour {key[0]}")
    _unreferred(findings, "rollup", referred)


def _budgets(session: Reader, walked: Walk) -> dict[int, tuple[str, str, bool]]:
    """Compare `budgets`; gives name, shape and whether it is in force, by its number."""
    findings, accounts = walked.findings, walked.bookings.accounts
    wanted = {each.named: each for each in accounts.in_force}
    found: dict[int, tuple[str, str, bool]] = {}
    for budget, name, shape, definition, entry, in_force in table_rows(
        session, "budgets", "budget", ("name", "shape", "definition", "entry", "in_force")
    ):
        found[whole(budget)] = (str(name), str(shape), in_force == 1)
        try:
            [written] = definitions_of(f"[{definition}]")
        except ValueError:
            findings.add("budgets", None, f"`budgets` row {budget} holds no definition")
            continue
        if written.named != (name, shape):
            findings.add("budgets", None, f"`budgets` row {budget} has another name or shape than its definition")
        lines = accounts.entries.get((written.name, written.text), ())
        is_archived = in_force == 0 and isinstance(entry, int) and entry <= walked.start.seq
        if not is_archived and (entry not in lines or (in_force == 1 and entry != accounts.newest)):
            findings.add("budgets", None, f"`budgets` row {budget} names line {entry}, which does not hold it")
        if in_force not in {0, 1}:
            findings.add("budgets", None, f"`budgets` row {budget} is neither in force nor not")
        ruling = wanted.pop(written.named, None) if in_force == 1 else None
        if in_force == 1 and (ruling is None or ruling.text != definition):
            findings.add("budgets", None, f"budget `{name}` is not in force with this definition")
    for name, _ in wanted:
        findings.add("budgets", None, f"budget `{name}` is in force, and `budgets` does not say so")
    return found


def _accounts(
    session: Reader,
    walked: Walk,
    before_us: int,
    shapes: dict[int, tuple[str, str, bool]],
    referred: dict[int, list[int]],
) -> None:
    findings, bookings = walked.findings, walked.bookings
    seen: set[tuple[str, Key]] = set()
    charged: dict[int, set[tuple[str, Key]]] = {}
    for account, budget, scope, start_us, *sums in table_rows(
        session, "accounts", "account", ("budget", "scope", "start_us", *BALANCE)
    ):
        name, shape, in_force = shapes.get(whole(budget), ("", "", False))
        key = (shape, str(scope), whole(start_us))
        for seq in referred.pop(whole(account), ()):
            charged.setdefault(seq, set()).add((name, key))
            if key not in bookings.pending[seq].accounts:
                findings.add("pending", seq, f"`pending` names account {account}, which is not its own")
        if not isinstance(start_us, int) or (name, key) in seen:
            findings.add("accounts", None, f"account {account} begins at no moment, or stands twice")
            continue
        if not in_force:
            findings.add("accounts", None, f"account {account} belongs to no budget in force")
            continue
        seen.add((name, key))
        known = bookings.accounts.shapes.get(shape)
        if key[2] < before_us and known is not None and known.window != "total":
            continue
        wanted = bookings.accounts.sums.get(key[:2], {}).get(key[2])
        if sums != (wanted or [0] * 6)[:CHARGED] or wanted is None:
            findings.add("accounts", None, f"account {account} of budget `{name}` differs from its lines")
    _unreferred(findings, "account", referred)
    _missing(walked, before_us, seen, charged)


def _missing(
    walked: Walk, before_us: int, seen: set[tuple[str, Key]], charged: dict[int, set[tuple[str, Key]]]
) -> None:
    """Accounts that must be there and are not, and reservations that are not charged to them."""
    findings, accounts = walked.findings, walked.bookings.accounts
    for budget in accounts.in_force:
        since_seq, since_us = accounts.since[budget.named]
        kept_us = 0 if budget.shape.window == "total" else before_us
        first_us = budget.shape.counts_from_us(since_us)
        for (shape, scope), periods in accounts.sums.items():
            if shape != budget.shape.text:
                continue
            for start_us, sums in periods.items():
                is_needed = sums[CHARGED] > since_seq or (start_us >= first_us and any(sums[:CHARGED]))
                if is_needed and start_us >= kept_us and (budget.name, (shape, scope, start_us)) not in seen:
                    findings.add("accounts", None, f"budget `{budget.name}` has no account for `{scope}` at {start_us}")
        now_us = budget.shape.counts_from_us(walked.chains.at_us)
        for held in walked.bookings.pending.values():
            for key in held.accounts:
                needed = key[0] == budget.shape.text and (held.seq > since_seq or key[2] >= now_us)
                if needed and (budget.name, key) not in charged.get(held.seq, ()):
                    findings.add("pending", held.seq, f"`pending` does not charge it to budget `{budget.name}`")


def _leases(session: Reader, walked: Walk) -> None:
    findings, chains = walked.findings, walked.chains
    wanted = dict(chains.ends)
    rows = session.rows("SELECT w.writer_id, l.writer, l.until_us, l.head, l.written, l.checked, l.is_open"
                        " FROM leases l LEFT JOIN writers w ON w.writer = l.writer")  # fmt: skip
    for writer_id, writer, until_us, head, written, checked, is_open in rows:
        end = wanted.pop(str(writer_id), None)
        if end is None:
            findings.add("leases", None, f"`leases` holds writer {writer}, who has no line")
        elif end != (written, head):
            findings.add("leases", None, f"`leases` holds another last line of writer `{writer_id}`")
        elif not isinstance(checked, int) or not 0 <= checked <= chains.checked.get(str(writer_id), 0):
            # less than the truth is no harm: the next checkpoint names the chain once more
            findings.add("leases", None, f"`leases` says that a checkpoint named line {checked} of `{writer_id}`")
        elif not isinstance(until_us, int) or until_us < 0:
            findings.add("leases", None, f"the lease of writer `{writer_id}` ends at no moment")
        elif is_open != int(until_us > 0 or int(written or 0) > checked):
            findings.add("leases", None, f"`leases` does not say whether writer `{writer_id}` is open")
    for writer_id in wanted:
        findings.add("leases", None, f"`leases` does not hold writer `{writer_id}`")


def _revocations(session: Reader, walked: Walk) -> None:
    wanted: dict[Column, tuple[int, str]] = dict(walked.revocations.items())
    for entry, at_us, content in session.rows("SELECT entry, at_us, content FROM revocations"):
        if wanted.pop(entry, None) != (at_us, content):
            walked.findings.add("revocations", None, f"`revocations` holds entry {entry}, which no line cuts off so")
    for missing in wanted:
        walked.findings.add(
            "revocations", None, f"entry {missing} cuts somebody off, and `revocations` does not say so"
        )


def _state(session: Reader, walked: Walk) -> None:
    findings, chains = walked.findings, walked.chains
    rows = session.rows("SELECT one, seq, at_us, budgets, tag_keys, revoked FROM state")
    if len(rows) != 1:
        findings.add("state", None, f"`state` has {len(rows)} rows, and must have one")
        return
    [(one, seq, at_us, budgets, tag_keys, revoked)] = rows
    if one != 1:
        findings.add("state", None, "`state` is not numbered 1")
    if seq != chains.seq:
        findings.add("state", None, f"`state` says that the last line is {seq}, and it is {chains.seq}")
    if not isinstance(at_us, int) or at_us < chains.at_us:
        findings.add("state", None, "`state` says that the last line is older than it is")
    if budgets != walked.bookings.accounts.digest:
        findings.add("state", None, "`state` names other budgets than those in force")
    if not isinstance(tag_keys, int) or tag_keys < walked.keys_deleted:
        findings.add("state", None, "`state` counts fewer changes of tag keys than there are lines of them")
    if revoked != walked.revoked:
        findings.add("state", None, "`state` counts other revocations and restorations than there are lines of them")


def _rollup(row: Row) -> tuple[RollupKey, tuple[int, ...]]:
    """The key and the sums in a row, whatever they are: they are compared, or hashed, and nothing else."""
    columns: tuple[Any, ...] = row[1:]
    width = len(ROLLUP_KEY)
    key: Any = columns[:width]
    return key, columns[width:]


def _numbers(listed: object) -> list[int]:
    try:
        return [int(each) for each in json.loads(str(listed))]
    except (ValueError, TypeError):
        return [-1]  # refers to nothing, which is then said


def _unreferred(findings: Findings, what: str, referred: dict[int, list[int]]) -> None:
    for number, seqs in referred.items():
        findings.add("pending", seqs[0], f"`pending` names {what} {number}, which is not there")
