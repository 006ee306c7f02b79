"""The wire is bound to the facts: whatever is planted around a call, it goes where the config says, or nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modelrouter import AttemptsExhaustedError, ConfigError, NoRouteError, Router
from modelrouter.core.attempts import FailureKind
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

LANES = ["direct", "litellm"]
OK_BODY = {
    "id": "1",
    "object": "chat.completion",
    "created": 0,
    "model": "smollm2-135m-instruct",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "here"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}


class Server(LoopbackServer):
    """Answers every request with what it was told to."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer once."""
        await self.request(reader)
        writer.write(self._answer)
        await writer.drain()


def answer(body: object, status: str = "200 OK", more: str = "") -> bytes:
    """An HTTP answer that ends its connection."""
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n{more}"
    return f"{head}connection: close\r\n\r\n".encode() + content


@pytest.fixture
def server() -> Iterator[Server]:
    """The declared server."""
    with Server(answer(OK_BODY)) as found:
        yield found


@pytest.fixture
def trap() -> Iterator[Server]:
    """Where a planted setting would lead."""
    with Server(answer(OK_BODY)) as found:
        yield found


def config_for(folder: Path, base_url: str, lane: str) -> Path:
    """One deployment on one lane."""
    wire = "lane: litellm" if lane == "litellm" else ""
    return write_config(folder, [Served("only", base_url, more=wire)], "  ask: {try: [only]}")


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize(
    "variable",
    [
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "HTTPS_PROXY",
        "LITELLM_PROXY_API_BASE",
    ],
)
def test_planted_variables_lead_nowhere(
    tmp_path: Path, server: Server, trap: Server, monkeypatch: pytest.MonkeyPatch, lane: str, variable: str
) -> None:
    """A base URL or proxy in the environment is ignored, or refuses the lane; the trap sees nobody."""
    monkeypatch.setenv(variable, trap.base_url if "BASE" in variable else f"http://127.0.0.1:{trap.port}")
    with Router.from_config(config_for(tmp_path, server.base_url, lane)) as router:
        try:
            assert router.complete("ask", "hello").text == "here"
        except (AttemptsExhaustedError, NoRouteError) as error:
            assert variable in error.message  # noqa: PT017 - served, or refused by name: both are right
    assert trap.connections == 0


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(tmp_path: Path, trap: Server, lane: str, status: str, streamed: bool) -> None:
    """A redirect to another host is a failure; the other host sees nobody."""
    with Server(answer({}, status, f"location: {trap.base_url}/chat/completions\r\n")) as mover:
        with Router.from_config(config_for(tmp_path, mover.base_url, lane)) as router:
            ask = (lambda: list(router.stream("ask", "hello"))) if streamed else lambda: router.complete("ask", "hello")
            with pytest.raises(AttemptsExhaustedError) as failed:
                ask()
        assert mover.connections >= 1
    assert failed.value.attempts[-1].cost_nano_usd == 0
    assert trap.connections == 0


@pytest.mark.parametrize("lane", LANES)
def test_another_model_is_a_failure_and_ejects(tmp_path: Path, lane: str) -> None:
    """A server that answers as another model is booked, not served, and asked no more until a reload."""
    with (
        Server(answer({**OK_BODY, "model": "another-model"})) as liar,
        Router.from_config(config_for(tmp_path, liar.base_url, lane)) as router,
    ):
        with pytest.raises(AttemptsExhaustedError) as failed:
            router.complete("ask", "hello")
        attempt = failed.value.attempts[-1]
        assert attempt.failure is not None
        assert attempt.failure.kind is FailureKind.WRONG_MODEL
        assert attempt.cost_nano_usd > 0
        connections = liar.connections
        with pytest.raises(NoRouteError):
            router.complete("ask", "hello")
        assert liar.connections == connections
        router.reload()
        with pytest.raises(AttemptsExhaustedError):
            router.complete("ask", "hello")


def test_a_foreign_host_under_self_is_a_config_error(tmp_path: Path, server: Server) -> None:
    """`operator: self` reaches the declared hosts only."""
    path = config_for(tmp_path, server.base_url, "direct")
    text = path.read_text(encoding="utf-8").replace(server.base_url, "https://api.openai.com/v1")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"modelrouter\.yaml:\d+: deployments\.only\.base_url: .*api\.openai\.com"):
        Router.from_config(path)


PLANTED = """
import sys
import litellm
exec(sys.argv[2])
from modelrouter import ModelRouterError, Router
router = Router.from_config(sys.argv[1])
try:
    router.complete("ask", "a secret prompt", temperature=0.5)
except ModelRouterError as error:
    print(error.message)
else:
    print("served")
router.close()
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("callbacks", "litellm.callbacks = [lambda *a, **k: None]"),
        pytest.param("success_callback", "litellm.success_callback = ['langfuse']", marks=pytest.mark.long),
        pytest.param("input_callback", "litellm.input_callback = [lambda *a, **k: None]", marks=pytest.mark.long),
        ("drop_params", "litellm.drop_params = True"),
        pytest.param("modify_params", "litellm.modify_params = True", marks=pytest.mark.long),
        ("api_base", "litellm.api_base = 'http://127.0.0.1:9/v1'"),
        pytest.param("litellm.cache", "litellm.cache = litellm.Cache()", marks=pytest.mark.long),
        pytest.param(
            "model_alias_map",
            "litellm.model_alias_map = {'openai/smollm2-135m-instruct': 'openai/other'}",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_dangerous_litellm_global_refuses_the_lane(tmp_path: Path, server: Server, name: str, line: str) -> None:
    """A setting of the host that could leak or change a call makes the lane refuse, and names it."""
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, str(config_for(tmp_path, server.base_url, "litellm")), line],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.returncode == 0, done.stderr
    assert name in done.stdout
    assert server.connections == 0
