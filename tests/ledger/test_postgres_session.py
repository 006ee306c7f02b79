"""A session on a real PostgreSQL server: what goes in comes out, one writer at a time, nothing waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from modelrouter.errors import LedgerError, LedgerUnavailableError
from modelrouter.ledger import postgres_session
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.postgres_schema import prepare
from modelrouter.ledger.postgres_session import CommitUnknownError, PostgresSession
from tests.ledger.postgres_proxy import Cut, Proxy
from tests.real_postgres import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelrouter.ledger.session import Row
    from tests.real_postgres import PostgresServer

DOCUMENT = ("digest", "kind", "name", "body", "at_us")
WRITER = ("writer", "writer_id", "pid", "host", "version", "at_us")
LINE = ("seq", "writer", "writer_seq", "kind", "at_us", "amount_nano_usd", "hash")
COUNT = "SELECT count(*) FROM documents"


def session_of(url: str, *, wait_s: float = 30.0, clock: Callable[[], int] | None = None) -> PostgresSession:
    """A session on the book at an address, which is made if it is not there."""
    address = postgres_address(url)
    prepare(PostgresSession(address, wait_s=30.0), address, create=True)
    return PostgresSession(address, wait_s=wait_s, clock=clock)


def backend_of(session: PostgresSession) -> int:
    """The server's process behind a session."""
    return int(session.rows("SELECT pg_backend_pid()")[0][0] or 0)


def document(name: str) -> Row:
    """A row of `documents`."""
    return (name, "policy", "house", "rules: {}", 1)


def write_line(session: PostgresSession, seq: int, digest: str) -> None:
    """A whole transaction that adds one line to the book, as every batch does."""
    session.begin()
    if not session.rows("SELECT 1 FROM writers"):
        session.insert("writers", WRITER, [(1, "w", 1, "h", "1", 1)])
    session.insert("entries", LINE, [(seq, 1, seq, "open", 1, 0, digest)])
    session.run("UPDATE state SET seq = ?", (seq,))
    session.commit()


@pytest.fixture
def session(book_url: str) -> Iterator[PostgresSession]:
    """A session on an empty book."""
    opened = session_of(book_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that the tests of this file may freeze and stop, and start again."""
    with running_server() as own:
        yield own


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    """Something between us and that server that loses connections on demand."""
    with Proxy(server.socket) as between:
        yield between


@pytest.fixture
def proxied(server: PostgresServer, proxy: Proxy) -> Iterator[PostgresSession]:
    """A session on an empty book behind the proxy."""
    server.run("DROP SCHEMA IF EXISTS proxied CASCADE")
    opened = session_of(f"{server.tcp_url(proxy.port)}&schema=proxied", wait_s=5.0)
    yield opened
    opened.close()


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "NULL", "{}", '{"a":"b\\"c\\\\"}', "a'b", "100 % %s ?", "line\nline\ttab", "ﷺ🙂", "\x01\x7f", "a,b"]
)
def test_any_text_comes_back(session: PostgresSession, text: str) -> None:
    """Texts that look like syntax of SQL, of arrays or of JSON are texts, in rows added and in values asked for."""
    session.begin()
    session.insert("documents", DOCUMENT, [(f"1{text}", text, text, text, 1), (f"2{text}", "k", "n", text, 2)])
    assert session.rows("SELECT body, '?' FROM documents WHERE kind = ? AND digest <> ?", (text, "100 %")) == [
        (text, "?")
    ]
    session.commit()


def test_numbers_are_whole_and_exact(session: PostgresSession) -> None:
    """64 bits come back as they are, sums beyond them too, truth as 1 and 0, and nothing as None."""
    largest = 2**63 - 1
    assert session.rows("SELECT ?, ?, CAST(? AS BIGINT) IS NULL, ? > 3, NULL", (largest, -largest, None, 3)) == [
        (largest, -largest, 1, 0, None)
    ]
    assert session.rows("SELECT SUM(v) FROM (VALUES (?), (?)) AS t (v)", (largest, largest)) == [(2 * largest,)]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_text_that_cannot_be_stored_is_refused_before_it_is_sent(session: PostgresSession, text: str) -> None:
    """Neither cut off silently nor left to the server: it is refused, and the session goes on."""
    for attempt in (
        lambda: session.rows("SELECT ?", (text,)),
        lambda: session.insert("documents", DOCUMENT, [(text, "k", "n", "b", 1)]),
    ):
        session.begin()
        with pytest.raises(LedgerError, match="cannot hold a text") as caught:
            attempt()
        assert not isinstance(caught.value, LedgerUnavailableError)
        session.rollback()
    assert session.rows("SELECT 1") == [(1,)]


def test_rows_keep_their_order_and_any_number_fits(session: PostgresSession) -> None:
    """Ten thousand rows go in as they were given; text is in byte order, whatever the server's locale."""
    session.begin()
    session.insert("documents", DOCUMENT, [document(f"{'bA'[number % 2]}{number}") for number in range(10_000)])
    session.commit()
    rows = [digest for (digest,) in session.rows("SELECT digest FROM documents ORDER BY digest")]
    assert rows == sorted(str(digest) for digest in rows)
    assert len(rows) == 10_000
    assert [digest for (digest,) in session.rows("SELECT digest FROM documents ORDER BY ctid LIMIT 3")] == [
        "b0",
        "A1",
        "b2",
    ]


def test_counts_are_of_rows_touched(session: PostgresSession) -> None:
    """`run` says how many rows a statement changed."""
    session.begin()
    session.insert("tag_keys", ("tag", "secret", "at_us"), [("a", "1", 1), ("b", "2", 1)])
    assert session.run("UPDATE tag_keys SET at_us = ? WHERE tag <> ?", (2, "none")) == 2
    assert session.run("DELETE FROM tag_keys WHERE tag = ?", ("b",)) == 1
    session.commit()


def test_many_different_statements_do_not_pile_up(session: PostgresSession) -> None:
    """Beyond what is prepared once, statements go on working, and the server remembers a bounded number."""
    for number in range(300):
        assert session.rows(f"SELECT {number} + ?", (1,)) == [(number + 1,)]
    assert int(session.rows("SELECT count(*) FROM pg_prepared_statements")[0][0] or 0) <= 200


# --- transactions -----------------------------------------------------------------------------------------------------


def test_commits_are_durable_whatever_the_server_says(session: PostgresSession, postgres: str) -> None:
    """The server of these tests has undurable commits for a default; a session that writes has not."""
    assert session.rows("SHOW synchronous_commit") == [("on",)]


def test_a_broken_constraint_leaves_nothing(session: PostgresSession) -> None:
    """A row that is there already is told of at the latest by the commit, and its batch mates are not written."""
    session.begin()
    session.insert("documents", DOCUMENT, [document("1")])
    session.commit()
    session.begin()
    session.insert("documents", DOCUMENT, [document("2")])
    session.insert("documents", DOCUMENT, [document("1")])
    with pytest.raises(LedgerError, match="23505") as caught:
        session.commit()
    assert not isinstance(caught.value, LedgerUnavailableError)
    session.rollback()
    assert session.rows(COUNT) == [(1,)]


def test_a_rollback_leaves_nothing_of_what_was_queued(session: PostgresSession) -> None:
    """Rows that were never sent stay unsent; a rollback outside a transaction is harmless."""
    session.rollback()
    session.begin()
    session.rows("SELECT seq FROM state")
    session.insert("documents", DOCUMENT, [document("1")])
    session.rollback()
    session.begin()
    session.insert("documents", DOCUMENT, [document("2")])
    session.commit()
    assert session.rows("SELECT digest FROM documents") == [("2",)]


def test_one_writer_at_a_time(session: PostgresSession, book_url: str) -> None:
    """A second writer waits for the first, then sees what it wrote; a reader waits for nobody and sees a whole."""
    other, reader = session_of(book_url), session_of(book_url)
    seen: list[list[Row]] = []
    session.begin()
    session.run("UPDATE state SET seq = 7")

    def wait() -> None:
        other.begin()
        seen.append(other.rows("SELECT seq FROM state"))
        other.commit()

    thread = threading.Thread(target=wait)
    thread.start()
    await_lock(book_url)
    reader.snapshot()
    assert reader.rows("SELECT seq FROM state") == [(0,)]
    session.commit()
    thread.join()
    assert seen == [[(7,)]]
    assert reader.rows("SELECT seq FROM state") == [(0,)], "a snapshot does not move"
    reader.rollback()
    assert reader.rows("SELECT seq FROM state") == [(7,)]
    for each in (other, reader):
        each.close()


def await_lock(url: str) -> None:
    """Until some session of the database waits for a lock."""
    deadline = time.monotonic() + 30
    with psycopg.connect(postgres_address(url).conninfo, autocommit=True) as looking:
        while not looking.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
            assert time.monotonic() < deadline


def test_a_lock_that_stays_is_given_up(session: PostgresSession, book_url: str) -> None:
    """A writer that cannot get the lock within its time is told so, and can go on once it is free."""
    impatient = session_of(book_url, wait_s=0.3)
    session.begin()
    session.rows("SELECT 1")
    begun = time.monotonic()
    impatient.begin()
    with pytest.raises(LedgerUnavailableError, match="another process kept it locked"):
        impatient.rows("SELECT seq FROM state")
    assert time.monotonic() - begun < 5
    impatient.rollback()
    session.commit()
    write_line(impatient, 1, "h1")
    impatient.close()


def test_the_moment_of_a_batch_is_the_servers(session: PostgresSession, book_url: str) -> None:
    """It is read when the lock is granted, stands still for the batch, and never lies before the writer's before it."""
    session.begin()
    session.rows("SELECT seq FROM state")
    first = session.now_us()
    session.rows("SELECT pg_sleep(0.002)")
    assert session.now_us() == first
    session.commit()
    session.begin()
    assert session.now_us() > first
    session.rollback()
    assert session.now_us() > first
    still = session_of(book_url, clock=lambda: 5)
    still.begin()
    assert still.now_us() == 5
    still.close()


def test_a_pooler_between_transactions_is_noticed(session: PostgresSession) -> None:
    """Behind a pooler that changes the session, our settings would not hold: refused, with what to do."""
    session.rows("SELECT 1")
    session._backend = 1  # as if the session that was set up had been another
    session.begin()
    with pytest.raises(LedgerUnavailableError, match="connection pooler"):
        session.rows("SELECT seq FROM state")


# --- losing the server ------------------------------------------------------------------------------------------------


def terminate(url: str, backend: int) -> None:
    """Have the server end a session, and wait until it is gone."""
    with psycopg.connect(postgres_address(url).conninfo, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 30000)", (backend,))


def test_an_idle_connection_that_ended_is_made_anew(session: PostgresSession, book_url: str) -> None:
    """A server that was restarted, or a firewall, between two batches costs a new connection and nothing else."""
    write_line(session, 1, "h1")
    for _ in range(2):
        terminate(book_url, backend_of(session))
        session.begin()
        assert session.rows("SELECT seq FROM state") == [(1,)]
        session.commit()


def test_a_connection_that_ends_amid_a_batch_fails_it(session: PostgresSession, book_url: str) -> None:
    """Nothing of the batch is written, and nothing of it is written later by a new connection."""
    session.begin()
    session.insert("documents", DOCUMENT, [document("1")])
    terminate(book_url, backend_of(session))
    with pytest.raises(LedgerUnavailableError, match="connection was lost"):
        session.rows("SELECT seq FROM state")
    session.rollback()
    session.close()
    assert session.rows(COUNT) == [(0,)]


def test_a_writer_that_stands_still_loses_its_lock(book_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer gets on without it; on waking its commit fails, and nothing of its batch is in the book."""
    monkeypatch.setattr(postgres_session, "STANDSTILL_S", 0.2)
    still, other = session_of(book_url), session_of(book_url)
    still.begin()
    still.rows("SELECT seq FROM state")
    still.insert("documents", DOCUMENT, [document("1")])
    write_line(other, 1, "h1")  # waits for the lock
    with pytest.raises(LedgerUnavailableError, match="stood still"):
        still.commit()
    still.rollback()
    assert other.rows(COUNT) == [(0,)]
    for each in (still, other):
        each.close()


def test_a_frozen_server_fails_calls_in_time(server: PostgresServer) -> None:
    """Neither a session that is open nor a new one waits longer than it may."""
    url = f"{server.url}&schema=frozen"
    session, fresh = session_of(url, wait_s=0.5), PostgresSession(postgres_address(url), wait_s=0.5)
    write_line(session, 1, "h1")
    with server.frozen():
        begun = time.monotonic()
        for each in (session, fresh):
            each.begin()
            with pytest.raises(LedgerUnavailableError, match="in time"):
                each.rows("SELECT seq FROM state")
            each.close()
        assert time.monotonic() - begun < 5
    write_line(session, 2, "h2")
    session.close()


def test_a_commit_whose_answer_is_lost_is_found(proxied: PostgresSession, proxy: Proxy) -> None:
    """The server had committed: the session finds its line over a new connection, and nothing is written twice."""
    write_line(proxied, 1, "h1")
    proxy.cut(Cut.AFTER)
    write_line(proxied, 2, "h2")
    assert proxy.cuts == 1
    write_line(proxied, 3, "h3")
    assert proxied.rows("SELECT seq, hash FROM entries ORDER BY seq") == [(1, "h1"), (2, "h2"), (3, "h3")]


def test_a_commit_that_never_arrived_is_not_believed(proxied: PostgresSession, proxy: Proxy) -> None:
    """The server had not committed: the session says so, for certain, and the book is as before."""
    write_line(proxied, 1, "h1")
    proxy.cut(Cut.BEFORE)
    with pytest.raises(LedgerUnavailableError, match="nothing of the batch was written"):
        write_line(proxied, 2, "h2")
    assert proxy.cuts == 1
    proxied.rollback()
    assert proxied.rows("SELECT seq FROM entries") == [(1,)]
    write_line(proxied, 2, "other")


def test_another_writers_line_is_not_taken_for_ours(
    proxied: PostgresSession, proxy: Proxy, server: PostgresServer
) -> None:
    """If somebody else wrote the number in the meantime, the hash tells that it is not our line."""
    write_line(proxied, 1, "h1")
    assert not proxied._was_written(1, "h2")
    assert proxied._was_written(1, "h1")
    assert not proxied._was_written(2, "h1")


@pytest.mark.parametrize("cut", list(Cut))
def test_a_commit_nobody_can_be_asked_about_is_unknown(proxied: PostgresSession, proxy: Proxy, cut: Cut) -> None:
    """Where the server does not come back in time, the session does not pretend to know."""
    write_line(proxied, 1, "h1")
    proxied._wait_s = 0.3
    proxy.cut(cut, then_refuse=True)
    with pytest.raises(CommitUnknownError, match="is not known"):
        write_line(proxied, 2, "h2")
    proxy.refuses = False
    proxied._wait_s = 5.0
    proxied.rollback()
    assert (proxied.rows("SELECT hash FROM entries WHERE seq = 2") == [("h2",)]) is (cut is Cut.AFTER)


def test_a_server_that_crashes_loses_nothing_committed(server: PostgresServer) -> None:
    """After an immediate stop and a start the committed line is there, the open batch is not, and writing goes on."""
    session = session_of(f"{server.url}&schema=crashed")
    write_line(session, 1, "h1")
    session.begin()
    session.insert("documents", DOCUMENT, [document("1")])
    session.rows("SELECT 1")
    server.crash()
    with pytest.raises(LedgerUnavailableError):
        session.commit()
    session.rollback()
    server.start()
    write_line(session, 2, "h2")
    assert session.rows("SELECT hash FROM entries ORDER BY seq") == [("h1",), ("h2",)]
    assert session.rows(COUNT) == [(0,)]
    session.close()


# --- forks ------------------------------------------------------------------------------------------------------------

FORK = """
import gc, os, sys
import psutil
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.postgres_session import PostgresSession

session = PostgresSession(postgres_address(sys.argv[1]), wait_s=30)
session.begin()
before = session.rows("SELECT pg_backend_pid()")
child = os.fork()
if child == 0:
    open_before = psutil.Process().num_fds()
    session.abandon()
    assert psutil.Process().num_fds() == open_before - 1
    session.close()
    del session
    gc.collect()
    sys.exit(0)  # the whole end of an interpreter: nothing may be said to the server
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert session.rows("SELECT pg_backend_pid()") == before
session.run("UPDATE state SET seq = 5")
session.commit()
print(code, session.rows("SELECT seq FROM state"), session.rows("SELECT pg_backend_pid()") == before)
"""


def test_a_childs_end_leaves_the_parents_connection_alone(session: PostgresSession, book_url: str) -> None:
    """A child that inherited a connection amid a transaction drops it, ends, and the parent commits over it."""
    session.rows("SELECT 1")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, book_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.stdout.strip() == "0 [(5,)] True", done.stderr
