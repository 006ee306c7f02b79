"""Builds the demo's world in a folder: the shipped YAML files with the address of this run's server filled in.

From there on everything is as for a user: the files are read with `Router.from_config`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from modelrouter.demo.fault import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.demo.server import LocalServer
    from modelrouter.demo.weights import Weights

__all__ = ["CATALOG_MODEL", "CONFIG_NAME", "OWN_MODEL", "closed_port", "folder_for", "set_up"]

WORLD: Final = Path(__file__).with_name("world")
CONFIG_NAME: Final = "modelrouter.yaml"
KEY_NAME: Final = "local.key"
CATALOG_MODEL: Final = "smollm2-135m-instruct"
OWN_MODEL: Final = "your-model-file"
"""The id of a file that is not the known one. Nothing is said of its developer or lineage, because nothing is known."""


def set_up(folder: Path, server: LocalServer, weights: Weights, closed_url: str) -> Path:
    """Write the demo's files into a folder.

    Args:
        folder: exists, and holds no configuration.
        server: the running model server.
        weights: what it runs.
        closed_url: an address at which every connection is refused.

    Returns:
        the path of the config.
    """
    config = folder / CONFIG_NAME
    template = Template((WORLD / CONFIG_NAME).read_text(encoding="utf-8"))
    text = template.substitute(
        own_models="{}" if weights.is_pinned else json.dumps({OWN_MODEL: _own_model(weights.path)}),
        model=CATALOG_MODEL if weights.is_pinned else OWN_MODEL,
        served_name=server.model.name,
        base_url=server.base_url,
        closed_url=closed_url,
        context_tokens=server.model.context_tokens,
    )
    config.write_text(text, encoding="utf-8")
    shutil.copytree(WORLD / "policies", folder / "policies", dirs_exist_ok=True)
    descriptor = os.open(folder / KEY_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(server.key)
    return config


def _own_model(path: Path) -> dict[str, str]:
    return {
        "name": path.name,
        "developer": "unknown",
        "licence": "unknown",
        "openness": "unknown",
        "derived_from": "unknown",
        "source": "the file that was given with --model",
    }


@contextlib.contextmanager
def folder_for(keep: Path | None) -> Iterator[Path]:
    """The folder of a run: a temporary one that is removed, or one that stays, without the server's key.

    Raises:
        DemoError: the folder to keep cannot be used.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="modelrouter-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DemoError(f"`{keep}` cannot be used ({reason}): name an empty folder with `--keep`") from None
    if taken:
        raise DemoError(f"`{keep}` already holds something: name an empty folder with `--keep`")
    try:
        yield keep
    finally:
        (keep / KEY_NAME).unlink(missing_ok=True)


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """A base URL at which every connection is refused: the port is ours, so nobody else's, and nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"
