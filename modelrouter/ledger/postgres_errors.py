"""What to say when PostgreSQL refuses. Its own words are used where they name no secret; the address is always masked.

A server's SQLSTATE does not depend on its language. What goes wrong before a session exists has none in libpq, so there
the English words are looked for, and a server that speaks otherwise gets the sentence that holds for all of them.
Codes: postgresql.org/docs/current/errcodes-appendix.html.
"""

from __future__ import annotations

from typing import Final

from modelrouter.errors import LedgerUnavailableError

__all__ = ["IS_OF_A_ROW", "ForbiddenError", "LockedError", "TransientError", "connecting_failed", "unavailable"]

BROKEN: Final = "the connection was lost: it is made anew with the next entry; see whether the server runs"
LOCKED: Final = "another process kept it locked for too long: look for one that hangs"
SLOW: Final = "the server took too long to answer: look at its load and its disk"
ENDING: Final = "the server is stopping or starting: try again once it runs"

STOOD_STILL: Final = "this process stood still amid a batch, and the server gave up on it: nothing of it was written"

BY_STATE: Final = {
    "25P03": STOOD_STILL,
    "25P04": STOOD_STILL,
    "25006": "it can only be read there (a standby, or set read-only): name the primary, with "
    "`target_session_attrs=read-write` where there are several servers",
    "28000": "the server lets this role not in: check the user of the address and the server's `pg_hba.conf`",
    "28P01": "the server does not accept the password: check it, in the address or in `PGPASSWORD`",
    "3D000": "the server has no such database: create it, or name another",
    "3F000": "its schema is gone: restore it from a backup, or restart to begin a new book",
    "42501": "the role may not do this: grant it `USAGE` on the schema, `SELECT, INSERT, UPDATE, DELETE` on its tables",
    "42P01": "a table of it is gone, or the role may not use its schema: restore it, or grant `USAGE` on the schema",
    "40P01": "the server ended this batch for the sake of another: try again",
    "40001": "the server ended this batch for the sake of another: try again",
    "53100": "the server's disk is full: make room on it",
    "53200": "the server has no memory left: look at its load",
    "53300": "the server takes no more connections: raise its `max_connections`, or close others",
    "55P03": LOCKED,
    "57014": SLOW,
    "57P01": BROKEN,
    "57P02": BROKEN,
    "57P03": ENDING,
    "XX001": "the server finds its files damaged: restore them from a backup",
    "XX002": "the server finds its files damaged: restore them from a backup",
}
BY_CLASS: Final = {
    "08": BROKEN,
    "53": "the server has run out of something: look at its log",
    "57": ENDING,
    "58": "the server's disk reports an error: check it",
}
IS_OF_A_ROW: Final = frozenset({"22", "23"})
"""Classes of errors that are about what was written, and not about the server."""

BY_WORDS: Final = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("too many connections", "53300"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("permission denied for database", "42501"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("recovery mode", "57P03"),
    ("session is read-only", "25006"),
    ("session is not read-only", "25006"),
    ("server is in hot standby mode", "25006"),
    ('role "', "28000"),
    ('database "', "3D000"),
)
"""In this order: an error about connections may name a role, too."""
UNREACHED: Final = (
    ("could not translate host name", "its host name is not known: check the address"),
    ("Connection refused", "nothing answers there: start the server, or correct the address"),
    ("No such file or directory", "nothing answers there: start the server, or correct the address"),
    ("timeout expired", "nothing answers there in time: check the address, and whether the server hangs"),
    ("certificate", "its certificate is not accepted: check `sslrootcert` and the host name in the address"),
    ("SSL", "the encrypted connection cannot be made: check `sslmode` in the address"),
)


class TransientError(LedgerUnavailableError):
    """Nothing of the transaction was written, for a reason that may be gone already: it can be tried again."""


class LockedError(TransientError):
    """Another writer has held the lock for long."""


class ForbiddenError(LedgerUnavailableError):
    """The role lacks a right."""


KINDS: Final = {
    "25P03": TransientError,
    "25P04": TransientError,
    "40001": TransientError,
    "40P01": TransientError,
    "42501": ForbiddenError,
    "55P03": LockedError,
}


def unavailable(shown: str, state: str, words: str = "") -> LedgerUnavailableError:
    """The error for a SQLSTATE, with what to do about it.

    Args:
        shown: the masked address.
        state: five characters; empty where the connection itself failed.
        words: the server's own, for a state that no sentence is known for.
    """
    text = BY_STATE.get(state) or BY_CLASS.get(state[:2] if state else "08")
    if text is None:
        text = f"the server says {state}: {words}" if words else f"the server says {state}"
    kind = KINDS.get(state, LedgerUnavailableError)
    return kind(f"the ledger `{shown}` cannot be used: {text}")


def connecting_failed(shown: str, words: str) -> LedgerUnavailableError:
    """The error for a connection that could not be made; `words` is what libpq says, and is not repeated."""
    for part, state in BY_WORDS:
        if part in words:
            return unavailable(shown, state)
    for part, text in UNREACHED:
        if part in words:
            return LedgerUnavailableError(f"the ledger `{shown}` cannot be used: {text}")
    return LedgerUnavailableError(
        f"the ledger `{shown}` cannot be used: the connection cannot be made: check host, port, database, user and "
        "password, and the server's log"
    )
