"""`weights.licence`, `.use`, `.openness`, `hosting`, `quantization`: what the weights are, and who holds them.

Licence and use are asked of the model and of every ancestor by weights, where the caller holds the weights: the rule's
`hosting`, self-hosted unless said otherwise. Elsewhere they permit, and a licence whose terms bind even those who only
call a hosted copy is told as an obligation. `weights.use` judges a licence's typed conditions against the caller's
facts, in `core.rules.licences`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Fact, Hosting, Openness
from modelrouter.core.lineage import ancestry
from modelrouter.core.rules.base import Gate, RuleFamily
from modelrouter.core.rules.grammar import Grammar, option_words, words
from modelrouter.core.rules.licences import hear_use, licensed_ids, licensed_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.facts import Model
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["WeightsFamily"]

HOSTINGS = tuple(hosting.value for hosting in Hosting)
OPENNESSES = tuple(openness.value for openness in Openness)
SELF_HOSTED = (Hosting.SELF_HOSTED.value,)
WHERE = {"hosting": HOSTINGS}
USES = ("commercial",)


class WeightsFamily(RuleFamily):
    """Licence, use, openness, hosting, quantization."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "hosting": Grammar(("allow", "deny"), values=HOSTINGS),
        "quantization": Grammar(("allow", "deny")),
        "weights.licence": Grammar(("allow", "deny"), options=WHERE),
        "weights.openness": Grammar(("allow", "deny"), values=OPENNESSES),
        "weights.use": Grammar(("require",), values=USES, options=WHERE),
    }

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask what the key asks."""
        if spec.key in {"weights.licence", "weights.use"}:
            _hear_licences(spec, hearing)
        elif spec.key == "weights.openness":
            _hear_openness(spec, hearing)
        elif spec.key == "hosting":
            _hear_hosting(spec, hearing)
        else:
            _hear_quantization(spec, hearing)


def _hear_licences(spec: RuleSpec, hearing: Hearing) -> None:
    if hearing.subject.deployment.hosting.value not in option_words(spec, "hosting", SELF_HOSTED):
        _tell_hosted_terms(hearing)
        return
    for model, via in licensed_models(hearing):
        if spec.key == "weights.use":
            hear_use(hearing, model, via)
        else:
            _hear_licence(spec, hearing, model, via)


def _hear_licence(spec: RuleSpec, hearing: Hearing, model: Model, via: str) -> None:
    """The catalog id or the SPDX id must pass, in any case. What an id stands for that is in no table is unknown."""
    path = f"{model.id}.licence"
    licence_id = hearing.read(path, model.licence)
    if licence_id is None:
        return
    gate = Gate.of(spec, lower=True)
    remedy = f"`{hearing.name}` under {words(spec)}"
    licence = hearing.world.licences.get(licence_id)
    if licence is not None:
        if gate.keeps_out(licence_id.lower(), licence.spdx.lower()):
            hearing.refuse(f"{licence_id}{via}", path, remedy)
        return
    hearing.miss(path, f"{licence_id}.spdx", f"licence `{licence_id}` known")
    if licence_id.lower() in gate.deny:
        hearing.refuse(f"{licence_id}{via}", path, remedy)


def _tell_hosted_terms(hearing: Hearing) -> None:
    """Permission does not rest on these licences, so they are no facts that this rule used."""
    world = hearing.world
    for ancestor_id in licensed_ids(hearing):
        model = world.models.get(ancestor_id)
        licence = None if model is None else world.licences.get(model.licence.value or "")
        if licence is not None and licence.reaches_hosted_use:
            terms = "; ".join(condition.text for condition in licence.conditions.value or ())
            told = f"{licence.name} binds users of a hosted copy too"
            hearing.oblige(ancestor_id, f"{told}: {terms}" if terms else told)


def _hear_openness(spec: RuleSpec, hearing: Hearing) -> None:
    """Asked of the model; of an alias, as of all that it stands for today."""
    remedy = f"`{hearing.name}` with weights {words(spec)}"
    for each in ancestry(hearing.subject):
        for bond in each.bonds:
            hearing.read(bond.path, bond.fact)
        if each.stands_for_others:
            continue
        path = f"{each.id}.openness"
        fact: Fact[Openness] = Fact.unknown() if each.model is None else each.model.openness
        openness = hearing.read(path, fact, remedy=remedy)
        if openness is not None and Gate.of(spec).keeps_out(openness.value):
            via = "" if each.id == hearing.subject.deployment.model else f" via {each.id}"
            hearing.refuse(f"{openness.value}{via}", path, remedy)


def _hear_hosting(spec: RuleSpec, hearing: Hearing) -> None:
    hosting = hearing.subject.deployment.hosting.value
    if Gate.of(spec).keeps_out(hosting):
        hearing.refuse(hosting, f"{hearing.name}.hosting", f"`{hearing.name}` with hosting {words(spec)}")


def _hear_quantization(spec: RuleSpec, hearing: Hearing) -> None:
    """Compared in lower case; a sourced `none`, weights as they were published, is the word `none`."""
    path = f"{hearing.name}.quantization"
    remedy = f"`{hearing.name}` with quantization {words(spec)}"
    quantization = hearing.read(path, hearing.subject.deployment.quantization, empty="none", remedy=remedy)
    if quantization is not None and Gate.of(spec, lower=True).keeps_out(quantization.lower()):
        hearing.refuse(quantization.lower(), path, remedy)
