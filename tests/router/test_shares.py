"""Share caps as a caller meets them: who is asked instead, what stands in the book, and what errors say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import AttemptsExhaustedError, NoRouteError, Router, ShareCapError
from modelrouter.core.shares import Holding, ShareMode
from modelrouter.ledger import open_ledger
from modelrouter.testing import FakeClock, FakeTransport, ListSink, MemoryLedger, failure, reply
from tests.router.played import Played

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelrouter.core.failure import Failure
    from modelrouter.ports import Call, LedgerStore

SOURCE = "{ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}"
MODEL = "smollm2-135m-instruct"
HARD = "{max: 0.5, of: calls, window: 24h, min_volume: 4, when_alone: permit, because: board 7}"
REFUSE = HARD.replace("permit", "refuse")
SOFT = "{max: 0.5, of: calls, window: 24h, min_volume: 4, mode: soft}"


def config(rule: str, *, observe: bool = False, tags: str = "") -> str:
    """Two vendors of one owner, a third one, and a machine of our own; one policy with one cap."""
    deployments = "\n".join(
        f"  {name}: {{model: {MODEL}, operator: {operator}, hosts: [127.0.0.1], base_url: 'http://127.0.0.1:9/v1', "
        f"name: {MODEL}, processing: [DE], storage: none, retention_days: 0, training: never, context_tokens: 2048, "
        f"bound_basis: documented, source: {SOURCE}, price: {{input_usd_per_mtok: 1, output_usd_per_mtok: 2}}}}"
        for name, operator in (
            ("a", "north"), ("b", "south"), ("c", "east"), ("own", "self, runs_on: none"), ("a2", "north"),
        )
    )  # fmt: skip
    return f"""modelrouter: 1
caller: {{name: Acme GmbH, country: DE, parent_country: DE}}
ledger: sqlite:///book.db
tags: {{data: {{values: [public, personal]}}}}
organisations:
  holding: {{country: DE, parent: none, terms: {{training: never}}, source: the register}}
  north: {{country: DE, parent: holding, terms: {{training: never}}, source: the register}}
  south: {{country: FR, parent: holding, terms: {{training: never}}, source: the register}}
  east: {{country: PL, parent: none, terms: {{training: never}}, source: the register}}
deployments:
{deployments}
policies:
  - {{policy: two, observe: {str(observe).lower()}, {tags} rules: {{vendors.share: {rule}}}}}
routes:
  ask: {{try: [a, b, c], output_tokens: {{default: 16, min: 1}}}}
  near: {{try: [a, b], output_tokens: {{default: 16, min: 1}}}}
  alone: {{try: [a, a2], output_tokens: {{default: 16, min: 1}}}}
  home: {{try: [a, own], output_tokens: {{default: 16, min: 1}}}}
"""


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LedgerStore]:
    """A book in memory, and one in a file."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    found = open_ledger(f"sqlite:///{tmp_path}/book.db", FakeClock())
    yield found
    found.close(5)


def routed(folder: Path, text: str, store: LedgerStore, *turns: Any, **more: Any) -> Router:
    """A Router that answers everything, unless turns say otherwise."""
    path = folder / "modelrouter.yaml"
    path.write_text(text, encoding="utf-8")
    lane = FakeTransport(*(turns or (reply("hello", input_tokens=3, output_tokens=2),)))
    return Router.from_config(path, transports={"direct": lane}, ledger=store, **more)


def answered(router: Router, route: str, count: int) -> list[str]:
    """Who answers so many calls."""
    return [router.complete(route, "hi").deployment for _ in range(count)]


def test_a_hard_cap_moves_calls_to_the_next_candidate(tmp_path: Path, store: LedgerStore) -> None:
    """Half of the least of four calls, then half of all: the two best take turns as their shares allow."""
    with routed(tmp_path, config(HARD), store) as router:
        assert answered(router, "ask", 9) == ["a", "a", "b", "b", "c", "c", "a", "b", "a"]
        last = router.complete("ask", "hi")
    assert (last.deployment, [name for name, _ in last.decision.not_granted]) == ("b", ["a"])
    [(name, refusal)] = last.decision.capped
    assert (name, refusal.demand.vendor, refusal.holding, refusal.needed) == ("a", "north", Holding(4, 0, 9), 1)
    assert "\n  not granted: a: `two/vendors.share` caps operator `north` at 50 %" in last.decision.explain()
    assert last.decision.not_granted[0][1].startswith(
        "`two/vendors.share` caps operator `north` at 50 % of calls over 24h"
    )


def test_several_operators_may_be_one_vendor(tmp_path: Path, store: LedgerStore) -> None:
    """By parent the first two share a cap: the third is asked as soon as they have used it up together."""
    rule = HARD.replace("calls", "calls, by: parent").replace("0.5", "0.75")
    with routed(tmp_path, config(rule), store) as router:
        assert answered(router, "ask", 3) == ["a", "a", "a"]
        found = router.complete("ask", "hi")
    assert (found.deployment, [name for name, _ in found.decision.not_granted]) == ("c", ["a", "b"])
    assert [refusal.demand.vendor for _, refusal in found.decision.capped] == ["holding", "holding"]


def test_nobody_left_is_an_error_that_says_so(tmp_path: Path, store: LedgerStore) -> None:
    """Every candidate is over: no money was spent, and each cap is told with its vendor."""
    with routed(tmp_path, config(REFUSE), store) as router:
        assert answered(router, "alone", 2) == ["a", "a"]
        with pytest.raises(ShareCapError, match=r"every candidate is over a share cap: a: `two/") as caught:
            router.complete("alone", "hi")
    assert isinstance(caught.value, NoRouteError)
    assert caught.value.refusal.demand.vendor == "north"
    assert caught.value.cost_usd == 0
    assert not caught.value.attempts
    assert caught.value.call_id is not None
    assert "a2: `two/vendors.share` caps operator `north`" in caught.value.message
    assert caught.value.decision is not None
    assert caught.value.decision.explain().count("\n  not granted: ") == 2


@pytest.mark.parametrize("rule", [HARD, SOFT])
def test_a_vendor_that_is_alone_goes_on(tmp_path: Path, store: LedgerStore, rule: str) -> None:
    """`when_alone: permit`, and any soft cap: nothing is asked where there is no choice."""
    with routed(tmp_path, config(rule), store) as router:
        assert answered(router, "alone", 6) == ["a"] * 6
        assert router.complete("alone", "hi").decision.capped == ()


def test_what_runs_here_is_a_choice_and_no_vendor(tmp_path: Path, store: LedgerStore) -> None:
    """Our own machine is asked when the vendor is over, has no cap itself, and makes room by what it does."""
    with routed(tmp_path, config(HARD), store) as router:
        assert answered(router, "home", 7) == ["a", "a", "own", "own", "own", "own", "a"]


def test_a_soft_cap_never_refuses(tmp_path: Path, store: LedgerStore) -> None:
    """Whoever is over is tried last; where all are over, or the others fail, the first is asked all the same."""
    turns = (*[reply("hello")] * 4, failure("server_error"), reply("hello"))
    with routed(tmp_path, config(SOFT), store, *turns) as router:
        assert answered(router, "near", 4) == ["a", "a", "b", "b"]
        found = router.complete("near", "hi")
    assert found.text == "hello"
    assert [name for name, refusal in found.decision.capped if refusal.demand.cap.mode is ShareMode.SOFT][:2] == [
        "a",
        "b",
    ]
    assert [attempt.deployment for attempt in found.attempts] == ["a", "b"]
    assert "\n  put off: a: `two/vendors.share` caps operator `north`" in found.decision.explain()


def test_an_error_after_attempts_tells_of_caps_too(tmp_path: Path, store: LedgerStore) -> None:
    """One candidate fails, the other is over its cap: the error has both."""
    turns = (reply("hello"), reply("hello"), failure("server_error"))
    with routed(tmp_path, config(HARD), store, *turns) as router:
        assert answered(router, "near", 2) == ["a", "a"]
        with pytest.raises(AttemptsExhaustedError, match=r"not asked: a: `two/vendors\.share` caps operator `north`"):
            router.complete("near", "hi")


def test_an_observed_cap_is_written_down_and_refuses_nobody(tmp_path: Path) -> None:
    """The call goes where it went; reply, event and book say what the cap would have refused, with its values."""
    store, sink = open_ledger(f"sqlite:///{tmp_path}/book.db", FakeClock()), ListSink()
    with routed(tmp_path, config(HARD, observe=True), store, events=sink) as router:
        assert answered(router, "ask", 3) == ["a", "a", "a"]
        found = router.complete("ask", "hi")
        booked = store.call(found.call_id)
    assert (found.deployment, found.decision.not_granted) == ("a", ())
    [(_, refusal)] = found.decision.capped
    assert refusal.demand.cap.mode is ShareMode.OBSERVED
    assert "\n  observed: a would not have been granted: `two/vendors.share`" in found.decision.explain()
    events = [fields for event, fields in sink.events if event == "share"]
    assert [(each["deployment"], each["mode"], each["rule"]) for each in events] == [
        ("a", "observed", "two/vendors.share")
    ] * 2
    assert booked is not None
    assert json.loads(booked.record.decision)["shares"] == [
        {
            "by": "operator", "deployment": "a", "least": 4, "max": "1/2", "mode": "observed", "needed": 1,
            "of": "calls", "reserved": 0, "rule": "two/vendors.share", "settled": 3, "total": 3, "vendor": "north",
            "window_s": 86_400,
        }
    ]  # fmt: skip


def test_a_cap_binds_by_tags_like_any_rule(tmp_path: Path, store: LedgerStore) -> None:
    """The share is one of everything that is booked; who is asked depends on the policies that bind the request."""
    text = config(HARD, tags="applies_to: {data: [personal]},")
    with routed(tmp_path, text, store) as router:
        free = [router.complete("ask", "hi", tags={"data": "public"}).deployment for _ in range(4)]
        bound = router.complete("ask", "hi", tags={"data": "personal"}).deployment
        unmarked = router.complete("ask", "hi").deployment
    assert (free, bound, unmarked) == (["a"] * 4, "b", "b")


def test_streams_go_by_caps_too(tmp_path: Path, store: LedgerStore) -> None:
    """A stream is reserved like any call."""
    with routed(tmp_path, config(HARD), store) as router:
        assert answered(router, "ask", 2) == ["a", "a"]
        with router.stream("ask", "hi") as stream:
            assert "".join(piece.text for piece in stream)
        assert stream.reply is not None
        assert (stream.reply.deployment, [name for name, _ in stream.reply.decision.capped]) == ("b", ["a"])


def test_explain_names_the_caps(tmp_path: Path, store: LedgerStore) -> None:
    """What is asked later is said beforehand: rule, share, window, and the reason for it."""
    with routed(tmp_path, config(HARD), store) as router:
        text = router.explain("ask", "hi").explain()
    assert (
        "share: two/vendors.share: at most 50 % of calls by operator over 24h (hard), asked when money is reserved; a "
        "vendor that is alone is permitted, because board 7" in text
    )


def test_a_call_without_caps_brings_none(tmp_path: Path) -> None:
    """Where no policy caps a share, nothing is asked of the ledger beside its budgets."""
    seen: list[tuple[object, ...]] = []

    class Watching(MemoryLedger):
        """Notes what reservations bring."""

        def reserve(self, reservation: Any, done: Any) -> None:
            seen.append(reservation.shares)
            super().reserve(reservation, done)

    text = config(HARD).replace("vendors.share: " + HARD, "operator.id: {deny: [alibaba]}")
    with routed(tmp_path, text, Watching()) as router:
        answered(router, "ask", 2)
    assert seen == [(), ()]


def test_a_cap_that_came_with_a_reload_holds_for_the_next_hop(tmp_path: Path, store: LedgerStore) -> None:
    """While a call is at its first candidate the second one's vendor is capped: it is not asked any more."""
    path = tmp_path / "modelrouter.yaml"
    path.write_text(config(HARD.replace("0.5", "0.9")), encoding="utf-8")

    def fails(call: Call) -> Failure:
        assert call.endpoint.deployment == "a"
        path.write_text(config(HARD.replace("0.5", "0.1")), encoding="utf-8")
        router.reload()
        return failure("server_error")

    told = r"not asked: b: .* caps operator `south` at 10 %"
    router = Router.from_config(path, transports={"direct": Played(fails)}, ledger=store)
    with router, pytest.raises(AttemptsExhaustedError, match=told):
        router.complete("near", "hi")
