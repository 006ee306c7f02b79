"""What the book tells of decisions is what the decisions told, on both stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from modelrouter.core.assurance import told_of
from modelrouter.ledger import open_ledger
from modelrouter.ledger.told import told_calls
from modelrouter.router.outside import SystemClock
from modelrouter.testing import FakeClock, FakeTransport, failure, reply
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelrouter.core.assurance import ToldCall

WATCHFUL = """\
policy: watchful
observe: true
rules:
  operator.country: {deny: [US]}
  data.retention_days: {max: 0}
waivers:
  - {id: W-1, rule: watchful/data.retention_days, subject: dear, because: a trial, owner: dpo, expires: 2999-01-31}
"""
CONFIG = TWO_ROUTES.replace("policies: [baseline]", "policies: [baseline, watchful, strict]")
STRICT = "policy: strict\nrules:\n  operator.id: {deny: [mistral]}\n"


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a book that is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'modelrouter.db'}"
    found: str = request.getfixturevalue("book_url")
    return found


def read(ledger: str, since_us: int = 0, until_us: int = 2**62) -> Sequence[ToldCall]:
    """What the book tells."""
    book = open_ledger(ledger, SystemClock(), create=False)
    try:
        with book.reading() as session:
            return list(told_calls(session, since_us, until_us))
    finally:
        book.close(5.0)


def test_the_book_tells_what_was_decided(ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers, candidates, refusals and what was only observed, with the deployments of all attempts in order."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    (tmp_path / "policies").mkdir()
    for name, text in (("watchful", WATCHFUL), ("strict", STRICT)):
        (tmp_path / "policies" / f"{name}.yaml").write_text(text, encoding="utf-8")
    path = tmp_path / "modelrouter.yaml"
    path.write_text(f"ledger: '{ledger}'\n{CONFIG}", encoding="utf-8")
    clock = FakeClock()
    lane = FakeTransport(scripts={"dear": [failure("server_error", status=503), reply("b"), reply("c")]})
    told = []
    with Router.from_config(path, transports={"direct": lane}, clock=clock) as router:
        for route in ("both", "closed", "both"):
            answer = router.complete(route, "Hello")
            attempted = tuple(each.deployment for each in answer.attempts)
            told.append((answer.call_id, route, attempted, told_of(answer.decision)))
            clock.move(60.0)
    found = read(ledger)
    assert [(each.call_id, each.route, each.attempted, each.told) for each in found] == told
    watched = {(each.deployment, each.rule, each.waiver) for each in found[0].told.observed}
    assert ("dear", "operator.country", "") in watched
    assert ("dear", "data.retention_days", "W-1") in watched
    assert [layer.policy for layer in found[0].told.layers if layer.observe] == ["watchful"]
    assert [each.call_id for each in read(ledger, found[1].at_us, found[2].at_us)] == [told[1][0]]
