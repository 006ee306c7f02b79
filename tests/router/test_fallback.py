"""From one candidate to the next: the order, what ends it, and what it may cost and take in time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter import errors
from modelrouter.core.attempts import Billing, FailureKind
from modelrouter.testing import FakeClock, MemoryLedger, failure
from tests.router.played import Played, hello, played, served

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.ports import Call
    from tests.router.played import Turn

UNCERTAIN = failure("timed_out")  # it was sent and nothing came: booked at the bound
BUSY = failure("rate_limited", status=429)
PROMPT = "hi"


def bound_of(router_ledger: MemoryLedger) -> list[int]:
    """The bounds that were reserved, in order."""
    return [each.bound.nano_usd for each in router_ledger.reservations.values()]


def test_candidates_are_tried_in_order_and_failures_are_kept(tmp_path: Path) -> None:
    """The third answers; the reply tells of the two before it, and of what is uncertain."""
    lane, ledger = Played(BUSY, UNCERTAIN, hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        reply = router.complete("ask", PROMPT)
    assert lane.asked == ["a", "b", "c"] == [each.deployment for each in reply.attempts]
    assert [each.billing for each in reply.attempts] == [Billing.UNBILLED, Billing.UNCERTAIN, Billing.BILLED]
    assert reply.cost_nano_usd == bound_of(ledger)[1] + 550
    assert not reply.cost_is_certain
    assert sorted(ledger.resolutions) == sorted(ledger.reservations)


def test_when_all_fail_the_error_has_all_attempts_and_the_money(tmp_path: Path) -> None:
    """Nothing that was tried or spent is lost in the error."""
    ledger = MemoryLedger()
    with (
        played(tmp_path, Played(UNCERTAIN), ledger=ledger) as router,
        pytest.raises(errors.AttemptsExhaustedError) as raised,
    ):
        router.complete("ask", PROMPT)
    error = raised.value
    assert [each.deployment for each in error.attempts] == ["a", "b", "c"]
    assert error.cost_usd == Decimal(sum(bound_of(ledger))) / 10**9
    assert error.call_id is not None
    assert error.decision is not None


def test_an_invalid_request_is_asked_once(tmp_path: Path) -> None:
    """What is wrong everywhere is not repeated elsewhere."""
    lane = Played(failure("invalid_request", status=400))
    with played(tmp_path, lane) as router, pytest.raises(errors.RequestError) as raised:
        router.complete("ask", PROMPT)
    assert lane.asked == ["a"]
    assert len(raised.value.attempts) == 1


def test_a_context_that_nobody_has_says_so(tmp_path: Path) -> None:
    """When every candidate finds the prompt too long, the error names that and nothing else."""
    lane = Played(failure("context_too_long", status=400))
    with (
        played(tmp_path, lane) as router,
        pytest.raises(errors.AttemptsExhaustedError, match="longer than the context"),
    ):
        router.complete("ask", PROMPT)
    assert lane.asked == ["a", "b", "c"]


def test_the_cap_on_attempts_holds_over_all_candidates(tmp_path: Path) -> None:
    """Two attempts are two, however many candidates are left."""
    lane = Played(BUSY)
    with (
        played(tmp_path, lane, route="{try: [a, b, c], attempts_max: 2}") as router,
        pytest.raises(errors.AttemptsExhaustedError),
    ):
        router.complete("ask", PROMPT)
    assert lane.asked == ["a", "b"]


# --- money ------------------------------------------------------------------------------------------------------------


def test_a_ceiling_shortens_the_answer_and_not_below_the_least(tmp_path: Path) -> None:
    """The output limit that is sent is what the ceiling leaves room for, and the bound stays under it."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        whole = router.explain("ask", PROMPT).permitted[0].bound
        router.complete("ask", PROMPT, max_cost_usd=Decimal(whole.nano_usd - 50 * 200) / 10**9)
    assert (whole.max_output_tokens, lane.calls[0].max_output_tokens) == (100, 50)
    assert bound_of(ledger) == [whole.nano_usd - 50 * 200]


def test_a_ceiling_that_leaves_less_than_the_least_refuses(tmp_path: Path) -> None:
    """Nine tokens where ten are the least: refused before anything is sent, saying what it needs."""
    lane = Played(hello())
    with played(tmp_path, lane) as router:
        whole = router.explain("ask", PROMPT).permitted[0].bound.nano_usd
        needed = whole - 90 * 200
        with pytest.raises(errors.CeilingError, match=str(Decimal(needed) / 10**9)):
            router.complete("ask", PROMPT, max_cost_usd=Decimal(needed - 1) / 10**9)
        assert not lane.calls
        router.complete("ask", PROMPT, max_cost_usd=Decimal(needed) / 10**9)
    assert lane.calls[0].max_output_tokens == 10


def test_all_attempts_together_stay_under_the_ceiling(tmp_path: Path) -> None:
    """An uncertain attempt counts at its bound: the next gets what is left, and the third none."""
    lane, ledger = Played(UNCERTAIN), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        whole = router.explain("ask", PROMPT).permitted[0].bound.nano_usd
        ceiling = 2 * whole - 40 * 200
        with pytest.raises(errors.AttemptsExhaustedError) as raised:
            router.complete("ask", PROMPT, max_cost_usd=Decimal(ceiling) / 10**9)
    assert bound_of(ledger) == [whole, whole - 40 * 200]
    assert raised.value.cost_usd == Decimal(ceiling) / 10**9
    assert "c needs" in raised.value.message


def test_a_policy_s_ceiling_holds_over_all_attempts_too(tmp_path: Path) -> None:
    """The lower of the policy's and the call's ceiling is what all attempts share."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "thrifty.yaml").write_text(
        "policy: thrifty\nrules: {request.cost_usd: {max: 0.00023}}\n", encoding="utf-8"
    )
    lane, ledger = Played(UNCERTAIN), MemoryLedger()
    with (
        played(tmp_path, lane, ledger=ledger, top="policies: [thrifty]") as router,
        pytest.raises(errors.AttemptsExhaustedError),
    ):
        router.complete("ask", PROMPT, max_cost_usd="1")
    assert len(bound_of(ledger)) == 2
    assert sum(bound_of(ledger)) <= 230_000


def test_several_choices_are_bounded_together(tmp_path: Path) -> None:
    """Three answers may be three times as long: the bound and the ceiling's room are for all of them."""
    with played(tmp_path, Played(hello())) as router:
        one = router.explain("ask", PROMPT).permitted[0].bound
        three = router.explain("ask", PROMPT, n=3).permitted[0].bound
        assert three.nano_usd == one.nano_usd + 200 * 100 * 2
        tight = router.explain("ask", PROMPT, n=3, max_cost_usd=Decimal(one.nano_usd) / 10**9).permitted[0].bound
    assert tight.max_output_tokens == 33


def test_saved_is_the_baseline_s_price_less_all_that_was_spent(tmp_path: Path) -> None:
    """A failed attempt that may cost something is taken from what was saved; without a baseline nothing is said."""
    deployments = [*served("a", "b"), *served("c", price=("1", "2"))]
    lane, ledger = Played(UNCERTAIN, hello()), MemoryLedger()
    with played(tmp_path, lane, deployments=deployments, ledger=ledger, top="baseline: c") as router:
        reply = router.complete("ask", PROMPT)
    assert reply.saved_nano_usd == (3 * 1000 + 2 * 2000) - reply.cost_nano_usd
    assert reply.saved_nano_usd == sum(row.saved_nano_usd for row in ledger.spend(by="route"))
    with played(tmp_path, Played(hello())) as router:
        assert router.complete("ask", PROMPT).saved_usd is None


# --- time -------------------------------------------------------------------------------------------------------------


def test_the_deadline_ends_the_search(tmp_path: Path) -> None:
    """Time that an attempt used up is not there for the next, and each gets only what is left."""
    clock = FakeClock()

    def slow(call: Call) -> Turn:
        clock.move(6)
        return UNCERTAIN

    lane = Played(slow)
    with played(tmp_path, lane, clock=clock) as router, pytest.raises(errors.DeadlineExceededError) as raised:
        router.complete("ask", PROMPT, timeout_s=10)
    assert [call.timeout_s for call in lane.calls] == [10.0, 4.0]
    assert len(raised.value.attempts) == 2
    assert raised.value.cost_usd


def test_one_attempt_leaves_time_for_the_next(tmp_path: Path) -> None:
    """`timeouts.attempt_s` is what one attempt gets, as long as the deadline leaves it."""
    lane = Played(BUSY, hello())
    route = "{try: [a, b], timeout_s: 30, timeouts: {attempt_s: 20}, retries_max: 0}"
    with played(tmp_path, lane, route=route, clock=FakeClock()) as router:
        router.complete("ask", PROMPT)
        router.complete("ask", PROMPT, timeout_s=5)
    assert [call.timeout_s for call in lane.calls] == [20.0, 20.0, 5.0]


def test_with_nobody_left_the_one_that_asked_for_it_is_waited_for(tmp_path: Path) -> None:
    """The others first; then a wait as long as was asked for, and at most a tenth more."""
    clock = FakeClock()
    later = failure("rate_limited", status=429, retry_after_s=4)
    lane = Played(later, BUSY, BUSY, hello())
    with played(tmp_path, lane, clock=clock, route="{try: [a, b, c], retries_max: 0}") as router:
        reply = router.complete("ask", PROMPT, timeout_s=60)
    assert lane.asked == ["a", "b", "c", "a"]
    assert reply.deployment == "a"
    (slept,) = clock.slept
    assert 4 <= slept <= 4.4


def test_no_wait_goes_past_the_deadline(tmp_path: Path) -> None:
    """A wait that just fits is not lengthened past the deadline, and one that does not fit is not begun."""
    for number in range(20):
        clock = FakeClock()
        lane = Played(failure("rate_limited", status=429, retry_after_s=9.9), hello())
        with played(tmp_path, lane, route="{try: [a]}", clock=clock) as router:
            router.complete("ask", f"{PROMPT} {number}", timeout_s=10)
        assert clock.slept[0] < 10
    clock = FakeClock()
    lane = Played(failure("rate_limited", status=429, retry_after_s=10))
    with (
        played(tmp_path, lane, route="{try: [a]}", clock=clock) as router,
        pytest.raises(errors.AttemptsExhaustedError),
    ):
        router.complete("ask", PROMPT, timeout_s=10)
    assert clock.slept == []


# --- who is out of reach ----------------------------------------------------------------------------------------------


def test_a_wrong_model_is_ejected_until_the_config_is_read_again(tmp_path: Path) -> None:
    """Who answered as somebody else is not asked again, and says why; a reload gives another chance."""
    lane = Played(failure("wrong_model", status=200), hello())
    with played(tmp_path, lane) as router:
        first = router.complete("ask", PROMPT)
        assert first.attempts[0].failure is not None
        assert first.attempts[0].failure.kind is FailureKind.WRONG_MODEL
        assert router.complete("ask", PROMPT).deployment == "b"
        assert router.explain("ask").refusals("a")[0].judgement.reason == "played by a fake"
        router.reload()
        assert router.complete("ask", PROMPT).deployment == "a"


def test_a_missing_key_keeps_a_deployment_out_without_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is called without the key that the config names; it is read anew at each call."""
    lane = Played(hello())
    deployments = served("a", "b")
    deployments[0] = type(deployments[0])("a", deployments[0].base_url, key="KEY_OF_A")
    with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}") as router:
        monkeypatch.delenv("KEY_OF_A", raising=False)
        assert router.complete("ask", PROMPT).deployment == "b"
        monkeypatch.setenv("KEY_OF_A", "now-it-is-there")
        assert router.complete("ask", PROMPT).deployment == "a"


# --- the same everywhere ----------------------------------------------------------------------------------------------


async def test_all_four_ways_of_asking_give_the_same_attempts(tmp_path: Path) -> None:
    """Plain and streamed, sync and async: the same attempts at the same cost, and the same text."""

    def lane() -> Played:
        return Played(BUSY, UNCERTAIN, hello())

    found = []
    async with played(tmp_path, lane()) as router:
        found.append(await router.acomplete("ask", PROMPT))
    async with played(tmp_path, lane()) as router:
        astream = router.astream("ask", PROMPT)
        assert [each.text async for each in astream] == ["hello", " there"]
        assert astream.reply is not None
        found.append(astream.reply)
    with played(tmp_path, lane()) as router:
        found.append(router.complete("ask", PROMPT))
    with played(tmp_path, lane()) as router:
        stream = router.stream("ask", PROMPT)
        assert [each.text for each in stream] == ["hello", " there"]
        assert stream.reply is not None
        found.append(stream.reply)
    facts = [
        [(each.deployment, each.billing, each.cost_nano_usd, each.bound) for each in reply.attempts] for reply in found
    ]
    assert facts[1:] == facts[:1] * 3
    assert {reply.text for reply in found} == {"hello there"}
