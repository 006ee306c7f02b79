"""Something between a client and a PostgreSQL server that loses the connection right round a commit.

It forwards bytes, and reads the client's messages on the way, so that it knows when a COMMIT is about to be run by the
name of a prepared statement (postgresql.org/docs/current/protocol-message-formats.html).
"""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Cut", "Proxy"]

CHUNK = 1 << 16


class Cut(enum.Enum):
    """Where to lose the connection."""

    BEFORE = "the commit never reaches the server"
    AFTER = "the server has committed, and its answer never comes back"


class Proxy:
    """Listens on a port of this machine while its block runs.

    Attributes:
        cuts: how many connections have been lost on purpose.
        refuses: whether new connections are closed at once, as by a server that is down.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.cuts = 0
        self.refuses = False
        self._next: tuple[Cut, bool] | None = None
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def cut(self, where: Cut, *, then_refuse: bool = False) -> None:
        """Lose the connection of the next commit, once; and be down from then on, where that is wanted."""
        self._next = where, then_refuse

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._begin(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End all connections, then all threads."""
        with contextlib.suppress(OSError):  # wakes `accept`
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._target))
            except OSError:
                client.close()
                server.close()
                continue
            self._open += [client, server]
            self._begin(self._forward, client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        reader = _Messages()
        lost = False  # the client hears nothing any more
        with client, server, contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if server in ready:
                    answer = server.recv(CHUNK)
                    if lost and b"COMMIT\0" in answer:
                        return
                    if not answer:
                        return
                    if not lost:
                        client.sendall(answer)
                if client in ready:
                    asked = client.recv(CHUNK)
                    if not asked:
                        return
                    if reader.commits(asked) and self._next is not None:
                        (where, self.refuses), self._next = self._next, None
                        self.cuts += 1
                        if where is Cut.BEFORE:
                            return
                        lost = True
                    server.sendall(asked)


class _Messages:
    """The messages of one client, put together from pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_begun = False
        self._commits: set[bytes] = set()

    def commits(self, piece: bytes) -> bool:
        """Whether this piece has a commit run."""
        self._rest += piece
        found = False
        while True:
            head = 1 if self._has_begun else 0  # the first message has no kind
            if len(self._rest) < head + 4:
                return found
            (length,) = struct.unpack_from("!I", self._rest, head)
            if len(self._rest) < head + length:
                return found
            kind, body = self._rest[:head], self._rest[head + 4 : head + length]
            self._rest = self._rest[head + length :]
            self._has_begun = True
            parts = body.split(b"\0")
            if kind == b"P" and parts[1] == b"COMMIT":  # name, statement, types
                self._commits.add(parts[0])
            if kind == b"B" and parts[1] in self._commits:  # portal, name, values
                found = True
