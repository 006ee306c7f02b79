"""Addresses of PostgreSQL ledgers: what is read out of them, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import pytest

from modelrouter.errors import ConfigError
from modelrouter.ledger.postgres_address import postgres_address


@pytest.mark.parametrize(
    ("url", "conninfo", "schema", "shown"),
    [
        (
            "postgresql://me:hunter2@db.example:5433/books",
            "postgresql://me:hunter2@db.example:5433/books",
            "modelrouter",
            "postgresql://db.example:5433/books?schema=modelrouter",
        ),
        (
            "postgres://me@one:1,two:2/books?sslmode=require&schema=team_7&target_session_attrs=read-write",
            "postgresql://me@one:1,two:2/books?sslmode=require&target_session_attrs=read-write",
            "team_7",
            "postgresql://one:1,two:2/books?schema=team_7",
        ),
        (
            "postgresql://me:hunter2@/books?host=%2Frun%2Fpg&schema=a",
            "postgresql://me:hunter2@/books?host=%2Frun%2Fpg",
            "a",
            "postgresql://%2Frun%2Fpg/books?schema=a",
        ),
        (
            "postgresql:///books?password=hunter2",
            "postgresql:///books?password=hunter2",
            "modelrouter",
            "postgresql:///books?schema=modelrouter",
        ),
        (
            "postgresql://me:hunter2%40%2F@[::1]:5432/books",
            "postgresql://me:hunter2%40%2F@[::1]:5432/books",
            "modelrouter",
            "postgresql://[::1]:5432/books?schema=modelrouter",
        ),
    ],
)
def test_an_address_is_read(url: str, conninfo: str, schema: str, shown: str) -> None:
    """The schema is ours, everything else is libpq's, and what is shown holds neither user nor password."""
    address = postgres_address(url)
    assert (address.conninfo, address.schema, address.shown) == (conninfo, schema, shown)
    assert "hunter2" not in repr(address) + address.shown


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("mysql://me:hunter2@host/d", "not one of PostgreSQL"),
        ("postgresql:me:hunter2@host/d", "not one of PostgreSQL"),
        ("postgresql://me:hunter2\x00@host/d", "not one of PostgreSQL"),
        ("postgresql://me:hun?ter2@host/d", "%40"),
        ("postgresql://me@host/d?password=hunter2@x", "%40"),
        ("postgresql://me:hunter2@host/d?schema=a&schema=b", "twice"),
        ("postgresql://me:hunter2@host/d?schema=", "lower-case"),
        ("postgresql://me:hunter2@host/d?schema=Books", "lower-case"),
        ("postgresql://me:hunter2@host/d?schema=pg_books", "lower-case"),
        ("postgresql://me:hunter2@host/d?schema=7", "lower-case"),
        ("postgresql://me:hunter2@host/d?schema=a%20b", "lower-case"),
        ("postgresql://me:hunter2@host/d?schema=a;drop", "lower-case"),
        (f"postgresql://me:hunter2@host/d?schema={'a' * 64}", "lower-case"),
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(url: str, part: str) -> None:
    """The sentence says what to change, and holds nothing of a password."""
    with pytest.raises(ConfigError, match=part) as caught:
        postgres_address(url)
    assert "hun" not in str(caught.value)
    assert "ter2" not in str(caught.value)
