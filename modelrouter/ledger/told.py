"""The decisions of booked calls, as far as what they tell of policies goes, a page of the book in memory at a time.

This is the one place that knows in which form `calls.decision` tells them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.assurance.told import Observed, Told, ToldCall, ToldLayer, ToldRefusal
from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.attempts import first_seq_at
from modelrouter.ledger.audit.lines import LARGEST, in_parts, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.session import Column

__all__ = ["told_calls"]

PAGE: Final = 1_000
FIRSTS: Final = f"""SELECT e.seq, e.at_us, c.call_id, c.route, c.decision FROM entries e
    JOIN calls c ON c.call_id = e.call_id
    WHERE e.kind = 'reserve' AND e.call_digest IS NOT NULL AND e.seq > ? ORDER BY e.seq LIMIT {PAGE}"""  # noqa: S608 - our own names


def told_calls(session: Reader, since_us: int, until_us: int = LARGEST) -> Iterator[ToldCall]:
    """Calls whose first attempt was reserved from one moment until another, in their order.

    Args:
        session: in one picture.

    Raises:
        LedgerError: a record cannot be read.
    """
    after = first_seq_at(session, since_us) - 1
    policies = _Policies(session)
    while rows := session.rows(FIRSTS, (after,)):
        attempted = _attempted(session, [row[2] for row in rows])
        for seq, at_us, call_id, route, decision in rows:
            if whole(at_us) >= until_us:
                return
            try:
                told = _told(json.loads(str(decision)), policies)
            except (KeyError, TypeError, ValueError):
                raise LedgerError(
                    f"the decision of call `{call_id}` (line {seq}) cannot be read: see `modelrouter ledger verify`"
                ) from None
            yield ToldCall(str(call_id), whole(at_us), str(route), attempted.get(call_id, ()), told)
        after = whole(rows[-1][0])


def _attempted(session: Reader, calls: Sequence[Column]) -> dict[Column, tuple[str, ...]]:
    """The deployments of each call, in the order of its attempts."""
    found: dict[Column, tuple[str, ...]] = {}
    for marks, part in in_parts(calls):
        sql = f"SELECT call_id, deployment FROM entries WHERE kind = 'reserve' AND call_id IN ({marks}) ORDER BY seq"  # noqa: S608 - ours
        for call_id, deployment in session.rows(sql, part):
            found[call_id] = (*found.get(call_id, ()), str(deployment))
    return found


class _Policies:
    """What the texts of policies say of observing and of waivers, by their digests."""

    def __init__(self, session: Reader) -> None:
        self._session = session
        self._found: dict[str, tuple[bool, dict[str, str]]] = {}

    def get(self, digest: str) -> tuple[bool, dict[str, str]]:
        """Whether a policy only observes, and the rule of each of its waivers."""
        found = self._found.get(digest)
        if found is None:
            rows = self._session.rows("SELECT body FROM documents WHERE digest = ?", (digest,))
            body: dict[str, Any] = json.loads(str(rows[0][0])) if rows else {}
            waivers = {str(each["id"]): str(each["rule"]) for each in body.get("waivers", ())}
            found = self._found[digest] = (bool(body.get("observe")), waivers)
        return found


def _told(record: dict[str, Any], policies: _Policies) -> Told:
    layers = tuple(
        ToldLayer(str(name), str(digest), str(level), policies.get(str(digest))[0])
        for name, digest, level in record["policies"]
    )
    rules = {waiver: rule for each in layers for waiver, rule in policies.get(each.digest)[1].items()}
    waived = [(str(name), str(waiver)) for name, waiver in record["waived"]]
    by_rule = {(name, rules.get(waiver, "")): waiver for name, waiver in waived}
    observed = tuple(
        Observed(str(name), str(policy), str(rule), by_rule.get((str(name), f"{policy}/{rule}"), ""))
        for name, policy, rule in record["observed"]
    )
    idle = {(each.deployment, each.waiver) for each in observed if each.waiver}
    return Told(
        layers=layers,
        permitted=tuple(str(each[0]) for each in record["permitted"]),
        refused={
            str(name): tuple(ToldRefusal(*map(str, each)) for each in refusals)
            for name, refusals in record["refused"].items()
        },
        waived=tuple(each for each in waived if each not in idle),
        observed=observed,
    )
