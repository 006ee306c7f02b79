"""What a call leaves in the ledger beside its attempts: its record, and the release of a grant that came too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.ports import CallRecord, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from modelrouter.config.setup import Tag
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from modelrouter.ports import Reservation
    from modelrouter.router.epoch import Epoch

__all__ = ["call_record", "new_call_id", "release", "stored_tags"]


def new_call_id(now_s: float, chance: Random) -> str:
    """Twelve hex digits of milliseconds, so that ids sort by time, and twenty of chance."""
    return f"{int(now_s * 1000):012x}{chance.getrandbits(80):020x}"


def stored_tags(
    given: Mapping[str, str], declared: Mapping[str, Tag], pseudonym: Callable[[str, str], str]
) -> dict[str, str]:
    """Tags as book and budgets see them: declared defaults filled in, personal values as keyed hashes.

    Args:
        pseudonym: `LedgerStore.pseudonym`, or what stands for it.
    """
    defaults = {name: tag.default for name, tag in declared.items() if tag.default is not None}
    return {
        name: pseudonym(name, value) if name in declared and declared[name].personal else value
        for name, value in {**defaults, **given}.items()
    }


def call_record(
    call_id: str, request: Request, decision: Decision, epoch: Epoch, tags: Mapping[str, str]
) -> CallRecord:
    """The record of a call, with its tags as they are stored."""
    return CallRecord(
        call_id=call_id,
        request_id=request.request_id,
        route=request.route,
        tags=tags,
        decision=orjson.dumps(epoch.record(request, decision)).decode(),
        policies=tuple(layer.policy.name for layer in decision.layers),
        session=request.session,
    )


def release(reservation: Reservation, now_s: float) -> Resolution:
    """What becomes of a reservation that is granted after nobody waits for it any more."""
    failure = Failure(FailureKind.CANCELLED, Phase.NOT_SENT, "given up before it was sent")
    attempt = Attempt(
        number=reservation.number,
        deployment=reservation.deployment,
        bound=reservation.bound,
        price=reservation.price,
        started_s=now_s,
        ended_s=now_s,
        failure=failure,
    )
    return Resolution(reservation.reservation_id, Billing.UNBILLED, 0, attempt)
