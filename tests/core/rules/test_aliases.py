"""Names that move: an alias is never pinned, and is judged as all that it stands for on the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from modelrouter.core.facts import Fact, Openness, Standing
from tests.core.rules.cases import PERMITTED, REFUSED, UNKNOWN, Case, put, rule, table
from tests.core.rules.world import LOW, SOURCE, UNKNOWN_SET, model, names, self_hosted, world

if TYPE_CHECKING:
    from modelrouter.core.facts import Model

NO_CHINA = rule("developer.country", deny="CN")
MOVED = date(2026, 12, 1)


def alias(*standings: Standing, developer: str = "rhein-labs") -> Model:
    """A name of a German laboratory, without weights of its own: what is asked about these is unknown."""
    bare = model(
        "rhein-latest", developer, Fact.unknown(), openness=Fact.unknown(), derived_from=UNKNOWN_SET, pinned=False
    )
    return replace(bare, alias_of=Fact.known(standings, SOURCE) if standings else Fact.unknown())


def standing(name: str, since: date | None = None, until: date | None = None) -> Standing:
    """One model that it stands for."""
    return Standing(name, since, until, SOURCE)


LATEST = self_hosted("rhein-latest")
OF_MISTRAL = world(alias(standing("mistral-small")))
OF_DEEPSEEK = world(alias(standing("deepseek-r1")))
OF_BOTH = world(alias(standing("mistral-small"), standing("deepseek-r1")))
MOVING = world(alias(standing("mistral-small", until=date(2026, 11, 30)), standing("deepseek-r1", since=MOVED)))
OF_NOBODY_KNOWS = world(alias())

ALIASES = (
    Case(
        "it is judged as the model that it stands for",
        NO_CHINA,
        LATEST,
        REFUSED,
        "CN via deepseek-r1",
        OF_DEEPSEEK,
        used=("rhein-latest.alias_of", "deepseek-r1.derived_from"),
    ),
    Case("and passes where that model passes", NO_CHINA, LATEST, PERMITTED, world=OF_MISTRAL),
    Case("of two that it may stand for, each is asked about", NO_CHINA, LATEST, REFUSED, "CN via deepseek-r1", OF_BOTH),
    Case("what it will stand for is not yet asked about", NO_CHINA, LATEST, PERMITTED, world=MOVING, turns_on=MOVED),
    Case("what it stood for is asked no more", NO_CHINA, LATEST, REFUSED, "CN via deepseek-r1", MOVING, MOVED),
    Case("its own developer counts too", rule("developer.id", deny="rhein-labs"), LATEST, REFUSED, world=OF_MISTRAL),
    Case("an alias of nobody knows what is unknown", NO_CHINA, LATEST, UNKNOWN, "unknown", OF_NOBODY_KNOWS),
    Case(
        "after its last day nobody knows what it stands for",
        NO_CHINA,
        LATEST,
        UNKNOWN,
        "unknown",
        world(alias(standing("mistral-small", until=date(2026, 11, 1)))),
    ),
    Case(
        "its owner's silence is refused",
        NO_CHINA,
        LATEST,
        REFUSED,
        "undisclosed",
        world(replace(alias(), alias_of=Fact.undisclosed(SOURCE))),
    ),
    Case(
        "what it stands for is known on a poor source, and does not permit",
        NO_CHINA,
        LATEST,
        UNKNOWN,
        "low confidence",
        world(alias(replace(standing("mistral-small"), source=LOW))),
    ),
    Case(
        "an alias of an alias is unknown, for such could lead in circles",
        NO_CHINA,
        LATEST,
        UNKNOWN,
        "unknown",
        world(alias(standing("other")), replace(alias(standing("mistral-small")), id="other")),
    ),
    Case(
        "an alias of itself permits nothing",
        NO_CHINA,
        LATEST,
        UNKNOWN,
        "unknown",
        world(alias(standing("rhein-latest"))),
    ),
    Case(
        "an alias of what is in no table is unknown",
        NO_CHINA,
        LATEST,
        UNKNOWN,
        "unknown",
        world(alias(standing("nobody"))),
    ),
    Case(
        "it is never pinned, though what it stands for is",
        rule("model.pinned", require=True),
        LATEST,
        REFUSED,
        "not pinned",
        OF_MISTRAL,
    ),
    Case(
        "licences are those of what it stands for",
        rule("weights.licence", allow="Apache-2.0"),
        LATEST,
        REFUSED,
        "mit via deepseek-r1",
        OF_DEEPSEEK,
    ),
    Case(
        "its own missing licence is not asked for",
        rule("weights.licence", allow="Apache-2.0"),
        LATEST,
        PERMITTED,
        world=OF_MISTRAL,
    ),
    Case(
        "openness is that of what it stands for",
        rule("weights.openness", allow="open_source"),
        LATEST,
        REFUSED,
        "open_weights via mistral-small",
        OF_MISTRAL,
    ),
    Case(
        "one closed model behind it is one too many",
        rule("weights.openness", deny="closed"),
        LATEST,
        REFUSED,
        "closed via",
        world(alias(standing("mistral-small"), standing("gpt-5"))),
    ),
    Case(
        "openness of an alias of nobody knows what is unknown, whatever the alias says of itself",
        rule("weights.openness", allow="open_weights"),
        LATEST,
        UNKNOWN,
        "unknown",
        world(replace(alias(), openness=Fact.known(Openness.OPEN_WEIGHTS, SOURCE))),
    ),
    Case(
        "a model that is denied is denied under its alias",
        rule("model.id", deny="deepseek-r1"),
        LATEST,
        REFUSED,
        "rhein-latest stands for deepseek-r1",
        OF_BOTH,
    ),
    Case("an allow may name the alias", rule("model.id", allow="rhein-latest"), LATEST, PERMITTED, world=OF_BOTH),
    Case(
        "or all that it stands for",
        rule("model.id", allow="mistral-small deepseek-r1"),
        LATEST,
        PERMITTED,
        world=OF_BOTH,
    ),
    Case(
        "one of them is not enough",
        rule("model.id", allow="mistral-small"),
        LATEST,
        REFUSED,
        "stands for deepseek-r1",
        OF_BOTH,
    ),
    Case(
        "a deny of a model may hit an alias of nobody knows what",
        rule("model.id", deny="gpt-5"),
        LATEST,
        UNKNOWN,
        "unknown",
        OF_NOBODY_KNOWS,
    ),
    Case(
        "a tuning of an alias is followed through it",
        NO_CHINA,
        self_hosted("tuned"),
        REFUSED,
        "CN via deepseek-r1",
        world(model("tuned", "rhein-labs", derived_from=names("rhein-latest")), alias(standing("deepseek-r1"))),
    ),
)


@table(ALIASES)
def test_aliases(case: Case) -> None:
    """A name that moves hides nothing of what it stands for."""
    put(case)
