"""`model.id`, `model.pinned`, `capability.*`: which model, whether it stays the same, and what its endpoint can do.

An alias is judged by its own id and as all that it stands for today: a deny that names one of them hits it, and an
allow must name the alias, or every one of them. Pinned means both: the model is a dated release, and the name by which
this deployment calls it stays the same weights. Capabilities are those of the deployment, for an endpoint may offer
less than the model has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Fact
from modelrouter.core.lineage import ancestry
from modelrouter.core.request import CAPABILITIES
from modelrouter.core.rules.base import Gate, RuleFamily
from modelrouter.core.rules.grammar import Grammar, Limit, whole, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["ModelFamily"]

PREFIX = "capability."
WINDOW = f"{PREFIX}context_tokens"
FLAG = Grammar(("require",), is_flag=True)


class ModelFamily(RuleFamily):
    """The model, its version, its abilities at this endpoint."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "model.id": Grammar(("allow", "deny")),
        "model.pinned": FLAG,
        WINDOW: Grammar(("min",), limit=Limit.WHOLE),
        **{f"{PREFIX}{capability}": FLAG for capability in sorted(CAPABILITIES)},
    }

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask what the key asks."""
        if spec.key == "model.id":
            _hear_id(spec, hearing)
        elif spec.key == "model.pinned":
            _hear_pinned(hearing)
        elif spec.key == WINDOW:
            _hear_window(spec, hearing)
        else:
            _hear_capability(spec.key.removeprefix(PREFIX), hearing)


def _hear_id(spec: RuleSpec, hearing: Hearing) -> None:
    gate, path, remedy = Gate.of(spec), f"{hearing.name}.model", f"`{hearing.name}` on model {words(spec)}"
    own, *others = ancestry(hearing.subject)
    allow = frozenset[str]() if gate.allow is None else gate.allow
    allowed = gate.allow is None or own.id in allow
    for each in (own, *others):
        missing = not allowed and not each.stands_for_others and each.id not in allow
        if missing or each.id in gate.deny:
            hearing.refuse(each.id if each is own else f"{own.id} stands for {each.id}", path, remedy)
        for bond in each.bonds if gate.deny or not allowed else ():
            hearing.read(bond.path, bond.fact)


def _hear_pinned(hearing: Hearing) -> None:
    deployment = hearing.subject.deployment
    of_model: Fact[bool] = Fact.unknown() if hearing.model is None else hearing.model.pinned
    for path, fact in ((f"{deployment.model}.pinned", of_model), (f"{deployment.id}.pinned", deployment.pinned)):
        remedy = f"a dated release or revision for `{path.removesuffix('.pinned')}`"
        if hearing.read(path, fact, remedy=remedy) is False:
            hearing.refuse("not pinned", path, remedy)


def _hear_window(spec: RuleSpec, hearing: Hearing) -> None:
    needed = whole(spec.at_least)
    path = f"{hearing.name}.context_tokens"
    remedy = f"`{hearing.name}` serving at least {needed} context tokens"
    served = hearing.read(path, hearing.subject.deployment.context_tokens, remedy=remedy)
    if served is not None and served < needed:
        hearing.refuse(f"{served} of {needed}", path, remedy)


def _hear_capability(capability: str, hearing: Hearing) -> None:
    path = f"{hearing.name}.capabilities"
    remedy = f"`{hearing.name}` with {capability}"
    abilities = hearing.read(path, hearing.subject.deployment.capabilities, empty=frozenset(), remedy=remedy)
    if abilities is not None and capability not in abilities:
        hearing.refuse(f"has no {capability}", path, remedy)
