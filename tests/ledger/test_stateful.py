"""Any order of good and bad entries, clocks, restarts and budgets, against a book made of a list."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance, Position, Spending, Window, admit, charges, period_us, span_us
from modelrouter.errors import (
    AlreadyResolvedError,
    BudgetBusyError,
    BudgetExceededError,
    BudgetMismatchError,
    DuplicateRequestError,
    LedgerError,
    LedgerUnavailableError,
)
from modelrouter.ledger import AttemptState, Totals
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import StillClock, budget, call_record, reservation, reserve, resolution, resolve
from tests.ledger.soundness import assert_sound

if TYPE_CHECKING:
    from modelrouter.core.budget import Budget
    from modelrouter.ledger.store import StoredLedger
    from modelrouter.ports import Reservation

AMOUNTS = st.one_of(st.integers(0, 400), st.sampled_from([0, 250, 500, 1_000, 1_001]))
NAMES = st.integers(0, 12).map("r-{}".format)
LEASE_S = 30.0
SETS: tuple[tuple[Budget, ...], ...] = (
    (),
    (budget("all", 1_000), budget("team", 600, window=Window.DAY, each="tag.team")),
    (budget("all", 2_000), budget("team", 600, window=Window.DAY, each="tag.team")),
    (
        budget("all", 1_500, window=Window.ROLLING, length_s=7_200),
        budget("team", 600, window=Window.HOUR, each="tag.team", zone_name="Asia/Kolkata"),
        budget("small", 700, window=Window.MONTH, only={"deployment": {"small"}}, zone_name="Europe/Berlin"),
    ),
    (budget("policy", 900, window=Window.WEEK, each="policy"), budget("all", 1_000)),
)
STATES = {
    Billing.BILLED: AttemptState.SETTLED,
    Billing.UNCERTAIN: AttemptState.UNCERTAIN,
    Billing.UNBILLED: AttemptState.RELEASED,
}


@dataclass
class Entry:
    """One attempt in the list."""

    wanted: Reservation
    at_us: int
    writer: int
    state: AttemptState = AttemptState.RESERVED
    balance: Balance = field(default_factory=Balance)
    saved: int = 0
    is_late: bool = False

    @property
    def spending(self) -> Spending:
        """As budgets see it."""
        each, call = self.wanted, self.wanted.call
        return Spending(call.route, call.policies, each.deployment, each.operator, each.developer, call.tags)


class BookMachine(RuleBasedStateMachine):
    """Reserve, resolve, wait, reopen, apply; after each step the file and the list say the same."""

    names: Bundle[str] = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "book.db"
        self.clock = StillClock()
        self.ours: tuple[Budget, ...] = SETS[0]
        self.theirs: tuple[Budget, ...] | None = None
        self.entries: dict[str, Entry] = {}
        self.requests: dict[str, str] = {}
        self.writer = 0
        self.until_us: dict[int, int] = {}
        self.store = self.opened()

    def opened(self) -> StoredLedger:
        """Another store on the file."""
        return SqliteLedger(self.path, self.clock, budgets=self.ours, lease_s=LEASE_S)

    @property
    def now_us(self) -> int:
        """The clock."""
        return round(self.clock.now_s() * 1_000_000)

    # --- what the list says ---------------------------------------------------------------------------------------

    def position(self, each: Budget, scope: str) -> Position:
        """A balance, added up from everything."""
        first_us, resets_us = span_us(each, self.now_us)
        total = Balance()
        for entry in self.entries.values():
            if (each, scope) in charges([each], entry.spending) and period_us(each, entry.at_us)[0] >= first_us:
                total = total.plus(entry.balance)
        return Position(each, scope, total, resets_us)

    def lapse(self, resolved: str = "") -> None:
        """What the next batch expires: all that writers hold who have given no sign of life, but for what it ends."""
        for name, entry in self.entries.items():
            if (
                name != resolved
                and entry.state is AttemptState.RESERVED
                and entry.writer != self.writer
                and self.until_us[entry.writer] < self.now_us
            ):
                entry.state = AttemptState.EXPIRED
                entry.balance = Balance(uncertain=entry.wanted.bound.nano_usd)

    def alive(self) -> None:
        """A batch of ours was written."""
        self.until_us[self.writer] = self.now_us + round(LEASE_S * 1_000_000)

    def expected(self, wanted: Reservation) -> type[Exception] | None:
        """What becomes of a reservation."""
        call = wanted.call
        if call.request_id is not None and self.requests.get(call.request_id, call.call_id) != call.call_id:
            return DuplicateRequestError
        if self.theirs is None and self.ours:
            self.theirs = self.ours
        theirs = self.theirs or ()
        if {each.definition for each in theirs} != {each.definition for each in self.ours}:
            return BudgetMismatchError
        entry = Entry(wanted, self.now_us, self.writer)
        refusal = admit(
            wanted.bound.nano_usd, [self.position(each, scope) for each, scope in charges(theirs, entry.spending)]
        )
        if refusal is not None:
            return BudgetBusyError if refusal.is_busy else BudgetExceededError
        return None

    # --- steps ----------------------------------------------------------------------------------------------------

    @rule(
        target=names,
        name=NAMES,
        call=st.sampled_from(["c-1", "c-2", "c-3", "c-4"]),
        request=st.sampled_from([None, "q-1", "q-2"]),
        deployment=st.sampled_from(["small", "large"]),
        team=st.sampled_from([None, "a", "b"]),
        bound=AMOUNTS,
    )
    def reserve(self, name: str, call: str, request: str | None, deployment: str, team: str | None, bound: int) -> str:
        """Reserve, perhaps under a known name, a known call or a known request."""
        known = next((each.wanted.call for each in self.entries.values() if each.wanted.call.call_id == call), None)
        record = known or call_record(call, request_id=request, tags={} if team is None else {"team": team})
        wanted = reservation(name, call=record, deployment=deployment, bound_nano_usd=bound)
        has_adopted = self.theirs is not None
        before = self.count(AttemptState.EXPIRED)
        self.lapse()
        expected = self.expected(wanted)
        error = reserve(self.store, wanted)
        if name in self.entries:  # several reasons against it, and any of them will do
            assert type(error) in {LedgerError, expected}
            expected = LedgerError if type(error) is LedgerError else expected
        assert type(error) is (type(None) if expected is None else expected), error
        if isinstance(error, DuplicateRequestError):
            assert error.first_call_id == self.requests[str(record.request_id)]
        if expected is None:
            self.entries[name] = Entry(wanted, self.now_us, self.writer, balance=Balance(reserved=bound))
            if record.request_id is not None:
                self.requests[record.request_id] = call
        if expected is None or before != self.count(AttemptState.EXPIRED) or has_adopted != (self.theirs is not None):
            self.alive()
        return name

    def count(self, state: AttemptState) -> int:
        """How many are in a state."""
        return sum(each.state is state for each in self.entries.values())

    @rule(name=names, billing=st.sampled_from(Billing), cost=AMOUNTS, saved=st.one_of(st.none(), st.integers(-9, 9)))
    def resolve(self, name: str, billing: Billing, cost: int, saved: int | None) -> None:
        """Resolve, perhaps again, perhaps late, perhaps what was never granted."""
        cost = 0 if billing is Billing.UNBILLED else cost
        before = self.count(AttemptState.EXPIRED)
        self.lapse(name)
        entry = self.entries.get(name)
        error = resolve(self.store, resolution(name, billing=billing, cost_nano_usd=cost, saved_nano_usd=saved))
        if before != self.count(AttemptState.EXPIRED):
            self.alive()
        if entry is None:
            assert type(error) is LedgerError
            return
        bound = entry.wanted.bound.nano_usd
        if entry.state is AttemptState.RESERVED:
            within, over = min(cost, bound), max(cost - bound, 0)
            is_settled = billing is Billing.BILLED
            entry.balance = Balance(within if is_settled else 0, 0 if is_settled else within, overrun=over)
            entry.state = STATES[billing]
        elif entry.state is AttemptState.EXPIRED and not entry.is_late:
            entry.balance = Balance(uncertain=bound, correction=cost - bound)
            entry.is_late = True
        else:
            assert isinstance(error, AlreadyResolvedError)
            return
        assert error is None
        entry.saved = saved or 0
        self.alive()

    @rule(seconds=st.sampled_from([0.5, 9.0, 31.0, 113.0, 3_600.0, 86_400.0, 2_700_000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, for all clocks alike; a writer at work gives a sign of life when one is due."""
        self.clock.at_s += seconds
        self.store.totals()
        is_due = self.until_us.get(self.writer, 0) <= self.now_us + round(LEASE_S * 2_000_000 / 3)
        if is_due and any(self.is_ours(each) for each in self.entries.values()):
            self.lapse()
            self.alive()

    def is_ours(self, entry: Entry) -> bool:
        """Whether it was reserved by this store and has no end."""
        return entry.writer == self.writer and entry.state is AttemptState.RESERVED

    @rule(chosen=st.sampled_from(SETS))
    def reopen(self, chosen: tuple[Budget, ...]) -> None:
        """Close, and open again as a new writer, perhaps with another config."""
        self.store.close(30)
        assert isinstance(reserve(self.store, reservation("late")), LedgerUnavailableError)
        self.writer += 1
        self.ours = chosen
        self.store = self.opened()

    @rule(chosen=st.sampled_from(SETS))
    def configure(self, chosen: tuple[Budget, ...]) -> None:
        """Go by other budgets, whatever the book says."""
        self.ours = chosen
        self.store.configure(budgets=chosen)

    @rule()
    @precondition(lambda self: self.entries)
    def apply(self) -> None:
        """Put ours in force."""
        self.lapse()
        self.store.apply(self.ours)
        self.theirs = self.ours
        self.alive()

    # --- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def balances_agree(self) -> None:
        """Each budget stands where the list says, and only corrections and overruns ever pass a limit."""
        budgets = self.ours if self.theirs is None else self.theirs
        wanted = set()
        for each in budgets:
            scopes = {scope for entry in self.entries.values() for found, scope in charges([each], entry.spending)}
            positions = [self.position(each, scope) for scope in scopes]
            wanted |= {(each.name, found.scope, found.balance) for found in positions if found.balance != Balance()}
        found = self.store.positions()
        assert {(each.budget.name, each.scope, each.balance) for each in found} == wanted

    @invariant()
    def sums_agree(self) -> None:
        """Totals are the sums over the list, and so are the groups."""
        calls = {each.wanted.call.call_id for each in self.entries.values()}
        total = Balance()
        for each in self.entries.values():
            total = total.plus(each.balance)
        saved = sum(each.saved for each in self.entries.values())
        assert self.store.totals() == Totals(
            len(calls), len(self.entries), 0, total.settled, total.uncertain, total.reserved, saved, total.overrun,
            total.correction,
        )  # fmt: skip
        for by in ("deployment", "tag.team", "route", "model", "operator", "day"):
            assert sum(row.attempts for row in self.store.spend(by=by)) == len(self.entries)

    @invariant()
    def attempts_agree(self) -> None:
        """Each attempt is in its state and has cost what the list says; what is ours and open may be acted on."""
        for attempt in self.store.attempts(limit=100):
            entry = self.entries[attempt.reservation_id]
            assert (attempt.bound, attempt.state) == (entry.wanted.bound, entry.state)
            assert attempt.cost_nano_usd == entry.balance.spent
            assert self.store.holds(attempt.reservation_id) == self.is_ours(entry)

    @invariant()
    def book_is_sound(self) -> None:
        """Chains hold, and every derived table can be made anew from the lines."""
        assert_sound(self.store)

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.store.close(30)
        self.folder.cleanup()


BookMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestBook = BookMachine.TestCase
