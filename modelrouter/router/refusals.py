"""Requests that rules or share caps left nobody for, on their way into the book: all are counted, few written in full.

A caller that is refused may ask again at once, and thousands of times. Requests that are refused by the same rules
share a line a minute at most: the first is written in full, the others count towards the next line. Nobody waits for
any of it, and what the book cannot take now is counted towards the next line as well.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.core.shares import ShareMode
from modelrouter.ports import RefusedCalls
from modelrouter.router.bookings import call_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.attempts import Result
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from modelrouter.ports import CallRecord, Clock, LedgerStore
    from modelrouter.router.epoch import Epoch

__all__ = ["Refusals"]

log: Final = logging.getLogger(__name__)

EVERY_S: Final = 60.0
KINDS_MAX: Final = 256
"""Ways to be refused that are told apart; what comes beyond them shares one for each route."""

_Way: TypeAlias = "tuple[str, str, tuple[tuple[str, str], ...]]"


@dataclass(slots=True)
class _Counted:
    """Requests that were refused in the same way.

    Attributes:
        call: the latest that was recorded in full.
        waiting: how many have not been written.
        since_us: when the first of those came.
        due_s: when the next line may be written.
    """

    call: CallRecord
    rules: Mapping[str, str]
    waiting: int
    since_us: int
    due_s: float


class Refusals:
    """Those of one process. Thread-safe; never raises."""

    def __init__(self, ledger: LedgerStore, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._guard = threading.Lock()
        self._counted: dict[_Way, _Counted] = {}
        self._due_s = float("inf")

    def note(self, epoch: Epoch, request: Request, decision: Decision, call_id: str) -> None:
        """One more."""
        try:
            self._note(epoch, request, decision, call_id)
        except Exception:  # whoever is refused is told why, whatever becomes of the record
            log.exception("a refused request could not be noted")

    def note_not_granted(
        self, epoch: Epoch, request: Request, decision: Decision, result: Result, call_id: str
    ) -> None:  # fmt: skip
        """One for which nothing was reserved: over share caps, or of vendors that were cut off after it was decided."""
        gone = {name: why for name, why in result.not_granted if name in result.revoked}
        if gone:  # as if that had been known
            moment = replace(decision.moment, revoked={**decision.moment.revoked, **gone})
            decision = replace(epoch.decide(request, moment), capped=decision.capped)
        if gone or decision.capped:
            self.note(epoch, request, decision, call_id)

    def tend(self) -> None:
        """Write what has waited for long enough; cheap where nothing has."""
        if self._clock.monotonic_s() >= self._due_s:
            self._write(everything=False)

    def flush(self) -> None:
        """Write all that waits."""
        self._write(everything=True)

    def _note(self, epoch: Epoch, request: Request, decision: Decision, call_id: str) -> None:
        now_s, now_us = self._clock.monotonic_s(), int(self._clock.now_s() * 1_000_000)
        rules = first_rules(decision)
        way: _Way = (epoch.grounds.sha256, request.route, tuple(rules.items()))
        with self._guard:
            counted = self._counted.get(way)
            if counted is None and len(self._counted) >= KINDS_MAX:
                way = (*way[:2], ())
                counted = self._counted.get(way)
            if counted is not None:
                counted.since_us = counted.since_us if counted.waiting else now_us
                counted.waiting += 1
                if now_s < counted.due_s:
                    self._due_s = min(self._due_s, counted.due_s)
                    return
                counted.call = _recorded(epoch, request, decision, call_id)
            else:
                call = _recorded(epoch, request, decision, call_id)
                self._counted[way] = _Counted(call, rules, 1, now_us, now_s)
        self._write(everything=False)

    def _write(self, *, everything: bool) -> None:
        now_s = self._clock.monotonic_s()
        with self._guard:
            taken: list[tuple[_Way, RefusedCalls]] = []
            for way, each in list(self._counted.items()):
                if each.waiting and (everything or now_s >= each.due_s):
                    taken.append((way, RefusedCalls(each.call, each.rules, each.waiting, each.since_us)))
                    each.waiting, each.due_s = 0, now_s + EVERY_S
                elif not each.waiting and now_s >= each.due_s:
                    del self._counted[way]  # nothing of the kind for a minute
            self._due_s = min((each.due_s for each in self._counted.values() if each.waiting), default=float("inf"))
        if not taken:
            return
        try:
            self._ledger.note_refused([each for _, each in taken], lambda error: self._told(taken, error))
        except Exception as error:  # noqa: BLE001 - a store of the host's own; no caller may meet what it raises
            self._told(taken, error)

    def _told(self, taken: list[tuple[_Way, RefusedCalls]], error: Exception | None) -> None:
        """Count again what could not be written."""
        if error is None:
            return
        log.warning("%d refused requests could not be written into the ledger yet: %s", _count(taken), error)
        now_s = self._clock.monotonic_s()
        with self._guard:
            for way, each in taken:
                counted = self._counted.setdefault(
                    way, _Counted(each.call, each.rules, 0, each.since_us, now_s + EVERY_S)
                )
                counted.waiting += each.count
                counted.since_us = min(counted.since_us, each.since_us)
                self._due_s = min(self._due_s, counted.due_s)


def first_rules(decision: Decision) -> dict[str, str]:
    """Deployment to the first rule that refuses it, or the share cap."""
    found = {name: decision.refusals(name) for name in decision.considered}
    capped = {name: refusal.demand.cap for name, refusal in decision.capped}
    over = {name: cap.rule for name, cap in capped.items() if cap.mode is ShareMode.HARD}
    return {name: f"{each[0].layer}/{each[0].rule}" for name, each in found.items() if each} | over


def _count(taken: list[tuple[_Way, RefusedCalls]]) -> int:
    return sum(each.count for _, each in taken)


def _recorded(epoch: Epoch, request: Request, decision: Decision, call_id: str) -> CallRecord:
    """The record of one of them. Personal tags stay out: their hashes may have to be fetched from the book."""
    declared = epoch.setup.tags
    defaults = {name: tag.default for name, tag in declared.items() if tag.default is not None}
    tags = {name: value for name, value in {**defaults, **request.tags}.items() if not declared[name].personal}
    return call_record(call_id, request, decision, epoch, tags, decision.capped)
