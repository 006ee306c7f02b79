"""Which model it is, whether its name stays the same weights, and what it can do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.facts import Fact
from modelrouter.core.request import CAPABILITIES
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CELLAR,
    DEEPSEEK,
    GPT,
    MISTRAL,
    QWEN_SG,
    QWEN_VIA,
    SOURCE,
    UNDISCLOSED_SET,
    UNKNOWN_SET,
    UNKNOWN_YES,
    WORD,
    fact,
    low,
    model,
    names,
    self_hosted,
    world,
)

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.policy import RuleSpec
    from tests.core.rules.world import Given

PINNED = rule("model.pinned", require=True)
TOOLS = rule("capability.tools", require=True)
VISION = rule("capability.vision", require=True)
WINDOW = replace(rule("capability.context_tokens"), at_least=32_000)
UNKNOWN_TOKENS: Fact[int] = Fact.unknown()
HIDDEN_YES: Fact[bool] = Fact.undisclosed(SOURCE)


def can(text: str) -> Deployment:
    """An endpoint that can do these things, and nothing else."""
    return replace(MISTRAL, capabilities=fact(names(text)))


def serving(context_tokens: Given[int]) -> Deployment:
    """An endpoint that serves such a window."""
    return replace(MISTRAL, context_tokens=fact(context_tokens))


def called(pinned: Given[bool], at: Deployment = MISTRAL) -> Deployment:
    """An endpoint called by a name that stays the same, or does not."""
    return replace(at, pinned=fact(pinned))


def medium(*, pinned: Given[bool] = True, capabilities: Given[frozenset[str]] = frozenset({"tools"})) -> World:
    """The world in which the model behind that endpoint is otherwise."""
    return world(model("mistral-medium", "mistral", pinned=pinned, capabilities=capabilities))


IDENTITY = (
    Case(
        "an allowed model is permitted", rule("model.id", allow="gpt-5 mistral-medium"), GPT, PERMITTED, turns_on=None
    ),
    Case("a model that is not allowed is refused", rule("model.id", allow="mistral-medium"), GPT, REFUSED, "gpt-5"),
    Case("a denied model is refused", rule("model.id", deny="gpt-5"), GPT, REFUSED, "gpt-5"),
    Case("a model that is not denied is permitted", rule("model.id", deny="gpt-5"), MISTRAL, PERMITTED),
    Case(
        "neither allowed nor denied is refused",
        rule("model.id", allow="gpt-5", deny="olmo"),
        MISTRAL,
        REFUSED,
        "mistral-medium",
    ),
    Case("the deployment's own name is not the model's", rule("model.id", allow="gpt"), GPT, REFUSED, "gpt-5"),
    Case("the name is compared whole", rule("model.id", allow="deepseek"), DEEPSEEK, REFUSED, "deepseek-v3"),
    Case("a model is the same wherever it runs", rule("model.id", deny="qwen3-32b"), QWEN_VIA, REFUSED, "qwen3-32b"),
    Case(
        "a model is the same on our own server",
        rule("model.id", allow="qwen3-32b"),
        self_hosted("qwen3-32b"),
        PERMITTED,
    ),
    Case(
        "denying an ancestor by name does not deny what derives from it",
        rule("model.id", deny="mistral-small"),
        self_hosted("acme-support"),
        PERMITTED,
    ),
    Case(
        "allowing an ancestor by name does not allow what derives from it",
        rule("model.id", allow="mistral-small"),
        self_hosted("acme-support"),
        REFUSED,
        "acme-support",
    ),
)

PINS = (
    Case("a dated id is pinned", PINNED, MISTRAL, PERMITTED),
    Case("a release of weights on our own server is pinned", PINNED, CELLAR, PERMITTED),
    Case("an alias that moves is refused", PINNED, called(False), REFUSED, world=medium(pinned=False)),
    Case("a pinned model called by an alias is not pinned", PINNED, called(False), REFUSED),
    Case(
        "a model that is itself an alias, called by nobody knows what, does not pass",
        PINNED,
        called(UNKNOWN_YES),
        NO,
        world=medium(pinned=False),
    ),
    Case("nobody knows whether it moves", PINNED, called(UNKNOWN_YES), UNKNOWN, "unknown", medium(pinned=UNKNOWN_YES)),
    Case(
        "its vendor does not say whether it moves",
        PINNED,
        called(HIDDEN_YES),
        NO,
        "undisclosed",
        medium(pinned=HIDDEN_YES),
    ),
    Case(
        "a pin on a low source does not permit",
        PINNED,
        called(low(True)),
        NO,
        "low confidence",
        medium(pinned=low(True)),
    ),
    Case("an alias on a low source does refuse", PINNED, called(low(False)), REFUSED, world=medium(pinned=low(False))),
    Case(
        "a pin on somebody's word is a pin, for grades are for places",
        PINNED,
        called(fact(True, WORD)),
        PERMITTED,
        world=medium(pinned=fact(True, WORD)),
    ),
)

ABLE = (
    Case(
        "an endpoint that takes tools is permitted",
        TOOLS,
        can("tools vision"),
        PERMITTED,
        used=("mistral.capabilities",),
    ),
    Case(
        "an endpoint without tools is refused, whatever its model can do", TOOLS, can("json_schema"), REFUSED, "tools"
    ),
    Case(
        "an endpoint that can do nothing is refused", TOOLS, replace(MISTRAL, capabilities=fact(None)), REFUSED, "tools"
    ),
    Case(
        "neither endpoint nor model is known to take tools",
        TOOLS,
        replace(MISTRAL, capabilities=UNKNOWN_SET),
        UNKNOWN,
        "unknown",
        medium(capabilities=UNKNOWN_SET),
    ),
    Case(
        "neither vendor says",
        TOOLS,
        replace(MISTRAL, capabilities=UNDISCLOSED_SET),
        NO,
        "undisclosed",
        medium(capabilities=UNDISCLOSED_SET),
    ),
    Case(
        "an unknown endpoint of a model without tools does not pass",
        TOOLS,
        replace(MISTRAL, capabilities=UNKNOWN_SET),
        NO,
        world=medium(capabilities=names("vision")),
    ),
    Case(
        "an unknown endpoint of a model that can do nothing does not pass",
        TOOLS,
        replace(MISTRAL, capabilities=UNKNOWN_SET),
        NO,
        world=medium(capabilities=None),
    ),
    Case(
        "tools on a low source do not permit",
        TOOLS,
        replace(MISTRAL, capabilities=low(names("tools"))),
        NO,
        "low confidence",
        medium(capabilities=low(names("tools"))),
    ),
    Case(
        "no tools on a low source do refuse",
        TOOLS,
        replace(MISTRAL, capabilities=low(names("vision"))),
        REFUSED,
        "tools",
    ),
    Case("nothing on a low source does refuse", TOOLS, replace(MISTRAL, capabilities=low(None)), REFUSED, "tools"),
    Case("one ability does not stand for another", VISION, can("tools json_schema"), REFUSED, "vision"),
    Case("files are not vision", rule("capability.files", require=True), can("vision"), REFUSED, "files"),
    Case("files as said", rule("capability.files", require=True), can("files"), PERMITTED),
    Case(
        "an object is not a schema",
        rule("capability.json_schema", require=True),
        can("json_object"),
        REFUSED,
        "json_schema",
    ),
    Case("a schema as said", rule("capability.json_schema", require=True), can("json_schema"), PERMITTED),
    Case(
        "a schema is not said to be an object",
        rule("capability.json_object", require=True),
        can("json_schema"),
        REFUSED,
        "json_object",
    ),
    Case(
        "one tool at a time is not several",
        rule("capability.parallel_tools", require=True),
        can("tools"),
        REFUSED,
        "parallel_tools",
    ),
    Case(
        "several tools as said", rule("capability.parallel_tools", require=True), can("tools parallel_tools"), PERMITTED
    ),
    Case("reasoning as said", rule("capability.reasoning", require=True), can("reasoning"), PERMITTED),
    Case("no reasoning", rule("capability.reasoning", require=True), can("tools"), REFUSED, "reasoning"),
    Case("a seed as said", rule("capability.seed", require=True), can("seed"), PERMITTED),
    Case("no seed", rule("capability.seed", require=True), can("logprobs"), REFUSED, "seed"),
    Case("logprobs as said", rule("capability.logprobs", require=True), can("logprobs"), PERMITTED),
    Case("no audio", rule("capability.audio_input", require=True), can("vision files"), REFUSED, "audio_input"),
    Case("a window of exactly what is asked is enough", replace(WINDOW, at_least=131_072), MISTRAL, PERMITTED),
    Case("a window of one token less is not", replace(WINDOW, at_least=131_073), MISTRAL, REFUSED, "131072"),
    Case("what the endpoint serves counts, not what the model could", WINDOW, serving(8_192), REFUSED, "8192"),
    Case("an unknown window is unknown", WINDOW, serving(UNKNOWN_TOKENS), UNKNOWN, "unknown"),
    Case("a window on a low source does not permit", WINDOW, serving(low(131_072)), NO, "low confidence"),
    Case("a window on a low source does refuse", WINDOW, serving(low(8_192)), REFUSED, "8192"),
    Case("the ability is the endpoint's, not the operator's", VISION, QWEN_SG, REFUSED, "vision"),
)

SENSELESS = (
    rule("model.id"),
    rule("model.id", allow=""),
    rule("model.id", allow="gpt-5", lineage=("derived_from",)),
    replace(rule("model.id", allow="gpt-5"), at_most=1),
    rule("model.pinned"),
    rule("model.pinned", allow="true"),
    replace(PINNED, at_least=1),
    rule("capability.tools"),
    rule("capability.tools", deny="tools"),
    rule("capability.tools", require=True, hosting=("managed",)),
)
FINE = (rule("model.id", allow="gpt-5"), rule("model.id", deny="gpt-5 qwen3-32b"), PINNED, TOOLS, VISION)


@table((*IDENTITY, *PINS, *ABLE))
def test_model(case: Case) -> None:
    """Names, pins and abilities answer as the sentence says."""
    put(case)


@pytest.mark.parametrize("capability", sorted(CAPABILITIES))
def test_every_capability_has_a_rule(capability: str) -> None:
    """Each ability of the one list can be required."""
    is_fine(rule(f"capability.{capability}", require=True))


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about models that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about models that means something passes."""
    is_fine(spec)
