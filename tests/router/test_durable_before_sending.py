"""The reservation is in the database file before the first byte of its request reaches the server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = 32


class CheckingServer(LoopbackServer):
    """On the first byte of each request it reads which calls are reserved; then it reads which call this is.

    Attributes:
        missing: calls whose reservation was not in the file at that moment.
        seen: calls that came.
    """

    def __init__(self, book: Path) -> None:
        super().__init__()
        self.missing: list[str] = []
        self.seen: list[str] = []
        self._book = book

    def _reserved(self) -> set[str]:
        connection = sqlite3.connect(f"file:{self._book}?mode=ro", uri=True)
        try:
            rows = connection.execute(
                "select calls.request_id from calls join entries on entries.call_id = calls.call_id "
                "where entries.kind = 'reserve'"
            ).fetchall()
        finally:
            connection.close()
        return {request_id for (request_id,) in rows}

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after another."""
        while first := await reader.read(1):
            reserved = self._reserved()
            body = json.loads(await self.request(reader, first))
            call = body["messages"][0]["content"]
            self.seen.append(call)
            if call not in reserved:
                self.missing.append(call)
            message = {"role": "assistant", "content": "yes"}
            answer = {
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 1},
            }
            content = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(f"content-length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()


@pytest.mark.parametrize("calls", [100, pytest.param(1000, marks=pytest.mark.long)])
async def test_reserved_before_the_first_byte(tmp_path: Path, calls: int) -> None:
    """Many calls, many at once: at the first byte of each, its own reservation is already in the file."""
    gate = asyncio.Semaphore(AT_ONCE)
    with CheckingServer(tmp_path / "book.db") as server:
        config = write_config(tmp_path, [Served("checker", server.base_url)], "  ask: {try: [checker]}")
        async with Router.from_config(config) as router:

            async def ask(name: str) -> None:
                async with gate:
                    await router.acomplete("ask", name, request_id=name)

            await asyncio.gather(*(ask(f"call-{number}") for number in range(calls)))
    assert sorted(server.seen) == sorted(f"call-{number}" for number in range(calls))
    assert server.missing == []
