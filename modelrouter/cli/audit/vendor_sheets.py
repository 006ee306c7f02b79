"""The table of vendors: who they are, and what depends on them; from config and ledger together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from modelrouter.cli.audit.share_sheets import share_sheets
from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.audit.tag_sheet import tag_sheet
from modelrouter.cli.screen import amount
from modelrouter.core.facts import SELF, State
from modelrouter.core.lineage import owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Substitution
    from modelrouter.core.facts import Fact, World

__all__ = ["calls_without_other", "country_of", "parent_of", "role_words", "vendor_sheets"]

UNKNOWN: Final = "unknown"


def vendor_sheets(setup: Setup, evidence: Evidence, found: Iterable[Substitution]) -> Iterator[Sheet]:
    """Who they are and whether each can be done without; then who has how much, and of what."""
    yield _vendors(setup, evidence, list(found))
    yield from share_sheets(setup.world, evidence)
    yield tag_sheet(setup, evidence)


def country_of(world: World, organisation: str) -> str:
    """The country of an organisation, or how it is not known."""
    fact = world.caller.country if organisation == SELF else None
    known = world.organisations.get(organisation)
    return _said(fact or (known.country if known else None))


def parent_of(world: World, organisation: str) -> tuple[str, ...]:
    """The owners of an organisation, nearest first; `none` where a source says that there is none."""
    chain = owners(world, organisation)
    last = chain[-1].parent
    found = [each.id for each in chain[1:]]
    if last is not None and last.state not in {State.KNOWN, State.NONE}:
        found.append(last.state.value)
    return tuple(found) or ("none",)


def role_words(found: Substitution) -> str:
    """Its parts, as `operator, parent`."""
    return ", ".join(sorted({role.value for roles in found.roles.values() for role in roles}))


def _seat(world: World, owner: str) -> str:
    """The country of an owner; how it is not known, or that there is none, stays as it is."""
    return country_of(world, owner) if owner in world.organisations else owner


def _said(fact: Fact[str] | None) -> str:
    if fact is None:
        return UNKNOWN
    return fact.value if fact.value is not None else fact.state.value


def _vendors(setup: Setup, evidence: Evidence, found: list[Substitution]) -> Sheet:
    world, spent = setup.world, _spent_by_deployment(evidence)
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        organisation = world.organisations.get(each.vendor)
        parents = parent_of(world, each.vendor)
        calls = sum(spent[name][0] for name in each.roles)
        usd = amount(sum(spent[name][1] for name in each.roles))
        supports = [reliance.route for reliance in each.reliances]
        rows.append(
            (
                each.vendor,
                organisation.name if organisation else each.vendor,
                role_words(each),
                country_of(world, each.vendor),
                ", ".join(parents),
                ", ".join(_seat(world, parent) for parent in parents),
                ", ".join(sorted(each.roles)),
                ", ".join(supports),
                ", ".join(each.lost),
                _substitutability(each, calls),
                "; ".join(f"{reliance.route}: {', '.join(reliance.left) or 'nobody'}" for reliance in each.reliances),
                calls_without_other(evidence, each),
                calls,
                usd,
                organisation.country.source.ref if organisation else "",
                _day(organisation.country if organisation else None),
            )
        )
    return Sheet(
        "vendors",
        "Every organisation whose loss would take a service away, from the configuration of the day on which this pack "
        "was made: whoever runs machines that see prompts, stands in between, lends the machines, or holds back closed "
        "model weights, and their owners. The developer of open weights is none: they run on without it; and own "
        "servers (`self`) are nobody's. For each it was worked out, not sampled, which routes (uses by the "
        "application) would have nobody left without it. Left is whoever the policies permit: whether it has its key, "
        "its capacity and the quality is for a test to show (`not_callable` in deployments.csv says who was missing). "
        "That is worked out for calls without tags, which every policy binds and no waiver that asks for tags helps; "
        "what calls with their tags relied on in the period is `calls_without_other`.",
        {
            "vendor": "the organisation's id in this tool",
            "name": "the organisation",
            "roles": "operator (runs the machines), via (stands in between), subprocessor, cloud (lends the machines), "
            "developer (of closed weights), parent (owns one of these)",
            "country": "of the entity one contracts with, ISO 3166-1",
            "owners": "who controls it, nearest first; `unknown` at the end: nobody knows who is behind these",
            "owner_countries": "their countries, in the same order",
            "deployments": "the services that go with it",
            "supports_routes": "uses that have a permitted service of it",
            "routes_lost_without_it": "of these, those that would have nobody left",
            "substitutability": "what follows from that",
            "left_without_it": "for each of these routes, the services that would remain, best first",
            "calls_without_other": "calls of the period for which nothing but services of this vendor was permitted, "
            "by the tags, policies and waivers of each: without it, they would have been refused",
            "attempts": "calls to these services in the period",
            "spent_usd": "spent on them in the period; a service has several vendors, so rows come to more than the "
            "whole",
            "source": "where its country can be checked",
            "source_checked_on": "when it was last checked",
        },
        rows,
    )


def calls_without_other(evidence: Evidence, found: Substitution) -> int:
    """Calls of the period for which whoever was permitted goes with this vendor, as the configuration has it now."""
    own = found.roles.keys()
    return sum(count.calls for names, count in evidence.tally.permitted.items() if names <= own)


def _substitutability(found: Substitution, attempts: int) -> str:
    if not found.reliances:
        begin = "used in the period; " if attempts else ""
        return f"{begin}supports no route now: cut off, or not permitted by every policy"
    return (
        "not substitutable: a route has nobody left" if found.lost else "substitutable: every route has somebody left"
    )


def _day(fact: Fact[str] | None) -> str:
    checked_on = None if fact is None else fact.source.checked_on
    return "" if checked_on is None else checked_on.isoformat()


def _spent_by_deployment(evidence: Evidence) -> defaultdict[str, tuple[int, int]]:
    found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in evidence.reports["deployment"].rows:
        found[row.group[0]] = row.sums.attempts, row.sums.spent_nano_usd
    return found
