"""What every store must do about revocations: parts of `conformance` and of `store_conformance`."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from modelrouter.core.assurance import ROLES_OF, Revocation, RevokedKind, RevokedRole
from modelrouter.errors import LedgerError, RevokedError
from modelrouter.ledger.audit.archive import maintain, remove_archived, write_archive
from modelrouter.ledger.audit.archive_check import check_archives
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.book import LOOK_S
from modelrouter.ledger.operations import Revoke
from modelrouter.ports import LedgerStore
from tests.ledger.builders import START_S, WAIT_S, Heard, reservation, reserve, resolution, resolve
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelrouter.ledger.store import StoredLedger
    from modelrouter.ports import Reservation
    from tests.ledger.lease_conformance import Shelf

__all__ = ["CutOffConformance", "Revoking", "SharedCutOffConformance", "exposed", "revocation"]

MARKS = frozenset({"vendor:operator:azure", "vendor:operator:microsoft", "deployment:itself:gpt"})


class Revoking(LedgerStore, Protocol):
    """A store that somebody can revoke in."""

    def revoke(self, revocation: Revocation) -> int:
        """Cut off."""
        ...

    def restore(self, entries: Sequence[int], reason: str = "") -> None:
        """Undo."""
        ...


def exposed(name: str = "r-1", marks: frozenset[str] = MARKS) -> Reservation:
    """A reservation for somebody who can be cut off."""
    return replace(reservation(name), marks=marks)


def revocation(
    name: str = "microsoft", *roles: RevokedRole, until_us: int | None = None, kind: RevokedKind = RevokedKind.VENDOR
) -> Revocation:
    """A vendor in some roles, or in all."""
    return Revocation(kind, name, "trial", frozenset(roles) or ROLES_OF[kind], until_us=until_us)


class CutOffConformance:
    """The rules of revocations. `store` is an empty store whose clock stands at `START_S`."""

    def test_whoever_falls_under_a_revocation_is_not_reserved_for(self, store: Revoking) -> None:
        """The sentence says who, as what, why, by which entry; others go on, and `restore` undoes it."""
        assert reserve(store, exposed("r-0")) is None
        entry = store.revoke(revocation())
        refused = reserve(store, exposed("r-1"))
        assert isinstance(refused, RevokedError)
        assert refused.message == f"the vendor `microsoft` was revoked as operator by entry {entry} (trial)"
        assert reserve(store, exposed("r-2", frozenset({"vendor:operator:openai"}))) is None
        store.restore([entry])
        assert reserve(store, exposed("r-3")) is None
        assert resolve(store, resolution("r-0")) is None  # what was under way ends as ever

    def test_roles_narrow_a_revocation(self, store: Revoking) -> None:
        """Revoked as a developer alone, an operator goes on."""
        store.revoke(revocation("microsoft", RevokedRole.DEVELOPER))
        assert reserve(store, exposed("r-1")) is None
        store.revoke(revocation("gpt", kind=RevokedKind.DEPLOYMENT))
        assert isinstance(reserve(store, exposed("r-2")), RevokedError)

    def test_a_role_that_nobody_knows_may_be_the_revoked_one(self, store: Revoking) -> None:
        """An undeclared cloud is refused where any cloud is revoked, and only there."""
        marks = MARKS | {"vendor:cloud:?"}
        store.revoke(revocation("hetzner", RevokedRole.OPERATOR))
        assert reserve(store, exposed("r-1", marks)) is None
        store.revoke(revocation("hetzner", RevokedRole.CLOUD))
        refused = reserve(store, exposed("r-2", marks))
        assert isinstance(refused, RevokedError)
        assert refused.message.startswith("its cloud is not known, and the vendor `hetzner` was revoked as cloud")

    def test_a_revocation_ends_by_the_stores_clock(self, store: Revoking) -> None:
        """Its first moment after is no longer held."""
        start_us = round(START_S * 1_000_000)
        store.revoke(revocation(until_us=start_us))
        assert reserve(store, exposed("r-1")) is None
        store.revoke(revocation(until_us=start_us + 1))
        refused = reserve(store, exposed("r-2"))
        assert isinstance(refused, RevokedError)
        assert "until 2026-09-21T14:13:20.250001Z" in refused.message

    def test_only_what_is_in_force_can_be_restored(self, store: Revoking) -> None:
        """A number that means nothing, or nothing any more, is refused, and then nothing else is restored either."""
        entry = store.revoke(revocation())
        other = store.revoke(revocation("openai"))
        store.restore([other])
        with pytest.raises(LedgerError, match=f"entry {other} is no revocation in force"):
            store.restore([entry, other])
        assert [each.name for each in store.revoked()] == ["microsoft"]
        assert isinstance(reserve(store, exposed()), RevokedError)

    def test_all_that_is_revoked_can_be_read(self, store: Revoking) -> None:
        """In order, with everything that was said, and since when."""
        said = revocation("openai", RevokedRole.VIA, until_us=2**50)
        first = store.revoke(said)
        second = store.revoke(replace(revocation(), abort_in_flight=True, reason="ümläut “quoted”"))
        found = store.revoked()
        assert [each.id for each in found] == [f"entry {first}", f"entry {second}"]
        assert [each.content() for each in found] == [
            said.content(),
            {**revocation().content(), "abort_in_flight": True, "reason": "ümläut “quoted”"},
        ]
        assert all(each.from_us == round(START_S * 1_000_000) for each in found)

    def test_whoever_watches_is_told_of_each_change(self, store: Revoking) -> None:
        """With everything that is cut off then."""
        told: list[list[str]] = []
        store.watch(lambda revocations: told.append([each.name for each in revocations]))
        entry = store.revoke(revocation())
        store.revoke(revocation("openai"))
        store.restore([entry])
        assert reserve(store, exposed()) is None
        assert told == [["microsoft"], ["microsoft", "openai"], ["openai"]]


class SharedCutOffConformance:
    """The rules of revocations in a book that several writers share. `shelf` is as for `StoreConformance`."""

    def test_the_next_admission_of_every_writer_obeys(self, shelf: Shelf) -> None:
        """Whoever has been at work for long is refused right after another process has revoked, and after it let go."""
        first, second, third = shelf.open(), shelf.open(), shelf.open()
        assert reserve(first, exposed("r-1")) is None
        assert reserve(second, exposed("r-2")) is None
        entry = third.revoke(revocation())
        assert [
            isinstance(reserve(each, exposed(f"r-{each.writer_id}")), RevokedError) for each in (first, second)
        ] == [
            True,
            True,
        ]
        second.restore([entry], "mended")
        assert reserve(first, exposed("r-4")) is None
        said = {str(each["kind"]): json.loads(str(each["content"])) for each in lines(first) if each["content"]}
        assert said["revoke"] == revocation().content()
        assert said["restore"] == {"entry": entry, "reason": "mended"}
        assert_sound(first)

    def test_what_is_asked_for_together_goes_by_its_order(self, shelf: Shelf) -> None:
        """In one batch, what stands before a revocation is admitted, and what stands after it is not."""
        store = shelf.open()
        reserve(store, reservation("r-0"))
        heard = [Heard() for _ in range(3)]
        holding = Heard()
        store.reserve(exposed("r-1"), holding)
        store.reserve(exposed("r-2"), heard[0])
        store._writer.submit(Revoke(revocation()), heard[1])
        store.reserve(exposed("r-3"), heard[2])
        outcomes = [each.outcome() for each in heard]
        assert outcomes[:2] == [None, None]
        assert isinstance(outcomes[2], RevokedError)
        assert_sound(store)

    def test_a_process_that_only_waits_is_told_in_time(self, shelf: Shelf) -> None:
        """While something of its own is pending a store looks every few seconds; here its clock makes that at once."""
        waiting, other = shelf.open(), shelf.open()
        told = threading.Event()
        waiting.watch(lambda revocations: told.set() if revocations else None)
        assert reserve(waiting, exposed("r-1")) is None
        other.revoke(revocation())
        assert not told.is_set()
        shelf.clock.at_s += LOOK_S
        waiting.spend(by="day")  # wakes its thread, which reads nothing for this by itself
        assert told.wait(WAIT_S)

    def test_the_auditor_compares_who_is_cut_off(self, shelf: Shelf) -> None:
        """The table and the count are derived anew from the lines; what was done to them shows."""
        store = shelf.open()
        store.restore([store.revoke(revocation("openai"))])
        entry = store.revoke(revocation())
        assert_sound(store)
        assert not _faults(store)
        for sql, wanted in (
            ("DELETE FROM revocations", f"entry {entry} cuts somebody off, and `revocations` does not say so"),
            (
                "UPDATE revocations SET content = replace(content, 'trial', 'error')",
                f"`revocations` holds entry {entry}, which no line cuts off so",
            ),
            ("UPDATE state SET revoked = revoked - 1", "`state` counts other revocations and restorations"),
        ):
            assert any(wanted in text for text in _faults(store, sql)), sql

    def test_an_archive_keeps_what_is_in_force(self, shelf: Shelf, tmp_path: Path) -> None:
        """The line goes, the revocation stays, can be restored, and the auditor still knows it."""
        store = shelf.open()
        gone = store.revoke(revocation("openai"))
        store.restore([gone])
        entry = store.revoke(revocation())
        reserve(store, reservation("r-1"))
        resolve(store, resolution("r-1"))
        shelf.clock.at_s += 3 * 3_600
        reserve(store, reservation("r-2"))
        resolve(store, resolution("r-2"))
        with store.reading() as session:
            written = write_archive(session, tmp_path / "old.jsonl", round((shelf.clock.at_s - 3_600) * 1_000_000))
        assert not isinstance(written, str), written
        maintain(store.access, lambda session: remove_archived(session, written, "test"))
        assert isinstance(reserve(store, exposed("r-3")), RevokedError)
        assert not _faults(store)
        with store.reading() as session:
            (report,) = check_archives(session, [tmp_path / "old.jsonl"])
        assert report.is_good, report.faults
        store.restore([entry])
        assert reserve(store, exposed("r-4")) is None
        assert not _faults(store)


def _faults(store: StoredLedger, sql: str = "") -> list[str]:
    """What the auditor says after something was done to the tables, which is then undone."""
    session = store.access.connect()
    try:
        session.begin()
        if sql:
            session.run(sql)
        return [each.text for each in verify(session).faults]
    finally:
        session.rollback()
        session.close()
