"""Where keys come from: an environment variable, a file, or a Python callable. A key is read when a call needs it.

The text of a key is in no repr, no message and no pickle. Only `FileKey` holds it in memory; it compares the file's
identity at each read and so sees a rotated secret at the next call.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelrouter.ports import Credential

__all__ = ["CallableKey", "EnvKey", "FileKey", "KeySource", "credential_from", "reference_to"]

KeySource: TypeAlias = "str | Callable[[], str | None]"
"""What people write for a key: `env:NAME`, `file:/path`, or a function that returns it."""

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILE_LIMIT_BYTES: Final = 65_536
"""The longest secret that is read; signed tokens have a few kilobytes."""

_Signature: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class EnvKey:
    """A key in an environment variable, read at each call. Empty is the same as not set."""

    name: str

    def read(self) -> str | None:
        """The variable's value now."""
        return os.environ.get(self.name) or None

    def describe(self) -> str:
        """Name the variable."""
        return f"environment variable `{self.name}`"

    @property
    def can_be_checked(self) -> bool:
        """Reading a variable costs and changes nothing."""
        return True


@dataclass(frozen=True, slots=True)
class FileKey:
    """A key in a file, read again when the file's device, inode, size or time of change differ.

    One newline at the end belongs to the file, not to the key. A missing or empty file is no key.
    """

    path: Path
    _held: list[tuple[_Signature, str | None]] = field(default_factory=list, init=False, repr=False, compare=False)

    def read(self) -> str | None:
        """The key in the file now.

        Raises:
            OSError: it is there and cannot be read, or is not a regular file.
            ValueError: longer than a secret is, or not text.
        """
        try:
            found = self.path.stat()
            if self._held and self._held[0][0] == _signature(found):
                return self._held[0][1]
            if not stat.S_ISREG(found.st_mode):
                message = "not a regular file"
                raise OSError(message)
            with self.path.open("rb") as file:
                signature = _signature(os.fstat(file.fileno()))
                content = file.read(FILE_LIMIT_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            self._held.clear()
            return None
        if len(content) > FILE_LIMIT_BYTES:
            message = f"longer than {FILE_LIMIT_BYTES} bytes"
            raise ValueError(message)
        key = _text(content) or None
        self._held[:] = [(signature, key)]
        return key

    def describe(self) -> str:
        """Name the file."""
        return f"file `{self.path}`"

    @property
    def can_be_checked(self) -> bool:
        """Reading a file changes nothing."""
        return True

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process without the key."""
        return (FileKey, (self.path,))


@dataclass(frozen=True, slots=True)
class CallableKey:
    """A key that a function of the application returns. It is called on the event loop: it must not block."""

    function: Callable[[], str | None] = field(repr=False)

    def read(self) -> str | None:
        """What the function returns now.

        Raises:
            TypeError: it returned neither text nor None.
        """
        key: object = self.function()
        if key is None or isinstance(key, str):
            return key or None
        message = "returned no text"
        raise TypeError(message)

    def describe(self) -> str:
        """Name the function."""
        module = getattr(self.function, "__module__", None) or "?"
        name = getattr(self.function, "__qualname__", None) or type(self.function).__qualname__
        return f"function `{module}.{name}`"

    @property
    def can_be_checked(self) -> bool:
        """What a function does, it does for a call: it may fetch a token."""
        return False


def credential_from(spec: KeySource, base_dir: Path | None = None) -> Credential:
    """The credential that a config names.

    Args:
        spec: `env:NAME`, `file:PATH`, or a function without arguments.
        base_dir: what a relative path is relative to, the folder of the file that holds it; None is the working folder.

    Raises:
        ConfigError: anything else. The text is not repeated: it may be a key.
    """
    if callable(spec):
        return CallableKey(spec)
    scheme, colon, rest = spec.partition(":")
    if colon and scheme == "env":
        if VARIABLE.fullmatch(rest):
            return EnvKey(rest)
        raise ConfigError(
            "what stands after `env:` is no variable name: write letters, digits and `_`, as `env:MISTRAL_API_KEY`"
        )
    if colon and scheme == "file":
        if rest.strip() and "\0" not in rest:
            path = Path(rest).expanduser()
            return FileKey(path if base_dir is None else base_dir / path)
        raise ConfigError("a path is missing after `file:`: write one, as `file:/run/secrets/mistral`")
    raise ConfigError(
        "a key is never written into a config (the text is not shown here): put it into an environment variable and "
        "write `env:NAME`, or into a file and write `file:/path`"
    )


def _signature(found: os.stat_result) -> _Signature:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _text(content: bytes) -> str:
    """The file's text without its last newline.

    Raises:
        ValueError: the bytes are no text. The message shows none of them.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None:
        message = "not UTF-8 text"
        raise ValueError(message)
    return text.removesuffix("\n").removesuffix("\r")


def reference_to(key: Credential | None) -> str | None:
    """A key as a config names it, `env:NAME` or `file:/path`; None for one that no text can name. Never the secret."""
    if isinstance(key, EnvKey):
        return f"env:{key.name}"
    return f"file:{key.path}" if isinstance(key, FileKey) else None
