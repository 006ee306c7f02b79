"""Streams as objects: they reserve when entered or first iterated, and end with the same facts as a plain reply.

However a stream ends - at its end, by `close`, by leaving its `with`, by cancellation, by being dropped, or because
nobody took a piece for a minute - the connection is let go, so that the server stops generating, and the attempt is
booked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Self

from modelrouter.core.attempts import Failure, FailureKind, Phase, Relay
from modelrouter.errors import ClosedError, StreamBrokenError
from modelrouter.ports import Delta
from modelrouter.router.loop_thread import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from modelrouter.core.attempts import Result
    from modelrouter.ports import OpenStream
    from modelrouter.router.drive import Drive
    from modelrouter.router.loop_thread import LoopThread
    from modelrouter.router.reply import Reply

__all__ = ["AsyncReplyStream", "ReplyStream"]


class AsyncReplyStream:
    """A stream of one reply: `async for chunk in stream`, then `stream.reply`. Also an async context manager.

    Attributes:
        reply: None until the stream has ended well; then all that a plain reply holds.
        text: what has been handed out so far.
    """

    def __init__(self, begin: Callable[[], Drive], idle_s: float) -> None:
        self.reply: Reply | None = None
        self.text = ""
        self._begin = begin
        self._idle_s = idle_s
        self._drive: Drive | None = None
        self._open: OpenStream | None = None
        self._first: deque[Delta] = deque()
        self._ended = False
        self._broken: StreamBrokenError | None = None  # for whoever comes back to a stream that was given up
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: asyncio.TimerHandle | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        piece = await self.next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        opened, drive = self._open, self._drive
        if opened is None or drive is None:
            return
        if drive.engine.pid != os.getpid():
            return  # the parent's to book
        self._book("the stream was dropped")
        self._let_go_soon(opened)

    async def next(self) -> Delta | None:
        """The next piece, or None at the end.

        Raises:
            NoRouteError, CeilingError, AttemptsExhaustedError, DeadlineExceededError: nothing could be handed out.
            StreamBrokenError: it broke after content had been handed out, or was given up because nobody took a piece
                for too long, or because the Router was closed.
        """
        await self._start()
        self._set_idle(on=False)
        if self._first:
            return self._hand_out(self._first.popleft())
        opened, drive = self._open, self._drive
        if opened is None or drive is None:
            self._tell_if_broken()
            return None
        try:
            piece = await opened.next()
            outcome = None if isinstance(piece, Delta) else await drive.judged(piece)
        except GeneratorExit:
            self._book("the stream was cancelled")
            raise
        except BaseException:
            await self._end("the stream was cancelled")
            raise
        if self._open is not opened:  # closed by somebody else meanwhile
            self._tell_if_broken()
            return None
        if isinstance(piece, Delta):
            return self._hand_out(piece)
        self._open = None
        try:  # booked first: letting go may be interrupted
            self._finish(drive, await drive.advance(outcome))
        finally:
            with contextlib.suppress(Exception):  # the answer is whole, or its failure known
                await opened.close()
        return None

    async def aclose(self) -> None:
        """Stop: the server stops generating, and what may have been billed is booked at its bound. Harmless twice."""
        self._ended = True
        self._first.clear()
        await self._end("the stream was closed")

    def interrupt(self, why: str) -> None:
        """Give the stream up, from any thread; whoever comes back for the next piece is told so."""
        loop = self._loop
        if loop is None or not loop.is_running() or loop is _running_loop():
            self._give_up(why)
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed in between
            loop.call_soon_threadsafe(self._give_up, why)

    async def _start(self) -> None:
        if self._drive is not None or self._has_ended():
            return
        self._loop = asyncio.get_running_loop()
        self._drive = drive = self._begin()
        got = await drive.advance()
        if not isinstance(got, Relay):
            self._finish(drive, got)
            self._first.extend(drive.first)  # pieces without content, as the one that says why it ended
            return
        self._open = drive.opened
        self._first.extend(drive.first)
        if self._has_ended():  # closed while it was being opened
            await self._end("the stream was closed")
        elif drive.engine.watch(self):
            self._set_idle(on=True)
        else:
            self._give_up("the Router was closed")

    def _has_ended(self) -> bool:
        return self._ended

    def _hand_out(self, piece: Delta) -> Delta:
        self.text += piece.text
        self._set_idle(on=True)
        return piece

    def _finish(self, drive: Drive, result: Result | Relay) -> None:
        if isinstance(result, Relay):
            raise TypeError("a stream was opened twice")
        try:
            self.reply = drive.reply(result)
        except StreamBrokenError as error:
            error.text = self.text
            raise

    def _tell_if_broken(self) -> None:
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken

    def _book(self, why: str) -> Result | None:
        """Resolve what is open, without waiting: this also runs where nothing can be awaited."""
        self._set_idle(on=False)
        self._open = None
        self._first.clear()
        drive = self._drive
        if drive is None:
            return None
        return drive.give_up(Failure(FailureKind.CANCELLED, Phase.ANSWERING, why, usage=drive.unjudged, text=self.text))

    async def _end(self, why: str) -> None:
        opened = self._open
        if opened is not None:
            self._book(why)
            await asyncio.shield(to_the_end(asyncio.get_running_loop(), opened.close()))

    def _give_up(self, why: str) -> None:
        opened, drive = self._open, self._drive
        if opened is None or drive is None:
            return
        self._ended = True
        result = self._book(why)
        if result is not None:
            self._broken = drive.broken(result, why, self.text)
        self._let_go_soon(opened)

    def _let_go_soon(self, opened: OpenStream) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and its connections with it
                loop.call_soon_threadsafe(_close, loop, opened)

    def _set_idle(self, *, on: bool) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if on and self._loop is not None and self._open is not None:
            # The timer does not keep the stream alive: one that is dropped is let go of at once.
            self._idle = self._loop.call_later(self._idle_s, _idled, weakref.ref(self), self._idle_s)


def _idled(stream: weakref.ref[AsyncReplyStream], idle_s: float) -> None:
    found = stream()
    if found is not None:
        found.interrupt(f"nobody took a piece for {idle_s:g} s")


def _close(loop: asyncio.AbstractEventLoop, opened: OpenStream) -> None:
    to_the_end(loop, opened.close())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class ReplyStream:
    """The same for sync code: `for chunk in stream`, then `stream.reply`. Also a context manager."""

    def __init__(self, thread: LoopThread, stream: AsyncReplyStream) -> None:
        self._thread = thread
        self._stream = stream

    @property
    def reply(self) -> Reply | None:
        """None until the stream has ended well; then all that a plain reply holds."""
        return self._stream.reply

    @property
    def text(self) -> str:
        """What has been handed out so far."""
        return self._stream.text

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        piece = self._thread.run(self._stream.next())
        if piece is None:
            raise StopIteration
        return piece

    def __enter__(self) -> Self:
        self._thread.run(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop; see `AsyncReplyStream.aclose`. After the Router was closed nothing is left to be stopped."""
        with contextlib.suppress(ClosedError):
            self._thread.run(self._stream.aclose())
