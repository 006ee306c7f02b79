"""How reservations are admitted within one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.assurance.revocations import revoked_by
from modelrouter.core.budget import admit
from modelrouter.core.budget_text import refusal_text
from modelrouter.core.shares import admit_share, share_refusal_text, units_of
from modelrouter.errors import (
    BudgetBusyError,
    BudgetExceededError,
    DuplicateRequestError,
    LedgerError,
    LedgerUnavailableError,
    RevokedError,
    ShareCapError,
)
from modelrouter.ledger.chain import call_digest
from modelrouter.ledger.endings import in_parts
from modelrouter.ledger.memory import Held
from modelrouter.ledger.rows import BASES, booked_amount
from modelrouter.ledger.tallies import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Refusal
    from modelrouter.ledger.endings import Endings
    from modelrouter.ledger.memory import Charge, Memory, Pot, Subject
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Column, Session
    from modelrouter.ledger.shares import Shares
    from modelrouter.ports import Reservation

__all__ = ["Admission"]


class Admission:
    """The reservations of one transaction.

    Args:
        refusing: why nothing is reserved now; None: it is.

    Attributes:
        granted: those that were admitted, by their ids.
    """

    def __init__(  # noqa: PLR0917 - one transaction's company
        self,
        session: Session,
        memory: Memory,
        page: Page,
        endings: Endings,
        writer_id: str,
        refusing: Exception | None,
    ) -> None:
        self.granted: dict[str, Held] = {}
        self._session = session
        self._memory = memory
        self._page = page
        self._endings = endings
        self._writer_id = writer_id
        self._refusing = refusing
        self._shares: Shares | None = None
        self._requests: dict[str, str] = {}
        self._calls: set[str] = set()
        self._taken: set[str] = set()
        self._hour_us = page.at_us // HOUR_US * HOUR_US

    def prepare(self, wanted: Sequence[Reservation], *, careful: bool) -> list[Subject | None]:
        """Look up what must be known before: balances, known requests, known calls.

        Args:
            careful: also what is not expected to be there, and would be refused by the database itself.

        Returns:
            what each counts under; None where that cannot be said.
        """
        requests = [each.call.request_id for each in wanted if each.call.request_id is not None]
        for marks, part in in_parts(requests):
            sql = f"SELECT request_id, call_id FROM calls WHERE request_id IN ({marks})"  # noqa: S608 - question marks
            self._requests.update((str(request), str(call)) for request, call in self._session.rows(sql, part))
        calls = {each.call.call_id: None for each in wanted if careful or each.number != 1}
        for marks, part in in_parts(list(calls)):
            sql = f"SELECT call_id FROM calls WHERE call_id IN ({marks})"  # noqa: S608 - question marks
            self._calls.update(str(call) for (call,) in self._session.rows(sql, part))
        if careful:
            for marks, part in in_parts([each.reservation_id for each in wanted]):
                sql = f"SELECT reservation_id FROM entries WHERE reservation_id IN ({marks})"  # noqa: S608 - question marks
                self._taken.update(str(name) for (name,) in self._session.rows(sql, part))
        subjects = [self._subject(each) for each in wanted]
        if self._refusing is None:
            found = {id(subject): subject for subject in subjects if subject is not None}
            self._memory.load(self._session, found.values(), self._page.at_us)
            reach_s = max((demand.cap.window_s for each in wanted for demand in each.shares), default=0)
            if reach_s:
                self._shares = self._memory.follow_shares(self._session, reach_s, self._page.at_us)
        return subjects

    def _subject(self, wanted: Reservation) -> Subject | None:
        try:
            return self._memory.subject(wanted)
        except TypeError:
            return None

    def reserve(self, wanted: Reservation, subject: Subject | None) -> Exception | None:
        """Admit one, or None; why not, if not."""
        try:
            return self._reserve(wanted, subject)
        except LedgerUnavailableError:
            raise  # of the whole batch: what was begun of it must not be committed
        except LedgerError as error:
            return error
        except (TypeError, UnicodeEncodeError) as error:
            return LedgerError(f"the ledger cannot hold this entry ({error})")

    def _reserve(self, wanted: Reservation, subject: Subject | None) -> Exception | None:
        name, call = wanted.reservation_id, wanted.call
        first = None if call.request_id is None else self._requests.get(call.request_id)
        if first is not None and first != call.call_id:
            return DuplicateRequestError(
                f"request_id `{call.request_id}` was used before, by call `{first}`: nothing was reserved or sent",
                first_call_id=first,
            )
        if name in self._taken or name in self.granted or name in self._memory.held:
            return LedgerError(f"reservation `{name}` is in the ledger already")
        if self._refusing is not None:
            return self._refusing
        if self._memory.revocations:
            revocation = revoked_by(wanted.marks, self._memory.revocations, self._page.at_us)
            if revocation is not None:
                return RevokedError(revocation.sentence(wanted.marks))
        amount = booked_amount(wanted.bound.nano_usd, name)
        if subject is None:
            return LedgerError("the ledger cannot hold this entry (its names, tags or policies are not all text)")
        refusal = admit(amount, subject.pots)
        if refusal is not None:
            return _refused(refusal)
        if wanted.shares:
            capped = self._over_a_share(wanted)
            if capped is not None:
                return capped
        held = self._write(wanted, subject, amount)
        self.granted[name] = self._endings.known[name] = held
        return None

    def _over_a_share(self, wanted: Reservation) -> ShareCapError | None:
        """Why its vendor may not have more, by the lines that this transaction has so far; None: it may."""
        shares = self._shares
        if shares is None:
            raise AssertionError("a reservation with share caps was not prepared")
        shares.follow(self._session, self._page)
        for demand in wanted.shares:
            needed = units_of(demand.cap.of, wanted.bound)
            refusal = admit_share(demand, needed, shares.holding(demand, self._page.at_us))
            if refusal is not None:
                return ShareCapError(share_refusal_text(refusal), refusal=refusal)
        return None

    def _write(self, wanted: Reservation, subject: Subject, amount: int) -> Held:
        """Its lines and sums."""
        page, call, price = self._page, wanted.call, wanted.price
        price_digest = price.digest
        digest: str | None = None
        record: tuple[Column, ...] = ()
        if call.call_id not in self._calls:
            said = (call.route, call.session, subject.tags, subject.policies, call.decision)
            digest = call_digest((call.call_id, call.request_id, page.at_us, self._writer_id, *said))
            record = (call.call_id, call.request_id, page.at_us, self._memory.writer, *said)
        facts = (wanted.deployment, wanted.operator, wanted.developer, wanted.model)
        bound = wanted.bound
        seq = page.reservation(
            amount,
            (
                wanted.reservation_id, call.call_id, digest, wanted.number, *facts, bound.input_tokens,
                bound.max_output_tokens, BASES[bound.basis], price_digest,
            ),
        )  # fmt: skip
        if digest is not None:
            page.calls[call.call_id] = record
            self._calls.add(call.call_id)
            if call.request_id is not None:
                self._requests[call.request_id] = call.call_id
        if price_digest not in self._memory.documents:
            page.want_document(price_digest, "price", wanted.deployment, price.to_text())
        charge = page.open_charge(self._charge(subject))
        charge.reserve(amount, opens_call=digest is not None)
        name, writer = wanted.reservation_id, self._memory.writer
        page.pending[seq] = (seq, name, writer, page.at_us, amount, charge.text, charge.rollup)
        return Held(seq, amount, charge, self._memory.generation, facts)

    def _charge(self, subject: Subject) -> Charge:
        """Where this counts now; accounts and rollup are made where they are missing."""
        memory = self._memory
        charge = subject.charge
        if charge is not None and subject.hour_us == self._hour_us and subject.generation == memory.generation:
            return charge
        accounts = [pot.account or self._open_account(pot) for pot in subject.pots]
        charge = memory.charge(f"[{','.join(map(str, accounts))}]", self._rollup(subject))
        subject.charge, subject.hour_us, subject.generation = charge, self._hour_us, memory.generation
        return charge

    def _open_account(self, pot: Pot) -> int:
        account = pot.account = self._memory.number_account(self._session)
        self._memory.by_account[account] = pot
        self._page.open_account(account, pot.row, pot.scope, pot.start_us)
        return account

    def _rollup(self, subject: Subject) -> int:
        key = subject.rollup_key(self._hour_us)
        found = self._memory.find_rollup(self._session, key)
        if found is None:
            found = self._memory.number_rollup(self._session, key)
            self._page.open_rollup(found, key)
        return found


def _refused(refusal: Refusal) -> Exception:
    kind = BudgetBusyError if refusal.is_busy else BudgetExceededError
    return kind(refusal_text(refusal), refusal=refusal)
