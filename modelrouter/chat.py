"""OpenAI's chat-completions shape over a Router: bodies in, bodies out, errors as a status and an error object.

The client faces (and any server face) share this room, so that all of them answer alike. What belongs to this package
travels in one member: a request may carry ``"modelrouter": {"policy": …, "tags": …, "max_cost_usd": …}``, and each
reply and the last chunk of each stream carries
``"modelrouter": {"call_id", "deployment", "cost_usd", "cost_is_certain", "saved_usd", "attempts"}``, and ``"flaw"``
where the route returns what is no proper answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from modelrouter.core.attempts import FailureKind
from modelrouter.core.budget_text import reset_text
from modelrouter.errors import (
    AttemptsExhaustedError,
    BudgetBusyError,
    BudgetError,
    BudgetMismatchError,
    CeilingError,
    ClosedError,
    ConfigError,
    DeadlineExceededError,
    DuplicateRequestError,
    LedgerError,
    NoRouteError,
    OverloadedError,
    RequestError,
    RevokedError,
    ShareCapError,
    StreamBrokenError,
)

if TYPE_CHECKING:
    from modelrouter.core.request import JSON, Message
    from modelrouter.errors import ModelRouterError
    from modelrouter.router.options import Options
    from modelrouter.router.reply import Reply

__all__ = ["MEMBER", "Asked", "Chunks", "Problem", "asked", "completion", "problem_of"]

MEMBER: Final = "modelrouter"
OURS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "max_cost_usd": ((str, int), 'an amount as text, as "0.01"'),
    "policy": ((str, list), "a name, or a list of names"),
    "reasoning": ((str,), "none, low or high"),
    "request_id": ((str,), "text"),
    "session": ((str,), "text"),
    "tags": ((dict,), "an object of texts"),
    "timeout_s": ((int, float), "a number of seconds"),
}
"""What a request may say in our member: which JSON types each takes, and how to say so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request body, taken apart."""

    route: str
    messages: list[Message]
    stream: bool
    include_usage: bool
    options: Options


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as OpenAI's clients expect it."""

    status: int
    code: str
    message: str
    details: Mapping[str, JSON]

    @property
    def body(self) -> dict[str, Any]:
        """The error object."""
        error = {"message": self.message, "type": "modelrouter_error", "param": None, "code": self.code}
        return {"error": {**error, MEMBER: dict(self.details)}}


def asked(body: object) -> Asked:
    """Take a chat-completions body apart.

    Raises:
        RequestError: it is not one; the message names the member.
    """
    if not isinstance(body, Mapping):
        raise RequestError("the request body must be a JSON object")
    members = {name: value for name, value in body.items() if value is not None}
    route, messages = members.pop("model", None), members.pop("messages", None)
    if not isinstance(route, str) or not route:
        raise RequestError("`model` must name a route of the config")
    if not isinstance(messages, list):
        raise RequestError("`messages` must be a list")
    stream, include_usage = _streaming(members)
    ours = _ours(members.pop(MEMBER, {}))
    misplaced = sorted(set(members) & set(OURS))
    if misplaced:
        raise RequestError(f"`{misplaced[0]}` is no chat-completion parameter: write it into `{MEMBER}`")
    return Asked(route, messages, stream, include_usage, cast("Options", {**members, **ours}))


def _streaming(members: dict[str, Any]) -> tuple[bool, bool]:
    """Take out whether to stream, and whether to report usage at the end of it."""
    stream, options = members.pop("stream", False), members.pop("stream_options", {})
    if not isinstance(stream, bool):
        raise RequestError("`stream` must be true or false")
    if not isinstance(options, Mapping):
        raise RequestError("`stream_options` must be an object")
    unknown = sorted(set(options) - {"include_usage"})
    if unknown:
        raise RequestError(f"`stream_options.{unknown[0]}` is not served: only `include_usage` is")
    if options and not stream:
        raise RequestError("`stream_options` belongs to a stream: add `stream: true`, or remove it")
    return stream, bool(options.get("include_usage"))


def _ours(member: object) -> dict[str, Any]:
    if not isinstance(member, Mapping):
        raise RequestError(f"`{MEMBER}` must be an object")
    given = {name: value for name, value in member.items() if value is not None}
    for name, value in given.items():
        if name not in OURS:
            raise RequestError(f"`{MEMBER}.{name}` is not one of {', '.join(sorted(OURS))}")
        kinds, wanted = OURS[name]
        has_texts = not isinstance(value, list) or all(isinstance(each, str) for each in value)
        if isinstance(value, bool) or not isinstance(value, kinds) or not has_texts:
            raise RequestError(f"`{MEMBER}.{name}` must be {wanted}")
    return given


def completion(reply: Reply) -> dict[str, Any]:
    """A reply as a `chat.completion`, with the facts of the call."""
    return {**reply.answer.body, MEMBER: _facts(reply)}


class Chunks:
    """The pieces of a stream as the chunks that a client is sent.

    Clients read `choices[0]` of each chunk unless they asked for usage, so no chunk without choices is made up for
    them: the one that says why the answer ended waits for the facts of the call, and carries them. Whoever asked for
    usage gets both in one more chunk, as from OpenAI.
    """

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._held: list[dict[str, Any]] = []

    def take(self, body: Mapping[str, JSON]) -> list[dict[str, Any]]:
        """One piece of the stream; what can be sent now."""
        choices = body.get("choices")
        if not isinstance(choices, list) or not choices:
            return []  # usage alone
        chunk = {name: value for name, value in body.items() if name != "usage"}
        ready = [*self.held(), chunk]
        if any(isinstance(choice, Mapping) and choice.get("finish_reason") for choice in choices):
            self._held = [ready.pop()]
        return ready

    def held(self) -> list[dict[str, Any]]:
        """What still waits, when the stream has broken."""
        held, self._held = self._held, []
        return held

    def end(self, reply: Reply) -> list[dict[str, Any]]:
        """What is left to send when the answer is whole."""
        body = reply.answer.body
        head = {
            "id": body.get("id", ""),
            "object": "chat.completion.chunk",
            "created": body.get("created", 0),
            "model": body.get("model", ""),
        }
        choice = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason}
        last = self.held() or [{**head, "choices": [choice]}]
        if self._include_usage:
            last.append({**head, "choices": [], "usage": body.get("usage")})
        last[-1][MEMBER] = _facts(reply)
        return last


def _facts(reply: Reply) -> dict[str, JSON]:
    saved = reply.saved_usd
    return {
        "call_id": reply.call_id,
        "deployment": reply.deployment,
        "cost_usd": format(reply.cost_usd, "f"),
        "cost_is_certain": reply.cost_is_certain,
        "saved_usd": None if saved is None else format(saved, "f"),
        "attempts": len(reply.attempts),
        **({} if reply.flaw is None else {"flaw": reply.flaw.value}),
    }


def problem_of(error: ModelRouterError) -> Problem:
    """The status and code under which an error reaches a client. Terminal ones never look retryable."""
    status, code = _status_and_code(error)
    details: dict[str, JSON] = {"call_id": error.call_id}
    if error.cost_usd is not None:
        details["cost_usd"] = format(error.cost_usd, "f")
    if isinstance(error, BudgetError):
        position = error.refusal.position
        details |= {
            "budget": position.budget.name,
            "scope": position.scope,
            "resets": reset_text(position.budget, position.resets_us),
        }
    if isinstance(error, OverloadedError) and error.retry_after_s is not None:
        details["retry_after_s"] = round(error.retry_after_s, 3)
    return Problem(status, code, error.message, details)


def _status_and_code(error: ModelRouterError) -> tuple[int, str]:
    for kind, status, code in (
        (DuplicateRequestError, 409, "duplicate_request"),
        (RequestError, 400, "invalid_request"),
        (CeilingError, 403, "cost_ceiling"),
        (BudgetBusyError, 429, "budget_busy"),
        (OverloadedError, 429, "overloaded"),
        (BudgetError, 403, "budget_exceeded"),
        (RevokedError, 403, "revoked"),
        (ShareCapError, 403, "share_cap"),
        (NoRouteError, 403, "policy_refused"),
        (DeadlineExceededError, 504, "deadline_exceeded"),
        (StreamBrokenError, 502, "stream_broken"),
        (ConfigError, 400, "config_error"),
        (BudgetMismatchError, 503, "budget_mismatch"),
        (LedgerError, 503, "ledger_unavailable"),
        (ClosedError, 503, "closed"),
    ):
        if isinstance(error, kind):
            return status, code
    return _exhausted(error) if isinstance(error, AttemptsExhaustedError) else (500, "internal_error")


def _exhausted(error: AttemptsExhaustedError) -> tuple[int, str]:
    """All attempts failed: if all for one reason, that reason's own status, so that openai's own class is raised."""
    kinds = {attempt.failure.kind for attempt in error.attempts if attempt.failure is not None}
    only = kinds.pop() if len(kinds) == 1 else None
    named = {
        FailureKind.RATE_LIMITED: 429,
        FailureKind.QUOTA_EXHAUSTED: 429,
        FailureKind.CONTEXT_TOO_LONG: 400,
        FailureKind.CONTENT_FILTERED: 400,
        FailureKind.TIMED_OUT: 504,
    }
    if only is None:
        return 502, "attempts_exhausted"
    code = {FailureKind.CONTEXT_TOO_LONG: "context_length_exceeded"}.get(only, only.value)
    return named.get(only, 502), code
