"""Awaiting a ledger from an event loop, any loop of any thread.

A store calls back from its own thread. `Waiting` carries the outcome to the loop; the loops that wait for one batch are
each woken once. Whoever waits may be cancelled, and the entry may be committed all the same: the money would stay set
aside for nobody. So exactly one of two things happens with a grant: the waiter is told of it, or `late` is called.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.wakeups import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.ports import Committed, LedgerStore, Reservation, Resolution

__all__ = ["Waiting", "reserve_durably", "reserved", "resolved"]


async def reserved(store: LedgerStore, reservation: Reservation, *, late: Callable[[], None] | None = None) -> None:
    """Return once a reservation is durable.

    Args:
        store: where to reserve.
        reservation: what to reserve.
        late: called once, from any thread, if the reservation is or becomes durable after this task was cancelled;
            it should queue a release. Without it the reservation stands.

    Raises:
        DuplicateRequestError: the request is known; nothing was reserved.
        LedgerUnavailableError: it could not be written.
    """
    await Waiting(lambda done: store.reserve(reservation, done)).outcome(late)


async def reserve_durably(store: LedgerStore, reservation: Reservation, *, if_late: Resolution) -> None:
    """`reserved`, which resolves a grant that comes after its task was cancelled with `if_late`."""
    await reserved(store, reservation, late=lambda: store.resolve(if_late))


async def resolved(store: LedgerStore, resolution: Resolution) -> None:
    """Return once a resolution is durable. A cancelled task changes nothing: the resolution is written all the same.

    Raises:
        AlreadyResolvedError: it was resolved before.
        LedgerUnavailableError: it could not be written now; a store keeps it and tries again.
    """
    await Waiting(lambda done: store.resolve(resolution, done)).outcome()


class Waiting:
    """One entry on its way into a ledger, and the task that waits for it.

    Made on the loop that will await it; `begin` is called at once, with what the store has to call back.
    """

    __slots__ = ("_error", "_future", "_guard", "_inbox", "_is_committed", "_late")

    def __init__(self, begin: Callable[[Committed], None]) -> None:
        loop = asyncio.get_running_loop()
        self._inbox = _inbox_of(loop)
        self._future: asyncio.Future[None] = loop.create_future()
        self._guard = threading.RLock()  # a task that the garbage collector finds leaves, in whichever thread
        self._is_committed = False
        self._error: Exception | None = None
        self._late: Callable[[], None] | None = None
        begin(self._done)

    async def outcome(self, late: Callable[[], None] | None = None) -> None:
        """Wait for the outcome, once.

        Args:
            late: called once, from any thread, if the entry is or becomes durable and this wait was interrupted.

        Raises:
            LedgerError, DuplicateRequestError: the entry was not written.
        """
        try:
            await self._future
        except BaseException as error:
            if error is not self._error:
                self._leave(late)
            raise

    def deliver(self) -> None:
        """Tell the waiter; called on its loop."""
        if self._future.done():
            return
        if self._error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(self._error)

    def _done(self, error: Exception | None) -> None:
        """The store's callback, from the store's thread."""
        with self._guard:
            self._error = error
            self._is_committed = error is None
            late, self._late = self._late, None
        if late is not None:
            if error is None:
                late()
            return
        self._inbox.put(self)

    def _leave(self, late: Callable[[], None] | None) -> None:
        """Nobody waits any more: what is granted, or will be, is nobody's."""
        with self._guard:
            if not self._is_committed:
                self._late = late
                return
        if late is not None:
            late()


class _Inbox:
    """What was committed for the waiters of one loop and not yet delivered."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Waiting] = deque()

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        return self._loop is loop

    def put(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        ask(self.wake)

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self.deliver)
        except RuntimeError:  # the loop was closed: its tasks are gone, and left through `_leave`
            self._waiting.clear()

    def deliver(self) -> None:
        while self._waiting:
            self._waiting.popleft().deliver()


class _Here(threading.local):
    inbox: _Inbox | None = None


_here: Final = _Here()


def _inbox_of(loop: asyncio.AbstractEventLoop) -> _Inbox:
    """The inbox of the loop that runs in this thread."""
    inbox = _here.inbox
    if inbox is None or not inbox.is_of(loop):
        inbox = _here.inbox = _Inbox(loop)
    return inbox
