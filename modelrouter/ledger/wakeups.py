"""Waking once for many: whoever delivers a batch of outcomes groups the wake-ups that they ask for.

Each wake-up of an event loop is a write to its self-pipe. A writer that has committed 64 entries calls 64 callbacks;
the loops that wait for them are each woken once, after the last. Outside a group a wake-up happens at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Wake", "ask", "grouped"]

Wake: TypeAlias = Callable[[], None]


class _Group(threading.local):
    wakes: dict[Wake, None] | None = None


_group: Final = _Group()


def ask(wake: Wake) -> None:
    """Wake now, or at the end of the group that this thread is delivering. Equal wakes of one group are one."""
    if _group.wakes is None:
        wake()
    else:
        _group.wakes[wake] = None


@contextmanager
def grouped() -> Iterator[None]:
    """Deliver outcomes; the wake-ups asked for by then happen at the end. A wake must not raise."""
    wakes: dict[Wake, None] = {}
    _group.wakes = wakes
    try:
        yield
    finally:
        _group.wakes = None
        for wake in wakes:
            wake()
