"""The litellm lane's connections, kept alive for each event loop and gone with it. Loads httpx.

A loop's connections are closed by `Connections.close` or, where nobody calls that, when the loop ends: each keeps an
asynchronous generator alive in its loop, and `asyncio.run` closes those before it closes the loop.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import TYPE_CHECKING, Final, TypeAlias

import httpx

from modelrouter.ports import TLS
from modelrouter.transports.pool import KEEP_ALIVE_S, tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from modelrouter.ports import Call

__all__ = ["Connections"]

_ABANDONED: Final[list[object]] = []
"""What a forked child inherited. It is never let go of: its destructors would reach into the parent's sockets."""

SETTLING_TURNS: Final = 8
"""Turns of the loop in which what litellm has begun in the background comes to its end: its tasks await nothing."""

_Key: TypeAlias = tuple[TLS, str | None, bool, bool]


class _Here:
    """The connections of one event loop. Used on that loop only."""

    def __init__(self) -> None:
        self.transports: dict[_Key, httpx.AsyncHTTPTransport] = {}
        self.keeper: AsyncGenerator[None, None] | None = None
        self.is_open = True

    def start(self) -> None:
        """Tie this to the running loop."""
        self.keeper = self._keep_until_closed()
        try:
            self.keeper.__anext__().send(None)  # runs to its `yield` without the loop's help
        except StopIteration:
            return

    async def _keep_until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.is_open = False
            transports, self.transports = self.transports, {}
            for transport in transports.values():
                await transport.aclose()
            for _ in range(SETTLING_TURNS):
                await asyncio.sleep(0)


class Connections:
    """The connections of each running loop. Threads may use it at the same time, each with its own loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_loop: dict[asyncio.AbstractEventLoop, _Here] = {}
        self._contexts: dict[TLS, ssl.SSLContext] = {}

    def for_call(self, call: Call) -> httpx.AsyncHTTPTransport:
        """What carries a call: no proxy but the endpoint's, nothing from the environment, no retry.

        Raises:
            OSError: a TLS file is missing or cannot be read.
        """
        endpoint = call.endpoint
        is_plain = endpoint.base_url.startswith("http://") and endpoint.proxy is None
        key = (endpoint.tls, endpoint.proxy, call.fresh_connection, is_plain)
        here = self._here()
        transport = here.transports.get(key)
        if transport is None:
            kept = 0 if call.fresh_connection else None
            transport = here.transports[key] = httpx.AsyncHTTPTransport(
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else self._context(endpoint.tls),
                trust_env=False,
                proxy=endpoint.proxy,
                retries=0,
                limits=httpx.Limits(
                    max_connections=None, max_keepalive_connections=kept, keepalive_expiry=KEEP_ALIVE_S
                ),
            )
        return transport

    async def close(self) -> None:
        """Close the running loop's connections. A later call makes new ones."""
        here = self._by_loop.pop(asyncio.get_running_loop(), None)
        if here is not None and here.keeper is not None:
            await here.keeper.aclose()

    def abandon(self) -> None:
        """Forget all without closing them: the child's half of a `fork`."""
        inherited, self._by_loop = self._by_loop, {}
        self._lock = threading.Lock()
        _ABANDONED.append(inherited)

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        here = self._by_loop.get(loop)
        if here is None or not here.is_open:
            here = _Here()
            with self._lock:
                for ended in [each for each in self._by_loop if each.is_closed()]:
                    del self._by_loop[ended]
                self._by_loop[loop] = here
            here.start()
        return here

    def _context(self, tls: TLS) -> ssl.SSLContext:
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts.setdefault(tls, tls_context(tls))
        return context
