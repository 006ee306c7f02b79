"""A real llama.cpp HTTP server on this machine, in a child process that cannot outlive us.

It listens on a free port of 127.0.0.1, behind a key made for this start. An answering port proves nothing (another
program may hold it): the address comes from the child itself, through a pipe, with a number that only we and it know.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from modelrouter.demo.fault import DemoError
from modelrouter.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["LocalServer", "ServedModel", "served_model"]

CHILD: Final = Path(__file__).with_name("llama_child.py")
KEPT_VARIABLES: Final = (
    "PATH", "HOME", "USERPROFILE", "LOCALAPPDATA", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL",
    "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip
"""All the child sees of the environment: the keys of closed APIs in it are none of its business."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What the server says of the model it has loaded.

    Attributes:
        name: what it is called by, in requests and replies.
        parameter_count: weights of the network.
        context_tokens: the window of one request.
        quantization: as `Q4_1`; empty when the file does not say.
    """

    name: str
    parameter_count: int
    context_tokens: int
    quantization: str


class LocalServer:
    """One running server. Begin with `start`, end with `stop` or by leaving the `with` block.

    Attributes:
        base_url: as `http://127.0.0.1:40123/v1`.
        key: what it asks of a caller; lives as long as the server.
        model: what it has loaded.
    """

    def __init__(self, child: subprocess.Popen[bytes], base_url: str, key: str, model: ServedModel) -> None:
        self._child = child
        self.base_url = base_url
        self.key = key
        self.model = model

    @classmethod
    def start(
        cls,
        weights: Path,
        *,
        name: str,
        context_tokens: int = 4096,
        slots: int = 2,
        threads: int = 1,
        deadline_s: float = 60.0,
    ) -> Self:
        """Start a server and wait until it can answer.

        Args:
            weights: a GGUF file.
            name: what the model is called by.
            context_tokens: of all slots together.
            slots: requests answered at a time; others queue.
            threads: one leaves a small machine responsive and is hardly slower.
            deadline_s: for loading the weights.

        Raises:
            MissingDependencyError: xllamacpp is not installed.
            DemoError: the server did not start; says why.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingDependencyError(
                "the model server needs the package xllamacpp: install it with `pip install 'modelrouter[demo]'`"
            )
        key, nonce = secrets.token_urlsafe(24), secrets.token_hex(16)
        orders = {"model": str(weights), "name": name, "context_tokens": context_tokens, "slots": slots}
        child = _spawn()
        try:
            ends_at_s = time.monotonic() + deadline_s
            address = _address(child, {**orders, "threads": threads, "key": key, "nonce": nonce}, deadline_s)
            base_url = f"{address}/v1"
            model = served_model(base_url, key, timeout_s=max(ends_at_s - time.monotonic(), 1.0))
            return cls(child, base_url, key, model)
        except BaseException:
            _end(child, patience_s=0)
            raise

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the child is still there."""
        return self._child.poll() is None

    def stop(self, patience_s: float = 5.0) -> None:
        """End the child, by its own handle. May be called more than once."""
        _end(self._child, patience_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def served_model(base_url: str, key: str, *, timeout_s: float) -> ServedModel:
    """Ask a llama.cpp server what it serves: proof that it answers, takes the key and has loaded a model.

    Raises:
        DemoError: it does not answer, or not as llama.cpp does.
    """
    place = urlsplit(base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{place.path}/models", headers={"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        raise DemoError("the model server did not answer the question which model it serves") from None
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise DemoError(f"the model server refused to say which model it serves (status {response.status})")
    try:
        served = json.loads(body)["data"][0]
        facts = served["meta"]
        counts = int(facts["n_params"]), int(facts["n_ctx"])
        return ServedModel(str(served["id"]), *counts, str(facts.get("ftype") or ""))
    except (ValueError, LookupError, TypeError):
        raise DemoError("the model server did not say which model it serves as llama.cpp does") from None


def _spawn() -> subprocess.Popen[bytes]:
    """The child, out of the terminal's reach: Ctrl-C is for us to hear and to hand on."""
    environment = {name: value for name in KEPT_VARIABLES if (value := os.environ.get(name)) is not None}
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    # `-P`: a file in the current folder, or beside the child's own, must not be imported in place of a package.
    return subprocess.Popen(  # noqa: S603 - the interpreter itself, with a file of ours
        [sys.executable, "-P", str(CHILD)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **apart,
    )


def _address(child: subprocess.Popen[bytes], orders: Mapping[str, object], deadline_s: float) -> str:
    """Hand the orders over and wait for the one line that says where the child listens."""
    if child.stdin is None or child.stdout is None:
        raise AssertionError("the child was started without pipes")
    try:
        child.stdin.write(json.dumps(orders).encode() + b"\n")
        child.stdin.flush()
    except OSError:
        raise DemoError(_ended(child)) from None
    heard: list[bytes] = []
    listener = threading.Thread(target=_hear, args=(child, heard), daemon=True)
    listener.start()
    listener.join(deadline_s)
    if listener.is_alive():
        raise DemoError(f"the model server was not ready after {deadline_s:g} s: try again when the machine has time")
    line = heard[0] if heard else b""
    if not line:
        raise DemoError(_ended(child))
    told = json.loads(line)
    if told.get("nonce") != orders["nonce"]:
        raise DemoError("what answered in place of the model server is not the process that was started")
    if "fault" in told:
        raise DemoError(f"the model server did not start: {told['fault']}")
    return str(told["address"]).rstrip("/")


def _hear(child: subprocess.Popen[bytes], heard: list[bytes]) -> None:
    if child.stdout is not None:
        heard.append(child.stdout.readline())


def _ended(child: subprocess.Popen[bytes]) -> str:
    _end(child, patience_s=1.0)
    return f"the model server ended before it was ready (exit status {child.returncode})"


def _end(child: subprocess.Popen[bytes], patience_s: float) -> None:
    """Close stdin, which ends the child; kill it if it stays. Waits for it in any case, and lets go of the pipes."""
    if child.stdin is not None:
        with contextlib.suppress(OSError):  # it is gone already, with a line of ours unread
            child.stdin.close()
    try:
        child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
