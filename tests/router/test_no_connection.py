"""A refused deployment's server is never connected to, whichever way a call takes; counted at its socket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modelrouter import ModelRouterError, NoRouteError, Router
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLICY = """policy: europe
description: inference in the EEA
rules:
  processing.country: {allow: [EEA], because: "a promise to customers"}
"""


class CountingServer(LoopbackServer):
    """Answers 503 with a wish to be asked again, if it is asked at all."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be busy."""
        await self.request(reader)
        writer.write(b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()


@pytest.fixture
def refused() -> Iterator[CountingServer]:
    """The server of a deployment that the policy refuses."""
    with CountingServer() as server:
        yield server


@pytest.fixture
def busy() -> Iterator[CountingServer]:
    """The server of a deployment that is permitted, and always busy: calls to it are retried and fall back."""
    with CountingServer() as server:
        yield server


def config_for(tmp_path: Path, refused: CountingServer, busy: CountingServer, lane: str) -> Path:
    """A route that would reach the refused server first, between, and last, if it could."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "europe.yaml").write_text(POLICY, encoding="utf-8")
    wire = "lane: litellm" if lane == "litellm" else ""
    served = [
        Served("elsewhere", refused.base_url, more=wire),
        Served("here", busy.base_url, more=wire),
        Served("elsewhere_too", refused.base_url, more=wire),
    ]
    path = write_config(
        tmp_path,
        served,
        "  both: {try: [elsewhere, here, elsewhere_too], attempts_max: 4, timeout_s: 20}\n"
        "  only: {try: [elsewhere, elsewhere_too]}",
        top="policies: [europe]\noffline: true",
    )
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("  elsewhere: ")
    text = head + "  elsewhere: " + rest.replace("processing: [DE]", "processing: [US]", 1)
    head, _, rest = text.partition("  elsewhere_too: ")
    path.write_text(head + "  elsewhere_too: " + rest.replace("processing: [DE]", "processing: [global]", 1), "utf-8")
    return path


def plain(router: Router, route: str) -> None:
    """A sync plain call."""
    router.complete(route, "hello")


def streamed(router: Router, route: str) -> None:
    """A sync stream."""
    for _ in router.stream(route, "hello"):
        pass


def plain_async(router: Router, route: str) -> None:
    """An async plain call."""

    async def ask() -> None:
        await router.acomplete(route, "hello")

    asyncio.run(ask())


def streamed_async(router: Router, route: str) -> None:
    """An async stream."""

    async def read() -> None:
        async for _ in router.astream(route, "hello"):
            pass

    asyncio.run(read())


@pytest.mark.parametrize("lane", ["direct", "litellm"])
@pytest.mark.parametrize("way", [plain, streamed, plain_async, streamed_async])
def test_no_call_reaches_a_refused_server(
    tmp_path: Path, refused: CountingServer, busy: CountingServer, way: Callable[[Router, str], None], lane: str
) -> None:
    """Retries and fallbacks of a permitted, failing deployment never end at a refused one."""
    with Router.from_config(config_for(tmp_path, refused, busy, lane)) as router:
        with pytest.raises(ModelRouterError) as both:
            way(router, "both")
        with pytest.raises(NoRouteError) as only:
            way(router, "only")
    assert {attempt.deployment for attempt in both.value.attempts} == {"here"}
    assert len(both.value.attempts) > 1
    assert "processing.country" in only.value.message
    assert busy.connections >= len(both.value.attempts)
    assert refused.connections == 0


def test_explain_and_reload_connect_to_nobody(tmp_path: Path, refused: CountingServer, busy: CountingServer) -> None:
    """Deciding, explaining and reloading are done without a connection to anybody."""
    with Router.from_config(config_for(tmp_path, refused, busy, "direct")) as router:
        router.explain("both", "hello").explain()
        router.explain("only").explain()
        router.reload()
    assert (refused.connections, busy.connections) == (0, 0)


WATCHED = """
import json, sys
reached = []
def watch(event, arguments):
    if event == "socket.connect":
        reached.append(str(arguments[1]))
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        reached.append(str(arguments[0]))
sys.addaudithook(watch)
from modelrouter import ModelRouterError, Router
router = Router.from_config(sys.argv[1])
for route in ("both", "only"):
    router.explain(route).explain()
    try:
        router.complete(route, "hello")
    except ModelRouterError:
        pass
    try:
        list(router.stream(route, "hello"))
    except ModelRouterError:
        pass
router.close()
print(json.dumps(sorted(set(reached))))
"""


@pytest.mark.parametrize("lane", ["direct", "litellm"])
def test_offline_reaches_declared_endpoints_only(
    tmp_path: Path, refused: CountingServer, busy: CountingServer, lane: str
) -> None:
    """From import to close, with an audit hook on every connection and look-up of the process."""
    config = config_for(tmp_path, refused, busy, lane)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(config)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [str(("127.0.0.1", busy.port))]
    assert refused.connections == 0
