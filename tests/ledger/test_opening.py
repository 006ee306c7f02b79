"""Opening a ledger: addresses, places and files, good and bad."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from modelrouter.errors import ConfigError, LedgerUnavailableError
from modelrouter.ledger import open_ledger, sqlite_file
from modelrouter.ledger.opening import sqlite_path
from tests.ledger.builders import StillClock, reservation, reserve


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "no scheme"),
        ("modelrouter.db", "no scheme"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "no file"),
        ("sqlite:///folder/", "no file"),
        ("sqlite://host/book.db", "three slashes"),
        ("sqlite://:memory:", "lost with the process"),
        ("sqlite:///:memory:", "lost with the process"),
        ("sqlite:///book.db?mode=ro", "options"),
        ("mysql://u@h/d", "`mysql` is not a kind"),
    ],
)
def test_a_wrong_address_is_a_config_error(url: str, part: str) -> None:
    """Each wrong address has its sentence, which shows a right one."""
    with pytest.raises(ConfigError, match=part) as caught:
        open_ledger(url, StillClock())
    assert "sqlite:///modelrouter.db" in str(caught.value)


@pytest.mark.parametrize("scheme", ["mysql", "mysql+driver"])
def test_a_password_in_an_address_is_not_repeated(scheme: str) -> None:
    """The error for an address that is not SQLite's does not show it."""
    with pytest.raises(ConfigError) as caught:
        open_ledger(f"{scheme}://user:hunter2@host/d", StillClock())
    assert "hunter2" not in str(caught.value)


def test_relative_paths_are_relative_to_their_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the base where one is given, else to the working directory; an absolute path stays."""
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///a/book.db", tmp_path / "base") == tmp_path / "base" / "a" / "book.db"
    assert sqlite_path("sqlite:///book.db") == tmp_path / "book.db"
    assert sqlite_path(f"sqlite:///{tmp_path}/x.db", tmp_path / "base") == tmp_path / "x.db"


@pytest.mark.parametrize("name", ["with space.db", "100%25.db", "hash#tag.db", "ümläut.db", "a'b\"c.db"])
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    """Names that look like parts of an address are names."""
    store = open_ledger(f"sqlite:///{tmp_path}/{name}", StillClock())
    assert reserve(store, reservation()) is None
    store.close(5)
    assert (tmp_path / name).is_file()
    assert store.totals().attempts == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Folders are not made: a typing error in a path must not begin a new book somewhere."""
    with pytest.raises(LedgerUnavailableError, match=r"absent.*does not exist: make it"):
        open_ledger(f"sqlite:///{tmp_path}/absent/book.db", StillClock())
    assert not (tmp_path / "absent").exists()


def test_readers_do_not_make_a_file(tmp_path: Path) -> None:
    """`create=False` on nothing is an error, and still nothing."""
    with pytest.raises(LedgerUnavailableError, match="there is no ledger"):
        open_ledger(f"sqlite:///{tmp_path}/book.db", StillClock(), create=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """A path that is a folder cannot be opened."""
    with pytest.raises(LedgerUnavailableError, match="cannot be"):
        open_ledger(f"sqlite:///{tmp_path}", StillClock())


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one\n" * 40, b"\x00" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Something else in the file's place is named and stays as it was."""
    path = tmp_path / "book.db"
    path.write_bytes(content)
    with pytest.raises(LedgerUnavailableError, match="not a SQLite database"):
        open_ledger(f"sqlite:///{path}", StillClock())
    assert path.read_bytes() == content


def test_a_truncated_book_is_refused(tmp_path: Path) -> None:
    """A file that lost its end is damaged, and the sentence says so when it is used."""
    path = tmp_path / "book.db"
    store = open_ledger(f"sqlite:///{path}", StillClock())
    reserve(store, reservation())
    store.close(5)
    os.truncate(path, 4096)
    with pytest.raises(LedgerUnavailableError, match="damaged"):
        open_ledger(f"sqlite:///{path}", StillClock()).totals()


@pytest.mark.parametrize("tables", ["CREATE TABLE cats (name)", "CREATE TABLE meta (name, value)"])
def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, tables: str) -> None:
    """A SQLite file of someone else keeps its journal mode and its tables."""
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(tables)
    before = path.read_bytes()
    with pytest.raises(LedgerUnavailableError, match="another program"):
        open_ledger(f"sqlite:///{path}", StillClock())
    assert path.read_bytes() == before


def test_a_network_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the type, and no file is made."""
    monkeypatch.setattr(sqlite_file, "network_filesystem", lambda path: "nfs4")
    with pytest.raises(LedgerUnavailableError, match=r"network filesystem \(nfs4\)"):
        open_ledger(f"sqlite:///{tmp_path}/book.db", StillClock())
    assert not list(tmp_path.iterdir())


UNPRIVILEGED = """
import os, sys
import modelrouter.ledger.sqlite
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger import open_ledger
from tests.ledger.builders import StillClock, reservation, reserve
if os.getuid() == 0:  # to whom every folder is open
    os.setgid(65534)
    os.setuid(65534)
try:
    store = open_ledger("sqlite:///" + sys.argv[1], StillClock())
    error = reserve(store, reservation())
    if error is not None:
        raise error
except LedgerUnavailableError as error:
    print("refused:", error.message)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_may_not_be_written_is_refused(exists: bool) -> None:
    """A process without the right to write is told about permissions, with and without a file there."""
    with tempfile.TemporaryDirectory() as name:  # not `tmp_path`, whose parents are private to the user of the run
        path = Path(name) / "book.db"
        if exists:
            open_ledger(f"sqlite:///{path}", StillClock()).close(5)
            path.chmod(0o444)
        Path(name).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        Path(name).chmod(0o755)
    assert done.stdout.startswith("refused:"), done.stderr
    assert "permissions" in done.stdout


def test_the_room_is_light_until_a_ledger_is_opened() -> None:
    """Importing the room loads neither sqlite3 nor asyncio of its own accord."""
    program = (
        "import sys; before = set(sys.modules); import modelrouter.ledger.opening as room;"
        "import modelrouter.ledger.records;"
        "print([name for name in sorted(sys.modules) if name.startswith(('modelrouter.ledger.sqlite',"
        " 'modelrouter.ledger.waiting'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() in {"[]", "['modelrouter.ledger.waiting']"}  # the router itself awaits ledgers
