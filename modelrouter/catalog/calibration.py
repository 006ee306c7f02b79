"""Finds out what a server's chat template adds to a request, by asking a llama.cpp or vLLM server to render probes.

A maintainer's instrument, never part of a request: it sends texts of its own and no caller's. What it finds is counted
in bytes of the rendered prompt, which bound tokens whatever the tokenizer does with them (`core.bounds`). It is
evidence and no proof: a template may treat differently what no probe asked for, so `documented` is what it justifies,
and `proved` needs somebody to read the template too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol
from unicodedata import normalize

from modelrouter.core.bounds import BoundBasis, Escapes, Normaliser, Overhead, input_bound_tokens
from modelrouter.core.measuring import measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.request import JSON, Message

__all__ = ["Calibration", "Probe", "TokenServer", "Unrendered", "calibrate"]

NOTHING: Final = Overhead(0, 0, 0, 0, 0, json_indent=0, json_escapes=Escapes.JSON, normaliser=Normaliser.NONE)
INDENTS: Final = (0, 1, 2, 3, 4, 8)
SHALLOW: Final = 1
DEEP: Final = 9
FOR_HTML: Final = "<&>'" * 12
BEYOND_ASCII: Final = "\u0416\u8a9e" * 24
UNPRINTABLE: Final = "\x7f\ue000\U000e0041" * 16  # what Python's `repr` escapes, and JSON need not
HARD: Final = (FOR_HTML, BEYOND_ASCII, UNPRINTABLE)
CHANGED_BY: Final = (
    (Normaliser.NFC, "\u0958" * 40, normalize("NFC", "\u0958" * 40)),
    (Normaliser.NFKC, "\ufdfa" * 40, normalize("NFKC", "\ufdfa" * 40)),
)
TEXTS: Final = (
    "", "x", "What is the weather in Lyon?", "\u4e2d\u6587\u63d0\u793a", "\ufdfa\u0958\u1e9b\u0323", "a\u0301" * 30,
    "<|im_end|>\n<|im_start|>system\n", '{"a": [1, 2]}\n\t\\', "\U0001f469\u200d\U0001f467" * 5, " " * 50,
)  # fmt: skip


SMALLEST: Final[JSON] = {"type": "function", "function": {"name": "x"}}
WIDE: Final[JSON] = {
    "type": "function",
    "function": {
        "name": "x",
        "parameters": {
            "type": "object",
            "properties": {f"a_name_of_some_length_{number}": {"enum": ["a"] * 9} for number in range(9)},
        },
    },
}
FORMS: Final[tuple[JSON, ...]] = (
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
)
"""Small ones show the frame, for nothing of it hides behind what JSON writers leave unused; a wide one shows XML."""


class Unrendered(Exception):  # noqa: N818 - an answer, not a fault: this template takes no such conversation
    """The server refuses to render a conversation."""


class TokenServer(Protocol):
    """What is asked of a server."""

    def render(self, messages: Sequence[Message], parameters: Mapping[str, JSON]) -> str:
        """The prompt of a conversation.

        Raises:
            Unrendered: its template does not take it.
        """

    def count(self, prompt: str) -> int:
        """Tokens of a prompt, special tokens taken as such."""

    def seen(self, text: str) -> str:
        """A text as it comes back from the tokenizer."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One conversation, with its bound under what was found."""

    name: str
    bound: int
    prompt_bytes: int
    tokens: int

    @property
    def holds(self) -> bool:
        """Whether the bound covers bytes and tokens. Bytes may exceed it where a normaliser shortens them."""
        return self.tokens <= self.bound and self.prompt_bytes <= self.bound


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was found.

    Attributes:
        overhead: upper bounds over all probes, in bytes of the prompt.
        tools_are_printed: some templates drop tools silently.
        probes: other conversations, for which the bound was checked.
        refused: what the template does not take, and what is therefore not covered.
    """

    overhead: Overhead
    tools_are_printed: bool
    probes: tuple[Probe, ...]
    refused: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every probe is within its bound."""
        return all(probe.holds for probe in self.probes)


def _user(text: str = "x") -> Message:
    return {"role": "user", "content": text}


def _answer(text: str = "x") -> Message:
    return {"role": "assistant", "content": text}


def _tool(depth: int = SHALLOW, text: str = "x") -> JSON:
    schema: JSON = {"type": "string", "description": text}
    for level in range(depth):
        schema = {"type": "object", "properties": {f"p{level}": schema}}
    return {"type": "function", "function": {"name": "look_up", "description": text, "parameters": schema}}


def _call(number: int) -> JSON:
    written = json.dumps({"place": "Lyon", "options": {"unit": "C", "days": [number]}})
    return {"id": f"call_{number}", "type": "function", "function": {"name": "look_up", "arguments": written}}


def _asked(number: int, *, smallest: bool = False) -> Message:
    """An answer that calls a tool so many times."""
    bare: JSON = {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}
    calls = [bare if smallest else _call(each) for each in range(number)]
    return {"role": "assistant", "content": "x", "tool_calls": calls}


def _result(number: int) -> Message:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": "x"}


class _Bench:
    """Measures what a server adds, and keeps what it refuses."""

    def __init__(self, server: TokenServer) -> None:
        self.server = server
        self.refused: list[str] = []

    def excess(
        self, name: str, messages: Sequence[Message], under: Overhead = NOTHING, **parameters: JSON
    ) -> int | None:
        """Bytes of the prompt beyond what a bound under an overhead would be; None where it is refused."""
        try:
            prompt = self.server.render(messages, parameters)
        except Unrendered:
            self.refused.append(name)
            return None
        return len(prompt.encode()) - bounded(messages, parameters, under)

    def growth(self, name: str, longer: Sequence[Message], shorter: Sequence[Message]) -> int | None:
        """By how much a longer conversation adds more than a shorter one."""
        first, second = self.excess(name, longer), self.excess(name, shorter)
        return None if first is None or second is None else first - second


def bounded(messages: Sequence[Message], parameters: Mapping[str, JSON], overhead: Overhead) -> int:
    """The bound on input tokens of a probe."""
    found = input_bound_tokens(measure(messages, parameters), overhead, BoundBasis.DOCUMENTED, None)
    if found is None:
        raise AssertionError("a probe holds nothing but text and tools")
    return found[0]


def calibrate(server: TokenServer) -> Calibration:
    """Render probes, take their differences, then check the result with other conversations.

    Raises:
        Unrendered: not even a single question is rendered.
    """
    bench = _Bench(server)
    alone = bench.excess("one question", [_user()])
    if alone is None:
        raise Unrendered
    plain, special = _per_message(bench)
    starts = (
        alone,
        bench.excess("no text at all", [_user("")]),
        bench.excess("a system message", [{"role": "system", "content": "x"}, _user()]),
        bench.excess("a developer message", [{"role": "developer", "content": "x"}, _user()]),
    )
    counts = (1, 1, 2, 2)
    above = [each - count * plain for each, count in zip(starts, counts, strict=True) if each is not None]
    found = replace(
        NOTHING,
        per_request_tokens=max(0, *above),
        per_message_tokens=plain + special,
        normaliser=_normaliser(server),
    )
    found, printed = _with_tools(bench, found)
    found = _with_calls(bench, found)
    return Calibration(found, printed, tuple(_probes(server, found)), tuple(dict.fromkeys(bench.refused)))


def _per_message(bench: _Bench) -> tuple[int, int]:
    """The dearest of a question and an answer, and what a name and reasoning add to one.

    Where a template insists that the two take turns, a pair counts as one message: too much rather than too little.
    """
    one = [_user()]
    turn: list[Message] = [_user(), _answer(), _user()]
    pair = bench.growth("a second turn", turn, one)
    question = bench.growth("two questions in a row", [_user(), _user()], one)
    answer = bench.growth("two answers in a row", [_user(), _answer(), _answer(), _user()], turn)
    plain = max(question, answer) if question is not None and answer is not None else pair or 0
    thinking = bench.growth("reasoning", [_user(), {**_answer(), "reasoning_content": "x"}, _user()], turn)
    named = bench.growth("a name", [{**_user(), "name": "x"}, _answer(), _user()], turn)
    return max(plain, 0), max(thinking or 0, 0) + max(named or 0, 0)


def _with_tools(bench: _Bench, found: Overhead) -> tuple[Overhead, bool]:
    """How tools are printed: indentation, escapes, frames."""
    ask = [_user()]
    for indent in INDENTS:
        under = replace(found, json_indent=indent)
        shallow = bench.excess("a tool", ask, under, tools=[_tool(SHALLOW)])
        deep = bench.excess("a deep tool", ask, under, tools=[_tool(DEEP)])
        if shallow is None or deep is None:
            return found, False
        if deep <= max(shallow, 0):
            found = under
            break
    for escapes in Escapes:
        under = replace(found, json_escapes=escapes)
        plain = bench.excess("a tool", ask, under, tools=[_tool()])
        marked = [bench.excess("a tool", ask, under, tools=[_tool(SHALLOW, text)]) for text in HARD]
        if all(each is not None and each <= max(plain or 0, 0) for each in marked):
            found = under
            break
    tools = [[tool] * count for tool in (SMALLEST, _tool()) for count in (1, 2)]
    excesses = [bench.excess("a tool", ask, found, tools=each) or 0 for each in tools]
    per_tool = max(0, excesses[1] - excesses[0], excesses[3] - excesses[2])
    forms = [bench.excess("a response schema", ask, found, response_format=form) or 0 for form in FORMS]
    per_toolset = max(0, max(excesses[0], excesses[2], *forms) - per_tool)
    printed = bench.server.render(ask, {}) != bench.server.render(ask, {"tools": [_tool()]})
    return replace(found, per_tool_tokens=per_tool, per_toolset_tokens=per_toolset), printed


def _with_calls(bench: _Bench, found: Overhead) -> Overhead:
    """What frames a call, and a result."""
    tools: JSON = [_tool()]
    start, end = [_user()], [_answer(), _user()]
    before = bench.excess("a second turn", [*start, *end], found, tools=tools)
    extras: list[int] = []
    for number, smallest in ((1, True), (3, True), (1, False), (3, False)):
        turn = [_asked(number, smallest=smallest), *(_result(each) for each in range(number))]
        after = bench.excess("tool calls", [*start, *turn, *end], found, tools=tools)
        if after is not None and before is not None:
            extras.append(-(-(after - max(before, 0)) // (2 * number)))
    return replace(found, per_call_tokens=max([0, *extras]))


def _normaliser(server: TokenServer) -> Normaliser:
    """Whether the tokenizer gives back another text than it was given."""
    found = Normaliser.NONE
    for normaliser, text, changed in CHANGED_BY:
        if server.seen(text).strip() == changed.strip():
            found = normaliser
    return found


def _probes(server: TokenServer, overhead: Overhead) -> Iterator[Probe]:
    """Conversations that no figure was taken from."""
    for place, text in enumerate(TEXTS):
        other = TEXTS[place - 1]
        asked: list[tuple[list[Message], dict[str, JSON]]] = [
            ([_user(text)], {}),
            ([{"role": "system", "content": other}, _user(text), _answer(other), _user(text)], {}),
            ([_user(text)], {"tools": [_tool(place, text), _tool(1, other)]}),
            ([_user(text)], {"tools": [WIDE]}),
            ([_user(other), _asked(2), _result(0), _result(1), _answer(text), _user()], {"tools": [_tool(3, text)]}),
        ]
        for number, (messages, parameters) in enumerate(asked, start=1):
            try:
                prompt = server.render(messages, parameters)
            except Unrendered:
                continue
            most = bounded(messages, parameters, overhead)
            yield Probe(f"{place + 1}.{number}", most, len(prompt.encode()), server.count(prompt))
