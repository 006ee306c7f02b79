"""Fakes for your own tests: a scripted lane, a clock you move, a ledger in memory, a sink that remembers.

The routing, the policies and the money are the real ones; only the outside is played. A test of your own rules, whole:

    from modelrouter import Router
    from modelrouter.testing import FakeClock, FakeTransport, MemoryLedger, after, failure, reply

    def test_the_second_answers_when_the_first_is_down():
        clock = FakeClock()
        lane = FakeTransport(
            scripts={
                "small": [failure("server_error", status=503)],
                "large": [after(2.0, reply("hello", output_tokens=2), clock)],
            }
        )
        fakes = {"transports": {"direct": lane}, "ledger": MemoryLedger(clock), "clock": clock}
        with Router.from_config("modelrouter.yaml", **fakes) as router:
            found = router.complete("support", "Say hello.")
        assert [each.deployment for each in found.attempts] == ["small", "large"]
        assert found.text == "hello"

A **turn** of a script is what one call meets:

- `reply(...)`: an answer with usage; a stream of it comes word by word.
- `failure(KIND, ...)`: any kind of `modelrouter.core.failure.FailureKind` by its name, as `"rate_limited"`,
  `"timed_out"` or `"refused"`. What follows is that kind's rule. What it costs goes by how far it came: nothing with
  `sent=False`, nothing with a `status`, else the bound, as nobody knows.
- `cut(TEXT, pieces, ...)`: a stream that breaks after so many pieces; 0 is before any content, so that it falls back.
- `after(SECONDS, TURN, CLOCK)`: the turn, that much later; if the attempt may not take so long, it times out instead.
- a function of the `Call`, for whatever depends on it; it returns a turn.

`with router.losing("mistral"):` is a drill: inside, the Router works as if that vendor, model or deployment were
revoked, so that a test can show who answers then.

Waits are not waited: a `FakeClock` moves on by itself where the Router pauses, and `slept` remembers how long. Scripts
replace the wire alone: a deployment whose key is not in the environment is still refused, so set an invented one.
`examples/test_your_rules.py` has more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.ports import Answer, Delta, StreamEnd
from modelrouter.testing.memory import MemoryLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelrouter.core.request import JSON
    from modelrouter.ports import Call, OpenStream

__all__ = [
    "Cut",
    "FakeClock",
    "FakeTransport",
    "ListSink",
    "MemoryLedger",
    "Script",
    "after",
    "cut",
    "failure",
    "reply",
]


def reply(
    text: str, *, input_tokens: int = 10, output_tokens: int = 5, finish_reason: str = "stop", model: str = ""
) -> Answer:
    """A complete answer with usage."""
    message: dict[str, JSON] = {"role": "assistant", "content": text}
    body: dict[str, JSON] = {
        "id": "fake",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
    }
    return Answer(message, finish_reason, Usage(input_tokens, output_tokens), body, model=model)


def failure(
    kind: str | FailureKind, *, status: int | None = None, sent: bool = True, retry_after_s: float | None = None
) -> Failure:
    """A failure, as `failure("rate_limited", status=429, retry_after_s=2)`.

    Raises:
        ValueError: there is no such kind; the sentence has all of them.
    """
    phase = Phase.SENT if sent else Phase.NOT_SENT
    return Failure(_kind(kind), phase, "played by a fake", status=status, retry_after_s=retry_after_s)


def _kind(name: str | FailureKind) -> FailureKind:
    try:
        return FailureKind(name)
    except ValueError:
        message = f"`{name}` is no kind of failure: write one of {', '.join(each.value for each in FailureKind)}"
        raise ValueError(message) from None


@dataclass(frozen=True, slots=True)
class Cut:
    """A stream that breaks: made by `cut`."""

    answer: Answer
    pieces: int
    failure: Failure


def cut(text: str, pieces: int, kind: str | FailureKind = "truncated") -> Cut:
    """A stream of the words of `text` that breaks; a plain call that meets it fails in the same way.

    Args:
        pieces: how many words come before it breaks.
        kind: what breaks it, as `truncated` (an end without a finish), `timed_out` or `server_error`.

    Raises:
        ValueError: there is no such kind.
    """
    begun = "".join(_words(text)[:pieces])
    return Cut(reply(text), pieces, Failure(_kind(kind), Phase.ANSWERING, "played by a fake", text=begun))


Turn: TypeAlias = "Answer | Failure | Cut"
Script: TypeAlias = "Turn | Callable[[Call], Script]"
"""One turn of a `FakeTransport`."""


def after(seconds: float, turn: Script, clock: FakeClock) -> Script:
    """A turn that takes time on a fake clock.

    Args:
        seconds: until the whole answer, or until a stream begins. Beyond what the attempt may take, the clock moves
            only to that limit, and the attempt has timed out.
        clock: the Router's.
    """

    def play(call: Call) -> Script:
        clock.move(min(seconds, call.timeout_s))
        return turn if seconds <= call.timeout_s else failure("timed_out")

    return play


class FakeTransport:
    """A lane that answers from a script: one turn a call, the last one again and again.

    Args:
        default: turns for every deployment without its own script.
        scripts: turns by deployment.

    Attributes:
        calls: every call that was made, in order.

    Raises:
        TypeError: something is no turn, or a deployment's turns are no list, or none.
    """

    def __init__(self, *default: Script, scripts: Mapping[str, Sequence[Script]] | None = None) -> None:
        self.calls: list[Call] = []
        self._default = deque(default or (reply("ok"),))
        self._scripts = {name: deque(_turns(name, turns)) for name, turns in (scripts or {}).items()}
        for turn in self._default:
            _check_turn(turn)

    async def send(self, call: Call) -> Answer | Failure:
        """Play the next turn."""
        turn = self._next(call)
        return turn.failure if isinstance(turn, Cut) else turn

    async def open(self, call: Call) -> OpenStream | Failure:
        """Play the next turn word by word."""
        turn = self._next(call)
        return turn if isinstance(turn, Failure) else _FakeStream(turn)

    async def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        """Nothing is inherited that would have to be forgotten."""

    def _next(self, call: Call) -> Turn:
        self.calls.append(call)
        turns = self._scripts.get(call.endpoint.deployment, self._default)
        turn = turns[0] if len(turns) == 1 else turns.popleft()
        while callable(turn):
            turn = turn(call)
        return turn


def _turns(name: str, turns: object) -> Sequence[Script]:
    """The turns of a deployment, from a test that no checker may have seen."""
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        message = f"the script of `{name}` is no list of turns: write it as `[reply('hello')]`"
        raise TypeError(message)
    for turn in turns:
        _check_turn(turn)
    return turns


def _check_turn(turn: object) -> None:
    if not isinstance(turn, (Answer, Failure, Cut)) and not callable(turn):
        message = (
            f"`{turn!r}` is no turn: write `reply(…)`, `failure(…)`, `cut(…)`, `after(…)`, or a function of the call"
        )
        raise TypeError(message)


def _words(content: object) -> list[str]:
    words = content.split(" ") if isinstance(content, str) and content else []
    return [word if place == 0 else f" {word}" for place, word in enumerate(words)]


class _FakeStream:
    def __init__(self, turn: Answer | Cut) -> None:
        answer = turn.answer if isinstance(turn, Cut) else turn
        words = _words(answer.message.get("content"))
        self._words = deque(words[: turn.pieces] if isinstance(turn, Cut) else words)
        self._end: StreamEnd | Failure = turn.failure if isinstance(turn, Cut) else StreamEnd(answer)

    async def next(self) -> Delta | StreamEnd | Failure:
        if not self._words:
            return self._end
        word = self._words.popleft()
        delta: JSON = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        body: dict[str, JSON] = {
            "id": "fake",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "",
            "choices": [delta],
        }
        return Delta(word, has_content=True, body=body)

    async def close(self) -> None:
        self._words.clear()


class FakeClock:
    """A clock that stands still until it is moved; sleeping moves it.

    Args:
        now_s: seconds since 1970 to begin with.
    """

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self._now_s = now_s
        self.slept: list[float] = []

    def now_s(self) -> float:
        """Seconds since 1970, UTC."""
        return self._now_s

    def monotonic_s(self) -> float:
        """The same time: this clock never goes back."""
        return self._now_s

    def move(self, seconds: float) -> None:
        """Let time pass at once."""
        self._now_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Move instead of waiting; `slept` remembers."""
        self.slept.append(seconds)
        self.move(seconds)


@dataclass(slots=True)
class ListSink:
    """An event sink that remembers: `(event, fields)` in order."""

    events: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Keep one event."""
        self.events.append((event, dict(fields)))
