"""What a server's error means: HTTP status and structured error code first, its text last. Pure.

A code or type that a table here knows decides; else the status; and only where both leave it open, a few words of
the text. The text is read for this and never repeated: it quotes prompts and keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Failure, FailureKind, Phase

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["CODES", "STATUSES", "error_failure", "kind_of_error", "kind_of_status", "retry_after_s", "status_failure"]

_K = FailureKind
NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

STATUSES: Final[Mapping[int, FailureKind]] = {
    401: _K.UNAUTHORIZED,
    402: _K.QUOTA_EXHAUSTED,
    403: _K.UNAUTHORIZED,
    404: _K.MODEL_MISSING,  # the model, or the whole path: either way nothing answers for it here
    405: _K.MODEL_MISSING,
    407: _K.UNREACHABLE,  # the proxy wants a key
    408: _K.TIMED_OUT,
    409: _K.SERVER_ERROR,
    410: _K.MODEL_MISSING,
    413: _K.CONTEXT_TOO_LONG,  # too long for this endpoint; another may take it
    421: _K.UNREACHABLE,
    423: _K.SERVER_ERROR,
    424: _K.SERVER_ERROR,  # TGI and Groq: what stands behind the endpoint failed
    425: _K.SERVER_ERROR,
    429: _K.RATE_LIMITED,
    451: _K.UNAUTHORIZED,  # not served to this country
    498: _K.RATE_LIMITED,  # Groq: no flex capacity
    499: _K.SERVER_ERROR,  # Groq, nginx: given up in between
    501: _K.PORTABILITY,  # the server has no such feature
    504: _K.TIMED_OUT,
    522: _K.TIMED_OUT,  # 522 and 524 are Cloudflare's for a slow origin
    524: _K.TIMED_OUT,
}
"""The statuses with a meaning of their own. The others go by their class, see `kind_of_status`."""

STATUS_OF_KIND: Final[Mapping[FailureKind, int]] = {
    _K.RATE_LIMITED: 429,
    _K.QUOTA_EXHAUSTED: 402,
    _K.TIMED_OUT: 504,
    _K.UNAUTHORIZED: 401,
    _K.INVALID_REQUEST: 400,
    _K.CONTEXT_TOO_LONG: 400,
    _K.CONTENT_FILTERED: 400,
    _K.MODEL_MISSING: 404,
    _K.PORTABILITY: 501,
}
"""The status that an error object inside a 200 stands for, where it names none; 500 for every other kind."""


def _codes() -> dict[str, FailureKind]:
    """Error codes and types by what they mean, lower case, each once."""
    words = {
        # OpenAI, Azure, Groq, DeepSeek, Moonshot, Anthropic's types, Z.ai's numbers, DashScope, new-api gateways
        _K.RATE_LIMITED: (
            "rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limited too_many_requests requests "
            "tokens capacity_exceeded service_tier_capacity_exceeded engine_overloaded_error throttling "
            "throttling.ratequota throttling.allocationquota throttlingexception 1302 1303 1305"
        ),
        _K.QUOTA_EXHAUSTED: (
            "insufficient_quota insufficient_balance insufficient_user_quota exceeded_current_quota_error "
            "billing_error billing_hard_limit_reached billing_not_active payment_required arrearage "
            "quota_exceeded 1113 1304 1308"
        ),
        _K.UNAUTHORIZED: (
            "invalid_api_key incorrect_api_key missing_api_key authentication_error invalid_authentication_error "
            "permission_error permission_denied permission_denied_error access_denied accessdenied unauthorized "
            "forbidden account_deactivated invalid_organization ip_not_authorized unsupported_country_region_territory "
            "1000 1001 1002 1003 1004 1110 1111 1112 1121 1220"
        ),
        _K.CONTEXT_TOO_LONG: (
            "context_length_exceeded exceed_context_size_error string_above_max_length request_too_large "
            "context_window_exceeded 1261"
        ),
        _K.CONTENT_FILTERED: (
            "content_filter content_filter_error content_policy_violation responsibleaipolicyviolation "
            "moderation_blocked data_inspection_failed datainspectionfailed sensitive_words_detected prompt_blocked "
            "1300 1301"
        ),
        _K.MODEL_MISSING: (
            "model_not_found model_not_available model_decommissioned model_not_exist deploymentnotfound "
            "resource_not_found_error not_found_error notfounderror 1211 1212 1221 1222"
        ),
        _K.PORTABILITY: "not_supported_error unsupported_parameter unsupported_value operationnotsupported",
        # Groq's 400 for what the model itself wrote wrongly
        _K.MALFORMED_REPLY: "tool_use_failed json_validate_failed",
        _K.SERVER_ERROR: (
            "overloaded_error unavailable_error service_unavailable server_overloaded overloaded generation "
            "incomplete_generation 1230 1234"
        ),
        _K.TIMED_OUT: "timeout_error request_timeout timeout",
    }
    return {word: kind for kind, text in words.items() for word in text.split()}


CODES: Final[Mapping[str, FailureKind]] = _codes()
"""Error codes and types that decide the kind, whatever the status. Words that say no more than the status does
(`invalid_request_error`, `server_error`, `BadRequestError`) are not among them."""

TEXTS: Final = (
    (_K.CONTEXT_TOO_LONG, "maximum context length"),
    (_K.CONTEXT_TOO_LONG, "context length exceeded"),
    (_K.CONTEXT_TOO_LONG, "context window"),
    (_K.CONTEXT_TOO_LONG, "available context size"),
    (_K.CONTEXT_TOO_LONG, "longer than the model's context length"),
    (_K.CONTEXT_TOO_LONG, "prompt is too long"),
    (_K.CONTEXT_TOO_LONG, "maximum model length"),
    (_K.CONTEXT_TOO_LONG, "input is too long"),
    (_K.CONTEXT_TOO_LONG, "exceeds the maximum number of tokens"),
    (_K.CONTEXT_TOO_LONG, "`max_new_tokens` must be <="),
    (_K.CONTENT_FILTERED, "content management policy"),
    (_K.QUOTA_EXHAUSTED, "insufficient balance"),
    (_K.QUOTA_EXHAUSTED, "exceeded your current quota"),
    (_K.MODEL_MISSING, "model not found"),
    (_K.MODEL_MISSING, "model does not exist"),
    (_K.PORTABILITY, "image input is not supported"),
)
"""Words that some servers' text alone says: vLLM, SGLang, TGI, Bedrock and Google for the context, llama.cpp for an
image (HTTP 500)."""

TEXT_STATUSES: Final = frozenset({400, 413, 422, 429, 500})
"""Where the text is asked at all."""

PHRASES: Final[Mapping[FailureKind, str]] = {
    _K.RATE_LIMITED: "too many requests",
    _K.QUOTA_EXHAUSTED: "the account's quota or balance is used up",
    _K.TIMED_OUT: "the server ran out of time",
    _K.UNREACHABLE: "not served at this address",
    _K.SERVER_ERROR: "the server failed",
    _K.UNAUTHORIZED: "the key was not accepted for this",
    _K.INVALID_REQUEST: "the request was not accepted",
    _K.CONTEXT_TOO_LONG: "the request is longer than the endpoint accepts",
    _K.CONTENT_FILTERED: "a content filter stopped it",
    _K.MALFORMED_REPLY: "the reply is not what was asked for",
    _K.MODEL_MISSING: "no such model or path there",
    _K.PORTABILITY: "the endpoint does not support what the request needs",
}


def kind_of_status(status: int) -> FailureKind:
    """The kind that an HTTP status alone stands for; total, so that no status is without one.

    A redirect is not followed, whoever it leads to: the address we were given does not serve (`UNREACHABLE`).
    Informational and success statuses are no errors; where one is asked for, the reply was not what it should be.
    """
    known = STATUSES.get(status)
    if known is not None:
        return known
    if 300 <= status < 400:
        return _K.UNREACHABLE
    if 400 <= status < 500:
        return _K.INVALID_REQUEST
    if status >= 500:
        return _K.SERVER_ERROR
    return _K.MALFORMED_REPLY


def kind_of_error(status: int, reported: JSON) -> FailureKind:
    """The kind of an error, from its status and the body that came with it.

    Args:
        status: of HTTP, or the one that the error object names.
        reported: the decoded body, or None where it was not JSON.
    """
    error = _error_object(reported)
    for word in _words(error):
        kind = CODES.get(word)
        if kind is not None:
            return _flagged(kind, status, error)
    if status in TEXT_STATUSES:
        text = _text(error)
        for kind, words in TEXTS:
            if words in text:
                return kind
    return _flagged(kind_of_status(status), status, error)


def _flagged(kind: FailureKind, status: int, error: Mapping[str, JSON]) -> FailureKind:
    """OpenRouter reports a flagged prompt as 403 with reasons beside it; every other 403 is about the key."""
    metadata = error.get("metadata")
    if status == 403 and isinstance(metadata, Mapping) and ("reasons" in metadata or "flagged_input" in metadata):
        return _K.CONTENT_FILTERED
    return kind


def _error_object(reported: JSON) -> Mapping[str, JSON]:
    """The error in any shape in use: nested (OpenAI), flat (vLLM, SGLang, Mistral), a bare text (TGI, Ollama)."""
    if not isinstance(reported, Mapping):
        return {}
    error = reported.get("error")
    if isinstance(error, Mapping):
        return error
    if isinstance(error, str):
        return {"message": error, "type": reported.get("error_type")}
    return reported


def _words(error: Mapping[str, JSON]) -> list[str]:
    """Code, inner code and type as lower-case words, most telling first, without plain HTTP statuses."""
    inner = error.get("innererror")
    inner_code = inner.get("code") if isinstance(inner, Mapping) else None
    found = [inner_code, error.get("code"), error.get("type")]
    words = [str(word).lower() for word in found if isinstance(word, (str, int)) and not isinstance(word, bool)]
    return [word for word in words if not (len(word) == 3 and word.isdigit())]


def _text(error: Mapping[str, JSON]) -> str:
    for name in ("message", "detail"):
        text = error.get(name)
        if isinstance(text, str):
            return text[:4096].lower()
    return ""


def status_failure(status: int, headers: Mapping[str, str], reported: JSON, *, now_s: float | None = None) -> Failure:
    """The failure that an HTTP error status is."""
    kind = kind_of_error(status, reported)
    detail = f"answered HTTP {status}: {PHRASES.get(kind, kind.value)}"
    if 300 <= status < 400:
        detail = f"answered HTTP {status}, a redirect, which is never followed: set `base_url` to the final address"
    return Failure(kind, Phase.ANSWERING, detail, status=status, retry_after_s=retry_after_s(headers, now_s=now_s))


def error_failure(reported: JSON, *, begun: bool, text: str = "") -> Failure:
    """The failure that an error object inside a 200, or inside a stream, is.

    Before any content it is an answer without service, and nobody bills that: `status` is then the one that the object
    names or stands for. Once content has come (`begun`), tokens were made and it is uncertain: `status` stays 200.

    Args:
        reported: the object that holds `error`.
        begun: content was received before it.
        text: that content.
    """
    error = _error_object(reported)
    named = next((status for name in ("code", "status") if (status := _status(error.get(name))) is not None), None)
    kind = kind_of_error(500 if named is None else named, reported)
    status = 200 if begun else named or STATUS_OF_KIND.get(kind, 500)
    where = "after the answer had begun" if begun else "in place of an answer"
    return Failure(
        kind, Phase.ANSWERING, f"reported an error {where}: {PHRASES.get(kind, kind.value)}", status=status, text=text
    )


def _status(code: JSON) -> int | None:
    """An error code that is an HTTP error status, as number or text."""
    if isinstance(code, str) and len(code) == 3 and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and 300 <= code <= 599 else None


def retry_after_s(headers: Mapping[str, str], *, now_s: float | None = None) -> float | None:
    """When the server wants to be asked again, in seconds from now; None where it does not say or cannot be read.

    Reads `retry-after-ms` (OpenAI, Azure), then `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3). A
    date is measured against the reply's own `Date`, so that a clock that is off does not matter, else against
    `now_s`.
    """
    milliseconds = _seconds(_header(headers, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    wanted = _header(headers, "Retry-After")
    seconds = _seconds(wanted)
    if seconds is not None or wanted is None:
        return seconds
    until = _date_s(wanted)
    now = _date_s(_header(headers, "Date"))
    now = now_s if now is None else now
    return None if until is None or now is None else max(0.0, until - now)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """One header; the mapping may ignore case or hold lower-case names."""
    return headers.get(name) or headers.get(name.lower())


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and NUMBER.fullmatch(text.strip()) else None


def _date_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
