"""What a decision of the past tells of its policies: who was permitted, who not and why, and what was only observed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelrouter.core.policy import Outcome
from modelrouter.core.rules.share import SHARE
from modelrouter.core.shares import ShareMode, share_refusal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.core.decision import Decision
    from modelrouter.core.shares import ShareRefusal

__all__ = ["Observed", "Told", "ToldCall", "ToldLayer", "ToldRefusal", "told_of"]


@dataclass(frozen=True, slots=True)
class ToldLayer:
    """A policy that bound a request.

    Attributes:
        digest: of its text.
        observe: its rules were recorded and not enforced.
    """

    policy: str
    digest: str
    level: str
    observe: bool


@dataclass(frozen=True, slots=True)
class ToldRefusal:
    """What kept a deployment out: a rule when it was decided, or a share cap when money was to be reserved."""

    layer: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What a policy that only observes would have refused.

    Attributes:
        waiver: id of the waiver that would have admitted it all the same; empty without one.
    """

    deployment: str
    policy: str
    rule: str
    waiver: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One decision.

    Attributes:
        permitted: best first.
        refused: each candidate that something refused with all that did, in the order of judging.
        waived: deployment and id of each waiver that turned a refusal.
    """

    layers: tuple[ToldLayer, ...]
    permitted: tuple[str, ...]
    refused: Mapping[str, tuple[ToldRefusal, ...]] = field(default_factory=dict)
    waived: tuple[tuple[str, str], ...] = ()
    observed: tuple[Observed, ...] = ()


@dataclass(frozen=True, slots=True)
class ToldCall:
    """A call with its decision.

    Attributes:
        at_us: when its first attempt was reserved, microseconds since 1970, UTC.
        attempted: deployments in the order of attempts; none where nobody might serve it.
        count: how many calls it stands for; above 1 only where many alike were refused.
    """

    call_id: str
    at_us: int
    route: str
    attempted: tuple[str, ...]
    told: Told
    count: int = 1


def told_of(decision: Decision) -> Told:
    """What a decision tells."""
    verdicts = decision.verdicts
    refused = {
        name: tuple(ToldRefusal(each.layer, each.rule, each.judgement.reason) for each in refusals)
        for name in decision.considered
        if (refusals := decision.refusals(name))
    }
    for name, refusal in decision.capped:
        if refusal.demand.cap.mode is ShareMode.HARD:
            over = ToldRefusal(_policy_of(refusal), SHARE, share_refusal_text(refusal))
            refused[name] = (*refused.get(name, ()), over)
    observed = tuple(
        Observed(each.deployment, each.layer, each.rule, "" if each.waiver is None else each.waiver.id)
        for each in verdicts
        if each.observed and each.judgement.outcome is not Outcome.PERMITTED
    )
    return Told(
        layers=tuple(
            ToldLayer(layer.policy.name, layer.policy.digest, layer.level.value, layer.policy.observe)
            for layer in decision.layers
        ),
        permitted=tuple(each.deployment for each in decision.permitted),
        refused=refused,
        waived=tuple(
            (each.deployment, each.waiver.id) for each in verdicts if each.waiver is not None and not each.observed
        ),
        observed=(*observed, *_over_a_share(decision)),
    )


def _over_a_share(decision: Decision) -> Iterator[Observed]:
    """Whom an observed share cap would have refused; one that is written as soft would have had others tried first."""
    hard = {
        layer.policy.name
        for layer in decision.layers
        for spec in layer.policy.rules
        if spec.key == SHARE and spec.options.get("mode") != ShareMode.SOFT.value
    }
    for name, refusal in decision.capped:
        policy = _policy_of(refusal)
        if refusal.demand.cap.mode is ShareMode.OBSERVED and policy in hard:
            yield Observed(name, policy, SHARE)


def _policy_of(refusal: ShareRefusal) -> str:
    return refusal.demand.cap.rule.removesuffix(f"/{SHARE}")
