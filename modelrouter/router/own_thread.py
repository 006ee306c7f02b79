"""Functions of the application that may block, each in a thread of its own.

A loop's executor has few threads, and they are the host's. A function that asks the Router something waits for another
one, so that a handful of them would wait for each other for ever; and no program ends before each of them is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_own_thread"]

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T]) -> T:
    """Call a function there, with the context of whoever awaits it. Nobody waits for it once that task is cancelled.

    Args:
        work: raises anything but StopIteration, which no future can carry.

    Raises:
        RuntimeError: no thread can be started, as at the end of the program.
        BaseException: what the function raised.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    told: asyncio.Future[T] = loop.create_future()

    def tell(tells: Callable[[], None]) -> None:
        if not told.done():
            tells()

    def run() -> None:
        tells: Callable[[], None]
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told of it
            tells = functools.partial(told.set_exception, error)
        else:
            tells = functools.partial(told.set_result, result)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, tells)

    threading.Thread(target=run, name="modelrouter-accept", daemon=True).start()
    return await told
