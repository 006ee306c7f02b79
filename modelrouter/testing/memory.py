"""A book in memory: the rules of the real one, budgets and leases among them, without a file."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance, Position, Spending, admit, charges, period_us, span_us
from modelrouter.core.budget_text import refusal_text
from modelrouter.errors import (
    AlreadyResolvedError,
    BudgetBusyError,
    BudgetError,
    BudgetExceededError,
    DuplicateRequestError,
    LedgerError,
    LedgerUnavailableError,
    RequestError,
)
from modelrouter.ports import SpendRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ports import Clock, Committed, RefusedCalls, Reservation, Resolution

    _Account: TypeAlias = tuple[str, str, int]

__all__ = ["MemoryLedger"]

GROUPINGS: Final = ("day", "deployment", "developer", "model", "operator", "route")
SECOND_US: Final = 1_000_000


@dataclass(slots=True)
class _Booked:
    """A reservation with all that became of it.

    Attributes:
        accounts: budget, scope and beginning of the period of each account that it counts in.
        expired: its lease lapsed before it was resolved.
    """

    reservation: Reservation
    at_us: int
    accounts: tuple[_Account, ...] = ()
    resolution: Resolution | None = None
    expired: bool = False

    @property
    def balance(self) -> Balance:
        """What it counts for: its bound, then its end; what exceeds the bound apart, and what came late as well."""
        most, ended = self.reservation.bound.nano_usd, self.resolution
        if self.expired:
            return Balance(uncertain=most, correction=0 if ended is None else ended.cost_nano_usd - most)
        if ended is None:
            return Balance(reserved=most)
        within = min(ended.cost_nano_usd, most)
        over = ended.cost_nano_usd - within
        if ended.billing is Billing.UNCERTAIN:
            return Balance(uncertain=within, overrun=over)
        return Balance(settled=within, overrun=over)

    @property
    def spending(self) -> Spending:
        """As budgets see it."""
        each, call = self.reservation, self.reservation.call
        return Spending(call.route, call.policies, each.deployment, each.operator, each.developer, call.tags)


class _Parked:
    """A reservation that waits for money. Whoever takes it answers it, once."""

    def __init__(self, reservation: Reservation, done: Committed) -> None:
        self.reservation = reservation
        self.done = done
        self.timer: threading.Timer | None = None


class MemoryLedger:
    """A book in memory with the rules of the real one, budgets among them. It does not outlive its process.

    Args:
        clock: when reservations are made; None takes the machine's. Waiting for money goes by real time in any case.

    Attributes:
        reservations: by id, in order.
        resolutions: by id of the reservation.
        refused: requests that nobody might serve, as they were noted.
        fault: set it to an exception, and every further write fails with it, as on a full disk.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.reservations: dict[str, Reservation] = {}
        self.resolutions: dict[str, Resolution] = {}
        self.refused: list[RefusedCalls] = []
        self.fault: Exception | None = None
        self._booked: dict[str, _Booked] = {}
        self._budgets: tuple[Budget, ...] = ()
        self._accounts: dict[tuple[str, str], dict[int, Balance]] = {}
        self._parked: deque[_Parked] = deque()
        self._requests: dict[str, str] = {}
        self._first_of_calls: dict[str, str] = {}
        self._tag_keys: dict[str, bytes] = {}
        self._now_s = time.time if clock is None else clock.now_s
        # A dropped stream is booked by the garbage collector, whoever holds the lock: such an end waits for its turn.
        self._guard = threading.RLock()
        self._is_writing = False
        self._ends: deque[tuple[Resolution, Committed]] = deque()

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Go by these budgets. What was spent in their windows before counts too, also for a new one."""
        with self._alone():
            self._budgets = tuple(budgets)
            self._accounts = {}
            for each in self._booked.values():
                self._enter(each)
        self._retry()

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Keep a reservation, or refuse a known `request_id` or what does not fit into a budget."""
        with self._alone():
            error = self.fault or self._admit(reservation)
            if _may_wait(error, reservation):
                self._park(reservation, done, error)
                return
        done(error)

    def holds(self, reservation_id: str) -> bool:
        """Whether it is reserved, and its lease has not lapsed."""
        with self._guard:
            found = self._booked.get(reservation_id)
            return found is not None and found.resolution is None and not found.expired

    def lapse(self) -> None:
        """Let the lease of everything under way lapse, as if this process had stood still for too long."""
        with self._alone():
            for each in self._booked.values():
                if each.resolution is None and not each.expired:
                    before, each.expired = each.balance, True
                    self._change(each, before)
        self._retry()

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Resolve a reservation, once."""
        self._ends.append((resolution, done or _unheard))
        self._take_ends()

    def positions(self) -> Sequence[Position]:
        """Where each budget stands now, for every scope that has spent anything in its window."""
        with self._alone():
            now_us = self._now_us()
            by_name = {budget.name: budget for budget in self._budgets}
            found = [self._position(by_name[name], scope, now_us) for name, scope in sorted(self._accounts)]
            return tuple(each for each in found if each.balance != Balance())

    def pseudonym(self, tag: str, value: str) -> str:
        """A keyed hash, by a key that is made when it is first needed."""
        with self._guard:
            key = self._tag_keys.setdefault(tag, secrets.token_bytes(32))
        return "~" + hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:24]

    def spend(self, *, by: str, since_s: float | None = None) -> Sequence[SpendRow]:
        """Totals, as the real book gives them.

        Raises:
            RequestError: `by` is no grouping.
        """
        if by not in GROUPINGS and not by.startswith("tag."):
            raise RequestError(f"`{by}` is no grouping: use {', '.join(GROUPINGS)} or tag.NAME")
        with self._alone():
            groups: dict[str, list[_Booked]] = defaultdict(list)
            for each in self._booked.values():
                if since_s is None or each.at_us >= since_s * SECOND_US:
                    groups[_group(each, by)].append(each)
            return tuple(self._row(group, groups[group]) for group in sorted(groups))

    def remember(self, documents: Iterable[object]) -> None:
        """Nothing: documents live in the caller's memory anyway."""

    def note_refused(self, refused: Sequence[RefusedCalls], done: Committed) -> None:
        """Keep them, see `refused`."""
        with self._alone():
            fault = self.fault
            if fault is None:
                self.refused.extend(refused)
        done(fault)

    def close(self, timeout_s: float) -> None:
        """Further writes fail, and what waits is answered."""
        self.fault = self.fault or LedgerUnavailableError("the ledger was closed")
        self._retry()

    def abandon(self) -> None:
        """Nothing is inherited that would have to be forgotten."""

    # --- admission ------------------------------------------------------------------------------------------------

    def _admit(self, reservation: Reservation) -> Exception | None:
        request_id, call_id = reservation.call.request_id, reservation.call.call_id
        first = call_id if request_id is None else self._requests.get(request_id, call_id)
        if first != call_id:
            return DuplicateRequestError(f"request_id `{request_id}` was used by call {first}", first_call_id=first)
        name = reservation.reservation_id
        if name in self._booked:
            return LedgerError(f"reservation `{name}` exists already")
        booked = _Booked(reservation, self._now_us())
        positions = [
            self._position(budget, scope, booked.at_us) for budget, scope in charges(self._budgets, booked.spending)
        ]
        refusal = admit(reservation.bound.nano_usd, positions)
        if refusal is not None:
            kind = BudgetBusyError if refusal.is_busy else BudgetExceededError
            return kind(refusal_text(refusal), refusal=refusal)
        if request_id is not None:
            self._requests[request_id] = call_id
        self._first_of_calls.setdefault(call_id, name)
        self.reservations[name] = reservation
        self._booked[name] = booked
        self._enter(booked)
        return None

    def _position(self, budget: Budget, scope: str, at_us: int) -> Position:
        first_us, resets_us = span_us(budget, at_us)
        balance = Balance()
        for start_us, part in self._accounts.get((budget.name, scope), {}).items():
            if start_us >= first_us:
                balance = balance.plus(part)
        return Position(budget, scope, balance, resets_us)

    def _enter(self, booked: _Booked) -> None:
        """Count it in every account that it falls under."""
        booked.accounts = tuple(
            (budget.name, scope, period_us(budget, booked.at_us)[0])
            for budget, scope in charges(self._budgets, booked.spending)
        )
        self._change(booked, Balance())

    def _change(self, booked: _Booked, before: Balance) -> None:
        for name, scope, start_us in booked.accounts:
            periods = self._accounts.setdefault((name, scope), {})
            periods[start_us] = periods.get(start_us, Balance()).plus(_minus(before)).plus(booked.balance)

    def _resolve(self, resolution: Resolution) -> Exception | None:
        name = resolution.reservation_id
        booked = self._booked.get(name)
        if booked is None:
            return LedgerError(f"there is no reservation `{name}`")
        if booked.resolution is not None:
            return AlreadyResolvedError(f"reservation `{name}` was resolved before")
        before, booked.resolution = booked.balance, resolution
        self.resolutions[name] = resolution
        self._change(booked, before)
        return None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock; ends that came in meanwhile are written afterwards."""
        with self._guard:
            self._is_writing = True
            try:
                yield
            finally:
                self._is_writing = False
        self._take_ends()

    def _take_ends(self) -> None:
        while True:
            with self._guard:
                if self._is_writing or not self._ends:
                    return
                self._is_writing = True
                try:
                    resolution, done = self._ends.popleft()
                    error = self.fault or self._resolve(resolution)
                finally:
                    self._is_writing = False
            done(error)
            self._retry()

    # --- waiting --------------------------------------------------------------------------------------------------

    def _park(self, reservation: Reservation, done: Committed, error: BudgetError) -> None:
        parked = _Parked(reservation, done)
        self._parked.append(parked)
        parked.timer = threading.Timer(
            min(reservation.wait_s, error.refusal.wait_s), self._retry, kwargs={"give_up": parked}
        )
        parked.timer.daemon = True
        parked.timer.start()

    def _retry(self, give_up: _Parked | None = None) -> None:
        """Ask again for everything that waits, first come first served; `give_up` has waited long enough."""
        answered: list[tuple[_Parked, Exception | None]] = []
        with self._alone():
            waiting, self._parked = self._parked, deque()
            for parked in waiting:
                error = self.fault or self._admit(parked.reservation)
                if parked is not give_up and _may_wait(error, parked.reservation):
                    self._parked.append(parked)
                else:
                    answered.append((parked, error))
        for parked, error in answered:
            if parked.timer is not None:
                parked.timer.cancel()
            parked.done(error)

    # --- reports --------------------------------------------------------------------------------------------------

    def _row(self, group: str, booked: list[_Booked]) -> SpendRow:
        ends = [each.resolution for each in booked if each.resolution is not None]
        usages = [end.attempt.usage for end in ends if end.attempt.usage is not None]
        failed = [each for each in booked if each.resolution and each.resolution.attempt.failure is not None]
        total = _sum(booked)
        failures = _sum(failed)
        return SpendRow(
            group=group,
            attempts=len(booked),
            failures=len(failed),
            input_tokens=sum(usage.input_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
            settled_nano_usd=total.settled,
            uncertain_nano_usd=total.uncertain,
            reserved_nano_usd=total.reserved,
            saved_nano_usd=sum(end.saved_nano_usd or 0 for end in ends),
            calls=sum(
                self._first_of_calls[each.reservation.call.call_id] == each.reservation.reservation_id
                for each in booked
            ),
            failed_nano_usd=failures.settled + failures.uncertain + failures.overrun,
            overrun_nano_usd=total.overrun,
            correction_nano_usd=total.correction,
        )

    def _now_us(self) -> int:
        return int(self._now_s() * SECOND_US)


def _unheard(error: Exception | None) -> None:
    """Nobody waits for this end."""


def _may_wait(error: Exception | None, reservation: Reservation) -> TypeGuard[BudgetError]:
    if not isinstance(error, BudgetError):
        return False
    return error.refusal.is_busy and min(error.refusal.wait_s, reservation.wait_s) > 0


def _sum(booked: Iterable[_Booked]) -> Balance:
    total = Balance()
    for each in booked:
        total = total.plus(each.balance)
    return total


def _minus(balance: Balance) -> Balance:
    return Balance(-balance.settled, -balance.uncertain, -balance.reserved, -balance.overrun, -balance.correction)


def _group(booked: _Booked, by: str) -> str:
    reservation = booked.reservation
    if by.startswith("tag."):
        return reservation.call.tags.get(by.removeprefix("tag."), "")
    return {
        "day": datetime.fromtimestamp(booked.at_us / SECOND_US, UTC).date().isoformat(),
        "deployment": reservation.deployment,
        "developer": reservation.developer,
        "model": reservation.model,
        "operator": reservation.operator,
        "route": reservation.call.route,
    }[by]
