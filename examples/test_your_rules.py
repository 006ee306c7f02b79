"""Test your own routes, as you would in your own suite: `pytest examples/test_your_rules.py`.

No network, no key and no wait is needed. The config is the one that your program reads; the lane, the clock and the
ledger are fakes of `modelrouter.testing`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router, errors
from modelrouter.testing import FakeClock, FakeTransport, MemoryLedger, after, cut, failure, reply

if TYPE_CHECKING:
    from modelrouter.testing import Script

CONFIG = Path(__file__).with_name("configs") / "your_rules.yaml"
PROMPT = "Where is my order?"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented ones: a deployment without its key would be refused."""
    monkeypatch.setenv("EXAMPLES_MISTRAL_KEY", "invented")
    monkeypatch.setenv("EXAMPLES_AZURE_KEY", "invented")


def scripted(clock: FakeClock, **scripts: list[Script]) -> tuple[Router, FakeTransport]:
    """A Router over a lane that plays these turns; a deployment without any answers `ok`."""
    lane = FakeTransport(scripts=scripts)
    return Router.from_config(CONFIG, transports={"direct": lane}, ledger=MemoryLedger(clock), clock=clock), lane


def asked(lane: FakeTransport) -> list[str]:
    """The deployments that were called, in order."""
    return [call.endpoint.deployment for call in lane.calls]


def test_our_own_machine_comes_first() -> None:
    """As long as it answers, nobody else sees a prompt."""
    router, lane = scripted(FakeClock(), local=[reply("It is on its way.")])
    with router:
        assert router.complete("support", PROMPT).text == "It is on its way."
    assert asked(lane) == ["local"]


@pytest.mark.parametrize("kind", ["server_error", "rate_limited", "unreachable", "refused", "out_of_tokens_empty"])
def test_others_answer_when_it_cannot(kind: str) -> None:
    """Whatever keeps it from answering, the next one is asked, once."""
    router, lane = scripted(FakeClock(), local=[failure(kind)])
    with router:
        assert router.complete("support", PROMPT).deployment == "mistral"
    assert asked(lane) == ["local", "mistral"]


def test_a_request_that_is_wrong_is_not_passed_on() -> None:
    """It would be wrong everywhere, and would be paid for everywhere."""
    router, lane = scripted(FakeClock(), local=[failure("invalid_request", status=400)])
    with router, pytest.raises(errors.RequestError):
        router.complete("support", PROMPT)
    assert asked(lane) == ["local"]


def test_a_slow_one_is_left_after_twenty_seconds() -> None:
    """The fake clock has moved by its limit and by what the next one took; nobody waited for it."""
    clock = FakeClock()
    router, _ = scripted(clock, local=[after(90, reply("late"), clock)], mistral=[after(3, reply("in time"), clock)])
    begun_s = clock.now_s()
    with router:
        assert router.complete("support", PROMPT).text == "in time"
    assert clock.now_s() - begun_s == pytest.approx(23)


def test_a_stream_that_breaks_before_its_first_word_falls_back() -> None:
    """Nothing was shown yet, so somebody else may begin anew."""
    router, lane = scripted(FakeClock(), local=[cut("one two three", 0)], mistral=[reply("four five")])
    with router, router.stream("support", PROMPT) as stream:
        assert "".join(piece.text for piece in stream) == "four five"
    assert asked(lane) == ["local", "mistral"]


def test_a_stream_that_breaks_later_says_what_there_was_and_what_it_cost() -> None:
    """Two words were shown; a second answer after them would be nonsense."""
    router, lane = scripted(FakeClock(), local=[cut("one two three", 2)])
    with router, pytest.raises(errors.StreamBrokenError) as caught, router.stream("support", PROMPT) as stream:
        list(stream)
    assert caught.value.text == "one two"
    assert caught.value.cost_usd
    assert asked(lane) == ["local"]


def test_with_everybody_down_it_fails_with_every_attempt_told() -> None:
    """And each of the three was tried."""
    down: list[Script] = [failure("server_error", status=503)]
    router, lane = scripted(FakeClock(), local=down, mistral=down, gpt=down)
    with router, pytest.raises(errors.AttemptsExhaustedError) as caught:
        router.complete("support", PROMPT)
    assert {each.deployment for each in caught.value.attempts} == {"local", "mistral", "gpt"} == set(asked(lane))
