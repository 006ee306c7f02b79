"""The tables of the book, once for both dialects.

Five are the book itself and are never changed; triggers say so. `entries` holds one line each; `seq` counts all lines
without a gap, `writer_seq` those of one writer, and `hash` chains a line to the writer's line before it (`chain`).
`calls` belong to their first reservation, which carries their digest; `documents` are named by the hash of their text;
`writers` says who wrote. A reservation has a `reservation_id`; its end is the line that `resolves` it; whatever changes
its amount later `corrects` it. A line of the kind `documents` names what its batch added there; one of the kind
`refused` says what was asked for and refused before anything was reserved.

The others are derived, so that nobody has to add up the whole book to admit one call: `pending` holds the reservations
without an end, `accounts` the balances of budgets, `rollups` the sums of reports by hour, `budgets` the definitions in
force, `leases` who is alive (0: ended, with nothing pending), its head, and how much of it a checkpoint has named
(`checked`), and `state` the one row that every writing transaction locks. `leases.is_open` is 1 while a writer lives or
has lines that no checkpoint has named: a column of its own, because each batch changes the others, and would write an
index over them too. The auditor derives them anew and compares. `tag_keys` holds the keys of personal tags: deleting
one makes its hashes nobody's.
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND_ONLY", "ENTRY_COLUMNS", "INDEXES", "TABLES"]

ENTRY_COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("seq", "INT PRIMARY KEY NOT NULL"),
    ("writer", "INT NOT NULL REFERENCES writers (writer)"),
    ("writer_seq", "INT NOT NULL"),
    ("kind", "TEXT NOT NULL"),
    ("at_us", "INT NOT NULL"),
    ("amount_nano_usd", "INT NOT NULL"),
    ("reservation_id", "TEXT"),
    ("call_id", "TEXT REFERENCES calls (call_id)"),
    ("call_digest", "TEXT"),
    ("number", "INT"),
    ("deployment", "TEXT"),
    ("operator", "TEXT"),
    ("developer", "TEXT"),
    ("model", "TEXT"),
    ("bound_input_tokens", "INT"),
    ("bound_output_tokens", "INT"),
    ("basis", "TEXT"),
    ("price", "TEXT"),
    ("resolves", "INT REFERENCES entries (seq)"),
    ("corrects", "INT REFERENCES entries (seq)"),
    ("input_tokens", "INT"),
    ("cached_input_tokens", "INT"),
    ("cache_write_tokens", "INT"),
    ("output_tokens", "INT"),
    ("reasoning_tokens", "INT"),
    ("units", "TEXT"),
    ("reported_nano_usd", "INT"),
    ("failure", "TEXT"),
    ("phase", "TEXT"),
    ("status", "INT"),
    ("detail", "TEXT"),
    ("duration_us", "INT"),
    ("length_reached", "INT"),
    ("saved_nano_usd", "INT"),
    ("content", "TEXT"),
    ("hash", "TEXT NOT NULL"),
)
"""Name and type, in the order in which a line is hashed (`hash` itself left out). INT is 64 bits in every dialect."""

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "meta": ("name TEXT PRIMARY KEY NOT NULL", "value TEXT NOT NULL"),
    "documents": (
        "digest TEXT PRIMARY KEY NOT NULL",
        "kind TEXT NOT NULL",
        "name TEXT NOT NULL",
        "body TEXT NOT NULL",
        "at_us INT NOT NULL",
    ),
    "writers": (
        "writer INT PRIMARY KEY NOT NULL",
        "writer_id TEXT NOT NULL UNIQUE",
        "pid INT NOT NULL",
        "host TEXT NOT NULL",
        "version TEXT NOT NULL",
        "at_us INT NOT NULL",
    ),
    "calls": (
        "call_id TEXT PRIMARY KEY NOT NULL",
        "request_id TEXT",
        "at_us INT NOT NULL",
        "writer INT NOT NULL REFERENCES writers (writer)",
        "route TEXT NOT NULL",
        "session TEXT",
        "tags TEXT NOT NULL",
        "policies TEXT NOT NULL",
        "decision TEXT NOT NULL",
    ),
    "entries": (
        *(f"{name} {kind}" for name, kind in ENTRY_COLUMNS),
        "CHECK (amount_nano_usd >= 0 OR kind = 'correction')",
        "CHECK ((kind = 'reserve') = (reservation_id IS NOT NULL))",
        "CHECK ((kind IN ('settle', 'uncertain', 'release', 'expire')) = (resolves IS NOT NULL))",
        "CHECK ((kind IN ('overrun', 'correction')) = (corrects IS NOT NULL))",
        "CHECK (kind <> 'release' OR amount_nano_usd = 0)",
    ),
    "pending": (
        "seq INT PRIMARY KEY NOT NULL",
        "reservation_id TEXT NOT NULL",
        "writer INT NOT NULL",
        "at_us INT NOT NULL",
        "amount_nano_usd INT NOT NULL",
        "accounts TEXT NOT NULL",
        "rollup INT NOT NULL",
    ),
    "budgets": (
        "budget INT PRIMARY KEY NOT NULL",
        "name TEXT NOT NULL",
        "shape TEXT NOT NULL",
        "definition TEXT NOT NULL",
        "entry INT NOT NULL",
        "in_force INT NOT NULL",
    ),
    "accounts": (
        "account INT PRIMARY KEY NOT NULL",
        "budget INT NOT NULL REFERENCES budgets (budget)",
        "scope TEXT NOT NULL",
        "start_us INT NOT NULL",
        "settled_nano_usd INT NOT NULL",
        "uncertain_nano_usd INT NOT NULL",
        "reserved_nano_usd INT NOT NULL",
        "overrun_nano_usd INT NOT NULL",
        "correction_nano_usd INT NOT NULL",
        "UNIQUE (budget, scope, start_us)",
    ),
    "rollups": (
        "rollup INT PRIMARY KEY NOT NULL",
        "hour_us INT NOT NULL",
        "route TEXT NOT NULL",
        "deployment TEXT NOT NULL",
        "operator TEXT NOT NULL",
        "developer TEXT NOT NULL",
        "model TEXT NOT NULL",
        "tags TEXT NOT NULL",
        "policies TEXT NOT NULL",
        "calls INT NOT NULL",
        "attempts INT NOT NULL",
        "failures INT NOT NULL",
        "input_tokens INT NOT NULL",
        "cached_input_tokens INT NOT NULL",
        "cache_write_tokens INT NOT NULL",
        "output_tokens INT NOT NULL",
        "reasoning_tokens INT NOT NULL",
        "settled_nano_usd INT NOT NULL",
        "uncertain_nano_usd INT NOT NULL",
        "reserved_nano_usd INT NOT NULL",
        "overrun_nano_usd INT NOT NULL",
        "correction_nano_usd INT NOT NULL",
        "failed_nano_usd INT NOT NULL",
        "saved_nano_usd INT NOT NULL",
        "UNIQUE (hour_us, route, deployment, operator, developer, model, tags, policies)",
    ),
    "leases": (
        "writer INT PRIMARY KEY NOT NULL",
        "until_us INT NOT NULL",
        "head TEXT NOT NULL",
        "written INT NOT NULL",
        "checked INT NOT NULL",
        "is_open INT NOT NULL",
    ),
    "tag_keys": ("tag TEXT PRIMARY KEY NOT NULL", "secret TEXT NOT NULL", "at_us INT NOT NULL"),
    "state": (
        "one INT PRIMARY KEY NOT NULL CHECK (one = 1)",
        "seq INT NOT NULL",
        "at_us INT NOT NULL",
        "budgets TEXT NOT NULL",
        "tag_keys INT NOT NULL",
        "first_seq INT NOT NULL",
    ),
}
"""Columns and constraints of each table, in the order of creation. `INT` becomes the dialect's 64-bit integer."""

INDEXES: Final[tuple[str, ...]] = (
    "CREATE UNIQUE INDEX calls_of_request ON calls (request_id) WHERE request_id IS NOT NULL",
    "CREATE UNIQUE INDEX entries_reservation ON entries (reservation_id) WHERE reservation_id IS NOT NULL",
    "CREATE UNIQUE INDEX entries_resolves ON entries (resolves) WHERE resolves IS NOT NULL",
    "CREATE INDEX entries_of_call ON entries (call_id) WHERE call_id IS NOT NULL",
    "CREATE INDEX entries_corrects ON entries (corrects) WHERE corrects IS NOT NULL",
    "CREATE INDEX entries_refused ON entries (seq) WHERE kind = 'refused'",
    "CREATE INDEX leases_open ON leases (writer) WHERE is_open = 1",
)

APPEND_ONLY: Final = ("documents", "writers", "calls", "entries")
"""Tables of which nothing is changed or removed; `ledger archive` alone removes, and says so in an entry."""
