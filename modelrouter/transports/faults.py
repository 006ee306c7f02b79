"""What a network does to a call, as failures: the exceptions of aiohttp, ssl and the system. Loads aiohttp."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import client_exceptions, http_exceptions

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.bounded import ReplyTooLongError

__all__ = ["KINDS", "Progress", "fault_failure"]

_K = FailureKind


@dataclass(slots=True)
class Progress:
    """How far a call has come.

    Attributes:
        is_connected: a connection is there, so bytes of the request may have left.
        is_new: the connection was made for this call; else it was kept alive from another.
        is_answering: the reply's headers have come.
    """

    is_connected: bool = False
    is_new: bool = False
    is_answering: bool = False

    @property
    def phase(self) -> Phase:
        """The same in the words of the attempt loop."""
        if self.is_answering:
            return Phase.ANSWERING
        return Phase.SENT if self.is_connected else Phase.NOT_SENT


KINDS: Final[dict[type, tuple[FailureKind, str]]] = {
    # no connection
    aiohttp.ClientConnectorError: (_K.UNREACHABLE, "no connection to the server"),
    aiohttp.ClientConnectorDNSError: (_K.UNREACHABLE, "the server's name is not known"),
    aiohttp.ClientProxyConnectionError: (_K.UNREACHABLE, "no connection to the proxy"),
    aiohttp.ClientHttpProxyError: (_K.UNREACHABLE, "the proxy did not let the connection through"),
    client_exceptions.UnixClientConnectorError: (_K.UNREACHABLE, "no connection to the server's socket"),
    aiohttp.ConnectionTimeoutError: (_K.UNREACHABLE, "no connection to the server in time"),
    aiohttp.ClientConnectorCertificateError: (_K.UNREACHABLE, "the server's certificate is not trusted"),
    aiohttp.ClientConnectorSSLError: (_K.UNREACHABLE, "no TLS connection to the server"),
    aiohttp.ClientSSLError: (_K.UNREACHABLE, "no TLS connection to the server"),
    aiohttp.ServerFingerprintMismatch: (_K.UNREACHABLE, "the server's certificate is not the pinned one"),
    ssl.SSLError: (_K.UNREACHABLE, "the TLS connection broke"),
    # a connection that broke
    aiohttp.ClientConnectionError: (_K.UNREACHABLE, "the connection closed"),
    aiohttp.ClientConnectionResetError: (_K.UNREACHABLE, "the connection was reset"),
    aiohttp.ServerConnectionError: (_K.UNREACHABLE, "the connection closed"),
    aiohttp.ServerDisconnectedError: (_K.UNREACHABLE, "the server closed the connection without an answer"),
    aiohttp.ClientOSError: (_K.UNREACHABLE, "the connection broke"),
    aiohttp.UploadAbortedError: (_K.UNREACHABLE, "the request could not be sent whole"),
    OSError: (_K.UNREACHABLE, "the connection broke"),
    # time
    aiohttp.ServerTimeoutError: (_K.TIMED_OUT, "no answer in time"),
    aiohttp.SocketTimeoutError: (_K.TIMED_OUT, "no answer in time"),
    TimeoutError: (_K.TIMED_OUT, "no answer in time"),
    # a reply that is none
    aiohttp.ClientPayloadError: (_K.TRUNCATED, "the reply broke off"),
    aiohttp.ClientResponseError: (_K.MALFORMED_REPLY, "the reply is not HTTP"),
    aiohttp.ContentTypeError: (_K.MALFORMED_REPLY, "the reply has another content type"),
    aiohttp.WSServerHandshakeError: (_K.MALFORMED_REPLY, "the reply is no HTTP answer"),
    aiohttp.WSMessageTypeError: (_K.MALFORMED_REPLY, "the reply is no HTTP answer"),
    aiohttp.ClientError: (_K.UNREACHABLE, "the call failed on the network"),
    http_exceptions.HttpProcessingError: (_K.MALFORMED_REPLY, "the reply is not HTTP"),
    ReplyTooLongError: (_K.MALFORMED_REPLY, "the reply is longer than is read"),
    # an address that is none: config refuses these, and the call reports them all the same
    aiohttp.InvalidURL: (_K.UNREACHABLE, "`base_url` is no address"),
    aiohttp.InvalidUrlClientError: (_K.UNREACHABLE, "`base_url` is no address"),
    aiohttp.NonHttpUrlClientError: (_K.UNREACHABLE, "`base_url` is no http address"),
    aiohttp.RedirectClientError: (_K.UNREACHABLE, "a redirect, which is never followed"),
    aiohttp.InvalidUrlRedirectClientError: (_K.UNREACHABLE, "a redirect, which is never followed"),
    aiohttp.NonHttpUrlRedirectClientError: (_K.UNREACHABLE, "a redirect, which is never followed"),
    aiohttp.TooManyRedirects: (_K.UNREACHABLE, "a redirect, which is never followed"),
}
"""Each class by itself; a subclass that is not listed goes by its nearest listed base. A test holds this list against
what the installed aiohttp has."""

DISCONNECTS: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)
"""How a kept-alive connection that the server has closed shows itself. TLS errors are `ClientOSError` too, see
below."""


def fault_failure(fault: Exception, progress: Progress, deployment: str) -> Failure | None:
    """An exception as a failure; None for one that no network raises, which is a fault of our own.

    Once the reply has begun, a broken connection is a truncated reply, whatever it is called.
    """
    entry = next((KINDS[base] for base in type(fault).__mro__ if base in KINDS), None)
    if entry is None:
        return None
    kind, detail = entry
    if progress.is_answering and kind is _K.UNREACHABLE:
        kind, detail = _K.TRUNCATED, "the reply broke off"
    if isinstance(fault, aiohttp.ClientPayloadError) and isinstance(
        fault.__cause__, http_exceptions.ContentEncodingError
    ):
        kind, detail = _K.MALFORMED_REPLY, "the reply's compression is broken"
    phase = progress.phase
    if isinstance(fault, aiohttp.ClientResponseError) and not isinstance(fault, aiohttp.ClientHttpProxyError):
        phase = Phase.ANSWERING
    return Failure(
        kind, phase, f"`{deployment}`: {detail}", fresh_connection_helps=_is_stale_connection(fault, progress)
    )


def _is_stale_connection(fault: Exception, progress: Progress) -> bool:
    """Whether a kept-alive connection was gone before a byte of the answer came."""
    if not progress.is_connected or progress.is_new or progress.is_answering or not isinstance(fault, DISCONNECTS):
        return False
    if isinstance(fault, aiohttp.ServerDisconnectedError):
        return isinstance(fault.message, str)  # else it holds the beginning of an answer
    return not isinstance(fault, ssl.SSLError)
