"""What a licence demands of who holds the weights: thresholds, territories, duties."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from modelrouter.core.facts import Agreement, Condition, ConditionKind, Fact, Hosting
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, put, rule, table
from tests.core.rules.world import (
    CELLAR,
    NOT_IN_EU,
    SOURCE,
    UNKNOWN_YES,
    Without,
    caller,
    deployment,
    licence,
    low,
    model,
    names,
    self_hosted,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

if TYPE_CHECKING:
    from modelrouter.core.facts import World

EVERYWHERE = ("self_hosted", "managed", "vendor_api")
USE = rule("weights.use", require="commercial")
USE_EVERYWHERE = rule("weights.use", require="commercial", hosting=EVERYWHERE)
UNKNOWN_CONDITIONS: Fact[tuple[Condition, ...]] = Fact.unknown()
HIDDEN_CONDITIONS: Fact[tuple[Condition, ...]] = Fact.undisclosed(SOURCE)

LLAMA = self_hosted("llama-3.3")
LLAMA_4 = self_hosted("llama-4")
KIMI = self_hosted("kimi-k2")


def users(count: int, *agreements: Agreement) -> World:
    """The world in which we have so many monthly users."""
    return world(caller(*agreements, monthly_active_users=count))


META = Agreement("licence", "meta", "L-1")
META_UNTIL_NEW_YEAR = replace(META, expires=date(2026, 12, 31))

USE_CASES = (
    Case("a licence without conditions is met", USE, CELLAR, PERMITTED, obligations=(), turns_on=None),
    Case(
        "below a threshold nobody has to ask, and the licence's name is shown",
        USE,
        LLAMA,
        PERMITTED,
        obligations=("Built with Llama",),
    ),
    Case("at exactly the threshold it is not crossed", USE, LLAMA, PERMITTED, world=users(700_000_000)),
    Case("one user above the threshold one must ask", USE, LLAMA, REFUSED, world=users(700_000_001)),
    Case("who has asked may go on", USE, LLAMA, PERMITTED, world=users(700_000_001, META)),
    Case(
        "an agreement to go on holds through its last day",
        USE,
        LLAMA,
        PERMITTED,
        world=users(700_000_001, META_UNTIL_NEW_YEAR),
        day=date(2026, 12, 31),
        turns_on=date(2027, 1, 1),
    ),
    Case(
        "an agreement to go on is over on the day after",
        USE,
        LLAMA,
        REFUSED,
        world=users(700_000_001, META_UNTIL_NEW_YEAR),
        day=date(2027, 1, 1),
    ),
    Case("another type of paper does not do", USE, LLAMA, REFUSED, world=users(700_000_001, replace(META, type="dpa"))),
    Case(
        "an agreement with somebody else does not do",
        USE,
        LLAMA,
        REFUSED,
        world=users(700_000_001, replace(META, partner="mistral")),
    ),
    Case("an unknown number of users refuses", USE, LLAMA, UNKNOWN, "unknown", world(caller())),
    Case("an ancestor's threshold is ours too", USE, self_hosted("hermes-r"), REFUSED, world=users(700_000_001)),
    Case("an ancestor's duty is ours too", USE, self_hosted("hermes-r"), PERMITTED, obligations=("Built with Llama",)),
    Case("below a display threshold there is no duty", USE, KIMI, PERMITTED, obligations=()),
    Case(
        "at exactly the display threshold there is no duty",
        USE,
        KIMI,
        PERMITTED,
        world=users(100_000_000),
        obligations=(),
    ),
    Case(
        "above it the duty to display is shown, and the use permitted",
        USE,
        KIMI,
        PERMITTED,
        world=users(100_000_001),
        obligations=("Kimi K2",),
    ),
    Case(
        "below a threshold of revenue there are rights",
        USE,
        CELLAR,
        PERMITTED,
        world=world(model("mistral-small", "mistral", "small-business"), caller(yearly_revenue_usd=20_000_000)),
    ),
    Case(
        "above a threshold of revenue there are none",
        USE,
        CELLAR,
        REFUSED,
        world=world(model("mistral-small", "mistral", "small-business"), caller(yearly_revenue_usd=20_000_001)),
    ),
    Case(
        "no agreement mends the loss of all rights",
        USE,
        CELLAR,
        REFUSED,
        world=world(
            model("mistral-small", "mistral", "small-business"),
            caller(Agreement("licence", "mistral"), yearly_revenue_usd=20_000_001),
        ),
    ),
    Case(
        "an unknown revenue refuses",
        USE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", "small-business"), caller(monthly_active_users=5)),
    ),
    Case("a German caller has no rights where the EU is left out", USE, LLAMA_4, REFUSED),
    Case(
        "a Norwegian caller is not in the EU",
        USE,
        LLAMA_4,
        PERMITTED,
        world=world(caller(country="NO", parent="NO", monthly_active_users=5)),
    ),
    Case(
        "an American daughter of a German owner has no rights",
        USE,
        LLAMA_4,
        REFUSED,
        world=world(caller(country="US", parent="DE", monthly_active_users=5)),
    ),
    Case(
        "a territory may be named by country",
        USE,
        CELLAR,
        REFUSED,
        world=world(licence("apache-2.0", "Apache-2.0", replace(NOT_IN_EU, territory=names("GB DE")))),
    ),
    Case(
        "a territory of other countries does not matter",
        USE,
        CELLAR,
        PERMITTED,
        world=world(licence("apache-2.0", "Apache-2.0", replace(NOT_IN_EU, territory=names("GB KR")))),
    ),
    Case(
        "who does not say where he is has no rights in a licence with territories",
        USE,
        LLAMA_4,
        UNKNOWN,
        "unknown",
        world(caller(country=NOT_KNOWN, parent="US", monthly_active_users=5)),
    ),
    Case(
        "who does not say who owns him has none either",
        USE,
        LLAMA_4,
        UNKNOWN,
        "unknown",
        world(caller(country="US", parent=NOT_KNOWN, monthly_active_users=5)),
    ),
    Case("a denied territory beats an unknown number", USE, LLAMA_4, REFUSED, world=world(caller())),
    Case("registration is missing", USE, CELLAR, REFUSED, world=world(model("mistral-small", "mistral", "registered"))),
    Case(
        "registration is there",
        USE,
        CELLAR,
        PERMITTED,
        world=world(model("mistral-small", "mistral", "registered"), caller(Agreement("licence", "mistral"))),
    ),
    Case(
        "a field of use is shown, for no fact of ours can judge it",
        USE,
        CELLAR,
        PERMITTED,
        world=world(model("mistral-small", "mistral", "open-rail")),
        obligations=("no military use",),
    ),
    Case(
        "a licence without commercial use is refused",
        USE,
        CELLAR,
        REFUSED,
        world=world(model("mistral-small", "mistral", "research")),
    ),
    Case(
        "an ancestor without commercial use is refused",
        USE,
        self_hosted("acme-support"),
        REFUSED,
        world=world(model("mistral-small", "mistral", "research")),
    ),
    Case(
        "unknown commercial use is unknown",
        USE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(licence("apache-2.0", "Apache-2.0", commercial_use=UNKNOWN_YES)),
    ),
    Case(
        "commercial use on a low source does not permit",
        USE,
        CELLAR,
        NO,
        "low confidence",
        world(licence("apache-2.0", "Apache-2.0", commercial_use=low(True))),
    ),
    Case(
        "no commercial use on a low source does refuse",
        USE,
        CELLAR,
        REFUSED,
        world=world(licence("apache-2.0", "Apache-2.0", commercial_use=low(False))),
    ),
    Case(
        "unknown conditions are unknown",
        USE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(replace(licence("apache-2.0", "Apache-2.0"), conditions=UNKNOWN_CONDITIONS)),
    ),
    Case(
        "undisclosed conditions do not pass",
        USE,
        CELLAR,
        NO,
        "undisclosed",
        world(replace(licence("apache-2.0", "Apache-2.0"), conditions=HIDDEN_CONDITIONS)),
    ),
    Case(
        "that there are no conditions needs more than a low source",
        USE,
        CELLAR,
        NO,
        "low confidence",
        world(replace(licence("apache-2.0", "Apache-2.0"), conditions=low(None))),
    ),
    Case(
        "an unknown licence is unknown in use",
        USE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", NOT_KNOWN)),
    ),
    Case(
        "a licence that nobody described is unknown in use",
        USE,
        CELLAR,
        UNKNOWN,
        "unknown",
        world(Without("apache-2.0")),
    ),
    Case("unknown ancestors leave the use unknown", USE, self_hosted("murky-7b"), UNKNOWN, "unknown"),
    Case(
        "a hosted copy is not held to the licence",
        USE,
        deployment("hosted", "kimi-k2", "moonshot"),
        PERMITTED,
        world=users(100_000_001),
        obligations=(),
    ),
    Case(
        "a hosted copy is held to it where the rule says so",
        USE_EVERYWHERE,
        deployment("hosted", "llama-4", "azure", hosting=Hosting.MANAGED),
        REFUSED,
    ),
    Case(
        "terms that reach hosted use are shown",
        USE,
        deployment("hosted", "llama-4", "azure", hosting=Hosting.MANAGED),
        PERMITTED,
        world=world(
            licence(
                "llama-4",
                "LicenseRef-Llama-4",
                Condition(ConditionKind.ATTRIBUTION, "show `Built with Llama`"),
                reaches_hosted_use=True,
            )
        ),
        obligations=("Built with Llama",),
    ),
)


@table(USE_CASES)
def test_use(case: Case) -> None:
    """The conditions of licences answer as the sentence says."""
    put(case)
