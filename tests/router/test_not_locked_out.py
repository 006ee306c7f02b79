"""Reserved money comes back: many calls at once on a budget that holds few bounds, over a real connection and book."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from modelrouter import BudgetBusyError, Router
from modelrouter.core.money import usd_from_nano
from modelrouter.testing import MemoryLedger
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter import Position, Reply
    from modelrouter.core.request import JSON
    from modelrouter.ports import LedgerStore

TASKS = 64
TOGETHER = 10
INPUT_TOKENS, OUTPUT_TOKENS = 40, 12
COST = INPUT_TOKENS * 50 + OUTPUT_TOKENS * 200
"""Of one call, in nano-dollars, at the price of `Served`."""
ASK = "hi"


class CountingServer(LoopbackServer):
    """Answers every call alike; the first few only when they are all there.

    Attributes:
        answered: how many calls were answered.
        most: how many were in flight at once, at most.
    """

    def __init__(self, together: int) -> None:
        super().__init__()
        self.answered = 0
        self.most = 0
        self._together = together
        self._in_flight = 0
        self._all_there: asyncio.Event | None = None

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request of one connection."""
        if self._all_there is None:
            self._all_there = asyncio.Event()
        while first := await reader.read(1):
            await self.request(reader, first)
            self._in_flight += 1
            self.most = max(self.most, self._in_flight)
            if self.most >= self._together:
                self._all_there.set()
            await self._all_there.wait()
            self._in_flight -= 1
            self.answered += 1
            writer.write(_response())
            await writer.drain()


def _response() -> bytes:
    message: JSON = {"role": "assistant", "content": "as always"}
    body = json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": "smollm2-135m-instruct",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": INPUT_TOKENS,
                "completion_tokens": OUTPUT_TOKENS,
                "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            },
        }
    ).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def written(folder: Path, server: CountingServer, budgets: str = "", ledger: str = "") -> Path:
    """A config whose calls state no output limit: their bound is that of the route's default, far above their cost."""
    routes = "  ask: {try: [one], output_tokens: {default: 1500, min: 10}}"
    config = write_config(folder, [Served("one", server.base_url)], routes, top=budgets)
    if ledger:
        config.write_text(config.read_text().replace("sqlite:///book.db", f"'{ledger}'"))
    return config


def bound_of(folder: Path, server: CountingServer) -> int:
    """What one call reserves."""
    with Router.from_config(written(folder, server), ledger=MemoryLedger()) as router:
        return router.explain("ask", ASK).permitted[0].bound.nano_usd


def budget(folder: Path, server: CountingServer, waits: str, ledger: str = "") -> tuple[int, Path]:
    """A config with a budget that covers ten bounds and all real costs; its limit."""
    most = bound_of(folder, server)
    assert most > TASKS * COST, "an eleventh bound would fit, and the test would show nothing"
    limit = TOGETHER * most + TASKS * COST
    usd = f"{usd_from_nano(limit):f}"
    budgets = f"budgets: {{all: {{usd: {usd}, window: total, when_reserved: {waits}}}}}"
    return limit, written(folder, server, budgets, ledger)


async def ask_all(config: Path, ledger: LedgerStore | None) -> tuple[list[Reply | BaseException], Position]:
    """All tasks at once; what each came to, and where the budget stands afterwards."""
    async with Router.from_config(config, ledger=ledger) as router:
        tasks = [router.acomplete("ask", ASK) for _ in range(TASKS)]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        (position,) = await asyncio.to_thread(router.budgets)
    return found, position


@pytest.mark.parametrize("book", ["memory", "sqlite", "postgres"])
async def test_nobody_is_locked_out_by_money_that_nobody_spends(
    tmp_path: Path, book: str, request: pytest.FixtureRequest
) -> None:
    """Ten calls fit at once, the others wait their turn, and all sixty-four are answered within the limit."""
    ledger: str = request.getfixturevalue("book_url") if book == "postgres" else ""
    with CountingServer(TOGETHER) as server:
        limit, config = budget(tmp_path, server, "{wait_s: 60}", ledger)
        found, position = await ask_all(config, MemoryLedger() if book == "memory" else None)
    assert [each for each in found if isinstance(each, BaseException)] == []
    assert (server.answered, server.most) == (TASKS, TOGETHER)
    assert (position.balance.settled, position.balance.reserved) == (TASKS * COST, 0)
    assert position.balance.used <= limit


@pytest.mark.parametrize("book", ["memory", "sqlite"])
async def test_without_waiting_the_others_are_told_that_it_is_busy(tmp_path: Path, book: str) -> None:
    """The same sixty-four, none of which may wait: those beyond the ten that fit fail at once, and retryably."""
    with CountingServer(TOGETHER) as server:
        _, config = budget(tmp_path, server, "refuse")
        found, position = await ask_all(config, MemoryLedger() if book == "memory" else None)
    refused = [each for each in found if isinstance(each, BudgetBusyError)]
    assert server.most == TOGETHER
    assert 0 < len(refused) <= TASKS - TOGETHER
    assert server.answered == TASKS - len(refused)
    assert position.balance.settled == server.answered * COST
