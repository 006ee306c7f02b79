"""Money for one call: each attempt's bound is set aside in the ledger, with what the book keeps of the call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.attempts import Granted, NotGranted
from modelrouter.errors import BudgetError, RequestError, RevokedError, ShareCapError
from modelrouter.ledger.waiting import reserve_durably
from modelrouter.ports import Reservation
from modelrouter.router.bookings import call_record, release, tags_to_store
from modelrouter.router.permission import demands_now
from modelrouter.router.share_caps import ShareCaps

if TYPE_CHECKING:
    from modelrouter.core.attempts import Reserve
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from modelrouter.ports import CallRecord
    from modelrouter.router.engine import Engine
    from modelrouter.router.epoch import Epoch

__all__ = ["Reserving"]


class Reserving:
    """The reservations of one call.

    Attributes:
        caps: what share caps said so far.
        is_booked: the book has a record of the call.
    """

    def __init__(self, engine: Engine, epoch: Epoch, request: Request, decision: Decision, call_id: str) -> None:
        self.caps = ShareCaps()
        self._engine = engine
        self._epoch = epoch
        self._request = request
        self._decision = decision
        self._call_id = call_id
        self._record: CallRecord | None = None
        self.is_booked = False

    async def reserve(self, step: Reserve, wait_s: float) -> Granted | NotGranted:
        """Set a bound aside over all budgets and share caps, or say who has no room.

        Args:
            wait_s: how long reserved money may be waited for.

        Raises:
            LedgerUnavailableError, DuplicateRequestError: nothing was reserved.
        """
        engine = self._engine
        try:
            demands = demands_now(engine, self._epoch, self._decision, self._request)
        except RequestError as error:
            return NotGranted(error.message, self._now_s())
        if self._record is None:
            self._record = await self._new_record()
        setup = self._epoch.setup
        deployment = setup.world.deployments[step.hop.deployment]
        reservation = Reservation(
            reservation_id=f"{self._call_id}-{step.number}",
            call=self._record,
            number=step.number,
            deployment=deployment.id,
            operator=deployment.operator,
            model=deployment.model,
            bound=step.bound,
            price=step.hop.price,
            developer=setup.developer_of(deployment),
            wait_s=wait_s,
            marks=self._epoch.exposure(deployment.id, engine.clock.now_s()).marks,
            shares=self.caps.asked(step, demands),
        )
        while True:
            try:
                await reserve_durably(engine.ledger, reservation, if_late=release(reservation, self._now_s()))
            except BudgetError as error:
                return NotGranted(error.message, self._now_s(), error.refusal)
            except RevokedError as error:
                return NotGranted(error.message, self._now_s(), revoked=True)
            except ShareCapError as error:
                less = self._asked_less(reservation, step)
                if less is not None:
                    reservation = less
                    continue
                record = self._told_of_a_cap(reservation, error)
                instead = self.caps.without_observed(reservation, error.refusal)
                if instead is None:
                    return NotGranted(error.message, self._now_s(), share=error.refusal)
                reservation = replace(instead, call=record)
            else:
                self.is_booked = True
                return Granted(reservation.reservation_id, self._now_s())

    def _asked_less(self, refused: Reservation, step: Reserve) -> Reservation | None:
        """The reservation to ask for instead where some of its share caps hold no more; else None.

        The transaction that refused it has told who is cut off, and a vendor may be alone without them.
        """
        try:
            demands = demands_now(self._engine, self._epoch, self._decision, self._request)
        except RequestError:
            return None
        name = refused.deployment
        if name not in demands and (demands or self._engine.why_revoked(self._epoch, name)):
            return None  # it is no choice any more itself, and passes no cap on its way out
        asked = self.caps.asked(step, demands)
        shares = tuple(each for each in refused.shares if each in asked)
        return replace(refused, shares=shares) if len(shares) < len(refused.shares) else None

    def _told_of_a_cap(self, refused: Reservation, error: ShareCapError) -> CallRecord:
        """Keep what a share cap said: in the record of the call too, unless that is in the book already."""
        record, told = refused.call, self.caps.told
        told.append((refused.deployment, error.refusal))
        self._engine.tell_of_cap(error, refused.deployment, self._call_id, self._request.route)
        if not self.is_booked:
            record = call_record(self._call_id, self._request, self._decision, self._epoch, record.tags, told)
            self._record = record
        return record

    async def _new_record(self) -> CallRecord:
        """What is booked of this call. A key that stands behind a personal tag may have to be read from the book."""
        tags = await tags_to_store(self._request.tags, self._epoch.setup.tags, self._engine.ledger.pseudonym)
        return call_record(self._call_id, self._request, self._decision, self._epoch, tags)

    def _now_s(self) -> float:
        return self._engine.clock.monotonic_s()
