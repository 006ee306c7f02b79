"""A stream that is being read: bytes to events to pieces, with a watch over the time between them. Loads aiohttp."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.assembly import Assembly
from modelrouter.transports.bounded import ReplyTooLongError
from modelrouter.transports.faults import Progress, fault_failure
from modelrouter.transports.sse import EventReader, EventTooLongError

if TYPE_CHECKING:
    import aiohttp

    from modelrouter.ports import Delta, Endpoint, StreamEnd
    from modelrouter.transports.pool import Pool
    from modelrouter.transports.sse import Event

__all__ = ["CUTS", "REST_S", "Stream"]

CUTS: Final = frozenset({FailureKind.TIMED_OUT, FailureKind.TRUNCATED, FailureKind.UNREACHABLE})
"""What may happen to a connection after the answer is whole, and takes nothing from it but the usage report."""

REST_S: Final = 5.0
"""How long a usage report is waited for once the answer is whole."""


class Stream:
    """One streamed reply whose headers have come.

    The first content must come by `first_deadline_s`, and then each piece within `between_s` of being asked for,
    whatever else comes meanwhile: comments are no pieces. Once every choice has its finish_reason the answer is whole,
    even if the connection then breaks or says no more.

    One timer serves the whole stream: it looks at the deadline when it goes off, and is set again if that has moved.
    """

    def __init__(
        self,
        reply: aiohttp.ClientResponse,
        pool: Pool,
        endpoint: Endpoint,
        *,
        first_s: float,
        between_s: float,
        first_deadline_s: float,
    ) -> None:
        self._reply = reply
        self._pool = pool
        self._endpoint = endpoint
        self._first_s = first_s
        self._between_s = between_s
        self._left_bytes = endpoint.reply_bytes_max
        self._loop = asyncio.get_running_loop()
        self._deadline_s = first_deadline_s
        self._timer: asyncio.TimerHandle | None = None
        self._is_waiting = False
        self._is_late = False
        self._is_over = False
        self._has_ended = False
        self._reader = EventReader()
        self._events: deque[Event] = deque()
        self._assembly = Assembly(endpoint)

    async def next(self) -> Delta | StreamEnd | Failure:
        """The next piece, the end, or why there is none."""
        try:
            piece = await self._next()
        except BaseException:
            self._stop()
            raise
        if isinstance(piece, Failure):
            self._stop()
        return piece

    async def close(self) -> None:
        """Drop the connection, unless the answer was complete: then it is kept for another call."""
        self._stop()

    async def _next(self) -> Delta | StreamEnd | Failure:
        assembly, events = self._assembly, self._events
        if assembly.begun:
            wait_s = min(self._between_s, REST_S) if assembly.is_whole else self._between_s
            self._deadline_s = self._loop.time() + wait_s
        while True:
            while events:
                piece = assembly.take(events.popleft())
                if piece is not None:
                    return self._cut(piece) if isinstance(piece, Failure) else piece
            if assembly.done or self._has_ended:
                return self._end()
            try:
                self._check_length()
                await self._read()
            except Exception as fault:
                failure = self._failure(fault)
                if failure is None:
                    raise
                return self._end() if assembly.is_whole and failure.kind in CUTS else failure

    def _cut(self, failure: Failure) -> Failure:
        """An event that the connection's end left incomplete is a truncated stream, not a malformed one."""
        if self._has_ended and failure.kind is FailureKind.MALFORMED_REPLY:
            return replace(failure, kind=FailureKind.TRUNCATED, detail="the stream ended in the middle of a chunk")
        return failure

    async def _read(self) -> None:
        """Wait for bytes and take the events in them."""
        if self._timer is not None and self._timer.when() > self._deadline_s:
            self._cancel_timer()  # it was set for the first content, which may take longer than a later piece
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline_s, self._watch)
        self._is_waiting = True
        try:
            piece = await self._reply.content.readany()
        except Exception:
            piece = self._come_before_fault()
            if not piece:
                raise
        finally:
            self._is_waiting = False
        if piece:
            piece, self._left_bytes = piece[: self._left_bytes], self._left_bytes - len(piece)
            self._events.extend(self._reader.feed(piece))
        else:
            self._has_ended = True
            self._events.extend(self._reader.end())

    def _come_before_fault(self) -> bytes:
        """What came before the connection broke, while nobody was reading; aiohttp would keep it to itself.

        The next read meets the fault again.
        """
        return b"" if self._is_late else self._reply.content._read_nowait(-1)  # noqa: SLF001 - no other way to it

    def _check_length(self) -> None:
        """No more is read of a reply that is too long; what has come is handed out before."""
        if self._left_bytes < 0:
            raise ReplyTooLongError

    def _watch(self) -> None:
        self._timer = None
        if not self._is_waiting:
            return
        if self._loop.time() < self._deadline_s:
            self._timer = self._loop.call_at(self._deadline_s, self._watch)
            return
        self._is_late = True
        self._pool.drop(self._reply)  # wakes the reader with an error

    def _failure(self, fault: Exception) -> Failure | None:
        progress = Progress(is_connected=True, is_answering=True)
        if self._is_late:
            what, limit_s = (
                ("next piece", self._between_s) if self._assembly.begun else ("first content", self._first_s)
            )
            late = Failure(FailureKind.TIMED_OUT, Phase.ANSWERING, f"the {what} did not come in {limit_s:g} s")
            return self._assembly.broken(late)
        known = ReplyTooLongError() if isinstance(fault, EventTooLongError) else fault
        failure = fault_failure(known, progress, self._endpoint.deployment)
        return None if failure is None else self._assembly.broken(failure)

    def _end(self) -> StreamEnd | Failure:
        ended = self._assembly.end()
        if not self._is_over and not isinstance(ended, Failure):
            self._is_over = True
            self._pool.linger(self._reply)
            self._cancel_timer()
        return ended

    def _stop(self) -> None:
        self._cancel_timer()
        if not self._is_over:
            self._is_over = True
            self._pool.drop(self._reply)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
