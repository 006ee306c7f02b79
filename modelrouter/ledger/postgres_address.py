"""The address of a book on a PostgreSQL server: `postgresql://…`, as libpq reads it, with one option of ours.

`?schema=NAME` says in which schema the book lies; `modelrouter` is the default. Every other option is libpq's (as
`sslmode`, `sslrootcert`, `target_session_attrs`, several hosts), and so is what the address leaves open: a password may
come from `PGPASSWORD`, `PGPASSFILE` or a service file instead of standing in the address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from modelrouter.errors import ConfigError

__all__ = ["PostgresAddress", "postgres_address"]

EXAMPLE: Final = "write `postgresql://user@host:5432/database`"
SCHEMES: Final = ("postgresql", "postgres")
DEFAULT_SCHEMA: Final = "modelrouter"
SCHEMA: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """Where a book is.

    Attributes:
        conninfo: what libpq connects with. It may hold a password: it is never shown, not even by `repr`.
        schema: a plain lower-case name, safe to stand in a statement.
        shown: what messages call the book: servers, database and schema; no user, password or option.
    """

    conninfo: str = field(repr=False)
    schema: str
    shown: str


def postgres_address(url: str) -> PostgresAddress:
    """Read an address.

    Raises:
        ConfigError: it is none. Its text is not repeated: it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES or "\x00" in url:
        raise ConfigError(f"the ledger's address is not one of PostgreSQL: {EXAMPLE}")
    place, _, query = rest.partition("?")
    if "@" in query:  # what stands before it may be the end of a password, and must not become the name of a server
        raise ConfigError("write `@`, `/` and `?` in a password of the ledger's address as `%40`, `%2F` and `%3F`")
    options = query.split("&") if query else []
    schemas = [option.partition("=")[2] for option in options if option.partition("=")[0] == "schema"]
    if len(schemas) > 1:
        raise ConfigError("the ledger's address names its schema twice: keep one `schema=`")
    schema = schemas[0] if schemas else DEFAULT_SCHEMA
    if SCHEMA.fullmatch(schema) is None:
        raise ConfigError(
            "the schema in the ledger's address must be lower-case letters, digits and `_`, at most 63, and not begin "
            "with a digit or `pg_`: write `?schema=modelrouter`"
        )
    kept = [option for option in options if option.partition("=")[0] != "schema"]
    servers, _, database = place.rpartition("@")[2].partition("/")
    if not servers:
        servers = next((part.removeprefix("host=") for part in kept if part.startswith("host=")), "")
    shown = f"postgresql://{servers}/{database}?schema={schema}"
    return PostgresAddress(f"postgresql://{place}{'?' if kept else ''}{'&'.join(kept)}", schema, shown)
