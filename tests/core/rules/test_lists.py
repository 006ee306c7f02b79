"""Developers on dated government lists, as the rules about developers see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from modelrouter.core.facts import Fact
from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, put, rule, table
from tests.core.rules.world import LOW, MISTRAL, listing, low, organisation, self_hosted, world

NOT_LISTED = rule("developer.lists", deny="us-bis-entity-list")

LISTS = (
    Case("a developer on no list is permitted", NOT_LISTED, MISTRAL, PERMITTED, used=("mistral.lists",)),
    Case("a developer on the list is refused", NOT_LISTED, self_hosted("bay-9b"), REFUSED, "us-bis-entity-list"),
    Case(
        "an entry on one list says nothing of another",
        rule("developer.lists", deny="us-ofac-sdn"),
        self_hosted("bay-9b"),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "unknown lists are unknown",
        NOT_LISTED,
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(replace(organisation("mistral", "FR"), lists=Fact.unknown())),
    ),
    Case(
        "that a developer is on no list needs more than a low source",
        NOT_LISTED,
        MISTRAL,
        NO,
        "low confidence",
        world(replace(organisation("mistral", "FR"), lists=low(None))),
    ),
    Case(
        "an entry on a low source does refuse",
        NOT_LISTED,
        self_hosted("bay-9b"),
        REFUSED,
        "us-bis-entity-list",
        world(organisation("great-bay", "CN", lists=listing(source=LOW))),
    ),
    Case(
        "an entry that is still to come permits until its day",
        NOT_LISTED,
        self_hosted("bay-9b"),
        PERMITTED,
        world=world(organisation("great-bay", "CN", lists=listing(date(2026, 12, 1)))),
        turns_on=date(2026, 12, 1),
    ),
    Case(
        "an entry holds from its first day",
        NOT_LISTED,
        self_hosted("bay-9b"),
        REFUSED,
        "us-bis-entity-list",
        world(organisation("great-bay", "CN", lists=listing(date(2026, 12, 1)))),
        day=date(2026, 12, 1),
    ),
    Case(
        "an entry holds through its last day",
        NOT_LISTED,
        self_hosted("bay-9b"),
        REFUSED,
        "us-bis-entity-list",
        world(organisation("great-bay", "CN", lists=listing(date(2025, 1, 1), date(2026, 11, 22)))),
        turns_on=date(2026, 11, 23),
    ),
    Case(
        "an entry is over on the day after its last",
        NOT_LISTED,
        self_hosted("bay-9b"),
        PERMITTED,
        world=world(organisation("great-bay", "CN", lists=listing(date(2025, 1, 1), date(2026, 11, 22)))),
        day=date(2026, 11, 23),
        turns_on=None,
    ),
    Case(
        "an entry without a first day holds on every day",
        NOT_LISTED,
        self_hosted("bay-9b"),
        REFUSED,
        "us-bis-entity-list",
        world(organisation("great-bay", "CN", lists=listing())),
        day=date(2020, 1, 1),
    ),
    Case(
        "a listed ancestor is found",
        NOT_LISTED,
        self_hosted("acme-support"),
        REFUSED,
        "us-bis-entity-list",
        world(organisation("mistral", "FR", lists=listing())),
    ),
)


@table(LISTS)
def test_lists(case: Case) -> None:
    """Entries hold from their first through their last day, for the developer and for those of ancestors."""
    put(case)
