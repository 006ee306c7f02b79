"""The one async driver: it performs what the pure attempt loop asks for, and nothing else.

Reserving and sending are awaited; resolving is handed to the ledger's thread and not waited for, so that an interrupted
call can still book everything without another `await`. If the process dies before that line is written, the reservation
stands at its bound: the book may say too much, never too little.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import (
    Answered,
    End,
    Failed,
    Failure,
    FailureKind,
    Granted,
    Lapsed,
    NotGranted,
    Opened,
    Phase,
    Plan,
    Relay,
    Reserve,
    Resolve,
    Resolved,
    Send,
    Wait,
    Waited,
    run,
)
from modelrouter.core.decision import day_of
from modelrouter.core.money import usd_from_nano
from modelrouter.core.subject import Calendar, Subject
from modelrouter.errors import ModelRouterError
from modelrouter.ports import Delta, Resolution, StreamEnd
from modelrouter.router.bookings import new_call_id
from modelrouter.router.conversation import marked_answer, messages_for
from modelrouter.router.cutting_off import Flight
from modelrouter.router.judging import Judge
from modelrouter.router.outcome import broken_error, error_of, refusal_error
from modelrouter.router.pauses import shortened, with_jitter
from modelrouter.router.permission import is_as_decided, refused_now
from modelrouter.router.reply import Reply
from modelrouter.router.reserving import Reserving
from modelrouter.router.savings import Savings
from modelrouter.router.traffic import Full, Need
from modelrouter.router.wire_call import call_for, rest_of

if TYPE_CHECKING:
    from modelrouter.core.attempts import (
        Attempt,
        Outcome,
        Result,
        Step,
    )
    from modelrouter.core.decision import Decision
    from modelrouter.core.pricing import Usage
    from modelrouter.core.request import Request
    from modelrouter.errors import StreamBrokenError
    from modelrouter.ports import Answer, Call, Endpoint, OpenStream, Transport
    from modelrouter.router.engine import Engine
    from modelrouter.router.epoch import Epoch
    from modelrouter.router.traffic import Pass

__all__ = ["Drive", "book_dropped"]

_UNDER_WAY: Final[set[Drive]] = set()
"""Calls with something left to book, so that none is collected before whoever makes it has given it up.

The garbage collector finalises what it finds in any order: the loop of a call that was dropped as part of a circle
could be ended before its stream or task, and then nobody could book it. In the child of a fork the parent's stay here
for good: theirs is not the child's to book, and their event loops are not the child's to let go of.
"""


class _DroppedError(Exception):
    """The task of a call was dropped, as at the end of its event loop."""


def book_dropped(engine: Engine) -> None:
    """Book the calls of event loops that were closed in the middle of them.

    Their tasks never go on. Whether and when the garbage collector finds them is up to whoever else holds them, such as
    the connection that such a task waits for; until then they would count as under way, and keep others out.
    """
    for drive in tuple(_UNDER_WAY):
        if drive.engine is engine:
            drive.end_with_loop()


class Drive:
    """One request on its way from decision to reply."""

    def __init__(self, engine: Engine, made_by: Epoch, request: Request, *, stream: bool) -> None:
        """Decide, and lay out the plan. Nothing is reserved or sent yet.

        Args:
            made_by: what the request was checked and measured by; a reload may have come since.

        Raises:
            RequestError: after a reload there is no such route or tag any more, or inspection failed.
            NoRouteError: nobody is permitted.
            CeilingError: somebody is, but nobody's bound fits under the ceiling.
        """
        engine.check_open()
        epoch = engine.epoch
        if epoch is not made_by:
            request = epoch.renewed(request)
        route = epoch.route(request.route)
        self.call_id = new_call_id(engine.clock.now_s(), engine.chance)
        moment = engine.moment(epoch, self.call_id, route.candidates, is_stream=stream)
        self.decision: Decision = epoch.decide(request, moment)
        if not self.decision.permitted:
            engine.refusals.note(epoch, request, self.decision, self.call_id)
            raise refusal_error(self.decision, self.call_id)
        engine.refusals.tend()
        self.engine = engine
        self._epoch = epoch
        self._request = request
        self._reasoning = request.reasoning or route.reasoning
        self._stream = stream
        self._started_s = engine.clock.monotonic_s()
        timeout_s = route.timeout_s if request.timeout_s is None else request.timeout_s
        wanted = route.default_output_tokens if request.max_output_tokens is None else request.max_output_tokens
        self._deadline_s = self._started_s + timeout_s
        self._flow = run(
            Plan(
                hops=tuple(candidate.hop for candidate in self.decision.permitted),
                size=request.size,
                wanted_output_tokens=wanted,
                least_output_tokens=min(route.least_output_tokens, wanted),
                ceiling_nano_usd=request.ceiling_nano_usd,
                started_s=self._started_s,
                deadline_s=self._deadline_s,
                attempts_max=route.attempts_max,
                stream=stream,
                started_us=int(engine.clock.now_s() * 1_000_000),
                retries_max=route.retries_max,
            )
        )
        self._entry: Pass | None = None
        self._judge = Judge(request, route)
        self._money = Reserving(engine, epoch, request, self.decision, self.call_id)
        self._answer: Answer | None = None
        self.unjudged: Usage | None = None  # of a whole answer that is being judged
        self._sent_to = ""
        self._savings = Savings(epoch.setup.baseline_price)
        self._attempts: list[Attempt] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.opened: OpenStream | None = None
        self.first: list[Delta] = []

    async def advance(self, outcome: Outcome | None = None) -> Result | Relay:
        """Perform steps until the loop has ended, or has a stream to hand out.

        Raises:
            LedgerUnavailableError, DuplicateRequestError, ClosedError: nothing more was sent.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            _UNDER_WAY.add(self)
            if self.engine.call_began(self._loop):
                book_dropped(self.engine)
        got: Result | Relay | None = None
        try:
            got = await self._steps(outcome)
        finally:
            if not isinstance(got, Relay):
                self._over()
        return got

    async def _steps(self, outcome: Outcome | None) -> Result | Relay:
        flow = self._flow
        try:
            step = next(flow) if outcome is None else flow.send(outcome)
            while not isinstance(step, Relay):
                try:
                    outcome = await self._perform(step)
                except BaseException as error:
                    self._unwind(error)
                    self._tell_of_attempts(error)
                    raise
                step = flow.send(outcome)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        return step

    @property
    def marks(self) -> frozenset[str]:
        """By what the deployment that was sent to last can be cut off."""
        return self._marks(self._sent_to) if self._sent_to else frozenset()

    def give_up(self, failure: Failure) -> Result:
        """End a stream that is being handed out: book it without waiting. The caller closes `opened`."""
        step: Step
        try:
            step = self._flow.send(Failed(failure, self._now_s()))
            while True:
                step = self._flow.send(self._perform_now(step))
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            self._over()

    def end_with_loop(self) -> None:
        """Book what is open if the event loop was closed; what its task, once collected, still says changes nothing."""
        loop = self._loop
        is_free = inspect.getgeneratorstate(self._flow) != inspect.GEN_RUNNING  # else it is being collected just now
        if loop is not None and loop.is_closed() and is_free:
            self._unwind(_DroppedError())
            self._over()

    def broken(self, result: Result, why: str, text: str) -> StreamBrokenError:
        """The error for a stream that was given up while somebody may still read it."""
        return broken_error(result, why, text, self.decision, self.call_id)

    def reply(self, result: Result) -> Reply:
        """The reply of a run that was answered.

        Raises:
            ModelRouterError: the run ended otherwise; the error says how, with all attempts and their cost.
        """
        answer = self._answer
        if self._judge.fault is not None and result.end is End.ANSWERED:
            raise self._judge.fault  # from the caller's own `accept`; the answer is booked
        decision = self._money.caps.seen_in(self.decision, result.not_granted)
        error = error_of(result, decision, self.call_id)
        if error is not None:
            if result.end is End.NOT_GRANTED and not self._money.is_booked:
                self.engine.refusals.note_not_granted(self._epoch, self._request, decision, result, self.call_id)
            raise error
        if answer is None:
            raise AssertionError("a run was answered without an answer")
        return Reply(
            answer=answer,
            deployment=result.attempts[-1].deployment,
            attempts=result.attempts,
            decision=decision,
            call_id=self.call_id,
            cost_nano_usd=result.cost_nano_usd,
            saved_nano_usd=self._savings.nano_usd,
        )

    async def judged(self, got: Answer | StreamEnd | Failure) -> Answered | Failed:
        """Keep an answer that this request wants, and say to the loop that it came, or why it is none.

        Where the key alone was to blame, also whether another one may help.
        """
        whole = got.answer if isinstance(got, StreamEnd) else got
        self.unjudged = whole.usage
        answer = await self._judge.judge(whole, self._deadline_s - self._now_s())
        self.unjudged = None
        if isinstance(answer, Failure):
            if self._entry is not None and self.engine.traffic.other_key_helps(self._entry, answer):
                answer = replace(answer, other_key_helps=True)
            return Failed(answer, self._now_s())
        self._answer = marked_answer(answer, self._subject(self._sent_to))
        return Answered(answer.usage, self._now_s(), length_reached=answer.finish_reason == "length")

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _perform(self, step: Step) -> Outcome:
        match step:
            case Reserve():
                return await self._reserve(step)
            case Send():
                return await self._send(step)
            case Wait():
                await self.engine.clock.sleep(self._pause_s(step))
                return Waited(self._now_s())
            case _:
                return self._perform_now(step)

    def _perform_now(self, step: Step) -> Outcome:
        """The steps that need no waiting."""
        if not isinstance(step, Resolve):
            raise TypeError(f"a step that waits came where none may: `{type(step).__name__}`")
        self._resolve(step)
        return Resolved(self._now_s())

    def _pause_s(self, step: Wait) -> float:
        """What a provider asked for, and a little more where the deadline leaves it; or a pause of our own."""
        if not step.is_stated:
            return shortened(step.seconds)
        longer = with_jitter(step.seconds)
        return longer if self._now_s() + longer < self._deadline_s else step.seconds

    async def _reserve(self, step: Reserve) -> Outcome:
        """First room at the deployment, then money: room is a matter of this process, money is taken from others."""
        self.engine.check_open()
        refused = self._not_permitted(step)
        if refused is not None:
            return refused
        traffic, until_s = self.engine.traffic, self._now_s() + step.wait_s
        entry = await traffic.enter(
            step.hop.deployment,
            Need.of(step.bound, self._request.size),
            is_extra=step.number > 1,
            is_last=step.is_last,
            wait_s=step.wait_s,
        )
        if isinstance(entry, Full):
            return NotGranted(entry.reason, self._now_s(), overload=entry.overload)
        told: Outcome | None = None
        try:
            told = await self._reserve_money(step, max(0.0, until_s - self._now_s()))
        finally:
            if isinstance(told, Granted):
                self._entry = entry
            else:
                traffic.leave(entry, None)
        return told

    async def _reserve_money(self, step: Reserve, wait_s: float) -> Outcome:
        if step.wait_s > 0 and (refused := self._not_permitted(step)) is not None:  # it may have waited for room
            return refused
        return await self._money.reserve(step, wait_s)

    def _not_permitted(self, step: Reserve) -> NotGranted | None:
        """Policy, reach and revocations, asked again before each hop."""
        why = self._why_revoked(step.hop.deployment)
        if why:
            return NotGranted(why, self._now_s(), revoked=True)
        refused = self._refused_now(step)
        return NotGranted(refused, self._now_s()) if refused else None

    def _why_revoked(self, deployment: str) -> str:
        return self.engine.why_revoked(self._epoch, deployment)

    def _marks(self, deployment: str) -> frozenset[str]:
        return self._epoch.exposure(deployment, self.engine.clock.now_s()).marks

    def _refused_now(self, step: Reserve | Send) -> str:
        """Policy and reach, asked again before each hop and each sending."""
        spent = sum(attempt.cost_nano_usd for attempt in self._attempts)
        return refused_now(self.engine, self._epoch, self.decision, self._request, step, spent_nano_usd=spent)

    def _endpoint(self, deployment: str) -> Endpoint:
        return self._epoch.setup.endpoints[deployment]

    async def _send(self, step: Send) -> Outcome:
        entry = self._entry
        if entry is None:
            raise AssertionError("an attempt is sent that was not let in")
        lane = self.engine.lanes[entry.endpoint.lane]
        is_decided = is_as_decided(entry.endpoint, self._endpoint(step.hop.deployment))
        if not is_decided or not self.engine.ledger.holds(step.reservation) or self._refused_now(step):
            return Lapsed(self._now_s())  # it may have waited for money
        call, flight = self._call(step, entry), Flight(self._marks(step.hop.deployment), self.engine.flights)
        try:
            async with flight:
                if self._why_revoked(step.hop.deployment):  # asked last: from here on it is interrupted
                    return Lapsed(self._now_s())
                entry.sent_s, self._sent_to = self._now_s(), step.hop.deployment
                return await self._exchange(lane, call)
        except TimeoutError:
            if not flight.why:
                raise
            return self._interrupted(flight.why)

    async def _exchange(self, lane: Transport, call: Call) -> Outcome:
        try:
            if self._stream or call.endpoint.wire_stream:
                opened = await lane.open(call)
                return await (self.judged(opened) if isinstance(opened, Failure) else self._read(opened, call))
            return await self.judged(await lane.send(call))
        except GeneratorExit:
            raise  # the loop is gone, and its connections with it
        except BaseException:
            await self._let_go()
            raise

    def _interrupted(self, why: str) -> Failed:
        """The end of an attempt that a revocation interrupted: somebody else may still answer."""
        usage, self.unjudged = self.unjudged, None
        phase = Phase.SENT if usage is None and not self.first else Phase.ANSWERING
        failure = Failure(FailureKind.CANCELLED, phase, f"interrupted: {why}", usage=usage, others_may_serve=True)
        return Failed(failure, self._now_s())

    def _call(self, step: Send, entry: Pass) -> Call:
        """What the lane is asked for, with every limit of time that holds."""
        epoch, request = self._epoch, self._request
        times = epoch.timeouts(request.route, step.hop.deployment)
        attempt_s = step.timeout_s if times.attempt_s is None else times.attempt_s
        entry.is_cut_short = step.timeout_s < min(attempt_s, epoch.setup.health.slow_s)
        messages = messages_for(request, epoch.route(request.route), self._subject(step.hop.deployment))
        return call_for(step, entry.endpoint, request, messages, self._reasoning, times)

    async def _read(self, opened: OpenStream, call: Call) -> Outcome:
        """A stream up to its first content or, where the answer was asked for in one piece, to its end."""
        got = await self._until_content(opened)
        if self._stream or not isinstance(got, Opened):
            return got
        piece = await rest_of(opened, call, call.timeout_s - (self._now_s() - self._sent_s))
        await self._let_go()
        self.first = []
        return await self.judged(piece)

    @property
    def _sent_s(self) -> float:
        """When what is under way was sent."""
        sent_s = None if self._entry is None else self._entry.sent_s
        return self._now_s() if sent_s is None else sent_s

    def _subject(self, deployment: str) -> Subject:
        world = self._epoch.setup.world
        return Subject(world.deployments[deployment], world, Calendar(day_of(self.decision.moment.now_s)))

    async def _until_content(self, opened: OpenStream) -> Outcome:
        """Read up to the first content: until there is some, another candidate may still be tried."""
        self.opened = opened
        self.first = []
        while True:
            piece = await opened.next()
            if isinstance(piece, Delta):
                self.first.append(piece)
                if piece.has_content:
                    if self._entry is not None:
                        self._entry.first_token_s = self._now_s() - self._sent_s
                    return Opened(self._now_s())
                continue
            await self._let_go()
            return await self.judged(piece)

    async def _let_go(self) -> None:
        opened, self.opened = self.opened, None
        if opened is not None:
            with contextlib.suppress(Exception):  # what came of the attempt is known already
                await opened.close()

    def _resolve(self, step: Resolve) -> None:
        engine, attempt = self.engine, step.attempt
        self._attempts.append(attempt)
        if engine.pid != os.getpid():
            return  # a call of the parent, collected in the child of a fork
        entry, self._entry = self._entry, None
        if entry is not None:
            engine.traffic.leave(entry, attempt)
        saved = self._savings.of(step)
        # one that could not be written stays with the ledger, which tries again; its reservation stands
        engine.ledger.resolve(Resolution(step.reservation, step.billing, step.cost_nano_usd, attempt, saved))
        engine.learn(attempt, self._endpoint(step.hop.deployment))
        engine.tell(step, self.call_id, self._request.route)

    # --- bookkeeping ---------------------------------------------------------------------------------------------

    def _unwind(self, error: BaseException) -> None:
        """Throw an interruption into the loop and perform what it still has to book. Never awaits."""
        # Thrown as it is, a `GeneratorExit` would close the inner generators, which may book nothing any more.
        thrown = _DroppedError() if isinstance(error, GeneratorExit) else error
        try:
            step = self._flow.throw(thrown) if self.unjudged is None else self._flow.send(self._cut_off(self.unjudged))
            while True:
                step = self._flow.send(self._perform_now(step))
        except StopIteration:
            return
        except BaseException as raised:
            if raised is not thrown:
                raise

    def _cut_off(self, usage: Usage) -> Failed:
        """The end of an attempt whose whole answer nobody waits for any more: what it cost is known."""
        what = "interrupted while the answer was being judged"
        return Failed(Failure(FailureKind.CANCELLED, Phase.ANSWERING, what, usage=usage), self._now_s())

    def _tell_of_attempts(self, error: BaseException) -> None:
        """An error of ours from the middle of a call says what was tried before it, and what that cost."""
        if isinstance(error, ModelRouterError) and self._attempts and not error.attempts:
            error.call_id, error.decision = self.call_id, self.decision
            error.attempts = tuple(self._attempts)
            error.cost_usd = usd_from_nano(sum(attempt.cost_nano_usd for attempt in self._attempts))

    def _over(self) -> None:
        """Nothing of this call is left to be booked."""
        loop, self._loop = self._loop, None
        if loop is not None:
            self.engine.call_ended(loop)
            _UNDER_WAY.discard(self)

    def _now_s(self) -> float:
        return self.engine.clock.monotonic_s()
