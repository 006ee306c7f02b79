"""What in a conversation only its origin can take, told by its shape and by the marks of our own replies.

A history is more than text. Models sign or encrypt their reasoning, servers keep files and sounds under ids of their
own, and some read tool calls only with ids of their own form, or with the reasoning that led to them. Elsewhere each
of these is a 400. `history_of` finds them; `core.portability` says who can take which.

Shapes, in messages of OpenAI's form, and where they are written down:

- `thinking_blocks`, and content parts of type `thinking` with a `signature`, or `redacted_thinking`: Claude's. Claude
  models drop blocks of each other without an error: https://platform.claude.com/docs/build-with-claude/preserved-thinking
- content parts of type `thinking` that hold a list: Magistral's, from https://docs.mistral.ai
- `reasoning_details`: OpenRouter's, each with the `format` of whoever wrote it; MiniMax has them too.
- `reasoning_content` and `reasoning`: plain text. Strict servers refuse the member itself, as Mistral and Groq do:
  https://github.com/BerriAI/litellm/issues/30835, https://github.com/SimonSchubert/Kai/issues/265
- parts of type `reasoning` with `encrypted_content`: items of OpenAI's Responses, bound to a resource
  (https://github.com/openai/codex/issues/3573); chat completions take none.
- `extra_content.google.thought_signature`, and what litellm makes of it: Gemini's,
  https://ai.google.dev/gemini-api/docs/thought-signatures
- `file_id` of a file, `audio.id` of an earlier answer: kept by the server that gave them.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.core.request import JSON, Message

__all__ = ["MEMBER", "PLAIN", "History", "Origin", "Shape", "Trait", "history_of", "shapes_in", "without_marks"]

MEMBER: Final = "modelrouter"
"""The member of a reply's message that says who wrote it, where that matters. It is never sent to anybody."""
EMBEDDED: Final = "__thought__"
"""Stands between a tool call's id and Gemini's signature where litellm carries one in the other."""

ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What an organisation may be called; anything else in a mark is a caller's text, and no reason may repeat it."""

FORMATS: Final = {
    "anthropic": "anthropic",
    "azure-openai": "openai",
    "google": "google",
    "minimax": "minimax",
    "openai": "openai",
    "xai": "xai",
}
"""How the `format` of a reasoning detail begins, and the developer whose model wrote it."""


class Trait(enum.Enum):
    """What makes a part unportable; the value is what people are told."""

    THINKING_BLOCKS = "signed thinking"
    THINKING_PARTS = "signed thinking in its content"
    THINKING_LISTS = "thinking in its content"
    SIGNED_DETAILS = "signed reasoning details"
    DETAILS = "reasoning details"
    ENCRYPTED_ITEM = "encrypted reasoning"
    REASONING_CONTENT = "`reasoning_content`"
    REASONING_TEXT = "`reasoning`"
    THOUGHT_SIGNATURE = "a thought signature"
    CARRIED_SIGNATURE = "a thought signature as litellm carries it"
    FILE_ID = "the id of a file"
    AUDIO_ID = "the id of a sound"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote a message, as far as that is known; empty is not known."""

    developer: str = ""
    operator: str = ""
    via: str = ""

    def as_mark(self) -> dict[str, str]:
        """What stands in a message under `MEMBER`."""
        known = {"developer": self.developer, "operator": self.operator, "via": self.via}
        return {name: value for name, value in known.items() if value}


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of unportable part, by one origin.

    Attributes:
        reference: the id itself, where the part is one.
    """

    trait: Trait
    origin: Origin = field(default_factory=Origin)
    reference: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """All of one conversation that not everybody can take.

    Attributes:
        origins: index of a message to who wrote it, for those that were marked.
        tool_ids: every id of a tool call.
        call_count: calls of tools and their results.
        calls_without_reasoning: some answer called tools and has no `reasoning_content`.
        calls_without_signature: since the last message of the user, some answer called tools without a signature.
    """

    shapes: frozenset[Shape] = frozenset()
    origins: Mapping[int, Origin] = field(default_factory=dict)
    tool_ids: frozenset[str] = frozenset()
    call_count: int = 0
    calls_without_reasoning: bool = False
    calls_without_signature: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether everybody can take it."""
        return not self.shapes and not self.call_count


PLAIN: Final = History()
GOOGLE: Final = Origin("google")
"""Whose signatures are told by their shape alone, whoever wrote the message that they stand in."""


def history_of(messages: Sequence[Message]) -> History:
    """What of these messages not everybody can take. Messages may still hold our marks."""
    if all(_is_plain(message) for message in messages):
        return PLAIN
    origins = {index: origin for index, each in enumerate(messages) if (origin := _marked_origin(each)) is not None}
    shapes: set[Shape] = set()
    ids: set[str] = set()
    last_user = max((index for index, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    silent = unsigned = False
    count = 0
    for index, message in enumerate(messages):
        found = tuple(shapes_in(message, origins.get(index)))
        shapes.update(found)
        reply_to = message.get("tool_call_id")
        if isinstance(reply_to, str):
            ids.add(reply_to)
            count += 1
        calls = _listed(message.get("tool_calls"))
        count += len(calls)
        if calls:
            ids.update(call_id for call in calls if isinstance(call_id := call.get("id"), str))
            silent = silent or not isinstance(message.get("reasoning_content"), str)
            unsigned = unsigned or (index > last_user and not _signature(calls[0]))
    return History(frozenset(shapes), origins, frozenset(ids), count, silent, unsigned)


def without_marks(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages without our own member, which is nobody else's."""
    if not any(MEMBER in message for message in messages):
        return messages
    return tuple({name: value for name, value in each.items() if name != MEMBER} for each in messages)


def shapes_in(message: Message, origin: Origin | None = None) -> Iterator[Shape]:
    """The unportable parts of one message.

    Args:
        origin: who is known to have written it; None leaves it to what the shapes themselves say.
    """
    inferred = origin or Origin(_developer_by_shape(message))
    if message.get("thinking_blocks"):
        yield Shape(Trait.THINKING_BLOCKS, inferred)
    for name, trait in (("reasoning_content", Trait.REASONING_CONTENT), ("reasoning", Trait.REASONING_TEXT)):
        if isinstance(message.get(name), str):
            yield Shape(trait, inferred)
    for detail in _listed(message.get("reasoning_details")):
        yield Shape(_detail_trait(detail), Origin(_developer_of(detail) or inferred.developer))
    for part in _listed(message.get("content")):
        yield from _part_shapes(part, inferred)
    audio = message.get("audio")
    if isinstance(audio, Mapping) and isinstance(audio.get("id"), str):
        yield Shape(Trait.AUDIO_ID, inferred, str(audio["id"]))
    if message.get("thought_signatures"):
        yield Shape(Trait.CARRIED_SIGNATURE, GOOGLE)
    if _google_signature(message):
        yield Shape(Trait.THOUGHT_SIGNATURE, GOOGLE)
    for call in _listed(message.get("tool_calls")):
        if _google_signature(call):
            yield Shape(Trait.THOUGHT_SIGNATURE, GOOGLE)
        if _carries_signature(call):
            yield Shape(Trait.CARRIED_SIGNATURE, GOOGLE)


def _part_shapes(part: Mapping[str, JSON], origin: Origin) -> Iterator[Shape]:
    kind = part.get("type")
    if kind == "thinking" and isinstance(part.get("thinking"), Sequence) and not isinstance(part.get("thinking"), str):
        yield Shape(Trait.THINKING_LISTS, origin)
    elif kind in {"thinking", "redacted_thinking"}:
        yield Shape(Trait.THINKING_PARTS, origin)
    elif kind == "reasoning":
        yield Shape(Trait.ENCRYPTED_ITEM, origin)
    elif kind == "file":
        file = part.get("file")
        if isinstance(file, Mapping) and isinstance(file.get("file_id"), str):
            yield Shape(Trait.FILE_ID, Origin(), str(file["file_id"]))


# --- reading ----------------------------------------------------------------------------------------------------------

TEXT_MESSAGE: Final = frozenset({"content", "name", "role"})


def _is_plain(message: Message) -> bool:
    """The shortest way past what nearly every message is."""
    return message.keys() <= TEXT_MESSAGE and isinstance(message.get("content"), str)


def _marked_origin(message: Message) -> Origin | None:
    mark = message.get(MEMBER)
    if not isinstance(mark, Mapping):
        return None
    known = {name: value for name, value in mark.items() if isinstance(value, str) and ID.fullmatch(value)}
    return Origin(known.get("developer", ""), known.get("operator", ""), known.get("via", ""))


def _developer_by_shape(message: Message) -> str:
    """Who must have written a message that nobody marked, as `anthropic` for one with Claude's blocks; or empty."""
    parts = _listed(message.get("content"))
    calls = _listed(message.get("tool_calls"))
    if message.get("thinking_blocks") or any(
        part.get("type") == "redacted_thinking" or (part.get("type") == "thinking" and part.get("signature"))
        for part in parts
    ):
        return "anthropic"
    if any(part.get("type") == "thinking" and isinstance(part.get("thinking"), list) for part in parts):
        return "mistral"
    if message.get("thought_signatures") or _google_signature(message) or any(_signature(call) for call in calls):
        return "google"
    details = {_developer_of(detail) for detail in _listed(message.get("reasoning_details"))}
    return details.pop() if len(details) == 1 else ""


def _developer_of(detail: Mapping[str, JSON]) -> str:
    form = str(detail.get("format") or "").lower()
    return next((developer for start, developer in FORMATS.items() if form.startswith(start)), "")


def _detail_trait(detail: Mapping[str, JSON]) -> Trait:
    is_signed = detail.get("type") == "reasoning.encrypted" or bool(detail.get("signature"))
    return Trait.SIGNED_DETAILS if is_signed else Trait.DETAILS


def _signature(call: Mapping[str, JSON]) -> bool:
    return _google_signature(call) or _carries_signature(call)


def _google_signature(holder: Mapping[str, JSON]) -> bool:
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    return isinstance(google, Mapping) and bool(google.get("thought_signature"))


def _carries_signature(call: Mapping[str, JSON]) -> bool:
    """Whether litellm put a signature aside of a call, of its function, or into its id."""
    for holder in (call, call.get("function")):
        aside = holder.get("provider_specific_fields") if isinstance(holder, Mapping) else None
        if isinstance(aside, Mapping) and aside.get("thought_signature"):
            return True
    call_id = call.get("id")
    return isinstance(call_id, str) and EMBEDDED in call_id


def _listed(value: JSON) -> list[Mapping[str, JSON]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [item for item in value if isinstance(item, Mapping)]
