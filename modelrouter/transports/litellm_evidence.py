"""What a provider itself said, read from the bytes before litellm translates them. Pure.

litellm fills in what a reply does not say: it ends a cut stream with `stop`, names the model that was asked for, and
counts tokens itself. So these are taken from the wire: who answered, whether every choice has ended, what was used.
The shapes are those of OpenAI, Anthropic (Messages), Google (generateContent) and Bedrock (Converse).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.transports.bounded import read_json
from modelrouter.transports.usage_native import native_usage

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["USAGE_MEMBERS", "Evidence", "Frame", "Frames", "output_limit"]

USAGE_MEMBERS: Final = ("usage", "usageMetadata")


@dataclass(slots=True)
class Evidence:
    """What has been seen of one reply.

    Attributes:
        depth_max: how deep its JSON may be nested.
        model: who answered, by its own word.
        provider: who an aggregator says it used.
        reasons: finish reason of each choice that has ended, in the provider's words.
        refusals: what a stream's choices said in place of an answer, which litellm drops.
    """

    depth_max: int
    model: str = ""
    provider: str = ""
    reasons: dict[int, str] = field(default_factory=dict)
    refusals: dict[int, str] = field(default_factory=dict)
    _usage: dict[str, JSON] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _searches: int = 0

    @property
    def is_whole(self) -> bool:
        """Every choice begun has ended."""
        return bool(self.reasons) and self._begun <= self.reasons.keys()

    @property
    def usage(self) -> Mapping[str, JSON] | None:
        """The usage report in OpenAI's members, or None. What `usage.usage_of` reads."""
        return native_usage(self._usage, searches=self._searches)

    def take_bytes(self, data: bytes) -> JSON:
        """Take one JSON text: a whole reply, or the data of one event.

        Returns:
            what it decodes to.

        Raises:
            UnreadableError: it is no JSON, or nested too deep.
        """
        reported = read_json(data, self.depth_max)
        if isinstance(reported, Mapping):
            self._take(reported)
        return reported

    def _take(self, reported: Mapping[str, JSON]) -> None:
        message = reported.get("message")  # Anthropic's `message_start` wraps the head of the reply
        self._take_head(reported)
        if isinstance(message, Mapping):
            self._take_head(message)
        for name in ("choices", "candidates"):
            choices = reported.get(name)
            if isinstance(choices, list):
                for choice in choices:
                    if isinstance(choice, Mapping):
                        self._take_choice(choice)
        for holder in (reported, reported.get("delta")):
            reason = (holder.get("stop_reason") or holder.get("stopReason")) if isinstance(holder, Mapping) else None
            if isinstance(reason, str):
                self.reasons[0] = reason
        blocked = reported.get("promptFeedback")
        if isinstance(blocked, Mapping) and blocked.get("blockReason"):
            self.reasons[0] = "content_filter"

    def _take_head(self, head: Mapping[str, JSON]) -> None:
        model = head.get("model") or head.get("modelVersion")
        if isinstance(model, str):
            self.model = model
        provider = head.get("provider")
        if isinstance(provider, str):
            self.provider = provider
        for name in USAGE_MEMBERS:
            report = head.get(name)
            if isinstance(report, Mapping):  # Anthropic's first report has the input, its last one the output
                self._usage.update({key: value for key, value in report.items() if value is not None})

    def _take_choice(self, choice: Mapping[str, JSON]) -> None:
        index = choice.get("index")
        number = index if type(index) is int else 0
        self._begun.add(number)
        reason = choice.get("finish_reason") or choice.get("finishReason")
        if isinstance(reason, str):
            self.reasons[number] = reason
        delta = choice.get("delta")
        refusal = delta.get("refusal") if isinstance(delta, Mapping) else None
        if isinstance(refusal, str):
            self.refusals[number] = self.refusals.get(number, "") + refusal
        grounding = choice.get("groundingMetadata")
        queries = grounding.get("webSearchQueries") if isinstance(grounding, Mapping) else None
        if isinstance(queries, list):  # Google bills each of them, and counts them nowhere else
            self._searches = max(self._searches, len(queries))


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of an AWS event stream.

    Attributes:
        whole: its bytes as they came.
        payload: the JSON in it.
        error: how the service failed, as `throttlingException`; empty where it did not.
    """

    whole: bytes
    payload: bytes
    error: str


@dataclass(slots=True)
class Frames:
    """Takes bytes cut anywhere and gives the messages that are complete.

    A message is: its length and that of its headers (4 bytes each, big endian), their CRC, headers, payload, a CRC.
    Source of the format: AWS SDKs, "Event Stream encoding".
    """

    _tail: bytes = b""

    def feed(self, piece: bytes) -> list[Frame]:
        """Take the next bytes.

        Raises:
            ValueError: a length that cannot be.
        """
        text = self._tail + piece
        frames: list[Frame] = []
        while len(text) >= PRELUDE_BYTES:
            length, headers_length = struct.unpack(">II", text[:8])
            if length < PRELUDE_BYTES + headers_length + CRC_BYTES:
                raise ValueError("a length that cannot be")
            if len(text) < length:
                break
            headers = text[PRELUDE_BYTES : PRELUDE_BYTES + headers_length]
            payload = text[PRELUDE_BYTES + headers_length : length - CRC_BYTES]
            error = ERROR_HEADER.search(headers)
            name = headers[error.end() : error.end() + error[1][0]].decode("ascii", "replace") if error else ""
            frames.append(Frame(text[:length], payload, name))
            text = text[length:]
        self._tail = text
        return frames


PRELUDE_BYTES: Final = 12
CRC_BYTES: Final = 4
ERROR_HEADER: Final = re.compile(rb":(?:exception-type|error-code)\x07\x00(.)", re.DOTALL)
"""The header that names an error: a string (type 7) with its length in two bytes, of which no name needs the first."""


def output_limit(body: Mapping[str, JSON], name: str) -> JSON:
    """The output limit in a request's body, wherever its provider has it; None where there is none.

    Args:
        body: as it is about to be sent.
        name: what OpenAI-shaped endpoints call it.
    """
    for group, names in (
        ("generationConfig", ("maxOutputTokens", "max_output_tokens")),
        ("inferenceConfig", ("maxTokens",)),
    ):
        settings = body.get(group)
        if isinstance(settings, Mapping):
            return next((settings[each] for each in names if each in settings), None)
    return body.get(name)
