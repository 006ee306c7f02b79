"""The tables that come from the ledger: what was in force, excepted, cut off and refused, and the texts it keeps."""

from __future__ import annotations

import json
from datetime import UTC, date
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.audit.money_sheets import money_sheets
from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.spend.when import written
from modelrouter.ledger.audit.export import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.made import Made
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
    "cut-off": "somebody was cut off: see revocations.csv",
}
KINDS: Final = {
    "policy": "a policy of the configuration, in force or not",
    "config": "the configuration",
    "catalog": "which edition of the tool's catalog of facts",
    "grounds": "all facts, prices and rules by which decisions were made, so that each can be derived again",
    "price": "a price list, by which an attempt was charged",
}
"""What the book keeps by hash."""


def policy_file(name: str, digest: str) -> str:
    """Where the text of a policy stands in the pack."""
    return f"policies/{name}-{digest[:SHORT]}.json"


def book_sheets(evidence: Evidence, made: Made) -> Iterator[Sheet]:
    """The tables, in the order in which a person reads them."""
    texts = {layer: evidence.policy(layer.digest) for layer in evidence.tally.policies}
    yield _policies(evidence, texts)
    yield _rules(texts)
    yield _waivers(evidence, texts, made.today)
    yield _revocations(evidence, moment(made.judged_us(evidence)))
    yield _refusals(evidence)
    yield _observed(evidence)
    yield from money_sheets(evidence)
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
    rows: list[tuple[Cell, ...]] = []
    for layer, text in sorted(texts.items(), key=lambda each: (each[0].policy, each[1] is None, each[0].digest)):
        for waiver in (text or {}).get("waivers", ()):
            left = (date.fromisoformat(waiver["expires"]) - today).days
            count = used.get((waiver["id"], waiver["subject"]))
            texts_of = (waiver[name] for name in ("rule", "subject", "owner", "because", "expires"))
            counted = (0, "", "") if count is None else _counted(count)
            rows.append((waiver["id"], layer.policy, *texts_of, left, *counted))
    return Sheet(
        "waivers",
        "Exceptions that stood in policies of the period: somebody signed that one rule does not hold for one "
        "deployment until a day. One that was changed has a row for each text. `calls` are those whose decision one of "
        "its id touched: the deployment was admitted by it, whether or not the call was sent there.",
        {
            "waiver": "its id",
            "policy": "the policy in which it stands",
            "rule": "the rule from which it excepts",
            "deployment": "for which one",
            "owner": "who answers for it",
            "because": "why it was given",
            "expires": "its last day",
            "days_left": "counted from the day on which this pack was made; below 0 it has expired",
            **CALLS,
        },
        list(dict.fromkeys(rows)),
    )


def _revocations(evidence: Evidence, now: str) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for each in evidence.revocations:
        state = "yes" if each["in_force"] else "no: restored"
        if each["in_force"] and each["until"] is not None and each["until"] <= now:
            state = "no: its time was over"
        rows.append(
            (
                f"entry {each['seq']}",
                each["kind"],
                each["name"],
                ", ".join(json.loads(each["roles"])),
                each["reason"],
                each["at"],
                each["until"] or "",
                "interrupted" if each["abort_in_flight"] else "finished",
                state,
                "" if each["restored_by"] is None else f"entry {each['restored_by']}",
                each["restored_at"] or "",
                each["why_restored"] or "",
            )
        )
    return Sheet(
        "revocations",
        "Who was cut off at some time of the period, from the ledger: from that line on nothing was sent to them, "
        "whatever policies permit. The lines say what was done, not by which person.",
        {
            "revocation": "the ledger's line that cut off; it names the revocation",
            "kind": "vendor, model or deployment (one service)",
            "name": "who or what",
            "roles": "in which parts: an organisation may be cut off as operator alone, and its open weights go on; "
            "`lineage` is whatever derives from it, `itself` the service or model that was named",
            "reason": "why, as whoever did it wrote",
            "from": "when it was written down, UTC",
            "until": "when it ends by itself, UTC; empty: when it is restored",
            "calls_under_way": "whether calls that were under way were interrupted or finished",
            "in_force": "whether it is on the day of this pack, at noon or, if later, when the last line was written",
            "restored_by": "the line that undid it",
            "restored_at": "when, UTC",
            "why_restored": "why, as whoever did it wrote",
        },
        rows,
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
        "rule that did. Several rules may have kept it out of one call, so that rows cannot be added up. A refused "
        "candidate is no failed call: the call went to another one. Calls that nobody might serve are among them.",
        {
            "route": "the name that the application used",
            "deployment": "the candidate that was kept out",
            "layer": "the policy, or what holds without one",
            "what_that_is": "the layer in words",
            "rule": "the rule that refused",
            "reason": "what it found, as `global` (any country), `parent CN` (an owner's country) or `unknown` (no "
            "source says, which refuses); empty where it depends on the size of a request",
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


def _documents(evidence: Evidence) -> Sheet:
    bound = {layer.digest: layer.observe for layer in evidence.tally.policies}
    rows: list[tuple[Cell, ...]] = []
    for each in evidence.documents:
        role = ""
        if each.kind == "policy":
            role = "no call" if each.digest not in bound else "observed only" if bound[each.digest] else "enforced"
        size = len(each.body.encode())
        rows.append((each.kind, each.name, role, each.digest, written(each.at_us, UTC), size, KINDS.get(each.kind, "")))
    return Sheet(
        "documents",
        "Every text that the ledger kept by its hash until the end of the period. Each decision names the ones it "
        "rests on. **A policy that is listed here was not therefore in force**: with a configuration all policies that "
        "it could name are kept, those that come with the tool among them.",
        {
            "kind": "what it is",
            "name": "its name",
            "bound_in_the_period": "of policies: `enforced`, `observed only`, or `no call`",
            "sha256": SHA256,
            "kept_at": "when it was first written down, UTC",
            "bytes": "its length",
            "what_that_is": "the kind in words",
        },
        rows,
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
