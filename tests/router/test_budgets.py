"""Budgets as a caller meets them: who falls under which, cheaper candidates, waiting, errors that say what to do."""

from __future__ import annotations

import asyncio
import copy
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import BudgetBusyError, BudgetError, BudgetExceededError, Router, errors
from modelrouter.core.attempts import Billing, FailureKind, Phase
from modelrouter.core.money import usd_from_nano
from modelrouter.ports import StreamEnd
from modelrouter.testing import FakeClock, ListSink, MemoryLedger, failure
from tests.router.configs import write_config
from tests.router.played import HANGS, SOON_S, Played, hello, piece, played, served

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from modelrouter.core.budget import Budget
    from modelrouter.ports import Answer, Call, Reservation

ONE = "{try: [a], output_tokens: {default: 100, min: 10}}"
ASK = "hi"


def under(folder: Path, lane: Played, budgets: str, *, route: str = ONE, tags: str = "", **more: Any) -> Router:
    """A Router with budgets, given as the lines below `budgets:`."""
    lines = "\n".join(f"  {line}" for line in budgets.splitlines())
    return played(folder, lane, route=route, top=f"{tags}\nbudgets:\n{lines}".strip(), **more)


def bound_of(folder: Path) -> int:
    """The most that one call may cost, in nano-dollars."""
    with played(folder, Played(hello()), route=ONE) as router:
        return router.explain("ask", ASK).permitted[0].bound.nano_usd


def usd(nano_usd: int) -> str:
    """An amount as it is written in a config."""
    return f"{usd_from_nano(nano_usd):f}"


class Gated(Played):
    """A lane whose every call waits until the test lets it answer; `arrived` has the gate of each in order."""

    def __init__(self) -> None:
        super().__init__(hello())
        self.arrived: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def send(self, call: Call) -> Answer:
        """Answer when the gate of this call is opened."""
        self.calls.append(call)
        gate = asyncio.Event()
        self.arrived.put_nowait(gate)
        await gate.wait()
        return hello()

    async def next_gate(self) -> asyncio.Event:
        """The gate of the next call that has arrived, or will."""
        async with asyncio.timeout(SOON_S):
            return await self.arrived.get()


class Noticing(MemoryLedger):
    """A book that says when somebody is let wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = asyncio.Event()

    def reserve(self, reservation: Reservation, done: Callable[[Exception | None], None]) -> None:
        """Reserve, or let it wait."""
        super().reserve(reservation, done)
        if reservation.wait_s:
            self.waits.set()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_spent_budget_is_an_error_that_says_everything(tmp_path: Path) -> None:
    """Budget, scope, limit, spent, needed, reset in the budget's own time, and what to do; nothing is sent."""
    lane, ledger, clock = Played(hello()), MemoryLedger(FakeClock()), FakeClock()
    most = bound_of(tmp_path)
    budgets = f"team: {{usd: {usd(most)}, window: day, tz: Asia/Kolkata, each: tag.team}}"
    with under(tmp_path, lane, budgets, tags="tags: {team: {}}", ledger=ledger, clock=clock) as router:
        router.complete("ask", ASK, tags={"team": "billing"})
        with pytest.raises(BudgetExceededError) as raised:
            router.complete("ask", ASK, tags={"team": "billing"})
        router.complete("ask", ASK, tags={"team": "sales"})
    error = raised.value
    assert len(lane.calls) == 2
    refusal = error.refusal
    assert (refusal.position.budget.name, refusal.position.scope) == ("team", "billing")
    assert (refusal.needed_nano_usd, refusal.position.balance.settled, refusal.is_busy) == (most, 550, False)
    for words in (
        "budget `team` for tag.team `billing` is spent",
        f"${usd(most)} needed",
        f"limit ${usd(most)} (day)",
        "spent $0.00000055, of which uncertain $0, reserved $0",
        "it resets at 2027-01-16T00:00:00+05:30",
        "`modelrouter budget apply`",
    ):
        assert words in error.message
    assert error.decision is not None
    assert error.call_id
    assert error.attempts == ()
    assert copy.copy(error).refusal == refusal


async def test_reserved_is_not_spent(tmp_path: Path) -> None:
    """While a call holds the money the budget is busy, which is worth another try; afterwards there is room."""
    lane = Gated()
    budgets = f"all: {{usd: {usd(bound_of(tmp_path) + 550)}, window: total}}"
    with under(tmp_path, lane, budgets) as router:
        first = asyncio.create_task(router.acomplete("ask", ASK))
        gate = await lane.next_gate()
        with pytest.raises(BudgetBusyError, match=r"is held by calls under way: .*`when_reserved: \{wait_s: 5\}`"):
            await router.acomplete("ask", ASK)
        gate.set()
        await first
        second = asyncio.create_task(router.acomplete("ask", ASK))
        (await lane.next_gate()).set()
        assert (await second).text == "hello there"


def test_a_budget_that_no_call_fits_into_says_so(tmp_path: Path) -> None:
    """Waiting for the next window would not help."""
    with (
        under(tmp_path, Played(hello()), "all: {usd: 0.000000001, window: day}") as router,
        pytest.raises(BudgetExceededError, match=r"is smaller than this call may cost.*fewer output tokens"),
    ):
        router.complete("ask", ASK)


def test_errors_of_budgets_have_one_base() -> None:
    """One `except` is enough for whoever does not care which of the two it was."""
    assert issubclass(BudgetBusyError, BudgetError)
    assert issubclass(BudgetExceededError, BudgetError)


def test_what_was_tried_before_is_told_with_its_cost(tmp_path: Path) -> None:
    """A failure that may have been billed took the money that the next candidate would have needed."""
    most = bound_of(tmp_path)
    lane = Played(failure("timed_out"))
    with (
        under(
            tmp_path, lane, f"all: {{usd: {usd(most)}, window: total}}", route=ONE.replace("[a]", "[a, b]")
        ) as router,
        pytest.raises(BudgetExceededError, match=r"^b: budget `all`.*tried before \(cost so far .*a timed_out") as told,
    ):
        router.complete("ask", ASK)
    assert [attempt.deployment for attempt in told.value.attempts] == ["a"]
    assert told.value.cost_usd == Decimal(usd(most))


# --- who falls under what ---------------------------------------------------------------------------------------------


def test_a_cheaper_candidate_that_fits_is_used(tmp_path: Path) -> None:
    """The route's order is kept, and a budget without room for the first means the next."""
    lane = Played(hello())
    dear = served("a", price=("5", "20"))
    budgets = f"all: {{usd: {usd(2 * bound_of(tmp_path))}, window: total}}"
    with under(tmp_path, lane, budgets, route="{try: [a, b], output_tokens: {default: 100, min: 10}}",
               deployments=[*dear, *served("b", "c")]) as router:  # fmt: skip
        assert router.complete("ask", ASK).deployment == "b"
    assert lane.asked == ["b"]


def test_a_budget_of_one_deployment_leaves_the_others_alone(tmp_path: Path) -> None:
    """`only` covers what it names and nothing else."""
    lane = Played(hello())
    with under(
        tmp_path, lane, "a: {usd: 0, window: day, only: {deployment: [a]}}", route=ONE.replace("[a]", "[a, b]")
    ) as router:
        assert router.complete("ask", ASK).deployment == "b"


def test_the_developer_of_the_model_and_tags_with_their_defaults_are_booked(tmp_path: Path) -> None:
    """Budgets by developer count the maker of the weights; a default stands in for a tag that is left out."""
    ledger = MemoryLedger()
    tags = "tags: {team: {default: nobody}, user: {personal: true}}"
    budgets = "maker: {usd: 1, window: day, each: developer}\nteam: {usd: 1, window: day, each: tag.team}"
    with under(tmp_path, Played(hello()), budgets, tags=tags, ledger=ledger) as router:
        router.complete("ask", ASK)
        found = {(each.budget.name, each.scope): each.balance.settled for each in router.budgets()}
        assert found == {("maker", "huggingface"): 550, ("team", "nobody"): 550}


def test_personal_values_are_booked_as_keyed_hashes(tmp_path: Path) -> None:
    """The same person is the same account, two persons are two, and neither name is in the book."""
    ledger = MemoryLedger()
    most = bound_of(tmp_path)
    budgets = f"user: {{usd: {usd(most + 100)}, window: day, each: tag.user}}"
    with under(tmp_path, Played(hello()), budgets, tags="tags: {user: {personal: true}}", ledger=ledger) as router:
        router.complete("ask", ASK, tags={"user": "ann@example.org"})
        with pytest.raises(BudgetExceededError) as raised:
            router.complete("ask", ASK, tags={"user": "ann@example.org"})
        router.complete("ask", ASK, tags={"user": "bob@example.org"})
    values = [each.call.tags["user"] for each in ledger.reservations.values()]
    assert len(set(values)) == 2
    assert all(len(value) == 25 and value.startswith("~") for value in values)
    assert "ann" not in raised.value.message
    assert ledger.pseudonym("user", "ann@example.org") == values[0]


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_a_call_waits_for_money_that_comes_back(tmp_path: Path) -> None:
    """With `wait_s` the second call goes through as soon as the first is settled."""
    lane = Gated()
    budgets = f"all: {{usd: {usd(bound_of(tmp_path) + 550)}, window: total, when_reserved: {{wait_s: 60}}}}"
    ledger = Noticing()
    with under(tmp_path, lane, budgets, ledger=ledger) as router:
        calls = [asyncio.create_task(router.acomplete("ask", ASK)) for _ in range(2)]
        gate = await lane.next_gate()
        await ledger.waits.wait()
        assert len(ledger.reservations) == 1
        gate.set()
        (await lane.next_gate()).set()
        assert [reply.text for reply in await asyncio.gather(*calls)] == ["hello there"] * 2


async def test_a_wait_ends_with_the_deadline_and_says_busy(tmp_path: Path) -> None:
    """The budget would wait a minute; the caller has a tenth of a second."""
    lane = Gated()
    budgets = f"all: {{usd: {usd(bound_of(tmp_path))}, window: total, when_reserved: {{wait_s: 60}}}}"
    with under(tmp_path, lane, budgets) as router:
        first = asyncio.create_task(router.acomplete("ask", ASK))
        gate = await lane.next_gate()
        async with asyncio.timeout(SOON_S):
            with pytest.raises(BudgetBusyError, match="try again later"):
                await router.acomplete("ask", ASK, timeout_s=0.1)
        gate.set()
        await first


async def test_whoever_stops_waiting_leaves_no_money_behind(tmp_path: Path) -> None:
    """A cancelled call that is granted after all is released at once."""
    lane = Gated()
    budgets = f"all: {{usd: {usd(bound_of(tmp_path) + 550)}, window: total, when_reserved: {{wait_s: 60}}}}"
    ledger = Noticing()
    with under(tmp_path, lane, budgets, ledger=ledger) as router:
        first = asyncio.create_task(router.acomplete("ask", ASK))
        gate = await lane.next_gate()
        second = asyncio.create_task(router.acomplete("ask", ASK))
        await ledger.waits.wait()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first
        (position,) = router.budgets()
    assert len(ledger.resolutions) == len(ledger.reservations) == 2
    assert (position.balance.reserved, position.balance.settled) == (0, 550)
    assert len(lane.calls) == 1


# --- leases -----------------------------------------------------------------------------------------------------------


class Lapsing(MemoryLedger):
    """A book whose first leases have lapsed by the time their reservations are granted."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def reserve(self, reservation: Reservation, done: Callable[[Exception | None], None]) -> None:
        """Reserve, and let some time pass."""
        super().reserve(reservation, done)
        if self.times:
            self.times -= 1
            self.lapse()


@pytest.mark.parametrize("stream", [False, True])
def test_a_lapsed_lease_is_reserved_anew_before_anything_is_sent(tmp_path: Path, stream: bool) -> None:
    """One call reaches the server, under the second reservation; the first is released and corrected to nothing."""
    lane = Played([piece("hello"), piece(" there"), StreamEnd(hello())]) if stream else Played(hello())
    ledger = Lapsing(1)
    with under(tmp_path, lane, "all: {usd: 1, window: total}", ledger=ledger) as router:
        if stream:
            with router.stream("ask", ASK) as pieces:
                assert "".join(each.text for each in pieces) == "hello there"
            reply = pieces.reply
        else:
            reply = router.complete("ask", ASK)
        (position,) = router.budgets()
    assert reply is not None
    assert len(lane.calls) == 1
    first = reply.attempts[0].failure
    assert first is not None
    assert (first.kind, first.phase) == (FailureKind.TIMED_OUT, Phase.NOT_SENT)
    assert [each.billing for each in ledger.resolutions.values()] == [Billing.UNBILLED, Billing.BILLED]
    assert position.balance.spent == 550
    assert position.balance.reserved == 0


def test_two_lapsed_leases_refuse_the_candidate(tmp_path: Path) -> None:
    """Whoever stands still for so long does not send; the next candidate may."""
    lane = Played(hello())
    with under(
        tmp_path, lane, "all: {usd: 1, window: total}", route=ONE.replace("[a]", "[a, b]"), ledger=Lapsing(2)
    ) as router:
        assert router.complete("ask", ASK).deployment == "b"
    lane = Played(hello())
    with (
        under(tmp_path, lane, "all: {usd: 1, window: total}", ledger=Lapsing(9)) as router,
        pytest.raises(errors.AttemptsExhaustedError, match="lease"),
    ):
        router.complete("ask", ASK)
    assert lane.calls == []


# --- beginning, reload, end -------------------------------------------------------------------------------------------


class Told(MemoryLedger):
    """A book that remembers which budgets it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[list[str]] = []

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Remember their names."""
        self.told.append([each.name for each in budgets])
        super().configure(budgets=budgets)


def test_the_book_is_told_the_budgets_at_the_beginning_and_with_each_reload(tmp_path: Path) -> None:
    """A reload puts a lower limit in force at once; what was spent before counts under it."""
    ledger, events = Told(), ListSink()
    lane = Played(hello())
    with under(tmp_path, lane, "all: {usd: 1, window: day}", ledger=ledger, events=events) as router:
        router.complete("ask", ASK)
        config = tmp_path / "modelrouter.yaml"
        config.write_text(
            config.read_text().replace(
                "all: {usd: 1, window: day}", "all: {usd: 1, window: day}\n  low: {usd: 0.000001, window: day}"
            )
        )
        router.reload()
        with pytest.raises(BudgetExceededError, match="budget `low`") as raised:
            router.complete("ask", ASK)
    assert ledger.told == [["all"], ["all", "low"]]
    assert raised.value.refusal.position.balance.settled == 550
    began = [fields for event, fields in events.events if event == "budget"]
    assert [fields["budget"] for fields in began] == ["all", "all", "low"]
    assert "every process on this machine that uses" in str(began[0]["reach"])
    assert began[0]["routes"] == ["ask"]


def test_a_reload_that_is_refused_leaves_the_budgets_alone(tmp_path: Path) -> None:
    """All or nothing, as for everything else in a config."""
    ledger = Told()
    with under(tmp_path, Played(hello()), "all: {usd: 1, window: day}", ledger=ledger) as router:
        router.complete("ask", ASK)
        config = tmp_path / "modelrouter.yaml"
        config.write_text(config.read_text().replace("window: day", "window: fortnight"))
        with pytest.raises(errors.ConfigError):
            router.reload()
        assert router.complete("ask", ASK).text == "hello there"
    assert ledger.told == [["all"]]


def test_where_budgets_stand_is_known_before_anything_is_spent(tmp_path: Path) -> None:
    """A budget over everything has its row at once; one that is kept apart has rows as scopes appear."""
    tags = "tags: {team: {}}"
    budgets = "all: {usd: 1, window: total}\nteam: {usd: 1, window: 24h, each: tag.team}"
    with under(tmp_path, Played(hello()), budgets, tags=tags) as router:
        assert [(each.budget.name, each.scope, each.balance.used) for each in router.budgets()] == [("all", "", 0)]
        router.complete("ask", ASK, tags={"team": "x"})
        assert [(each.budget.name, each.scope, each.balance.used) for each in router.budgets()] == [
            ("all", "", 550),
            ("team", "x", 550),
        ]


def test_a_window_that_is_over_gives_its_money_back(tmp_path: Path) -> None:
    """By the store's clock, at the moment of the reservation."""
    clock = FakeClock()
    budgets = f"day: {{usd: {usd(bound_of(tmp_path))}, window: day}}"
    with under(tmp_path, Played(hello()), budgets, ledger=MemoryLedger(clock), clock=clock) as router:
        router.complete("ask", ASK)
        with pytest.raises(BudgetExceededError):
            router.complete("ask", ASK)
        clock.move(86_400)
        router.complete("ask", ASK)


async def test_a_stream_holds_its_money_until_it_ends(tmp_path: Path) -> None:
    """What is reserved for a stream is busy while it is read, and what a dropped one may have cost is uncertain."""
    lane = Played([piece("hello"), HANGS])
    ledger = MemoryLedger()
    budgets = f"all: {{usd: {usd(bound_of(tmp_path))}, window: total}}"
    with under(tmp_path, lane, budgets, ledger=ledger) as router:
        async with router.astream("ask", ASK) as stream:
            assert (await anext(stream)).text == "hello"
            with pytest.raises(BudgetBusyError):
                await router.acomplete("ask", ASK)
        with pytest.raises(BudgetExceededError, match="of which uncertain"):
            await router.acomplete("ask", ASK)
        (position,) = router.budgets()
    assert position.balance.uncertain == position.budget.limit_nano_usd


def test_an_answer_whose_settlement_cannot_be_written_is_still_given(tmp_path: Path) -> None:
    """The book fails after the reservation: the caller gets what was paid for, and the reservation stands."""
    ledger = MemoryLedger()

    def break_the_book(call: Call) -> Answer:
        ledger.fault = errors.LedgerUnavailableError("the disk is full")
        return hello()

    with under(tmp_path, Played(break_the_book), "all: {usd: 1, window: total}", ledger=ledger) as router:
        assert router.complete("ask", ASK).text == "hello there"
        (position,) = router.budgets()
    assert position.balance.reserved > 0
    assert position.balance.settled == 0


# --- the real book ----------------------------------------------------------------------------------------------------


def over_sqlite(folder: Path, lane: Played, budgets: str) -> Router:
    """A Router whose book is the file of its config."""
    config = write_config(folder, served("a"), f"  ask: {ONE}", top=f"budgets: {{{budgets}}}")
    return Router.from_config(config, transports={"direct": lane}, close_timeout_s=SOON_S)


def test_another_definition_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """Two processes that disagree about a limit would both be right: the second is told what to run."""
    with over_sqlite(tmp_path, Played(hello()), "all: {usd: 1, window: month}") as router:
        router.complete("ask", ASK)
    lane = Played(hello())
    with (
        over_sqlite(tmp_path, lane, "all: {usd: 2, window: month}") as router,
        pytest.raises(errors.BudgetMismatchError, match="`modelrouter budget apply`"),
    ):
        router.complete("ask", ASK)
    assert lane.calls == []
    with over_sqlite(tmp_path, lane, "all: {usd: 1, window: month}") as router:
        assert router.complete("ask", ASK).text == "hello there"


def test_the_child_of_a_fork_goes_by_the_same_budgets(tmp_path: Path) -> None:
    """It opens the book as a writer of its own, and what its parent has spent counts."""
    with over_sqlite(
        tmp_path, Played(hello()), f"all: {{usd: {usd(bound_of(tmp_path) + 100)}, window: total}}"
    ) as router:
        router.complete("ask", ASK)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                router.complete("ask", ASK)
            except BudgetExceededError as error:
                code = 0 if error.refusal.position.balance.settled == 550 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_money_of_another_process_is_waited_for_too(tmp_path: Path) -> None:
    """Two Routers, as in two processes, on one file: the second waits for what the first has set aside."""
    budgets = f"all: {{usd: {usd(bound_of(tmp_path) + 550)}, window: total, when_reserved: {{wait_s: 60}}}}"
    slow, quick = Gated(), Played(hello())
    with over_sqlite(tmp_path, slow, budgets) as one, over_sqlite(tmp_path, quick, budgets) as other:
        first = asyncio.create_task(one.acomplete("ask", ASK))
        gate = await slow.next_gate()
        second = asyncio.create_task(other.acomplete("ask", ASK))
        done, _ = await asyncio.wait([second], timeout=0.2)
        assert not done
        gate.set()
        async with asyncio.timeout(SOON_S):
            assert [reply.text for reply in await asyncio.gather(first, second)] == ["hello there"] * 2
        (position,) = await asyncio.to_thread(other.budgets)
    assert position.balance.settled == 1100
    assert quick.asked == ["a"]
