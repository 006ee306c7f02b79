"""The catalog's files in one, as JSON: most of the time that a start takes would go into reading YAML.

The YAML files are what people write and review; `compiled.json` is made from them by

    python -m modelrouter.catalog.refresh_compiled

and is used only while it was made from the very files that are there, which their SHA-256 tells. A catalog whose files
were edited is read from the files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelrouter.errors import CatalogError, ConfigError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from modelrouter.yaml12 import Path as KeyPath

__all__ = ["COMPILED", "CatalogFile", "compiled", "files_of"]

COMPILED: Final = "compiled.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One file of a catalog.

    Attributes:
        name: within the folder, as `models/openai.yaml`.
        text: the whole of it.
        value: what it holds.
    """

    name: str
    text: str
    value: Any

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, which is asked for only where something is wrong with it."""
        return parse(self.text, self.name).line(path)


def files_of(folder: Traversable | Path) -> Mapping[str, CatalogFile]:
    """All files of a catalog in the layout of this one, by name.

    Raises:
        CatalogError: a file cannot be read.
    """
    texts = {name: _text(name, file) for name, file in _names(folder)}
    values = _compiled_values(folder, texts)
    return {
        name: CatalogFile(name, text, values[name] if values else _parsed(name, text)) for name, text in texts.items()
    }


def compiled(folder: Path) -> str:
    """What `compiled.json` has to hold for the files of a folder.

    Raises:
        CatalogError: a file cannot be read.
    """
    texts = {name: _text(name, file) for name, file in _names(folder)}
    content = {
        "version": VERSION,
        "sha256": {name: _sha256(text) for name, text in texts.items()},
        "files": {name: _parsed(name, text) for name, text in texts.items()},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def _compiled_values(folder: Traversable | Path, texts: Mapping[str, str]) -> Mapping[str, object] | None:
    """The values, if they were made from these texts; None where they were not, or are not there."""
    try:
        content = json.loads((folder / COMPILED).read_text(encoding="utf-8"))
        is_of_these = content["version"] == VERSION and content["sha256"] == {
            name: _sha256(text) for name, text in texts.items()
        }
        values: Mapping[str, object] = content["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return values if is_of_these and values.keys() == texts.keys() else None


def _names(folder: Traversable | Path) -> Iterator[tuple[str, Traversable | Path]]:
    for name in ("organisations.yaml", "licences.yaml", "groups.yaml"):
        yield name, folder / name
    for part in ("models", "operators"):
        for file in sorted((folder / part).iterdir(), key=lambda each: each.name):
            if file.name.endswith(".yaml"):
                yield f"{part}/{file.name}", file


def _text(name: str, file: Traversable | Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"the catalog file cannot be read: {error.strerror}", file=name) from None


def _parsed(name: str, text: str) -> object:
    try:
        return parse(text, name).value
    except ConfigError as error:
        raise CatalogError(error.reason, file=name, line=error.line, key=error.key) from None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
