"""What `fork` may not interrupt.

SQLite keeps the locks that a process holds on a file in that process's memory. A child copies this memory without the
locks, so a connection opened before the fork poisons every connection that the child opens to the same file
(sqlite.org/howtocorrupt.html, section 2.6). Hence no connection is open, and none is being opened, at the moment of a
fork: every use of SQLite in this room happens inside the one gate, and the gate is shut round a fork.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GATE", "Forkable", "Gate", "watch"]


class Forkable(Protocol):
    """Something that holds handles which a child must not inherit."""

    def let_go(self) -> None:
        """Close the handles for now; called in the parent, with nobody inside the gate."""
        ...

    def abandon(self) -> None:
        """Forget everything; called in the child."""
        ...


class Gate:
    """Many may be inside at once; shutting it waits until all are out, and keeps newcomers waiting.

    It is not re-entrant: who is inside must not go in again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Use SQLite; keep it short where others wait for it."""
        with self._changed:
            while self._shut:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._changed.notify_all()

    def shut(self) -> None:
        """Wait until nobody is inside, and let nobody in."""
        with self._changed:
            while self._shut:  # another thread is forking too
                self._changed.wait()
            self._shut = True
            while self._inside:
                self._changed.wait()

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def renew(self) -> None:
        """Begin anew in a child, where those who held the lock do not exist."""
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False


GATE: Final = Gate()
_watched: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def watch(store: Forkable) -> None:
    """Look after a store's handles for as long as it lives."""
    with GATE.inside():
        _watched.add(store)


def _before() -> None:
    GATE.shut()
    for store in list(_watched):
        store.let_go()


def _in_child() -> None:
    GATE.renew()
    for store in list(_watched):
        store.abandon()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=GATE.open, after_in_child=_in_child)
