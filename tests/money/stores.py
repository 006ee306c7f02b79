"""Both stores for the trials, as the address that a config names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.real_postgres import fresh_schema, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["STORES", "book_url"]

STORES: Final = ("sqlite", "postgres")


@contextmanager
def book_url(store: str, folder: Path) -> Iterator[str]:
    """An address at which there is no book yet; a server of our own that commits durably stands behind it."""
    if store == "sqlite":
        yield f"sqlite:///{folder}/book.db"
        return
    with running_server(is_durable=True) as server, fresh_schema(server.url) as url:
        yield url
