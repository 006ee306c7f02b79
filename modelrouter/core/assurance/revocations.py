"""Cutting off: who was revoked, in which roles, and which deployments fall under it.

A deployment is **exposed** to organisations, models and itself by marks, as `vendor:operator:azure`. A revocation has
marks of the same form, and takes away whoever shares one with it. Owners count in the role of what they own, so that
revoking a parent revokes its family; an ancestor by `derived_from` counts as lineage.

What the caller has to state and has not counts as the revoked one, since it may be: an undeclared cloud under a server
of his own (`vendor:cloud:?`), a model of which nobody said who trained it (`vendor:developer:?`). What only others
could tell, and do not - an organisation's owner, undisclosed origins of closed weights, what an alias stands for - does
not count: else revoking one small vendor would take down most of the world. It is a doubt, and is told. Every relation
that is known counts, at any confidence. `self` is nobody's vendor and cannot be revoked; a deployment can.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.assurance.vendors import doubt
from modelrouter.core.facts import SELF, LinkRole, State
from modelrouter.core.lineage import Relation, ancestry, owners

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from modelrouter.core.facts import Fact, World
    from modelrouter.core.lineage import Ancestor
    from modelrouter.core.subject import Subject

__all__ = [
    "ROLES_OF",
    "Exposure",
    "Revocation",
    "RevokedKind",
    "RevokedRole",
    "exposure_of",
    "revocation_from",
    "revoked_by",
    "subjects_named",
]

NOBODY_KNOWS: Final = "?"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RevokedKind(enum.Enum):
    """What can be revoked."""

    VENDOR = "vendor"
    MODEL = "model"
    DEPLOYMENT = "deployment"


class RevokedRole(enum.Enum):
    """In which part something is revoked. `ITSELF` is a deployment, or a model as the one that answers."""

    DEVELOPER = "developer"
    OPERATOR = "operator"
    VIA = "via"
    SUBPROCESSOR = "subprocessor"
    CLOUD = "cloud"
    LINEAGE = "lineage"
    ITSELF = "itself"


def _roles_of() -> dict[RevokedKind, frozenset[RevokedRole]]:
    role = RevokedRole
    return {
        RevokedKind.VENDOR: frozenset(role) - {role.ITSELF},
        RevokedKind.MODEL: frozenset({role.ITSELF, role.LINEAGE}),
        RevokedKind.DEPLOYMENT: frozenset({role.ITSELF}),
    }


ROLES_OF: Final[Mapping[RevokedKind, frozenset[RevokedRole]]] = _roles_of()
"""Every role of each kind: what is revoked where nothing narrows it."""
LINKS: Final = {
    LinkRole.OPERATOR: RevokedRole.OPERATOR,
    LinkRole.VIA: RevokedRole.VIA,
    LinkRole.SUBPROCESSOR: RevokedRole.SUBPROCESSOR,
    LinkRole.RUNS_ON: RevokedRole.CLOUD,
}


def _mark(kind: RevokedKind, role: RevokedRole, name: str) -> str:
    return f"{kind.value}:{role.value}:{name}"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that was cut off.

    Attributes:
        name: id of an organisation, a model or a deployment.
        roles: some of `ROLES_OF` its kind.
        reason: why, for people.
        id: what undoes it, as `entry 12`.
        from_us: since when, in microseconds since 1970, for people; `until_us` is the first moment after it, or None.
        abort_in_flight: calls under way are interrupted; else they finish.
        marks: what it takes away, see the module.
    """

    kind: RevokedKind
    name: str
    reason: str
    roles: frozenset[RevokedRole]
    id: str = ""
    from_us: int = 0
    until_us: int | None = None
    abort_in_flight: bool = False
    marks: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out the marks once: they are compared at every admission."""
        marks = {_mark(self.kind, role, self.name) for role in self.roles}
        if self.kind is RevokedKind.VENDOR:
            marks |= {_mark(self.kind, role, NOBODY_KNOWS) for role in self.roles}
        object.__setattr__(self, "marks", frozenset(marks))

    def holds(self, at_us: int) -> bool:
        """Whether it is in force at a moment; it has begun by being written down, whatever clock said when."""
        return self.until_us is None or at_us < self.until_us

    @property
    def subject(self) -> str:
        """As the command line takes it, whatever else has this name: `vendor:openai`."""
        return f"{self.kind.value}:{self.name}"

    def content(self) -> dict[str, object]:
        """What is written down of it. Its id and its beginning are told by where that stands."""
        return {
            "kind": self.kind.value,
            "name": self.name,
            "roles": sorted(role.value for role in self.roles),
            "reason": self.reason,
            "until_us": self.until_us,
            "abort_in_flight": self.abort_in_flight,
        }

    def sentence(self, marks: Collection[str]) -> str:
        """Who was revoked, as what, why, by what and until when.

        Args:
            marks: of a deployment that falls under it.
        """
        hit = min(mark for mark in marks if mark in self.marks)
        _, role, name = hit.split(":", 2)
        what = f"the {self.kind.value} `{self.name}` was revoked"
        what += "" if role == RevokedRole.ITSELF.value else f" as {role}"
        doubts = f"its {role} is not known, and " if name == NOBODY_KNOWS else ""
        until = "" if self.until_us is None else f" until {moment_text(self.until_us)}"
        return f"{doubts}{what} by {self.id}{until} ({self.reason})"


def moment_text(at_us: int) -> str:
    """A moment as ISO text, UTC."""
    try:
        return (EPOCH + timedelta(microseconds=at_us)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{at_us} microseconds after 1970"


def revocation_from(content: Mapping[str, Any], *, id: str, from_us: int) -> Revocation:  # noqa: A002 - its own name
    """The revocation that `Revocation.content` wrote down.

    Raises:
        ValueError: it is none that this version knows.
    """
    try:
        kind = RevokedKind(content["kind"])
        name, reason, written, until_us = content["name"], content["reason"], content["roles"], content["until_us"]
        aborts = content["abort_in_flight"]
    except KeyError as error:
        raise ValueError(f"it has no `{error.args[0]}`") from None
    is_text = isinstance(name, str) and isinstance(reason, str) and isinstance(written, list)
    if not is_text or not isinstance(aborts, bool) or not (until_us is None or type(until_us) is int):
        raise ValueError("one of its values has another type than it must")
    roles = frozenset(RevokedRole(role) for role in written)
    if not roles or not roles <= ROLES_OF[kind]:
        raise ValueError(f"a {kind.value} is not revoked as {', '.join(map(str, written)) or 'nothing'}")
    return Revocation(kind, str(name), str(reason), roles, id, from_us, until_us, aborts)


def revoked_by(marks: frozenset[str], revocations: Iterable[Revocation], at_us: int) -> Revocation | None:
    """The first revocation in force that takes a deployment with these marks away."""
    for each in revocations:
        if not each.marks.isdisjoint(marks) and each.holds(at_us):
            return each
    return None


@dataclass(frozen=True, slots=True)
class Exposure:
    """By what a deployment can be taken away.

    Attributes:
        doubts: paths of facts that could add to it, as `openrouter.parent`, and are not known.
    """

    marks: frozenset[str]
    doubts: tuple[str, ...] = ()


def exposure_of(subject: Subject) -> Exposure:
    """The marks of a deployment on a day: aliases stand for other models on other days. Total on any world."""
    search = _Search(subject.world)
    deployment = subject.deployment
    search.marks.add(_mark(RevokedKind.DEPLOYMENT, RevokedRole.ITSELF, deployment.id))
    if not deployment.chain:
        search.unknown(RevokedRole.OPERATOR)
    for link in deployment.chain:
        search.organisation(LINKS[link.role], link.organisation)
    if doubt(deployment.chain_complete) or deployment.chain_complete.value is not True:
        search.unknown(RevokedRole.CLOUD)
    own = {deployment.model}
    for ancestor in ancestry(subject, {Relation.DERIVED_FROM}):
        search.model(ancestor, own)
    return Exposure(frozenset(search.marks), tuple(dict.fromkeys(search.doubts)))


def subjects_named(text: str, world: World) -> tuple[tuple[RevokedKind, str], ...]:
    """What a name may mean in a world: `openai`, or one thing of several that share it as `vendor:openai`."""
    known: dict[RevokedKind, Collection[str]] = {
        RevokedKind.VENDOR: world.organisations.keys() - {SELF},
        RevokedKind.MODEL: world.models,
        RevokedKind.DEPLOYMENT: world.deployments,
    }
    word, _, name = text.partition(":")
    kinds = {kind.value: kind for kind in RevokedKind}
    if word in kinds:
        return ((kinds[word], name),) if name in known[kinds[word]] else ()
    return tuple((kind, text) for kind, names in known.items() if text in names)


class _Search:
    """Gathers marks and doubts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.marks: set[str] = set()
        self.doubts: list[str] = []

    def unknown(self, role: RevokedRole) -> None:
        """Whoever has this role may be anybody."""
        self.marks.add(_mark(RevokedKind.VENDOR, role, NOBODY_KNOWS))

    def organisation(self, role: RevokedRole, name: str) -> None:
        """An organisation in a role, with everybody who owns it."""
        for owner in owners(self.world, name):
            if owner.id == SELF:
                continue
            self.marks.add(_mark(RevokedKind.VENDOR, role, owner.id))
            if owner.parent is not None and doubt(owner.parent):
                self.doubts.append(owner.parent_path)

    def model(self, ancestor: Ancestor, own: set[str]) -> None:
        """A model of the ancestry, with who trained it.

        Args:
            own: the models that answer: the deployment's, and what that stands for today. Added to.
        """
        is_own = ancestor.id in own
        role = RevokedRole.ITSELF if is_own else RevokedRole.LINEAGE
        self.marks.add(_mark(RevokedKind.MODEL, role, ancestor.id))
        for bond in ancestor.bonds:
            if bond.fact.state in {State.UNKNOWN, State.UNDISCLOSED}:
                self.doubts.append(bond.path)
            elif is_own and bond.relation is Relation.ALIAS_OF:
                own |= bond.fact.value or frozenset()
        developer: Fact[str] | None = None if ancestor.model is None else ancestor.model.developer
        if developer is not None and developer.value is not None:
            self.organisation(RevokedRole.DEVELOPER if is_own else RevokedRole.LINEAGE, developer.value)
        elif developer is None or developer.state is not State.NONE:
            if is_own:
                self.unknown(RevokedRole.DEVELOPER)
            else:
                self.doubts.append(f"{ancestor.id}.developer")
