"""Awaiting a ledger: wake-ups, cancellation, closed loops."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.errors import AlreadyResolvedError, DuplicateRequestError, LedgerUnavailableError
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.waiting import Waiting, reserve_durably, reserved, resolved
from modelrouter.ledger.wakeups import ask, grouped
from tests.ledger.builders import StillClock, call_record, reservation, resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelrouter.core.budget import Position
    from modelrouter.ports import Committed, LedgerStore, Reservation, Resolution, SpendRow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """An empty book."""
    store = SqliteLedger(tmp_path / "book.db", StillClock())
    yield store
    store.close(5)


class HandStore:
    """A store whose outcomes a test gives by hand."""

    def __init__(self) -> None:
        self.waiting: list[Committed] = []
        self.released: list[str] = []

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Keep the callback."""
        self.waiting.append(done)

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Note the release."""
        self.released.append(resolution.reservation_id)
        if done is not None:
            done(None)

    def configure(self, *, budgets: object) -> None:
        """Nothing."""

    def holds(self, reservation_id: str) -> bool:
        """All of them."""
        return True

    def positions(self) -> tuple[Position, ...]:
        """Nothing."""
        return ()

    def pseudonym(self, tag: str, value: str) -> str:
        """The value itself."""
        return value

    def remember(self, documents: object) -> None:
        """Nothing."""

    def note_refused(self, refused: object, done: Committed) -> None:
        """Nothing."""

    def spend(self, *, by: str, since_s: float | None = None) -> tuple[SpendRow, ...]:
        """Nothing."""
        return ()

    def close(self, timeout_s: float) -> None:
        """Nothing."""

    def abandon(self) -> None:
        """Nothing."""


RELEASE = resolution("r-1", billing=Billing.UNBILLED)


async def test_an_entry_is_durable_when_the_wait_is_over(ledger: SqliteLedger) -> None:
    """After `reserved` the book has it reserved, after `resolved` settled."""
    await reserved(ledger, reservation("r-1", bound_nano_usd=5))
    assert ledger.totals().reserved_nano_usd == 5
    await resolved(ledger, resolution("r-1", cost_nano_usd=4))
    assert ledger.totals().settled_nano_usd == 4


async def test_refusals_are_raised_where_they_are_awaited(ledger: SqliteLedger) -> None:
    """Each waiter gets its own error."""
    await reserved(ledger, reservation("r-1", call=call_record("a", request_id="q")))
    with pytest.raises(DuplicateRequestError):
        await reserved(ledger, reservation("r-2", call=call_record("b", request_id="q")))
    await resolved(ledger, resolution("r-1"))
    with pytest.raises(AlreadyResolvedError):
        await resolved(ledger, resolution("r-1"))
    ledger.close(5)
    with pytest.raises(LedgerUnavailableError):
        await reserved(ledger, reservation("r-3"))


async def test_64_waiters_share_few_commits_and_one_wakeup_each(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 tasks with 8 reservations each: the loop is woken once a commit, and commits are a fraction of entries."""
    loop = asyncio.get_running_loop()
    wakes = 0
    genuine = loop.call_soon_threadsafe

    def counted(*arguments: object, **keywords: object) -> asyncio.Handle:
        nonlocal wakes
        wakes += 1
        return genuine(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)

    async def work(name: int) -> None:
        for number in range(8):
            await reserved(ledger, reservation(f"{name}-{number}"))

    await asyncio.gather(*(work(name) for name in range(64)))
    assert ledger.totals().attempts == 512
    assert wakes <= ledger.commits
    assert ledger.commits <= 512 // 4


def test_several_loops_may_wait_at_once(ledger: SqliteLedger) -> None:
    """Loops in four threads, two after another in each: all waiters are told on their own loop."""
    faults: list[BaseException] = []

    async def work(name: str) -> None:
        await asyncio.gather(*(reserved(ledger, reservation(f"{name}-{number}")) for number in range(20)))

    def run(name: int) -> None:
        try:
            asyncio.run(work(f"{name}-a"))
            asyncio.run(work(f"{name}-b"))
        except BaseException as error:  # noqa: BLE001 - carried to the test's thread
            faults.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert ledger.totals().attempts == 160


async def _started(store: LedgerStore) -> asyncio.Task[None]:
    task = asyncio.create_task(reserve_durably(store, reservation("r-1"), if_late=RELEASE))
    await asyncio.sleep(0)
    return task


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_grant_after_cancellation_is_released() -> None:
    """The task is gone when the commit comes: exactly one release."""
    store = HandStore()
    await _cancelled(await _started(store))
    assert store.released == []
    store.waiting[0](None)
    assert store.released == ["r-1"]


async def test_a_grant_between_commit_and_wakeup_is_released() -> None:
    """The commit came, the loop was not told yet, and the task is cancelled: exactly one release."""
    store = HandStore()
    task = await _started(store)
    thread = threading.Thread(target=store.waiting[0], args=(None,))
    thread.start()
    thread.join()
    await _cancelled(task)
    await asyncio.sleep(0)
    assert store.released == ["r-1"]


async def test_a_grant_between_delivery_and_resumption_is_released() -> None:
    """The future has its result, the task has not run yet and is cancelled: exactly one release."""
    store = HandStore()
    made: list[Waiting] = []

    async def wait() -> None:
        made.append(Waiting(lambda done: store.reserve(reservation(), done)))
        await made[0].outcome(lambda: store.resolve(RELEASE, lambda _: None))

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    store.waiting[0](None)
    made[0].deliver()
    await _cancelled(task)
    assert store.released == ["r-1"]


async def test_a_refusal_after_cancellation_releases_nothing() -> None:
    """What was never granted is not released."""
    store = HandStore()
    await _cancelled(await _started(store))
    store.waiting[0](LedgerUnavailableError("full"))
    assert store.released == []


async def test_a_told_waiter_releases_nothing() -> None:
    """A task that got its grant keeps it, also when it is cancelled later."""
    store = HandStore()
    task = await _started(store)
    store.waiting[0](None)
    await task
    task.cancel()
    await asyncio.sleep(0)
    assert store.released == []


def test_a_grant_for_a_loop_that_was_closed_is_released() -> None:
    """A loop that is closed with its tasks never delivers: the late grant is released by whoever brings it."""
    store = HandStore()
    loop = asyncio.new_event_loop()
    task = loop.create_task(_started(store))
    inner = loop.run_until_complete(task)
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(inner)
    loop.close()
    store.waiting[0](None)
    assert store.released == ["r-1"]


def test_a_grant_for_a_coroutine_that_is_thrown_away_is_released() -> None:
    """A loop closed in the middle leaves a suspended coroutine; when it goes, its grant goes back."""
    store = HandStore()
    loop = asyncio.new_event_loop()
    waits: list[Callable[[], object]] = []

    async def begin() -> None:
        coroutine = reserve_durably(store, reservation(), if_late=RELEASE)
        coroutine.send(None)
        waits.append(coroutine.close)

    loop.run_until_complete(begin())
    loop.close()
    store.waiting[0](None)
    assert store.released == []
    waits[0]()
    assert store.released == ["r-1"]


async def test_cancelled_waits_never_leave_money_behind(ledger: SqliteLedger) -> None:
    """200 reservations, every other task cancelled at some moment: at the end each is either told or released."""
    kept: list[str] = []

    async def work(number: int) -> None:
        name = f"r-{number}"
        release = resolution(name, billing=Billing.UNBILLED)
        await reserve_durably(ledger, reservation(name, bound_nano_usd=1), if_late=release)
        kept.append(name)

    tasks = [asyncio.create_task(work(number)) for number in range(200)]
    for number, task in enumerate(tasks):
        if number % 20 == 0:
            await asyncio.sleep(0)
        if number % 2:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ledger.close(5)
    assert len(kept) >= 100
    assert ledger.totals().reserved_nano_usd == len(kept)


async def test_a_cancelled_resolution_is_written_all_the_same(ledger: SqliteLedger) -> None:
    """Giving up the wait for a settlement does not give up the settlement."""
    await reserved(ledger, reservation("r-1"))
    task = asyncio.create_task(resolved(ledger, resolution("r-1", cost_nano_usd=3)))
    await asyncio.sleep(0)
    await _cancelled(task)
    ledger.close(5)
    assert ledger.totals().settled_nano_usd == 3


def test_wakeups_of_a_group_are_one() -> None:
    """Inside a group equal wakes are collected, outside they happen at once."""
    woken: list[str] = []

    def wake() -> None:
        woken.append("a")

    ask(wake)
    assert woken == ["a"]
    with grouped():
        ask(wake)
        ask(wake)
        ask(lambda: woken.append("b"))
        assert woken == ["a"]
    assert woken == ["a", "a", "b"]
