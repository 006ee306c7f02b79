"""Many calls at once, from tasks, threads, loops and forked processes, over a dead, a slow and a real server."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest
from aiohttp import web

from modelrouter import Router
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_model import LocalModel

CALLS = 200
CHILD_EXIT_S = 120


def refused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class SlowServer:
    """A chat endpoint that takes a while, in a thread of its own so that it outlives the loops under test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(0.2)  # this server is slow: that is what it is for
        message = {"role": "assistant", "content": "slowly, but surely"}
        return web.json_response(
            {
                "id": "slow",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 17, "completion_tokens": 5, "total_tokens": 22},
            }
        )

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app)
        self._loop.run_until_complete(self._runner.setup())
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    """A slow server for one test."""
    server = SlowServer()
    yield server
    server.stop()


@pytest.fixture
def config(tmp_path: Path, local_model: LocalModel, slow_server: SlowServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dead server first, then a slow one and the real one, sharing."""
    monkeypatch.setenv("LOCAL_KEY", local_model.key)
    served = [
        Served("dead", f"http://127.0.0.1:{refused_port()}/v1"),
        Served("slow", slow_server.base_url),
        Served("real", local_model.base_url, name=local_model.name, key="LOCAL_KEY"),
    ]
    routes = "  talk: {try: [dead, {split: {slow: 70, real: 30}}], output_tokens: {default: 4}}"
    return write_config(tmp_path, served, routes)


def booked(config: Path) -> tuple[int, int, int]:
    """Settled and uncertain nano-dollars, open reservations: from the file, after everybody has closed."""
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    ledger = open_ledger(f"sqlite:///{config.parent / 'book.db'}", SystemClock())
    rows = ledger.spend(by="deployment")
    ledger.close(10)
    return (
        sum(row.settled_nano_usd for row in rows),
        sum(row.uncertain_nano_usd for row in rows),
        sum(row.reserved_nano_usd for row in rows),
    )


def open_sockets() -> set[int]:
    """Descriptors of the connections that this process has made; those its own test server accepted are not ours."""
    connections = psutil.Process().net_connections(kind="tcp")
    listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return {each.fd for each in connections if each.laddr.port not in listening}


async def ask_all(router: Router, count: int) -> int:
    """Ask `count` times at once; the sum of what the replies say they cost."""
    replies = await asyncio.gather(*(router.acomplete("talk", f"Say hello, number {each}.") for each in range(count)))
    assert all(reply.deployment in {"slow", "real"} for reply in replies)
    return sum(reply.cost_nano_usd for reply in replies)


async def test_200_tasks_all_answer_and_the_book_adds_up(config: Path) -> None:
    """200 concurrent `acomplete` fall past the dead server; ledger and replies agree to the last digit."""
    async with Router.from_config(config) as router:
        first = await router.acomplete("talk", "Say hello.")
        assert first.attempts[0].deployment == "dead"
        total = first.cost_nano_usd + await ask_all(router, CALLS)
    settled, uncertain, reserved = booked(config)
    assert settled + uncertain == total > 0
    assert reserved == 0


def test_200_sync_calls_from_16_threads(config: Path) -> None:
    """200 `complete` from 16 threads do the same through the Router's own loop."""
    with Router.from_config(config) as router, ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(lambda each: router.complete("talk", f"Say hello, number {each}."), range(CALLS)))
        total = sum(reply.cost_nano_usd for reply in replies)
    assert booked(config) == (total, 0, 0)


def test_three_loops_in_a_row(config: Path) -> None:
    """Three `asyncio.run` use one Router; each loop takes its connections with it."""
    before = open_sockets()
    with Router.from_config(config) as router:
        total = sum(asyncio.run(ask_all(router, 10)) for _ in range(3))
        assert open_sockets() <= before
    assert booked(config) == (total, 0, 0)


def test_sync_calls_work_under_a_running_loop(config: Path) -> None:
    """`complete` inside a coroutine (as in a notebook) does not need the running loop."""

    async def in_a_notebook(router: Router) -> int:
        return router.complete("talk", "Say hello.").cost_nano_usd

    with Router.from_config(config) as router:
        assert asyncio.run(in_a_notebook(router)) > 0


def test_nothing_is_left_after_close(config: Path) -> None:
    """After `close` there is no thread, no socket and no task of ours."""
    threads_before, sockets_before = set(threading.enumerate()), open_sockets()
    router = Router.from_config(config)
    router.complete("talk", "Say hello.")
    asyncio.run(ask_all(router, 5))
    router.close()
    gc.collect()
    assert {each.name for each in set(threading.enumerate()) - threads_before} == set()
    assert open_sockets() <= sockets_before


async def test_aclose_leaves_no_task(config: Path) -> None:
    """After `aclose` the only task of the loop is the one that asks."""
    router = Router.from_config(config)
    await ask_all(router, 5)
    await router.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_fork_with_50_calls_in_flight(config: Path) -> None:
    """Parent and child both answer, book apart, and neither resolves what the other reserved."""
    router = Router.from_config(config)
    with ThreadPoolExecutor(50) as threads:
        warm = router.complete("talk", "Warm up.").cost_nano_usd
        in_flight = [threads.submit(router.complete, "talk", f"Say hello, number {each}.") for each in range(50)]
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _in_child(router, reading, writing)
        os.close(writing)
        parent_total = sum(future.result(CHILD_EXIT_S).cost_nano_usd for future in in_flight)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    after = router.complete("talk", "Once more.").cost_nano_usd
    router.close()
    assert booked(config) == (warm + parent_total + int(said) + after, 0, 0)


def _in_child(router: Router, reading: int, writing: int) -> None:
    """Ask sync and async in the child, report the cost, and leave without the parent's test machinery."""
    code = 1
    try:
        os.close(reading)
        total = router.complete("talk", "From the child.").cost_nano_usd + asyncio.run(ask_all(router, 5))
        router.close()
        os.write(writing, str(total).encode())
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must read it
        os.write(writing, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)
