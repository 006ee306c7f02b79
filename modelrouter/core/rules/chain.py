"""The chain of a deployment: every organisation between us and the weights, and what is written for each.

Operator, place and data rules ask every link. Terms written on a deployment are its operator's, so they are told under
the deployment's name; every other link answers with its own, under its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.facts import Fact, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.core.facts import Terms
    from modelrouter.core.rules.base import Hearing

__all__ = ["NOT_DECLARED", "Station", "stations"]

NOT_DECLARED = "runs_on not declared"


@dataclass(frozen=True, slots=True)
class Station:
    """One link as rules name it.

    Attributes:
        path: the fact that names it, as `gpt.via`.
        whose: whose terms these are: the deployment's for its operator, else the organisation's.
        attestations: of the service alone; None is what the organisation holds.
    """

    organisation: str
    path: str
    whose: str
    terms: Terms
    attestations: Fact[frozenset[str]] | None = None


def stations(hearing: Hearing) -> Iterator[Station]:
    """Every link of the chain; at the end, a doubt unless the chain is known to be complete."""
    deployment = hearing.subject.deployment
    for place, link in enumerate(deployment.chain):
        whose = deployment.id if place == 0 else link.organisation
        yield Station(link.organisation, f"{deployment.id}.{link.role.value}", whose, link.terms, link.attestations)
    if not deployment.chain:
        nobody: Fact[str] = Fact.unknown()
        hearing.read(f"{deployment.id}.operator", nobody)
    path = f"{deployment.id}.runs_on"
    fact = deployment.chain_complete
    hearing.note(path, _declared(fact), fact.source)
    if fact.state is State.KNOWN and fact.value is True:
        hearing.weigh(path, fact.source)
    else:
        hearing.doubt(NOT_DECLARED, path, f"`runs_on` declared for `{deployment.id}`")


def _declared(fact: Fact[bool]) -> str:
    if fact.state is not State.KNOWN:
        return str(fact.state.value)
    return "declared" if fact.value else "not declared"
