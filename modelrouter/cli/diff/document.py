"""A comparison as one document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.cli.budget.book import budget_document
from modelrouter.cli.decisions import verdict_document
from modelrouter.cli.screen import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.cli.diff.command import Compared
    from modelrouter.core.assurance.difference import AssertionChange, Limits, SignedWaiver, Turned
    from modelrouter.core.policy import Obligation, RuleSpec

__all__ = ["compared_document"]

Document = dict[str, Any]


def compared_document(compared: Compared) -> Document:
    """Everything that differs; `ok` is that nothing is permitted that was refused."""
    from modelrouter.core.assurance import Turn

    found = compared.found
    return {
        "ok": not compared.permits_more,
        "old": compared.old,
        "new": compared.new,
        "on": compared.today.isoformat(),
        "over": compared.over,
        "deployments": found.deployments,
        "answers": found.cells,
        "proved_by_rules": found.is_proved,
        "only_new_takes": list(found.wider),
        **{turn.value: [_turned(each) for each in found.of(turn)] for turn in Turn},
        "limits": [
            {
                "route": each.route,
                "deployment": each.deployment,
                "loosened": each.after.is_looser_than(each.before),
                "before": _limits(each.before),
                "after": _limits(each.after),
                "tags": _tags(each.tags),
            }
            for each in found.limits
        ],
        "asserted": [_asserted(each) for each in found.assertions],
        "not_proved": [
            {
                "policy": each.policy,
                "rule": each.rule,
                "cause": each.cause.value,
                "permits_more": each.cause.counts,
                "waivers": [waiver.id for waiver in each.waivers],
                "routes": list(each.routes),
                "tags": _tags(each.tags),
            }
            for each in found.loosenings
        ],
        "waivers": [_signed(each) for each in found.waivers],
        "duties": [
            {
                "route": each.route,
                "deployment": each.deployment,
                "added": _duties(each.added),
                "removed": _duties(each.removed),
            }
            for each in found.duties
        ],
        "inspection_taken_back": list(compared.uninspected),
        "revocations_taken_back": list(compared.unheeded),
        "orders": [{"route": route, "before": was, "after": now} for route, was, now in compared.orders],
        "budgets": [
            {
                "name": each.name,
                "before": None if each.old is None else budget_document(each.old),
                "after": None if each.new is None else budget_document(each.new),
            }
            for each in compared.budgets
        ],
    }


def _signed(signed: SignedWaiver) -> Document:
    """A waiver with its owner and the days that it has left."""
    waiver = signed.waiver
    return {
        "id": waiver.id,
        "turn": signed.turn.value,
        "rule": waiver.rule,
        "subject": waiver.subject,
        "owner": waiver.owner,
        "because": waiver.because,
        "expires": waiver.expires.isoformat(),
        "days_left": signed.days_left,
        "admits": [{"route": route, "deployment": name} for route, name in signed.admits],
    }


def _turned(turned: Turned) -> Document:
    return {
        "route": turned.route,
        "deployment": turned.deployment,
        "before": [verdict_document(each) for each in turned.before],
        "after": [verdict_document(each) for each in turned.after],
        "tags": _tags(turned.tags),
    }


def _asserted(change: AssertionChange) -> Document:
    def told(specs: Iterable[tuple[str, RuleSpec]]) -> list[Document]:
        return [
            {
                "rule": f"{policy}/{spec.key}",
                "min": _word(spec.at_least),
                "max": _word(spec.at_most),
                "options": {name: _word(value) for name, value in sorted(spec.options.items())},
            }
            for policy, spec in specs
        ]

    return {
        "routes": list(change.routes),
        "loosened": change.is_looser,
        "before": told(change.before),
        "after": told(change.after),
    }


def _word(limit: object) -> object:
    return limit if limit is None or isinstance(limit, int) else str(limit)


def _limits(limits: Limits) -> Document:
    return {"max_cost_usd": amount(limits.ceiling_nano_usd), "bound": limits.basis.name.lower()}


def _duties(duties: Iterable[Obligation]) -> list[Document]:
    return [{"subject": duty.subject, "text": duty.text} for duty in duties]


def _tags(tags: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    return [dict(each) for each in tags]
