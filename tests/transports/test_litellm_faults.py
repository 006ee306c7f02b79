"""Exceptions as failures: every class of httpx and of litellm has its kind, and nothing they say is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from modelrouter.core.attempts import FailureKind, Phase
from modelrouter.transports.litellm_faults import CLASSES, NETWORK, TELLING, exception_failure, network_failure
from modelrouter.transports.litellm_import import importing

if TYPE_CHECKING:
    from types import ModuleType

K = FailureKind
SECRET = "the prompt itself"


@pytest.fixture
def raised() -> ModuleType:
    """The exceptions of litellm itself."""
    module: ModuleType = importing().result(timeout=120).module.exceptions
    return module


def subclasses(base: type[Exception]) -> set[type[Exception]]:
    """A class and all that derive from it."""
    found = {base}
    for each in base.__subclasses__():
        found |= subclasses(each)
    return found


def test_every_network_fault_has_a_kind() -> None:
    """A new exception class of httpx breaks this test, not a call."""
    known = {each for base in (httpx.HTTPError, httpx.StreamError) for each in subclasses(base)}
    ours = {each for each in known if each.__module__.partition(".")[0] == "httpx"}
    unlisted = {each.__name__ for each in ours if each not in NETWORK}
    assert unlisted == {"StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}


def test_every_exception_of_litellm_has_a_kind(raised: ModuleType) -> None:
    """The table holds exactly the exception classes of the installed litellm: a new one breaks the build."""
    found = {
        name
        for name, each in vars(raised).items()
        if isinstance(each, type) and issubclass(each, BaseException) and each.__module__ == raised.__name__
    }
    assert found == set(CLASSES)
    assert set(CLASSES) >= TELLING


@pytest.mark.parametrize(
    ("fault", "phase", "kind", "ends_in"),
    [
        (httpx.ConnectError(SECRET), Phase.NOT_SENT, K.UNREACHABLE, Phase.NOT_SENT),
        (httpx.ConnectTimeout(SECRET), Phase.NOT_SENT, K.UNREACHABLE, Phase.NOT_SENT),
        (httpx.ProxyError(SECRET), Phase.NOT_SENT, K.UNREACHABLE, Phase.NOT_SENT),
        (httpx.ReadError(SECRET), Phase.SENT, K.UNREACHABLE, Phase.SENT),
        (httpx.ReadError(SECRET), Phase.ANSWERING, K.TRUNCATED, Phase.ANSWERING),
        (httpx.ReadTimeout(SECRET), Phase.SENT, K.TIMED_OUT, Phase.SENT),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), Phase.SENT, K.UNREACHABLE, None),
        (httpx.RemoteProtocolError("illegal status line"), Phase.SENT, K.MALFORMED_REPLY, Phase.ANSWERING),
        (httpx.RemoteProtocolError("peer closed connection"), Phase.ANSWERING, K.TRUNCATED, Phase.ANSWERING),
        (httpx.DecodingError(SECRET), Phase.ANSWERING, K.MALFORMED_REPLY, Phase.ANSWERING),
        (OSError(SECRET), Phase.SENT, K.UNREACHABLE, Phase.SENT),
    ],
)
def test_network_faults(fault: Exception, phase: Phase, kind: FailureKind, ends_in: Phase | None) -> None:
    """Kind and phase of what a network does."""
    got = network_failure(fault, "local", phase, is_reused=False)
    assert (got.kind, got.phase) == (kind, ends_in or phase)
    assert SECRET not in repr(got)
    assert not got.fresh_connection_helps


def test_only_a_reused_connection_is_worth_a_fresh_one() -> None:
    """One that was kept alive and closed before a byte came; not one that had begun to answer."""
    fault = httpx.RemoteProtocolError("Server disconnected without sending a response.")
    assert network_failure(fault, "local", Phase.SENT, is_reused=True).fresh_connection_helps
    assert not network_failure(fault, "local", Phase.ANSWERING, is_reused=True).fresh_connection_helps
    assert not network_failure(httpx.ReadTimeout(""), "local", Phase.SENT, is_reused=True).fresh_connection_helps


@pytest.mark.parametrize(
    ("name", "more", "kind"),
    [
        ("APIError", {"status_code": 402}, K.QUOTA_EXHAUSTED),
        ("APIError", {"status_code": 403}, K.UNAUTHORIZED),
        ("APIError", {"status_code": 409}, K.SERVER_ERROR),
        ("APIError", {"status_code": 413}, K.CONTEXT_TOO_LONG),
        ("APIError", {"status_code": 529}, K.SERVER_ERROR),
        ("AuthenticationError", {}, K.UNAUTHORIZED),
        ("BadGatewayError", {}, K.SERVER_ERROR),
        ("BadRequestError", {}, K.INVALID_REQUEST),
        ("ContentPolicyViolationError", {}, K.CONTENT_FILTERED),
        ("ContextWindowExceededError", {}, K.CONTEXT_TOO_LONG),
        ("InternalServerError", {}, K.SERVER_ERROR),
        ("NotFoundError", {}, K.MODEL_MISSING),
        ("RateLimitError", {}, K.RATE_LIMITED),
        ("ServiceUnavailableError", {}, K.SERVER_ERROR),
        ("Timeout", {}, K.TIMED_OUT),
        ("UnsupportedParamsError", {}, K.PORTABILITY),
    ],
)
def test_exceptions_of_litellm(raised: ModuleType, name: str, more: dict[str, Any], kind: FailureKind) -> None:
    """The status counts first, then the class; a subclass before its base; no text of theirs is repeated."""
    fault = getattr(raised, name)(message=SECRET, model="m", llm_provider="p", **more)
    got = exception_failure(fault, "local", Phase.NOT_SENT)
    assert (got.kind, got.phase) == (kind, Phase.NOT_SENT)
    assert SECRET not in repr(got)


def test_refused_connection_hides_behind_a_server_error(raised: ModuleType) -> None:
    """Behind a refused connection, which litellm reports as status 500, the cause says what it was."""
    fault = raised.InternalServerError(message=SECRET, model="m", llm_provider="p")
    fault.__cause__ = httpx.ConnectError(SECRET)
    got = exception_failure(fault, "local", Phase.NOT_SENT)
    assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)


def test_retry_after_of_litellm(raised: ModuleType) -> None:
    """For litellm keeps the header in a place of its own."""
    fault = raised.RateLimitError(message=SECRET, model="m", llm_provider="p")
    fault.litellm_response_headers = httpx.Headers({"Retry-After": "5"})
    assert exception_failure(fault, "local", Phase.SENT).retry_after_s == 5.0


def test_exception_after_the_reply_came(raised: ModuleType) -> None:
    """What litellm cannot read once the reply is there is a malformed reply, whatever it calls it."""
    for fault in (KeyError("usage"), raised.APIConnectionError(message=SECRET, model="m", llm_provider="p")):
        got = exception_failure(fault, "local", Phase.ANSWERING)
        assert (got.kind, got.phase, got.status) == (K.MALFORMED_REPLY, Phase.ANSWERING, 200)
        assert SECRET not in repr(got)


@pytest.mark.parametrize("fault", [ValueError(SECRET), KeyError("x"), RuntimeError()])
def test_exception_that_nobody_knows(fault: Exception) -> None:
    """Before anything is sent it means that litellm cannot make this call."""
    got = exception_failure(fault, "local", Phase.NOT_SENT)
    assert (got.kind, got.phase) == (K.PORTABILITY, Phase.NOT_SENT)
    assert SECRET not in repr(got)
