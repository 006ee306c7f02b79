"""Puts a deployment into a config that a person wrote: nothing else in it changes, not even its layout."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelrouter.errors import ConfigError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from modelrouter.yaml12 import Document

__all__ = ["inserted", "write_over"]

DEPLOYMENTS: Final = "deployments"
BY_HAND: Final = "it cannot be inserted without changing something else: print it without `--into`, and paste it in"


def inserted(text: str, file: str, name: str, block: str) -> str:
    """A config with one deployment more.

    Args:
        text: the config.
        file: its name, for messages.
        name: the deployment's.
        block: its lines, indented by two blanks; comments alone where it cannot be loaded yet.

    Raises:
        ConfigError: the text is no config, has a deployment of this name, or is laid out so that it cannot be done.
    """
    document = parse(text, file)
    if not isinstance(document.value, dict):
        raise document.fault("expected keys with values, as `key: value`")
    written: Any = document.value.get(DEPLOYMENTS)
    if isinstance(written, dict) and name in written:
        raise document.fault(f"`{name}` is already there: choose another name with `--name`", (DEPLOYMENTS, name))
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    at = _end_of_deployments(document, lines)
    if DEPLOYMENTS not in document.value:
        block = f"{DEPLOYMENTS}:\n{block}"
    depth = _depth(document, lines, written)
    fresh = [f"{depth}{line.removeprefix('  ')}" if line.startswith("  ") else line for line in block.splitlines()]
    before, after = "".join(lines[:at]), "".join(lines[at:])
    if before and not before.endswith(("\n", "\r")):
        before += newline
    found = before + "".join(f"{line}{newline}" for line in fresh) + after
    _check(found, file, text, name)
    return found


def _depth(document: Document, lines: list[str], written: object) -> str:
    """How the deployments that are there are indented."""
    if not isinstance(written, dict) or not written:
        return "  "
    line = lines[(document.line((DEPLOYMENTS, next(iter(written)))) or 1) - 1]
    return line[: len(line) - len(line.lstrip(" "))] or "  "


def _end_of_deployments(document: Document, lines: list[str]) -> int:
    """The number of lines in front of the place: behind the last deployment, before what stands above the next key."""
    value: Any = document.value
    keys = list(value)
    if DEPLOYMENTS not in value:
        end = len(lines)
    else:
        following = keys[keys.index(DEPLOYMENTS) + 1 :]
        end = (document.line((following[0],)) or 1) - 1 if following else len(lines)
    first = 0 if DEPLOYMENTS not in value else document.line((DEPLOYMENTS,)) or 0
    while end > first and _stands_apart(lines[end - 1]):
        end -= 1
    return end


def _stands_apart(line: str) -> bool:
    """An empty line, a comment in the first column, or the end of the document."""
    return not line.strip() or line.startswith(("#", "...", "---"))


def _check(found: str, file: str, text: str, name: str) -> None:
    """Everything that was there is there, in its order, and says what it said."""
    try:
        new: Any = parse(found, file).value
    except ConfigError:
        raise ConfigError(BY_HAND, file=file) from None  # its line is one of a text that nobody sees
    old: Any = parse(text, file).value
    deployments = {key: each for key, each in (new.get(DEPLOYMENTS) or {}).items() if key != name}
    same = {**new, DEPLOYMENTS: deployments} == {**old, DEPLOYMENTS: old.get(DEPLOYMENTS) or {}}
    if not same:
        raise ConfigError(BY_HAND, file=file)


def write_over(path: Path, text: str) -> None:
    """Replace a file at once, with its permissions; what a link points to is replaced, not the link.

    Raises:
        ConfigError: it cannot be written.
    """
    target = path.resolve()
    try:
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, delete=False) as file:
            file.write(text.encode())
        shutil.copymode(target, file.name)
        Path(file.name).replace(target)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"`{path}` cannot be written ({reason}): check the permissions of its folder") from None
