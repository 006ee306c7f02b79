"""What the decisions of a period come to: counted again, slowly, over generated calls."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.assurance import Told, ToldCall, tally_of
from modelrouter.core.assurance.told import Observed, ToldLayer, ToldRefusal
from tests.strategies import everyday

NAMES = ("a", "b")
WAIVERS: st.SearchStrategy[list[str]] = st.sampled_from(([], [""], ["W-1"]))
LAYERS = tuple(ToldLayer(name, f"digest of {name}", "config", observe=name == "b") for name in NAMES)
REFUSALS = (ToldRefusal("p", "operator.country", "CN"), ToldRefusal("p", "request.cost_usd", "needs $1 of $0.5"))


@st.composite
def calls(draw: st.DrawFn) -> ToldCall:
    """A call with any of a few layers, refusals, waivers and observations."""
    told = Told(
        tuple(draw(st.lists(st.sampled_from(LAYERS), unique=True))),
        tuple(draw(st.lists(st.sampled_from(NAMES), unique=True))),
        {name: tuple(draw(st.lists(st.sampled_from(REFUSALS), min_size=1, unique=True))) for name in ("c",)},
        tuple(draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("W-1", "W-2"))), unique=True))),
        tuple(Observed(name, "b", "model.id", waiver) for name in NAMES for waiver in draw(WAIVERS)),
    )
    attempted = draw(st.sampled_from(((), told.permitted[:1])))
    return ToldCall(
        "c", draw(st.integers(1, 9)), draw(st.sampled_from(("r1", "r2"))), attempted, told, draw(st.integers(1, 3))
    )


@everyday(50)
@given(st.lists(calls(), max_size=7))
def test_a_tally_counts_each_call_where_it_belongs(given_calls: list[ToldCall]) -> None:
    """Each figure again, with a counter of its own; first and last are those of the calls that count there."""
    found = tally_of(given_calls)
    policies: Counter[ToldLayer] = Counter()
    waivers: Counter[tuple[str, str]] = Counter()
    observed: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str, str]] = Counter()
    nobody: Counter[str] = Counter()
    permitted: Counter[frozenset[str]] = Counter()
    for call in given_calls:
        policies.update(dict.fromkeys(call.told.layers, call.count))
        waivers.update({(waiver, name): call.count for name, waiver in call.told.waived})
        observed.update({(call.route, each.deployment): call.count for each in call.told.observed if not each.waiver})
        refused.update({(call.route, each.rule, each.layer): call.count for each in call.told.refused["c"]})
        nobody.update({call.route: call.count} if not call.attempted else {})
        permitted.update({frozenset(call.told.permitted): call.count} if call.told.permitted else {})
    assert {layer: count.calls for layer, count in found.policies.items()} == dict(policies)
    assert {key: count.calls for key, count in found.waivers.items()} == dict(waivers)
    assert {key[:2]: count.calls for key, count in found.observed.items()} == dict(observed)
    assert {(key[0], key[3], key[2]): count.calls for key, count in found.refusals.items()} == dict(refused)
    assert {key[4] for key in found.refusals} <= {"CN", ""}
    assert {route: count.calls for route, count in found.nobody.items()} == dict(nobody)
    assert {names: count.calls for names, count in found.permitted.items()} == dict(permitted)
    for layer, count in found.policies.items():
        moments = [call.at_us for call in given_calls if layer in call.told.layers]
        assert (count.first_us, count.last_us) == (min(moments), max(moments))
