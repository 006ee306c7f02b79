"""Who is cut off in the book: lines of the kinds `revoke` and `restore`, and the table of what is still in force.

`state.revoked` counts these lines, so that a transaction sees with the row that it locks anyway whether it has to read
the table again. What ends by time stays in the table until it is restored: whether it holds is asked of each moment.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from modelrouter.core.assurance.revocations import revocation_from
from modelrouter.errors import LedgerError, LedgerUnavailableError
from modelrouter.ledger.chain import canonical_text

if TYPE_CHECKING:
    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.ledger.operations import Restore, Revoke
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Session

__all__ = ["entry_id", "entry_of", "restore", "revocations", "revoke"]


PREFIX: Final = "entry "


def entry_id(entry: int) -> str:
    """What a revocation of the book is called."""
    return f"{PREFIX}{entry}"


def entry_of(name: str) -> int:
    """The line behind what `entry_id` made of it."""
    return int(name.removeprefix(PREFIX))


def revocations(session: Session) -> tuple[Revocation, ...]:
    """All that were not restored, oldest first.

    Raises:
        LedgerUnavailableError: one cannot be read, so nobody can say whom it takes away.
    """
    rows = session.rows("SELECT entry, at_us, content FROM revocations ORDER BY entry")
    try:
        return tuple(
            revocation_from(json.loads(str(content)), id=entry_id(int(entry or 0)), from_us=int(at_us or 0))
            for entry, at_us, content in rows
        )
    except ValueError as error:
        raise LedgerUnavailableError(
            f"the ledger holds a revocation that this version cannot read ({error}): update the package"
        ) from error


def revoke(session: Session, page: Page, operation: Revoke) -> None:
    """Write one down.

    Raises:
        TypeError: its texts cannot be written; nothing was added.
    """
    text = canonical_text(operation.revocation.content())
    operation.entry = page.line("revoke", content=text)
    session.insert("revocations", ("entry", "at_us", "content"), [(operation.entry, page.at_us, text)])


def restore(session: Session, page: Page, operation: Restore) -> LedgerError | None:
    """Undo some; why not, where one of them is not in force."""
    for entry in operation.entries:
        if not session.rows("SELECT 1 FROM revocations WHERE entry = ?", (entry,)):
            return LedgerError(f"entry {entry} is no revocation in force: see `modelrouter revoke --list`")
    for entry in operation.entries:
        session.send("DELETE FROM revocations WHERE entry = ?", (entry,))
        page.line("restore", content=canonical_text({"entry": entry, "reason": operation.reason}))
    return None
