"""The port to endpoints: what a transport is asked, with which secret, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelrouter.core.failure import Failure
from modelrouter.core.route import Timeouts
from modelrouter.core.usage import UsageDialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.failure import FailureKind
    from modelrouter.core.pricing import Usage
    from modelrouter.core.request import JSON, Message, Reasoning

__all__ = [
    "TLS",
    "Answer",
    "Call",
    "Credential",
    "Delta",
    "Endpoint",
    "OpenStream",
    "StreamEnd",
    "Transport",
    "Unwanted",
]


@runtime_checkable
class Credential(Protocol):
    """A secret that is read when it is needed and never stored.

    `describe` says where it comes from (`environment variable `MISTRAL_API_KEY``), never what it is.
    """

    def read(self) -> str | None:
        """The secret now, or None if it is not there."""
        ...

    def describe(self) -> str:
        """Where it comes from, for messages."""
        ...

    @property
    def can_be_checked(self) -> bool:
        """Whether `read` is cheap and harmless enough to ask beforehand whether the secret is there."""
        ...


@dataclass(frozen=True, slots=True)
class TLS:
    """How to trust a server and be trusted by it: paths of a CA bundle, of a client certificate and of its key."""

    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a transport needs to call one deployment; the facts of it are in `core.facts.Deployment`.

    Attributes:
        lane: `direct` or `litellm`.
        base_url: as `https://api.mistral.ai/v1`; the path of the operation is appended. Empty for litellm providers
            that need none.
        hosts: the only hosts that may be connected to.
        name: the model's name at this operator.
        provider: litellm's provider id, litellm lane only.
        key: None sends no authorisation.
        more_keys: further keys of the same rights, used in turn with it; a transport is only ever asked to use `key`.
        key_header: `authorization` sends `Bearer KEY`; any other header gets the bare key.
        headers: fixed headers, none of them secret.
        pins: fixed body members that bind the wire to the facts, as OpenRouter's `provider`; a request may not override
            them.
        parameters: the deployment's own defaults; a request's parameters win.
        parameter_names: renames, as `max_tokens` to `max_completion_tokens`.
        supported_parameters: None is every parameter of chat completions; else a request with another is refused.
        reasoning: level to the body members that ask for it.
        answers_as: names the server may answer under beside `name`.
        billed_statuses: HTTP error statuses that this operator bills.
        proxy: the only proxy used; ambient proxies are ignored.
        extra: litellm keyword arguments of this provider, as `aws_region_name`.
        timeouts: those of its own; a `Call` has what came of them.
        wire_stream: plain calls are streamed on the wire too, and put together here.
        usage_dialect: how this operator counts what it reports.
        reply_bytes_max: the longest reply that is read, unpacked; a stream counts as a whole.
        reply_depth_max: how many objects and arrays may stand within each other in what it says.
    """

    deployment: str
    lane: str
    base_url: str
    hosts: frozenset[str]
    name: str
    provider: str = ""
    key: Credential | None = None
    more_keys: tuple[Credential, ...] = ()
    key_header: str = "authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, JSON] = field(default_factory=dict)
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    parameter_names: Mapping[str, str] = field(default_factory=dict)
    supported_parameters: frozenset[str] | None = None
    reasoning: Mapping[Reasoning, Mapping[str, JSON]] = field(default_factory=dict)
    answers_as: frozenset[str] = frozenset()
    billed_statuses: frozenset[int] = frozenset()
    tls: TLS = field(default_factory=TLS)
    proxy: str | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)
    wire_stream: bool = False
    usage_dialect: UsageDialect = UsageDialect.UNSTATED
    reply_bytes_max: int = 64 * 1024 * 1024
    reply_depth_max: int = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt as a transport is asked to make it.

    Attributes:
        timeout_s: for the whole attempt, or until the first content of a stream and then between its chunks.
        connect_s: for the connection alone.
        first_token_s: until the first content of a stream, where that is less.
        between_chunks_s: between its chunks, in place of `timeout_s`.
        fresh_connection: do not reuse a kept-alive connection.
    """

    endpoint: Endpoint
    messages: Sequence[Message]
    parameters: Mapping[str, JSON]
    max_output_tokens: int
    reasoning: Reasoning | None
    timeout_s: float
    fresh_connection: bool = False
    connect_s: float = 5.0
    first_token_s: float | None = None
    between_chunks_s: float | None = None

    @property
    def first_content_s(self) -> float:
        """How long the first content of a stream may take."""
        return self.timeout_s if self.first_token_s is None else min(self.timeout_s, self.first_token_s)

    @property
    def next_chunk_s(self) -> float:
        """How long each further piece may take."""
        return self.timeout_s if self.between_chunks_s is None else self.between_chunks_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer.

    Attributes:
        message: the assistant message in OpenAI's shape; all choices are in `body`.
        body: the whole reply as an OpenAI `chat.completion` object.
        usage: None when the server did not report any.
        model: the name the server says it answered as; empty when it does not say.
        served_by: the provider an aggregator says it used; empty when it does not say.
        notes: what was noticed and does not fail the call, as a missing model name.
        flaw: why it is no proper answer, where the route wants such ones returned; None for every proper one.
    """

    message: Mapping[str, JSON]
    finish_reason: str
    usage: Usage | None
    body: Mapping[str, JSON]
    model: str = ""
    served_by: str = ""
    notes: tuple[str, ...] = ()
    flaw: FailureKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwanted(Failure):
    """A whole reply that is no answer, as a refusal: a failure that keeps it, for the route that wants it returned."""

    answer: Answer = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """One piece of a stream.

    Attributes:
        text: content for people, may be empty.
        has_content: text, a tool call or reasoning; a role alone is not content.
        body: the chunk as an OpenAI `chat.completion.chunk` object.
    """

    text: str
    has_content: bool
    body: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The proper end of a stream, with the whole answer put together from its pieces."""

    answer: Answer


class OpenStream(Protocol):
    """A stream whose first bytes have come. Not for concurrent use."""

    async def next(self) -> Delta | StreamEnd | Failure:
        """The next piece. After `StreamEnd` or `Failure` there is no further call."""
        ...

    async def close(self) -> None:
        """Let go of the connection, so that the server stops generating. May be called at any time, more than once."""
        ...


class Transport(Protocol):
    """A lane. It makes one attempt and reports it as a value; it never retries, falls back or follows a redirect.

    It must not raise for anything a server or a network does: only a cancelled task and faults of its own code raise.
    """

    async def send(self, call: Call) -> Answer | Failure:
        """Make a plain attempt."""
        ...

    async def open(self, call: Call) -> OpenStream | Failure:
        """Begin a streaming attempt: returns once the server has begun to answer (headers), or failed."""
        ...

    async def close(self) -> None:
        """Close what belongs to the running event loop."""
        ...

    def abandon(self) -> None:
        """Forget inherited connections without closing them: the child's half of a `fork`."""
        ...
