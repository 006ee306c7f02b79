"""`operator.country`, `operator.id`, `operator.attestations`: who sees the prompt, at every link of the chain.

A chain that is not known to be complete cannot permit: a link that nobody declared could be anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Fact
from modelrouter.core.rules.base import Gate, RuleFamily
from modelrouter.core.rules.chain import stations
from modelrouter.core.rules.grammar import Grammar
from modelrouter.core.rules.organisations import hear_countries, hear_id
from modelrouter.core.rules.places import PlaceGate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing
    from modelrouter.core.rules.chain import Station

__all__ = ["OperatorFamily"]


class OperatorFamily(RuleFamily):
    """Operator, via, sub-processor and cloud, with their owners."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "operator.country": Grammar(("allow", "deny")),
        "operator.id": Grammar(("allow", "deny")),
        "operator.attestations": Grammar(("require",)),
    }

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask about each link."""
        if spec.key == "operator.country":
            place_gate = PlaceGate.of(spec, hearing)
            remedy = f"`{hearing.name}` with nobody from {{}} in its chain"
            for station in stations(hearing):
                hear_countries(hearing, place_gate, station.organisation, via="", remedy=remedy)
        elif spec.key == "operator.id":
            remedy = f"`{hearing.name}` without `{{}}` in its chain"
            for station in stations(hearing):
                hear_id(hearing, Gate.of(spec), station.organisation, path=station.path, via="", remedy=remedy)
        else:
            required = spec.require if isinstance(spec.require, frozenset) else frozenset()
            for station in stations(hearing):
                _hear_attestations(hearing, required, station)


def _hear_attestations(hearing: Hearing, required: frozenset[str], station: Station) -> None:
    path, fact = _attested(hearing, station)
    held = hearing.read(path, fact, empty=frozenset())
    if held is None:
        return
    for attestation in sorted(required - held):
        hearing.refuse(f"no {attestation}", path, f"{attestation} attested for `{path.removesuffix('.attestations')}`")


def _attested(hearing: Hearing, station: Station) -> tuple[str, Fact[frozenset[str]]]:
    """Where a service has attestations of its own, those of the company that runs it say nothing of it."""
    if station.attestations is not None:
        return f"{station.whose}.attestations", station.attestations
    organisation = hearing.world.organisations.get(station.organisation)
    return f"{station.organisation}.attestations", Fact.unknown() if organisation is None else organisation.attestations
