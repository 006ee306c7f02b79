"""Opening a book on a real PostgreSQL server: making it, finding it, and every way in which a server says no."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger import postgres_schema
from modelrouter.ledger.ddl import VERSION
from modelrouter.ledger.postgres_access import PostgresAccess
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.postgres_schema import FIRST_VERSION, MIGRATIONS
from modelrouter.ledger.postgres_session import PostgresSession
from tests.real_postgres import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.real_postgres import PostgresServer

SECRET: Final = "hunter2"
LINE: Final = "seq, writer, writer_seq, kind, at_us, amount_nano_usd, hash"


def access_to(url: str, *, wait_s: float = 10.0) -> PostgresAccess:
    """How the book at an address is got at."""
    return PostgresAccess(postgres_address(url), lock_wait_s=wait_s)


def refusal(url: str, *, create: bool = True) -> str:
    """What opening an address is refused with; the address itself is not in it."""
    with pytest.raises(LedgerUnavailableError) as caught:
        access_to(url).prepare(create=create)
    told = caught.value.message
    cause = caught.value.__cause__
    for text in (told, str(cause)):
        assert SECRET not in text
        assert "password=" not in text
        assert "://ledger" not in text, "the user is not shown"
    return told


def tables_in(url: str) -> list[str]:
    """What is in the schema of an address."""
    address = postgres_address(url)
    with psycopg.connect(address.conninfo) as looking:
        rows = looking.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (address.schema,)).fetchall()
    return sorted(name for (name,) in rows)


def alter(url: str, *statements: str) -> None:
    """Run statements inside the schema of an address."""
    address = postgres_address(url)
    with psycopg.connect(address.conninfo, options=f"-c search_path={address.schema}", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server whose roles and databases the tests of this file may add to."""
    with running_server() as own:
        yield own


@pytest.fixture
def role(server: PostgresServer) -> str:
    """A role that may log in and nothing else; its password is `SECRET`."""
    name = f"guest_{secrets.token_hex(4)}"
    server.run(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    return name


def test_a_book_is_made_once(book_url: str) -> None:
    """The first opening makes schema and tables, the second finds them, and a reader finds them too."""
    access = access_to(book_url)
    access.prepare(create=True)
    made = tables_in(book_url)
    assert {"entries", "calls", "state", "meta"} <= set(made)
    access.prepare(create=True)
    access.prepare(create=False)
    assert tables_in(book_url) == made
    with access.reading() as session:
        assert session.rows("SELECT seq, first_seq FROM state") == [(0, 1)]


def test_books_in_two_schemas_are_two_books(book_url: str) -> None:
    """One database may hold several, each in its schema."""
    other = f"{book_url}_2"
    try:
        for url in (book_url, other):
            access_to(url).prepare(create=True)
        alter(other, "UPDATE state SET seq = 5")
        with access_to(book_url).reading() as session:
            assert session.rows("SELECT seq FROM state") == [(0,)]
    finally:
        alter(other, f"DROP SCHEMA {postgres_address(other).schema} CASCADE")


def test_programs_that_start_together_make_one_book(book_url: str) -> None:
    """Eight openings at once: all succeed, and the book is there once."""
    failed: list[Exception] = []

    def open_it() -> None:
        try:
            access_to(book_url).prepare(create=True)
        except LedgerUnavailableError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with access_to(book_url).reading() as session:
        assert session.rows("SELECT count(*) FROM state") == [(1,)]


def test_readers_do_not_make_a_book(book_url: str) -> None:
    """`create=False` on nothing is an error, and still nothing."""
    assert "there is no ledger" in refusal(book_url, create=False)
    assert tables_in(book_url) == []


def test_both_dialects_count_versions_alike() -> None:
    """What a new book says of itself is the version that the steps lead to."""
    assert FIRST_VERSION + len(MIGRATIONS) == VERSION


def test_an_older_book_is_brought_forward(book_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps after the book's version run once, in order, and the version is that of the last."""
    access_to(book_url).prepare(create=True)
    steps = (("CREATE TABLE step (number BIGINT)",), ("INSERT INTO step VALUES (1)", "INSERT INTO step VALUES (2)"))
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", steps)
    for _ in range(2):
        access_to(book_url).prepare(create=True)
    with access_to(book_url).reading() as session:
        assert session.rows("SELECT number FROM step ORDER BY number") == [(1,), (2,)]
        assert session.rows("SELECT value FROM meta WHERE name = 'schema_version'") == [(str(FIRST_VERSION + 2),)]


def test_a_step_that_fails_leaves_the_book_as_it_was(book_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken step is refused, and nothing of the steps before it stays."""
    access_to(book_url).prepare(create=True)
    before = tables_in(book_url)
    monkeypatch.setattr(
        postgres_schema, "MIGRATIONS", (("CREATE TABLE step (number BIGINT)", "SELECT 1 / 0 FROM no_table"),)
    )
    with pytest.raises(LedgerUnavailableError):
        access_to(book_url).prepare(create=True)
    assert tables_in(book_url) == before


def test_a_newer_book_is_refused(book_url: str) -> None:
    """A book of a later version is left alone, and the sentence says to update."""
    access_to(book_url).prepare(create=True)
    alter(book_url, "UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    told = refusal(book_url)
    assert "version 99" in told
    assert "update the package" in told


@pytest.mark.parametrize(
    "tables",
    [
        "CREATE TABLE cats (name text)",
        "CREATE TABLE meta (cat text)",
        "CREATE TABLE meta (name text, value text)",
        "CREATE VIEW meta AS SELECT 1 AS one",
    ],
)
def test_another_programs_schema_is_refused_and_left_alone(book_url: str, tables: str) -> None:
    """A schema that holds something else is named, and nothing is added to it."""
    alter(book_url, f"CREATE SCHEMA {postgres_address(book_url).schema}", tables)
    before = tables_in(book_url)
    assert "another program" in refusal(book_url)
    assert tables_in(book_url) == before


@pytest.mark.parametrize("table", ["documents", "writers", "calls", "entries"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_book_itself_cannot_be_changed(book_url: str, table: str, verb: str) -> None:
    """Triggers refuse to change, remove or empty; the archive lifts one of them for its own transaction."""
    access_to(book_url).prepare(create=True)
    lines = (
        "INSERT INTO documents VALUES ('d', 'k', 'n', 'b', 1)",
        "INSERT INTO writers VALUES (1, 'w', 1, 'h', 'v', 1)",
        "INSERT INTO calls VALUES ('c', NULL, 1, 1, 'r', NULL, '{}', '[]', '{}')",
        f"INSERT INTO entries ({LINE}) VALUES (1, 1, 1, 'open', 1, 0, 'h')",  # noqa: S608 - our own names
    )
    alter(book_url, *lines)
    statement = {
        "UPDATE": f"UPDATE {table} SET at_us = 2",  # noqa: S608 - our own names
        "DELETE": f"DELETE FROM {table}",  # noqa: S608 - our own names
        "TRUNCATE": f"TRUNCATE {table} CASCADE",
    }[verb]
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        alter(book_url, statement)


def test_the_archive_may_remove_within_its_transaction(book_url: str) -> None:
    """What `lift` allows ends with `protect`, and with a rollback."""
    session = PostgresSession(postgres_address(book_url), wait_s=10.0)
    access_to(book_url).prepare(create=True)
    alter(book_url, "INSERT INTO documents VALUES ('a', 'k', 'n', 'b', 1), ('b', 'k', 'n', 'b', 1)")
    session.begin()
    session.lift(("documents",))
    assert session.run("DELETE FROM documents WHERE digest = ?", ("a",)) == 1
    session.protect(("documents",))
    session.commit()
    session.begin()
    session.lift(("documents",))
    session.rollback()
    session.close()
    with pytest.raises(psycopg.errors.RestrictViolation):
        alter(book_url, "DELETE FROM documents")


# --- a server that says no --------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told(server: PostgresServer) -> None:
    """The sentence speaks of the password and does not hold it."""
    assert "password" in refusal(server.url_of("ledger", SECRET))


def test_an_unknown_role_is_told(server: PostgresServer) -> None:
    """A role that is not there looks like a wrong password, as the server wants it to."""
    assert "password" in refusal(server.url_of("nobody_here", SECRET))


def test_a_missing_database_is_told(server: PostgresServer) -> None:
    """The sentence says to create it."""
    url = server.url.replace("/postgres?", "/absent?")
    assert "no such database" in refusal(url)


@pytest.mark.parametrize(
    "place", ["127.0.0.1:1/d", "/d?host=%2Fnowhere%2Fat%2Fall", "no-such-host.invalid/d", "127.0.0.1:1,127.0.0.1:2/d"]
)
def test_an_absent_server_is_told(place: str) -> None:
    """Whatever kind of nothing is there: the sentence says to look at the server or the address."""
    told = refusal(f"postgresql://ledger:{SECRET}@{place}")
    assert "nothing answers there" in told or "host name is not known" in told


def test_options_that_libpq_does_not_know_are_told() -> None:
    """A misspelt option is an error, and its value is not repeated."""
    assert "check host" in refusal(f"postgresql://ledger@127.0.0.1:1/d?passwort={SECRET}")


def test_a_role_that_may_not_create_is_told_how(server: PostgresServer, role: str) -> None:
    """The sentence holds the statement that an administrator has to run; after it, opening works."""
    url = f"{server.url_of(role, SECRET)}&schema={role}"
    told = refusal(url)
    assert f"CREATE SCHEMA {role} AUTHORIZATION" in told
    server.run(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
    access_to(url).prepare(create=True)


def test_a_role_without_rights_to_a_book_is_told(server: PostgresServer, role: str) -> None:
    """Opening somebody else's book without a grant says which grants it takes."""
    url = f"{server.url}&schema=owned"
    access_to(url).prepare(create=True)
    told = refusal(f"{server.url_of(role, SECRET)}&schema=owned")
    assert "grant it" in told
    server.run(f"GRANT USAGE ON SCHEMA owned TO {role}", f"GRANT SELECT ON ALL TABLES IN SCHEMA owned TO {role}")
    reader = access_to(f"{server.url_of(role, SECRET)}&schema=owned")
    reader.prepare(create=False)
    session = reader.connect()
    session.begin()
    with pytest.raises(LedgerUnavailableError, match="grant it"):
        session.rows("SELECT seq FROM state")
    session.close()


def test_a_read_only_server_can_be_read(server: PostgresServer, role: str) -> None:
    """A book on a standby, or a server set read-only, is opened and read; writing says where to write instead."""
    url = f"{server.url_of(role, SECRET)}&schema={role}"
    server.run(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
    access_to(url).prepare(create=True)
    server.run(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    access = access_to(url)
    access.prepare(create=True)
    with access.reading() as session:
        assert session.rows("SELECT seq FROM state") == [(0,)]
    writing = access.connect()
    writing.begin()
    with pytest.raises(LedgerUnavailableError, match="can only be read there"):
        writing.rows("SELECT seq FROM state")
    writing.close()


def test_a_reader_cannot_write(book_url: str) -> None:
    """What is opened for reading refuses to change anything."""
    access_to(book_url).prepare(create=True)
    with access_to(book_url).reading() as session:
        with pytest.raises(LedgerUnavailableError, match="can only be read"):
            session.run("UPDATE state SET seq = 9")
        session.rollback()
        with pytest.raises(LedgerUnavailableError, match="can only be read"):
            session.run("UPDATE state SET seq = 9")


def test_too_many_connections_are_told(server: PostgresServer, role: str) -> None:
    """A role that has used up its connections is told about their number."""
    server.run(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    assert "no more connections" in refusal(server.url_of(role, SECRET))


def test_a_database_in_another_encoding_is_refused(server: PostgresServer) -> None:
    """Texts of any language must be stored exactly: only UTF8 does."""
    server.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    assert "`LATIN1`" in refusal(server.url.replace("/postgres?", "/latin?"))


def test_a_server_that_is_down_is_told_and_comes_back(server: PostgresServer) -> None:
    """While it is stopped nothing answers; once it is started again the same address works."""
    url = f"{server.url}&schema=stopped"
    access_to(url).prepare(create=True)
    server.stop()
    try:
        assert "nothing answers there" in refusal(url)
    finally:
        server.start()
    access_to(url).prepare(create=False)


# --- packages and places ----------------------------------------------------------------------------------------------


def test_nothing_of_psycopg_is_loaded_until_it_is_needed() -> None:
    """The package, the Router and the room of ledgers come without it; reading an address does not need it either."""
    program = (
        "import sys; from modelrouter import Router; import modelrouter.ledger.opening;"
        "from modelrouter.ledger.postgres_address import postgres_address;"
        "postgres_address('postgresql://h/d'); print('psycopg' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_psycopg_is_told() -> None:
    """Without the package the error names the extra that brings it."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from modelrouter.errors import MissingDependencyError\n"
        "try:\n import modelrouter.ledger.postgres_access\n"
        "except MissingDependencyError as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert 'pip install "modelrouter[postgres]"' in done.stdout


def test_the_spool_is_the_users_and_the_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is the state folder, or the one that was named; two books never share a name, one book always does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, same, other = (
        access_to(f"postgresql://{user}@h/d?schema={schema}") for user, schema in (("a", "x"), ("b", "x"), ("a", "y"))
    )
    assert one.spool[0].parent == tmp_path / "modelrouter"
    assert one.spool == same.spool
    assert one.spool[0] != other.spool[0]
    named = PostgresAccess(postgres_address("postgresql://h/d"), lock_wait_s=1.0, spool=tmp_path / "spool")
    assert named.spool[0].parent == tmp_path / "spool"
    assert os.fspath(named.spool[0]).find("postgresql") == -1
