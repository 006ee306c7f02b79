"""A Router over a lane that the test plays turn by turn: answers, failures, streams, faults, and calls that hang."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter import Router
from modelrouter.core.attempts import Failure
from modelrouter.ports import Delta, StreamEnd
from modelrouter.testing import MemoryLedger, failure, reply
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from modelrouter.core.request import JSON
    from modelrouter.ports import Answer, Call, Clock, EventSink, LedgerStore, OpenStream, Transport

__all__ = ["HANGS", "NOWHERE", "SOON_S", "Piece", "Played", "Turn", "hello", "in_flight", "piece", "played", "served"]

NOWHERE: Final = "http://127.0.0.1:9/v1"
SOON_S: Final = 10.0
"""Long enough for any step of these tests; reached only when one of them fails."""


class _Hangs:
    """A turn or piece that never comes."""


HANGS: Final = _Hangs()

Piece: TypeAlias = "Delta | StreamEnd | Failure | BaseException | _Hangs"
Turn: TypeAlias = "Answer | Failure | BaseException | _Hangs | list[Piece] | Callable[[Call], Turn]"


class Played:
    """A lane that plays one turn a call; the last one again and again.

    Attributes:
        calls: every call that was made, in order.
        hanging: set when a turn or piece that never comes was begun.
        closed: how many streams were let go of.
        let_go: set when one was.
    """

    def __init__(self, *turns: Turn) -> None:
        self.calls: list[Call] = []
        self.hanging = threading.Event()
        self.closed = 0
        self.let_go = threading.Event()
        self._turns = deque(turns)

    @property
    def asked(self) -> list[str]:
        """The deployments that were called."""
        return [call.endpoint.deployment for call in self.calls]

    async def send(self, call: Call) -> Answer | Failure:
        """Play the next turn."""
        got = await self._turn(call)
        assert not isinstance(got, list), "a stream was played where an answer was asked for"
        return got

    async def open(self, call: Call) -> OpenStream | Failure:
        """Play the next turn as a stream; a whole answer comes word by word."""
        got = await self._turn(call)
        if isinstance(got, Failure):
            return got
        return _Stream(self, got if isinstance(got, list) else [*_words(got), StreamEnd(got)])

    async def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        """Nothing is inherited."""

    async def _turn(self, call: Call) -> Answer | Failure | list[Piece]:
        self.calls.append(call)
        turn = self._turns[0] if len(self._turns) == 1 else self._turns.popleft()
        while callable(turn):
            turn = turn(call)
        if isinstance(turn, BaseException):
            raise turn
        if isinstance(turn, _Hangs):
            await self.hang()
        assert not isinstance(turn, _Hangs)
        return turn

    async def hang(self) -> None:
        """Wait until cancelled."""
        self.hanging.set()
        await asyncio.Event().wait()


class _Stream:
    def __init__(self, lane: Played, pieces: Iterable[Piece]) -> None:
        self._lane = lane
        self._pieces = deque(pieces)
        self._is_gone = asyncio.Event()

    async def next(self) -> Delta | StreamEnd | Failure:
        found = self._pieces.popleft()
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, _Hangs):
            self._lane.hanging.set()
            await self._is_gone.wait()
            return failure("truncated")
        return found

    async def close(self) -> None:
        self._is_gone.set()
        await asyncio.sleep(0)  # as a real connection may, it takes a turn of the loop
        self._lane.closed += 1
        self._lane.let_go.set()


def piece(text: str = "", *, finish: str | None = None) -> Delta:
    """One piece of a stream; without text it is one that holds a role or an end."""
    choice: JSON = {"index": 0, "delta": {"content": text} if text else {"role": "assistant"}, "finish_reason": finish}
    return Delta(text, has_content=bool(text), body={"object": "chat.completion.chunk", "choices": [choice]})


def _words(answer: Answer) -> list[Piece]:
    text = str(answer.message.get("content") or "")
    return [piece(word if place == 0 else f" {word}") for place, word in enumerate(text.split())]


def hello() -> Answer:
    """An answer of three tokens in and two out: 550 nano-dollars at the usual price."""
    return reply("hello there", input_tokens=3, output_tokens=2)


def served(*names: str, price: tuple[str, str] = ("0.05", "0.20"), more: str = "") -> list[Served]:
    """Deployments that nobody ever connects to: 50 nano-dollars a token in, 200 out, unless said otherwise."""
    return [Served(name, NOWHERE, price=price, more=more) for name in names]


def played(
    folder: Path,
    lane: Transport,
    *,
    deployments: list[Served] | None = None,
    route: str = "{try: [a, b, c], output_tokens: {default: 100, min: 10}}",
    top: str = "",
    ledger: LedgerStore | None = None,
    clock: Clock | None = None,
    events: EventSink | None = None,
    idle_stream_s: float = 60.0,
) -> Router:
    """A Router with a route `ask` over the deployments `a`, `b` and `c`."""
    config = write_config(folder, deployments or served("a", "b", "c"), f"  ask: {route}", top=top)
    return Router.from_config(
        config,
        transports={"direct": lane},
        ledger=MemoryLedger() if ledger is None else ledger,
        clock=clock,
        events=events,
        close_timeout_s=SOON_S,
        idle_stream_s=idle_stream_s,
    )


def in_flight(router: Router) -> dict[str, int]:
    """What decisions would read of calls under way."""
    return dict(router.explain("ask").moment.in_flight)
