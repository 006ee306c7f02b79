"""What a conversation becomes for a candidate that cannot take all of it: without foreign reasoning, with ids anew.

Nothing of what was said is changed. What is left out and written in is what `core.portability` says of the candidate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from modelrouter.core.history import EMBEDDED, MEMBER, Trait, shapes_in
from modelrouter.core.portability import id_form, needs_reasoning, needs_signature, takes

if TYPE_CHECKING:
    import re

    from modelrouter.core.history import History, Origin
    from modelrouter.core.portability import Target
    from modelrouter.core.request import JSON, Message

__all__ = ["adapted", "grown", "marked"]

ID_GROWTH: Final = "0" * 9
"""An id that is written anew is no longer than this, or than it was; see `_hashed`."""

SKIP_SIGNATURE: Final = "skip_thought_signature_validator"
"""What Google documents for calls that no Gemini made: https://ai.google.dev/gemini-api/docs/thought-signatures"""
SKIPPED: Final[Mapping[str, JSON]] = {"google": {"thought_signature": SKIP_SIGNATURE}}
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def adapted(messages: Sequence[Message], history: History, target: Target) -> tuple[Message, ...]:
    """The conversation as a candidate can take it: without what it cannot read, with ids of its form."""
    form = id_form(target)
    drops = any(each.trait is Trait.CARRIED_SIGNATURE and not takes(each, target) for each in history.shapes)
    ids = _new_ids(history.tool_ids, None if form is None else form[0], without_signatures=drops)
    last_user = max((index for index, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    return tuple(
        _adapted(message, history.origins.get(index), target, ids, is_current=index > last_user)
        for index, message in enumerate(messages)
    )


def grown(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation that no candidate's form of it exceeds, to be measured in its place.

    Every id is longer by what a new one may have, and every call has the signature for foreign ones beside what it had,
    because a bound counts members of what is printed as JSON in their place, and not as so many bytes of text.
    """
    return tuple(_grown(message) for message in messages)


def _grown(message: Message) -> Message:
    left = dict(message)
    reply_to, calls = left.get("tool_call_id"), left.get("tool_calls")
    if isinstance(reply_to, str):
        left["tool_call_id"] = reply_to + ID_GROWTH
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        left["tool_calls"] = [_grown_call(call) if isinstance(call, Mapping) else call for call in calls]
    return left


def _grown_call(call: Mapping[str, JSON]) -> dict[str, JSON]:
    call_id = call.get("id")
    with_id = {**call, "id": call_id + ID_GROWTH} if isinstance(call_id, str) else dict(call)
    return {**with_id, "extra_content": [call.get("extra_content"), SKIPPED]}


def _adapted(
    message: Message, origin: Origin | None, target: Target, ids: Mapping[str, str], *, is_current: bool
) -> Message:
    left = _with_ids(message, ids)
    while (less := _without_foreign(left, origin, target)) != left:  # what told who wrote it may be gone
        left = less
    calls = left.get("tool_calls")
    if isinstance(calls, Sequence) and not isinstance(calls, str) and calls:
        if needs_reasoning(target) and not isinstance(left.get("reasoning_content"), str):
            left["reasoning_content"] = ""
        if is_current and needs_signature(target):
            left["tool_calls"] = _signed(calls)
    return left


def _with_ids(message: Message, ids: Mapping[str, str]) -> dict[str, JSON]:
    """A message whose calls, or the call that it answers, have their new ids."""
    left = dict(message)
    reply_to, calls = left.get("tool_call_id"), left.get("tool_calls")
    if isinstance(reply_to, str):
        left["tool_call_id"] = ids.get(reply_to, reply_to)
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        left["tool_calls"] = [_renamed(call, ids) if isinstance(call, Mapping) else call for call in calls]
    return left


def _without_foreign(message: Message, origin: Origin | None, target: Target) -> dict[str, JSON]:
    foreign = {shape.trait for shape in shapes_in(message, origin) if not takes(shape, target)}
    left = {name: value for name, value in message.items() if not foreign & _MEMBERS.get(name, frozenset())}
    content = left.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts = [part for part in content if not _is_foreign(part, foreign)]
        left["content"] = parts or ""
    if Trait.THOUGHT_SIGNATURE in foreign:
        left.pop("extra_content", None)
    calls = left.get("tool_calls")
    if isinstance(calls, Sequence) and not isinstance(calls, str):
        left["tool_calls"] = [
            _without_signature(call, foreign) if isinstance(call, Mapping) else call for call in calls
        ]
    return left


_MEMBERS: Final[Mapping[str, frozenset[Trait]]] = {
    "reasoning": frozenset({Trait.REASONING_TEXT}),
    "reasoning_content": frozenset({Trait.REASONING_CONTENT}),
    "reasoning_details": frozenset({Trait.DETAILS, Trait.SIGNED_DETAILS}),
    "thinking_blocks": frozenset({Trait.THINKING_BLOCKS}),
    "thought_signatures": frozenset({Trait.CARRIED_SIGNATURE}),
}
"""Members of a message that are left out whole, by the traits that make them foreign."""


def _is_foreign(part: JSON, foreign: set[Trait]) -> bool:
    if not isinstance(part, Mapping):
        return False
    kind = part.get("type")
    if kind in {"thinking", "redacted_thinking"}:
        is_list = isinstance(part.get("thinking"), list)
        return (Trait.THINKING_LISTS if is_list else Trait.THINKING_PARTS) in foreign
    return kind == "reasoning" and Trait.ENCRYPTED_ITEM in foreign


def _without_signature(call: Mapping[str, JSON], foreign: set[Trait]) -> dict[str, JSON]:
    """A call without what carries a foreign signature, but for its id: ids are written anew together."""
    left = dict(call)
    if Trait.THOUGHT_SIGNATURE in foreign:
        left.pop("extra_content", None)
    if Trait.CARRIED_SIGNATURE in foreign:
        left.pop("provider_specific_fields", None)
        function = left.get("function")
        if isinstance(function, Mapping):
            left["function"] = {key: item for key, item in function.items() if key != "provider_specific_fields"}
    return left


def _renamed(call: Mapping[str, JSON], ids: Mapping[str, str]) -> dict[str, JSON]:
    call_id = call.get("id")
    return {**call, "id": ids.get(call_id, call_id)} if isinstance(call_id, str) else dict(call)


def _signed(calls: JSON) -> JSON:
    """The calls of one answer with the signature for foreign ones on the first, where Gemini looks for it."""
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        return calls
    first, *others = calls
    if not isinstance(first, Mapping) or first.get("extra_content"):
        return calls
    return [{**first, "extra_content": SKIPPED}, *others]


def _new_ids(found: frozenset[str], form: re.Pattern[str] | None, *, without_signatures: bool) -> dict[str, str]:
    """New ids for those that cannot stay: always the same for the same conversation, never one for two calls."""

    def kept(call_id: str) -> str:
        return call_id.partition(EMBEDDED)[0] if without_signatures else call_id

    def stays(call_id: str) -> bool:
        return kept(call_id) == call_id and (form is None or form.fullmatch(call_id) is not None)

    taken = {each for each in found if stays(each)}
    renamed: dict[str, str] = {}
    for old in sorted(found - taken):
        new, attempt = kept(old), 0
        while new in taken or not (form is None or form.fullmatch(new)):
            new, attempt = _hashed(old, attempt), attempt + 1
        taken.add(new)
        renamed[old] = new
    return renamed


def _hashed(call_id: str, attempt: int) -> str:
    """Nine letters and digits, the form that everybody takes."""
    text = f"{attempt}:{call_id}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:8])
    return "".join(DIGITS[number // 62**place % 62] for place in range(9))


def marked(message: Message, origin: Origin) -> Message:
    """A reply's message with a mark of who wrote it, where that will matter to whoever gets it next."""
    if next(shapes_in(message), None) is None:
        return message
    return {**message, MEMBER: origin.as_mark()}
