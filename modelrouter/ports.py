"""What the router needs from outside, as Protocols and the values that cross them. Nothing else is in this room.

A port is small and ships with a public fake in `modelrouter.testing`. Users may bring their own implementation of any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from modelrouter.core.failure import Failure
from modelrouter.core.route import Timeouts
from modelrouter.core.subject import Family as Rule
from modelrouter.core.usage import UsageDialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.attempts import Attempt, Billing
    from modelrouter.core.bounds import Bound
    from modelrouter.core.budget import Budget, Position
    from modelrouter.core.failure import FailureKind
    from modelrouter.core.pricing import PriceList, Usage
    from modelrouter.core.request import JSON, Message, Reasoning

__all__ = [
    "TLS",
    "Answer",
    "Call",
    "CallRecord",
    "Clock",
    "Committed",
    "Correction",
    "Credential",
    "Delta",
    "Document",
    "Endpoint",
    "EventSink",
    "Inspector",
    "LedgerStore",
    "OpenStream",
    "RefusedCalls",
    "Reservation",
    "Resolution",
    "Rule",
    "SpendRow",
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


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What the ledger keeps of one request and its decision, written with the first reservation. Never prompt text.

    Attributes:
        call_id: ours.
        request_id: the caller's idempotency key, in clear.
        tags: declared defaults filled in, personal values as what `LedgerStore.pseudonym` made of them.
        decision: JSON text: the hash of what it rests on, and the values of what was read, see `core.decision_record`.
    """

    call_id: str
    request_id: str | None
    route: str
    tags: Mapping[str, str]
    decision: str
    policies: tuple[str, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedCalls:
    """Requests that nobody might serve, for the same reasons: the record of one of them, and how many there were.

    Attributes:
        call: without personal tags.
        rules: deployment to the first rule that refused it, as `eu-customers/operator.country`.
        since_us: when the first of them came, microseconds since 1970, UTC.
    """

    call: CallRecord
    rules: Mapping[str, str]
    count: int
    since_us: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one attempt.

    Attributes:
        reservation_id: made before sending, unique.
        call: the record of the request; stores write it once, with the first reservation of the call.
        wait_s: how long the store may keep this reservation waiting where a budget is busy, beside the budget's own
            limit; 0 answers at once.
    """

    reservation_id: str
    call: CallRecord
    number: int
    deployment: str
    operator: str
    model: str
    bound: Bound
    price: PriceList
    developer: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resolution:
    """The end of a reservation: exactly one for each."""

    reservation_id: str
    billing: Billing
    cost_nano_usd: int
    attempt: Attempt
    saved_nano_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What an attempt turned out to cost, learned after its end was booked.

    Attributes:
        cost_nano_usd: the true total of the attempt, zero or more; the book writes down the difference.
        why: one sentence for whoever reads the book; never a provider's own text.
        usage: where it is known now.
    """

    reservation_id: str
    cost_nano_usd: int
    why: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text that decisions refer to by its hash: a policy, a config, the catalog's digest."""

    digest: str
    kind: str
    name: str
    body: str


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One line of a spend report. The five kinds of money are never added up silently.

    Attributes:
        calls: requests whose first reservation lies in this group.
        failed_nano_usd: how much of settled, uncertain and overrun failed attempts cost.
        overrun_nano_usd: what settlements came to beyond their bound.
        correction_nano_usd: what late settlements and reconciliations changed; may be negative.
    """

    group: str
    attempts: int
    failures: int
    input_tokens: int
    output_tokens: int
    settled_nano_usd: int
    uncertain_nano_usd: int
    reserved_nano_usd: int
    saved_nano_usd: int
    calls: int = 0
    failed_nano_usd: int = 0
    overrun_nano_usd: int = 0
    correction_nano_usd: int = 0


Committed: TypeAlias = Callable[[Exception | None], None]
"""What a store calls when an entry is durable, with None, or when it cannot be written, with the error."""


class LedgerStore(Protocol):
    """The book. Append-only; thread-safe; knows nothing of event loops.

    `reserve` and `resolve` return at once; `done` is called from another thread, exactly once, with None after the
    entry is durable, or with the error. A store whose writer has died calls back with `LedgerUnavailableError` at once.
    """

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Go by these budgets from now on. Touches nothing: a book that holds others refuses the next reservation."""
        ...

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Commit a reservation over every budget that it falls under, or none.

        Errors: `BudgetBusyError`, `BudgetExceededError`, `BudgetMismatchError`, `DuplicateRequestError`,
        `LedgerUnavailableError`.
        """
        ...

    def holds(self, reservation_id: str) -> bool:
        """Whether a granted reservation may still be acted on: the lease of whoever reserved it has not lapsed.

        To be asked right before the first byte. Cheap; reads no file.
        """
        ...

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Resolve one. What comes after its lease had lapsed becomes a correction.

        Where nobody waits (no `done`), a store may write it a few milliseconds later, together with what comes next.

        Errors: `AlreadyResolvedError`, `LedgerUnavailableError`.
        """
        ...

    def positions(self) -> Sequence[Position]:
        """Where each budget stands now, for every scope that has spent anything in its window.

        Errors: `LedgerUnavailableError`.
        """
        ...

    def pseudonym(self, tag: str, value: str) -> str:
        """What stands for a personal value in the book: a keyed hash, the same until its key is deleted.

        May read the book the first time. Errors: `LedgerUnavailableError`.
        """
        ...

    def spend(self, *, by: str, since_s: float | None = None) -> Sequence[SpendRow]:
        """Totals by `deployment`, `route`, `operator`, `model`, `day` or `tag.NAME`."""
        ...

    def remember(self, documents: Sequence[Document]) -> None:
        """Keep the texts behind the hashes that decisions name, each once. May return before they are written."""
        ...

    def note_refused(self, refused: Sequence[RefusedCalls], done: Committed) -> None:
        """Write down requests that were refused before anything was reserved. Nobody waits for it.

        Errors: `LedgerError`, `LedgerUnavailableError`; then none of them was written.
        """
        ...

    def close(self, timeout_s: float) -> None:
        """Write what is queued, within `timeout_s`, and let go."""
        ...

    def abandon(self) -> None:
        """Forget inherited handles without closing them: the child's half of a `fork`."""
        ...


class Clock(Protocol):
    """Time from outside."""

    def now_s(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Inspector(Protocol):
    """Looks into the texts of a request before anything is decided. Synchronous, and quick: every call waits for it.

    One that raises refuses the request.
    """

    def __call__(self, texts: Sequence[str], /) -> Mapping[str, int]:
        """How many things of each kind the texts hold, and nothing of the things themselves."""
        ...


class EventSink(Protocol):
    """Where events go: decisions, attempts, failures. Never prompt or answer text, never a key."""

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Take one event; must not raise or block."""
        ...
