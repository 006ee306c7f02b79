"""Decisions derived again from what a book keeps of them: the same, over generated worlds, requests and moments."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.decision import decide, layers_for
from modelrouter.core.decision_record import (
    derived,
    frame_of,
    layers_bound,
    outcome_digest,
    record_of,
    recorded_from,
)
from modelrouter.core.facts import World
from modelrouter.core.grounds import Grounds, layers_named, needed
from modelrouter.core.grounds_text import grounds_from, text_of
from modelrouter.core.history import history_of
from modelrouter.core.inspection import Inspected
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec
from modelrouter.core.portability import judge_history, stand_in, target_of
from modelrouter.core.subject import Calendar, Subject
from tests.strategies import TODAY, everyday, scenarios

if TYPE_CHECKING:
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from tests.strategies import Scenario

HASH = "0" * 64
FINDINGS = st.sampled_from(
    [Inspected(), Inspected({"api_key": 2}, {"data_class": "personal"}), Inspected({"email": 1})]
)
MESSAGES = st.lists(
    st.sampled_from(
        [
            {"role": "user", "content": "a secret question"},
            {"role": "assistant", "content": "x", "reasoning_content": "hm"},
            {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking", "signature": "s"}]},
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-SECRET"}}]},
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "gs://secret/bucket"}}]},
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "a secret"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "abcDEF123"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "a secret id"}]},
            {"role": "tool", "content": "42", "tool_call_id": "secret" * 8},
            {"role": "tool", "content": "42", "tool_call_id": "secret" * 20},
        ]
    ),
    max_size=3,
)


def grounds_of(scenario: Scenario) -> tuple[Grounds, tuple[str, ...]]:
    """A scenario's grounds, and the names of the policies that its call adds."""
    own = [Layer(policy, level) for policy, level in scenario.policies if level is not Level.REQUEST]
    added = {policy.name: (policy,) for policy, level in scenario.policies if level is Level.REQUEST}
    route = replace(scenario.route, layers=tuple(own))
    grounds = Grounds(replace(scenario.world, epoch="e"), {route.name: route}, added, "1.2.3", {"config": HASH})
    return grounds, tuple(added)


def decided(grounds: Grounds, request: Request, scenario: Scenario) -> tuple[Decision, tuple[Layer, ...]]:
    """The decision as the router makes it, and all layers that could have bound."""
    route = grounds.routes[request.route]
    possible = layers_named(route, request.policies, grounds.policies)
    layers = layers_for(request.tags, possible, request.inspected.raised)
    return decide(request, route, layers, grounds.world, scenario.moment), possible


@everyday(80)
@given(scenarios(), FINDINGS, MESSAGES, st.sampled_from([None, 5.0]))
def test_a_decision_is_derived_again_from_its_record_and_its_grounds(
    scenario: Scenario, inspected: Inspected, messages: list[dict[str, object]], timeout_s: float | None
) -> None:
    """Order, bounds, expected costs, every verdict with its words and sources, and the layers, from texts alone."""
    grounds, added = grounds_of(scenario)
    request = replace(
        scenario.request,
        policies=added,
        inspected=inspected,
        history=history_of(messages),  # type: ignore[arg-type]  # plain dicts are messages
        timeout_s=timeout_s,
    )
    decision, possible = decided(grounds, request, scenario)
    frame = frame_of(HASH, request, grounds.routes["route"], possible, grounds.world)
    written = json.dumps(record_of(frame, request, decision))
    kept = text_of(replace(grounds, world=needed(grounds.world)))

    assert "secret" not in written.lower()
    read = grounds_from(kept)
    assert text_of(read) == kept
    hashed = dict.fromkeys(request.tags, "~hashed")  # what binds does not rest on tags, which may be personal
    recorded = recorded_from(written, scenario.moment.seed, request.request_id, request.route, request.session, hashed)
    again = derived(recorded, read)
    assert again.permitted == decision.permitted
    assert again.verdicts == decision.verdicts
    assert again.layers == decision.layers == layers_bound(recorded, read)
    assert again.epoch == "e"
    assert outcome_digest(again) == recorded.outcome == outcome_digest(decision)


@everyday(40)
@given(scenarios())
def test_grounds_are_read_back_exactly(scenario: Scenario) -> None:
    """A world of any dirt, with its routes and policies, is the same after its text."""
    grounds, _ = grounds_of(scenario)
    read = grounds_from(text_of(grounds))
    assert read == grounds
    assert list(read.routes["route"].candidates) == list(grounds.routes["route"].candidates)


@everyday(40)
@given(scenarios(), MESSAGES)
def test_the_stand_in_of_a_history_is_judged_as_the_history(
    scenario: Scenario, messages: list[dict[str, object]]
) -> None:
    """Ids are left out of the book, and still each deployment takes or refuses the conversation for the same reason."""
    history = history_of(messages)  # type: ignore[arg-type]  # plain dicts are messages
    like = stand_in(history)
    for deployment in scenario.world.deployments.values():
        target = target_of(Subject(deployment, scenario.world, Calendar(TODAY)), scenario.request, scenario.route)
        for strips in (False, True):
            assert judge_history(like, target, strips=strips) == judge_history(history, target, strips=strips)


def test_limits_of_rules_keep_their_kind() -> None:
    """A limit of one half, of the text "0.5" and of a whole number are three things after reading as before."""
    limits = (Decimal("0.50"), "0.5", 3, True, None)
    rules = tuple(RuleSpec("request.cost_usd", at_most=each, at_least=each) for each in limits)
    policy = Policy("p", (*rules, RuleSpec("agreements", require=True), RuleSpec("x", require=frozenset({"dpa"}))))
    grounds = Grounds(World({}, {}, {}, {}, {}), {}, {"p": (policy,)})
    (read,) = grounds_from(text_of(grounds)).policies["p"]
    assert [type(rule.at_most) for rule in read.rules[:5]] == [type(each) for each in limits]
    assert read == policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no grounds"),
        ("[]", "holds no grounds"),
        ('{"format": "other"}', "holds no grounds"),
        ('{"format": "modelrouter-grounds", "version": 9}', "needs a later release"),
        ('{"format": "modelrouter-grounds", "version": 1, "sources": [{"ref": 1}]}', "holds no grounds"),
    ],
)
def test_what_is_no_grounds_is_said_to_be_none(text: str, said: str) -> None:
    """Another text, a later version and a damaged one are told apart, each in a sentence."""
    with pytest.raises(ValueError, match=said):
        grounds_from(text)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"grounds": "x"}', '{"epoch": "e", "policies": []}'])
def test_a_record_that_does_not_hold_the_inputs_is_said_so(text: str) -> None:
    """What an earlier version wrote, and what was damaged, is refused in words."""
    with pytest.raises(ValueError, match="does not hold what the decision rests on"):
        recorded_from(text, "c", None, "route", None, {})
