"""The shipped fakes keep the rules of what they stand for."""

from __future__ import annotations

import inspect
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter import Router, testing
from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance, Budget, Position, Window
from modelrouter.core.failure import RULES, FailureKind, Remedy
from modelrouter.errors import (
    BudgetBusyError,
    BudgetExceededError,
    LedgerUnavailableError,
    ModelRouterError,
    StreamBrokenError,
)
from modelrouter.testing import FakeClock, FakeTransport, MemoryLedger, after, cut, failure, reply
from tests.ledger.builders import START_S, WAIT_S, Heard, StillClock, call_record, reservation, reserve, resolution
from tests.ledger.builders import resolve as resolve_in
from tests.ledger.conformance import LedgerConformance
from tests.router.configs import write_config
from tests.router.played import served
from tests.strategies import everyday

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from modelrouter.core.failure import Failure
    from modelrouter.ports import Reservation, Resolution


class TestMemoryLedger(LedgerConformance):
    """The ledger in memory does what every ledger must."""

    @pytest.fixture
    def store(self) -> Iterator[MemoryLedger]:
        """An empty book whose clock stands at the start."""
        yield MemoryLedger(StillClock(START_S))  # noqa: PT022 - the suite says that a fixture may clean up


def test_spend_by_day_goes_by_the_clock_that_was_given() -> None:
    """Two reservations a day apart stand under their own days, in order."""
    clock = FakeClock(START_S)
    ledger = MemoryLedger(clock)
    reserve(ledger, reservation("r-1", bound_nano_usd=1))
    clock.move(24 * 3600)
    reserve(ledger, reservation("r-2", bound_nano_usd=2))
    found = [(row.group, row.reserved_nano_usd) for row in ledger.spend(by="day")]
    assert found == [("2026-09-21", 1), ("2026-09-22", 2)]


def test_without_a_clock_the_machine_s_own_time_counts() -> None:
    """A book made without a clock still tells yesterday from today."""
    ledger = MemoryLedger()
    reserve(ledger, reservation())
    assert len(ledger.spend(by="day", since_s=START_S - 10**9)) == 1
    assert not ledger.spend(by="day", since_s=10**11)


# --- the scripted lane ------------------------------------------------------------------------------------------------


def scripted(folder: Path, clock: FakeClock, lane: FakeTransport) -> Router:
    """A Router over a scripted lane: a route `ask` of the deployments `a` and `b`, whose attempts take 20 s at most."""
    config = write_config(folder, served("a", "b"), "  ask: {try: [a, b], timeouts: {attempt_s: 20}}")
    return Router.from_config(config, transports={"direct": lane}, ledger=MemoryLedger(clock), clock=clock)


def test_the_example_of_the_docstring_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its test passes under a config that has the route and the deployments that it names."""
    text = inspect.getdoc(testing) or ""
    example = text[text.index("    from modelrouter import Router") : text.index("A **turn**")]
    write_config(tmp_path, served("small", "large"), "  support: {try: [small, large]}")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(compile(textwrap.dedent(example), "modelrouter.testing", "exec"), scope)  # noqa: S102 - that it runs is the point
    scope["test_the_second_answers_when_the_first_is_down"]()


@pytest.mark.parametrize("kind", list(FailureKind), ids=lambda kind: kind.value)
def test_every_kind_of_failure_can_be_played_by_its_name(kind: FailureKind, tmp_path: Path) -> None:
    """What follows is the rule of that kind: the next one answers, or it ends here."""
    lane = FakeTransport(scripts={"a": [failure(kind.value)]})
    with scripted(tmp_path, FakeClock(), lane) as router:
        if RULES[kind].remedy is Remedy.STOP:
            with pytest.raises(ModelRouterError):
                router.complete("ask", "hi")
        else:
            found = router.complete("ask", "hi")
            assert (found.deployment, found.attempts[0].failure and found.attempts[0].failure.kind) == ("b", kind)
    assert len(lane.calls) == (1 if RULES[kind].remedy is Remedy.STOP else 2)


@pytest.mark.parametrize(
    ("played", "is_certain", "costs"),
    [
        (failure("server_error", sent=False), True, False),
        (failure("server_error", status=503), True, False),
        (failure("server_error"), False, True),
    ],
)
def test_what_a_failure_costs_goes_by_how_far_it_came(
    played: Failure, is_certain: bool, costs: bool, tmp_path: Path
) -> None:
    """Nothing where nothing was sent or a status came, else the bound."""
    with scripted(tmp_path, FakeClock(), FakeTransport(scripts={"a": [played]})) as router:
        found = router.complete("ask", "hi")
    assert found.cost_is_certain is is_certain
    assert (found.attempts[0].cost_nano_usd > 0) is costs


def test_a_kind_that_is_none_is_answered_with_all_of_them() -> None:
    """A mistyped name, here or in `cut`, and a mistyped keyword never play something else."""
    for play in (lambda: failure("rate_limit"), lambda: cut("a b", 1, "rate_limit")):
        with pytest.raises(ValueError, match=r"`rate_limit` is no kind of failure: write one of .*rate_limited"):
            play()
    mistyped: Any = {"retry_after": 2}
    with pytest.raises(TypeError, match="retry_after"):
        failure("rate_limited", **mistyped)
    assert failure("rate_limited", retry_after_s=2).retry_after_s == 2


@pytest.mark.parametrize(
    "scripts", [{"small": "hello"}, {"small": reply("hello")}, {"small": []}, {"small": ["hello"]}]
)
def test_what_is_no_script_is_refused_before_anything_plays(scripts: Any) -> None:
    """Text and a bare answer in place of a list, an empty list, and text in place of a turn."""
    with pytest.raises(TypeError, match=r"write .*`\[?reply\("):
        FakeTransport(scripts=scripts)
    default: Any = scripts
    with pytest.raises(TypeError, match="is no turn"):
        FakeTransport(default)


def test_a_turn_after_a_while_moves_the_clock_by_it(tmp_path: Path) -> None:
    """By no more than what the attempt may take, and then it has timed out; functions may give such turns."""
    clock = FakeClock()
    scripts = {"a": [after(20.5, reply("late"), clock)], "b": [after(7, lambda call: reply(call.endpoint.name), clock)]}
    begun_s = clock.now_s()
    with scripted(tmp_path, clock, FakeTransport(scripts=scripts)) as router:
        found = router.complete("ask", "hi")
    assert found.text == "smollm2-135m-instruct"
    assert clock.now_s() - begun_s == pytest.approx(27)
    assert found.attempts[0].failure
    assert found.attempts[0].failure.kind is FailureKind.TIMED_OUT


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("kind", ["truncated", "timed_out", "server_error"])
def test_a_stream_is_cut_after_so_many_pieces(pieces: int, kind: str, tmp_path: Path) -> None:
    """They have been handed out, and the error has them, the kind, and a cost."""
    lane, seen = FakeTransport(scripts={"a": [cut("one two three", pieces, kind)]}), list[str]()
    with scripted(tmp_path, FakeClock(), lane) as router, pytest.raises(StreamBrokenError) as caught:
        seen.extend(piece.text for piece in router.stream("ask", "hi"))
    assert caught.value.text == " ".join(["one", "two", "three"][:pieces])
    assert caught.value.attempts[0].failure
    assert caught.value.attempts[0].failure.kind is FailureKind(kind)
    assert caught.value.cost_usd


def test_a_stream_that_is_cut_before_its_first_piece_falls_back(tmp_path: Path) -> None:
    """Plain or streamed, the next one answers."""
    lane = FakeTransport(reply("four"), scripts={"a": [cut("one two", 0)]})
    with scripted(tmp_path, FakeClock(), lane) as router:
        assert "".join(piece.text for piece in router.stream("ask", "hi")) == "four"
        assert router.complete("ask", "hi").deployment == "b"


# --- budgets ----------------------------------------------------------------------------------------------------------

ALL = Budget("all", 100, Window.TOTAL)


def ledger_with(*budgets: Budget) -> MemoryLedger:
    """A book that goes by these budgets, and whose clock stands."""
    ledger = MemoryLedger(StillClock(START_S))
    ledger.configure(budgets=budgets)
    return ledger


def waiting(name: str, bound: int, wait_s: float = WAIT_S) -> Reservation:
    """A reservation that may wait."""
    return reservation(name, bound_nano_usd=bound, wait_s=wait_s)


def end(name: str, cost: int, billing: Billing = Billing.BILLED) -> Resolution:
    """The end of a reservation at a cost."""
    return resolution(name, billing=billing, cost_nano_usd=cost)


def balance(ledger: MemoryLedger) -> Balance:
    """Where the one budget stands."""
    (position,) = ledger.positions()
    return position.balance


def test_what_does_not_fit_is_refused_as_busy_or_exceeded() -> None:
    """Busy while it is reserved, exceeded once it is spent; the error has the figures."""
    ledger = ledger_with(ALL)
    assert reserve(ledger, reservation("r-1", bound_nano_usd=60)) is None
    busy = reserve(ledger, reservation("r-2", bound_nano_usd=60))
    assert isinstance(busy, BudgetBusyError)
    assert busy.refusal.position == Position(ALL, "", Balance(reserved=60), None)
    resolve_in(ledger, end("r-1", 50))
    exceeded = reserve(ledger, reservation("r-3", bound_nano_usd=51))
    assert isinstance(exceeded, BudgetExceededError)
    assert reserve(ledger, reservation("r-4", bound_nano_usd=50)) is None


def test_all_budgets_or_none() -> None:
    """A refusal by the second budget leaves nothing reserved under the first."""
    ledger = ledger_with(ALL, Budget("small", 10, Window.TOTAL, each="deployment"))
    assert isinstance(reserve(ledger, reservation("r-1", bound_nano_usd=11)), BudgetExceededError)
    assert ledger.positions() == ()


@pytest.mark.parametrize(
    ("cost", "billing", "expected"),
    [
        (30, Billing.BILLED, Balance(settled=30)),
        (75, Billing.BILLED, Balance(settled=60, overrun=15)),
        (60, Billing.UNCERTAIN, Balance(uncertain=60)),
        (0, Billing.UNBILLED, Balance()),
    ],
)
def test_an_end_replaces_what_was_reserved(cost: int, billing: Billing, expected: Balance) -> None:
    """Within the bound it is settled or uncertain, beyond it an overrun."""
    ledger = ledger_with(ALL)
    reserve(ledger, reservation("r-1", bound_nano_usd=60))
    resolve_in(ledger, end("r-1", cost, billing))
    assert (balance(ledger) if ledger.positions() else Balance()) == expected


def test_a_lapsed_lease_is_uncertain_at_the_bound_and_corrected_by_a_late_end() -> None:
    """It may not be acted on any more, and its end is no second end."""
    ledger = ledger_with(ALL)
    reserve(ledger, reservation("r-1", bound_nano_usd=60))
    assert ledger.holds("r-1")
    ledger.lapse()
    assert not ledger.holds("r-1")
    assert balance(ledger) == Balance(uncertain=60)
    assert resolve_in(ledger, end("r-1", 20)) is None
    assert balance(ledger) == Balance(uncertain=60, correction=-40)
    (row,) = ledger.spend(by="deployment")
    assert (row.uncertain_nano_usd, row.correction_nano_usd) == (60, -40)


def test_a_reservation_is_held_until_its_end() -> None:
    """Neither what is over nor what never was may be sent."""
    ledger = ledger_with()
    assert not ledger.holds("r-1")
    reserve(ledger, reservation("r-1"))
    assert ledger.holds("r-1")
    resolve_in(ledger, end("r-1", 1))
    assert not ledger.holds("r-1")


def test_a_budget_that_comes_later_counts_what_its_window_has_spent() -> None:
    """As the real book does: open reservations and old settlements alike."""
    ledger = ledger_with()
    reserve(ledger, reservation("r-1", bound_nano_usd=60))
    resolve_in(ledger, end("r-1", 50))
    reserve(ledger, reservation("r-2", bound_nano_usd=30))
    ledger.configure(budgets=[ALL])
    assert balance(ledger) == Balance(settled=50, reserved=30)


def test_who_waits_is_served_in_order_when_money_comes_back() -> None:
    """First come, first served, each as soon as it fits."""
    ledger = ledger_with(Budget("all", 100, Window.TOTAL, wait_s=WAIT_S))
    reserve(ledger, reservation("r-1", bound_nano_usd=90))
    heard = [Heard() for _ in range(3)]
    for place, ear in enumerate(heard):
        ledger.reserve(waiting(f"w-{place}", 50), ear)
    assert [ear.outcomes for ear in heard] == [[], [], []]
    resolve_in(ledger, end("r-1", 0, Billing.UNBILLED))
    assert [ear.outcomes for ear in heard] == [[None], [None], []]
    resolve_in(ledger, end("w-0", 5))
    assert heard[2].outcomes == []
    resolve_in(ledger, end("w-1", 5))
    assert heard[2].outcomes == [None]


def test_who_has_waited_long_enough_is_told_that_it_is_busy() -> None:
    """The less patient of the two, the budget and the caller, decides."""
    ledger = ledger_with(Budget("all", 100, Window.TOTAL, wait_s=WAIT_S))
    reserve(ledger, reservation("r-1", bound_nano_usd=90))
    ear = Heard()
    ledger.reserve(waiting("w-1", 50, 0.01), ear)
    assert isinstance(ear.outcome(), BudgetBusyError)


def test_closing_answers_who_waits() -> None:
    """Nobody waits for a book that is closed."""
    ledger = ledger_with(Budget("all", 100, Window.TOTAL, wait_s=WAIT_S))
    reserve(ledger, reservation("r-1", bound_nano_usd=90))
    ear = Heard()
    ledger.reserve(waiting("w-1", 50), ear)
    ledger.close(1)
    assert isinstance(ear.outcome(), LedgerUnavailableError)


def test_a_pseudonym_is_the_same_for_the_same_value_alone() -> None:
    """By tag and by book: nobody can compare two books."""
    one, other = MemoryLedger(), MemoryLedger()
    assert one.pseudonym("user", "ann") == one.pseudonym("user", "ann")
    assert len({one.pseudonym("user", "ann"), one.pseudonym("user", "bob"), one.pseudonym("mail", "ann")}) == 3
    assert one.pseudonym("user", "ann") != other.pseudonym("user", "ann")


class Dropping(MemoryLedger):
    """A book in whose middle a stream is dropped, as the garbage collector may find one at any moment."""

    dropped: Resolution | None = None

    def _change(self, *given: object) -> None:
        dropped, self.dropped = self.dropped, None
        if dropped is not None:
            self.resolve(dropped, lambda error: None)
        super()._change(*given)  # type: ignore[arg-type]  # handed on


def test_an_end_in_the_middle_of_something_else_loses_no_amount() -> None:
    """It is written when the other is done, by whoever holds the book."""
    ledger = Dropping(StillClock(START_S))
    ledger.configure(budgets=[ALL])
    reserve(ledger, reservation("r-1", bound_nano_usd=40))
    reserve(ledger, reservation("r-2", bound_nano_usd=40))
    ledger.dropped = end("r-1", 7)
    resolve_in(ledger, end("r-2", 9))
    assert balance(ledger) == Balance(settled=16)


ACTIONS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(["reserve", "settle", "release", "doubt"]), st.integers(0, 60)),
    max_size=40,
)


@everyday(300)
@given(ACTIONS)
def test_whatever_happens_no_budget_is_over_admitted_and_every_sum_is_that_of_its_parts(
    actions: Sequence[tuple[int, str, int]],
) -> None:
    """Against an account that knows nothing of budgets: what each reservation has come to, added up one by one."""
    budgets = [ALL, Budget("each", 45, Window.DAY, each="tag.team", only={"route": frozenset({"support"})})]
    ledger = ledger_with(*budgets)
    parts: dict[str, tuple[str, str, int]] = {}
    for number, action, amount in actions:
        name, team = f"r-{number}", f"t{number % 3}"
        if action == "reserve":
            call = call_record(f"c-{number}", tags={"team": team})
            if reserve(ledger, reservation(name, call=call, bound_nano_usd=amount)) is None:
                parts[name] = (team, "reserved", amount)
        elif parts.get(name, ("", "", 0))[1] == "reserved":
            most = parts[name][2]
            kind, cost, state = {
                "settle": (Billing.BILLED, min(amount, most), "settled"),
                "release": (Billing.UNBILLED, 0, "settled"),
                "doubt": (Billing.UNCERTAIN, most, "uncertain"),
            }[action]
            assert resolve_in(ledger, end(name, cost, kind)) is None
            parts[name] = (team, state, cost)
        found = {(each.budget.name, each.scope): each.balance for each in ledger.positions()}
        assert found.get(("all", ""), Balance()) == summed(parts.values())
        for one in ("t0", "t1", "t2"):
            assert found.get(("each", one), Balance()) == summed(part for part in parts.values() if part[0] == one)
        assert all(each.balance.used <= each.budget.limit_nano_usd for each in ledger.positions())


def summed(parts: Iterable[tuple[str, str, int]]) -> Balance:
    """What these reservations have come to."""
    sums = {"settled": 0, "uncertain": 0, "reserved": 0}
    for _, state, amount in parts:
        sums[state] += amount
    return Balance(**sums)


def test_many_threads_never_over_admit() -> None:
    """Eight threads reserve and settle at once; every balance that was seen is within the limit."""
    ledger = ledger_with(Budget("all", 500, Window.TOTAL, wait_s=WAIT_S))
    seen: list[int] = []

    def work(who: int) -> None:
        for number in range(40):
            name = f"{who}-{number}"
            ear = Heard()
            ledger.reserve(waiting(name, 90), ear)
            assert ear.outcome() is None
            seen.append(balance(ledger).used)
            resolve_in(ledger, end(name, 1))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 320
    assert max(seen) <= 500
    assert balance(ledger) == Balance(settled=320)
