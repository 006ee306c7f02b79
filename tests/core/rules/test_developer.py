"""Who made the weights: its country and its name. More cases are in `test_lineage` and `test_lists`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CALLER,
    DEEPSEEK,
    GPT,
    MISTRAL,
    QWEN_SG,
    RENTED,
    UNDISCLOSED,
    Without,
    caller,
    fact,
    low,
    model,
    organisation,
    self_hosted,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

if TYPE_CHECKING:
    from modelrouter.core.facts import World
    from modelrouter.core.policy import RuleSpec
    from tests.core.rules.world import Given

BOTH = ("derived_from", "distilled_from")
ALL_THREE = (*BOTH, "lineage_claim")
NO_CHINA = rule("developer.country", deny="CN")
NO_CHINA_CLAIMED = rule("developer.country", deny="CN", lineage=ALL_THREE)
NOT_LISTED = rule("developer.lists", deny="us-bis-entity-list")


def mistral_in(country: Given[str], parent: Given[str] = None) -> World:
    """The world in which Mistral lies, or belongs, elsewhere."""
    return world(organisation("mistral", country, parent))


COUNTRY = (
    Case("a developer in a denied country is refused", NO_CHINA, QWEN_SG, REFUSED, "CN", used=("alibaba.country",)),
    Case(
        "a developer outside the denied countries is permitted, and its parent was asked too",
        rule("developer.country", deny="CN RU"),
        RENTED,
        PERMITTED,
        used=("mistral.country", "mistral.parent", "mistral-small.developer", "mistral-small.derived_from"),
        turns_on=None,
    ),
    Case(
        "a developer inside the allowed countries is permitted",
        rule("developer.country", allow="FR DE"),
        MISTRAL,
        PERMITTED,
    ),
    Case(
        "a developer outside the allowed countries is refused",
        rule("developer.country", allow="DE"),
        MISTRAL,
        REFUSED,
        "FR",
    ),
    Case(
        "inside what is allowed and outside what is denied it is permitted",
        rule("developer.country", allow="FR CN", deny="RU"),
        MISTRAL,
        PERMITTED,
    ),
    Case("the country of a parent counts for deny", NO_CHINA, self_hosted("lion-7b"), REFUSED, "parent CN"),
    Case(
        "the country of a grandparent counts for deny",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "parent CN",
        mistral_in("FR", "straits-inference"),
    ),
    Case(
        "allowing a subsidiary's country does not allow its parent's",
        rule("developer.country", allow="SG"),
        self_hosted("lion-7b"),
        REFUSED,
        "parent CN",
    ),
    Case(
        "allowing the subsidiary's and the parent's country permits",
        rule("developer.country", allow="SG CN"),
        self_hosted("lion-7b"),
        PERMITTED,
        used=("lion-labs.country", "lion-labs.parent", "alibaba.country"),
    ),
    Case(
        "an unknown parent is not assumed to be harmless",
        NO_CHINA,
        MISTRAL,
        UNKNOWN,
        "unknown",
        mistral_in("FR", NOT_KNOWN),
    ),
    Case("an undisclosed parent does not pass", NO_CHINA, MISTRAL, NO, "undisclosed", mistral_in("FR", UNDISCLOSED)),
    Case(
        "a denied country beats an unknown parent",
        NO_CHINA,
        QWEN_SG,
        REFUSED,
        "CN",
        world(organisation("alibaba", "CN", NOT_KNOWN)),
    ),
    Case("an unknown country refuses as unknown", NO_CHINA, MISTRAL, UNKNOWN, "unknown", mistral_in(NOT_KNOWN)),
    Case(
        "an undisclosed country does not pass",
        rule("developer.country", allow="FR"),
        MISTRAL,
        NO,
        "undisclosed",
        mistral_in(UNDISCLOSED),
    ),
    Case(
        "a denied parent beats an unknown country",
        NO_CHINA,
        self_hosted("lion-7b"),
        REFUSED,
        "parent CN",
        world(organisation("lion-labs", NOT_KNOWN, "alibaba")),
    ),
    Case(
        "a parent that nobody described leaves the country set open",
        NO_CHINA,
        MISTRAL,
        UNKNOWN,
        "unknown",
        mistral_in("FR", "nowhere-holdings"),
    ),
    Case(
        "parents in a circle end, and a denied one among them is found",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "parent CN",
        world(organisation("mistral", "FR", "shell"), organisation("shell", "CN", "mistral")),
    ),
    Case(
        "a country on a low source is not good enough to allow",
        rule("developer.country", allow="FR"),
        MISTRAL,
        NO,
        "low confidence",
        mistral_in(low("FR")),
    ),
    Case(
        "a country on a low source is not good enough to escape a deny",
        NO_CHINA,
        MISTRAL,
        NO,
        "low confidence",
        mistral_in(low("FR")),
    ),
    Case("a country on a low source is good enough to refuse", NO_CHINA, MISTRAL, REFUSED, "CN", mistral_in(low("CN"))),
    Case(
        "that there is no parent needs more than a low source",
        NO_CHINA,
        MISTRAL,
        NO,
        "low confidence",
        mistral_in("FR", low(None)),
    ),
    Case(
        "a parent on a low source is good enough to refuse",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "parent CN",
        mistral_in("FR", low("alibaba")),
    ),
    Case(
        "a developer in France for whom no organisation is described is unknown",
        rule("developer.country", allow="FR"),
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(Without("mistral")),
    ),
    Case(
        "a model whose developer is unknown is unknown",
        NO_CHINA,
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(model("mistral-medium", NOT_KNOWN)),
    ),
    Case(
        "a model whose developer hides does not pass",
        NO_CHINA,
        MISTRAL,
        NO,
        "undisclosed",
        world(model("mistral-medium", UNDISCLOSED)),
    ),
    Case(
        "a developer named by a low source does not permit",
        NO_CHINA,
        MISTRAL,
        NO,
        "low confidence",
        world(model("mistral-medium", low("mistral"))),
    ),
    Case(
        "a developer named by a low source does refuse",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "CN",
        world(model("mistral-medium", low("alibaba"))),
    ),
    Case("who operates does not matter for who developed", rule("developer.country", allow="US"), GPT, PERMITTED),
    Case(
        "our own model stands in our own country",
        rule("developer.country", allow="DE FR"),
        self_hosted("acme-support"),
        PERMITTED,
    ),
    Case(
        "our own model answers for our own owner",
        NO_CHINA,
        self_hosted("acme-support"),
        REFUSED,
        "parent CN",
        world(replace(CALLER, parent_country=fact("CN"))),
    ),
    Case(
        "our own model is unknown while we do not say where we are",
        NO_CHINA,
        self_hosted("acme-support"),
        UNKNOWN,
        "unknown",
        world(caller(country=NOT_KNOWN)),
    ),
    Case(
        "our own model is unknown while we do not say who owns us",
        NO_CHINA,
        self_hosted("acme-support"),
        UNKNOWN,
        "unknown",
        world(caller(parent=NOT_KNOWN)),
    ),
)

IDENTITY = (
    Case("a developer denied by name is refused", rule("developer.id", deny="deepseek"), DEEPSEEK, REFUSED, "deepseek"),
    Case(
        "a developer not denied by name is permitted", rule("developer.id", deny="deepseek alibaba"), MISTRAL, PERMITTED
    ),
    Case("a developer allowed by name is permitted", rule("developer.id", allow="mistral"), MISTRAL, PERMITTED),
    Case(
        "a developer not allowed by name is refused", rule("developer.id", allow="openai"), MISTRAL, REFUSED, "mistral"
    ),
    Case(
        "denying a parent denies its daughters",
        rule("developer.id", deny="alibaba"),
        self_hosted("lion-7b"),
        REFUSED,
        "alibaba",
    ),
    Case(
        "allowing a parent allows its daughters",
        rule("developer.id", allow="alibaba"),
        self_hosted("lion-7b"),
        PERMITTED,
    ),
    Case(
        "allowed by its own name, a developer needs no known parent",
        rule("developer.id", allow="mistral"),
        MISTRAL,
        PERMITTED,
        world=mistral_in("FR", NOT_KNOWN),
    ),
    Case(
        "an unknown parent could be the denied one",
        rule("developer.id", deny="alibaba"),
        MISTRAL,
        UNKNOWN,
        "unknown",
        mistral_in("FR", NOT_KNOWN),
    ),
    Case(
        "the developers of ancestors must be allowed by name as well",
        rule("developer.id", allow="nous"),
        self_hosted("hermes-r"),
        REFUSED,
        "meta",
    ),
    Case("named together they pass", rule("developer.id", allow="nous meta"), self_hosted("hermes-r"), PERMITTED),
    Case(
        "we ourselves have a name", rule("developer.id", allow="self mistral"), self_hosted("acme-support"), PERMITTED
    ),
    Case(
        "we ourselves can be left out",
        rule("developer.id", allow="mistral"),
        self_hosted("acme-support"),
        REFUSED,
        "self",
    ),
    Case(
        "a denied teacher is found by name",
        rule("developer.id", deny="deepseek", lineage=BOTH),
        self_hosted("hermes-r"),
        REFUSED,
        "deepseek",
    ),
    Case(
        "an unknown developer has no name to allow",
        rule("developer.id", allow="mistral"),
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(model("mistral-medium", NOT_KNOWN)),
    ),
)


SENSELESS = (
    rule("developer.country"),
    rule("developer.country", allow=""),
    rule("developer.country", deny="CN", lineage=("raised_by",)),
    rule("developer.country", deny="CN", undisclosed={"derived_from": "maybe"}),
    rule("developer.country", deny="CN", undisclosed={"raised_by": "permit"}),
    rule("developer.country", deny="CN", grade=("contractual",)),
    replace(rule("developer.country"), at_most=3),
    replace(rule("developer.id", deny="alibaba"), at_least=1),
    rule("developer.id", require=True),
)
FINE = (
    NO_CHINA,
    NO_CHINA_CLAIMED,
    rule("developer.country", allow="FR DE", deny="CN", undisclosed={"distilled_from": "refuse"}, lineage=BOTH),
    rule("developer.id", allow="mistral self"),
    NOT_LISTED,
)


@table((*COUNTRY, *IDENTITY))
def test_developer(case: Case) -> None:
    """The developer and its parents answer as the sentence says."""
    put(case)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about developers that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about developers that means something passes."""
    is_fine(spec)
