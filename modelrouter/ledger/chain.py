"""What a line of the book hashes to, and what its chains and checkpoints say.

Each writer has a chain of its own: the hash of a line is made of the hash of the writer's line before it (nothing for
its first) and of all columns of the line but the hash, in the order of `tables.ENTRY_COLUMNS`, as one JSON array
without spaces and with letters as they are, where `writer` is the writer's id instead of its number.

A **checkpoint** is a line that says how far the chains of others had come when it was written:
`{"heads": {writer_id: [writer_seq, hash]}}`. It names every writer whose chain has grown since a checkpoint named it
last, so all checkpoints together name the heads of all. A book with many thousands of writers, one for each run of a
command, would otherwise repeat all of them at the end of each run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelrouter.ledger.session import Column

__all__ = [
    "call_digest",
    "canonical",
    "canonical_text",
    "checkpoint_content",
    "line_hash",
    "open_content",
    "text_digest",
]


canonical: Final[Callable[[Sequence[Column]], bytes]] = orjson.dumps
"""Columns as what is hashed. Raises `TypeError` for a value that no column holds: a lone surrogate, a number beyond 64
bits, something else altogether."""


def line_hash(previous: str, text: bytes) -> str:
    """The hash of a line.

    Args:
        previous: of the writer's line before it; empty for its first.
        text: `canonical` of the line's columns.
    """
    return hashlib.sha256(b"%b\n%b" % (previous.encode(), text)).hexdigest()


def call_digest(columns: Sequence[Column]) -> str:
    """What the first reservation of a call says about its record.

    Args:
        columns: call_id, request_id, at_us, writer_id, route, session, tags, policies, decision.
    """
    return hashlib.sha256(canonical(columns)).hexdigest()


def text_digest(text: str) -> str:
    """What names a document, and the budgets in force: SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def open_content(writer_id: str, pid: int, host: str, version: str, at_us: int) -> str:
    """What the first line of a writer says."""
    return canonical_text({"writer_id": writer_id, "pid": pid, "host": host, "version": version, "at_us": at_us})


def checkpoint_content(heads: Mapping[str, tuple[int, str]]) -> str:
    """What a checkpoint says: `writer_seq` and hash of the newest line of each writer, by writer id."""
    return canonical_text({"heads": {writer_id: list(head) for writer_id, head in heads.items()}})


def canonical_text(value: object) -> str:
    """JSON without spaces, names in order, letters as they are."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
