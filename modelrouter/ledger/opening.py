"""From the address of a ledger, as a config writes it, to an open store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.records import Ledger
    from modelrouter.ports import Clock

__all__ = ["open_ledger", "sqlite_path"]

SQLITE: Final = "sqlite"
POSTGRES: Final = frozenset({"postgres", "postgresql"})
EXAMPLE: Final = (
    "write `sqlite:///modelrouter.db`, `sqlite:////srv/modelrouter.db` for an absolute path, or "
    "`postgresql://user@host/database`"
)


def open_ledger(
    url: str,
    clock: Clock,
    *,
    base: Path | None = None,
    create: bool = True,
    lease_s: float = 30.0,
    spool: Path | str | None = None,
    budgets: Sequence[Budget] = (),
) -> Ledger:
    """Open the ledger that an address names.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user@host/database?schema=name`.
        clock: where the times of entries come from; a server has its own.
        base: what a relative path is relative to; None is the working directory.
        create: whether a file that is not there is made; readers say no.
        lease_s: after how long without a sign of life what this process has reserved expires.
        spool: the folder for ends of attempts that cannot be written; None leaves it to the store.
        budgets: what this process goes by, until `configure` says otherwise.

    Raises:
        ConfigError: the address cannot be understood.
        LedgerUnavailableError: the file cannot be opened, is not ours, is newer than this version, or lies on a
            network filesystem; or the server cannot be reached or used.
        MissingDependencyError: `psycopg` is not installed.
    """
    folder = None if spool is None else Path(spool)
    if url.partition("://")[0] in POSTGRES:
        from modelrouter.ledger.postgres import PostgresLedger

        return PostgresLedger(url, clock, create=create, lease_s=lease_s, spool=folder, budgets=budgets)
    path = sqlite_path(url, base)
    from modelrouter.ledger.sqlite import SqliteLedger

    return SqliteLedger(path, clock, create=create, lease_s=lease_s, spool=folder, budgets=budgets)


def sqlite_path(url: str, base: Path | None = None) -> Path:
    """The absolute path in a `sqlite:///…` address.

    Raises:
        ConfigError: not such an address. The text of another scheme's address is not repeated: it may hold a password.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        raise ConfigError(f"the ledger's address has no scheme: {EXAMPLE}")
    if scheme != SQLITE:
        raise ConfigError(f"`{scheme}` is not a kind of ledger: {EXAMPLE}")
    if ":memory:" in rest:
        raise ConfigError(
            f"`{url}` would be lost with the process, and a reservation must outlive it: {EXAMPLE}; "
            "tests take the ledger of `modelrouter.testing`"
        )
    if not rest.startswith("/"):
        raise ConfigError(f"`{url}` has a host, and SQLite has none: {EXAMPLE}, with three slashes before the path")
    name = rest.removeprefix("/")
    if not name or name.endswith("/"):
        raise ConfigError(f"`{url}` names no file: {EXAMPLE}")
    if "?" in name or "\x00" in name:
        raise ConfigError(f"`{url}` has options after `?`, and a ledger takes none: {EXAMPLE}")
    return ((base or Path()) / name).absolute()
