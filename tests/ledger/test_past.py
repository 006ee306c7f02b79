"""Old requests of a book, decided again from it: the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter import errors
from modelrouter.config.grounds import grounds_of
from modelrouter.core.replay import Change, Regime, compare
from modelrouter.ledger import open_ledger
from modelrouter.ledger.decisions import rederive
from modelrouter.ledger.past import PastCalls
from modelrouter.ledger.tag_keys import pseudonyms
from modelrouter.router.outside import SystemClock
from modelrouter.testing import FakeTransport, failure, reply
from tests.router.played import played

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_requests_come_back_with_what_became_of_them(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """An answer, a fallback, one that all failed, and refused ones: order, costs, usage and counts are the book's."""
    url = f"sqlite:///{tmp_path}/own.db" if kind == "sqlite" else str(request.getfixturevalue("book_url"))
    bad = failure("server_error", status=503)
    lane = FakeTransport(
        scripts={
            "a": [reply("x"), bad, bad],
            "b": [reply("y", input_tokens=7, output_tokens=3), bad],
            "c": [bad],
        }
    )
    top = "tags: {user: {personal: true}}"
    route = "{try: [a, b, c], retries_max: 0, output_tokens: {default: 100}}"
    ledger = open_ledger(url, SystemClock())
    with played(tmp_path, lane, route=route, top=top, ledger=ledger) as router:
        first = router.complete("ask", "One", request_id="order-1", tags={"user": "ann"})
        second = router.complete("ask", "Two", temperature=0.1)
        with pytest.raises(errors.AttemptsExhaustedError):
            router.complete("ask", "Three")
        for _ in range(3):
            with pytest.raises(errors.CeilingError):
                router.complete("ask", "Four", max_cost_usd="0.0000001")
        setup = router.setup
    reader = open_ledger(url, SystemClock())
    with reader.reading() as session:
        calls = PastCalls(session)
        found = list(calls)
        explained = [rederive(session, known_as) for known_as in ("order-1", second.call_id)]
        assert list(PastCalls(session, route="other")) == []
        (stands_for,) = pseudonyms(session, "user", ["ann"])
        assert pseudonyms(session, "team", ["ann"]) == {}
    reader.close(5)
    assert (calls.left_out, calls.unlike) == ({}, 0)
    answered, fell_back, failed, *refused = found
    assert answered.recorded.request.tags == {"user": stands_for}
    assert (answered.order, answered.answered) == (("a", "b", "c"), "a")
    assert answered.cost_nano_usd == int(first.cost_usd * 10**9)
    assert (fell_back.answered, fell_back.usage and fell_back.usage.input_tokens) == ("b", 7)
    assert (failed.answered, failed.order) == ("", ("a", "b", "c"))
    assert sum(each.count for each in refused) == 3
    assert all(each is not None and each.faults == () and each.decision is not None for each in explained)
    regime = Regime(grounds_of(setup))
    changes = [compare(each, regime).change for each in found]
    assert set(changes[:3]) == {Change.SAME}
    assert set(changes[3:]) == {Change.STILL_REFUSED}
