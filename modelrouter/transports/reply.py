"""From a complete reply to an answer or a failure. Pure.

A reply counts as served by the model that was asked for only if it says so. Names are compared without regard to case,
against the endpoint's `name` and `answers_as`; a dated form of one of them is the same name (`gpt-x-2026-01-01` or
`gpt-x-0613` for `gpt-x`, `large-2512` for `large-latest`). A path, a file name or a prefix (`/models/x.gguf`) is
another name unless it is declared. A reply that names no model is noted and passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Answer, Unwanted
from modelrouter.transports.bounded import UnreadableError, read_json
from modelrouter.transports.classify import error_failure, status_failure
from modelrouter.transports.usage import usage_of

if TYPE_CHECKING:
    from modelrouter.core.pricing import Usage
    from modelrouter.core.request import JSON
    from modelrouter.ports import Endpoint

__all__ = ["decode", "failed_choice", "is_error_only", "judge", "report_of", "says", "text_of", "wrong_source"]

NO_MODEL_NAMED: Final = "the reply names no model"
NO_FINISH_REASON: Final = "the reply gives no finish_reason"
NO_COUNT: Final = "the reply counts no token at all, which is no report"

FINISH_REASONS: Final = {
    "model_length": "length",  # Mistral: the window is full
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",  # Z.ai
    "end_turn": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
}
"""Other servers' words for OpenAI's finish reasons."""

INTERRUPTED: Final = {
    "error": FailureKind.SERVER_ERROR,  # OpenRouter, Mistral
    "network_error": FailureKind.SERVER_ERROR,  # Z.ai
    "insufficient_system_resource": FailureKind.SERVER_ERROR,  # DeepSeek
    "abort": FailureKind.TRUNCATED,  # vLLM, SGLang
}
"""Finish reasons of an answer that the server itself gave up."""

WHOLE: Final = frozenset({FailureKind.CONTENT_FILTERED, FailureKind.REFUSED, FailureKind.OUT_OF_TOKENS_EMPTY})
"""Failures that are a whole reply all the same: they keep it, for the route that wants it."""

DATED: Final = re.compile(
    r"[-@:](?:20\d\d-\d\d-\d\d|20\d\d[01]\d[0-3]\d|2\d[01]\d[0-3]\d|2[0-9](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])[0-3]\d)"
)
"""What may follow a name and leave it the same: a date as 2026-01-31, 20260131, 260131, 2601 or 0131."""

LEAST_OF_A_KEY: Final = 6
"""A name that is so many signs of the key, or more, tells of the key."""

PRINTABLE_NAME: Final = re.compile(r"[\w./:@+-]{1,120}")


def decode(endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
    """A whole HTTP reply as an answer or a failure."""
    reported: JSON = None
    what = "is not a JSON object"
    try:
        reported = read_json(body, endpoint.reply_depth_max)
    except UnreadableError as fault:
        what = fault.what
    if not 200 <= status < 300:
        return status_failure(status, headers, reported)
    if not isinstance(reported, dict):
        return _malformed(f"the reply {what}", None)
    if is_error_only(reported):
        return error_failure(reported, begun=False)
    return judge(endpoint, reported)


def is_error_only(reported: Mapping[str, JSON]) -> bool:
    """Whether an object that came with a 200 holds an error and no choice."""
    return not reported.get("choices") and (bool(reported.get("error")) or reported.get("object") == "error")


def judge(endpoint: Endpoint, body: Mapping[str, JSON]) -> Answer | Failure:
    """A `chat.completion` object as an answer, or as what is wrong with it. Usage is kept either way: it is billed."""
    usage, notes = report_of(body.get("usage"), endpoint)
    choices = _choices(body.get("choices"))
    if choices is None:
        return _malformed("the reply holds no choice with a message", usage)
    message = cast("Mapping[str, JSON]", choices[0]["message"])
    text = text_of(message.get("content"))
    wrong = wrong_source(endpoint, body)
    if wrong is not None:
        return Failure(FailureKind.WRONG_MODEL, Phase.ANSWERING, wrong, status=200, usage=usage, text=text)
    failure = _failure(choices, usage, text)
    if failure is not None and failure.kind not in WHOLE:
        return failure
    model, served_by, reason = body.get("model"), body.get("provider"), choices[0].get("finish_reason")
    if not (isinstance(model, str) and model):
        model, notes = "", (*notes, NO_MODEL_NAMED)
    if not isinstance(reason, str):
        reason, notes = "", (*notes, NO_FINISH_REASON)
    answer = Answer(
        message=message,
        finish_reason=FINISH_REASONS.get(reason, reason),
        usage=usage,
        body=body,
        model=model,
        served_by=served_by if isinstance(served_by, str) else "",
        notes=notes,
    )
    if failure is None:
        return answer
    return Unwanted(
        kind=failure.kind, phase=failure.phase, detail=failure.detail, status=200, usage=usage, text=text, answer=answer
    )


def report_of(report: JSON, endpoint: Endpoint) -> tuple[Usage | None, tuple[str, ...]]:
    """What a usage report says, and what is to be noted of it; one that counts nothing says nothing."""
    usage = usage_of(report, endpoint.usage_dialect)
    if usage is not None and usage.input_tokens == usage.output_tokens == 0:
        return None, (NO_COUNT,)
    return usage, ()


def failed_choice(choices: JSON) -> Mapping[str, JSON] | None:
    """The choice that holds an error, where one does."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, Mapping) and isinstance(choice.get("error"), Mapping):
            return choice
    return None


def _choices(choices: JSON) -> list[Mapping[str, JSON]] | None:
    if not isinstance(choices, list) or not choices:
        return None
    for choice in choices:
        if not (isinstance(choice, dict) and isinstance(choice.get("message"), dict)):
            return None
    return choices


def _malformed(detail: str, usage: Usage | None) -> Failure:
    return Failure(FailureKind.MALFORMED_REPLY, Phase.ANSWERING, detail, status=200, usage=usage)


def _failure(choices: list[Mapping[str, JSON]], usage: Usage | None, text: str) -> Failure | None:
    """Why a reply of the right form is still no answer. Several choices fail together or not at all."""
    if text and len(choices) == 1 and choices[0].get("finish_reason") == "stop":
        return None
    reasons = {str(choice.get("finish_reason")) for choice in choices}
    said = any(says(_message(choice)) for choice in choices)
    failed = failed_choice(list(choices))
    if failed is not None:
        return replace(error_failure(failed, begun=True, text=text), usage=usage)
    kind: FailureKind | None = next((INTERRUPTED[reason] for reason in reasons if reason in INTERRUPTED), None)
    detail = "the server gave up in the middle of the answer"
    reasons = {FINISH_REASONS.get(reason, reason) for reason in reasons}
    if kind is None and reasons == {"content_filter"}:
        kind, detail = FailureKind.CONTENT_FILTERED, "a content filter stopped the answer"
    if kind is None and not said and reasons == {"length"}:
        kind, detail = FailureKind.OUT_OF_TOKENS_EMPTY, "the output limit was reached before anything was said"
    if kind is None and not said and ("refusal" in reasons or any(_refuses(_message(each)) for each in choices)):
        kind, detail = FailureKind.REFUSED, "the model declined to answer"
    return None if kind is None else Failure(kind, Phase.ANSWERING, detail, status=200, usage=usage, text=text)


def _message(choice: Mapping[str, JSON]) -> Mapping[str, JSON]:
    message = choice.get("message")
    return message if isinstance(message, Mapping) else {}


def _refuses(message: Mapping[str, JSON]) -> bool:
    """Whether a message declines: in its own member, or in a part of its content."""
    content = message.get("content")
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    return bool(message.get("refusal")) or any(
        isinstance(part, Mapping) and part.get("type") == "refusal" for part in parts
    )


def says(message: Mapping[str, JSON]) -> bool:
    """Whether a message holds anything for the caller; reasoning alone is not an answer."""
    content = message.get("content")
    return bool(
        text_of(content)
        or message.get("tool_calls")
        or message.get("function_call")
        or message.get("audio")
        or message.get("images")
    )


def text_of(content: JSON) -> str:
    """The text of a message's content, which some servers give in parts (Mistral beside its reasoning)."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text")
        return "".join(text for text in parts if isinstance(text, str))
    return ""


def wrong_source(endpoint: Endpoint, body: Mapping[str, JSON]) -> str | None:
    """Why a reply or chunk is from another model or provider than was asked for; None if it does not say so."""
    model = body.get("model")
    if isinstance(model, str) and model and model != endpoint.name and not _is_declared(endpoint, model):
        return f"answered as {_shown(endpoint, model)} where `{endpoint.name}` was asked for"
    provider = body.get("provider")
    if isinstance(provider, str) and provider:
        pinned = _pinned_providers(endpoint)
        if pinned and _squeezed(provider) not in pinned:
            return f"served by {_shown(endpoint, provider)}, to which the deployment is not pinned"
    return None


def _is_declared(endpoint: Endpoint, model: str) -> bool:
    answered = model.lower()
    for name in (endpoint.name, *endpoint.answers_as):
        known = name.lower()
        if answered == known:
            return True
        stem = known.removesuffix("-latest").removesuffix(":latest")
        if answered.startswith(stem) and (answered == stem or DATED.fullmatch(answered, len(stem))):
            return True
    return False


def _pinned_providers(endpoint: Endpoint) -> frozenset[str]:
    """OpenRouter's `provider.only` slugs without variants (`deepinfra/fp8`), and what the endpoint answers as."""
    pin = endpoint.pins.get("provider")
    only = pin.get("only") if isinstance(pin, Mapping) else None
    if not isinstance(only, Sequence) or isinstance(only, str):
        return frozenset()
    names = [name.partition("/")[0] for name in only if isinstance(name, str)]
    return frozenset(_squeezed(name) for name in (*names, *endpoint.answers_as))


def _squeezed(name: str) -> str:
    """A provider's name without case, spaces and signs: its slug `z-ai` and its title `Z.AI` are one."""
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _shown(endpoint: Endpoint, name: str) -> str:
    """A name for a message; not one that is no name, nor one that holds the key: some servers echo what they get."""
    return f"`{name}`" if PRINTABLE_NAME.fullmatch(name) and not _holds_key(endpoint, name) else "another name"


def _holds_key(endpoint: Endpoint, name: str) -> bool:
    try:
        key = None if endpoint.key is None else endpoint.key.read()
    except Exception:  # noqa: BLE001 - a function of the application may raise anything
        return True
    return bool(key) and (str(key) in name or (len(name) >= LEAST_OF_A_KEY and name in str(key)))
