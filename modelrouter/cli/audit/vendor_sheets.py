"""The tables about vendors: who they are, what depends on them, how much each has; from config and ledger together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from modelrouter.cli.audit.sheet import Sheet
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

__all__ = ["country_of", "parent_of", "role_words", "vendor_sheets"]

WHOLE: Final = 10_000
UNKNOWN: Final = "unknown"


def vendor_sheets(setup: Setup, evidence: Evidence, found: Iterable[Substitution]) -> Iterator[Sheet]:
    """Who they are and whether each can be done without; then who has how much."""
    yield _vendors(setup, evidence, list(found))
    yield _shares(setup.world, evidence)


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
                ", ".join(country_of(world, parent) for parent in parents if parent in world.organisations) or "none",
                ", ".join(sorted(each.roles)),
                ", ".join(supports),
                ", ".join(each.lost),
                _substitutability(each),
                "; ".join(f"{reliance.route}: {', '.join(reliance.left) or 'nobody'}" for reliance in each.reliances),
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
        "model weights, and their owners. The developer of open weights is none: they run on without it. For each it "
        "was worked out, not sampled, which routes (uses by the application) would have nobody left without it.",
        {
            "vendor": "the organisation's id in this tool",
            "name": "the organisation",
            "roles": "operator (runs the machines), via (stands in between), subprocessor, cloud (lends the machines), "
            "developer (of closed weights), parent (owns one of these)",
            "country": "of the entity one contracts with, ISO 3166-1",
            "owners": "who controls it, nearest first",
            "owner_countries": "their countries",
            "deployments": "the services that go with it",
            "supports_routes": "uses that have a permitted service of it",
            "routes_lost_without_it": "of these, those that would have nobody left",
            "substitutability": "what follows from that",
            "left_without_it": "for each of these routes, the services that would remain, best first",
            "attempts": "calls to these services in the period",
            "spent_usd": "spent on them in the period; a service has several vendors, so rows come to more than the "
            "whole",
            "source": "where its country can be checked",
            "source_checked_on": "when it was last checked",
        },
        rows,
    )


def _substitutability(found: Substitution) -> str:
    if not found.reliances:
        return "supports no route"
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


# --- shares -----------------------------------------------------------------------------------------------------------


def _shares(world: World, evidence: Evidence) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for by in ("operator", "developer", "owner", "country"):
        rows += _parts(by, _summed(world, evidence, by))
    return Sheet(
        "shares",
        "How much of the period's attempts and spend each organisation had, from the ledger: by who ran the machines, "
        "by who developed the model, by who ultimately owns whoever ran the machines, and by that operator's country. "
        "`hhi` is the Herfindahl-Hirschman index of the group, the sum of the squared shares in per cent: 10,000 is "
        "one alone, and above 2,500 is commonly called highly concentrated. `self` is what runs on own servers.",
        {
            "by": "what is grouped by",
            "name": "the organisation, or the country",
            "attempts": "calls to its services",
            "attempts_share": "its part of all, 1 is all",
            "spent_usd": "what was spent there",
            "spent_share": "its part of all, 1 is all",
            "hhi_of_attempts": "of the whole group, by attempts",
            "hhi_of_spend": "of the whole group, by spend",
        },
        rows,
    )


def _summed(world: World, evidence: Evidence, by: str) -> dict[str, tuple[int, int]]:
    """Attempts and nano-dollars by name."""
    source = "developer" if by == "developer" else "operator"
    found: dict[str, tuple[int, int]] = {}
    for row in evidence.reports[source].rows:
        name = row.group[0]
        if by == "owner":
            name = owners(world, name)[-1].id if name in world.organisations else name
        elif by == "country":
            name = country_of(world, name)
        attempts, spent = found.get(name, (0, 0))
        found[name] = attempts + row.sums.attempts, spent + row.sums.spent_nano_usd
    return found


def _parts(by: str, found: dict[str, tuple[int, int]]) -> Iterator[tuple[Cell, ...]]:
    attempts, spent = (sum(each[place] for each in found.values()) for place in (0, 1))
    hhi = [_hhi([each[place] for each in found.values()]) for place in (0, 1)]
    for name, each in sorted(found.items(), key=lambda item: (-item[1][1], -item[1][0], item[0])):
        parts = _part(each[0], attempts), amount(each[1]), _part(each[1], spent)
        yield by, name or UNKNOWN, each[0], *parts, *hhi


def _part(units: int, whole: int) -> str:
    """A share with four places, rounded half up; empty of nothing."""
    if whole <= 0:
        return ""
    parts = (2 * WHOLE * units + whole) // (2 * whole)
    return f"{parts // WHOLE}.{parts % WHOLE:04d}"


def _hhi(units: list[int]) -> int | None:
    """10,000 for one alone; None where there is nothing."""
    whole = sum(units)
    return sum(each * each for each in units) * WHOLE // (whole * whole) if whole > 0 else None
