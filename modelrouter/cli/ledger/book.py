"""The book of a config, opened for the commands of `modelrouter ledger`; what several of them take and print."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger import Ledger
    from modelrouter.ledger.audit.findings import Fault

__all__ = ["fault_documents", "opened"]

CLOSE_WAIT_S = 5.0


@contextmanager
def opened(config: str | None) -> Iterator[Ledger]:
    """The book that a config names; it must be there.

    Raises:
        ConfigError: the config is wrong, or there is none.
        LedgerUnavailableError: the book cannot be opened.
    """
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    setup = read(find_config(config)).setup
    book = open_ledger(setup.ledger, SystemClock(), create=False)
    try:
        yield book
    finally:
        book.close(CLOSE_WAIT_S)


def fault_documents(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Faults for `--json`."""
    return [{"kind": each.kind, "seq": each.seq, "text": each.text} for each in faults]
