"""The direct lane: OpenAI-compatible endpoints over HTTP.

What can be refused is refused here, before a connection is made: an address outside the endpoint's hosts, a parameter
that it does not take, a key that is not there. The rest is `exchange`, which loads aiohttp with the first call.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.transports.wire import encode, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.ports import Answer, Call, Endpoint, OpenStream
    from modelrouter.transports.exchange import Exchange

__all__ = ["DirectTransport", "Outgoing", "address_of", "read_key"]

ENDPOINTS_HELD: Final = 4096
OPERATION: Final = "chat/completions"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that is ready to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Target:
    """What of an endpoint is the same for every call."""

    endpoint: Endpoint
    url: str
    headers: Mapping[str, str]


class DirectTransport:
    """A `ports.Transport` for endpoints that speak chat completions.

    Connections belong to the running event loop and end with it. Several threads may use one transport, each with
    its own loop. It holds no clock: a `Retry-After` that is a date is measured against the reply's own `Date`.
    """

    def __init__(self) -> None:
        self._held_exchange: Exchange | None = None
        self._guard = threading.Lock()
        self._targets: dict[int, _Target] = {}

    async def send(self, call: Call) -> Answer | Failure:
        """Make a plain attempt."""
        outgoing = self.outgoing(call, stream=False)
        if isinstance(outgoing, Failure):
            return outgoing
        return await self._exchange().send(call, outgoing)

    async def open(self, call: Call) -> OpenStream | Failure:
        """Begin a streaming attempt."""
        outgoing = self.outgoing(call, stream=True)
        if isinstance(outgoing, Failure):
            return outgoing
        return await self._exchange().open(call, outgoing)

    async def close(self) -> None:
        """Close the connections of the running event loop. A later call makes new ones."""
        if self._held_exchange is not None:
            await self._held_exchange.pools.close()

    def abandon(self) -> None:
        """Forget inherited connections without closing them: the child's half of a `fork`."""
        self._guard = threading.Lock()
        if self._held_exchange is not None:
            self._held_exchange.pools.abandon()

    def _exchange(self) -> Exchange:
        return self._held_exchange or self._begin()

    def _begin(self) -> Exchange:
        from modelrouter.transports.exchange import Exchange

        with self._guard:  # first calls of two threads: the connections of a second one would be nobody's to close
            if self._held_exchange is None:
                self._held_exchange = Exchange()
            return self._held_exchange

    def outgoing(self, call: Call, *, stream: bool) -> Outgoing | Failure:
        """The request to send, or why none can be."""
        endpoint = call.endpoint
        if call.timeout_s <= 0:
            return _not_sent(FailureKind.TIMED_OUT, endpoint, "no time is left for it")
        target = self._target(endpoint)
        if isinstance(target, Failure):
            return target
        reason = refuse(call)
        if reason is not None:
            return _not_sent(FailureKind.PORTABILITY, endpoint, reason)
        headers = dict(target.headers)
        if stream:
            headers["Accept"] = "text/event-stream"
            headers["Accept-Encoding"] = "identity"  # compression would hold pieces back
        if endpoint.key is not None:
            key = read_key(endpoint)
            if isinstance(key, Failure):
                return key
            headers[endpoint.key_header] = f"Bearer {key}" if endpoint.key_header.lower() == "authorization" else key
        try:
            body = encode(call, stream=stream)
        except TypeError:  # the writer's own words name what the caller gave, so they are not repeated
            return _not_sent(FailureKind.INVALID_REQUEST, endpoint, "a message or parameter has no form in JSON")
        return Outgoing(target.url, headers, body)

    def _target(self, endpoint: Endpoint) -> _Target | Failure:
        held = self._targets.get(id(endpoint))
        if held is not None and held.endpoint is endpoint:
            return held
        url = address_of(endpoint)
        if isinstance(url, Failure):
            return url
        reserved = {"content-type", "accept", "accept-encoding", "user-agent", endpoint.key_header.lower()}
        headers = {name: value for name, value in endpoint.headers.items() if name.lower() not in reserved}
        headers |= {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "modelrouter",
        }
        if len(self._targets) >= ENDPOINTS_HELD:  # endpoints of configs that a reload has replaced
            self._targets.clear()
        target = self._targets[id(endpoint)] = _Target(endpoint, url, headers)
        return target


def address_of(endpoint: Endpoint) -> str | Failure:
    """The URL to call, or a failure if it is none or leads to a host that the endpoint may not reach."""
    try:
        parts = urlsplit(endpoint.base_url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return _not_sent(FailureKind.UNREACHABLE, endpoint, "`base_url` is no address")
    if parts.scheme not in {"http", "https"} or not host:
        return _not_sent(FailureKind.UNREACHABLE, endpoint, "`base_url` is no http address")
    if parts.username is not None or parts.password is not None:
        return _not_sent(FailureKind.UNREACHABLE, endpoint, "`base_url` holds a user name: a key goes into `key` only")
    allowed = {name.lower().rstrip(".") for name in endpoint.hosts}
    if host not in allowed and f"{host}:{port}" not in allowed:
        return _not_sent(FailureKind.UNREACHABLE, endpoint, f"host `{host}` is not among its hosts")
    path = f"{parts.path.rstrip('/')}/{OPERATION}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def read_key(endpoint: Endpoint) -> str | Failure:
    """The key now. No message shows any of it, nor what the reader of it said."""
    source = endpoint.key
    if source is None:
        return ""
    try:
        key = source.read()
    except Exception as fault:  # noqa: BLE001 - a function of the application may raise anything
        detail = f"its key could not be read from {source.describe()} ({type(fault).__name__})"
        return _not_sent(FailureKind.UNAUTHORIZED, endpoint, detail)
    if not key:
        return _not_sent(FailureKind.UNAUTHORIZED, endpoint, f"its key is missing: {source.describe()} gives none")
    if not (key.isascii() and key.isprintable()):
        detail = f"the key from {source.describe()} holds characters that no header can carry"
        return _not_sent(FailureKind.UNAUTHORIZED, endpoint, detail)
    return key


def _not_sent(kind: FailureKind, endpoint: Endpoint, detail: str) -> Failure:
    return Failure(kind, Phase.NOT_SENT, f"`{endpoint.deployment}`: {detail}")
