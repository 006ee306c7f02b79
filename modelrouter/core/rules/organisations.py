"""What rules ask about an organisation: its countries, its ids, its agreements with the caller.

Countries are a set: its own and every parent's up the chain. A deny hits on any of them, an allow needs all of them, so
a chain that we cannot follow to its end leaves a doubt. Ids work the other way: an id in a rule stands for the
organisation and for whatever it owns, so an allow is met by the organisation or by any parent. `self` is the caller,
with the two countries that the caller states; it has no parent ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF
from modelrouter.core.lineage import is_complete, owners

if TYPE_CHECKING:
    from modelrouter.core.facts import Agreement
    from modelrouter.core.rules.base import Gate, Hearing
    from modelrouter.core.rules.places import PlaceGate

__all__ = ["hear_agreement", "hear_countries", "hear_id"]


def hear_countries(hearing: Hearing, gate: PlaceGate, organisation: str, *, via: str, remedy: str) -> None:
    """Every country of an organisation must pass.

    Args:
        via: empty, or ` via deepseek-r1`: how the organisation came in, for the reason.
        remedy: with `{}` for the country.
    """
    for owner in owners(hearing.world, organisation):
        for seat in owner.seats:
            country = hearing.read(seat.path, seat.fact)
            if country is not None and gate.countries.keeps_out(country):
                parent = "parent " if seat.of_parent else ""
                hearing.refuse(f"{parent}{country}{via}", seat.path, remedy.format(country))
        if owner.parent is not None:
            hearing.read(owner.parent_path, owner.parent, empty="")


def hear_id(hearing: Hearing, gate: Gate, organisation: str, *, path: str, via: str, remedy: str) -> None:
    """No owner may be denied, and one of them must be allowed. Reads no further than the answer needs.

    Args:
        path: the fact that names the organisation.
    """
    chain = owners(hearing.world, organisation)
    allowed = gate.allow is None
    below = path
    for owner in chain:
        if owner.id in gate.deny:
            parent = "parent " if owner.is_parent else ""
            hearing.refuse(f"{parent}{owner.id}{via}", below, remedy.format(owner.id))
            return
        allowed = allowed or (gate.allow is not None and owner.id in gate.allow)
        if allowed and not gate.deny:
            return
        if owner.parent is not None:
            hearing.read(owner.parent_path, owner.parent, empty="")
        below = owner.parent_path
    if not allowed and is_complete(chain):
        hearing.refuse(f"{organisation}{via}", path, remedy.format(organisation))


def hear_agreement(hearing: Hearing, kind: str, partner: str, *, path: str, missing: str) -> None:
    """The caller must have an unexpired agreement of a kind with an organisation.

    Args:
        path: the fact that asks for it.
        missing: the reason where there is none; an expired one is told as such.
    """
    if partner == SELF:
        return
    remedy = f"an agreement of type `{kind}` with `{partner}`"
    ours = [agreement for agreement in hearing.subject.caller.agreements if agreement.type == kind]
    if not ours:
        hearing.refuse(missing, path, remedy)
        return
    theirs = [agreement for agreement in ours if agreement.partner == partner]
    if not any(_holds(hearing, agreement) for agreement in theirs):
        hearing.refuse(f"{kind} expired" if theirs else missing, path, remedy)


def _holds(hearing: Hearing, agreement: Agreement) -> bool:
    return agreement.expires is None or not hearing.subject.calendar.has_passed(agreement.expires)
