"""Licences of weights as typed conditions, judged against the caller's facts.

A threshold is crossed by more than its value, and a number that the caller has not stated leaves a doubt. "Must ask"
and "must register" are met by an agreement of type `licence` with the licensor: the developer of the model or one of
its parents. "Must display", attribution and fields of use permit, with the duty told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import ConditionKind, Fact, State
from modelrouter.core.lineage import Relation, ancestry
from modelrouter.core.rules.organisations import hear_agreement
from modelrouter.core.rules.places import countries_of, denied_mysteries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.core.facts import Condition, Licence, Model
    from modelrouter.core.lineage import Ancestor
    from modelrouter.core.rules.base import Hearing

__all__ = ["hear_use", "licensed_ids", "licensed_models"]

LICENCE: Final = "licence"
BY_WEIGHTS: Final = (Relation.DERIVED_FROM,)
THRESHOLDS: Final = {
    ConditionKind.THRESHOLD_ASK,
    ConditionKind.THRESHOLD_DISPLAY,
    ConditionKind.THRESHOLD_NO_RIGHTS,
}


def licensed_ids(hearing: Hearing) -> tuple[str, ...]:
    """The model and its ancestors by weights, as far as they are known."""
    return tuple(ancestor.id for ancestor in _licensed(hearing))


def licensed_models(hearing: Hearing) -> Iterator[tuple[Model, str]]:
    """The model and its ancestors by weights, each with ` via …` for reasons; what is not known leaves a doubt.

    An alias has no licence of its own: what it stands for has.
    """
    for ancestor in _licensed(hearing):
        if ancestor.model is None:
            missing: Fact[str] = Fact.unknown()
            hearing.read(f"{ancestor.id}.licence", missing)
            continue
        if not ancestor.stands_for_others:
            yield ancestor.model, "" if ancestor.id == hearing.subject.deployment.model else f" via {ancestor.id}"
        for bond in ancestor.bonds:
            hearing.read(bond.path, bond.fact, empty=frozenset())


def hear_use(hearing: Hearing, model: Model, via: str) -> None:
    """Commercial use must be granted, and each condition met."""
    path = f"{model.id}.licence"
    licence_id = hearing.read(path, model.licence)
    if licence_id is None:
        return
    licence = hearing.world.licences.get(licence_id)
    if licence is None:
        hearing.miss(path, f"{licence_id}.commercial_use", f"licence `{licence_id}` known")
        return
    path = f"{licence.id}.commercial_use"
    granted = hearing.read(path, licence.commercial_use)
    if granted is False:
        remedy = f"a licence of `{model.id}` that grants commercial use"
        hearing.refuse(f"no commercial use{via}", path, remedy)
    path = f"{licence.id}.conditions"
    conditions = licence.conditions.value or ()
    texts = "; ".join(condition.text for condition in conditions)
    for condition in hearing.read(path, licence.conditions, empty=(), shown=texts) or ():
        _hear_condition(hearing, model, licence, condition, via)


def _licensed(hearing: Hearing) -> tuple[Ancestor, ...]:
    return ancestry(hearing.subject, BY_WEIGHTS)


def _hear_condition(hearing: Hearing, model: Model, licence: Licence, condition: Condition, via: str) -> None:
    path = f"{licence.id}.conditions"
    kind = condition.kind
    crossed = ""
    if kind in THRESHOLDS:
        crossed = _crossed(hearing, condition, path)
        if not crossed:
            return
    if kind is ConditionKind.TERRITORY:
        _hear_territory(hearing, condition, path, via)
    elif kind is ConditionKind.THRESHOLD_NO_RIGHTS:
        remedy = f"a caller with at most {condition.value} {condition.metric}"
        hearing.refuse(f"{crossed}{via}", path, remedy)
    elif kind is ConditionKind.THRESHOLD_ASK:
        _hear_licensor(hearing, model, path, f"{crossed}{via}")
    elif kind is ConditionKind.REGISTRATION:
        _hear_licensor(hearing, model, path, f"not registered{via}")
    else:
        hearing.oblige(model.id, condition.text)


def _crossed(hearing: Hearing, condition: Condition, path: str) -> str:
    """The threshold in words if the caller is beyond it; empty if not, or if nobody can tell, which leaves a doubt."""
    metric, value = condition.metric, condition.value
    if metric is None or value is None:
        hearing.doubt(State.UNKNOWN.value, path, f"`{path}` with a metric and a value")
        return ""
    number = hearing.subject.caller.metrics.get(metric)
    if number is None:
        hearing.doubt(State.UNKNOWN.value, f"caller.{metric}", f"`caller.{metric}` known")
        return ""
    return f"{metric} > {value}" if number > value else ""


def _hear_territory(hearing: Hearing, condition: Condition, path: str, via: str) -> None:
    caller, world = hearing.subject.caller, hearing.world
    denied_mysteries(hearing, path, condition.territory)
    excluded = countries_of(condition.territory, world)
    facts = (("", "caller.country", caller.country), ("parent ", "caller.parent_country", caller.parent_country))
    for parent, caller_path, fact in facts:
        country = hearing.read(caller_path, fact)
        if country in excluded:
            remedy = f"a caller outside {', '.join(sorted(condition.territory))}"
            hearing.refuse(f"territory {parent}{country}{via}", caller_path, remedy)


def _hear_licensor(hearing: Hearing, model: Model, path: str, missing: str) -> None:
    developer = hearing.read(f"{model.id}.developer", model.developer)
    if developer is not None:
        hear_agreement(hearing, LICENCE, developer, path=path, missing=missing)
