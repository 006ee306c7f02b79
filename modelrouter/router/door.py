"""The door: gathers facts, asks for a decision, drives the attempts, builds the reply."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from modelrouter.errors import ClosedError, ConfigError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Unpack

    from modelrouter.config import Config
    from modelrouter.config.setup import Setup
    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.budget import Position
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Message, Request
    from modelrouter.ports import Clock, EventSink, Inspector, LedgerStore, Transport
    from modelrouter.router.drive import Drive
    from modelrouter.router.engine import Engine
    from modelrouter.router.epoch import Epoch
    from modelrouter.router.options import Options
    from modelrouter.router.reply import Reply
    from modelrouter.router.streams import AsyncReplyStream, ReplyStream

__all__ = ["Router"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a caller may bring along, and the settings that no config holds."""

    ledger: LedgerStore | None
    transports: Mapping[str, Transport]
    clock: Clock | None
    events: EventSink | None
    close_timeout_s: float
    idle_stream_s: float
    inspect: tuple[str | Inspector, ...]


class Router:
    """Routes requests to the deployments that your policies permit, and books what each call cost.

    Build it once and share it: it is safe to use from threads, from any number of event loops, and after a `fork`.

    Args:
        config: a `modelrouter.config.Config` built in Python; `Router.from_config` reads one from a file.
        ledger: your own store; None opens the one that the config names.
        transports: your own lanes by name, added to or replacing `direct` and `litellm`.
        clock: your own clock, for tests.
        events: where events go; None hands them to the stdlib logger `modelrouter`.
        close_timeout_s: how long `close` waits for calls under way and for the ledger.
        idle_stream_s: a stream from which nobody takes a piece for so long is closed.
        inspect: what looks into each request before it is decided, beside the config's `inspect`: `builtin`, `presidio`
            or your own functions of a request's texts that answer with counts by kind. What they find raises tags, as
            `raised_by` under `tags` says, and so can only take candidates away. One that raises refuses the request.

    Raises:
        ConfigError: something in the config is wrong; the message names the place.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: LedgerStore | None = None,
        transports: Mapping[str, Transport] | None = None,
        clock: Clock | None = None,
        events: EventSink | None = None,
        close_timeout_s: float = 10.0,
        idle_stream_s: float = 60.0,
        inspect: Sequence[str | Inspector] = (),
    ) -> None:
        from modelrouter.config import build

        parts = _Parts(ledger, dict(transports or {}), clock, events, close_timeout_s, idle_stream_s, tuple(inspect))
        self._begin(lambda now_s: build(config, now_s=now_s), parts)

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = None,
        *,
        ledger: LedgerStore | None = None,
        transports: Mapping[str, Transport] | None = None,
        clock: Clock | None = None,
        events: EventSink | None = None,
        close_timeout_s: float = 10.0,
        idle_stream_s: float = 60.0,
        inspect: Sequence[str | Inspector] = (),
    ) -> Self:
        """Read a config file.

        Args:
            path: None takes `MODELROUTER_CONFIG`, else `./modelrouter.yaml`.
            ledger: and the other arguments, as for the class.

        Raises:
            ConfigError: the file, or something in it, is wrong; the message names file, line and key.
        """
        from modelrouter.config import find_config, load

        found = find_config(None if path is None else str(path))
        parts = _Parts(ledger, dict(transports or {}), clock, events, close_timeout_s, idle_stream_s, tuple(inspect))
        router = cls.__new__(cls)
        Router._begin(router, lambda now_s: load(found, now_s=now_s), parts)
        return router

    def _begin(self, read: Callable[[float], Setup], parts: _Parts) -> None:
        from modelrouter.router.epoch import Epoch
        from modelrouter.router.outside import LogSink, SystemClock

        self._read = read
        self._parts = parts
        self._clock: Clock = SystemClock() if parts.clock is None else parts.clock
        self._events: EventSink = LogSink() if parts.events is None else parts.events
        self._epoch = Epoch(read(self._clock.now_s()), parts.inspect)
        self._guards: dict[int, threading.RLock] = {}
        self._engine_now: Engine | None = None
        self._finalizer: weakref.finalize[[Engine, float], Router] | None = None
        self._closed = False
        self._drills: list[tuple[Revocation, ...]] = []

    # --- asking ---------------------------------------------------------------------------------------------------

    def complete(
        self,
        route: str,
        prompt: str | Sequence[Message],
        **options: Unpack[Options],
    ) -> Reply:
        """Ask, and wait for the whole answer. For sync code; works under a running event loop and in threads too.

        Args:
            route: the name of a route in the config.
            prompt: text, or messages in OpenAI's chat shape.
            options: see `Options`: policies and tags of this call, its ceiling and deadline, and chat-completion
                parameters by OpenAI's names. A parameter that a candidate does not take refuses it; none is dropped.

        Raises:
            RequestError: an argument is wrong, or the provider found the request invalid.
            NoRouteError: no candidate is permitted; says why, and what is nearest.
            ShareCapError: candidates are permitted, and each one's vendor has its share already.
            CeilingError: candidates are kept out by the ceiling alone.
            BudgetExceededError: a budget is spent; says until when. Do not retry before that.
            BudgetBusyError: a budget is held by calls under way; try again later, or set `when_reserved`.
            RevokedError: somebody is kept out by a revocation alone, and nobody else is left. A NoRouteError.
            AttemptsExhaustedError: all that were permitted were tried, and failed.
            DeadlineExceededError: time ran out.
            LedgerUnavailableError: the book cannot be written, so nothing was sent.
            BudgetMismatchError: the book holds other budgets than the config: run `modelrouter budget apply`.
            ClosedError: after `close`.
            Exception: whatever your own `accept` raised, after the answer was booked.
        """
        epoch = self._epoch
        request = epoch.request(route, prompt, options)
        return self._run(lambda engine: _answer(engine, epoch, request))

    async def acomplete(
        self,
        route: str,
        prompt: str | Sequence[Message],
        **options: Unpack[Options],
    ) -> Reply:
        """Ask, and await the whole answer. Arguments and errors as for `complete`."""
        epoch = self._epoch
        return await _answer(self._engine(), epoch, epoch.request(route, prompt, options))

    def stream(
        self,
        route: str,
        prompt: str | Sequence[Message],
        **options: Unpack[Options],
    ) -> ReplyStream:
        """Ask, and iterate over the answer as it comes; `stream.reply` holds the facts at the end.

        Nothing is reserved or sent before the stream is entered or first iterated. Arguments and errors as for
        `complete`; after content was handed out a failure is a StreamBrokenError that holds the text so far and its
        cost. That includes what can be known only at the end: a filter, thinking that used up the tokens, JSON that is
        not what was asked for, and your `accept`. Where the route says `return`, the stream ends well instead and
        `stream.reply.flaw` tells.
        """
        from modelrouter.router.streams import ReplyStream

        return ReplyStream(self._engine().loop_thread(), self._stream(route, prompt, options))

    def astream(
        self,
        route: str,
        prompt: str | Sequence[Message],
        **options: Unpack[Options],
    ) -> AsyncReplyStream:
        """The same for async code: `async for chunk in router.astream(…)`. Not awaited itself."""
        return self._stream(route, prompt, options)

    def explain(
        self,
        route: str,
        prompt: str | Sequence[Message] | None = None,
        **options: Unpack[Options],
    ) -> Decision:
        """Decide without calling: who would serve this, in which order, and why each other one would not.

        Without a prompt the route's needs and output default stand for the request. No connection is made: who is
        revoked is what the ledger's last transaction here has told.

        Raises:
            RequestError: an argument is wrong.
        """
        engine = self._engine()
        epoch = engine.epoch
        request = epoch.question(route, options) if prompt is None else epoch.request(route, prompt, options)
        return epoch.decide(request, engine.moment(epoch, "explain", epoch.route(route).candidates))

    def budgets(self) -> tuple[Position, ...]:
        """Where each budget stands now, for every scope that has spent anything in its window. Reads the ledger.

        Raises:
            LedgerUnavailableError: the book cannot be read.
        """
        from modelrouter.router.outlook import standing

        engine = self._engine()
        return standing(self._epoch.setup, engine.ledger.positions(), int(self._clock.now_s() * 1_000_000))

    @contextlib.contextmanager
    def losing(self, *names: str) -> Iterator[None]:
        """A drill: inside, this Router works as if these were revoked in every role, for all its threads and tasks.

        Nothing is written to the ledger but the attempts elsewhere, other Routers notice nothing, and calls under way
        go on. Drills may be nested, and overlap. `with router.losing("anthropic"):` works in async code too.

        Args:
            names: vendors, models or deployments; where several have a name, as `vendor:mistral`.

        Raises:
            RequestError: a name means nothing, or several things.
        """
        from modelrouter.router.cutting_off import drill

        lost = drill(names, self._epoch.setup.world)
        self._drills.append(lost)
        try:
            yield
        finally:
            self._drills.remove(lost)

    # --- living ---------------------------------------------------------------------------------------------------

    @property
    def setup(self) -> Setup:
        """What the config came to: routes, deployments with their facts, policies. Read it, do not change it."""
        return self._epoch.setup

    def reload(self) -> None:
        """Read the config again and swap it in at once, or change nothing at all.

        Calls under way keep the values they were decided with, and are asked again before each further hop.

        Raises:
            ConfigError: the new config is wrong, does not meet what its policies assert of routes, or names another
                ledger; the old one stays in force.
            MissingDependencyError: it needs a lane whose package is not installed; as above.
        """
        from modelrouter.router.epoch import Epoch

        with self._guard():  # one after the other, so that what was read last is what stays
            fresh = Epoch(self._read(self._clock.now_s()), self._parts.inspect)
            if self._parts.ledger is None and fresh.setup.ledger != self._epoch.setup.ledger:
                raise ConfigError(
                    f"a reload cannot move the ledger to `{fresh.setup.ledger_shown}`: build a new Router", key="ledger"
                )
            engine = self._engine()
            engine.adopt(fresh)
            self._epoch = fresh
        engine.tell_of_budgets(fresh.setup)

    def close(self) -> None:
        """Let go of everything; calls afterwards raise ClosedError.

        Sync calls under way are cancelled and open streams ended, both booked. Calls of your own event loops may end
        by themselves within `close_timeout_s`; what has not ended by then, or cannot because this blocks its loop,
        keeps its reservation.

        Raises:
            LedgerUnavailableError: ends of attempts could not be written; their reservations stand.
        """
        engine = self._shut()
        if engine is not None:
            engine.close(self._parts.close_timeout_s)

    async def aclose(self) -> None:
        """As `close`, from async code: does not block this event loop, and closes its connections at the end."""
        import asyncio

        engine = self._shut()
        if engine is None:
            return
        try:
            await asyncio.to_thread(engine.close, self._parts.close_timeout_s)
        finally:
            await asyncio.gather(*(lane.close() for lane in engine.lanes.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- inside ---------------------------------------------------------------------------------------------------

    def _stream(self, route: str, prompt: str | Sequence[Message], options: Options) -> AsyncReplyStream:
        from modelrouter.router.streams import AsyncReplyStream

        epoch = self._epoch
        request = epoch.request(route, prompt, options)
        self._engine()  # after `close` it is refused here already
        return AsyncReplyStream(partial(self._begin_stream, epoch, request), self._parts.idle_stream_s)

    def _begin_stream(self, made_by: Epoch, request: Request) -> Drive:
        """A stream holds this method, and so this Router: it is not closed as forgotten while a stream is read."""
        return _drive(self._engine(), made_by, request, stream=True)

    def _run(self, work: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
        engine = self._engine()
        return engine.loop_thread().run(work(engine))

    def _engine(self) -> Engine:
        """This process's engine, built on first use; after a fork the child's own."""
        engine, pid = self._engine_now, os.getpid()
        self._check_open()
        if engine is not None and engine.pid == pid:
            return engine
        is_new = False
        with self._guard():
            self._check_open()
            engine = self._engine_now
            if engine is None or engine.pid != pid:
                if engine is not None:
                    engine.forget()
                engine = self._build_engine()
                self._engine_now = engine
                is_new = True
            try:
                self._check_open()
            except ClosedError:  # by a signal handler, while it was being built
                _close_quietly(engine, self._parts.close_timeout_s)
                raise
        if is_new:  # not under the lock: a sink may wait for somebody who waits for it
            engine.tell_of_budgets(engine.epoch.setup)
        return engine

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this Router was closed: build another one")

    def _shut(self) -> Engine | None:
        """Take no more calls; this process's engine, if there is one to be closed."""
        with self._guard():
            self._closed = True
            engine = self._engine_now
        return engine if engine is not None and engine.pid == os.getpid() else None

    def _guard(self) -> threading.RLock:
        """This process's lock: the parent's may be held for ever in a child. Signal handlers may come back for it."""
        return self._guards.setdefault(os.getpid(), threading.RLock())

    def _build_engine(self) -> Engine:
        from modelrouter.router.engine import Engine, open_lanes, open_store

        setup = self._epoch.setup
        engine = Engine(
            self._epoch,
            ledger=open_store(setup, self._clock) if self._parts.ledger is None else self._parts.ledger,
            lanes={**open_lanes(setup), **self._parts.transports},
            clock=self._clock,
            events=self._events,
            drills=self._drills,
        )
        engine.introduce(self._epoch)
        engine.read_revoked()
        self._finalizer = weakref.finalize(self, _close_quietly, engine, self._parts.close_timeout_s)
        return engine


def _drive(engine: Engine, made_by: Epoch, request: Request, *, stream: bool) -> Drive:
    from modelrouter.router.drive import Drive

    return Drive(engine, made_by, request, stream=stream)


def _close_quietly(engine: Engine, timeout_s: float) -> None:
    """At the end of a Router that nobody closed: what could not be written is in the log of the ledger already."""
    with contextlib.suppress(LedgerError):
        engine.close(timeout_s)


async def _answer(engine: Engine, made_by: Epoch, request: Request) -> Reply:
    """Drive one plain request to its reply."""
    from modelrouter.core.attempts import Relay

    drive = _drive(engine, made_by, request, stream=False)
    result = await drive.advance()
    if isinstance(result, Relay):
        raise TypeError("a plain call was answered by a stream")
    return drive.reply(result)
