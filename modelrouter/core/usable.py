"""How much of what is on offer a policy admits, and which missing facts would admit most of the rest. Pure counting.

An offer that a rule refuses for good is out, whatever else becomes known. One that is refused only for want of facts is
admitted as soon as all of them are known, each with its best value. A missing price is no policy's answer and is told
apart: whoever buys knows it, or the rate of its currency. A retired model is out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from modelrouter.core.policy import Outcome
from modelrouter.core.request import Needs
from modelrouter.core.route import Route, Try
from modelrouter.core.verdict import compile_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from modelrouter.core.facts import World
    from modelrouter.core.policy import Layer
    from modelrouter.core.verdict import Verdict

__all__ = ["Gap", "Offered", "Tally", "Usable", "tally", "usable"]

GAPS: Final = 5
"""How many missing facts are named."""


@dataclass(frozen=True, slots=True)
class Offered:
    """One thing on offer, as a deployment of a world.

    Attributes:
        id: of the deployment.
        operator: the organisation that runs it; empty for a server of one's own.
        endpoint: where it is called, as `mistral/eu`; empty for a server of one's own.
        names: paths of this deployment's facts to what the catalog calls them, as `mistral/eu.storage`: one fact there
            may be missing for many.
    """

    id: str
    operator: str
    endpoint: str
    model: str
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """Some offers, counted.

    Attributes:
        operators: the ids, sorted.
        endpoints: how many places can be called.
        models: how many models there are to be had at them.
        offers: models at endpoints, each pair once.
        own: models that one may run oneself.
    """

    operators: tuple[str, ...]
    endpoints: int
    models: int
    offers: int
    own: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A missing fact.

    Attributes:
        fact: as the catalog calls it.
        alone: offers that it would admit by itself.
        together: offers that it would admit with the gaps before it.
    """

    fact: str
    alone: int
    together: int


@dataclass(frozen=True, slots=True)
class Usable:
    """What a policy admits of everything that is on offer.

    Attributes:
        unpriced: of the admitted offers, those whose price the catalog does not have in dollars.
        refused_by: the rule that is the first to refuse, to how many offers; most first.
        gaps: at most five, the best first.
    """

    admitted: Tally
    unpriced: int
    refused_by: Mapping[str, int]
    gaps: tuple[Gap, ...]


def tally(offers: Iterable[Offered]) -> Tally:
    """Count offers."""
    kept = list(offers)
    hosted = [each for each in kept if each.operator]
    return Tally(
        operators=tuple(sorted({each.operator for each in hosted})),
        endpoints=len({each.endpoint for each in hosted}),
        models=len({each.model for each in hosted}),
        offers=len(hosted),
        own=len({each.model for each in kept if not each.operator}),
    )


def usable(world: World, offers: Sequence[Offered], layers: tuple[Layer, ...], today: date) -> Usable:
    """Judge every offer by a policy and count.

    Args:
        world: its deployments are those of the offers.
        layers: the policy and those it extends.
    """
    route = Route("offers", tuple(Try({each.id: 1}) for each in offers))
    rows = compile_rows(world, layers, route, Needs(), today).rows
    refusals = {each.id: [one for one in rows[each.id].refusals if not _is_price(one)] for each in offers}
    admitted = [each for each in offers if not refusals[each.id]]
    lacking = [_lacking(each, refusals[each.id]) for each in offers]
    return Usable(
        admitted=tally(admitted),
        unpriced=sum(1 for each in admitted if each.operator and rows[each.id].refusals),
        refused_by=dict(Counter(found[0].rule for found in refusals.values() if found).most_common()),
        gaps=_gaps([facts for facts in lacking if facts]),
    )


def _is_price(verdict: Verdict) -> bool:
    return (verdict.layer, verdict.rule) == ("catalog", "price")


def _lacking(offered: Offered, refusals: Sequence[Verdict]) -> frozenset[str]:
    """The facts that would admit an offer if they were known; none where it is admitted, or refused for good."""
    if any(each.judgement.outcome is not Outcome.UNKNOWN for each in refusals):
        return frozenset()
    paths = (path for each in refusals for path in each.judgement.missing or (each.judgement.fact,))
    return frozenset(offered.names.get(path, path) for path in paths)


def _gaps(lacking: Sequence[frozenset[str]]) -> tuple[Gap, ...]:
    """One fact after the other, each time the one that admits most; of equals, the one that brings most offers nearest.

    How near is told by shares: where an offer lacks three facts, each of them weighs a third. Facts at the end that
    bring nothing yet are left out.
    """
    alone = _alone(lacking)
    left, found = list(lacking), list[Gap]()
    while left and len(found) < GAPS:
        admits = _alone(left)
        shares: dict[str, Fraction] = {}
        for facts in left:
            for fact in facts:
                shares[fact] = shares.get(fact, Fraction()) + Fraction(1, len(facts))
        best = min(shares, key=lambda fact: (-admits[fact], -shares[fact], fact))
        left = [rest for facts in left if (rest := facts - {best})]
        found.append(Gap(best, alone[best], len(lacking) - len(left)))
    most = max((each.together for each in found), default=0)
    needed = next((place for place, each in enumerate(found, 1) if each.together == most), 0)
    return tuple(found[:needed]) if most else ()


def _alone(lacking: Sequence[frozenset[str]]) -> Counter[str]:
    return Counter(fact for facts in lacking if len(facts) == 1 for fact in facts)
