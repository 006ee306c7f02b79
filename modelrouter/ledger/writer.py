"""The one thread of a store that writes, and what happens when it cannot.

Natural batching: whatever is queued when a commit ends is the next commit. Nobody waits for a timer, so one caller
alone waits for one commit, and 64 together share one. The ends of attempts, which callers do not wait for, stay for a
few milliseconds to go with what comes next: a caller that makes one call after the other pays for one commit a call,
not for two. Every operation is answered exactly once:

- with None, after the commit that made it durable;
- with its own error, where the book refuses it; its batch mates are written all the same;
- with `LedgerUnavailableError`, where the book could not be written. A resolution or a document that meets this fate is
  kept, and written before anything else as soon as the book can be written again, until the store is closed. Its
  reservation stands meanwhile: the money stays set aside, and is never counted too low. A resolution is also kept in a
  file (`spool`), so that it survives a restart.
- with `LedgerUnavailableError` at once, after the writer was closed or died.

A reservation that a budget is too busy for may wait here (`parking`) before it is answered. While something of ours is
pending, the thread gives a sign of life now and then, so that our lease does not lapse, and sees who was cut off.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from modelrouter.errors import BudgetBusyError, LedgerUnavailableError
from modelrouter.ledger.parking import Parked, Parking, patience_s
from modelrouter.ledger.wakeups import grouped
from modelrouter.ports import Reservation, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelrouter.ledger.operations import Operation
    from modelrouter.ledger.spool import Spool
    from modelrouter.ports import Committed

__all__ = ["Book", "Writer"]

_Item: TypeAlias = "tuple[Operation, Committed | None]"

BATCH_MAX: Final = 2048
"""Operations of one commit at most, so that other processes get their turn."""
LINGER_S: Final = 0.005
"""How long ends that nobody waits for stay for company. Whoever is killed meanwhile leaves their reservations at their
bounds, as a moment before."""
LINGERING_MAX: Final = 64
KEPT_MAX: Final = 10_000
FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0
FINISH_S: Final = 0.25
"""What a commit that is under way at the end of the time to close may still take."""

log: Final = logging.getLogger(__name__)


class Book(Protocol):
    """What is written to; used by one thread at a time."""

    def write(
        self, operations: Sequence[Operation], *, repeats: int, give_up_at: Callable[[], float]
    ) -> list[Exception | None]:
        """Write all in one durable transaction.

        Args:
            operations: in this order; the first `repeats` of them may have been written before.
            repeats: how many were given to an earlier `write` that failed.
            give_up_at: when to stop waiting for other processes, by `time.monotonic`.

        Returns:
            for each operation None, or why the book refuses it.

        Raises:
            LedgerUnavailableError: nothing was written.
        """
        ...

    def tend_in_s(self) -> float | None:
        """In how many seconds an empty `write` is due: as a sign of life, or to see who was cut off.

        None: nothing of ours is pending.
        """
        ...

    def close(self, give_up_at: float) -> None:
        """End our lease, waiting for others until then by `time.monotonic`, and let go of all handles."""
        ...


class Writer:
    """A queue, and the thread that empties it into a book. The thread begins with the first operation."""

    def __init__(self, book: Book, *, lock_wait_s: float, spool: Spool) -> None:
        self._book = book
        self._spool = spool
        self._parking = Parking()
        self._kept_text = ""  # where the ends are that could not be written, once all is over
        self._tend_at = 0.0  # when a sign of life that could not be given is tried again
        self._lock_wait_s = lock_wait_s
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._kept: deque[Operation] = deque()
        self._in_hand: Sequence[_Item] = ()
        # Re-entrant, as all locks here: signal handlers and the garbage collector close Routers, in whichever thread.
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._refuses: str | None = None  # why nothing is taken any more
        self._ended = False  # nobody empties the queue any more
        self._closing_at: float | None = None  # by when a closing writer must be done
        self._retry_s = FIRST_RETRY_S
        self.commits = 0

    @property
    def kept(self) -> int:
        """How many resolutions and documents wait for the book to be writable again."""
        return len(self._kept)

    def submit(self, operation: Operation, done: Committed | None) -> None:
        """Queue an operation; `done` hears of it exactly once."""
        if os.getpid() != self._pid:
            _tell(done, LedgerUnavailableError("the ledger was opened before a fork: open it anew in the child"))
            return
        if self._refuses is not None and not self._is_callback_of_drain():
            _tell(done, LedgerUnavailableError(self._refuses))
            return
        if self._thread is None:
            self._start()
        self._queue.put((operation, done))
        if self._ended:  # between the question above and the put: nobody else will answer
            self._refuse_queued()

    def catch_up(self, timeout_s: float) -> None:
        """Wait until what was queued before is in the book or was refused, so that a reader sees its own writes."""
        if self._thread is None or self._ended or threading.current_thread() is self._thread:
            return
        caught_up = threading.Event()
        self.submit((), lambda _: caught_up.set())
        caught_up.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what is queued and kept, within `timeout_s`, then end the thread and close the book.

        Raises:
            LedgerUnavailableError: something could not be written; its reservations stand.
        """
        if os.getpid() != self._pid:
            return
        with self._starting:
            first = self._closing_at is None
            if first:
                self._closing_at = time.monotonic() + max(timeout_s, 0.0)
            if self._refuses is None:
                self._refuses = "the ledger is closed: open it anew"
            thread = self._thread
        if thread is None:
            self._ended = True
            self._book.close(self._closing_at or 0.0)
            return
        self._queue.put(None)
        if thread is threading.current_thread():
            return
        thread.join(max((self._closing_at or 0.0) - time.monotonic(), 0.0) + FINISH_S)
        if not first:
            return
        if thread.is_alive():
            raise LedgerUnavailableError(f"the ledger could not be written within {timeout_s} s of being closed")
        missing = sum(isinstance(operation, Resolution) for operation in self._kept)
        if missing:
            raise LedgerUnavailableError(
                f"the ledger could not be written before it was closed: the ends of {missing} attempts are missing, "
                f"and their reservations stand{self._kept_text}"
            )

    def abandon(self) -> None:
        """Forget the thread and the queue, which exist in the parent of a fork only."""
        self._refuses = "the ledger was opened before a fork: open it anew in the child"
        self._ended = True
        self._queue = queue.SimpleQueue()
        self._kept = deque()
        self._parking = Parking()
        self._in_hand = ()
        self._thread = None
        self._spool.let_go()

    def _is_callback_of_drain(self) -> bool:
        """A closing writer still takes what its own callbacks ask for: the release of a grant that came too late."""
        return not self._ended and threading.current_thread() is self._thread

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and self._refuses is None:
                thread = threading.Thread(target=self._run, name="modelrouter-ledger", daemon=True)
                thread.start()
                self._thread = thread
        if self._thread is None:  # closed before it was ever used
            self._ended = True

    def _run(self) -> None:
        fault: BaseException | None = None
        try:
            while self._turn():
                pass
        except BaseException as error:
            fault = error
            log.exception("the ledger's writer has stopped")
        finally:
            self._end(fault)

    def _turn(self) -> bool:
        """One batch. False: nothing is left to do, or no time to do it."""
        items = self._gather()
        self._answer(self._parking.take_late(everyone=self._closing_at is not None))
        waited = self._parking.take(items)
        if items or waited or self._kept or self._is_tending():
            self._write(items, waited)
        if self._closing_at is None or not self._queue.empty():
            return True
        return bool(self._kept) and time.monotonic() < self._closing_at

    def _gather(self) -> list[_Item]:
        """What is queued; waits for it, or until there is something else to do."""
        items: list[_Item] = []
        try:
            item = self._queue.get(timeout=self._wait_s())
            until_s = time.monotonic() + LINGER_S
            while item is not None and item[1] is None and isinstance(item[0], Resolution):
                items.append(item)  # an end that nobody waits for
                if len(items) >= LINGERING_MAX:
                    break
                item = self._queue.get(timeout=max(until_s - time.monotonic(), 0.0))
            else:
                if item is not None:
                    items.append(item)
            take = self._queue.get_nowait
            while len(items) < BATCH_MAX:
                item = take()
                if item is not None:
                    items.append(item)
        except queue.Empty:
            pass
        return items

    def _wait_s(self) -> float | None:
        """Until what was kept is tried again, somebody has waited enough, a sign of life is due, or we must be done."""
        if self._closing_at is not None:
            left_s = max(self._closing_at - time.monotonic(), 0.0)
            return min(self._retry_s, left_s) if self._kept else 0.0
        tend_in_s = self._book.tend_in_s()
        if tend_in_s is not None:
            tend_in_s = max(tend_in_s, self._tend_at - time.monotonic(), 0.0)
        waits = (self._retry_s if self._kept else None, self._parking.wake_in_s(), tend_in_s)
        return min((each for each in waits if each is not None), default=None)

    def _is_tending(self) -> bool:
        return self._book.tend_in_s() == 0.0 and time.monotonic() >= self._tend_at

    def _write(self, items: list[_Item], waited: list[Parked]) -> None:
        self._in_hand = [*((each.reservation, each.done) for each in waited), *items]
        repeats = len(self._kept)
        operations = [*self._kept, *(operation for operation, _ in self._in_hand)]
        begun = time.monotonic()
        try:
            outcomes = self._book.write(
                operations, repeats=repeats, give_up_at=lambda: self._earlier(begun + self._lock_wait_s)
            )
        except LedgerUnavailableError as error:
            self._tend_at = time.monotonic() + LAST_RETRY_S
            self._keep(self._in_hand, error.message)
            return
        self.commits += any(operations)  # a reader that catches up writes nothing
        self._retry_s = FIRST_RETRY_S
        if self._kept:
            self._kept_were_written(outcomes[:repeats])
        self._deliver(waited, self._in_hand, outcomes[repeats:])

    def _kept_were_written(self, outcomes: Sequence[Exception | None]) -> None:
        """Forget what is in the book or refused by it; the file stays until there is nothing left to keep."""
        unwritten = [isinstance(outcome, LedgerUnavailableError) for outcome in outcomes]
        self._kept = deque(itertools.compress(self._kept, unwritten))
        if not self._kept:
            self._spool.clear()
        for outcome, is_unwritten in zip(outcomes, unwritten, strict=True):
            if outcome is not None and not is_unwritten:
                log.error("an entry that was written late is refused by the ledger: %s", outcome)

    def _deliver(
        self, waited: Sequence[Parked], items: Sequence[_Item], outcomes: Sequence[Exception | None]
    ) -> None:  # fmt: skip
        """Tell everyone, but those who may wait."""
        self._in_hand = ()
        unwritten: list[_Item] = []
        with grouped():
            for place, ((operation, done), outcome) in enumerate(zip(items, outcomes, strict=True)):
                if outcome is None:
                    if done is not None:
                        _tell(done, None)
                    continue
                if isinstance(outcome, BudgetBusyError) and isinstance(operation, Reservation):
                    if place < len(waited):
                        waited[place].refusal = outcome
                        self._parking.put(waited[place])
                        continue
                    if self._closing_at is None and patience_s(operation, outcome) > 0:
                        self._parking.put(Parked(operation, done, outcome))
                        continue
                if isinstance(outcome, LedgerUnavailableError) and isinstance(operation, Resolution | tuple):
                    unwritten.append((operation, done))
                    continue
                _tell(done, outcome)
        if unwritten:
            self._keep(unwritten, "the ledger could be written in part only")

    def _answer(self, late: Sequence[Parked]) -> None:
        if late:
            with grouped():
                for each in late:
                    _tell(each.done, each.refusal)

    def _earlier(self, moment: float) -> float:
        return moment if self._closing_at is None else min(moment, self._closing_at)

    def _keep(self, items: Sequence[_Item], reason: str) -> None:
        """Answer a batch that could not be written, and keep of it what must be written some day."""
        if self._kept:
            self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)
        self._in_hand = ()
        room = max(KEPT_MAX - len(self._kept), 0)
        ends = [operation for operation, _ in items if isinstance(operation, Resolution)]
        self._spool.add(ends[:room])
        with grouped():
            for operation, done in items:
                text = reason
                if isinstance(operation, Resolution | tuple):  # what else is asked for is the caller's to ask again
                    if len(self._kept) < KEPT_MAX:
                        self._kept.append(operation)
                        text = f"{reason}; this entry is kept and tried again"
                    else:
                        text = f"{reason}; too many entries wait already, so the reservation of this one stands"
                _tell(done, LedgerUnavailableError(text))

    def _end(self, fault: BaseException | None) -> None:
        if fault is not None:
            self._refuses = f"the ledger's writer has stopped after a `{type(fault).__name__}`: restart the program"
        self._ended = True
        items, self._in_hand = [*self._in_hand, *self._queued()], ()
        self._spool.add([operation for operation, _ in items if isinstance(operation, Resolution)])
        self._answer(self._parking.take_late(everyone=True))
        with grouped():
            for _, done in items:
                _tell(done, LedgerUnavailableError(self._refuses or "the ledger is closed"))
        try:
            self._book.close(self._closing_at or 0.0)
        except Exception:
            log.exception("the ledger could not be closed properly")
        kept = self._spool.path
        self._kept_text = "" if kept is None else f"; `{kept}` keeps them until the ledger is opened again"
        self._spool.let_go()

    def _refuse_queued(self) -> None:
        """Answer what nobody will write. Each item is taken out once, so two threads may do this together."""
        for _, done in self._queued():
            _tell(done, LedgerUnavailableError(self._refuses or "the ledger is closed"))

    def _queued(self) -> Iterator[_Item]:
        """What is queued, taken out."""
        with contextlib.suppress(queue.Empty):
            while True:
                item = self._queue.get_nowait()
                if item is not None:
                    yield item


def _tell(done: Committed | None, outcome: Exception | None) -> None:
    """Call back. What a callback raises is its author's, and must not end the writer."""
    if done is None:
        return
    try:
        done(outcome)
    except BaseException:
        log.exception("a callback of the ledger raised")
