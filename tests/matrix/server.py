"""A provider on loopback that plays one fault on each of its ports, and keeps its own account of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import orjson
import trustme

from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Sequence
    from types import TracebackType

    from tests.matrix.faults import Case

__all__ = ["Account", "Peer", "Provider", "asked"]

SOON_S: Final = 5.0
SEEN_AFTER_S: Final = 1.6
"""When it is looked which connections are still open: later than a finished stream may linger."""


@dataclass(slots=True)
class Account:
    """What the provider has seen of one cell.

    Attributes:
        requests: how many came whole.
        open_now: connections of this case that are open.
        open_later: those that were still open a while after the call; None until then.
        billed: input and output tokens of each request, as the provider would bill them.
    """

    requests: int = 0
    open_now: int = 0
    open_later: int | None = None
    billed: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Peer:
    """One connection on which one request has come, as a play of a fault sees it.

    Attributes:
        echo: the key and the prompt of the request, as a provider's error text quotes them.
        number: which request to this port it is, from 1.
        wants_stream: it asks for a stream.
        trap_url: an address that nobody is permitted to call.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    echo: str = ""
    number: int = 0
    wants_stream: bool = False
    trap_url: str = ""

    async def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(content)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


class Provider(LoopbackServer):
    """Listens on a port for each case; use it in a `with`. Its own first port is a trap that nobody may call.

    Attributes:
        urls: of each case, by its number.
        accounts: of each case, begun anew by `begin`.
        echoed: all that requests held of key and prompts.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__()
        self._cases = cases
        self.urls: list[str] = []
        self.echoed = ""
        self.accounts = [Account() for _ in cases]
        self._numbers = [0 for _ in cases]
        self._untrusted = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(self._untrusted)
        self._sockets = contextlib.ExitStack()
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        super().__enter__()
        ready = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        self.urls = ready.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._sockets.close()

    def begin(self, index: int) -> None:
        """Begin the account of a case anew; what went before does not count."""
        self.accounts[index] = Account(open_now=self.accounts[index].open_now)

    def look_later(self, index: int) -> concurrent.futures.Future[Account]:
        """The account of a case after a while, when it is known which connections stay open."""

        async def look() -> Account:
            await asyncio.sleep(SEEN_AFTER_S)  # what is looked for is what does not happen in this time
            account = self.accounts[index]
            account.open_later = account.open_now
            return account

        return asyncio.run_coroutine_threadsafe(look(), self._loop)

    def open_soon(self) -> int:
        """How many connections are open, once those that were closed have been seen to be."""
        ends_s = time.monotonic() + SOON_S
        while (count := sum(account.open_now for account in self.accounts)) and time.monotonic() < ends_s:
            time.sleep(0.01)
        return count

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The trap: nothing is said."""

    async def _listen(self) -> list[str]:
        return [await self._place(index, case) for index, case in enumerate(self._cases)]

    async def _place(self, index: int, case: Case) -> str:
        if case.place == "refused":
            return f"http://127.0.0.1:{self._bound().getsockname()[1]}/v1"
        if case.place == "full":
            return f"http://127.0.0.1:{self._full()}/v1"
        tls = self._untrusted if case.place == "untrusted" else None
        server = await asyncio.start_server(
            lambda reader, writer: self._accepted(index, case, reader, writer), "127.0.0.1", 0, ssl=tls
        )
        self._servers.append(server)
        scheme = "https" if case.place in {"no tls", "untrusted"} else "http"
        return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        await super()._end()

    def _bound(self) -> socket.socket:
        """A port that is taken and on which nobody listens."""
        bound = self._sockets.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        return bound

    def _full(self) -> int:
        """A port whose queue of connections is full: further ones get no answer."""
        listening = self._bound()
        listening.listen(0)
        for _ in range(4):
            waiting = self._sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        port: int = listening.getsockname()[1]
        return port

    async def _accepted(
        self, index: int, case: Case, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accounts[index].open_now += 1
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await self._serve_case(index, case, Peer(reader, writer))
        await self._let_go(writer)
        self.accounts[index].open_now -= 1

    async def _serve_case(self, index: int, case: Case, peer: Peer) -> None:
        """Play the case for each request of a connection, until a play ends it."""
        peer.trap_url = self.base_url
        while True:
            if not case.reads:
                await case.play(peer)
                return
            peer.echo, peer.wants_stream = await asked(peer.reader)
            self.echoed = self.echoed if peer.echo in self.echoed else f"{self.echoed}\n{peer.echo}"
            account = self.accounts[index]
            self._numbers[index] += 1
            peer.number = self._numbers[index]
            account.requests += 1
            account.billed.append(case.bills)
            if not await case.play(peer):
                return


async def asked(reader: asyncio.StreamReader) -> tuple[str, bool]:
    """Read a request: what it holds of key and prompt, in one line, and whether it asks for a stream."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    rows = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in head.split("\r\n"))}
    body: Any = orjson.loads(await reader.readexactly(int(rows["content-length"])))
    texts = [str(message["content"]) for message in body["messages"]]
    echo = f"{rows.get('authorization', '')} said {' and '.join(texts)} {body.get('stop', '')}"
    return echo, bool(body.get("stream"))
