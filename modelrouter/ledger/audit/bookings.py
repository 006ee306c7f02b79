"""What the lines say about money: each reservation ended once, each amount within its rule, each sum made anew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.money import format_usd
from modelrouter.ledger.audit.accounts import (
    CHARGED,
    CORRECTION,
    OVERRUN,
    RESERVED,
    SETTLED,
    UNCERTAIN,
    USED,
    Accounts,
    subject,
)
from modelrouter.ledger.audit.lines import call_digest
from modelrouter.ledger.audit.repricing import costs, usage_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.ledger.audit.accounts import Key, Sums
    from modelrouter.ledger.audit.findings import Findings
    from modelrouter.ledger.audit.lines import CallRow, Line
    from modelrouter.ledger.audit.repricing import Prices
    from modelrouter.ledger.audit.windows import Subject

__all__ = ["ENDS", "HOUR_US", "RECONCILED", "ROLLUP_SUMS", "Bookings", "Held", "RollupKey", "held_of", "why_of"]

HOUR_US: Final = 3_600_000_000
ENDS: Final = frozenset({"settle", "uncertain", "release", "expire"})
SETTLED_LATE: Final = "late"
RECONCILED: Final = "reconcile"
"""What a correction says under `why`."""
CHANGES: Final = frozenset({"overrun", "correction"})
PLAIN: Final = frozenset({"open", "checkpoint", "budgets", "archive", "key_deleted", "documents", "refused"})
ROLLUP_SUMS: Final = (
    "calls",
    "attempts",
    "failures",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "settled_nano_usd",
    "uncertain_nano_usd",
    "reserved_nano_usd",
    "overrun_nano_usd",
    "correction_nano_usd",
    "failed_nano_usd",
    "saved_nano_usd",
)
CALLS, ATTEMPTS, FAILURES, TOKENS, MONEY, FAILED, SAVED = 0, 1, 2, 3, 8, 13, 14
"""Places in `ROLLUP_SUMS`: five counts of tokens from `TOKENS`, the five kinds of money from `MONEY`."""
RollupKey = tuple[int, str, str, str, str, str, str, str]
"""hour_us, route, deployment, operator, developer, model, tags, policies."""


@dataclass(slots=True)
class Held:
    """A reservation, and once it has ended what came of it.

    Attributes:
        booked: settled, uncertain or expired, with overruns and corrections.
        failed: its end says so; one that merely expired is not known to have failed.
    """

    seq: int
    reservation_id: str
    writer: int
    at_us: int
    amount: int
    price: str
    accounts: dict[Key, Sums]
    rollup_key: RollupKey
    rollup: list[int]
    booked: int = 0
    failed: bool = False
    reconciled: bool = False


@dataclass(slots=True)
class Bookings:
    """All sums of the book so far."""

    findings: Findings
    prices: Prices
    accounts: Accounts = field(default_factory=Accounts)
    rollups: dict[RollupKey, list[int]] = field(default_factory=dict)
    pending: dict[int, Held] = field(default_factory=dict)
    watched: frozenset[int] = frozenset()  # reservations that lines of this page change, see `walk`
    ended: dict[int, Held] = field(default_factory=dict)  # those of them that have an end
    owing: dict[int, int] = field(default_factory=dict)  # what must still follow as an overrun
    kinds: dict[str, int] = field(default_factory=dict)
    totals: Sums = field(default_factory=lambda: [0, 0, 0, 0, 0])
    calls: int = 0
    repriced: int = 0
    unpriced: int = 0

    def take(self, line: Line, call: CallRow | None, first_seq: int | None, writer_id: str | None) -> None:
        """Follow one line."""
        self.kinds[line.kind] = self.kinds.get(line.kind, 0) + 1
        if line.kind == "reserve":
            self._reserve(line, call, first_seq, writer_id)
        elif line.kind in ENDS:
            self._end(line)
        elif line.kind in CHANGES:
            self._change(line)
        elif line.kind == "budgets":
            try:
                self.accounts.apply(line.content, line.seq, line.at_us)
            except ValueError as error:
                self._fault("budgets", line, f"it does not hold budgets: {error}")
        elif line.kind not in PLAIN:
            self._fault("kind", line, f"`{line.kind}` is no kind of line")

    def carry(self, key: RollupKey, sums: Sequence[int]) -> None:
        """Begin with what lines that are no longer here had spent."""
        hour_us, route, deployment, operator, developer, _, tags, policies = key
        about = subject(route, policies, tags, deployment, operator, developer)
        for account in self.accounts.of(about, hour_us).values():
            for place, amount in enumerate(sums[MONEY : MONEY + CHARGED]):
                account[place] += amount
                account[USED] += amount

    def finish(self) -> None:
        """What had to follow and did not."""
        for seq, owed in self.owing.items():
            self.findings.add("amount", seq, f"{format_usd(owed)} above its bound were never booked as an overrun")

    # --- reservations ------------------------------------------------------------------------------------------

    def _reserve(self, line: Line, call: CallRow | None, first_seq: int | None, writer_id: str | None) -> None:
        if call is None:
            self._fault("calls", line, f"its call `{line.call_id}` is not in the book")
            return
        is_first = first_seq == line.seq
        self._call(line, call, writer_id, is_first=is_first)
        if line.price is None or self.prices.get(line.price) is None:
            self._fault("price", line, f"its price `{line.price}` is not in the book, or its text is another")
        try:
            held = held_of(line, call, self.accounts, self.rollups)
        except ValueError as error:
            self._fault("calls", line, f"its call cannot be read: {error}")
            return
        self.pending[line.seq] = held
        self._add(held, RESERVED, line.amount_nano_usd)
        for sums in held.accounts.values():
            sums[CHARGED] = line.seq
        held.rollup[ATTEMPTS] += 1
        if is_first:
            self.calls += 1
            held.rollup[CALLS] += 1
        for excess in self.accounts.excesses(_subject(line, call), line.at_us):
            self._fault(
                "admission",
                line,
                f"budget `{excess.budget}`{f' for `{excess.scope}`' if excess.scope else ''} held "
                f"{format_usd(excess.used_nano_usd)} after it, and its limit was {format_usd(excess.limit_nano_usd)}",
            )

    def _call(self, line: Line, call: CallRow, writer_id: str | None, *, is_first: bool) -> None:
        if not is_first:
            if line.call_digest is not None:
                self._fault("calls", line, f"it digests call `{call.call_id}`, whose first reservation it is not")
            return
        if line.call_digest is None:
            self._fault("calls", line, f"call `{call.call_id}` begins here, and nothing vouches for its record")
        elif line.call_digest != call_digest(call, writer_id or ""):
            self._fault("calls", line, f"the record of call `{call.call_id}` is not the one that was made here")
        if (call.at_us, call.writer) != (line.at_us, line.writer):
            self._fault("calls", line, f"call `{call.call_id}` has another moment or writer than its first line")

    # --- ends --------------------------------------------------------------------------------------------------

    def _end(self, line: Line) -> None:
        held = self.pending.pop(line.resolves or 0, None)
        if held is None:
            self._fault("ends", line, f"it ends line {line.resolves}, which is no reservation without an end")
            return
        amount, bound = line.amount_nano_usd, held.amount
        if amount > bound or amount < 0:
            self._fault("amount", line, f"it books {format_usd(amount)}, and {format_usd(bound)} were reserved")
        if line.kind == "release" and amount:
            self._fault("amount", line, f"it is a release, and books {format_usd(amount)}")
        if line.kind == "expire" and amount != bound:
            self._fault("amount", line, f"it expired at {format_usd(amount)}, and {format_usd(bound)} were reserved")
        if line.kind == "settle":
            self._reprice(line, held)
        self._add(held, RESERVED, -bound)
        self._add(held, SETTLED if line.kind == "settle" else UNCERTAIN, amount)
        held.booked, held.failed = amount, line.failure is not None
        held.rollup[SAVED] += line.saved_nano_usd or 0
        held.rollup[FAILURES] += held.failed
        held.rollup[FAILED] += amount if held.failed else 0
        _count(held, line)
        if held.seq in self.watched:
            self.ended[held.seq] = held

    def _reprice(self, line: Line, held: Held) -> None:
        price = self.prices.get(held.price)
        try:
            usage = usage_of(line)
        except ValueError as error:
            self._fault("usage", line, f"its usage cannot be true: {error}")
            return
        if price is None or usage is None:
            self.unpriced += 1
            return
        self.repriced += 1
        least, most = costs(price, usage, held.at_us, line.at_us, line.duration_us)
        if least == most > held.amount:
            self.owing[held.seq] = most - held.amount
        if not min(least, held.amount) <= line.amount_nano_usd <= min(most, held.amount):
            self._fault(
                "reprice",
                line,
                f"it books {format_usd(line.amount_nano_usd)}, and its usage at its price comes to {format_usd(most)}",
            )

    # --- changes -----------------------------------------------------------------------------------------------

    def _change(self, line: Line) -> None:
        held = self.ended.get(line.corrects or 0)
        if held is None:
            self._fault("corrects", line, f"it corrects line {line.corrects}, which is no reservation with an end")
            return
        amount = line.amount_nano_usd
        if line.kind == "overrun":
            self._overrun(line, held)
        held.booked += amount
        if held.booked < 0:
            self._fault("amount", line, f"it brings the cost of line {held.seq} to {format_usd(held.booked)}")
        self._add(held, OVERRUN if line.kind == "overrun" else CORRECTION, amount)
        if line.kind == "overrun" and held.failed:
            held.rollup[FAILED] += amount
        if line.kind == "correction":
            self._late(line, held)
            held.rollup[SAVED] += line.saved_nano_usd or 0
            held.rollup[FAILURES] += line.failure is not None
            _count(held, line)

    def _late(self, line: Line, held: Held) -> None:
        """A settlement that came after its reservation had expired is priced again like any other."""
        why = why_of(line.content)
        if why == RECONCILED:
            held.reconciled = True
        elif why is None:
            self._fault("corrects", line, "it does not say why")
        price = self.prices.get(held.price)
        if line.input_tokens is None or price is None or held.reconciled or why != SETTLED_LATE:
            return
        try:
            usage = usage_of(line)
        except ValueError as error:
            self._fault("usage", line, f"its usage cannot be true: {error}")
            return
        if usage is None or line.failure is not None:
            return  # a failed attempt may have been settled at its bound
        self.repriced += 1
        least, most = costs(price, usage, held.at_us, line.at_us, line.duration_us)
        if not least <= held.booked <= most:
            self._fault(
                "reprice",
                line,
                f"it brings line {held.seq} to {format_usd(held.booked)}, and its usage comes to {format_usd(most)}",
            )

    def _overrun(self, line: Line, held: Held) -> None:
        owed = self.owing.pop(held.seq, None)
        if line.amount_nano_usd <= 0 or (owed is not None and owed != line.amount_nano_usd):
            wanted = "more than nothing" if owed is None else format_usd(owed)
            self._fault("amount", line, f"it books an overrun of {format_usd(line.amount_nano_usd)}, not {wanted}")

    def _add(self, held: Held, place: int, amount: int) -> None:
        for sums in held.accounts.values():
            sums[place] += amount
            sums[USED] += amount
        held.rollup[MONEY + place] += amount
        self.totals[place] += amount

    def _fault(self, kind: str, line: Line, text: str) -> None:
        self.findings.add(kind, line.seq, text)


def held_of(line: Line, call: CallRow, accounts: Accounts, rollups: dict[RollupKey, list[int]]) -> Held:
    """The reservation of a line, with the accounts and the rollup that it counts in.

    Raises:
        ValueError: tags or policies of its call are not what they must be.
    """
    deployment, operator, developer = line.deployment or "", line.operator or "", line.developer or ""
    key = (
        line.at_us // HOUR_US * HOUR_US,
        call.route,
        deployment,
        operator,
        developer,
        line.model or "",
        call.tags,
        call.policies,
    )
    return Held(
        seq=line.seq,
        reservation_id=line.reservation_id or "",
        writer=line.writer,
        at_us=line.at_us,
        amount=line.amount_nano_usd,
        price=line.price or "",
        accounts=accounts.of(_subject(line, call), line.at_us),
        rollup_key=key,
        rollup=rollups.setdefault(key, [0] * len(ROLLUP_SUMS)),
    )


def why_of(content: object) -> str | None:
    """Why a correction was made, as its line says; None where it does not."""
    try:
        return str(json.loads(str(content))["why"])
    except (ValueError, KeyError, TypeError):
        return None


def _subject(line: Line, call: CallRow) -> Subject:
    return subject(
        call.route, call.policies, call.tags, line.deployment or "", line.operator or "", line.developer or ""
    )


def _count(held: Held, line: Line) -> None:
    counts = (
        line.input_tokens,
        line.cached_input_tokens,
        line.cache_write_tokens,
        line.output_tokens,
        line.reasoning_tokens,
    )
    for place, count in enumerate(counts, TOKENS):
        held.rollup[place] += count or 0
