"""Where inference may run and where data rests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.facts import Fact, LinkRole
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, is_fine, is_senseless, put, rule, specs, table
from tests.core.rules.world import (
    CELLAR,
    CLAUDE,
    CONTRACT,
    GPT,
    LOW,
    MISTRAL,
    MISTRAL_VIA,
    QWEN_SG,
    RENTED,
    SOMEWHERE,
    UNDISCLOSED_SET,
    UNKNOWN_SET,
    UNKNOWN_YES,
    WORD,
    fact,
    places,
    with_terms,
)

if TYPE_CHECKING:
    from modelrouter.core.policy import RuleSpec

IN_EEA = rule("processing.country", allow="EEA")
RESTS_IN_EEA = rule("storage.country", allow="EEA")
NOT_IN_CHINA = rule("processing.country", deny="CN")
WHATEVER_IT_RESTS_ON = ("contractual", "technical", "asserted")
VIA, RUNS_ON, SUBPROCESSOR = LinkRole.VIA, LinkRole.RUNS_ON, LinkRole.SUBPROCESSOR


def runs_in(text: str) -> Fact[frozenset[str]]:
    """Places known from a good, technical source."""
    return places(text)


PROCESSING = (
    Case(
        "a country inside an allowed group is permitted",
        IN_EEA,
        MISTRAL,
        PERMITTED,
        used=("mistral.processing",),
        turns_on=None,
    ),
    Case(
        "a country outside the allowed group is refused",
        IN_EEA,
        with_terms(GPT, processing=runs_in("US")),
        REFUSED,
        "US",
    ),
    Case("one country outside spoils the set", IN_EEA, with_terms(GPT, processing=runs_in("DE FR US")), REFUSED, "US"),
    Case("all countries inside pass", IN_EEA, with_terms(GPT, processing=runs_in("DE FR NO")), PERMITTED),
    Case("a group inside a larger group passes", IN_EEA, with_terms(GPT, processing=runs_in("EU")), PERMITTED),
    Case(
        "a group is not inside a smaller one",
        rule("processing.country", allow="EU"),
        with_terms(GPT, processing=runs_in("EEA")),
        REFUSED,
        "EEA",
    ),
    Case(
        "a group is not inside some of its members",
        rule("processing.country", allow="DE FR"),
        with_terms(GPT, processing=runs_in("EU")),
        REFUSED,
        "EU",
    ),
    Case(
        "a group is inside itself",
        rule("processing.country", allow="EU"),
        with_terms(GPT, processing=runs_in("EU")),
        PERMITTED,
    ),
    Case(
        "a group is inside all of its members",
        rule("processing.country", allow="DK FI SE"),
        with_terms(GPT, processing=runs_in("NORDIC")),
        PERMITTED,
    ),
    Case(
        "Norway is in the EEA and not in the EU",
        rule("processing.country", allow="EU"),
        with_terms(GPT, processing=runs_in("NO")),
        REFUSED,
        "NO",
    ),
    Case(
        "group and country may stand together in allow",
        rule("processing.country", allow="EU NO"),
        with_terms(GPT, processing=runs_in("NO SE")),
        PERMITTED,
    ),
    Case("a denied country is refused", NOT_IN_CHINA, with_terms(QWEN_SG, processing=runs_in("CN SG")), REFUSED, "CN"),
    Case(
        "countries outside deny are permitted", NOT_IN_CHINA, with_terms(QWEN_SG, processing=runs_in("SG")), PERMITTED
    ),
    Case(
        "a member of a denied group is refused",
        rule("processing.country", deny="EU"),
        with_terms(GPT, processing=runs_in("DE")),
        REFUSED,
        "DE",
    ),
    Case(
        "a group that contains a denied country is refused",
        rule("processing.country", deny="HU"),
        with_terms(GPT, processing=runs_in("EU")),
        REFUSED,
    ),
    Case(
        "two groups that share a member meet",
        rule("processing.country", deny="NORDIC"),
        with_terms(GPT, processing=runs_in("EU")),
        REFUSED,
    ),
    Case(
        "deny beats allow",
        rule("processing.country", allow="EEA", deny="HU"),
        with_terms(GPT, processing=runs_in("DE HU")),
        REFUSED,
        "HU",
    ),
    Case("global is inside nothing", IN_EEA, with_terms(GPT, processing=runs_in("global")), REFUSED, "global"),
    Case(
        "global is not outside of anything denied",
        NOT_IN_CHINA,
        with_terms(GPT, processing=runs_in("global")),
        NO,
        "global",
    ),
    Case(
        "a place nobody knows is not inside a group", IN_EEA, with_terms(GPT, processing=runs_in("DE APAC")), NO, "APAC"
    ),
    Case("unknown places are unknown", IN_EEA, with_terms(MISTRAL, processing=UNKNOWN_SET), UNKNOWN, "unknown"),
    Case(
        "unknown places do not escape a deny",
        NOT_IN_CHINA,
        with_terms(MISTRAL, processing=UNKNOWN_SET),
        UNKNOWN,
        "unknown",
    ),
    Case("undisclosed places do not pass", IN_EEA, with_terms(MISTRAL, processing=UNDISCLOSED_SET), NO, "undisclosed"),
    Case(
        "a low source does not permit", IN_EEA, with_terms(MISTRAL, processing=places("DE", LOW)), NO, "low confidence"
    ),
    Case("a low source does refuse", IN_EEA, with_terms(MISTRAL, processing=places("US", LOW)), REFUSED, "US"),
    Case(
        "the country of the operator is no place of processing", rule("processing.country", allow="DE"), GPT, PERMITTED
    ),
)

GRADES = (
    Case(
        "somebody's word is not accepted by default",
        IN_EEA,
        with_terms(MISTRAL, processing=places("DE", WORD)),
        NO,
        "asserted",
    ),
    Case(
        "somebody's word is accepted where the rule says so",
        rule("processing.country", allow="EEA", grade=WHATEVER_IT_RESTS_ON),
        with_terms(MISTRAL, processing=places("DE", WORD)),
        PERMITTED,
    ),
    Case(
        "a contract is accepted by default", IN_EEA, with_terms(MISTRAL, processing=places("DE", CONTRACT)), PERMITTED
    ),
    Case(
        "a technical pin is not a contract",
        rule("processing.country", allow="EEA", grade=("contractual",)),
        MISTRAL,
        NO,
        "technical",
    ),
    Case(
        "a contract is a contract",
        rule("processing.country", allow="EEA", grade=("contractual",)),
        with_terms(MISTRAL, processing=places("DE", CONTRACT)),
        PERMITTED,
    ),
    Case(
        "a contract is not a technical pin",
        rule("storage.country", allow="EEA", grade=("technical",)),
        with_terms(MISTRAL, storage=places("DE", CONTRACT)),
        NO,
        "contractual",
    ),
    Case(
        "somebody's word refuses all the same",
        IN_EEA,
        with_terms(MISTRAL, processing=places("US", WORD)),
        REFUSED,
        "US",
    ),
    Case(
        "a deny asks for the grade as well",
        NOT_IN_CHINA,
        with_terms(MISTRAL, processing=places("DE", WORD)),
        NO,
        "asserted",
    ),
    Case(
        "each link is held to the grade",
        IN_EEA,
        with_terms(MISTRAL_VIA, VIA, processing=places("DE", WORD)),
        NO,
        "asserted",
    ),
)

STORAGE = (
    Case("storage inside the group is permitted", RESTS_IN_EEA, MISTRAL, PERMITTED, used=("mistral.storage",)),
    Case("storage outside is refused", RESTS_IN_EEA, with_terms(GPT, storage=runs_in("IE US")), REFUSED, "US"),
    Case("no storage is inside everything", RESTS_IN_EEA, with_terms(GPT, storage=fact(None)), PERMITTED),
    Case(
        "no storage is outside every deny",
        rule("storage.country", deny="US CN"),
        with_terms(GPT, storage=fact(None)),
        PERMITTED,
    ),
    Case(
        "no storage by a low source does not permit",
        RESTS_IN_EEA,
        with_terms(GPT, storage=Fact.none(LOW)),
        NO,
        "low confidence",
    ),
    Case(
        "global storage is inside nothing", RESTS_IN_EEA, with_terms(GPT, storage=runs_in("global")), REFUSED, "global"
    ),
    Case("unknown storage is unknown", RESTS_IN_EEA, with_terms(GPT, storage=UNKNOWN_SET), UNKNOWN, "unknown"),
    Case(
        "undisclosed storage does not pass", RESTS_IN_EEA, with_terms(GPT, storage=UNDISCLOSED_SET), NO, "undisclosed"
    ),
    Case(
        "where inference runs does not matter for storage",
        RESTS_IN_EEA,
        with_terms(GPT, processing=runs_in("US")),
        PERMITTED,
    ),
    Case("where data rests does not matter for processing", IN_EEA, with_terms(GPT, storage=runs_in("US")), PERMITTED),
)

CHAIN = (
    Case(
        "the aggregator's places count", IN_EEA, with_terms(MISTRAL_VIA, VIA, processing=runs_in("US")), REFUSED, "US"
    ),
    Case(
        "operator and aggregator inside pass",
        IN_EEA,
        with_terms(MISTRAL_VIA, VIA, processing=runs_in("IE")),
        PERMITTED,
        used=("mistral-via.processing", "openrouter.processing"),
    ),
    Case(
        "unknown places of an aggregator are unknown",
        IN_EEA,
        with_terms(MISTRAL_VIA, VIA, processing=UNKNOWN_SET),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "the operator outside beats an unknown aggregator",
        IN_EEA,
        with_terms(with_terms(MISTRAL_VIA, VIA, processing=UNKNOWN_SET), processing=runs_in("US")),
        REFUSED,
        "US",
    ),
    Case(
        "an aggregator's storage counts",
        RESTS_IN_EEA,
        with_terms(MISTRAL_VIA, VIA, storage=runs_in("US")),
        REFUSED,
        "US",
    ),
    Case(
        "a sub-processor's places count",
        IN_EEA,
        with_terms(CLAUDE, SUBPROCESSOR, processing=runs_in("global")),
        REFUSED,
        "global",
    ),
    Case("a sub-processor inside passes", IN_EEA, CLAUDE, PERMITTED),
    Case("the cloud's places count", IN_EEA, with_terms(RENTED, RUNS_ON, processing=runs_in("US")), REFUSED, "US"),
    Case("our own server on a German cloud is inside", IN_EEA, RENTED, PERMITTED),
    Case(
        "the cloud's unknown storage is unknown",
        RESTS_IN_EEA,
        with_terms(RENTED, RUNS_ON, storage=UNKNOWN_SET),
        UNKNOWN,
        "unknown",
    ),
    Case("our own places must be stated", IN_EEA, with_terms(CELLAR, processing=UNKNOWN_SET), UNKNOWN, "unknown"),
    Case("our own rooms as stated pass", IN_EEA, CELLAR, PERMITTED),
    Case("a cloud that nobody declared is somewhere unknown", IN_EEA, SOMEWHERE, UNKNOWN),
    Case("a cloud that nobody declared stores somewhere unknown", RESTS_IN_EEA, SOMEWHERE, UNKNOWN),
    Case(
        "a place outside beats an undeclared cloud",
        IN_EEA,
        with_terms(SOMEWHERE, processing=runs_in("US")),
        REFUSED,
        "US",
    ),
    Case("a chain that may be longer is unknown", IN_EEA, replace(GPT, chain_complete=UNKNOWN_YES), UNKNOWN),
)

SENSELESS = (
    rule("processing.country"),
    rule("processing.country", allow=""),
    rule("processing.country", allow="EEA", grade=("rumoured",)),
    rule("processing.country", allow="EEA", grade=()),
    rule("processing.country", allow="EEA", lineage=("derived_from",)),
    rule("processing.country", allow="EEA", undisclosed={"processing": "permit"}),
    replace(rule("processing.country", allow="EEA"), at_most=2),
    rule("storage.country", require=True),
    replace(rule("storage.country"), at_least=1),
)
FINE = (
    IN_EEA,
    NOT_IN_CHINA,
    RESTS_IN_EEA,
    rule("processing.country", allow="EEA", deny="HU", grade=("contractual",)),
    rule("storage.country", allow="DE", grade=WHATEVER_IT_RESTS_ON),
)


@table((*PROCESSING, *GRADES, *STORAGE, *CHAIN))
def test_residency(case: Case) -> None:
    """Places of processing and storage answer as the sentence says."""
    put(case)


@specs(SENSELESS)
def test_senseless_rules_are_named(spec: RuleSpec) -> None:
    """A rule about places that cannot mean anything is answered with a sentence."""
    is_senseless(spec)


@specs(FINE)
def test_fine_rules_pass(spec: RuleSpec) -> None:
    """A rule about places that means something passes."""
    is_fine(spec)
