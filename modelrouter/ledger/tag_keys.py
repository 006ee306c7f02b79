"""What stands for personal values in the book: hashes that need a key, of which the book holds one for each tag.

With the key, the same value is the same text, so reports and budgets can tell people apart. Once the key is deleted,
nobody can say any more whom an old hash meant, nor connect it with what comes after under a new key.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.operations import MakeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelrouter.ledger.access import Access
    from modelrouter.ledger.operations import Operation
    from modelrouter.ledger.session import Session
    from modelrouter.ports import Committed

__all__ = ["TagKeys", "done_in_time", "pseudonyms"]

MARK: Final = "~"
"""What a keyed hash begins with."""
SHOWN_DIGITS: Final = 24
"""96 bits: two of a million million people share one with a probability of about 1e-5."""


class TagKeys:
    """The keys, read when they are first needed.

    Args:
        submit: gives the writer something to do.
        changes: how often keys had been made or deleted, as far as our writer knows.
        wait_s: how long making a key may take.
    """

    def __init__(
        self,
        access: Access,
        submit: Callable[[Operation, Committed], None],
        changes: Callable[[], int],
        *,
        wait_s: float,
    ) -> None:
        self._access = access
        self._submit = submit
        self._changes = changes
        self._wait_s = wait_s
        self._secrets: dict[str, tuple[int, bytes]] = {}

    def pseudonym(self, tag: str, value: str) -> str:
        """What stands for a value.

        Raises:
            LedgerUnavailableError: the key can neither be read nor made.
        """
        return _hashed(self._secret(tag), value)

    def forget(self) -> None:
        """Read them again."""
        self._secrets.clear()

    def _secret(self, tag: str) -> bytes:
        changes, secret = self._secrets.get(tag, (-1, b""))
        if changes < self._changes() or not secret:
            found = self._read(tag)
            if found is None:
                done_in_time(lambda done: self._submit(MakeKey(tag), done), self._wait_s)
                found = self._read(tag)
            if found is None:
                raise LedgerUnavailableError(
                    f"the key of the tag `{tag}` was deleted while it was being made: try again"
                )
            self._secrets[tag] = found
            secret = found[1]
        return secret

    def _read(self, tag: str) -> tuple[int, bytes] | None:
        with self._access.reading() as session:
            ((changes,),) = session.rows("SELECT tag_keys FROM state")
            rows = session.rows("SELECT secret FROM tag_keys WHERE tag = ?", (tag,))
        return (int(changes or 0), bytes.fromhex(str(rows[0][0]))) if rows else None


def pseudonyms(session: Session, tag: str, values: Iterable[str]) -> dict[str, str]:
    """What stands for some values of a tag in the book, with the value that each stands for; none without a key."""
    rows = session.rows("SELECT secret FROM tag_keys WHERE tag = ?", (tag,))
    if not rows:
        return {}
    secret = bytes.fromhex(str(rows[0][0]))
    return {_hashed(secret, value): value for value in values}


def _hashed(secret: bytes, value: str) -> str:
    text = value.encode("utf-8", "surrogatepass")
    return MARK + hmac.new(secret, text, hashlib.sha256).hexdigest()[:SHOWN_DIGITS]


def done_in_time(begin: Callable[[Committed], None], wait_s: float) -> None:
    """Wait until something is written.

    Raises:
        LedgerError: what the book had to say against it.
        LedgerUnavailableError: it took too long.
    """
    told = threading.Event()
    outcomes: list[Exception | None] = []

    def done(outcome: Exception | None) -> None:
        outcomes.append(outcome)
        told.set()

    begin(done)
    if not told.wait(wait_s):
        raise LedgerUnavailableError(f"the ledger has not answered for {wait_s:.0f} s: try again")
    if outcomes[0] is not None:
        raise outcomes[0]
