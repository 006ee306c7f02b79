"""The real model server: it answers, it keeps its key, it fails in sentences, and it never outlives its parent."""

from __future__ import annotations

import http.client
import importlib.util
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import psutil
import pytest

from modelrouter.demo import server as serving
from modelrouter.demo.fault import DemoError
from modelrouter.demo.server import LocalServer, served_model
from modelrouter.demo.weights import find_weights
from modelrouter.errors import MissingDependencyError
from tests.real_model import MODEL_ID, running_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.real_model import LocalModel

ROOT = Path(__file__).parents[2]
GONE_S = 20.0

PARENT = """
import os, sys
from pathlib import Path
from modelrouter.demo.server import LocalServer
server = LocalServer.start(Path(sys.argv[1]), name="m")
if sys.argv[2] == "fork" and os.fork() == 0:
    sys.stdin.read()  # holds every inherited pipe until the test lets go
    os._exit(0)
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def weights() -> Path:
    """The real model file."""
    return find_weights().path


@pytest.fixture(scope="module")
def shared(weights: Path) -> Iterator[LocalServer]:
    """A server for the tests that leave it as it is."""
    with LocalServer.start(weights, name=MODEL_ID) as running:
        yield running


@pytest.fixture
def server(weights: Path) -> Iterator[LocalServer]:
    """A server of a test's own, which it may stop or kill."""
    with LocalServer.start(weights, name=MODEL_ID) as running:
        yield running


def ask(base_url: str, key: str | None) -> tuple[int, dict[str, Any]]:
    """One small chat completion over a connection of its own."""
    place = urlsplit(base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    body = {"model": MODEL_ID, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    try:
        connection.request("POST", f"{place.path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def model_servers() -> list[psutil.Process]:
    """Model servers that this process has as children."""
    return [child for child in psutil.Process().children() if serving.CHILD.name in " ".join(child.cmdline())]


def test_it_answers_with_the_model(shared: LocalServer) -> None:
    """A completion comes from the loaded model, with its usage."""
    status, body = ask(shared.base_url, shared.key)
    assert status == 200
    assert body["model"] == MODEL_ID
    assert body["usage"]["completion_tokens"] >= 1
    assert body["choices"][0]["message"]["content"]


def test_it_says_what_it_serves(shared: LocalServer) -> None:
    """Size, window and quantisation are the server's own words: 135 million parameters, half of 4096 tokens a slot."""
    assert 130_000_000 < shared.model.parameter_count < 140_000_000
    assert shared.model.context_tokens == 2048
    assert shared.model.quantization == "Q4_1"


def test_nobody_is_served_without_the_key(shared: LocalServer) -> None:
    """No key and a wrong key get 401; each start makes a key of its own."""
    assert ask(shared.base_url, None)[0] == 401
    assert ask(shared.base_url, "wrong")[0] == 401
    assert len(shared.key) >= 32


def test_the_key_is_in_no_argument_and_no_variable(shared: LocalServer) -> None:
    """What other users of the machine could read of the process does not hold the key."""
    child = psutil.Process(shared.pid)
    assert shared.key not in " ".join(child.cmdline())
    assert shared.key not in " ".join(child.environ().values())


def test_it_listens_on_this_machine_only(shared: LocalServer) -> None:
    """One listening socket, on 127.0.0.1."""
    listening = [each for each in psutil.Process(shared.pid).net_connections() if each.status == psutil.CONN_LISTEN]
    assert [each.laddr.ip for each in listening] == ["127.0.0.1"]


def test_the_child_sees_no_keys_of_others(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of closed APIs in our environment do not reach the model server."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody")
    with LocalServer.start(weights, name="m") as running:
        assert "sk-of-somebody" not in psutil.Process(running.pid).environ().values()


def test_stop_ends_it_and_is_harmless_twice(weights: Path) -> None:
    """After `stop` the process is gone and the port refuses."""
    running = LocalServer.start(weights, name="m")
    was_running = running.is_running
    running.stop()
    assert (was_running, running.is_running) == (True, False)
    assert not psutil.pid_exists(running.pid)
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(running.base_url, running.key)


def test_calls_fail_when_the_process_is_killed(server: LocalServer) -> None:
    """The answers come from that process: without it nothing answers."""
    assert ask(server.base_url, server.key)[0] == 200
    psutil.Process(server.pid).kill()
    server.stop()
    assert not server.is_running
    with pytest.raises(ConnectionRefusedError):
        ask(server.base_url, server.key)


@pytest.mark.parametrize("holding", ["alone", "fork"])
def test_a_killed_parent_leaves_no_server(weights: Path, holding: str) -> None:
    """After `kill -9` of the parent the server ends by itself, even while a fork still holds its pipe."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(weights), holding],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        child.wait(GONE_S)
    assert not child.is_running()


def test_weights_that_cannot_be_loaded_are_one_sentence(tmp_path: Path, weights: Path) -> None:
    """A file that only begins like weights is refused by llama.cpp, and no process stays behind."""
    before = model_servers()
    half = tmp_path / "half.gguf"
    with weights.open("rb") as file:
        half.write_bytes(file.read(1_000_000))
    with pytest.raises(DemoError, match="cannot load the model file"):
        LocalServer.start(half, name="m")
    assert model_servers() == before


def test_a_missing_package_says_how_to_install_it(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without xllamacpp there is no process, but the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'modelrouter\[demo\]'"):
        LocalServer.start(weights, name="m")


def test_the_deadline_holds_and_the_child_goes(weights: Path) -> None:
    """A server that is not ready in time is ended, with a sentence that has the seconds."""
    before = model_servers()
    with pytest.raises(DemoError, match=r"not ready after 0\.001 s"):
        LocalServer.start(weights, name="m", deadline_s=0.001)
    assert model_servers() == before


def child_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put another program in the place of the model server's."""
    script = tmp_path / "child.py"
    script.write_text(f"import json, sys\norders = json.loads(sys.stdin.readline())\n{code}\n")
    monkeypatch.setattr(serving, "CHILD", script)


def test_a_child_that_dies_says_with_what_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An end before the first word is told with its exit status."""
    child_that(tmp_path, monkeypatch, "sys.exit(7)")
    with pytest.raises(DemoError, match=r"ended before it was ready \(exit status 7\)"):
        LocalServer.start(tmp_path / "any", name="m")


def test_a_child_without_our_number_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without the number that only our child knows is not taken."""
    child_that(tmp_path, monkeypatch, "print(json.dumps({'nonce': 'guessed', 'address': 'http://127.0.0.1:1'}))")
    with pytest.raises(DemoError, match="not the process that was started"):
        LocalServer.start(tmp_path / "any", name="m")


def test_a_package_that_cannot_be_loaded_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken xllamacpp (a binary for another machine) is named as the reason."""
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('built for another machine')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DemoError, match=r"xllamacpp cannot be loaded \(ImportError\)"):
        LocalServer.start(tmp_path / "any", name="m")


class Answering:
    """An HTTP server that answers every question with one status and body."""

    def __init__(self, status: int, body: bytes) -> None:
        class OneAnswer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), OneAnswer)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, b"{}", "status 401"),
        (200, b"<html>another program</html>", "as llama.cpp does"),
        (200, b'{"data": []}', "as llama.cpp does"),
        (200, b'{"data": [{"id": "x", "meta": null}]}', "as llama.cpp does"),
    ],
)
def test_another_program_at_the_port_is_found_out(status: int, body: bytes, sentence: str) -> None:
    """That a port answers is no proof: what answers must say what it serves."""
    with Answering(status, body) as other, pytest.raises(DemoError, match=sentence):
        served_model(other.base_url, "key", timeout_s=5.0)


def test_nobody_at_the_port_is_one_sentence(server: LocalServer) -> None:
    """A refused connection is a sentence, not a traceback."""
    server.stop()
    with pytest.raises(DemoError, match="did not answer"):
        served_model(server.base_url, server.key, timeout_s=5.0)


def test_the_shared_server_is_there_for_every_test(local_model: LocalModel) -> None:
    """The fixture gives a base URL, a name and a key that work."""
    status, body = ask(local_model.base_url, local_model.key)
    assert (status, body["model"]) == (200, local_model.name)
    assert local_model.context_tokens >= 512


def test_a_server_that_runs_already_is_used(shared: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`MODELROUTER_TEST_LLM` takes the place of a server of our own: none is started."""
    monkeypatch.setenv("MODELROUTER_TEST_LLM", f"{shared.base_url}/")
    monkeypatch.setenv("MODELROUTER_TEST_LLM_KEY", shared.key)
    before = len(model_servers())
    with running_model() as model:
        assert (model.base_url, model.name, model.key) == (shared.base_url, MODEL_ID, shared.key)
        assert len(model_servers()) == before
