"""What goes wrong in the litellm lane, as failures: the exceptions of httpx, and those that litellm raises itself.

What a provider answers is judged from the wire by `classify`, as in the direct lane; its exceptions never come here.
Those that do are litellm's own: a request that it cannot translate, a credential that it misses, a reply that it cannot
read. They are told apart by `status_code` first, then by class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.classify import PHRASES, kind_of_status, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLASSES", "NETWORK", "exception_failure", "network_failure"]

_K = FailureKind

NETWORK: Final[Mapping[type[Exception], tuple[FailureKind, str]]] = {
    httpx.ConnectError: (_K.UNREACHABLE, "no connection to the server"),
    httpx.ConnectTimeout: (_K.UNREACHABLE, "no connection to the server in time"),
    httpx.PoolTimeout: (_K.UNREACHABLE, "no connection to the server in time"),
    httpx.ProxyError: (_K.UNREACHABLE, "the proxy did not let the connection through"),
    httpx.ReadError: (_K.UNREACHABLE, "the connection broke"),
    httpx.WriteError: (_K.UNREACHABLE, "the connection broke"),
    httpx.CloseError: (_K.UNREACHABLE, "the connection broke"),
    httpx.NetworkError: (_K.UNREACHABLE, "the connection broke"),
    OSError: (_K.UNREACHABLE, "the connection broke"),
    httpx.RemoteProtocolError: (_K.MALFORMED_REPLY, "the reply is not HTTP"),
    httpx.LocalProtocolError: (_K.INVALID_REQUEST, "the request has no form in HTTP"),
    httpx.ProtocolError: (_K.MALFORMED_REPLY, "the reply is not HTTP"),
    httpx.ReadTimeout: (_K.TIMED_OUT, "no answer in time"),
    httpx.WriteTimeout: (_K.TIMED_OUT, "no answer in time"),
    httpx.TimeoutException: (_K.TIMED_OUT, "no answer in time"),
    httpx.DecodingError: (_K.MALFORMED_REPLY, "the reply's compression is broken"),
    httpx.TooManyRedirects: (_K.UNREACHABLE, "a redirect, which is never followed"),
    httpx.UnsupportedProtocol: (_K.UNREACHABLE, "`base_url` is no http address"),
    httpx.InvalidURL: (_K.UNREACHABLE, "`base_url` is no address"),
    httpx.TransportError: (_K.UNREACHABLE, "the call failed on the network"),
    httpx.RequestError: (_K.UNREACHABLE, "the call failed on the network"),
    httpx.HTTPStatusError: (_K.MALFORMED_REPLY, "the reply is not HTTP"),
    httpx.HTTPError: (_K.UNREACHABLE, "the call failed on the network"),
    httpx.StreamError: (_K.MALFORMED_REPLY, "the reply cannot be read"),
}
"""Each class by itself; a subclass that is not listed goes by its nearest listed base."""

DISCONNECTED: Final = ("disconnected", "incomplete", "peer closed")
"""Words of httpcore's and h11's own messages for a connection that closed, where the class says only `protocol`."""

CLASSES: Final[Mapping[str, FailureKind | None]] = {
    "APIConnectionError": _K.UNREACHABLE,
    "APIError": None,
    "APIResponseValidationError": _K.MALFORMED_REPLY,
    "AuthenticationError": _K.UNAUTHORIZED,
    "BadGatewayError": _K.SERVER_ERROR,
    "BadRequestError": _K.INVALID_REQUEST,
    "BlockedPiiEntityError": _K.REJECTED,
    "BudgetExceededError": _K.QUOTA_EXHAUSTED,
    "ContentPolicyViolationError": _K.CONTENT_FILTERED,
    "ContextWindowExceededError": _K.CONTEXT_TOO_LONG,
    "GuardrailRaisedException": _K.REJECTED,
    "ImageFetchError": _K.PORTABILITY,  # this lane lets litellm fetch nothing
    "InternalServerError": _K.SERVER_ERROR,
    "InvalidRequestError": _K.INVALID_REQUEST,
    "JSONSchemaValidationError": _K.MALFORMED_REPLY,
    "LiteLLMUnknownProvider": _K.PORTABILITY,
    "MidStreamFallbackError": _K.TRUNCATED,
    "MockException": None,
    "ModelNotMappedError": _K.PORTABILITY,
    "ModifyResponseException": _K.REJECTED,
    "NotFoundError": _K.MODEL_MISSING,
    "OpenAIError": None,
    "PermissionDeniedError": _K.UNAUTHORIZED,
    "RateLimitError": _K.RATE_LIMITED,
    "RejectedRequestError": _K.REJECTED,
    "SensitiveDataRouteException": _K.REJECTED,
    "ServiceUnavailableError": _K.SERVER_ERROR,
    "Timeout": _K.TIMED_OUT,
    "UnprocessableEntityError": _K.INVALID_REQUEST,
    "UnsupportedParamsError": _K.PORTABILITY,
    "VectorStoreSearchError": _K.PORTABILITY,
}
"""Every exception class of `litellm.exceptions`, which a test holds against what is installed. None: the status alone
decides. A class says more than its status where it is in `TELLING`."""

TELLING: Final = frozenset(
    {
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "ImageFetchError",
        "LiteLLMUnknownProvider",
        "MidStreamFallbackError",
        "ModelNotMappedError",
        "Timeout",
        "UnsupportedParamsError",
        "VectorStoreSearchError",
    }
)
"""Classes that stand for more than their status, most of them a 400."""


def network_failure(fault: Exception, deployment: str, phase: Phase, *, is_reused: bool) -> Failure:
    """An exception of httpx as a failure.

    Args:
        phase: how far the call had come.
        is_reused: the connection had been kept alive from another call.
    """
    kind, detail = next((NETWORK[base] for base in type(fault).__mro__ if base in NETWORK), (_K.UNREACHABLE, "failed"))
    has_closed = isinstance(fault, httpx.RemoteProtocolError) and _says(fault, DISCONNECTED)
    if has_closed:
        kind, detail = _K.UNREACHABLE, "the server closed the connection without an answer"
    if phase is Phase.ANSWERING and kind is _K.UNREACHABLE:
        kind, detail = _K.TRUNCATED, "the reply broke off"
    if kind is _K.MALFORMED_REPLY:
        phase = Phase.ANSWERING
    is_stale = is_reused and phase is Phase.SENT and (has_closed or isinstance(fault, httpx.NetworkError))
    return Failure(kind, phase, f"`{deployment}`: {detail}", fresh_connection_helps=is_stale)


def exception_failure(fault: Exception, deployment: str, phase: Phase) -> Failure:
    """An exception that litellm raised of itself, as a failure.

    Args:
        phase: how far the wire has seen the call come; where it has seen a reply, litellm could not read it.
    """
    status = _status(fault)
    kind = _kind(fault, status)
    name = next((base.__name__ for base in type(fault).__mro__ if base.__name__ in CLASSES), type(fault).__name__)
    if phase is Phase.ANSWERING and kind not in {_K.CONTENT_FILTERED, _K.CONTEXT_TOO_LONG, _K.TRUNCATED}:
        detail = f"`{deployment}`: litellm could not read the reply ({name})"
        return Failure(_K.MALFORMED_REPLY, phase, detail, status=200)
    headers = getattr(fault, "litellm_response_headers", None)
    wait_s = retry_after_s(dict(headers)) if headers else None
    detail = f"`{deployment}`: litellm gave up ({name}): {PHRASES.get(kind, kind.value)}"
    return Failure(kind, phase, detail, status=status if phase is Phase.ANSWERING else None, retry_after_s=wait_s)


def _kind(fault: Exception, status: int | None) -> FailureKind:
    names = [base.__name__ for base in type(fault).__mro__]
    telling = next((CLASSES[name] for name in names if name in TELLING), None)
    if telling is not None:
        return telling
    if _is_from_connection(fault):
        return _K.UNREACHABLE
    if status is not None:
        return kind_of_status(status)
    return next((kind for name in names if (kind := CLASSES.get(name)) is not None), _K.PORTABILITY)


def _status(fault: Exception) -> int | None:
    status = getattr(fault, "status_code", None)
    try:
        number = int(status) if isinstance(status, (int, str)) else None
    except ValueError:
        return None
    return number if number is not None and 300 <= number <= 599 else None


def _is_from_connection(fault: BaseException) -> bool:
    """Whether a connection failed: litellm calls a refused connection a server error, its cause knows better."""
    cause = fault.__cause__ or fault.__context__
    seen = 0
    while cause is not None and seen < 8:
        if isinstance(cause, (httpx.ConnectError, httpx.ConnectTimeout, ConnectionRefusedError)):
            return True
        cause, seen = cause.__cause__ or cause.__context__, seen + 1
    return False


def _says(fault: Exception, words: tuple[str, ...]) -> bool:
    """Whether httpcore's or h11's own message has one of these words; a server's text is not in it."""
    return any(word in str(fault) for word in words)
