"""All rule families and route assertions, and the way from a key to the one that answers for it."""

from __future__ import annotations

from typing import Final

from modelrouter.core.rules.base import RuleFamily
from modelrouter.core.rules.developer import DeveloperFamily
from modelrouter.core.rules.model import ModelFamily
from modelrouter.core.rules.operator import OperatorFamily
from modelrouter.core.rules.price import PriceFamily, RequestFamily
from modelrouter.core.rules.quality import QualityFamily
from modelrouter.core.rules.residency import ResidencyFamily
from modelrouter.core.rules.share import ShareFamily
from modelrouter.core.rules.terms import TermsFamily
from modelrouter.core.rules.vendors import RouteAssertion, SurvivalAssertion
from modelrouter.core.rules.weights import WeightsFamily

__all__ = [
    "ASSERTIONS",
    "FAMILIES",
    "RouteAssertion",
    "RuleFamily",
    "all_keys",
    "assertion_of",
    "family_of",
    "nearest_key",
]

TAIL_HANDICAP: Final = 0.1  # a last part that fits weighs a little less than a whole key that does

FAMILIES: tuple[RuleFamily, ...] = (
    DeveloperFamily(),
    ModelFamily(),
    OperatorFamily(),
    PriceFamily(),
    QualityFamily(),
    RequestFamily(),
    ResidencyFamily(),
    ShareFamily(),
    TermsFamily(),
    WeightsFamily(),
)
"""Every family, sorted by name, each asked about every deployment. No key belongs to two of them."""

ASSERTIONS: tuple[RouteAssertion, ...] = (SurvivalAssertion(),)
"""What policies may assert of whole routes. Judged at load by `core.assurance`, never for a request."""

_BY_KEY = {key: family for family in FAMILIES for key in family.grammars}
_ASSERTED = {key: assertion for assertion in ASSERTIONS for key in assertion.grammars}


def family_of(key: str) -> RuleFamily | None:
    """The family that answers for a rule key; None for an assertion, and for a key without a meaning."""
    return _BY_KEY.get(key)


def assertion_of(key: str) -> RouteAssertion | None:
    """The route assertion of a key; None for a rule, and for a key without a meaning."""
    return _ASSERTED.get(key)


def all_keys() -> tuple[str, ...]:
    """Every key a rule may have, sorted."""
    return tuple(sorted([*_BY_KEY, *_ASSERTED]))


def nearest_key(key: str) -> str:
    """The key that somebody most likely meant: by its whole spelling, or by its last part."""
    from difflib import SequenceMatcher  # only for a message: not worth its time at import

    def likeness(known: str) -> float:
        whole = SequenceMatcher(None, key, known).ratio()
        last = SequenceMatcher(None, key.rpartition(".")[2], known.rpartition(".")[2]).ratio()
        return max(whole, last - TAIL_HANDICAP)

    return max(all_keys(), key=likeness)
