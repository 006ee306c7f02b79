"""The network half of the direct lane: one HTTP request, and what came of it. Loads aiohttp."""

from __future__ import annotations

import asyncio
import io
import math
from typing import TYPE_CHECKING, Final

import aiohttp

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.bounded import ReplyTooLongError
from modelrouter.transports.faults import Progress, fault_failure
from modelrouter.transports.pool import PROGRESS, Pools
from modelrouter.transports.reply import decode
from modelrouter.transports.stream import Stream

if TYPE_CHECKING:
    from modelrouter.ports import Answer, Call, Endpoint, OpenStream
    from modelrouter.transports.direct import Outgoing
    from modelrouter.transports.pool import Pool

__all__ = ["CLOSING_SERVERS", "NO_STREAM", "Exchange"]

LARGE_BODY_BYTES: Final = 1024 * 1024
"""Above this aiohttp wants a file-like body, which it writes in pieces."""

CLOSING_SERVERS: Final = frozenset({"llama.cpp"})
"""Servers that close the connection after a stream although they announce to keep it (`Server` header). Reusing such a
connection is a race that the server wins: https://github.com/ggml-org/llama.cpp serves streams this way."""


NO_STREAM: Final = frozenset({"application/json", "text/html"})
"""Content types of what is certainly no stream: an answer or an error in one piece, the page of a portal or proxy."""


class Exchange:
    """Makes calls with the running loop's connections."""

    def __init__(self) -> None:
        self._closing: set[str] = set()  # addresses whose server closes after each stream
        self.pools = Pools()

    async def send(self, call: Call, outgoing: Outgoing) -> Answer | Failure:
        """Make a plain call."""
        reply: aiohttp.ClientResponse | None = None
        progress = Progress()
        PROGRESS.set(progress)
        try:
            session = self._session(self.pools.here(), call, fresh=call.fresh_connection)
            if isinstance(session, Failure):
                return session
            reply = await self._post(session, call, outgoing, total_s=call.timeout_s)
            progress.is_answering = True
            body = await self._read(reply, call.endpoint.reply_bytes_max)
        except Exception as fault:  # noqa: BLE001 - raised again there unless a network raises it
            return self._failed(fault, progress, call.endpoint, reply)
        return decode(call.endpoint, reply.status, reply.headers, body)

    async def open(self, call: Call, outgoing: Outgoing) -> OpenStream | Failure:
        """Begin a stream: wait for the reply's headers, and for the body where it is no stream."""
        reply: aiohttp.ClientResponse | None = None
        progress = Progress()
        PROGRESS.set(progress)
        first_deadline_s = asyncio.get_running_loop().time() + call.first_content_s
        pool = self.pools.here()
        try:
            session = self._session(pool, call, fresh=call.fresh_connection or outgoing.url in self._closing)
            if isinstance(session, Failure):
                return session
            async with asyncio.timeout_at(first_deadline_s):
                reply = await self._post(session, call, outgoing, total_s=None)
                progress.is_answering = True
                if reply.status != 200 or reply.content_type in NO_STREAM:
                    body = await self._read(reply, call.endpoint.reply_bytes_max)
                    return self._no_stream(call.endpoint, reply, body)
        except Exception as fault:  # noqa: BLE001 - raised again there unless a network raises it
            return self._failed(fault, progress, call.endpoint, reply)
        if reply.headers.get("Server") in CLOSING_SERVERS:
            self._expect_close(reply, outgoing.url)
        pool.keep(reply)
        return Stream(
            reply,
            pool,
            call.endpoint,
            first_s=call.first_content_s,
            between_s=call.next_chunk_s,
            first_deadline_s=first_deadline_s,
        )

    def _session(self, pool: Pool, call: Call, *, fresh: bool) -> aiohttp.ClientSession | Failure:
        try:
            return pool.session(call.endpoint.tls, fresh=fresh)
        except OSError as fault:
            tls = call.endpoint.tls
            files = ", ".join(f"`{path}`" for path in (tls.ca_file, tls.client_certificate, tls.client_key) if path)
            detail = f"`{call.endpoint.deployment}`: TLS cannot be set up from {files} ({type(fault).__name__})"
            return Failure(FailureKind.UNREACHABLE, Phase.NOT_SENT, detail)

    async def _post(
        self, session: aiohttp.ClientSession, call: Call, outgoing: Outgoing, *, total_s: float | None
    ) -> aiohttp.ClientResponse:
        body = outgoing.body
        return await session.post(
            outgoing.url,
            data=body if len(body) <= LARGE_BODY_BYTES else io.BytesIO(body),
            headers=outgoing.headers,
            allow_redirects=False,
            proxy=call.endpoint.proxy,
            timeout=aiohttp.ClientTimeout(total=total_s, connect=call.connect_s, ceil_threshold=math.inf),
        )

    async def _read(self, reply: aiohttp.ClientResponse, bytes_max: int) -> bytes:
        """The whole body.

        Raises:
            ReplyTooLongError: it is longer.
        """
        try:
            length = reply.content_length
            if length is not None and length <= bytes_max and "Content-Encoding" not in reply.headers:
                return await reply.read()
            pieces: list[bytes] = []
            left = bytes_max
            while piece := await reply.content.readany():
                left -= len(piece)
                _check_length(left)
                pieces.append(piece)
            return b"".join(pieces)
        except BaseException:
            reply.close()
            raise

    def _no_stream(self, endpoint: Endpoint, reply: aiohttp.ClientResponse, body: bytes) -> Failure:
        """What a reply is that should have been a stream: an error, or an answer in a form nobody asked for."""
        decoded = decode(endpoint, reply.status, reply.headers, body)
        if isinstance(decoded, Failure):
            return decoded
        detail = "answered in one piece where a stream was asked for"
        return Failure(FailureKind.MALFORMED_REPLY, Phase.ANSWERING, detail, status=reply.status, usage=decoded.usage)

    def _expect_close(self, reply: aiohttp.ClientResponse, url: str) -> None:
        """Keep this connection from being used again, and later streams to this address on connections of their own."""
        self._closing.add(url)
        if reply.connection is not None and reply.connection.protocol is not None:
            reply.connection.protocol.force_close()

    def _failed(
        self, fault: Exception, progress: Progress, endpoint: Endpoint, reply: aiohttp.ClientResponse | None
    ) -> Failure:
        """The failure that an exception is; an error status that was read counts more than a body that broke off.

        Raises:
            Exception: the one given, where no network raises it.
        """
        failure = fault_failure(fault, progress, endpoint.deployment)
        if failure is None:
            raise fault
        if reply is not None and not 200 <= reply.status < 300:
            decoded = decode(endpoint, reply.status, reply.headers, b"")
            return decoded if isinstance(decoded, Failure) else failure
        return failure


def _check_length(left_bytes: int) -> None:
    if left_bytes < 0:
        raise ReplyTooLongError
