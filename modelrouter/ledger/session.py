"""What the book asks of a database: one connection, in whatever dialect.

The statements of this room are written once, with `?` for values, in the SQL that SQLite and PostgreSQL share. Amounts
and times are 64-bit integers everywhere. A session is used by one thread at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "Row", "Session"]

Column: TypeAlias = "str | int | None"
Row: TypeAlias = "tuple[Column, ...]"


class Session(Protocol):
    """One connection to a store.

    Whatever goes wrong with the database itself is a `LedgerUnavailableError` that says what to do; the session is then
    of no more use, and the book opens another. A row that breaks a unique or check constraint is a `LedgerError`.
    """

    def begin(self) -> None:
        """Begin a transaction that no other writer's can run beside: it holds the one lock of the book."""
        ...

    def snapshot(self) -> None:
        """Begin a transaction that reads one picture of the book and keeps no writer waiting; ended by `rollback`."""
        ...

    def lift(self, tables: Sequence[str]) -> None:
        """Inside `begin`: let rows of these append-only tables be removed, until `protect`. For the archive alone."""
        ...

    def protect(self, tables: Sequence[str]) -> None:
        """Inside the same transaction: what `lift` allowed is refused again."""
        ...

    def commit(self) -> None:
        """Make it durable before returning."""
        ...

    def rollback(self) -> None:
        """Leave nothing of it; harmless outside a transaction."""
        ...

    def now_us(self) -> int:
        """The store's clock: the machine's for a file, the server's for a server. Microseconds since 1970, UTC."""
        ...

    def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        ...

    def run(self, sql: str, values: Sequence[Column] = ()) -> int:
        """Run a statement; how many rows it changed."""
        ...

    def send(self, sql: str, values: Sequence[Column] = ()) -> None:
        """Run a statement whose outcome nobody asks for. A server may get it, and tell what is wrong, with the next."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows, many in one statement; sent as by `send`."""
        ...

    def member(self, column: str, name: str) -> str:
        """An expression: the text under a name in the JSON object of a text column, or null.

        Args:
            column: as it stands in a statement.
            name: ASCII letters, digits, `_`, `.`, `~` and `-`; nothing that would have to be quoted.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
