"""Where revocations are written: the ledger of a config, or its signed file. Both are read and written by one shape."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelrouter.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.config import Setup
    from modelrouter.config.revoked_schema import RevokedPlace
    from modelrouter.core.assurance import Revocation
    from modelrouter.ledger import Ledger

__all__ = ["Place", "in_files", "opened_place"]

CLOSE_WAIT_S = 5.0


class Place(Protocol):
    """Where revocations are written."""

    @property
    def shown(self) -> str:
        """What it is called."""
        ...

    def revoked(self) -> Mapping[int, Revocation]:
        """What was not restored, by its number."""
        ...

    def revoke(self, revocation: Revocation) -> int:
        """Add one; its number."""
        ...

    def restore(self, numbers: Sequence[int], reason: str) -> None:
        """Take some away."""
        ...


@contextmanager
def opened_place(setup: Setup, *, in_file: bool, signing_key: str | None, create: bool) -> Iterator[Place]:
    """The place that a command writes to.

    Args:
        in_file: the signed file of the config in place of its ledger.
        signing_key: where the Ed25519 private key is, as `env:NAME` or `file:/path`.
        create: whether a ledger that is not there is made.

    Raises:
        ConfigError, RequestError, LedgerUnavailableError: there is no such place, or it cannot be used.
    """
    if in_file:
        yield _File(setup, signing_key)
        return
    if signing_key is not None:
        raise RequestError("`--signing-key` signs a file: add `--in-file`")
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    book = open_ledger(setup.ledger, SystemClock(), create=create, lease_s=setup.lease_s, spool=setup.spool)
    try:
        yield _Book(book, setup.ledger_shown)
    finally:
        book.close(CLOSE_WAIT_S)


class _Book:
    """The ledger."""

    def __init__(self, book: Ledger, shown: str) -> None:
        self._book = book
        self.shown = shown

    def revoked(self) -> Mapping[int, Revocation]:
        from modelrouter.ledger.cutting_off import entry_of

        return {entry_of(each.id): each for each in self._book.revoked()}

    def revoke(self, revocation: Revocation) -> int:
        return self._book.revoke(revocation)

    def restore(self, numbers: Sequence[int], reason: str) -> None:
        self._book.restore(numbers, reason)


class _File:
    """The signed file."""

    def __init__(self, setup: Setup, signing_key: str | None) -> None:
        if not setup.revoked:
            raise RequestError(
                "the config names no signed file: add `revocations: {file: revoked.json, key: 'env:NAME'}`"
            )
        self._place: RevokedPlace = setup.revoked[-1]
        self._signing_key = signing_key
        self.shown = str(self._place.path)

    def revoked(self) -> Mapping[int, Revocation]:
        return self._read()[1]

    def revoke(self, revocation: Revocation) -> int:
        number, found = self._read()
        at_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        self._write(number + 1, {**found, number + 1: replace(revocation, from_us=at_us)})
        return number + 1

    def restore(self, numbers: Sequence[int], reason: str) -> None:
        del reason  # a file holds what is in force, and no history
        number, found = self._read()
        self._write(number + 1, {own: each for own, each in found.items() if own not in numbers})

    def _read(self) -> tuple[int, dict[int, Revocation]]:
        from modelrouter.router.revoked_file import read_revoked

        return read_revoked(self._place) if self._place.path.exists() else (0, {})

    def _write(self, number: int, found: Mapping[int, Revocation]) -> None:
        from modelrouter.router.revoked_file import write_revoked

        write_revoked(self._place, number, found, _secret(self._signing_key))


def in_files(setup: Setup) -> tuple[Revocation, ...]:
    """What the signed files of a config say, which its Routers obey beside the ledger.

    Raises:
        ConfigError: one cannot be read or proved: then no Router begins either.
        MissingDependencyError: `cryptography` is not installed.
    """
    if not setup.revoked:
        return ()
    from modelrouter.router.revoked_file import RevokedFile

    return RevokedFile(setup.revoked).revocations()


def _secret(reference: str | None) -> str | None:
    """The text of a signing key.

    Raises:
        ConfigError: it is not there.
    """
    if reference is None:
        return None
    from modelrouter.transports.credentials import credential_from

    key = credential_from(reference, Path.cwd())
    try:
        found = key.read()
    except (OSError, ValueError):
        found = None
    if found is None:
        raise ConfigError(f"the signing key cannot be read: {key.describe()} is not set")
    return found
