"""A file that only one process may use at a time, for as long as it lives."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["locked"]

FAR: Final = 2**40
"""Where a byte is locked on Windows, whose locks keep others from reading."""


def locked(path: Path, *, create: bool = True) -> int | None:
    """Open a file and hold its lock until it is closed, by a kill too; its number.

    Returns:
        None: somebody else holds it, or it cannot be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | (os.O_CREAT if create else 0)
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(path, flags, 0o600)
    except OSError:
        return None
    try:
        _lock(number)
        found, there = os.fstat(number), path.stat()  # somebody may have removed it before the lock was ours
        if (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino):
            return number
    except OSError:
        pass
    os.close(number)
    return None


def _lock(number: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(number, FAR, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
