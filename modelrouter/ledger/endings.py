"""How reservations end within one transaction: settled, uncertain, released, expired, and corrected afterwards."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import charges, period_us
from modelrouter.core.money import format_usd
from modelrouter.errors import AlreadyResolvedError, LedgerError, LedgerUnavailableError
from modelrouter.ledger.chain import canonical_text
from modelrouter.ledger.derive import spending_of
from modelrouter.ledger.memory import Held
from modelrouter.ledger.rows import (
    BARE_END,
    END_COLUMNS,
    EntryKind,
    booked_amount,
    correction_columns,
    end_columns,
    kind_of,
)
from modelrouter.ledger.tallies import HOUR_US, SETTLED, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelrouter.ledger.memory import Memory
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Column, Row, Session
    from modelrouter.ports import Correction, Resolution

__all__ = ["Endings", "in_parts"]

TOGETHER: Final = 200
SETTLE: Final = EntryKind.SETTLE
CANCELLED: Final = (*BARE_END[:7], "cancelled", "not_sent", None, "its commit was reported as failed", 0, 0, None)
"""How a reservation ends that was durable although its caller had been told that it was not."""
PAST: Final = """SELECT r.seq, r.amount_nano_usd, r.at_us, c.route, c.policies, r.deployment, r.operator, r.developer,
    r.model, c.tags, e.kind, e.amount_nano_usd, e.input_tokens, w.writer_id
    FROM entries r JOIN calls c ON c.call_id = r.call_id LEFT JOIN entries e ON e.resolves = r.seq
    LEFT JOIN writers w ON w.writer = e.writer WHERE r.reservation_id = ?"""
CHANGES: Final = "SELECT kind, amount_nano_usd, input_tokens, content FROM entries WHERE corrects = ? ORDER BY seq"

log: Final = logging.getLogger(__name__)


class _Past:
    """A reservation that has ended: what is booked for it, and what was said of it later."""

    def __init__(self, row: Row, changes: Iterable[Row]) -> None:
        self.row = row
        self.seq = int(row[0] or 0)
        self.bound = int(row[1] or 0)
        self.kind = row[10]
        self.booked = int(row[11] or 0)
        self.has_usage = row[12] is not None
        self.is_late = self.is_reconciled = False
        for kind, amount, input_tokens, content in changes:
            self.booked += int(amount or 0)
            if kind == "correction":
                self.noted(json.loads(str(content))["why"], has_usage=input_tokens is not None)

    def noted(self, why: str, *, has_usage: bool) -> None:
        """It was corrected."""
        self.has_usage |= has_usage
        self.is_late |= why == "late"
        self.is_reconciled |= why == "reconcile"


class Endings:
    """The ends of one transaction.

    Attributes:
        known: pending reservations by their ids; those of `memory.held` beside what was looked up.
        ended: those that have ended here.
    """

    def __init__(self, session: Session, memory: Memory, page: Page, writer_id: str) -> None:
        self.known: dict[str, Held] = {}
        self._session = session
        self._memory = memory
        self._page = page
        self._writer_id = writer_id
        self.ended: set[str] = set()
        self._past: dict[str, _Past | None] = {}

    # --- what is pending ------------------------------------------------------------------------------------------

    def look_up(self, ids: Iterable[str]) -> None:
        """Find these among what is pending, as the book has it now."""
        held, generation = self._memory.held, self._memory.generation
        missing: list[Column] = []
        for name in ids:
            found = held.get(name)
            if found is not None and found.generation == generation:
                self.known[name] = found
            else:
                missing.append(name)
        for marks, part in in_parts(missing):
            # by the index of `entries`: one of `pending`'s own would be written twice by every attempt
            self._take(f"seq IN (SELECT seq FROM entries WHERE reservation_id IN ({marks}))", part)  # noqa: S608 - question marks

    def of_writer(self, writer: int) -> list[str]:
        """The pending reservations of one writer, in order."""
        return self._take("writer = ? ORDER BY seq", (writer,))

    def _take(self, where: str, values: Sequence[Column]) -> list[str]:
        names: list[str] = []
        for name, seq, amount, accounts, rollup in self._session.rows(
            f"SELECT reservation_id, seq, amount_nano_usd, accounts, rollup FROM pending WHERE {where}",  # noqa: S608 - ours
            values,
        ):
            charge = self._memory.charge(str(accounts), int(rollup or 0))
            names.append(str(name))
            self.known[names[-1]] = Held(int(seq or 0), int(amount or 0), charge, self._memory.generation)
        return names

    # --- ends -----------------------------------------------------------------------------------------------------

    def resolve(self, resolution: Resolution, *, repeated: bool) -> Exception | None:
        """Write one end; None, or why the book refuses it.

        Args:
            repeated: an earlier try of it may have been durable after all.
        """
        name = resolution.reservation_id
        try:
            kind = kind_of(resolution)
            cost = booked_amount(resolution.cost_nano_usd, name)
            columns = end_columns(resolution)
            held = self.known.get(name)
            if held is None:
                return self._late(resolution, kind, cost, columns, repeated=repeated)
            booked = min(cost, held.amount)
            self._page.end(kind.value, booked, held.seq, columns)
            self._end(name, held, SETTLED if kind is SETTLE else UNCERTAIN, booked, cost - booked, columns)
        except LedgerUnavailableError:
            raise  # of the whole batch: what was begun of it must not be committed
        except LedgerError as error:
            return error
        except TypeError as error:
            return LedgerError(f"the ledger cannot hold this entry ({error})")
        return None

    def expire(self, name: str) -> None:
        """End one whose writer's lease has lapsed: it counts at its bound, as uncertain."""
        held = self.known[name]
        self._page.end("expire", held.amount, held.seq, BARE_END)
        self._end(name, held, UNCERTAIN, held.amount, 0, BARE_END)

    def release(self, name: str) -> None:
        """End one that was granted to nobody."""
        held = self.known[name]
        self._page.end("release", 0, held.seq, CANCELLED)
        self._end(name, held, UNCERTAIN, 0, 0, CANCELLED)

    def _end(  # noqa: PLR0917 - called for each end, where names would cost
        self, name: str, held: Held, place: int, booked: int, overrun: int, columns: tuple[Column, ...]
    ) -> None:  # fmt: skip
        if overrun:
            self._overrun(held, overrun)
        page = self._page
        page.open_charge(held.charge).end(place, held.amount, booked, overrun, columns)
        if page.pending.pop(held.seq, None) is None:
            page.gone.append(held.seq)
        self.known.pop(name, None)
        self.ended.add(name)

    def _overrun(self, held: Held, amount: int) -> None:
        facts = held.facts
        if facts is None:
            sql = "SELECT deployment, operator, developer, model FROM entries WHERE seq = ?"
            (facts,) = self._session.rows(sql, (held.seq,))
        deployment, operator, developer, model = facts
        self._page.line(
            "overrun", amount, corrects=held.seq, deployment=deployment, operator=operator, developer=developer,
            model=model,
        )  # fmt: skip
        log.warning(
            "an attempt on `%s` of `%s` cost %s more than its bound", deployment, operator, format_usd(amount)
        )  # fmt: skip

    # --- afterwards -----------------------------------------------------------------------------------------------

    def correct(self, corrections: Sequence[Correction]) -> Exception | None:
        """Book what attempts turned out to have cost, all or none; None, or why not."""
        try:
            wanted: list[tuple[Correction, _Past, tuple[Column, ...], int]] = []
            for each in corrections:
                past = self._ended_before(each.reservation_id)
                if past is None or past.kind is None:
                    state = "is not in the ledger" if past is None else "has no end yet, so nothing can correct it"
                    return LedgerError(f"reservation `{each.reservation_id}` {state}")
                canonical_text(each.why)
                cost = booked_amount(each.cost_nano_usd, each.reservation_id)
                wanted.append((each, past, correction_columns(each.usage), cost))
        except LedgerUnavailableError:
            raise
        except (LedgerError, TypeError) as error:
            return error if isinstance(error, LedgerError) else LedgerError(f"the ledger cannot hold this ({error})")
        for each, past, columns, cost in wanted:
            content = canonical_text({"why": "reconcile", "text": each.why})
            self._correct(past, cost - past.booked, BARE_END if past.has_usage else columns, content)
            past.booked = cost
            past.noted("reconcile", has_usage=each.usage is not None)
        return None

    def _late(
        self, resolution: Resolution, kind: EntryKind, cost: int, columns: tuple[Column, ...], *, repeated: bool
    ) -> Exception | None:  # fmt: skip
        """The end of a reservation that is not pending: a correction, where it had expired."""
        name = resolution.reservation_id
        past = None if name in self.ended else self._ended_before(name)
        if name in self.ended or (past is not None and (past.kind != "expire" or past.is_late)):
            if past is not None and repeated and self._is_ours(past, kind, cost):
                return None
            return AlreadyResolvedError(f"reservation `{name}` was resolved before")
        if past is None:
            return LedgerError(f"reservation `{name}` is not in the ledger, so it has no end either")
        amount = 0 if past.is_reconciled else cost - past.booked
        if past.has_usage:
            columns = (*BARE_END[:7], *columns[7:])
        content = canonical_text({"why": "late", "billing": BILLINGS[resolution.billing]})
        self._correct(past, amount, columns, content)
        past.booked += amount
        past.noted("late", has_usage=resolution.attempt.usage is not None)
        return None

    def _is_ours(self, past: _Past, kind: EntryKind, cost: int) -> bool:
        """Whether the end, or the late correction, that the book has is this very one."""
        if past.kind == "expire":
            return past.is_late and past.booked == cost
        return past.row[13] == self._writer_id and past.kind == kind.value and past.booked == cost

    def _ended_before(self, name: str) -> _Past | None:
        if name not in self._past:
            rows = self._session.rows(PAST, (name,))
            self._past[name] = _Past(rows[0], self._session.rows(CHANGES, (rows[0][0],))) if rows else None
        return self._past[name]

    def _correct(self, past: _Past, amount: int, columns: tuple[Column, ...], content: str) -> None:
        page, memory = self._page, self._memory
        said = dict(zip(END_COLUMNS, columns, strict=True))
        page.line("correction", amount, corrects=past.seq, content=content, **said)
        at_us = int(past.row[2] or 0)
        route, policies, deployment, operator, developer, model, tags = map(str, past.row[3:10])
        key = (at_us // HOUR_US * HOUR_US, route, deployment, operator, developer, model, tags, policies)
        rollup = memory.find_rollup(self._session, key)
        if rollup is None:
            rollup = memory.number_rollup(self._session, key)
            page.open_rollup(rollup, key)
        spending = spending_of(route, policies, deployment, operator, developer, tags)
        rows = {budget.name: row for row, budget in memory.budgets.items()}
        accounts: list[Column] = []
        for budget, scope in charges(memory.budgets.values(), spending):
            found = self._session.rows(
                "SELECT account FROM accounts WHERE budget = ? AND scope = ? AND start_us = ?",
                (rows[budget.name], scope, period_us(budget, at_us)[0]),
            )
            accounts += [account for (account,) in found]
        charge = memory.charge(f"[{','.join(map(str, accounts))}]", rollup)
        page.open_charge(charge).correct(amount, columns)


BILLINGS: Final = {Billing.BILLED: "billed", Billing.UNCERTAIN: "uncertain", Billing.UNBILLED: "unbilled"}


def in_parts(values: Sequence[Column]) -> Iterable[tuple[str, Sequence[Column]]]:
    """Values in lots that fit one statement, each with its question marks."""
    for begin in range(0, len(values), TOGETHER):
        part = values[begin : begin + TOGETHER]
        yield ", ".join("?" * len(part)), part
