"""Rows for DORA's register of information, as far as a router knows them; the rest is marked for whoever files it.

Columns are those of Annex I to Commission Implementing Regulation (EU) 2024/2956 of 29 November 2024 (templates of the
register of information under Article 28(9) of Regulation (EU) 2022/2554), numbered as corrected by OJ L, 2025/90725 of
19.9.2025; `dora_source` says what that was checked against. Identification codes, contracts and judgements about the
business are nowhere in a router, so they are never guessed.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.audit.vendor_sheets import country_of, parent_of, role_words
from modelrouter.core.assurance import VendorRole
from modelrouter.core.facts import SELF, LinkRole, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Substitution
    from modelrouter.core.facts import Deployment, Fact, World

__all__ = ["dora_sheets"]

OPEN: Final = "to be filled by you"
PROVIDERS: Final = {VendorRole.OPERATOR, VendorRole.VIA, VendorRole.SUBPROCESSOR, VendorRole.CLOUD}
"""Parts that are services; owners and developers as such are none."""
NOT_OFFICIAL: Final = "(no column of the register) "
FOR_PEOPLE: Final = (
    " Columns named `B_…` are the register's own, in its order; the others are for whoever fills the rest in, and are "
    f"taken out before filing. `{OPEN}` marks what a router cannot know."
)


def dora_sheets(setup: Setup, evidence: Evidence, found: Sequence[Substitution]) -> Iterator[Sheet]:
    """The templates to which a router can contribute."""
    providers = [each for each in found if any(roles & PROVIDERS for roles in each.roles.values())]
    functions = {name: f"F{place}" for place, name in enumerate(setup.routes, start=1)}
    yield _data_places(setup, functions)
    yield _providers(setup.world, evidence, providers)
    yield _chain(setup)
    yield _functions(functions)
    yield _assessment(setup, providers)


def _sheet(name: str, about: str, official: Mapping[str, str], own: Mapping[str, str], rows: list[list[Cell]]) -> Sheet:
    columns = {**official, **{column: f"{NOT_OFFICIAL}{meaning}" for column, meaning in own.items()}}
    return Sheet(name, about + FOR_PEOPLE, columns, rows)


def _contracts(setup: Setup, partner: str) -> str:
    """Papers that the configuration names; which of them is the contract is for a person to say."""
    return ", ".join(
        f"{each.type} {each.id}".strip() for each in setup.world.caller.agreements if each.partner == partner
    )


# --- B_02.02, only the places of data ---------------------------------------------------------------------------------


def _data_places(setup: Setup, functions: Mapping[str, str]) -> Sheet:
    rows: list[list[Cell]] = []
    for route, found in setup.routes.items():
        for name in found.candidates:
            each = setup.world.deployments[name]
            if each.contract_partner == SELF:
                continue
            terms = each.chain[0].terms
            stores = {State.NONE: "No", State.KNOWN: "Yes"}.get(terms.storage.state, OPEN)
            own = each.contract_partner, name, route, _contracts(setup, each.contract_partner)
            pairs = product(
                ["" if stores == "No" else place for place in _places(terms.storage)], _places(terms.processing)
            )
            rows += [[OPEN, OPEN, OPEN, OPEN, functions[route], OPEN, stores, *places, *own] for places in pairs]
    return _sheet(
        "dora_b_02_02",
        "B_02.02, contractual arrangements: of its columns those that join it to the others, and where data rest and "
        "are processed. One row for each service and function and for each pair of places, because the register takes "
        "one value a cell. A group such as `EU` or `EEA` is as precise as the provider's own words are.",
        {
            "B_02.02.0010": "contractual arrangement reference number",
            "B_02.02.0020": "LEI of the entity making use of the ICT service",
            "B_02.02.0030": "identification code of the ICT third-party service provider",
            "B_02.02.0040": "type of that code",
            "B_02.02.0050": "function identifier, see dora_b_06_01",
            "B_02.02.0060": "type of ICT services, S01 to S19 of Annex III",
            "B_02.02.0140": "storage of data: Yes or No",
            "B_02.02.0150": "location of the data at rest",
            "B_02.02.0160": "location of management of the data (processing)",
        },
        {
            "provider": "the contract partner's id in this tool",
            "deployment": "the service",
            "route": "the function's name here",
            "agreements": "papers with it that the configuration names",
        },
        rows,
    )


def _places(fact: Fact[frozenset[str]]) -> list[str]:
    return sorted(fact.value) if fact.value else [OPEN]


# --- B_05.01 and B_05.02 ----------------------------------------------------------------------------------------------


def _providers(world: World, evidence: Evidence, providers: Sequence[Substitution]) -> Sheet:
    used = {row.group[0]: row.sums.attempts for row in evidence.reports["deployment"].rows}
    rows: list[list[Cell]] = []
    for each in providers:
        organisation = world.organisations.get(each.vendor)
        name = organisation.name if organisation else each.vendor
        country, parents = country_of(world, each.vendor), parent_of(world, each.vendor)
        ultimate = parents[-1]
        rows.append(
            [
                OPEN, OPEN, OPEN, OPEN, name, name if name.isascii() else OPEN, OPEN,
                country if len(country) == len("DE") else OPEN, OPEN, OPEN, OPEN, OPEN,
                each.vendor, role_words(each), ", ".join(parents),
                country_of(world, ultimate) if ultimate in world.organisations else "",
                ", ".join(reliance.route for reliance in each.reliances),
                sum(used.get(name, 0) for name in each.roles),
                organisation.country.source.ref if organisation else "",
            ]
        )  # fmt: skip
    return _sheet(
        "dora_b_05_01",
        "B_05.01, ICT third-party service providers: everybody who runs, passes on or houses a service of the "
        "configuration. One that supports no route and had no call may be a candidate with whom there is no contract.",
        {
            "B_05.01.0010": "identification code of the ICT third-party service provider",
            "B_05.01.0020": "type of that code, as LEI or EUID",
            "B_05.01.0030": "additional identification code",
            "B_05.01.0040": "type of the additional code",
            "B_05.01.0050": "legal name; here the catalog's name, to be compared with the contract",
            "B_05.01.0060": "name in Latin alphabet",
            "B_05.01.0070": "type of person",
            "B_05.01.0080": "country of the headquarters; here that of the entity one contracts with",
            "B_05.01.0090": "currency of the amount in 0100",
            "B_05.01.0100": "total annual expense or estimated cost; vendors.csv has the period's",
            "B_05.01.0110": "identification code of the ultimate parent undertaking",
            "B_05.01.0120": "type of that code",
        },
        {
            "provider": "its id in this tool",
            "roles": "its parts",
            "owners": "who controls it, nearest first",
            "ultimate_owner_country": "the country of the last of these; empty where nobody is known",
            "supports_routes": "functions that have a permitted service of it",
            "attempts": "calls to its services in the period",
            "source": "where the country can be checked",
        },
        rows,
    )


def _chain(setup: Setup) -> Sheet:
    rows: list[list[Cell]] = []
    for name, each in sorted(setup.world.deployments.items()):
        routes = ", ".join(route for route, found in setup.routes.items() if name in found.candidates)
        for provider, rank, recipient in _ranks(each):
            codes: list[Cell] = [OPEN, OPEN] if recipient else ["", ""]
            partner = each.contract_partner if each.contract_partner != SELF else provider
            papers = _contracts(setup, partner)
            rows.append([OPEN, OPEN, OPEN, OPEN, rank, *codes, provider, recipient, name, routes, papers])
    return _sheet(
        "dora_b_05_02",
        "B_05.02, ICT service supply chains: who stands behind whom for each service. Rank 1 is whom one contracts "
        "with; a higher rank is a subcontractor, whose recipient is named. The register asks for subcontractors that "
        "effectively underpin a critical or important function.",
        {
            "B_05.02.0010": "contractual arrangement reference number",
            "B_05.02.0020": "type of ICT services, S01 to S19 of Annex III",
            "B_05.02.0030": "identification code of the ICT third-party service provider",
            "B_05.02.0040": "type of that code",
            "B_05.02.0050": "rank in the supply chain",
            "B_05.02.0060": "identification code of the recipient of sub-contracted services; empty at rank 1",
            "B_05.02.0070": "type of that code; empty at rank 1",
        },
        {
            "provider": "its id in this tool",
            "recipient": "whose subcontractor it is; empty at rank 1",
            "deployment": "the service",
            "routes": "the functions for which it is a candidate",
            "agreements": "papers with the contract partner that the configuration names",
        },
        rows,
    )


def _ranks(deployment: Deployment) -> Iterator[tuple[str, int, str]]:
    """Provider, rank and recipient of each link; what runs on own machines begins with whoever lends them."""
    by_role = {link.role: link.organisation for link in deployment.chain}
    order = (LinkRole.VIA, LinkRole.OPERATOR, LinkRole.SUBPROCESSOR, LinkRole.RUNS_ON)
    before, rank = "", 0
    for role in order:
        provider = by_role.get(role, SELF)
        if provider not in {SELF, before}:
            rank += 1
            yield provider, rank, before
            before = provider


# --- B_06.01 and B_07.01 ----------------------------------------------------------------------------------------------


def _functions(functions: Mapping[str, str]) -> Sheet:
    rows: list[list[Cell]] = [[code, OPEN, name, *[OPEN] * 7] for name, code in functions.items()]
    return _sheet(
        "dora_b_06_01",
        "B_06.01, functions: each route, which is what the application calls a use of models, stands for one until "
        "somebody says otherwise. `F1`, `F2` … are places in the configuration, and move when a route is put between: "
        "put in identifiers of your own that last, one for each entity, licensed activity and function.",
        {
            "B_06.01.0010": "function identifier",
            "B_06.01.0020": "licenced activity",
            "B_06.01.0030": "function name; here the route's",
            "B_06.01.0040": "LEI of the financial entity",
            "B_06.01.0050": "criticality or importance assessment",
            "B_06.01.0060": "reasons for criticality or importance",
            "B_06.01.0070": "date of the last assessment",
            "B_06.01.0080": "recovery time objective, hours",
            "B_06.01.0090": "recovery point objective, hours",
            "B_06.01.0100": "impact of discontinuing the function",
        },
        {},
        rows,
    )


def _assessment(setup: Setup, providers: Sequence[Substitution]) -> Sheet:
    rows: list[list[Cell]] = []
    for each in providers:
        others = _others(setup, each)
        providers_left = [name for name in others if name != SELF]
        supported = bool(each.reliances)
        grade = "Not substitutable" if each.lost else "Easily substitutable"
        identified = "Yes" if providers_left and not each.lost else "No"
        rows.append(
            [
                OPEN, OPEN, OPEN, OPEN, grade if supported else OPEN,
                OPEN if each.lost else "", OPEN, OPEN, OPEN, OPEN,
                identified if supported else OPEN, ", ".join(providers_left) if identified == "Yes" else "",
                each.vendor, ", ".join(reliance.route for reliance in each.reliances), ", ".join(each.lost),
                "yes" if SELF in others else "",
            ]
        )  # fmt: skip
    return _sheet(
        "dora_b_07_01",
        "B_07.01, assessment of the ICT services. 0050, 0110 and 0120 are proposals that follow from the config: "
        "`Not substitutable` where a route would have no permitted service left without the provider, `Easily "
        "substitutable` where every route would still have one, which takes over without a change to the application. "
        "Own servers that would remain are no alternative provider, and stand apart. Whether contracts, keys, quality "
        "and volume allow it is for a person to judge.",
        {
            "B_07.01.0010": "contractual arrangement reference number",
            "B_07.01.0020": "identification code of the ICT third-party service provider",
            "B_07.01.0030": "type of that code",
            "B_07.01.0040": "type of ICT services, S01 to S19 of Annex III",
            "B_07.01.0050": "substitutability of the provider: a proposal",
            "B_07.01.0060": "reason if not substitutable or highly complex",
            "B_07.01.0070": "date of the last audit on the provider",
            "B_07.01.0080": "existence of an exit plan",
            "B_07.01.0090": "possibility of reintegration of the service",
            "B_07.01.0100": "impact of discontinuing the ICT services",
            "B_07.01.0110": "alternative providers identified: a proposal",
            "B_07.01.0120": "identification of alternative providers: a proposal",
        },
        {
            "provider": "its id in this tool",
            "supports_routes": "functions that have a permitted service of it",
            "routes_lost_without_it": "of these, those that would have nobody left",
            "own_servers_left": "yes: own servers (`self`) are among those that would remain, see 0090",
        },
        rows,
    )


def _others(setup: Setup, found: Substitution) -> list[str]:
    """The contract partners of whoever would be left; our own servers are named `self`."""
    names = {name for reliance in found.reliances for name in reliance.left}
    return sorted({setup.world.deployments[name].contract_partner for name in names})
