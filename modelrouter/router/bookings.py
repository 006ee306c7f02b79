"""What a call leaves in the ledger beside its attempts: its record, and the release of a grant that came too late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.core.share_record import share_record
from modelrouter.ports import CallRecord, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from modelrouter.config.setup import Tag
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from modelrouter.core.share_record import Capped
    from modelrouter.ports import Reservation
    from modelrouter.router.epoch import Epoch

__all__ = ["call_record", "new_call_id", "release", "stored_tags", "tags_to_store"]


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


async def tags_to_store(
    given: Mapping[str, str], declared: Mapping[str, Tag], pseudonym: Callable[[str, str], str]
) -> dict[str, str]:
    """`stored_tags`; in a thread where a key may have to be read from the book."""
    if any(tag.personal and (name in given or tag.default is not None) for name, tag in declared.items()):
        return await asyncio.to_thread(stored_tags, given, declared, pseudonym)
    return stored_tags(given, declared, pseudonym)


def call_record(  # noqa: PLR0917 - what a record is made of
    call_id: str,
    request: Request,
    decision: Decision,
    epoch: Epoch,
    tags: Mapping[str, str],
    shares: Sequence[Capped] = (),
) -> CallRecord:
    """The record of a call, with its tags as they are stored.

    Args:
        shares: deployments that a share cap spoke against before anything was reserved, and what it said.
    """
    told = {"shares": [share_record(name, refusal) for name, refusal in shares]} if shares else {}
    return CallRecord(
        call_id=call_id,
        request_id=request.request_id,
        route=request.route,
        tags=tags,
        decision=orjson.dumps({**epoch.record(request, decision), **told}).decode(),
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
