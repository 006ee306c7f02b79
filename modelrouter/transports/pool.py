"""Connections, kept alive for each event loop and gone with it. Loads aiohttp.

A pool is closed by `Pools.close` or, where nobody calls that, when its loop ends: it keeps an asynchronous generator
alive in the loop, and `asyncio.run` closes those (`loop.shutdown_asyncgens`) before it closes the loop.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp.client import ClientTimeout
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from modelrouter.ports import TLS
    from modelrouter.transports.faults import Progress

__all__ = ["PROGRESS", "Pool", "Pools", "tls_context"]

PROGRESS: Final[ContextVar[Progress]] = ContextVar("modelrouter_progress")
"""The call that this task is making; the connector notes in it how far it has come."""

KEEP_ALIVE_S: Final = 15.0
LINGER_S: Final = 1.0
"""How long a finished stream may take to end its HTTP reply, so that its connection can be used again."""

_ABANDONED: Final[list[object]] = []
"""What a forked child inherited. It is never let go of: its destructors would reach into the parent's sockets."""


class _Connector(aiohttp.TCPConnector):
    """A connector that notes whether a call's connection is new, and that can be forgotten without closing."""

    async def connect(  # the signature is aiohttp's
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        PROGRESS.get().is_connected = True
        return connection

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        PROGRESS.get().is_new = True
        return await super()._create_connection(req, traces, timeout)

    def forget(self) -> None:
        """Take this as closed and touch nothing."""
        self._closed = True


def tls_context(tls: TLS) -> ssl.SSLContext:
    """How to trust a server and be trusted by it, as the ssl module wants it.

    Raises:
        OSError: a file is missing or cannot be read. `ssl.SSLError`, when it holds no certificate or key, is one too.
    """
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.client_certificate is not None:
        context.load_cert_chain(tls.client_certificate, tls.client_key)
    return context


class Pool:
    """The connections of one event loop. Used on that loop only."""

    def __init__(self, contexts: dict[TLS, ssl.SSLContext], on_close: Callable[[], object]) -> None:
        self._contexts = contexts
        self._on_close = on_close
        self._sessions: dict[tuple[TLS, bool], aiohttp.ClientSession] = {}
        self._replies: set[aiohttp.ClientResponse] = set()
        self._keeper: AsyncGenerator[None, None] | None = None

    def session(self, tls: TLS, *, fresh: bool) -> aiohttp.ClientSession:
        """The session for a TLS setting.

        Args:
            tls: how to trust and be trusted.
            fresh: one that makes a new connection for every call.

        Raises:
            OSError: as `tls_context`.
        """
        session = self._sessions.get((tls, fresh))
        if session is None:
            session = self._sessions[tls, fresh] = self._new_session(tls, fresh=fresh)
        return session

    def _new_session(self, tls: TLS, *, fresh: bool) -> aiohttp.ClientSession:
        trust: ssl.SSLContext | bool = True
        if tls.ca_file is not None or tls.client_certificate is not None:
            held = self._contexts.get(tls)
            trust = self._contexts.setdefault(tls, tls_context(tls)) if held is None else held
        connector = _Connector(ssl=trust, limit=0, force_close=fresh, keepalive_timeout=None if fresh else KEEP_ALIVE_S)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=True
        )

    def keep(self, reply: aiohttp.ClientResponse) -> None:
        """Remember a reply that is being read, so that it does not outlive the pool."""
        self._replies.add(reply)

    def drop(self, reply: aiohttp.ClientResponse) -> None:
        """Close a reply and its connection at once."""
        self._replies.discard(reply)
        reply.close()

    def linger(self, reply: aiohttp.ClientResponse) -> None:
        """Let a reply whose answer is complete come to its end by itself, for a moment."""
        if reply.closed:
            self._replies.discard(reply)
        else:
            asyncio.get_running_loop().call_later(LINGER_S, self.drop, reply)

    def start(self) -> None:
        """Tie the pool to the running loop."""
        self._keeper = self._keep_until_closed()
        try:
            self._keeper.__anext__().send(None)  # runs to its `yield` without the loop's help
        except StopIteration:
            return

    async def _keep_until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._on_close()
            for reply in tuple(self._replies):
                self.drop(reply)
            sessions, self._sessions = self._sessions, {}
            for session in sessions.values():
                await session.close()
            await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn

    async def close(self) -> None:
        """Close all connections. A later call begins anew."""
        if self._keeper is not None:
            await self._keeper.aclose()

    def forget(self) -> None:
        """Let go of everything without closing it."""
        for session in self._sessions.values():
            connector = session.connector
            session.detach()
            if isinstance(connector, _Connector):
                connector.forget()


class Pools:
    """The pool of each running loop. Threads may use it at the same time, each with its own loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_loop: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._contexts: dict[TLS, ssl.SSLContext] = {}

    def here(self) -> Pool:
        """The running loop's pool."""
        return self._by_loop.get(asyncio.get_running_loop()) or self._begin()

    def _begin(self) -> Pool:
        loop = asyncio.get_running_loop()
        pool = Pool(self._contexts, partial(self._by_loop.pop, loop, None))
        with self._lock:
            for ended in [each for each in self._by_loop if each.is_closed()]:
                self._by_loop.pop(ended).forget()
            self._by_loop[loop] = pool
        pool.start()
        return pool

    async def close(self) -> None:
        """Close the running loop's pool."""
        pool = self._by_loop.get(asyncio.get_running_loop())
        if pool is not None:
            await pool.close()

    def abandon(self) -> None:
        """Forget all pools without closing them: the child's half of a `fork`."""
        inherited, self._by_loop = self._by_loop, {}
        self._lock = threading.Lock()
        for pool in inherited.values():
            pool.forget()
        _ABANDONED.append(inherited)
