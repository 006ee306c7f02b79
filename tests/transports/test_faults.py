"""Exceptions of the network as failures, held against what the installed aiohttp has."""

from __future__ import annotations

import inspect
import ssl
from typing import TYPE_CHECKING, cast

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions

from modelrouter.core.attempts import FailureKind, Phase
from modelrouter.transports.bounded import ReplyTooLongError
from modelrouter.transports.faults import KINDS, Progress, fault_failure

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey, RequestInfo

K = FailureKind
KEY = cast("ConnectionKey", None)
INFO = cast("RequestInfo", None)
NEW = Progress(is_connected=True, is_new=True)
REUSED = Progress(is_connected=True)


def exception_classes() -> list[type[Exception]]:
    """Every exception that aiohttp's client defines."""
    found = [each for _, each in inspect.getmembers(client_exceptions, inspect.isclass) if issubclass(each, Exception)]
    return [each for each in found if each.__module__.startswith("aiohttp")]


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda each: each.__name__)
def test_every_exception_of_aiohttp_is_listed(kind: type[Exception]) -> None:
    """A release of aiohttp with a new exception breaks this test, so that somebody decides what it means."""
    assert kind in KINDS


def test_exceptions_of_the_protocol_have_a_listed_base() -> None:
    """What the HTTP parser raises ends up somewhere in the table."""
    for _, each in inspect.getmembers(http_exceptions, inspect.isclass):
        if issubclass(each, http_exceptions.HttpProcessingError):
            assert any(base in KINDS for base in each.__mro__)


@pytest.mark.parametrize(
    ("fault", "progress", "kind", "phase", "fresh_connection_helps"),
    [
        (
            aiohttp.ClientConnectorError(KEY, OSError(111, "refused")),
            Progress(is_new=True),
            K.UNREACHABLE,
            Phase.NOT_SENT,
            False,
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")),
            Progress(is_new=True),
            K.UNREACHABLE,
            Phase.NOT_SENT,
            False,
        ),
        (aiohttp.ConnectionTimeoutError(), Progress(is_new=True), K.UNREACHABLE, Phase.NOT_SENT, False),
        (TimeoutError(), Progress(is_new=True), K.TIMED_OUT, Phase.NOT_SENT, False),
        (TimeoutError(), NEW, K.TIMED_OUT, Phase.SENT, False),
        (TimeoutError(), Progress(is_connected=True, is_answering=True), K.TIMED_OUT, Phase.ANSWERING, False),
        (aiohttp.SocketTimeoutError(), NEW, K.TIMED_OUT, Phase.SENT, False),
        (aiohttp.ServerDisconnectedError(), NEW, K.UNREACHABLE, Phase.SENT, False),
        (aiohttp.ServerDisconnectedError(), REUSED, K.UNREACHABLE, Phase.SENT, True),
        (aiohttp.ClientOSError(104, "reset"), REUSED, K.UNREACHABLE, Phase.SENT, True),
        (aiohttp.ClientConnectionResetError("closing"), REUSED, K.UNREACHABLE, Phase.SENT, True),
        (aiohttp.ClientOSError(104, "reset"), NEW, K.UNREACHABLE, Phase.SENT, False),
        (TimeoutError(), REUSED, K.TIMED_OUT, Phase.SENT, False),
        (ssl.SSLError(1, "alert"), REUSED, K.UNREACHABLE, Phase.SENT, False),
        (
            aiohttp.ClientOSError(104, "reset"),
            Progress(is_connected=True, is_answering=True),
            K.TRUNCATED,
            Phase.ANSWERING,
            False,
        ),
        (
            aiohttp.ClientPayloadError("short"),
            Progress(is_connected=True, is_answering=True),
            K.TRUNCATED,
            Phase.ANSWERING,
            False,
        ),
        (aiohttp.ClientResponseError(INFO, (), status=400), NEW, K.MALFORMED_REPLY, Phase.ANSWERING, False),
        (
            aiohttp.ClientHttpProxyError(INFO, (), status=403),
            Progress(is_new=True),
            K.UNREACHABLE,
            Phase.NOT_SENT,
            False,
        ),
        (aiohttp.TooManyRedirects(INFO, ()), NEW, K.UNREACHABLE, Phase.ANSWERING, False),
        (
            ReplyTooLongError(),
            Progress(is_connected=True, is_answering=True),
            K.MALFORMED_REPLY,
            Phase.ANSWERING,
            False,
        ),
        (OSError(24, "too many files"), Progress(), K.UNREACHABLE, Phase.NOT_SENT, False),
    ],
)
def test_faults(
    fault: Exception, progress: Progress, kind: FailureKind, phase: Phase, fresh_connection_helps: bool
) -> None:
    """Each exception in the phase it can happen in; only a dead kept-alive connection asks for a fresh one."""
    got = fault_failure(fault, progress, "local")
    assert got is not None
    assert (got.kind, got.phase, got.fresh_connection_helps) == (kind, phase, fresh_connection_helps)
    assert got.status is None
    assert got.detail.startswith("`local`: ")
    assert "refused" not in got.detail


def test_disconnect_after_the_beginning_of_an_answer() -> None:
    """A kept-alive connection that had begun to answer is no stale one."""
    begun = aiohttp.ServerDisconnectedError(cast("str", object()))
    got = fault_failure(begun, REUSED, "local")
    assert got is not None
    assert not got.fresh_connection_helps


def test_broken_compression_is_malformed() -> None:
    """A reply that cannot be unpacked was not cut, it is wrong."""
    fault = aiohttp.ClientPayloadError("bad")
    fault.__cause__ = http_exceptions.ContentEncodingError("bad")
    got = fault_failure(fault, Progress(is_connected=True, is_answering=True), "local")
    assert got is not None
    assert got.kind is K.MALFORMED_REPLY


@pytest.mark.parametrize("fault", [ValueError("x"), KeyError("x"), RuntimeError("x")])
def test_fault_of_our_own_is_not_hidden(fault: Exception) -> None:
    """What no network raises is not turned into a failure of the provider."""
    assert fault_failure(fault, NEW, "local") is None
