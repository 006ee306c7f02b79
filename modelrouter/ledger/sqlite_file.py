"""Opening a ledger's file, and what to say when SQLite refuses."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.filesystem import network_filesystem
from modelrouter.ledger.schema import migrate, version_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["connect", "connect_to_read", "empty_log", "is_busy", "patiently", "pause", "prepare", "unavailable"]

T = TypeVar("T")

BUSY_PAUSES_S: Final = (0.0002, *(0.0005,) * 60, 0.002)
"""Between two tries to get the write lock; the last one repeats. SQLite's own waiting goes up to 100 ms a step, and
whoever sleeps longer than the gaps between the others' batches hardly gets a turn: with four busy processes the slowest
hundredth waits half as long as with pauses of 4 ms."""

LOG_PAGES: Final = 4096
"""After how many pages (16 MiB) the log is moved into the file. Each batch writes the same few pages of balances, which
are moved once; four times SQLite's own number makes that four times rarer, and a commit that has to wait for it too."""

WHAT_TO_DO: Final = {
    sqlite3.SQLITE_BUSY: "another process kept it locked for too long: look for one that hangs",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that the folder exists and may be written to",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy, or move it away to begin a new one",
    sqlite3.SQLITE_FULL: "there is no room left to write: make room on its disk",
    sqlite3.SQLITE_IOERR: "its disk reports an input or output error: check the disk",
    sqlite3.SQLITE_LOCKED: "another process kept it locked for too long: look for one that hangs",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database, or damaged: name another file for the ledger",
    sqlite3.SQLITE_PERM: "it may not be opened: check its permissions",
    sqlite3.SQLITE_READONLY: "it is read-only: check the permissions of the file and of its folder",
}


def unavailable(error: sqlite3.Error, path: Path) -> LedgerUnavailableError:
    """The error for whoever called, with what to do about it."""
    text = WHAT_TO_DO.get(primary_code(error))
    if text is None:
        text = f"SQLite says {getattr(error, 'sqlite_errorname', None) or 'no more'}: {error}"
    return LedgerUnavailableError(f"the ledger `{path}` cannot be used: {text}")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 0 where Python raised by itself."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another process, or another connection, holds a lock that will be let go."""
    return primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def patiently(work: Callable[[], T], give_up_at: Callable[[], float]) -> T:
    """Do `work` again, after short jittered pauses, while another process holds the lock.

    Raises:
        sqlite3.Error: anything else, or the time is over.
    """
    tries = 0
    while True:
        try:
            return work()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= give_up_at():
                raise
        pause(tries)
        tries += 1


def pause(tries: int) -> None:
    """Wait a little before the next try to get a lock, longer after more tries."""
    pause_s = BUSY_PAUSES_S[min(tries, len(BUSY_PAUSES_S) - 1)]
    time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spread, not a secret


def prepare(path: Path, *, create: bool, give_up_at: Callable[[], float]) -> None:
    """Make sure that a ledger of this version is at `path`.

    A file that is not ours is refused before anything in it is changed. A new one is readable by its owner alone.

    Raises:
        LedgerUnavailableError: it cannot be.
    """
    _check_place(path)
    if not create and not path.exists():
        raise LedgerUnavailableError(f"there is no ledger at `{path}`: name one that exists")
    try:
        if create:
            _create(path)
        patiently(lambda: _prepare(path), give_up_at)
    except OSError as error:
        raise LedgerUnavailableError(
            f"the ledger `{path}` cannot be made ({error.strerror}): check the permissions of its folder"
        ) from error
    except sqlite3.Error as error:
        raise unavailable(error, path) from error
    except LedgerUnavailableError as error:
        raise LedgerUnavailableError(f"`{path}`: {error.message}") from error.__cause__


def connect(path: Path) -> sqlite3.Connection:
    """A connection to write with: WAL, and a commit is on the disk when it returns. It never waits for a lock itself.

    Raises:
        sqlite3.Error: as SQLite says.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        _use_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: without it the drive's cache may still hold a commit
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA secure_delete = ON")  # the key of a personal tag is gone when it is deleted
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change anything.

    Raises:
        sqlite3.Error: as SQLite says.
    """
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)


def empty_log(path: Path) -> None:
    """Move what the log holds into the file, and leave nothing of it in the log.

    Raises:
        LedgerUnavailableError: as SQLite says; that somebody reads is none of it.
    """
    try:
        connection = connect(path)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if not is_busy(error):
            raise unavailable(error, path) from error


def _use_log(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"its write-ahead log cannot be used on this disk (journal mode `{mode}`)")


def _check_place(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise LedgerUnavailableError(f"the folder `{folder}` of the ledger does not exist: make it")
    share = network_filesystem(path)
    if share is not None:
        raise LedgerUnavailableError(
            f"the ledger `{path}` lies on a network filesystem ({share}), where its locks cannot be trusted: "
            "put it on a local disk"
        )


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def _prepare(path: Path) -> None:
    looking = connect_to_read(path)
    try:
        version_of(looking)  # before the journal mode of a foreign file is changed
    finally:
        looking.close()
    connection = connect(path)
    try:
        migrate(connection)
    finally:
        connection.close()
