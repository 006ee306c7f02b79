"""One transaction: what is asked for, against the book as it stands under its lock.

The order is fixed, so that whoever follows the lines one by one never sees more set aside than a limit allows: budgets
that are put in force, then what ends (lapsed leases, and reservations that were pending before), then reservations in
their order, with the ends of those in between.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from modelrouter.errors import BudgetMismatchError, LedgerError
from modelrouter.ledger.admission import Admission
from modelrouter.ledger.chain import canonical_text, text_digest
from modelrouter.ledger.definitions import differing
from modelrouter.ledger.endings import Endings, in_parts
from modelrouter.ledger.in_force import in_force, put_in_force
from modelrouter.ledger.leases import (
    CHECKPOINT_LINES,
    LEASES,
    WRITERS,
    checkpoint,
    ended_writers,
    lapsed_writers,
    renew,
)
from modelrouter.ledger.operations import Corrections, DeleteKey, MakeKey, Refusals
from modelrouter.ledger.page import Page
from modelrouter.ledger.refused import REFUSED, refused_content
from modelrouter.ports import Reservation, Resolution

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.batch import Batch
    from modelrouter.ledger.leases import Identity
    from modelrouter.ledger.memory import Memory
    from modelrouter.ledger.operations import ApplyBudgets, Operation
    from modelrouter.ledger.session import Column, Session
    from modelrouter.ports import Document, RefusedCalls

__all__ = ["State", "Transaction", "read_state"]

NOT_ADOPTED: Final = ""


class State:
    """The row that every transaction locks."""

    __slots__ = ("at_us", "budgets", "first_seq", "seq", "tag_keys")

    def __init__(self, seq: int, at_us: int, budgets: str, tag_keys: int, first_seq: int) -> None:
        self.seq = seq
        self.at_us = at_us
        self.budgets = budgets
        self.tag_keys = tag_keys
        self.first_seq = first_seq


def read_state(session: Session) -> State:
    """The row as it is now."""
    ((seq, at_us, budgets, tag_keys, first_seq),) = session.rows(
        "SELECT seq, at_us, budgets, tag_keys, first_seq FROM state"
    )
    return State(int(seq or 0), int(at_us or 0), str(budgets), int(tag_keys or 0), int(first_seq or 0))


class Transaction:
    """See the module.

    Args:
        at_us: the moment of all its lines.
        fault: why nothing is reserved at this moment.

    Attributes:
        page: what will be written.
        granted: reservations that were admitted.
    """

    def __init__(  # noqa: PLR0917 - what a batch knows when it begins
        self,
        session: Session,
        memory: Memory,
        state: State,
        identity: Identity,
        at_us: int,
        fault: Exception | None,
    ) -> None:
        self.state = state
        self._session = session
        self._memory = memory
        self._identity = identity
        self._fault = fault
        self._row: tuple[Column, ...] | None = None
        if not memory.writer:
            identity.sign_in(session, memory)
            self.page = Page(memory, identity.writer_id, at_us)
            self._row = identity.open(self.page)
        else:
            self.page = Page(memory, identity.writer_id, at_us)
        self._endings = Endings(session, memory, self.page, identity.writer_id)
        self._admission: Admission | None = None
        self._refusing: Exception | None = fault
        self._expired = False
        self._wanted: set[str] = set()

    @property
    def is_opening(self) -> bool:
        """Whether our chain begins here."""
        return self._row is not None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that is worth a commit; the beginning of a chain alone is not."""
        return self.page.is_empty or (self.is_opening and self.page.written == 1 and self.page.has_only_lines)

    @property
    def granted(self) -> Sequence[str]:
        """Reservations that were admitted."""
        return () if self._admission is None else tuple(self._admission.granted)

    # --- budgets --------------------------------------------------------------------------------------------------

    def agree(self, ours: Sequence[Budget], digest: str, *, reserving: bool) -> None:
        """See that the book goes by our budgets; the first to reserve in a book puts its own in force."""
        memory = self._memory
        if reserving and self.state.budgets == NOT_ADOPTED and ours and self._fault is None:
            self._put_in_force(ours)
        if memory.digest != self.state.budgets:
            memory.forget_subjects()
            memory.budgets = in_force(self._session, ours)
            memory.digest = self.state.budgets
        agreed = self.state.budgets == digest or (self.state.budgets == NOT_ADOPTED and not ours)
        if self._refusing is None and not agreed:
            names = differing(ours, [budget.definition for budget in memory.budgets.values()])
            self._refusing = BudgetMismatchError(
                f"the ledger holds other budgets than this process ({', '.join(f'`{name}`' for name in names)}): make "
                "the configs agree, or put those of this config in force with `modelrouter budget apply`"
            )

    def apply(self, operation: ApplyBudgets) -> None:
        """Put budgets in force, whatever was."""
        self._put_in_force(operation.budgets)

    def _put_in_force(self, budgets: Sequence[Budget]) -> None:
        text = put_in_force(self._session, self.page, budgets)
        self.state.budgets = text_digest(text)
        self._memory.begin_generation()
        self._memory.digest = None

    # --- entries --------------------------------------------------------------------------------------------------

    def _expire(self, resolved: Collection[str]) -> None:
        """End what writers hold whose lease has lapsed.

        Args:
            resolved: what is resolved in this very transaction: that end is better than ours.
        """
        memory = self._memory
        if self.page.at_us <= memory.lapse_us:
            return
        over: list[int] = []
        for writer in lapsed_writers(self._session, memory, self.page.at_us):
            names = self._endings.of_writer(writer)
            late = [name for name in names if name not in resolved]
            for name in late:
                self._endings.expire(name)
            self._expired |= bool(late)
            if len(late) == len(names):
                over.append(writer)
            else:
                memory.lapse_us = 0  # to be looked at again, should its end be refused
        if over:
            ended_writers(self._session, over)
            self.page.is_renewed = True

    def _release(self, doubtful: Collection[str]) -> None:
        """End reservations that were durable although their callers were told that they were not."""
        ours = self._endings.of_writer(self._memory.writer)  # another writer may hold one of the same name
        for name in sorted(set(doubtful).intersection(ours)):
            self._endings.release(name)

    def enter(self, batch: Batch, doubtful: Collection[str], *, careful: bool) -> list[Exception | None]:
        """All of them, after what ends by itself; for each None, or why the book refuses it.

        Args:
            doubtful: reservations that may be durable although their callers were told that they are not.
            careful: whether to look for what the database itself would refuse.
        """
        outcomes: list[Exception | None] = [None] * len(batch.operations)
        reservations, ends, repeats = batch.reservations, batch.ends, batch.repeats
        endings = self._endings
        admission = self._admission = Admission(
            self._session, self._memory, self.page, endings, self._identity.writer_id, self._refusing
        )
        # balances are read before anything changes them
        subjects = admission.prepare([each for _, each in reservations], careful=careful)
        names = [each.reservation_id for _, each in ends]
        self._expire(names)
        if doubtful:
            self._release(doubtful)
        endings.look_up(names)
        later: list[tuple[int, Operation]] = list(batch.others)
        for place, each in ends:
            if each.reservation_id in endings.known:
                outcomes[place] = endings.resolve(each, repeated=place < repeats)
            else:
                later.append((place, each))
        if not later:
            for (place, wanted), subject in zip(reservations, subjects, strict=True):
                outcomes[place] = admission.reserve(wanted, subject)
            return outcomes
        of = dict(zip([place for place, _ in reservations], subjects, strict=True))
        for place, operation in sorted([*reservations, *later], key=_place):
            if isinstance(operation, Reservation):
                outcomes[place] = admission.reserve(operation, of[place])
            elif isinstance(operation, Resolution):
                outcomes[place] = endings.resolve(operation, repeated=place < repeats)
            else:
                outcomes[place] = self._other(operation)
        return outcomes

    def _other(self, operation: Operation) -> Exception | None:
        if isinstance(operation, tuple):
            return self._keep(operation) if operation else None
        if isinstance(operation, Corrections):
            return self._endings.correct(operation.corrections)
        if isinstance(operation, Refusals):
            return self._note(operation.refused)
        if isinstance(operation, MakeKey):
            return self._make_key(operation.tag)
        if isinstance(operation, DeleteKey):
            return self._delete_key(operation)
        return None

    def _keep(self, documents: Sequence[Document]) -> Exception | None:
        """Documents, each once."""
        found: dict[str, str] = {name: str(row[3]) for name, row in self.page.documents.items()}
        for marks, part in in_parts([each.digest for each in documents]):
            sql = f"SELECT digest, body FROM documents WHERE digest IN ({marks})"  # noqa: S608 - question marks
            found.update((str(digest), str(body)) for digest, body in self._session.rows(sql, part))
        for each in documents:
            if found.setdefault(each.digest, each.body) != each.body:
                return LedgerError(f"digest `{each.digest}` of `{each.name}` already stands for another text")
        for each in documents:
            self.page.want_document(each.digest, each.kind, each.name, each.body)
        return None

    def _note(self, refused: Sequence[RefusedCalls]) -> Exception | None:
        """Requests that nobody might serve; all of them or none."""
        try:
            contents = [refused_content(each) for each in refused]
        except (TypeError, UnicodeEncodeError) as error:
            return LedgerError(f"the ledger cannot hold this entry ({error})")
        for content in contents:
            self.page.line(REFUSED, content=content)
        return None

    # --- keys of personal tags ------------------------------------------------------------------------------------

    def _make_key(self, tag: str) -> Exception | None:
        if not self._session.rows("SELECT 1 FROM tag_keys WHERE tag = ?", (tag,)):
            self._session.insert(
                "tag_keys", ("tag", "secret", "at_us"), [(tag, secrets.token_hex(32), self.page.at_us)]
            )
            self.state.tag_keys += 1
            self.page.is_renewed = True
        return None

    def _delete_key(self, operation: DeleteKey) -> Exception | None:
        operation.found = bool(self._session.run("DELETE FROM tag_keys WHERE tag = ?", (operation.tag,)))
        if operation.found:
            self.state.tag_keys += 1
            self.page.line("key_deleted", content=canonical_text({"tag": operation.tag, "at": self.page.at_us}))
        return None

    # --- writing --------------------------------------------------------------------------------------------------

    def check(self, *, is_last: bool = False) -> None:
        """Write a checkpoint, if one is due: after many lines, after others have expired, and at our end."""
        since = self.page.written - self._memory.checked
        if self._expired or since >= CHECKPOINT_LINES or (is_last and since > 1):
            checkpoint(self._session, self._memory, self.page, self._identity.writer_id)

    def write(self, until_us: int) -> None:
        """Write all of it. What is remembered is brought up to date by `keep`, after the commit."""
        session, memory, page, state = self._session, self._memory, self.page, self.state
        if self._row is not None:
            session.insert("writers", WRITERS, [(memory.writer, *self._row)])
            session.insert("leases", LEASES, [(memory.writer, until_us, "", 0, 0, 1)])
        self._wanted = set(page.documents)
        page.write(session)
        renew(session, memory, page, until_us)
        if page.has_lines:
            state.seq, state.at_us = page.seq, page.at_us
        session.send(
            "UPDATE state SET seq = ?, at_us = ?, budgets = ?, tag_keys = ?",
            (state.seq, state.at_us, state.budgets, state.tag_keys),
        )

    def keep(self) -> None:
        """Remember what is durable now."""
        memory, page = self._memory, self.page
        memory.seq, memory.written, memory.head = page.seq, page.written, page.head
        memory.documents.update(self._wanted)
        known = self._endings.known
        for name in self._endings.ended:
            memory.held.pop(name, None)
        for name in self.granted:
            held = known.get(name)
            if held is not None:
                memory.held[name] = held
        memory.shrink()


def _place(entry: tuple[int, Operation]) -> int:
    return entry[0]
