"""What the caller asks: immutable, and already free of anything that depends on a provider.

Messages keep the OpenAI chat shape, because that is what people write; everything else has a name and a type here.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from modelrouter.core.bounds import Size
from modelrouter.core.history import PLAIN
from modelrouter.core.inspection import UNINSPECTED
from modelrouter.core.measuring import measure
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from modelrouter.core.history import History
    from modelrouter.core.inspection import Inspected

__all__ = [
    "CAPABILITIES",
    "JSON",
    "Accept",
    "Message",
    "Needs",
    "Reasoning",
    "Request",
    "as_long_as",
    "measure",
    "needs_of",
    "normalise_messages",
]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
Message: TypeAlias = "Mapping[str, JSON]"
Accept: TypeAlias = "Callable[[Message], bool | Awaitable[bool]]"

CAPABILITIES = frozenset(
    {
        "audio_input",
        "files",
        "json_object",
        "json_schema",
        "logprobs",
        "parallel_tools",
        "reasoning",
        "seed",
        "tools",
        "vision",
    }
)
"""What a model or deployment may be able to do. A need outside this list is refused as unknown."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
SAYING = frozenset({"system", "developer", "user"})  # an assistant may have called tools instead
PART_NEEDS = {"image_url": "vision", "input_audio": "audio_input", "file": "files"}
FORMAT_NEEDS = {"json_schema": "json_schema", "json_object": "json_object"}


class Reasoning(enum.Enum):
    """How much a model may think before it answers; each deployment maps it to its own parameter."""

    NONE = "none"
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a candidate must be able to do.

    Attributes:
        context_tokens: the window it must serve; None asks nothing beyond what the request itself needs.
        capabilities: ids of `CAPABILITIES`.
        parameters: names of request parameters that must reach the model.
    """

    context_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()

    def joined(self, other: Needs) -> Needs:
        """Both together."""
        windows = [tokens for tokens in (self.context_tokens, other.context_tokens) if tokens is not None]
        return Needs(
            context_tokens=max(windows, default=None),
            capabilities=self.capabilities | other.capabilities,
            parameters=self.parameters | other.parameters,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one route.

    Attributes:
        route: the name application code uses.
        messages: OpenAI chat messages.
        parameters: other chat-completion parameters by OpenAI's names (`temperature`, `tools`, `response_format`, …);
            none of them is dropped silently.
        size: what counts for the bound; see `core.measuring`.
        needs: what the request itself demands; see `needs_of`.
        max_output_tokens: None takes the route's default.
        reasoning: None takes the route's.
        tags: declared tag to value. A tag that is absent binds every rule that names it.
        policies: names of policies added for this call only.
        ceiling_nano_usd: the most that all attempts together may cost.
        timeout_s: the deadline for the whole request; None takes the route's.
        session: requests of one session keep their host.
        request_id: idempotency key, the caller's own.
        inspected: what was found in it, and which tags that raises.
        history: what of the messages not every candidate can take.
        accept: the caller's own test of an answer's message; None takes every answer.
    """

    route: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    size: Size = field(default_factory=lambda: Size(0, message_count=0))
    needs: Needs = field(default_factory=Needs)
    max_output_tokens: int | None = None
    reasoning: Reasoning | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    ceiling_nano_usd: int | None = None
    timeout_s: float | None = None
    session: str | None = None
    request_id: str | None = None
    inspected: Inspected = UNINSPECTED
    history: History = PLAIN
    accept: Accept | None = field(default=None, repr=False, compare=False)


def as_long_as(request: Request, context_tokens: int | None) -> Request:
    """A request that stands for others, as long as the window that its route needs.

    A token has at least one byte, so as many bytes stand for a prompt of that length.
    """
    if context_tokens is None:
        return request
    return replace(request, size=replace(request.size, text_bytes=context_tokens, expected_tokens=context_tokens))


def normalise_messages(prompt: str | Sequence[Message]) -> tuple[Message, ...]:
    """A prompt, or OpenAI chat messages, as messages.

    Raises:
        RequestError: empty, neither text nor a list, or a message without a known role or without what it says.
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            message = "the prompt is empty: write something to ask"
            raise RequestError(message)
        return ({"role": "user", "content": prompt},)
    given: object = prompt  # from a caller, whose types no checker may have seen
    if not isinstance(given, Sequence) or isinstance(given, (bytes, bytearray)):
        kind = type(given).__name__
        message = f"the prompt is a `{kind}`: give text, or messages as `[{{'role': 'user', 'content': '…'}}]`"
        raise RequestError(message)
    if not prompt:
        message = "`messages` is empty: give at least one message"
        raise RequestError(message)
    return tuple(_checked(index, item) for index, item in enumerate(prompt))


def _checked(index: int, item: object) -> Message:
    """One message from a caller, whose types no checker may have seen."""
    if not isinstance(item, Mapping):
        message = f"messages[{index}] is not a mapping with `role` and `content`"
        raise RequestError(message)
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        message = f"messages[{index}]: role `{role}` is not one of {', '.join(sorted(ROLES))}"
        raise RequestError(message)
    if role in SAYING and item.get("content") is None:
        message = f"messages[{index}]: `content` is missing: write text, or a list of parts"
        raise RequestError(message)
    return item


def needs_of(messages: Sequence[Message], parameters: Mapping[str, JSON]) -> Needs:
    """What the content and the parameters of a request demand from whoever serves it."""
    found: set[str] = set()
    for message in messages:
        content = message.get("content")
        if isinstance(content, Sequence) and not isinstance(content, str):
            kinds = (part.get("type") for part in content if isinstance(part, Mapping))
            found.update(PART_NEEDS[kind] for kind in kinds if isinstance(kind, str) and kind in PART_NEEDS)
        if message.get("tool_calls") or message.get("role") == "tool":
            found.add("tools")
    if parameters.get("tools"):
        found.add("tools")
    form = parameters.get("response_format")
    kind = form.get("type") if isinstance(form, Mapping) else None
    if isinstance(kind, str) and kind in FORMAT_NEEDS:
        found.add(FORMAT_NEEDS[kind])
    if parameters.get("logprobs"):
        found.add("logprobs")
    return Needs(capabilities=frozenset(found), parameters=frozenset(parameters))
