"""Who is asked first: shares of a split, sessions that stay, and the cheapest, over many calls of one Router."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from modelrouter.testing import failure
from tests.router.played import Played, hello, played, served

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = "{try: [{split: {a: 70, b: 30}, sticky: session}, c]}"
CALLS = 2000


def test_a_split_shares_calls_by_its_weights(tmp_path: Path) -> None:
    """Seven of ten go to the one with seven tenths, within what chance allows (five standard deviations)."""
    with played(tmp_path, Played(hello()), route=SPLIT) as router:
        found = Counter(
            router.explain("ask", "hi", request_id=f"r-{number}").permitted[0].deployment for number in range(CALLS)
        )
    assert set(found) == {"a", "b"}
    assert abs(found["a"] - 0.7 * CALLS) < 5 * (CALLS * 0.7 * 0.3) ** 0.5


def test_a_session_stays_with_its_deployment_until_that_fails(tmp_path: Path) -> None:
    """Each call of a session begins where the others did; when that one fails, the rest of the split is next."""
    with played(tmp_path, Played(hello()), route=SPLIT) as router:
        homes = {
            session: {router.complete("ask", f"hi {number}", session=session).deployment for number in range(5)}
            for session in ("one", "two", "three", "four", "five", "six", "seven", "eight")
        }
    assert all(len(found) == 1 for found in homes.values())
    assert {name for found in homes.values() for name in found} == {"a", "b"}
    (home,) = homes["one"]
    lane = Played(failure("server_error", status=500), hello())
    with played(tmp_path, lane, route=SPLIT) as router:
        moved = router.complete("ask", "hi", session="one")
    assert lane.asked == [home, moved.deployment]
    assert {home, moved.deployment} == {"a", "b"}


def test_the_same_request_is_decided_the_same_in_every_process(tmp_path: Path) -> None:
    """Two Routers that share nothing put the same request id in the same order."""
    orders = []
    for _ in range(2):
        with played(tmp_path, Played(hello()), route="{try: any}") as router:
            orders.append(
                [
                    [each.deployment for each in router.explain("ask", "hi", request_id=f"r-{number}").permitted]
                    for number in range(50)
                ]
            )
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders[0]}) == 6


def test_cost_follows_the_answers_that_were_seen(tmp_path: Path) -> None:
    """Expected cost goes by observed length: who answers shortly becomes the cheaper one, whatever its list price."""
    deployments = [*served("a", price=("0", "1")), *served("b", price=("0", "0.9"))]
    route = "{try: [a, b], prefer: cost, output_tokens: {default: 1000}}"
    with played(tmp_path, Played(hello()), deployments=deployments, route=route) as router:
        assert router.explain("ask", "hi").permitted[0].deployment == "b"
        router.complete("ask", "hi")
        assert router.explain("ask", "hi").moment.observed_output_tokens == {"b": 2}
        assert router.explain("ask", "hi").permitted[0].deployment == "b"
    with played(
        tmp_path, Played(failure("server_error", status=500), hello()), deployments=deployments, route=route
    ) as router:
        router.complete("ask", "hi")
        assert router.explain("ask", "hi").permitted[0].deployment == "a"


def test_a_count_that_cannot_be_true_teaches_nothing(tmp_path: Path) -> None:
    """A report of fewer than no tokens neither makes a deployment look cheap nor is believed for the cost."""
    from modelrouter.core.pricing import Usage
    from modelrouter.ports import Answer

    plain = hello()
    lane = Played(Answer(plain.message, "stop", Usage(3, -500), plain.body))
    with played(tmp_path, lane) as router:
        reply = router.complete("ask", "hi")
        assert not reply.cost_is_certain
        assert reply.cost_nano_usd == reply.attempts[0].bound.nano_usd
        assert router.explain("ask", "hi").moment.observed_output_tokens == {}
