"""Chunks of a streamed answer into pieces for the caller, and the whole answer at the end. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Delta, StreamEnd
from modelrouter.transports.bounded import UnreadableError, read_json
from modelrouter.transports.classify import error_failure
from modelrouter.transports.reply import is_error_only, judge, text_of, wrong_source
from modelrouter.transports.usage import usage_of

if TYPE_CHECKING:
    from modelrouter.core.pricing import Usage
    from modelrouter.core.request import JSON
    from modelrouter.ports import Endpoint
    from modelrouter.transports.sse import Event

__all__ = ["Assembly"]

CONTENT: Final = frozenset(
    {"content", "tool_calls", "function_call", "reasoning_content", "reasoning", "reasoning_details", "audio", "images"}
)
"""Members of a delta that are content. A role, a refusal or a filter's verdict is not."""


@dataclass(slots=True)
class _Tool:
    """One tool call under way."""

    members: dict[str, JSON] = field(default_factory=dict)
    function: dict[str, JSON] = field(default_factory=dict)
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def take(self, piece: Mapping[str, JSON]) -> None:
        for name, value in piece.items():
            if name == "function" and isinstance(value, Mapping):
                self._take_function(value)
            elif name != "index" and value not in (None, ""):
                self.members.setdefault(name, value)

    def _take_function(self, function: Mapping[str, JSON]) -> None:
        for name, value in function.items():
            if name == "arguments" and isinstance(value, str):
                self.arguments.append(value)
            elif name == "name" and isinstance(value, str):
                if value != self.name:  # some servers repeat it with every piece, some cut it
                    self.name += value
            elif value is not None:
                self.function[name] = value

    def whole(self) -> dict[str, JSON]:
        function = {**self.function, "name": self.name, "arguments": "".join(self.arguments)}
        return {"type": "function", **self.members, "function": function}


@dataclass(slots=True)
class _Choice:
    """One choice under way: text members as pieces, everything else as far as it has come."""

    pieces: dict[str, list[str]] = field(default_factory=dict)
    tools: dict[int, _Tool] = field(default_factory=dict)
    members: dict[str, JSON] = field(default_factory=dict)
    logprobs: dict[str, list[JSON]] = field(default_factory=dict)
    others: dict[str, JSON] = field(default_factory=dict)
    finish_reason: str | None = None

    def take_delta(self, delta: Mapping[str, JSON]) -> bool:
        """Take one delta; True if it holds content."""
        has_content = False
        for name, value in delta.items():
            if name == "role" or value is None:
                continue
            if isinstance(value, str):
                self.pieces.setdefault(name, []).append(value)
            elif name == "tool_calls" and isinstance(value, list):
                self._take_tools(value)
            else:
                self._take_member(name, value)
            if value and name in CONTENT:
                has_content = True
        return has_content

    def _take_tools(self, pieces: list[JSON]) -> None:
        for piece in pieces:
            if not isinstance(piece, Mapping):
                continue
            index = piece.get("index")
            if (
                type(index) is not int
            ):  # Google's compatible endpoint gives none: a call with an id of its own is a new one
                index = len(self.tools) if piece.get("id") or not self.tools else max(self.tools)
            self.tools.setdefault(index, _Tool()).take(piece)

    def _take_member(self, name: str, value: JSON) -> None:
        """Lists grow, objects join (their texts grow), the rest is replaced. The chunk is left as it is."""
        there = self.members.get(name)
        if isinstance(value, list):
            self.members[name] = [*(there if isinstance(there, list) else ()), *value]
        elif isinstance(value, Mapping):
            joined = dict(there) if isinstance(there, Mapping) else {}
            for key, item in value.items():
                before = joined.get(key)
                joined[key] = before + item if isinstance(before, str) and isinstance(item, str) else item
            self.members[name] = joined
        else:
            self.members[name] = value

    def take_rest(self, choice: Mapping[str, JSON]) -> None:
        """Take what stands beside the delta."""
        for name, value in choice.items():
            if name in {"delta", "index"} or value is None:
                continue
            if name == "finish_reason":
                self.finish_reason = str(value)
            elif name == "logprobs" and isinstance(value, Mapping):
                for key, items in value.items():
                    if isinstance(items, list):
                        self.logprobs.setdefault(key, []).extend(items)
            else:
                self.others[name] = value

    def whole(self, index: int) -> dict[str, JSON]:
        texts = {name: "".join(pieces) for name, pieces in self.pieces.items()}
        message: dict[str, JSON] = {"role": "assistant", "content": None, **self.members, **texts}
        if self.tools:
            message["tool_calls"] = [self.tools[each].whole() for each in sorted(self.tools)]
            message["content"] = message["content"] or None
        rest: dict[str, JSON] = {"logprobs": self.logprobs} if self.logprobs else {}
        return {"index": index, "message": message, "finish_reason": self.finish_reason, **rest, **self.others}


class Assembly:
    """One stream. Feed it events with `take`; after the last one, `end` says what they came to."""

    __slots__ = ("_choices", "_endpoint", "_head", "_model", "_usage", "begun", "done")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, JSON] = {}
        self._model: JSON = None
        self._usage: JSON = None
        self.begun = False
        """Content has come."""
        self.done = False
        """The server has said `[DONE]`."""

    @property
    def text(self) -> str:
        """The text of the first choice so far."""
        first = self._choices.get(0)
        return "".join(first.pieces.get("content", ())) if first else ""

    @property
    def is_whole(self) -> bool:
        """Every choice begun has its finish_reason."""
        return bool(self._choices) and all(choice.finish_reason is not None for choice in self._choices.values())

    @property
    def usage(self) -> Usage | None:
        """What was reported, once the answer is whole: before that, servers that count along report a part."""
        return usage_of(self._usage, self._endpoint.usage_dialect) if self.is_whole else None

    def take(self, event: Event) -> Delta | Failure | None:
        """One event as a piece; None where it holds none (`[DONE]`)."""
        if event.data == b"[DONE]":
            self.done = True
            return None
        chunk: JSON = None
        what = "is not a JSON object"
        try:
            chunk = read_json(event.data, self._endpoint.reply_depth_max)
        except UnreadableError as fault:
            what = fault.what
        if not isinstance(chunk, dict):
            return self._failure(FailureKind.MALFORMED_REPLY, f"a chunk of the stream {what}")
        if event.is_error or chunk.get("error") or is_error_only(chunk):
            return self.reported(chunk)
        return self.take_chunk(chunk)

    def take_chunk(self, chunk: dict[str, JSON]) -> Delta | Failure:
        """One chunk, decoded, that holds no error."""
        self.take_usage(chunk.get("usage"))
        if chunk.get("model") != self._model or "provider" in chunk:
            wrong = wrong_source(self._endpoint, chunk)
            if wrong is not None:
                return self._failure(FailureKind.WRONG_MODEL, wrong)
        return self._take_choices(chunk)

    def _take_choices(self, chunk: dict[str, JSON]) -> Delta | Failure:
        choices = chunk.get("choices")
        if not isinstance(choices, list) and choices is not None:
            return self._failure(FailureKind.MALFORMED_REPLY, "a chunk of the stream has no list of choices")
        model = chunk.get("model") or self._model
        self._head.update(chunk)
        self._model = model
        text, has_content = "", False
        for choice in choices or ():
            if not isinstance(choice, dict):
                return self._failure(FailureKind.MALFORMED_REPLY, "a choice in the stream is not an object")
            if isinstance(choice.get("error"), Mapping):
                return self.reported(choice)
            index = choice.get("index", 0)
            state = self._choices.get(index)
            if state is None:
                state = self._choices[index if type(index) is int else 0] = _Choice()
            self.take_usage(choice.get("usage"))  # Moonshot has it in the last choice
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta:
                has_content = state.take_delta(delta) or has_content
                content = delta.get("content")
                if index == 0 and content:
                    text += content if isinstance(content, str) else text_of(content)
            state.take_rest(choice)
        self.begun = self.begun or has_content
        return Delta(text, has_content, chunk)

    def take_usage(self, usage: JSON) -> None:
        """A usage report, if it is one; the last one counts."""
        if usage:
            self._usage = usage

    def end(self) -> StreamEnd | Failure:
        """The server has nothing more to say: whole is a stream of which every choice begun has its finish_reason."""
        if not self.is_whole:
            return self._failure(FailureKind.TRUNCATED, "the stream ended before the answer did")
        body: dict[str, JSON] = {
            **self._head,
            "object": "chat.completion",
            "model": self._model,
            "choices": [self._choices[index].whole(index) for index in sorted(self._choices)],
            "usage": self._usage,
        }
        judged = judge(self._endpoint, body)
        return judged if isinstance(judged, Failure) else StreamEnd(judged)

    def broken(self, failure: Failure) -> Failure:
        """A failure from outside, with what had come until then."""
        return replace(failure, text=self.text, usage=self.usage)

    def reported(self, holder: Mapping[str, JSON]) -> Failure:
        """The failure that an error object in the stream is."""
        return replace(error_failure(holder, begun=self.begun, text=self.text), usage=self.usage)

    def _failure(self, kind: FailureKind, detail: str) -> Failure:
        return Failure(kind, Phase.ANSWERING, detail, status=200, usage=self.usage, text=self.text)
