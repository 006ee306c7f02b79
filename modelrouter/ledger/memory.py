"""What a writer remembers of the book from one batch to the next, so that a batch reads next to nothing.

All of it is right as long as nobody else has written a line, which `state.seq` tells. When somebody has, a new
**generation** begins: balances and reservations that were remembered are looked up again before they are used. Rows
that never change their number (rollups, documents) stay known. Row numbers of accounts are part of the balances.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import Balance, Position, Spending, charges, period_us, span_us
from modelrouter.ledger.in_force import next_number
from modelrouter.ledger.rows import policies_text, tags_text
from modelrouter.ledger.shares import Shares
from modelrouter.ledger.tallies import (
    ACCOUNT_SUMS,
    CORRECTION,
    OVERRUN,
    RESERVED,
    ROLLUP_KEY,
    ROLLUP_SUMS,
    add_correction,
    add_end,
    add_reservation,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.budget import Budget
    from modelrouter.ledger.derive import RollupKey
    from modelrouter.ledger.session import Column, Session
    from modelrouter.ports import Reservation

__all__ = ["Charge", "Held", "Memory", "Pot", "Subject"]

KEPT_MAX: Final = 20_000
"""Balances, subjects and rollups remembered at most; beyond that all are forgotten and looked up again."""
NEVER_US: Final = 2**62
TOGETHER: Final = 50


class Pot:
    """The balance of one budget for one scope, over its window; a `core.budget.Standing`.

    Attributes:
        account: the row of the present period; 0 while there is none.
        start_us: when the present period begins.
        sums: the five of `tallies.ACCOUNT_SUMS`; `spent` and `used` are what they come to.
    """

    __slots__ = (
        "account", "budget", "generation", "resets_us", "row", "scope", "spent", "start_us", "sums", "used",
    )  # fmt: skip

    def __init__(self, row: int, budget: Budget, scope: str) -> None:
        self.row = row
        self.budget = budget
        self.scope = scope
        self.generation = -1
        self.account = 0
        self.start_us = 0
        self.resets_us: int | None = None
        self.sums = [0, 0, 0, 0, 0]
        self.spent = 0
        self.used = 0

    def position(self) -> Position:
        """Where it stands now."""
        return Position(self.budget, self.scope, Balance(*self.sums), self.resets_us)


class Charge:
    """Where the amounts of reservations that are alike count: accounts of one moment, and the rollup of one hour.

    One transaction adds up here, and writes it once.

    Attributes:
        text: the accounts as `pending` has them.
        pots: those of the balances that are known here which these accounts are part of.
        money: what is to be added to each account.
        sums: what is to be added to the rollup.
        is_open: it is among `Page.charges`.
    """

    __slots__ = ("accounts", "is_open", "money", "pots", "rollup", "sums", "text")

    def __init__(self, accounts: tuple[int, ...], text: str, rollup: int, pots: list[Pot]) -> None:
        self.accounts = accounts
        self.text = text
        self.rollup = rollup
        self.pots = pots
        self.is_open = False
        self.money = [0] * len(ACCOUNT_SUMS)
        self.sums = [0] * len(ROLLUP_SUMS)

    def clear(self) -> None:
        """What was added up has been written."""
        self.is_open = False
        self.money = [0] * len(ACCOUNT_SUMS)
        self.sums = [0] * len(ROLLUP_SUMS)

    def reserve(self, amount: int, *, opens_call: bool) -> None:
        """Set an amount aside."""
        for pot in self.pots:
            pot.used += amount
            pot.sums[RESERVED] += amount
        self.money[RESERVED] += amount
        add_reservation(self.sums, amount, opens_call=opens_call)

    def end(self, place: int, bound: int, booked: int, overrun: int, columns: Sequence[Column]) -> None:
        """End a reservation, see `tallies.add_end`."""
        spent = booked + overrun
        for pot in self.pots:
            pot.used += spent - bound
            pot.spent += spent
            pot.sums[RESERVED] -= bound
            pot.sums[place] += booked
            pot.sums[OVERRUN] += overrun
        money = self.money
        money[RESERVED] -= bound
        money[place] += booked
        money[OVERRUN] += overrun
        add_end(self.sums, place, bound, booked, overrun, columns)

    def correct(self, amount: int, columns: Sequence[Column]) -> None:
        """Correct what was booked."""
        for pot in self.pots:
            pot.used += amount
            pot.spent += amount
            pot.sums[CORRECTION] += amount
        self.money[CORRECTION] += amount
        add_correction(self.sums, amount, columns)


class Subject:
    """Reservations that are alike: the same route, policies, tags, deployment and so on.

    Attributes:
        pots: of all budgets that cover them.
        charge: where they count, in the hour and the generation that stand beside it.
    """

    __slots__ = ("charge", "generation", "hour_us", "key", "policies", "pots", "tags")

    def __init__(self, key: tuple[str, ...], policies: str, tags: str, pots: tuple[Pot, ...]) -> None:
        self.key = key
        self.policies = policies
        self.tags = tags
        self.pots = pots
        self.hour_us = -1
        self.generation = -1
        self.charge: Charge | None = None

    def rollup_key(self, hour_us: int) -> RollupKey:
        """The rollup of an hour."""
        route, deployment, operator, developer, model = self.key
        return hour_us, route, deployment, operator, developer, model, self.tags, self.policies


class Held:
    """A reservation without an end.

    Attributes:
        facts: deployment, operator, developer and model; None where they are to be looked up.
    """

    __slots__ = ("amount", "charge", "facts", "generation", "seq")

    def __init__(
        self, seq: int, amount: int, charge: Charge, generation: int, facts: tuple[Column, ...] | None = None
    ) -> None:
        self.seq = seq
        self.amount = amount
        self.charge = charge
        self.generation = generation
        self.facts = facts


class Memory:
    """See the module.

    Attributes:
        writer: our row in `writers`; 0 before we have signed in.
        written: our lines; `head` is the hash of the last, and `checked` how many a checkpoint has named.
        budgets: in force, by their rows; `digest` is what `state` said of them. None: to be read.
        revocations: who is cut off, as of `revoked`, which counts the changes. -1: to be read.
        held: our own reservations without an end, by their ids.
        shares: what share caps are asked of; None until somebody asks.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.seq = -1
        self.first_seq = 1
        self.writer = 0
        self.written = 0
        self.head = ""
        self.checked = 0
        self.until_us = 0
        self.lapse_us = 0
        """When the next lease of somebody else will have lapsed, as far as we know."""
        self.digest: str | None = None
        self.budgets: dict[int, Budget] = {}
        self.revocations: tuple[Revocation, ...] = ()
        self.revoked = -1
        self.held: dict[str, Held] = {}
        self.pots: dict[tuple[int, str], Pot] = {}
        self.by_account: dict[int, Pot] = {}
        self.charges: dict[tuple[str, int], Charge] = {}
        self.charges_of: dict[int, list[Charge]] = {}
        self.changes_us = NEVER_US
        """When the first of the windows known here goes on: from then on, all balances are looked up again."""
        self.subjects: dict[tuple[object, ...], Subject] = {}
        self.rollups: dict[RollupKey, int] = {}
        self.documents: set[str] = set()
        self.shares: Shares | None = None
        self.next_account = 0
        self.next_rollup = 0
        """Numbers to give out; 0: to be read."""

    def begin_generation(self) -> None:
        """Balances are to be looked up again: somebody else has written, or time has gone on."""
        self.generation += 1
        self.next_account = self.next_rollup = 0
        self.lapse_us = 0
        self.changes_us = NEVER_US
        self.by_account.clear()
        self.charges.clear()
        self.charges_of.clear()

    def shrink(self) -> None:
        """Forget what can be looked up again, where it has become too much."""
        if max(len(self.pots), len(self.subjects), len(self.charges)) > KEPT_MAX:
            self.forget_subjects()
            self.begin_generation()
        if len(self.rollups) > KEPT_MAX:
            self.rollups.clear()
        if len(self.documents) > KEPT_MAX:
            self.documents.clear()

    def forget_subjects(self) -> None:
        """Forget who falls under which budget."""
        self.subjects.clear()
        self.pots.clear()

    def subject(self, reservation: Reservation) -> Subject:
        """What this reservation counts under.

        Raises:
            TypeError: tags or policies are no text.
        """
        call = reservation.call
        key = (
            call.route,
            call.policies,
            reservation.deployment,
            reservation.operator,
            reservation.developer,
            reservation.model,
            *call.tags.items(),
        )
        found = self.subjects.get(key)
        if found is None:
            found = self.subjects[key] = self._new_subject(reservation)
        return found

    def _new_subject(self, reservation: Reservation) -> Subject:
        call = reservation.call
        developer = reservation.developer
        said = (call.route, reservation.deployment, reservation.operator, developer, reservation.model, *call.policies)
        if not all(isinstance(text, str) for text in (*said, *call.tags, *call.tags.values())):
            raise TypeError("route, deployment, operator, developer, model, policies and tags are text")
        spending = Spending(
            call.route, call.policies, reservation.deployment, reservation.operator, developer, dict(call.tags)
        )
        rows = {budget.name: row for row, budget in self.budgets.items()}
        pots = tuple(
            self._pot(rows[budget.name], budget, scope) for budget, scope in charges(self.budgets.values(), spending)
        )
        return Subject(said[:5], policies_text(call.policies), tags_text(call.tags), pots)

    def _pot(self, row: int, budget: Budget, scope: str) -> Pot:
        found = self.pots.get((row, scope))
        if found is None:
            found = self.pots[row, scope] = Pot(row, budget, scope)
        return found

    def find_rollup(self, session: Session, key: RollupKey) -> int | None:
        """The row of a rollup; None where there is none yet."""
        found = self.rollups.get(key)
        if found is None:
            where = " AND ".join(f"{name} = ?" for name in ROLLUP_KEY)
            for (number,) in session.rows(f"SELECT rollup FROM rollups WHERE {where}", key):  # noqa: S608 - our own names
                found = self.rollups[key] = int(number or 0)
        return found

    def number_rollup(self, session: Session, key: RollupKey) -> int:
        """A number for a new rollup."""
        if not self.next_rollup:
            self.next_rollup = next_number(session, "rollups", "rollup")
        number = self.rollups[key] = self.next_rollup
        self.next_rollup += 1
        return number

    def number_account(self, session: Session) -> int:
        """A number for a new account."""
        if not self.next_account:
            self.next_account = next_number(session, "accounts", "account")
        self.next_account += 1
        return self.next_account - 1

    def charge(self, text: str, rollup: int) -> Charge:
        """Where a reservation counts whose accounts `pending` names so."""
        found = self.charges.get((text, rollup))
        if found is None:
            accounts = tuple(json.loads(text))
            pots = [self.by_account[account] for account in accounts if account in self.by_account]
            found = self.charges[text, rollup] = Charge(accounts, text, rollup, pots)
            for account in accounts:
                self.charges_of.setdefault(account, []).append(found)
        return found

    def follow_shares(self, session: Session, reach_s: int, at_us: int) -> Shares:
        """What share caps are asked of, as of the last line of the book.

        Args:
            reach_s: how far back they look.
        """
        shares = self.shares
        if shares is None or shares.reach_s < reach_s:
            shares = self.shares = Shares(reach_s)
        shares.catch_up(session, self.seq, at_us)
        return shares

    def load(self, session: Session, subjects: Iterable[Subject], at_us: int) -> None:
        """Make sure that the balances of these are those of the book, by the windows of a moment."""
        generation = self.generation
        stale = {
            (pot.row, pot.scope): pot
            for subject in subjects
            for pot in subject.pots
            if pot.generation != generation
        }  # fmt: skip
        pots = list(stale.values())
        for begin in range(0, len(pots), TOGETHER):
            self._load(session, {(pot.row, pot.scope): pot for pot in pots[begin : begin + TOGETHER]}, at_us)

    def _load(self, session: Session, pots: dict[tuple[int, str], Pot], at_us: int) -> None:
        wanted: list[Column] = []
        for pot in pots.values():
            wanted += (pot.row, pot.scope, self._renew(pot, at_us))
        where = " OR ".join(["(budget = ? AND scope = ? AND start_us >= ?)"] * len(pots))
        for budget, scope, number, start_us, *sums in session.rows(
            f"SELECT budget, scope, account, start_us, {', '.join(ACCOUNT_SUMS)} FROM accounts WHERE {where}",  # noqa: S608 - ours
            wanted,
        ):
            pot = pots[int(budget or 0), str(scope)]
            account = int(number or 0)
            self.by_account[account] = pot
            for charge in self.charges_of.get(account, ()):
                charge.pots.append(pot)
            if start_us == pot.start_us:
                pot.account = account
            pot.sums = [int(sum_ or 0) + before for sum_, before in zip(sums, pot.sums, strict=True)]
        for pot in pots.values():
            pot.used = sum(pot.sums)
            pot.spent = pot.used - pot.sums[RESERVED]

    def _renew(self, pot: Pot, at_us: int) -> int:
        """Begin its window with nothing in it; the first `start_us` that counts."""
        pot.generation = self.generation
        first_us, pot.resets_us = span_us(pot.budget, at_us)
        pot.start_us, end_us = period_us(pot.budget, at_us)
        for moment in (end_us, pot.resets_us):
            if moment is not None:
                self.changes_us = min(self.changes_us, moment)
        pot.account = 0
        pot.sums = [0, 0, 0, 0, 0]
        return first_us
