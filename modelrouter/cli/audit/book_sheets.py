"""The tables that come from the ledger: what was in force, excepted, refused and spent in the period."""

from __future__ import annotations

from datetime import UTC, date
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.audit.evidence import GROUPED
from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.screen import amount
from modelrouter.cli.spend.when import written
from modelrouter.core.budget_text import window_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.core.assurance.tally import Count
    from modelrouter.core.assurance.told import ToldLayer

__all__ = ["book_sheets", "policy_file"]

SHORT: Final = 12
"""Digits of a hash in the name of a file."""
CALLS: Final = {
    "calls": "how many calls",
    "first": "the first of them, UTC",
    "last": "the last of them, UTC",
}
SHA256: Final = "SHA-256 of the text in its canonical form; the ledger's lines name it"
VERBS: Final = {"allow": "allow", "deny": "deny", "at_least": "min", "at_most": "max", "require": "require"}
IMPLICIT: Final = {
    "catalog": "the tool itself: a model past its retirement date, or without a price",
    "route": "what the application's request needs, as a context window",
    "wire": "the endpoint could not be called, as without its key",
    "request": "the ceiling that the call itself gave",
}


def policy_file(name: str, digest: str) -> str:
    """Where the text of a policy stands in the pack."""
    return f"policies/{name}-{digest[:SHORT]}.json"


def book_sheets(evidence: Evidence, today: date) -> Iterator[Sheet]:
    """The tables, in the order in which a person reads them."""
    texts = {layer: evidence.policy(layer.digest) for layer in evidence.tally.policies}
    yield _policies(evidence, texts)
    yield _rules(texts)
    yield _waivers(evidence, texts, today)
    yield _refusals(evidence)
    yield _observed(evidence)
    yield _spend(evidence)
    yield _budgets(evidence)
    yield _documents(evidence)
    yield _ledger(evidence)


def _counted(count: Count) -> tuple[Cell, ...]:
    return count.calls, written(count.first_us, UTC), written(count.last_us, UTC)


def _policies(evidence: Evidence, texts: Mapping[ToldLayer, dict[str, Any] | None]) -> Sheet:
    rows = [
        (
            layer.policy,
            "observed only" if layer.observe else "enforced",
            layer.level,
            *_counted(count),
            layer.digest,
            policy_file(layer.policy, layer.digest) if texts[layer] is not None else "the ledger has no text of it",
            str((texts[layer] or {}).get("description", "")),
        )
        for layer, count in sorted(evidence.tally.policies.items(), key=lambda each: (each[0].policy, each[1].first_us))
    ]
    return Sheet(
        "policies",
        "Which policies bound calls in the period, from the ledger. A policy is a named set of yes-no rules about the "
        "services that may be used; a call is sent only where every policy permits it. One row for each version of a "
        "text: where a policy was changed in the period, it has several.",
        {
            "policy": "its name",
            "status": "`enforced`: it decided; `observed only`: it recorded what it would have refused",
            "asked_by": "who asked for it: `house` (a file above the application's), `config`, `route` or `request`",
            **CALLS,
            "sha256": SHA256,
            "text": "the file in this pack that holds the text as it was in force",
            "description": "what it says of itself",
        },
        rows,
    )


def _rules(texts: Mapping[ToldLayer, dict[str, Any] | None]) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for layer, text in sorted(texts.items(), key=lambda each: (each[0].policy, each[0].digest)):
        rows += [
            (layer.policy, layer.digest, rule["key"], _asks(rule), str(rule["because"]), str(rule["ref"]))
            for rule in (text or {}).get("rules", ())
        ]
    return Sheet(
        "rules",
        "What each version of each of these policies asks, rule by rule.",
        {
            "policy": "the policy's name",
            "sha256": "which version of it",
            "rule": "what it looks at, as `operator.country`: the country of whoever runs the machines",
            "asks": "what must hold: `allow` these only, `deny` these, `min`, `max`, `require`",
            "because": "the reason that its author gave",
            "ref": "the law, contract or minutes it rests on",
        },
        list(dict.fromkeys(rows)),
    )


def _asks(rule: Mapping[str, Any]) -> str:
    parts = [f"{word} {_value(rule[name])}" for name, word in VERBS.items() if rule[name] is not None]
    parts += [f"({name}: {_value(value)})" for name, value in sorted(rule["options"].items())]
    return " ".join(parts)


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in sorted(value.items()))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _waivers(evidence: Evidence, texts: Mapping[ToldLayer, dict[str, Any] | None], today: date) -> Sheet:
    used = evidence.tally.waivers
    rows: dict[tuple[str, str], tuple[Cell, ...]] = {}
    for layer, text in sorted(texts.items(), key=lambda each: (each[0].policy, each[1] is None, each[0].digest)):
        for waiver in (text or {}).get("waivers", ()):
            left = (date.fromisoformat(waiver["expires"]) - today).days
            count = used.get((waiver["id"], waiver["subject"]))
            rows[waiver["id"], waiver["expires"]] = (
                waiver["id"],
                layer.policy,
                waiver["rule"],
                waiver["subject"],
                waiver["owner"],
                waiver["because"],
                waiver["expires"],
                left if left >= 0 else f"expired {-left} days ago",
                *((0, "", "") if count is None else _counted(count)),
            )
    return Sheet(
        "waivers",
        "Exceptions that stood in policies of the period: somebody signed that one rule does not hold for one "
        "deployment until a day. `calls` are those whose decision it touched: the deployment was admitted by it, "
        "whether or not the call was sent there.",
        {
            "waiver": "its id",
            "policy": "the policy in which it stands",
            "rule": "the rule from which it excepts",
            "deployment": "for which one",
            "owner": "who answers for it",
            "because": "why it was given",
            "expires": "its last day",
            "days_left": "counted from the day on which this pack was made",
            **CALLS,
        },
        list(rows.values()),
    )


def _refusals(evidence: Evidence) -> Sheet:
    rows = [
        (route, name, layer, IMPLICIT.get(layer, "a policy"), rule, reason, *_counted(count))
        for (route, name, layer, rule, reason), count in sorted(
            evidence.tally.refusals.items(), key=lambda each: (-each[1].calls, each[0])
        )
    ]
    return Sheet(
        "refusals",
        "Why candidates were not used: for each call, every deployment of its route that some rule kept out, with each "
        "rule that did. A refused candidate is no failed call: the call went to another one. Calls that nobody might "
        "serve are among them.",
        {
            "route": "the name that the application used",
            "deployment": "the candidate that was kept out",
            "layer": "the policy, or what holds without one",
            "what_that_is": "the layer in words",
            "rule": "the rule that refused",
            "reason": "what it found, as a country; empty where it depends on the size of a request",
            **CALLS,
        },
        rows,
    )


def _observed(evidence: Evidence) -> Sheet:
    return Sheet(
        "observed",
        "What policies that only observed would have refused, and did not.",
        {
            "route": "the name that the application used",
            "deployment": "the candidate",
            "policy": "the policy",
            "rule": "the rule",
            **CALLS,
        },
        [(*key, *_counted(count)) for key, count in sorted(evidence.tally.observed.items())],
    )


def _spend(evidence: Evidence) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for group in GROUPED:
        for row in evidence.reports[group].rows:
            sums = row.sums
            tokens = sums.input_tokens, sums.output_tokens
            money = sums.settled_nano_usd, sums.uncertain_nano_usd, sums.reserved_nano_usd
            later = sums.overrun_nano_usd, sums.correction_nano_usd
            usd = [amount(each) for each in (*money, *later, sums.spent_nano_usd)]
            rows.append((group, row.group[0], sums.calls, sums.attempts, sums.failures, *tokens, *usd))
    return Sheet(
        "spend",
        "What was spent in the period, from the ledger, the same money grouped in several ways: add up the rows of one "
        "group only (rows by policy may come to more, because a call counts under each policy that bound it). Amounts "
        "are exact, in US dollars.",
        {
            "by": "what the row groups by",
            "name": "the group; empty is not known",
            "calls": "requests of the application whose first attempt is in this row",
            "attempts": "calls to one deployment: a request has several where one failed",
            "failures": "attempts that failed",
            "input_tokens": "as reported by the provider",
            "output_tokens": "as reported by the provider",
            "settled_usd": "billed by reported usage and price",
            "uncertain_usd": "nobody knows what it cost; booked at the most it can have cost",
            "reserved_usd": "set aside for attempts without an end",
            "overrun_usd": "billed beyond what was set aside",
            "correction_usd": "changed later, as by reconciliation with an invoice; may be negative",
            "spent_usd": "settled, uncertain, overrun and correction together",
        },
        rows,
    )


def _budgets(evidence: Evidence) -> Sheet:
    rows = []
    for each in evidence.positions:
        budget, balance = each.budget, each.balance
        amounts = budget.limit_nano_usd, balance.spent, balance.reserved, budget.limit_nano_usd - balance.used
        rows.append((budget.name, each.scope, window_text(budget), budget.zone_name, *map(amount, amounts)))
    return Sheet(
        "budgets",
        "Limits on money and where they stood when the ledger's last line was written. A request that would exceed one "
        "is refused before it is sent. A budget of which nothing was spent in its present window is not listed.",
        {
            "budget": "its name",
            "scope": "for whom, where it is kept apart by something; personal values are keyed hashes",
            "window": "over which time it adds up",
            "tz": "whose days and months",
            "limit_usd": "the limit",
            "spent_usd": "spent in the present window",
            "reserved_usd": "set aside for calls under way",
            "left_usd": "what is left",
        },
        rows,
    )


def _documents(evidence: Evidence) -> Sheet:
    return Sheet(
        "documents",
        "Every text that the ledger kept by its hash until the end of the period: policies, configurations, catalogs "
        "and price lists. Each decision names the ones it rests on.",
        {
            "kind": "what it is",
            "name": "its name",
            "sha256": SHA256,
            "kept_at": "when it was first written down, UTC",
            "bytes": "its length",
        },
        [
            (each.kind, each.name, each.digest, written(each.at_us, UTC), len(each.body.encode()))
            for each in evidence.documents
        ],
    )


def _ledger(evidence: Evidence) -> Sheet:
    return Sheet(
        "ledger_heads",
        "The ends of the ledger's hash chains: one chain for each process that wrote. Whoever keeps the head of the "
        "book (in the README) elsewhere can prove later that nothing before it was changed or cut off, with "
        "`modelrouter ledger verify --against HEAD`.",
        {"writer": "the process", "lines": "how many it has written", "hash": "SHA-256 of its last line"},
        [*evidence.heads],
    )
