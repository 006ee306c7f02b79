"""Limits, health, keys and retry budgets in front of real routing: who is asked, who waits, and what is said of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from modelrouter import errors
from modelrouter.core.attempts import FailureKind
from modelrouter.ports import StreamEnd
from modelrouter.testing import FakeClock, MemoryLedger, failure
from tests.router.played import HANGS, Played, hello, in_flight, piece, played, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelrouter.core.failure import Failure
    from modelrouter.ports import Answer, Call
    from tests.router.played import Turn

PROMPT = "hi"
DOWN = failure("server_error", status=503)
BUSY = failure("rate_limited", status=429)


class Gate(Played):
    """A lane whose calls stay until they are let go, and that counts how many are there at once."""

    def __init__(self) -> None:
        super().__init__(hello())
        self.most = self.inside = 0
        self.gate = asyncio.Event()

    async def send(self, call: Call) -> Answer | Failure:
        """Stay until the gate opens."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.gate.wait()
        self.inside -= 1
        return await super().send(call)


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what holds is a count of a fake, which tells nobody
            await asyncio.sleep(0)


# --- limits -----------------------------------------------------------------------------------------------------------


async def test_no_more_calls_are_under_way_than_may_be_and_all_are_answered(tmp_path: Path) -> None:
    """Fifty at once, two at a time: the others wait for their turn, and nothing is left behind."""
    lane = Gate()
    async with played(
        tmp_path, lane, deployments=served("a", more="limits: {max_in_flight: 2}"), route="{try: [a]}"
    ) as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(50)]
        await until(lambda: lane.inside == 2)
        lane.gate.set()
        replies = await asyncio.gather(*calls)
        assert in_flight(router) == {}
    assert len(replies) == 50
    assert lane.most == 2


async def test_another_candidate_comes_before_a_line(tmp_path: Path) -> None:
    """Who is full is passed by; only with nobody else left does anybody wait."""
    lane = Gate()
    deployments = [*served("a", more="limits: {max_in_flight: 1}"), *served("b")]
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}") as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(3)]
        await until(lambda: lane.inside == 3)
        assert in_flight(router) == {"a": 1, "b": 2}
        lane.gate.set()
        replies = await asyncio.gather(*calls)
    assert Counter(reply.deployment for reply in replies) == {"a": 1, "b": 2}
    assert all(len(reply.attempts) == 1 for reply in replies)


@pytest.mark.parametrize("queue", [0, 1])
async def test_one_more_than_the_line_holds_is_refused_at_once(tmp_path: Path, queue: int) -> None:
    """Nothing was sent or booked for it, and it says that later is better."""
    lane, ledger = Gate(), MemoryLedger()
    limits = f"limits: {{max_in_flight: 1, max_queue: {queue}}}"
    async with played(
        tmp_path, lane, deployments=served("a", more=limits), route="{try: [a]}", ledger=ledger
    ) as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(1 + queue)]
        await until(lambda: lane.inside == 1)
        with pytest.raises(errors.OverloadedError, match="try again later: a: ") as raised:
            await router.acomplete("ask", PROMPT)
        assert raised.value.attempts == ()
        assert len(ledger.reservations) == 1
        lane.gate.set()
        await asyncio.gather(*calls)


async def test_waiting_for_room_ends_with_the_deadline(tmp_path: Path) -> None:
    """It fails about when its time is over, and leaves the line."""
    lane = Gate()
    deployments = served("a", more="limits: {max_in_flight: 1}")
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        first = asyncio.ensure_future(router.acomplete("ask", PROMPT))
        await until(lambda: lane.inside == 1)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(errors.OverloadedError, match="1 calls are under way, of at most 1"):
            await router.acomplete("ask", PROMPT, timeout_s=0.2)
        assert 0.15 < asyncio.get_running_loop().time() - begun < 5
        lane.gate.set()
        await first
        assert (await router.acomplete("ask", PROMPT)).deployment == "a"


async def test_a_clock_that_stands_still_does_not_hold_a_line_for_ever(tmp_path: Path) -> None:
    """With a fake clock, too, waiting for a call that does not end is over after its time."""
    lane = Gate()
    deployments = served("a", more="limits: {max_in_flight: 1}")
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}", clock=FakeClock()) as router:
        first = asyncio.ensure_future(router.acomplete("ask", PROMPT))
        await until(lambda: lane.inside == 1)
        async with asyncio.timeout(10):
            with pytest.raises(errors.OverloadedError):
                await router.acomplete("ask", PROMPT, timeout_s=0.1)
        lane.gate.set()
        await first


async def test_who_gives_up_in_the_line_leaves_it(tmp_path: Path) -> None:
    """A cancelled call holds nobody up."""
    lane = Gate()
    deployments = served("a", more="limits: {max_in_flight: 1}")
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(3)]
        await until(lambda: lane.inside == 1)
        calls[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[1]
        lane.gate.set()
        await asyncio.gather(calls[0], calls[2])
        assert in_flight(router) == {}


def test_a_minute_s_requests_hold_without_a_429(tmp_path: Path) -> None:
    """The third waits until the first is a minute ago; with less time than that it is refused, saying when."""
    clock, lane = FakeClock(), Played(hello())
    deployments = served("a", more="limits: {requests_per_minute: 2}")
    with played(tmp_path, lane, deployments=deployments, route="{try: [a]}", clock=clock) as router:
        begun_s = clock.now_s()
        router.complete("ask", PROMPT)
        router.complete("ask", PROMPT)
        with pytest.raises(errors.OverloadedError, match="2 of at most 2 requests a minute") as raised:
            router.complete("ask", PROMPT, timeout_s=10)
        assert raised.value.retry_after_s is not None
        assert 0 < raised.value.retry_after_s <= 61
        router.complete("ask", PROMPT)
        assert clock.now_s() - begun_s >= 60
    assert len(lane.calls) == 3


def test_a_minute_s_tokens_hold_too(tmp_path: Path) -> None:
    """Counted at the bound while it is under way, and at its input and output limit afterwards."""
    clock, lane = FakeClock(), Played(hello())
    deployments = served("a", more="limits: {tokens_per_minute: 300}")
    route = "{try: [a], output_tokens: {default: 100}}"
    with played(tmp_path, lane, deployments=deployments, route=route, clock=clock) as router:
        router.complete("ask", PROMPT)  # 3 + 100
        with pytest.raises(errors.OverloadedError, match="tokens a minute"):
            router.complete("ask", PROMPT, timeout_s=1, max_tokens=199)
        router.complete("ask", PROMPT, timeout_s=1, max_tokens=50)


@pytest.mark.parametrize("how", ["to its end", "closed", "dropped", "broken"])
async def test_a_stream_has_its_room_until_it_ends(tmp_path: Path, how: str) -> None:
    """While somebody reads it nobody else is let in; however it ends, its room is free again."""
    pieces: Turn = [piece("a"), failure("truncated") if how == "broken" else StreamEnd(hello())]
    lane = Played(pieces)
    deployments = served("a", more="limits: {max_in_flight: 1}")
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        stream = router.astream("ask", PROMPT)
        assert (await anext(stream)).text == "a"
        assert in_flight(router) == {"a": 1}
        with pytest.raises(errors.OverloadedError):
            await anext(router.astream("ask", PROMPT, timeout_s=0.05))
        if how == "closed":
            await stream.aclose()
        elif how == "broken":
            with pytest.raises(errors.StreamBrokenError):
                await anext(stream)
        elif how == "to its end":
            assert [each async for each in stream] == []
        del stream
        await until(lambda: in_flight(router) == {})
    assert len(lane.calls) == 1


async def test_a_burst_is_shared_by_all_that_are_full(tmp_path: Path) -> None:
    """Lines of two deployments grow alike: neither stands idle while the other has one."""
    lane = Gate()
    deployments = served("a", "b", more="limits: {max_in_flight: 2}")
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}") as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(40)]
        await until(lambda: lane.inside == 4)
        lane.gate.set()
        replies = await asyncio.gather(*calls)
    counted = Counter(reply.deployment for reply in replies)
    assert counted["a"] == counted["b"] == 20


async def test_a_call_under_way_survives_a_reload_with_fewer_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reports to what it began under, and the new count of what is under way is right."""
    lane = Gate()
    deployments = served("a", more=with_keys(monkeypatch))
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(2)]
        await until(lambda: lane.inside == 2)
        file = tmp_path / "modelrouter.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace(', "env:KEY_TWO"', ""), encoding="utf-8")
        router.reload()
        assert in_flight(router) == {"a": 2}
        lane.gate.set()
        await asyncio.gather(*calls)
        assert in_flight(router) == {}
        await router.acomplete("ask", PROMPT)
    assert [key_of(call) for call in lane.calls] == ["one", "two", "one"]


# --- keys -------------------------------------------------------------------------------------------------------------


def with_keys(monkeypatch: pytest.MonkeyPatch) -> str:
    """Two keys of one deployment, as YAML."""
    monkeypatch.setenv("KEY_ONE", "one")
    monkeypatch.setenv("KEY_TWO", "two")
    return 'key: ["env:KEY_ONE", "env:KEY_TWO"]'


def key_of(call: Call) -> str | None:
    """The key that a call was made with."""
    return None if call.endpoint.key is None else call.endpoint.key.read()


def test_keys_are_used_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other."""
    lane = Played(hello())
    deployments = served("a", more=with_keys(monkeypatch))
    with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        for _ in range(4):
            router.complete("ask", PROMPT)
    assert [key_of(call) for call in lane.calls] == ["one", "two", "one", "two"]


@pytest.mark.parametrize(
    "refused",
    [failure("unauthorized", status=401), failure("quota_exhausted", status=402), failure("rate_limited", status=429)],
)
def test_a_refused_key_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Failure) -> None:
    """The other one is tried at once, at the same deployment, and then alone; nobody falls back."""

    def turn(call: Call) -> Turn:
        return refused if key_of(call) == "one" else hello()

    lane = Played(turn)
    deployments = [*served("a", more=with_keys(monkeypatch)), *served("b")]
    with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}", clock=FakeClock()) as router:
        replies = [router.complete("ask", PROMPT) for _ in range(3)]
        assert router.explain("ask").moment.unhealthy == {}
    assert {reply.deployment for reply in replies} == {"a"}
    assert [key_of(call) for call in lane.calls] == ["one", "two", "two", "two"]


def test_with_no_key_left_the_deployment_is_tried_last_and_still_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health orders and permits nobody and refuses nobody."""
    lane = Played(failure("unauthorized", status=401))
    deployments = [*served("a", more=with_keys(monkeypatch)), *served("b")]
    with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}", clock=FakeClock()) as router:
        for _ in range(2):
            with pytest.raises(errors.AttemptsExhaustedError):
                router.complete("ask", PROMPT)
        decision = router.explain("ask")
    assert lane.asked == ["a", "a", "b", "a", "b"]
    assert [each.deployment for each in decision.permitted] == ["a", "b"]
    assert "no key of it is in use (it was not accepted)" in decision.explain()


# --- health -----------------------------------------------------------------------------------------------------------


def test_a_deployment_that_fails_is_tried_last_until_it_has_proved_itself(tmp_path: Path) -> None:
    """Five failures in a row; five seconds alone; then two calls prove it, and the order is what it was."""
    clock, is_down = FakeClock(), True

    def turn(call: Call) -> Turn:
        return DOWN if is_down and call.endpoint.deployment == "a" else hello()

    lane = Played(turn)
    with played(tmp_path, lane, route="{try: [a, b]}", clock=clock) as router:
        first = [router.complete("ask", PROMPT).attempts[0].deployment for _ in range(7)]
        assert first == ["a"] * 5 + ["b"] * 2
        assert "5 failures in a row; left alone for 5 s more" in router.explain("ask").explain()
        is_down = False
        clock.move(5)
        assert [router.complete("ask", PROMPT).deployment for _ in range(3)] == ["a"] * 3
        assert router.explain("ask").moment.unhealthy == {}


def test_a_429_is_a_full_house_and_no_illness(tmp_path: Path) -> None:
    """It is held back as long as it asked, in the order alone, and no breaker opens."""
    clock = FakeClock()
    full = failure("rate_limited", status=429, retry_after_s=7)
    lane = Played(full, hello())
    with played(tmp_path, lane, route="{try: [a, b]}", clock=clock) as router:
        assert router.complete("ask", PROMPT).deployment == "b"
        assert router.complete("ask", PROMPT).attempts[0].deployment == "b"
        assert router.explain("ask").moment.unhealthy == {"a": "it is full, and asked to be left alone for 7 s more"}
        clock.move(7)
        assert router.complete("ask", PROMPT).deployment == "a"


def test_who_alone_is_held_back_is_waited_for(tmp_path: Path) -> None:
    """Another request of the same process waits, too, instead of asking a full house."""
    clock = FakeClock()
    lane = Played(failure("rate_limited", status=429, retry_after_s=7), hello())
    with played(tmp_path, lane, route="{try: [a]}", clock=clock) as router:
        with pytest.raises(errors.AttemptsExhaustedError):
            router.complete("ask", PROMPT, timeout_s=5)
        assert clock.slept == []
        router.complete("ask", PROMPT, timeout_s=60)
        assert 7 <= sum(clock.slept) <= 7.7
    assert len(lane.calls) == 2


@pytest.mark.parametrize("kind", ["content_filtered", "context_too_long", "refused", "portability"])
def test_what_a_request_brings_along_is_nobody_s_illness(tmp_path: Path, kind: str) -> None:
    """A hundred prompts that one does not take leave its place in the order."""
    lane = Played(lambda call: failure(kind, status=400) if call.endpoint.deployment == "a" else hello())
    with played(tmp_path, lane, route="{try: [a, b]}") as router:
        for _ in range(30):
            router.complete("ask", PROMPT)
        assert router.explain("ask").moment.unhealthy == {}


def test_a_caller_in_a_hurry_makes_nobody_ill(tmp_path: Path) -> None:
    """A deadline far below what an attempt may take says something about the caller."""
    lane = Played(failure("timed_out"))
    with played(tmp_path, lane, route="{try: [a]}", clock=FakeClock()) as router:
        for _ in range(20):
            with pytest.raises(errors.AttemptsExhaustedError):
                router.complete("ask", PROMPT, timeout_s=0.5)
        assert router.explain("ask").moment.unhealthy == {}
        for _ in range(5):
            with pytest.raises(errors.AttemptsExhaustedError):
                router.complete("ask", PROMPT)
        assert "a" in router.explain("ask").moment.unhealthy


async def test_a_half_open_deployment_gets_no_herd(tmp_path: Path) -> None:
    """Of fifty at once two try it; the others go where it is well."""
    clock, lane = FakeClock(), Gate()
    lane.gate.set()
    async with played(tmp_path, lane, route="{try: [a, b], retries_max: 0}", clock=clock) as router:
        lane._turns.clear()
        lane._turns.append(lambda call: DOWN if call.endpoint.deployment == "a" else hello())
        for _ in range(5):
            await router.acomplete("ask", PROMPT)
        clock.move(5)
        lane.gate.clear()
        lane.calls.clear()
        calls = [asyncio.ensure_future(router.acomplete("ask", PROMPT)) for _ in range(50)]
        await until(lambda: lane.inside == 50)
        assert in_flight(router) == {"a": 2, "b": 48}
        lane.gate.set()
        assert {reply.deployment for reply in await asyncio.gather(*calls)} == {"b"}


# --- retry budgets ----------------------------------------------------------------------------------------------------


def test_with_everything_down_a_thousand_requests_cause_little_more(tmp_path: Path) -> None:
    """A fifth more and the minimum of each, whatever retries and fallbacks the route would allow."""
    clock, lane = FakeClock(), Played(DOWN)
    with played(tmp_path, lane, route="{try: [a, b, c]}", clock=clock) as router:
        for _ in range(1000):
            with pytest.raises(errors.AttemptsExhaustedError):
                router.complete("ask", PROMPT)
        passed_s = sum(clock.slept)
    assert len(lane.calls) <= 1000 + 1000 * 0.2 + 3 * (10 + 10 * passed_s / 60)
    assert len(lane.calls) > 1000


def test_an_outage_of_one_does_not_eat_the_budget_of_another(tmp_path: Path) -> None:
    """A thousand requests while the first is down: all are answered by the second."""
    lane = Played(lambda call: DOWN if call.endpoint.deployment == "a" else hello())
    with played(tmp_path, lane, route="{try: [a, b]}", clock=FakeClock()) as router:
        assert {router.complete("ask", PROMPT).deployment for _ in range(1000)} == {"b"}


def test_what_a_deadline_cuts_short_is_paid_for_and_says_nothing_of_health(tmp_path: Path) -> None:
    """Everything hangs beyond the deadline: the second is asked as its budget allows, and is not called ill."""
    lane = Played(failure("timed_out"))
    with played(tmp_path, lane, route="{try: [a, b], retries_max: 0}", clock=FakeClock()) as router:
        for _ in range(100):
            with pytest.raises(errors.ModelRouterError):
                router.complete("ask", PROMPT, timeout_s=1)
        decision = router.explain("ask", PROMPT)
    assert Counter(lane.asked) == {"a": 100, "b": 10}  # ten in a minute that time alone gives; `a` goes on being first
    assert "tried last" not in decision.explain()


async def test_a_sudden_fallback_of_everybody_waits_rather_than_fails(tmp_path: Path) -> None:
    """Five hundred at once fall onto a deployment that nobody knows yet; all are answered."""
    lane = Played(lambda call: DOWN if call.endpoint.deployment == "a" else hello())
    async with played(tmp_path, lane, route="{try: [a, b]}") as router:
        replies = await asyncio.gather(*(router.acomplete("ask", PROMPT) for _ in range(500)))
    assert {reply.deployment for reply in replies} == {"b"}


def test_a_failure_that_may_pass_is_tried_again_after_a_pause(tmp_path: Path) -> None:
    """Half a second at most before the first retry, and at least its half; each failure is in the reply."""
    clock, lane = FakeClock(), Played(DOWN, DOWN, hello())
    with played(tmp_path, lane, route="{try: [a]}", clock=clock) as router:
        reply = router.complete("ask", PROMPT)
    assert len(reply.attempts) == 3
    first_s, second_s = clock.slept
    assert 0.25 <= first_s <= 0.5 <= second_s <= 1.0


# --- time -------------------------------------------------------------------------------------------------------------


def test_each_limit_of_time_is_the_lower_of_deployment_and_route_else_the_general(tmp_path: Path) -> None:
    """Four limits, each apart."""
    lane = Played(hello())
    deployments = served("a", more="timeouts: {connect_s: 1, first_token_s: 7, attempt_s: 90}")
    route = "{try: [a], timeouts: {connect_s: 2, first_token_s: 6}}"
    with played(tmp_path, lane, deployments=deployments, route=route, top="timeouts: {between_chunks_s: 5}") as router:
        router.complete("ask", PROMPT, timeout_s=200)
    (call,) = lane.calls
    assert (call.connect_s, call.first_token_s, call.between_chunks_s, call.timeout_s) == (1, 6, 5, 90)


def test_a_plain_call_is_streamed_on_the_wire_where_the_deployment_says_so(tmp_path: Path) -> None:
    """The caller sees a plain reply, and the first content has been timed and feeds the order by latency."""
    clock = FakeClock()
    whole = hello()

    def turn(_call: Call) -> Turn:
        clock.move(2)
        return [piece(), piece("hello"), piece(" there"), StreamEnd(whole)]

    lane = Played(turn)
    deployments = served("a", more="wire_stream: always")
    with played(tmp_path, lane, deployments=deployments, route="{try: [a]}", clock=clock) as router:
        reply = router.complete("ask", PROMPT)
        assert (reply.text, reply.cost_nano_usd) == ("hello there", 550)
        assert lane.closed == 1
        assert router.explain("ask").moment.first_token_s == {"a": 2.0}
        assert in_flight(router) == {}


def test_a_plain_call_that_breaks_on_the_wire_falls_back_and_is_booked(tmp_path: Path) -> None:
    """Nothing was handed out, so the next one answers; what was cut is uncertain."""
    lane = Played([piece("hel"), failure("truncated", status=200)], hello())
    deployments = [*served("a", more="wire_stream: always"), *served("b")]
    with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}") as router:
        reply = router.complete("ask", PROMPT)
    assert [each.failure and each.failure.kind for each in reply.attempts] == [FailureKind.TRUNCATED, None]
    assert not reply.cost_is_certain


def test_a_plain_call_on_the_wire_has_its_whole_time_and_no_more(tmp_path: Path) -> None:
    """Content that never ends is cut at the attempt's limit, and the stream let go of."""
    lane = Played([piece("one"), HANGS], hello())
    deployments = [*served("a", more="wire_stream: always, timeouts: {attempt_s: 0.2}"), *served("b")]
    with played(tmp_path, lane, deployments=deployments, route="{try: [a, b]}") as router:
        reply = router.complete("ask", PROMPT)
    assert reply.deployment == "b"
    assert reply.attempts[0].failure is not None
    assert reply.attempts[0].failure.kind is FailureKind.TIMED_OUT
    assert lane.closed == 1


def test_latency_orders_streams_by_their_first_content(tmp_path: Path) -> None:
    """Who begins soonest comes first for a stream, who ends soonest for a plain call."""
    clock = FakeClock()

    def turn(call: Call) -> Turn:
        is_a = call.endpoint.deployment == "a"
        clock.move(1 if is_a else 3)

        return [piece("x"), StreamEnd(hello())]

    lane = Played(turn)
    route = "{try: [b, a], prefer: latency}"
    with played(tmp_path, lane, deployments=served("a", "b"), route=route, clock=clock) as router:
        for _ in range(4):
            with router.stream("ask", PROMPT) as stream:
                assert list(stream)
    assert set(lane.asked[:2]) == {"a", "b"}
    assert lane.asked[2:] == ["a", "a"]


def test_a_reload_gives_everybody_another_chance_and_keeps_count_of_what_is_under_way(tmp_path: Path) -> None:
    """What was ill may have been mended; limits are those of the new file."""
    lane = Played(DOWN)
    with played(tmp_path, lane, route="{try: [a], retries_max: 0}", clock=FakeClock()) as router:
        for _ in range(5):
            with pytest.raises(errors.AttemptsExhaustedError):
                router.complete("ask", PROMPT)
        assert router.explain("ask").moment.unhealthy
        router.reload()
        assert router.explain("ask").moment.unhealthy == {}
