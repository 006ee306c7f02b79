"""The vendor graph: whose loss takes a deployment away, and in which role.

A vendor is the operator, the aggregator in between, a sub-processor, the cloud under a self-hosted server, and every
owner of one of these; the model's developer, with its owners, only where its weights are closed: open ones run on
without whoever made them. `self` is never a vendor. Our own weights are nobody else's, but a model of ours that was
made from closed weights goes with whoever holds those back.

A set of vendors of which one is not known proves nothing. So every fact that could add a vendor must be known, and not
at low confidence: what is not becomes a `Gap`, and whoever has one never counts as a survivor.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import SELF, Confidence, LinkRole, Openness, State
from modelrouter.core.lineage import owners

if TYPE_CHECKING:
    from modelrouter.core.facts import Deployment, Fact, World

__all__ = ["Gap", "Vendor", "VendorRole", "Vendors", "vendors_of"]


class VendorRole(enum.Enum):
    """The part a vendor plays in a deployment. One organisation may play several."""

    OPERATOR = "operator"
    VIA = "via"
    SUBPROCESSOR = "subprocessor"
    CLOUD = "cloud"
    DEVELOPER = "developer"
    PARENT = "parent"


LOW: Final = "low confidence"
ROLES: Final = {
    LinkRole.OPERATOR: VendorRole.OPERATOR,
    LinkRole.VIA: VendorRole.VIA,
    LinkRole.SUBPROCESSOR: VendorRole.SUBPROCESSOR,
    LinkRole.RUNS_ON: VendorRole.CLOUD,
}


@dataclass(frozen=True, slots=True)
class Vendor:
    """One organisation whose loss takes a deployment away, and why it does."""

    id: str
    roles: frozenset[VendorRole]


@dataclass(frozen=True, slots=True)
class Gap:
    """A fact that could name another vendor, and is not known.

    Attributes:
        path: as `gpt.runs_on` or `openrouter.parent`.
        reason: as `unknown` or `low confidence`.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Vendors:
    """All vendors of one deployment that are known, sorted by id, and what is missing.

    Attributes:
        gaps: empty where the vendors are all known.
    """

    deployment: str
    vendors: tuple[Vendor, ...]
    gaps: tuple[Gap, ...] = ()

    @property
    def are_known(self) -> bool:
        """Whether there can be no other vendor; else this deployment never counts as a survivor."""
        return not self.gaps

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids, sorted."""
        return tuple(vendor.id for vendor in self.vendors)


def vendors_of(deployment: Deployment, world: World) -> Vendors:
    """The vendors of a deployment. Total: whatever a world may hold, what is missing in it is a gap."""
    search = _Search(world)
    if not deployment.chain:
        search.gap(f"{deployment.id}.operator", State.UNKNOWN.value)
    for link in deployment.chain:
        search.add(link.organisation, ROLES[link.role])
    complete = deployment.chain_complete
    reason = doubt(complete)
    if reason or complete.value is not True:
        search.gap(f"{deployment.id}.runs_on", reason if reason == LOW else "not declared")
    search.add_developers(deployment.model)
    vendors = tuple(Vendor(name, frozenset(roles)) for name, roles in sorted(search.roles.items()))
    return Vendors(deployment.id, vendors, tuple(search.gaps))


def doubt(fact: Fact[object]) -> str:
    """Why nothing can be proved from a fact, or empty. A sourced `none` is an answer."""
    if fact.state in {State.UNKNOWN, State.UNDISCLOSED}:
        return str(fact.state.value)
    return LOW if fact.source.confidence is Confidence.LOW else ""


class _Search:
    """Collects vendors with their roles, and gaps, each once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.roles: dict[str, set[VendorRole]] = {}
        self.gaps: dict[Gap, None] = {}

    def gap(self, path: str, reason: str) -> None:
        """Note what is not known."""
        self.gaps[Gap(path, reason)] = None

    def add(self, organisation: str, role: VendorRole) -> None:
        """An organisation in its role, with everybody who owns it."""
        for owner in owners(self.world, organisation):
            if owner.id == SELF:
                continue
            self.roles.setdefault(owner.id, set()).add(VendorRole.PARENT if owner.is_parent else role)
            reason = doubt(owner.parent) if owner.parent is not None else ""
            if reason:
                self.gap(owner.parent_path, reason)

    def add_developers(self, model_id: str) -> None:
        """Whoever holds back weights that the model is, or that a model of ours was made from."""
        seen = {model_id}
        ahead = [model_id]
        while ahead:
            following = self._made_from(ahead.pop()) - seen
            seen |= following
            ahead.extend(sorted(following))

    def _made_from(self, model_id: str) -> frozenset[str]:
        """Add a model's developer if its weights are closed; for one of ours, the models to ask instead."""
        model = self.world.models.get(model_id)
        if model is None:
            self.gap(f"{model_id}.openness", State.UNKNOWN.value)
            return frozenset()
        developer, openness, derived = model.developer, model.openness, model.derived_from
        if not doubt(openness) and openness.value in {Openness.OPEN_WEIGHTS, Openness.OPEN_SOURCE}:
            return frozenset()
        if not doubt(developer) and developer.value == SELF:
            reason = doubt(derived)
            if reason:
                self.gap(f"{model_id}.derived_from", reason)
            return derived.value or frozenset()
        reason = doubt(openness)
        if reason or openness.value is not Openness.CLOSED:
            self.gap(f"{model_id}.openness", reason or openness.state.value)
            return frozenset()
        reason = doubt(developer)
        if reason or developer.value is None:
            self.gap(f"{model_id}.developer", reason or developer.state.value)
        if developer.value is not None:
            self.add(developer.value, VendorRole.DEVELOPER)
        return frozenset()
