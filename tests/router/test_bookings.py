"""What the record of a call holds: what was read for its decision, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.testing import FakeTransport, MemoryLedger, reply
from tests.router.played import played

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"grounds", "at", "size", "outcome"}


def record(ledger: MemoryLedger) -> dict[str, Any]:
    """The newest."""
    found: dict[str, Any] = json.loads(list(ledger.reservations.values())[-1].call.decision)
    return found


@pytest.mark.parametrize(
    ("route", "options", "more"),
    [
        ("{try: [a, b]}", {}, set()),
        ("{try: [a, b], prefer: latency}", {}, {"latency_s"}),
        ("{try: [a, b]}", {"max_tokens": 7}, {"max_output_tokens"}),
        ("{try: [a, b]}", {"max_cost_usd": "0.5"}, {"ceiling_nano_usd"}),
        ("{try: [a, b]}", {"timeout_s": 9.0, "reasoning": "low"}, {"timeout_s", "reasoning"}),
        ("{try: [a, b]}", {"policy": "baseline"}, {"policies"}),
        ("{try: [a, b]}", {"tags": {"team": "b"}}, {"bound"}),
        ("{try: [a, b]}", {"tags": {}}, {"asleep", "defaults"}),
    ],
)
def test_a_record_holds_what_was_read(tmp_path: Path, route: str, options: dict[str, Any], more: set[str]) -> None:
    """Latencies only where the order goes by them, limits and tags only where there are any, never the prompt."""
    top = (
        "tags: {team: {default: a}}\n"
        "policies: [{policy: as, applies_to: {team: [a]}, rules: {data.training: {allow: [never]}}}]"
    )
    ledger = MemoryLedger()
    with played(tmp_path, FakeTransport(reply("x")), route=route, top=top, ledger=ledger) as router:
        for _ in range(3):
            router.complete("ask", "A secret", **{"tags": {"team": "a"}, **options})
    found = record(ledger)
    assert set(found) - {"output_tokens"} == PLAIN | more
    assert "secret" not in json.dumps(found).lower()
    assert set(found["output_tokens"].values()) == {5}
