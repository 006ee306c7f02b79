"""`data.training`, `data.retention_days`, `agreements`: what becomes of the data, and the papers for it.

Training and retention are asked of every link of the chain. Agreements are asked of the contract partner alone: the
aggregator where there is one, else the operator, each together with its parents; the caller needs none with itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Fact, Training
from modelrouter.core.rules.base import Gate, RuleFamily
from modelrouter.core.rules.chain import stations
from modelrouter.core.rules.grammar import Grammar, Limit, whole, words
from modelrouter.core.rules.organisations import hear_agreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["TermsFamily"]

TRAINING = tuple(training.value for training in Training)


class TermsFamily(RuleFamily):
    """Training, retention, agreements."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "agreements": Grammar(("require",)),
        "data.retention_days": Grammar(("max",), limit=Limit.WHOLE),
        "data.training": Grammar(("allow", "deny"), values=TRAINING),
    }

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask about each link, or about the contract partner."""
        if spec.key == "agreements":
            _hear_agreements(spec, hearing)
        elif spec.key == "data.training":
            _hear_training(spec, hearing)
        else:
            _hear_retention(spec, hearing)


def _hear_training(spec: RuleSpec, hearing: Hearing) -> None:
    gate = Gate.of(spec)
    for station in stations(hearing):
        path = f"{station.whose}.training"
        remedy = f"`{station.whose}` with training {words(spec)}"
        training = hearing.read(path, station.terms.training, remedy=remedy)
        if training is not None and gate.keeps_out(training.value):
            hearing.refuse(training.value, path, remedy)


def _hear_retention(spec: RuleSpec, hearing: Hearing) -> None:
    limit = whole(spec.at_most)
    for station in stations(hearing):
        path = f"{station.whose}.retention_days"
        unknown = f"`{station.whose}` known to retain at most {limit} days"
        retained = hearing.read(path, station.terms.retention_days, remedy=unknown)
        if retained is not None and retained > limit:
            hearing.refuse(f"{retained} days", path, f"`{station.whose}` retaining at most {limit} days")


def _hear_agreements(spec: RuleSpec, hearing: Hearing) -> None:
    deployment = hearing.subject.deployment
    if not deployment.chain:
        nobody: Fact[str] = Fact.unknown()
        hearing.read(f"{deployment.id}.operator", nobody)
        return
    required = spec.require if isinstance(spec.require, frozenset) else frozenset()
    for kind in sorted(required):
        hear_agreement(hearing, kind, deployment.contract_partner, path="caller.agreements", missing=f"no {kind}")
