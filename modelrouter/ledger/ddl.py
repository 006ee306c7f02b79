"""The statements that make the tables of the book, for a dialect that says what its 64-bit integer is called."""

from __future__ import annotations

import re
from typing import Final

from modelrouter.ledger.tables import INDEXES, TABLES

__all__ = ["FORMAT", "VERSION", "begin_state", "make_tables"]

FORMAT: Final = "modelrouter-ledger"
"""What `meta` says under `format`."""
VERSION: Final = 2
"""What `meta` says under `schema_version`, in every dialect. Version 1 was a SQLite file without budgets or a chain."""

INT: Final = re.compile(r"\bINT\b")


def make_tables(integer: str) -> tuple[str, ...]:
    """`CREATE` of all tables, each after those it refers to, and of all indexes.

    Args:
        integer: the 64-bit integer of the dialect, as `INTEGER` or `BIGINT`.
    """
    tables = (
        f"CREATE TABLE {name} ({', '.join(INT.sub(integer, column) for column in columns)})"
        for name, columns in TABLES.items()
    )
    return (*tables, *INDEXES)


def begin_state() -> tuple[str, ...]:
    """What stands in an empty book."""
    return (
        f"INSERT INTO meta (name, value) VALUES ('format', '{FORMAT}'), ('schema_version', '{VERSION}')",  # noqa: S608 - our own words
        "INSERT INTO state (one, seq, at_us, budgets, tag_keys, revoked, first_seq) VALUES (1, 0, 0, '', 0, 0, 1)",
    )
