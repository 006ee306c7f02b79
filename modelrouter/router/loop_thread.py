"""A private event loop in a thread, so that sync calls work anywhere: in Jupyter, under a running loop, in threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from modelrouter.errors import ClosedError, RequestError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["LoopThread", "to_the_end"]

T = TypeVar("T")

_finishing: Final[set[asyncio.Task[None]]] = set()
"""Tasks that are not cancelled: a loop holds its tasks only weakly, and letting go of a connection must come about."""


def to_the_end(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin work that ends by itself, and that no end of a Router cuts off. Called on the loop."""
    task = loop.create_task(work)
    _finishing.add(task)
    task.add_done_callback(_finishing.discard)
    return task


class LoopThread:
    """One daemon thread that runs one event loop until `stop`."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._guard = threading.RLock()  # the end of a Router may come from the garbage collector, in any thread
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="modelrouter-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it here. An interrupt here (Ctrl-C) cancels it there, and it is booked.

        Raises:
            ClosedError: the Router was closed, before or meanwhile, or belongs to the parent of a fork.
            RequestError: this is that thread, which would wait for itself.
        """
        try:
            future = self._begin(work)
        except BaseException:
            work.close()
            raise
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._is_stopping:
                raise ClosedError("this Router was closed while the call was under way") from None
            raise
        except BaseException:
            future.cancel()
            raise

    def stop(self, timeout_s: float) -> None:
        """Cancel what still runs, let it settle, end the loop and its thread."""
        with self._guard:
            if not self._is_stopping:
                self._is_stopping = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Hand work over. What is taken comes before the stop, so nobody waits for what a stopped loop never runs."""
        if os.getpid() != self._pid:
            raise ClosedError("this stream belongs to the parent of a fork: ask anew in the child")
        if threading.current_thread() is self._thread:
            raise RequestError("a sync call from the Router's own loop would wait for itself: use the async methods")
        with self._guard:
            if self._is_stopping:
                raise ClosedError("this Router was closed: build another one")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        try:
            while self._was_broken_off():
                pass
        finally:
            self._loop.run_until_complete(_cancel_all())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _was_broken_off(self) -> bool:
        """Run the loop until it is stopped; True: a task raised what asyncio lets end a loop, and others still need it.

        Whoever waits for that task is told of it, as of any error.
        """
        try:
            self._loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            with self._guard:
                if self._is_stopping:  # the stop itself may have been in the same turn, and is forgotten then
                    self._loop.call_soon(self._loop.stop)
            return True
        return False


async def _cancel_all() -> None:
    """Cancel every other task of this loop, and let each of them book what it must."""
    while pending := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in pending - _finishing:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
