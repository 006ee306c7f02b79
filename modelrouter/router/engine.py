"""What one process holds for a Router: the ledger, the lanes, the sync loop, and what attempts have taught.

Everything here is thread-safe and belongs to no event loop; connection pools live inside the lanes, one per loop.
After a `fork` the child gets a new engine: inherited handles are forgotten without being closed, and their
reservations stay the parent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final

from modelrouter.core.assurance.aftermath import aftermath
from modelrouter.core.budget_text import window_text
from modelrouter.core.decision import Moment
from modelrouter.core.failure import Blame
from modelrouter.errors import ClosedError, LedgerError
from modelrouter.ports import Document
from modelrouter.router.cutting_off import CutOff, hits
from modelrouter.router.refusals import Refusals
from modelrouter.router.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

    from modelrouter.config.setup import Setup
    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.attempts import Attempt, Failure, Resolve
    from modelrouter.errors import ShareCapError
    from modelrouter.ports import Clock, Credential, Endpoint, EventSink, LedgerStore, Transport
    from modelrouter.router.cutting_off import Flight
    from modelrouter.router.epoch import Epoch
    from modelrouter.router.loop_thread import LoopThread
    from modelrouter.router.streams import AsyncReplyStream

__all__ = ["Engine", "open_lanes", "open_store", "without_key"]

log: Final = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""How long it may take until calls under way are interrupted by a signed file."""
_FORGOTTEN: list[object] = []
"""Engines of the parent process, kept so that no destructor touches a handle that is still the parent's."""


class Engine:
    """The live half of a Router, for one process."""

    def __init__(
        self,
        epoch: Epoch,
        *,
        ledger: LedgerStore,
        lanes: Mapping[str, Transport],
        clock: Clock,
        events: EventSink,
        drills: Collection[tuple[Revocation, ...]] = (),
    ) -> None:
        self.epoch = epoch
        self.ledger = ledger
        self.lanes = lanes
        self.clock = clock
        self.events = events
        self.chance = random.Random()  # noqa: S311 - ids, not secrets; our own, so that no seed of the host reaches it
        self.pid = os.getpid()
        self.closed = False
        self._ended = threading.Event()
        # Re-entrant: a stream that the garbage collector finds is booked in whichever thread it comes to.
        self._guard = threading.RLock()
        self._call_ended = threading.Condition(self._guard)
        self._calls: Counter[asyncio.AbstractEventLoop] = Counter()
        self._streams: weakref.WeakSet[AsyncReplyStream] = weakref.WeakSet()
        self._loop_thread: LoopThread | None = None
        self.traffic = Traffic(epoch.setup, clock)
        self.refusals = Refusals(ledger, clock)
        self._ejected: dict[str, tuple[Endpoint, str]] = {}
        self.cut_off = CutOff(drills)
        self.flights: dict[int, weakref.ref[Flight]] = {}
        self._warned: set[str] = set()
        self._by_file: tuple[Revocation, ...] = ()
        self._file_is_watched = False
        ledger.watch(_telling(weakref.ref(self)))
        self._watch_file()

    # --- what a decision reads ----------------------------------------------------------------------------------

    def moment(self, epoch: Epoch, seed: str, candidates: tuple[str, ...], *, is_stream: bool = False) -> Moment:
        """The dynamic values at this moment, copied: a decision keeps them."""
        unavailable: dict[str, str] = {}
        for name in candidates:
            reason = self.out_of_reach(epoch.setup.endpoints[name])
            if reason:
                unavailable[name] = reason
        read, now_s = self.traffic.readings(candidates), self.clock.now_s()
        return Moment(
            now_s=now_s,
            seed=seed,
            unavailable=unavailable,
            revoked=self.cut_off.among(epoch, candidates, now_s),
            unhealthy=read.tried_last,
            in_flight=read.in_flight,
            latency_s=read.latency_s,
            first_token_s=read.first_token_s,
            is_stream=is_stream,
            observed_output_tokens=read.output_tokens,
        )

    def out_of_reach(self, endpoint: Endpoint) -> str:
        """Why a deployment cannot be called at all right now, or empty: it answered wrongly before, or has no key.

        A wrong answer speaks against the endpoint that gave it, not against the one that a reload put in its place.
        """
        ejected = self._ejected.get(endpoint.deployment)
        if ejected is not None and ejected[0] is endpoint:
            return ejected[1]
        return without_key(endpoint)

    # --- what attempts teach ------------------------------------------------------------------------------------

    def learn(self, attempt: Attempt, endpoint: Endpoint) -> None:
        """Keep whoever answered as somebody else out of what comes."""
        failure = attempt.failure
        if failure is not None and failure.rule.blame is Blame.IDENTITY:
            self._ejected[attempt.deployment] = endpoint, failure.detail

    def tell(self, step: Resolve, call_id: str, route: str) -> None:
        """Report a finished attempt to the event sink; one that raises does not cost the caller an answer."""
        attempt = step.attempt
        failure: Failure | None = attempt.failure
        fields = {
            "call_id": call_id,
            "route": route,
            "number": attempt.number,
            "deployment": attempt.deployment,
            "failure": None if failure is None else failure.kind.value,
            "detail": None if failure is None else failure.detail,
            "billing": step.billing.value,
            "cost_nano_usd": step.cost_nano_usd,
            "duration_s": round(attempt.ended_s - attempt.started_s, 6),
        }
        self._emit("attempt", fields)

    def tell_of_cap(self, error: ShareCapError, deployment: str, call_id: str, route: str) -> None:
        """Report what a share cap said of a candidate; an observed one has refused nobody."""
        cap = error.refusal.demand.cap
        fields = {
            "call_id": call_id,
            "route": route,
            "deployment": deployment,
            "rule": cap.rule,
            "mode": cap.mode.value,
            "vendor": error.refusal.demand.vendor,
            "detail": error.message,
        }
        self._emit("share", fields)

    def _emit(self, event: str, fields: Mapping[str, object]) -> None:
        try:
            self.events.emit(event, fields)
        except (Exception, SystemExit):  # the latter would end the loop, and with it every call that it drives
            log.exception("the event sink raised")

    # --- who is cut off -----------------------------------------------------------------------------------------

    def why_revoked(self, epoch: Epoch, deployment: str) -> str:
        """Why a deployment is cut off, as far as this process knows, or empty."""
        return self.cut_off.why(epoch, deployment, self.clock.now_s())

    def read_revoked(self) -> None:
        """Ask the ledger who is cut off, as no transaction of ours has told it yet; the reserve decides in any case."""
        with contextlib.suppress(LedgerError):
            self.cut_off.by_ledger = tuple(self.ledger.revoked())

    def revoked_now(self, revocations: Sequence[Revocation]) -> None:
        """Others are cut off than before; from the ledger's thread, which goes on at once."""
        self.cut_off.by_ledger = tuple(revocations)
        threading.Thread(
            target=self._follow, args=(self.cut_off.by_ledger,), name="modelrouter-revoked", daemon=True
        ).start()

    def _watch_file(self) -> None:
        """Look at a signed file every few seconds: decisions do so anyway, and what is under way must not wait."""
        if self.epoch.revoked_file is None or self._file_is_watched:
            return
        self._file_is_watched = True
        self._by_file = self.epoch.revoked_file.revocations()
        watching = threading.Thread(
            target=_watch, args=(weakref.ref(self), self._ended), name="modelrouter-revoked-file", daemon=True
        )
        watching.start()

    def look_at_file(self) -> None:
        """Follow what a signed file says, if that has changed."""
        file = self.epoch.revoked_file
        found = () if file is None else file.revocations()
        if found != self._by_file:
            self._by_file = found
            self._follow(found)

    def _follow(self, revocations: Sequence[Revocation]) -> None:
        """End what is under way where a revocation asks for it, then tell what is left."""
        try:
            self.interrupt(revocations)
            self.tell_of_losses()
        except Exception:
            log.exception("what follows from a revocation could not be done")

    def interrupt(self, revocations: Iterable[Revocation]) -> None:
        """Interrupt calls under way to whoever is revoked with `abort_in_flight`."""
        aborting = self._aborting(revocations)
        if not aborting:
            return
        with self._guard:
            streams = list(self._streams)
        flights = [found for each in tuple(self.flights.values()) if (found := each()) is not None]
        under_way: list[Flight | AsyncReplyStream] = [*flights, *streams]
        for call in under_way:
            for why in hits(call.marks, aborting):
                call.interrupt(why)

    def _aborting(self, revocations: Iterable[Revocation]) -> list[Revocation]:
        now_us = int(self.clock.now_s() * 1_000_000)
        return [each for each in revocations if each.abort_in_flight and each.holds(now_us)]

    def tell_of_losses(self) -> None:
        """Report what revocations leave of each route; warn of each that has one vendor left or breaks a promise."""
        epoch, now_s = self.epoch, self.clock.now_s()
        setup = epoch.setup
        revoked = self.cut_off.among(epoch, tuple(setup.world.deployments), now_s)
        lost = list(aftermath(setup.routes, setup.world, revoked, now_s))
        routes = [
            {"route": each.route, "taken": list(each.taken), "left": list(each.left), "warning": each.warning}
            for each in lost
        ]
        self._emit("revoked", {"deployments": revoked, "routes": routes})
        for each in lost:
            if each.warning and each.warning not in self._warned:
                self._warned.add(each.warning)
                log.warning("%s", each.warning)

    # --- what is under way --------------------------------------------------------------------------------------

    def call_began(self, loop: asyncio.AbstractEventLoop) -> bool:
        """A call is driven by this loop from now on. True: some are of loops that were closed, see `book_dropped`."""
        with self._guard:
            self._calls[loop] += 1
            return any(each.is_closed() for each in tuple(self._calls))

    def call_ended(self, loop: asyncio.AbstractEventLoop) -> None:
        """One of them is over, and booked."""
        with self._guard:
            self._calls[loop] -= 1
            if not self._calls[loop]:
                del self._calls[loop]
            self._call_ended.notify_all()

    def watch(self, stream: AsyncReplyStream) -> bool:
        """Remember an open stream, which `close` will end; False: everything is closed already."""
        with self._guard:
            if not self.closed:
                self._streams.add(stream)
            is_open = not self.closed
        told = self._aborting(self.cut_off.revocations(self.epoch)) if is_open else ()
        for why in hits(stream.marks, told):  # while it was being opened
            stream.interrupt(why)
        return is_open

    def _wait_for_calls(self, timeout_s: float) -> None:
        """Wait for the calls of other running loops: those of our own thread's loop cannot go on meanwhile."""
        try:
            own = asyncio.get_running_loop()
        except RuntimeError:
            own = None

        def are_over() -> bool:
            return not any(loop is not own and loop.is_running() for loop in tuple(self._calls))

        with self._call_ended:
            self._call_ended.wait_for(are_over, timeout_s)

    def _book_dropped(self) -> None:
        if self._calls:
            from modelrouter.router.drive import book_dropped  # loaded by the call

            book_dropped(self)

    # --- life and death -----------------------------------------------------------------------------------------

    def adopt(self, epoch: Epoch) -> None:
        """Go by another configuration from now on. Ejected deployments get another chance: they may be mended.

        Raises:
            MissingDependencyError: it needs a lane whose package is not installed; nothing was changed.
        """
        self.lanes = {**open_lanes(epoch.setup, but=self.lanes), **self.lanes}
        self.introduce(epoch)
        self._ejected.clear()
        self.traffic.adopt(epoch.setup)
        self.epoch = epoch
        self._watch_file()

    def introduce(self, epoch: Epoch) -> None:
        """Give the ledger the budgets of this epoch and the texts behind its hashes."""
        setup = epoch.setup
        self.ledger.configure(budgets=setup.budgets)
        texts = {**setup.digests, "grounds": epoch.grounds}
        self.ledger.remember(
            [Document(each.sha256, name.partition("/")[0], name, each.text) for name, each in texts.items()]
        )

    def tell_of_budgets(self, setup: Setup) -> None:
        """Say how far the budgets of this setup reach."""
        for budget in setup.budgets:
            fields = {
                "budget": budget.name,
                "limit_nano_usd": budget.limit_nano_usd,
                "window": window_text(budget),
                "reach": setup.reach,
                "routes": list(setup.routes_under(budget)),
            }
            self._emit("budget", fields)

    def loop_thread(self) -> LoopThread:
        """The private loop for sync calls, started when the first one comes.

        Raises:
            ClosedError: the Router was closed.
        """
        from modelrouter.router.loop_thread import LoopThread

        with self._guard:
            self.check_open()
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
            return self._loop_thread

    def check_open(self) -> None:
        """Refuse work after `close`.

        Raises:
            ClosedError: the Router was closed.
        """
        if self.closed:
            raise ClosedError("this Router was closed: build another one")

    def close(self, timeout_s: float) -> None:
        """End streams and the loop thread, wait for other loops' calls, then write what is queued. Harmless in a child.

        Args:
            timeout_s: for each of the three. A call that takes longer keeps its reservation, which stands at its bound.
        """
        if os.getpid() != self.pid:
            return
        with self._guard:
            if self.closed:
                return
            self.closed = True
            self._ended.set()
            thread, self._loop_thread = self._loop_thread, None
            streams = list(self._streams)
        try:
            for stream in streams:
                stream.interrupt("the Router was closed")
            if thread is not None:
                thread.stop(timeout_s)
            self._wait_for_calls(timeout_s)
            self._book_dropped()
        finally:
            self.refusals.flush()
            self.ledger.close(timeout_s)

    def forget(self) -> None:
        """The child's half of a fork: let go of everything without touching it."""
        _FORGOTTEN.append(self)
        self.ledger.abandon()
        for lane in self.lanes.values():
            lane.abandon()


def _telling(engine: weakref.ref[Engine]) -> Callable[[Sequence[Revocation]], None]:
    """What a ledger calls, which may outlive the Router."""

    def tell(revocations: Sequence[Revocation]) -> None:
        found = engine()
        if found is not None and found.pid == os.getpid() and not found.closed:
            found.revoked_now(revocations)

    return tell


def _watch(engine: weakref.ref[Engine], ended: threading.Event) -> None:
    """Until the engine is closed, or nobody has it any more."""
    while not ended.wait(LOOK_S):
        found = engine()
        if found is None:
            return
        found.look_at_file()
        del found


def without_key(endpoint: Endpoint) -> str:
    """Why a deployment cannot be called for want of a key, or empty where one of its keys may be there."""
    reasons = [_without(key) for key in (endpoint.key, *endpoint.more_keys)]
    return "" if "" in reasons else " and ".join(reasons)


def _without(key: Credential | None) -> str:
    if key is None or not key.can_be_checked:
        return ""
    try:
        present = key.read() is not None
    except (OSError, ValueError):
        return f"{key.describe()} cannot be read"
    return "" if present else f"{key.describe()} is not set"


def open_store(setup: Setup, clock: Clock) -> LedgerStore:
    """Open the ledger that a config names.

    Raises:
        LedgerUnavailableError: it cannot be opened or written.
    """
    from modelrouter.ledger import open_ledger

    return open_ledger(setup.ledger, clock, lease_s=setup.lease_s, spool=setup.spool)


def open_lanes(setup: Setup, *, but: Container[str] = ()) -> dict[str, Transport]:
    """The lanes that a config's deployments use, `but` those; a lane's own libraries load with its first call."""
    from modelrouter.transports import open_lane

    used = {endpoint.lane for endpoint in setup.endpoints.values()}
    return {lane: open_lane(lane) for lane in sorted(used) if lane not in but}
