"""Who can take which part of a conversation.

What is not known to be taken is not taken: a candidate is then refused under the rule `portability`, or, where the
route says `on_foreign_history: strip`, it gets what `core.adapting` makes of the conversation. Ids of files and sounds
stand for content, so they are never left out: they always refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import Hosting, LinkRole
from modelrouter.core.history import Origin, Trait
from modelrouter.core.policy import Judgement, Outcome
from modelrouter.core.request import Reasoning

if TYPE_CHECKING:
    from modelrouter.core.history import History, Shape
    from modelrouter.core.request import Request
    from modelrouter.core.route import Route
    from modelrouter.core.subject import Subject

__all__ = [
    "RULE",
    "Target",
    "id_form",
    "judge_history",
    "needs_reasoning",
    "needs_signature",
    "origin_of",
    "stand_in",
    "takes",
    "target_of",
    "thinking_is_off",
]

RULE: Final = "portability"
KEPT: Final = frozenset({Trait.AUDIO_ID, Trait.FILE_ID})
"""Traits that stand for content."""
SIGNERS: Final[Mapping[Trait, str]] = {
    Trait.CARRIED_SIGNATURE: "google",
    Trait.THINKING_BLOCKS: "anthropic",
    Trait.THINKING_LISTS: "mistral",
    Trait.THINKING_PARTS: "anthropic",
    Trait.THOUGHT_SIGNATURE: "google",
}
"""Traits of one developer's models, which only they take, at whichever operator; none of them passes an aggregator."""
READERS: Final[Mapping[Trait, frozenset[str]]] = {
    Trait.REASONING_CONTENT: frozenset(
        {"alibaba-intl", "deepseek", "minimax-intl", "moonshot-intl", "self", "zai-intl"}
    ),
    Trait.REASONING_TEXT: frozenset({"groq", "self"}),
}
"""Operators whose own API has the member, so that they take it whoever wrote it; open servers ignore what they do not
know."""
STRICT: Final = frozenset({"groq", "mistral"})
"""Operators that refuse a message with `reasoning_content`; see `core.history` for the reports."""
FILE_OWNERS: Final = (
    (re.compile(r"(file|assistant)-[\w-]+"), frozenset({"azure", "openai"})),
    (re.compile(r"file_[\w-]+"), frozenset({"anthropic"})),
    (re.compile(r"gs://.+|https://generativelanguage\.googleapis\.com/.+|files/[\w-]+"), frozenset({"google"})),
)
"""Forms of file ids, and the operators that give such."""
FILE_LIKES: Final = ("file-0", "file_0", "files/0")
"""An id of each of these forms that is nobody's."""

NINE: Final = re.compile(r"[A-Za-z0-9]{9}")
FORTY: Final = re.compile(r".{1,40}", re.DOTALL)
WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Target:
    """A candidate as a conversation sees it.

    Attributes:
        model: id of its model.
        is_vendor_api: the developer's own API, as against a cloud or a server of ours.
        thinks: it may think before it answers; only a level of `none` rules that out.
    """

    origin: Origin
    model: str
    is_vendor_api: bool
    thinks: bool = True


def origin_of(subject: Subject) -> Origin:
    """A deployment as the writer of a message."""
    deployment = subject.deployment
    via = next((link.organisation for link in deployment.chain if link.role is LinkRole.VIA), "")
    return Origin(subject.model.developer.value or "", deployment.operator, via)


def target_of(subject: Subject, request: Request, route: Route) -> Target:
    """A deployment as a conversation sees it."""
    deployment = subject.deployment
    return Target(
        origin_of(subject),
        deployment.model,
        deployment.hosting is Hosting.VENDOR_API,
        thinks=not thinking_is_off(request) and (request.reasoning or route.reasoning) is not Reasoning.NONE,
    )


def thinking_is_off(request: Request) -> bool:
    """Whether a request's own parameters rule thinking out."""
    thinking = request.parameters.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") == "disabled"


def stand_in(history: History) -> History:
    """A history that every candidate takes or refuses just as this one, and that holds no id of it."""
    shapes = frozenset(replace(shape, reference=_reference_like(shape.reference)) for shape in history.shapes)
    ids = frozenset(_id_like(each) for each in history.tool_ids)
    return replace(history, shapes=shapes, origins={}, tool_ids=ids)


def _reference_like(reference: str) -> str:
    forms = (form for form, _ in FILE_OWNERS)
    return next((like for form, like in zip(forms, FILE_LIKES, strict=True) if form.fullmatch(reference)), "")


def _id_like(tool_id: str) -> str:
    if NINE.fullmatch(tool_id):
        return "0" * 9
    length = 1 if FORTY.fullmatch(tool_id) else 41
    return ("0" if WORD.fullmatch(tool_id) else "?") * length


def judge_history(history: History, target: Target, *, strips: bool) -> Judgement:
    """Whether a candidate can take a conversation, as it is or stripped."""
    kept = sorted(
        (shape for shape in history.shapes if not takes(shape, target) and not (strips and shape.trait not in KEPT)),
        key=lambda shape: (shape.trait.value, shape.origin.developer, shape.origin.operator),
    )
    if kept:
        whose = kept[0].origin.developer or kept[0].origin.operator
        remedy = "the content itself in place of an id" if kept[0].trait in KEPT else _STRIP
        return _refused(kept[0].trait.value + (f" of {whose}" if whose else ""), remedy)
    if strips:
        return PERMITTED
    form = id_form(target)
    if form is not None and not all(form[0].fullmatch(each) for each in history.tool_ids):
        return _refused(f"ids of tool calls that are not {form[1]}", _STRIP)
    if history.calls_without_reasoning and needs_reasoning(target):
        return _refused("tool calls without `reasoning_content`", f"`reasoning: none`, or {_STRIP}")
    if history.calls_without_signature and needs_signature(target):
        return _refused("tool calls without a thought signature", _STRIP)
    return PERMITTED


_STRIP: Final = "`on_foreign_history: strip` on the route"
PERMITTED: Final = Judgement(Outcome.PERMITTED)


def _refused(reason: str, remedy: str) -> Judgement:
    return Judgement(Outcome.REFUSED, f"history holds {reason}", "request.messages", remedy=remedy)


def takes(shape: Shape, target: Target) -> bool:
    """Whether a candidate takes a part. A developer that is not known is nobody's."""
    mine, theirs = target.origin, shape.origin
    is_kin = bool(theirs.developer) and theirs.developer == mine.developer
    signer = SIGNERS.get(shape.trait)
    if signer is not None:
        is_reached = not (shape.trait is Trait.CARRIED_SIGNATURE and target.is_vendor_api)
        return is_kin and mine.developer == signer and not mine.via and is_reached
    match shape.trait:
        case Trait.SIGNED_DETAILS:
            return is_kin and mine.via == "openrouter"
        case Trait.DETAILS:
            return mine.via == "openrouter" or (is_kin and mine.developer == "minimax" and not mine.via)
        case Trait.REASONING_CONTENT | Trait.REASONING_TEXT:
            return _reads_reasoning(shape, mine, is_kin=is_kin)
        case Trait.FILE_ID:
            owners = (owners for form, owners in FILE_OWNERS if form.fullmatch(shape.reference))
            return not mine.via and mine.operator in next(owners, frozenset())
        case Trait.AUDIO_ID:
            known = {theirs.operator} if theirs.operator else {"azure", "openai"}
            return not mine.via and mine.operator in known
        case _:  # an encrypted item belongs to another API
            return False


def _reads_reasoning(shape: Shape, mine: Origin, *, is_kin: bool) -> bool:
    if mine.via:
        return mine.via == "openrouter" and (is_kin or shape.trait is Trait.REASONING_TEXT)
    return mine.operator in READERS[shape.trait] or (is_kin and mine.operator not in STRICT)


def id_form(target: Target) -> tuple[re.Pattern[str], str] | None:
    """What ids of tool calls must look like, and how to say so.

    Sources: error texts of the operators, as in https://github.com/langchain-ai/langchain/pull/24668 (Mistral) and
    https://github.com/agno-agi/agno/issues/5382 (OpenAI), and what litellm checks for Anthropic and Bedrock.
    """
    mine = target.origin
    if "mistral" in {mine.developer, mine.operator}:
        return NINE, "nine letters and digits"
    if mine.operator in {"azure", "openai"}:
        return FORTY, "at most 40 characters"
    if mine.developer == "anthropic" or mine.operator == "aws":
        return WORD, "letters, digits, `_` and `-`"
    return None


def needs_reasoning(target: Target) -> bool:
    """DeepSeek's own API wants the thinking back that led to a call.

    Source: https://api-docs.deepseek.com/guides/thinking_mode.
    """
    return target.origin.operator == "deepseek" and not target.origin.via and target.thinks


def needs_signature(target: Target) -> bool:
    """Gemini 3 and later want a signature on calls of this turn; on clouds litellm writes the one for foreign calls."""
    is_early = target.model.startswith(("gemini-1", "gemini-2"))
    return target.origin.developer == "google" and target.is_vendor_api and not is_early
