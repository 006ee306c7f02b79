"""A provider's bill against the book: which uncertain attempts it charged, and how much.

A line that names one of our ids belongs to that attempt. Any other belongs to an attempt of the same model whose time
fits, if it is the only one for the line and the line the only one for it; of several that fit, equal counts of tokens
decide. What was settled is compared and left as it is: its cost came with the reply. What is not certain is listed and
never guessed.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.pricing import Usage
from modelrouter.ledger.audit.attempts import attempts_between
from modelrouter.ports import Correction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelrouter.ledger.audit.attempts import BookedAttempt
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.audit.statement import Charge

__all__ = ["Match", "Reconciliation", "reconcile"]

SLACK_US: Final = 120_000_000
"""By how much a provider's clock, or the moment that it writes down, may lie outside of our attempt's."""
OPEN_US: Final = 86_400_000_000
"""How long before the first line of an export an attempt may have begun that it still charges."""
UNSURE: Final = frozenset({"uncertain", "expired"})
"""States whose true cost a bill can tell. A release is corrected too, where a line names it: so it was charged."""


@dataclass(frozen=True, slots=True)
class Match:
    """A line and its attempt.

    Attributes:
        charge: None for an attempt that a complete export does not hold.
    """

    attempt: BookedAttempt
    charge: Charge | None

    @property
    def cost_nano_usd(self) -> int:
        """What the provider charged."""
        return 0 if self.charge is None else self.charge.cost_nano_usd

    @property
    def change_nano_usd(self) -> int:
        """What a correction adds to what is booked; may be negative."""
        return self.cost_nano_usd - self.attempt.booked

    def correction(self) -> Correction:
        """What the book is asked to write."""
        usage = None
        charge = self.charge
        if charge is not None and charge.input_tokens is not None and self.attempt.counted is None:
            cached = min(charge.cached_input_tokens or 0, charge.input_tokens)
            usage = Usage(charge.input_tokens, charge.output_tokens or 0, cached)
        bill = "a provider's export"
        said = f"it is not in {bill}" if charge is None else f"line {charge.line} of {bill}"
        return Correction(self.attempt.reservation.reservation_id or "", self.cost_nano_usd, said, usage)


@dataclass(slots=True)
class Reconciliation:
    """What comes of one export.

    Attributes:
        corrections: uncertain attempts whose true cost is another than what is booked.
        agreeing: attempts that are booked at what was charged.
        differing: settled attempts that were charged otherwise; they are left as they are.
        unmatched: lines that belong to no attempt of this book.
        ambiguous: lines that several attempts fit, or that fit an attempt together with others.
        missing: uncertain attempts of the export's time that no line belongs to.
    """

    corrections: list[Match] = field(default_factory=list)
    agreeing: list[Match] = field(default_factory=list)
    differing: list[Match] = field(default_factory=list)
    unmatched: list[Charge] = field(default_factory=list)
    ambiguous: list[Charge] = field(default_factory=list)
    missing: list[BookedAttempt] = field(default_factory=list)
    charged_nano_usd: int = 0
    booked_nano_usd: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left over on either side."""
        return not (self.unmatched or self.ambiguous or self.missing or self.differing)

    @property
    def change_nano_usd(self) -> int:
        """What all corrections together add to the book."""
        return sum(each.change_nano_usd for each in self.corrections)


def reconcile(
    session: Reader, charges: Sequence[Charge], *, provider: str | None = None, complete: bool = False
) -> Reconciliation:
    """Compare an export with the book; writes nothing.

    Args:
        session: in one picture.
        provider: only attempts of this operator are looked at; None looks at all.
        complete: the export holds every request of its time that was charged: an uncertain attempt that it does not
            hold cost nothing.
    """
    attempts = _attempts(session, charges, provider)
    found = Reconciliation(charged_nano_usd=sum(each.cost_nano_usd for each in charges))
    free = _by_id(found, charges, attempts)
    _by_time(found, free, attempts)
    taken = {id(match.attempt) for match in (*found.corrections, *found.agreeing, *found.differing)}
    moments = [each.at_us for each in charges if each.at_us is not None]
    for attempt in attempts:
        is_within = moments and min(moments) <= attempt.reservation.at_us <= max(moments)
        if is_within or id(attempt) in taken:
            found.booked_nano_usd += attempt.booked
        if not is_within or id(attempt) in taken or attempt.state not in UNSURE:
            continue
        if complete and not _may_be_theirs(attempt, found.ambiguous):
            _sort(found, Match(attempt, None))
        else:
            found.missing.append(attempt)
    return found


def _attempts(session: Reader, charges: Iterable[Charge], provider: str | None) -> list[BookedAttempt]:
    """Ended attempts that may have been charged; all of the book where lines come by their ids alone."""
    moments = [each.at_us for each in charges if each.at_us is not None]
    timed = moments and all(each.at_us is not None for each in charges)
    since_us, until_us = (min(moments) - OPEN_US, max(moments) + SLACK_US) if timed else (0, 2**63 - 1)
    return [
        attempt
        for attempt in attempts_between(session, since_us, until_us)
        if attempt.end is not None and (provider is None or attempt.reservation.operator == provider)
    ]


def _by_id(found: Reconciliation, charges: Sequence[Charge], attempts: Sequence[BookedAttempt]) -> list[Charge]:
    """Match the lines that name one of our ids; the others."""
    known: dict[tuple[str, str], list[BookedAttempt]] = {}
    for attempt in attempts:
        names = (
            ("reservation", attempt.reservation.reservation_id),
            ("call", attempt.call.call_id),
            ("request", attempt.call.request_id),
        )
        for kind, name in names:
            if name:
                known.setdefault((kind, name), []).append(attempt)
    pairs: list[tuple[Charge, list[BookedAttempt]]] = []
    for charge in charges:
        if not charge.has_id:
            continue
        key = next(
            (kind, name)
            for kind, name in (
                ("reservation", charge.reservation_id),
                ("call", charge.call_id),
                ("request", charge.request_id),
            )
            if name
        )
        candidates = [each for each in known.get(key, []) if each.state != "released"] or known.get(key, [])
        pairs.append((charge, _nearest(charge, candidates)))
    _pair_up(found, pairs)
    return [charge for charge in charges if not charge.has_id]


def _by_time(found: Reconciliation, charges: Sequence[Charge], attempts: Sequence[BookedAttempt]) -> None:
    """Match the other lines by model, time and tokens."""
    taken = {id(match.attempt) for match in (*found.corrections, *found.agreeing, *found.differing)}
    free = [each for each in attempts if id(each) not in taken and each.state != "released"]
    begun = [each.reservation.at_us for each in free]  # in order, as they are in the book
    longest_us = max((each.end.at_us - each.reservation.at_us for each in free if each.end is not None), default=0)
    pairs: list[tuple[Charge, list[BookedAttempt]]] = []
    for charge in charges:
        at_us = charge.at_us or 0
        first = bisect.bisect_left(begun, at_us - SLACK_US - longest_us)
        last = bisect.bisect_right(begun, at_us + SLACK_US)
        pairs.append((charge, _nearest(charge, [each for each in free[first:last] if _fits(charge, each)])))
    _pair_up(found, pairs)


def _fits(charge: Charge, attempt: BookedAttempt) -> bool:
    line, end = attempt.reservation, attempt.end
    if charge.at_us is None or end is None or charge.model not in {line.model, line.deployment}:
        return False
    return line.at_us - SLACK_US <= charge.at_us <= end.at_us + SLACK_US


def _nearest(charge: Charge, candidates: list[BookedAttempt]) -> list[BookedAttempt]:
    """Of several candidates those whose tokens are the line's; if none has them, those whose tokens are unknown."""
    if len(candidates) < 2 or charge.input_tokens is None:
        return candidates
    tokens = (charge.input_tokens, charge.output_tokens)
    same = [
        each
        for each in candidates
        if each.counted is not None and (each.counted.input_tokens, each.counted.output_tokens) == tokens
    ]
    return same or [each for each in candidates if each.counted is None]


def _pair_up(found: Reconciliation, pairs: Sequence[tuple[Charge, list[BookedAttempt]]]) -> None:
    """Take the pairs that are each other's only choice, again and again, until no more come of it."""
    left = {charge.line: (charge, list(candidates)) for charge, candidates in pairs}
    while True:
        wanted: dict[int, list[int]] = {}
        for number, (_, candidates) in left.items():
            for each in candidates:
                wanted.setdefault(id(each), []).append(number)
        sure = [
            number
            for number, (_, candidates) in left.items()
            if len(candidates) == 1 and len(wanted[id(candidates[0])]) == 1
        ]
        if not sure:
            break
        gone = set()
        for number in sure:
            charge, [attempt] = left.pop(number)
            gone.add(id(attempt))
            _sort(found, Match(attempt, charge))
        left = {
            number: (charge, [each for each in candidates if id(each) not in gone])
            for number, (charge, candidates) in left.items()
        }
    for charge, candidates in left.values():
        (found.ambiguous if candidates else found.unmatched).append(charge)


def _sort(found: Reconciliation, match: Match) -> None:
    if match.change_nano_usd == 0:
        found.agreeing.append(match)
    elif match.attempt.state in UNSURE or match.attempt.state == "released":
        found.corrections.append(match)
    else:
        found.differing.append(match)


def _may_be_theirs(attempt: BookedAttempt, charges: Iterable[Charge]) -> bool:
    """Whether one of the lines that were not certain may be of this attempt."""
    names = {attempt.reservation.reservation_id, attempt.call.call_id, attempt.call.request_id}
    return any(
        _fits(charge, attempt) or {charge.reservation_id, charge.call_id, charge.request_id} & names - {""}
        for charge in charges
    )
