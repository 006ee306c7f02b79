"""A reload: all of the new config or nothing of it, and what becomes of calls that are under way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import errors
from modelrouter.core.attempts import Billing
from modelrouter.testing import FakeClock, MemoryLedger, failure
from tests.router.configs import write_config
from tests.router.played import Played, hello, played, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelrouter import Router
    from modelrouter.ports import Reservation

PROMPT = "hi"
ROUTE = "  ask: {try: [a, b, c], output_tokens: {default: 100, min: 10}}"
LOST = failure("timed_out")
ASSERTED = "policies: [no-single-vendor]"


def reloading(folder: Path, rewrite: Callable[[], object], ledger: MemoryLedger | None = None) -> tuple[Router, Played]:
    """A Router whose first attempt fails, and whose config is rewritten and read again while it is under way."""

    def reload(call: object) -> Any:
        rewrite()
        router.reload()
        return LOST

    lane = Played(reload, hello())
    router = played(folder, lane, ledger=ledger)
    return router, lane


def test_a_reload_takes_effect_for_the_next_call(tmp_path: Path) -> None:
    """Another order in the file is another order of calls."""
    lane = Played(hello())
    with played(tmp_path, lane) as router:
        router.complete("ask", PROMPT)
        write_config(tmp_path, served("a", "b", "c"), "  ask: {try: [c, a]}")
        router.reload()
        router.complete("ask", PROMPT)
    assert lane.asked == ["a", "c"]


def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    """The error names the place; the old config stays in force, to the last bit."""
    lane = Played(hello())
    with played(tmp_path, lane) as router:
        before = router.setup
        write_config(tmp_path, served("a", "b", "c"), "  ask: {try: [nobody]}")
        with pytest.raises(errors.ConfigError, match="nobody"):
            router.reload()
        assert router.setup is before
        assert router.complete("ask", PROMPT).deployment == "a"


def test_a_config_that_leaves_a_route_to_one_vendor_is_not_taken(tmp_path: Path) -> None:
    """What a policy asserts of routes is proved anew; the config that was proved stays in force, and answers."""
    rented = served("a", "b", more="subprocessor: hetzner")
    lane = Played(hello())
    with played(tmp_path, lane, deployments=[*rented, *served("c")], top=ASSERTED) as router:
        before = router.setup
        write_config(tmp_path, rented, "  ask: {try: [a, b]}", top=ASSERTED)
        with pytest.raises(errors.PolicyError, match="the loss of `hetzner` leaves nobody for `ask`"):
            router.reload()
        assert router.setup is before
        assert router.complete("ask", PROMPT).deployment == "a"


def test_it_is_proved_by_the_clock_of_the_router(tmp_path: Path) -> None:
    """A way out that has retired meanwhile is none for a reload, and takes nobody down who is in force."""
    last = datetime(2027, 3, 31, 12, tzinfo=UTC).timestamp()
    clock, lane = FakeClock(last), Played(hello())
    rented = served("a", more="subprocessor: hetzner")
    leaving = served("b", more="retires_on: 2027-03-31")
    route = "{try: [a, b], output_tokens: {default: 100, min: 10}}"
    with played(tmp_path, lane, deployments=[*rented, *leaving], route=route, top=ASSERTED, clock=clock) as router:
        router.reload()
        clock.move(86_400)
        with pytest.raises(errors.PolicyError, match="the loss of `hetzner`"):
            router.reload()
        assert router.complete("ask", PROMPT).deployment == "a"


def test_a_reload_cannot_move_the_ledger(tmp_path: Path) -> None:
    """Two books in one process would be two truths: refused, and nothing else of the new config is taken."""
    from modelrouter import Router

    path = write_config(tmp_path, served("a"), "  ask: {try: [a]}")
    with Router.from_config(path, transports={"direct": Played(hello())}) as router:
        before = router.setup
        path.write_text(path.read_text(encoding="utf-8").replace("book.db", "other.db"), encoding="utf-8")
        with pytest.raises(errors.ConfigError, match="cannot move the ledger"):
            router.reload()
        assert router.setup is before
    assert not (tmp_path / "other.db").exists()


def test_a_reload_may_bring_a_lane_that_was_not_used_before(tmp_path: Path) -> None:
    """A first deployment on another lane can be called, not only decided on."""
    lane = Played(hello())
    with played(tmp_path, lane) as router:
        router.complete("ask", PROMPT)
        assert router._engine_now is not None
        assert set(router._engine_now.lanes) == {"direct"}
        write_config(tmp_path, served("a", more="lane: litellm"), "  ask: {try: [a]}")
        router.reload()
        assert set(router._engine_now.lanes) == {"direct", "litellm"}
        assert router._engine_now.lanes["direct"] is lane


# --- a call under way -------------------------------------------------------------------------------------------------


def test_a_candidate_that_is_gone_is_not_asked(tmp_path: Path) -> None:
    """The call goes on with those that the new config still has."""
    router, lane = reloading(tmp_path, lambda: write_config(tmp_path, served("a", "c"), "  ask: {try: [a, c]}"))
    with router:
        assert router.complete("ask", PROMPT).deployment == "c"
    assert lane.asked == ["a", "c"]


def test_an_endpoint_that_was_changed_is_not_asked(tmp_path: Path) -> None:
    """The old address is no longer permitted, and the new one was not decided on."""
    changed = served("a", "b", "c")
    changed[1] = type(changed[1])("b", "http://127.0.0.1:10/v1")
    router, lane = reloading(tmp_path, lambda: write_config(tmp_path, changed, ROUTE))
    with router:
        assert router.complete("ask", PROMPT).deployment == "c"
    assert lane.asked == ["a", "c"]


def test_a_dearer_price_is_not_bounded_by_the_old_one(tmp_path: Path) -> None:
    """A bound at yesterday's price is no bound: who became dearer is left out of this call."""
    dearer = [*served("a"), *served("b", price=("5", "20")), *served("c")]
    router, lane = reloading(tmp_path, lambda: write_config(tmp_path, dearer, ROUTE))
    with router:
        assert router.complete("ask", PROMPT).deployment == "c"
    assert lane.asked == ["a", "c"]


def test_a_new_policy_is_asked_before_the_next_hop(tmp_path: Path) -> None:
    """A policy that came in between refuses the rest of the call, by its name."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "elsewhere.yaml").write_text(
        "policy: elsewhere\nrules: {processing.country: {allow: [FR], grade: [technical]}}\n", encoding="utf-8"
    )
    rewrite = lambda: write_config(tmp_path, served("a", "b", "c"), ROUTE, top="policies: [elsewhere]")  # noqa: E731
    router, lane = reloading(tmp_path, rewrite)
    with router, pytest.raises(errors.AttemptsExhaustedError) as raised:
        router.complete("ask", PROMPT)
    assert lane.asked == ["a"]
    assert len(raised.value.attempts) == 1


def test_a_lower_ceiling_counts_what_was_spent_before_it_came(tmp_path: Path) -> None:
    """What the first attempt may have cost and the next bound together are over the new policy's ceiling."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "thrifty.yaml").write_text(
        "policy: thrifty\nrules: {request.cost_usd: {max: 0.00023}}\n", encoding="utf-8"
    )
    ledger = MemoryLedger()
    rewrite = lambda: write_config(tmp_path, served("a", "b", "c"), ROUTE, top="policies: [thrifty]")  # noqa: E731
    router, lane = reloading(tmp_path, rewrite, ledger)
    with router, pytest.raises(errors.AttemptsExhaustedError):
        router.complete("ask", PROMPT)
    assert lane.asked == ["a"]
    assert sum(each.bound.nano_usd for each in ledger.reservations.values()) <= 230_000


def test_a_policy_that_the_call_named_and_that_is_gone_refuses(tmp_path: Path) -> None:
    """What cannot be asked any more does not permit."""
    (tmp_path / "policies").mkdir()
    named = tmp_path / "policies" / "named.yaml"
    named.write_text("policy: named\nrules: {operator.country: {deny: [US]}}\n", encoding="utf-8")
    router, lane = reloading(tmp_path, named.unlink)
    with router, pytest.raises(errors.AttemptsExhaustedError):
        router.complete("ask", PROMPT, policy="named")
    assert lane.asked == ["a"]


def test_a_wrong_answer_to_the_old_config_does_not_eject_the_new(tmp_path: Path) -> None:
    """The entry was mended while its old form was being called: the mended one is asked."""

    def mend(call: object) -> Any:
        router.reload()
        return failure("wrong_model", status=200)

    lane = Played(mend, hello())
    with played(tmp_path, lane) as router:
        assert router.complete("ask", PROMPT).deployment == "b"
        assert router.complete("ask", PROMPT).deployment == "a"


def test_an_endpoint_that_is_not_the_decided_one_is_not_sent_to(tmp_path: Path) -> None:
    """Between two steps of a reload traffic has the new address already, and decisions are still of the old config."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger, route="{try: [a]}") as router:
        changed = [type(each)("a", "http://127.0.0.1:10/v1") for each in served("a")]
        write_config(tmp_path, changed, "  ask: {try: [a]}")
        router._engine().traffic.adopt(router._read(0.0))
        with pytest.raises(errors.ModelRouterError):
            router.complete("ask", PROMPT)
    assert not lane.asked
    assert {each.billing for each in ledger.resolutions.values()} == {Billing.UNBILLED}


def test_a_candidate_that_went_while_its_money_was_waited_for_is_not_asked(tmp_path: Path) -> None:
    """A grant may come late: what was permitted before it is asked again after it, and the money goes back."""

    class LateLedger(MemoryLedger):
        """Grants the first reservation after the config has lost its candidate."""

        def reserve(self, reservation: Reservation, done: Callable[[Exception | None], None]) -> None:
            """Let the config change meanwhile."""
            if not self.reservations:
                write_config(tmp_path, served("a", "b"), "  ask: {try: [b]}")
                router.reload()
            super().reserve(reservation, done)

    ledger = LateLedger()
    lane = Played(hello())
    router = played(tmp_path, lane, ledger=ledger)
    with router:
        assert router.complete("ask", PROMPT).deployment == "b"
    assert lane.asked == ["b"]
    first, second = ledger.resolutions.values()
    assert (first.billing, second.billing) == (Billing.UNBILLED, Billing.BILLED)
