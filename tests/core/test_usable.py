"""Counting what a policy admits, and choosing the missing facts that would admit most; every count known beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import Confidence, Fact, Training
from modelrouter.core.policy import Layer, Level, Policy
from modelrouter.core.usable import Gap, Offered, Tally, usable
from tests.core.rules.cases import rule
from tests.core.rules.world import MISTRAL, SOURCE, TODAY, WORLD, fact, low, places, with_terms

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment
    from modelrouter.core.usable import Usable

RULES: Final = (
    rule("processing.country", allow="FR"),
    rule("storage.country", allow="FR"),
    rule("data.training", allow="never"),
)
LAYERS: Final = (Layer(Policy("home", RULES), Level.REQUEST),)
GOOD: Final = with_terms(
    MISTRAL, processing=places("FR"), storage=places("FR"), training=Fact.known(Training.NEVER, SOURCE)
)


def _lacking(letters: str) -> Deployment:
    """A deployment that would be admitted but for some facts: p(rocessing), s(torage), t(raining)."""
    return with_terms(
        GOOD,
        processing=Fact.unknown() if "p" in letters else None,
        storage=Fact.unknown() if "s" in letters else None,
        training=Fact.unknown() if "t" in letters else None,
    )


def _count(**given: Deployment) -> Usable:
    """Judge deployments; their facts go by the first letter of their names, so that `a1` and `a2` share theirs."""
    world = replace(WORLD, deployments={name: replace(each, id=name) for name, each in given.items()})
    offers = [
        Offered(
            name,
            operator="mistral",
            endpoint=name[0],
            model=each.model,
            names={f"{name}.{term}": f"{name[0]}.{term}" for term in ("processing", "storage", "training")},
        )
        for name, each in given.items()
    ]
    return usable(world, offers, LAYERS, TODAY)


def test_what_is_admitted_is_counted_by_operator_endpoint_and_model() -> None:
    """Two offers at one endpoint, one at another, one that is refused."""
    found = _count(a1=GOOD, a2=GOOD, b1=GOOD, c1=with_terms(GOOD, processing=places("CN")))
    assert found.admitted == Tally(operators=("mistral",), endpoints=2, models=1, offers=3, own=0)
    assert found.refused_by == {"processing.country": 1}
    assert found.gaps == ()


def test_the_fact_that_admits_most_comes_first_and_pairs_come_together() -> None:
    """Training of `a` admits two at once; storage and processing of `b` admit three, but only both."""
    found = _count(
        a1=_lacking("t"), a2=_lacking("t"), b1=_lacking("ps"), b2=_lacking("ps"), b3=_lacking("ps"), c1=_lacking("p")
    )
    assert found.gaps == (
        Gap("a.training", alone=2, together=2),
        Gap("c.processing", alone=1, together=3),
        Gap("b.processing", alone=0, together=3),
        Gap("b.storage", alone=0, together=6),
    )


def test_a_firm_refusal_is_not_mended_by_facts() -> None:
    """What is in China stays out, whatever its training; and a doubt behind that refusal is no gap."""
    found = _count(a1=with_terms(_lacking("t"), processing=places("CN")))
    assert found.refused_by == {"processing.country": 1}
    assert found.gaps == ()


def test_five_gaps_are_named_and_none_that_brings_nothing() -> None:
    """Of seven single facts the first five by name; three facts of one offer, when two are all that could be named."""
    seven = _count(**{f"{letter}1": _lacking("t") for letter in "abcdefg"})
    assert [gap.fact for gap in seven.gaps] == [f"{letter}.training" for letter in "abcde"]
    assert seven.gaps[-1].together == 5
    more = _count(**{f"{letter}1": _lacking("t") for letter in "abc"}, d1=_lacking("pst"))
    assert [gap.fact for gap in more.gaps] == ["a.training", "b.training", "c.training"]


def test_a_poor_source_is_a_gap_too() -> None:
    """A fact of low confidence never permits: a better source for it would."""
    poor = Fact.known(Training.NEVER, replace(SOURCE, confidence=Confidence.LOW))
    found = _count(a1=with_terms(GOOD, training=poor), b1=with_terms(GOOD, processing=low(frozenset({"FR"}))))
    assert found.gaps == (Gap("a.training", alone=1, together=1), Gap("b.processing", alone=1, together=2))


def test_a_missing_price_admits_and_is_counted_apart() -> None:
    """The policy has no objection; whoever buys knows the price."""
    found = _count(a1=GOOD, a2=replace(GOOD, price=Fact.unknown()))
    assert (found.admitted.offers, found.unpriced) == (2, 1)


def test_a_retired_model_is_out() -> None:
    """No fact brings it back."""
    found = _count(a1=replace(GOOD, retires_on=fact(TODAY.replace(year=2020))))
    assert found.admitted.offers == 0
    assert found.refused_by == {"retires_on": 1}
    assert found.gaps == ()
