"""However a stream ends, a real llama.cpp stops generating: its slot is free within half a second, and it is booked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from modelrouter import Router
from modelrouter.core.attempts import Billing, FailureKind
from modelrouter.testing import MemoryLedger
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from modelrouter.router.streams import AsyncReplyStream, ReplyStream
    from tests.real_model import LocalModel

PROMPT: Final = "Write down every whole number from one to ten thousand, in words, one in each line."
FREE_WITHIN_S: Final = 0.5
LOOKS_EACH_S: Final = 0.01
A_BATCH_S: Final = 3.0
"""A prompt is read in batches that llama.cpp does not interrupt; all 1500 tokens would take several times as long."""
IDLE_S: Final = 0.2
NEVER_S: Final = 600.0
LANES: Final = ("direct", "litellm")


def busy_slots(model: LocalModel) -> int:
    """How many requests the server is generating for."""
    place = urlsplit(model.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    try:
        connection.request("GET", "/slots", headers={"authorization": f"Bearer {model.key}"})
        slots: list[dict[str, Any]] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return sum(bool(slot["is_processing"]) for slot in slots)


def seconds_until_free(model: LocalModel, look_for_s: float = 2 * FREE_WITHIN_S) -> float:
    """How long after now the server has stopped; looked for no longer than a little beyond what is allowed."""
    begun_s = time.monotonic()
    while busy_slots(model) and time.monotonic() - begun_s < look_for_s:
        time.sleep(LOOKS_EACH_S)  # another process has nothing to wait on
    return time.monotonic() - begun_s


def is_booked_as_given_up(ledger: MemoryLedger) -> bool:
    """The one attempt is cancelled, uncertain, at its bound; nothing stays reserved."""
    (reservation,) = ledger.reservations.values()
    (resolution,) = ledger.resolutions.values()
    failed = resolution.attempt.failure
    return (
        failed is not None
        and failed.kind is FailureKind.CANCELLED
        and resolution.billing is Billing.UNCERTAIN
        and resolution.cost_nano_usd == reservation.bound.nano_usd
    )


def router_to(
    model: LocalModel,
    lane: str,
    ledger: MemoryLedger,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    idle_s: float = NEVER_S,
) -> Router:
    """A Router to a model that rolls no dice, so that its answer is as long each time.

    Args:
        idle_s: when a stream is given up that nobody reads.
    """
    monkeypatch.setenv("LOCAL_KEY", model.key)
    served = Served(
        "local",
        model.base_url,
        model.name,
        "LOCAL_KEY",
        context_tokens=model.context_tokens,
        more=f"lane: {lane}, params: {{temperature: 0, seed: 1}}",
    )
    config = write_config(folder, [served], "  ask: {try: [local], output_tokens: {default: 1500}}")
    return Router.from_config(config, ledger=ledger, idle_stream_s=idle_s)


# --- async ------------------------------------------------------------------------------------------------------------


async def closed(stream: AsyncReplyStream) -> None:
    """By hand."""
    await stream.aclose()


async def left(stream: AsyncReplyStream) -> None:
    """By an error inside its block."""
    with contextlib.suppress(ZeroDivisionError):
        async with stream:
            raise ZeroDivisionError


async def cancelled(stream: AsyncReplyStream) -> None:
    """By cancelling the task that waits for the next piece."""

    async def read_on() -> None:
        async for _ in stream:
            pass

    reading = asyncio.create_task(read_on())
    await asyncio.sleep(0)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading


async def timed_out(stream: AsyncReplyStream) -> None:
    """By a limit of the caller's own around the reading."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            async for _ in stream:
                pass


async def idle(stream: AsyncReplyStream) -> None:
    """By nobody taking a piece for as long as the Router allows."""
    await asyncio.sleep(IDLE_S)  # the limit itself


async def interrupted(stream: AsyncReplyStream) -> None:
    """By another thread."""
    await asyncio.to_thread(stream.interrupt, "stopped by a button")


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("end", [closed, left, cancelled, timed_out, idle, interrupted])
async def test_generation_ends_with_an_async_stream(
    end: Callable[[AsyncReplyStream], Awaitable[None]],
    lane: str,
    local_model: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each way of ending a stream that somebody still holds."""
    ledger = MemoryLedger()
    idle_s = IDLE_S if end is idle else NEVER_S
    async with router_to(local_model, lane, ledger, tmp_path, monkeypatch, idle_s) as router:
        stream = router.astream("ask", PROMPT)
        await anext(stream)
        assert await asyncio.to_thread(busy_slots, local_model) == 1
        await end(stream)
        assert await asyncio.to_thread(seconds_until_free, local_model) < FREE_WITHIN_S
        assert is_booked_as_given_up(ledger)


async def forgotten(router: Router) -> None:
    """The last reference goes."""
    stream = router.astream("ask", PROMPT)
    await anext(stream)


async def broken_off(router: Router) -> None:
    """The reader leaves its loop, and the stream with it."""
    async for _ in router.astream("ask", PROMPT):
        break


async def in_a_circle(router: Router) -> None:
    """Something that the stream is part of refers to itself: only the garbage collector finds it."""
    stream = router.astream("ask", PROMPT)
    circle: list[object] = [stream]
    circle.append(circle)
    await anext(stream)


async def in_a_generator(router: Router) -> None:
    """A generator of the application's stops in the middle, with the stream inside."""

    async def words() -> AsyncIterator[str]:
        async with router.astream("ask", PROMPT) as stream:
            async for piece in stream:
                yield piece.text

    async for _ in words():
        break


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("begin", [forgotten, broken_off, in_a_circle, in_a_generator])
async def test_generation_ends_with_a_dropped_async_stream(
    begin: Callable[[Router], Awaitable[None]],
    lane: str,
    local_model: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each way of losing one that nobody closes."""
    ledger = MemoryLedger()
    async with router_to(local_model, lane, ledger, tmp_path, monkeypatch) as router:
        await begin(router)
        gc.collect()
        assert await asyncio.to_thread(seconds_until_free, local_model) < FREE_WITHIN_S
        assert is_booked_as_given_up(ledger)


@pytest.mark.parametrize("lane", LANES)
async def test_generation_ends_when_the_first_piece_is_not_waited_for(
    lane: str, local_model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the server reads the prompt: it ends the batch under way, and generates nothing after it."""
    ledger = MemoryLedger()
    async with router_to(local_model, lane, ledger, tmp_path, monkeypatch) as router:
        waiting = asyncio.create_task(router.astream("ask", f"{lane}: {PROMPT}").next())
        while not await asyncio.to_thread(busy_slots, local_model):
            assert not waiting.done()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert await asyncio.to_thread(seconds_until_free, local_model, 2 * A_BATCH_S) < A_BATCH_S
        assert is_booked_as_given_up(ledger)


async def test_generation_ends_with_the_router(
    local_model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the Router ends what it has open."""
    ledger = MemoryLedger()
    router = router_to(local_model, "direct", ledger, tmp_path, monkeypatch)
    stream = router.astream("ask", PROMPT)
    await anext(stream)
    await router.aclose()
    assert await asyncio.to_thread(seconds_until_free, local_model) < FREE_WITHIN_S
    assert is_booked_as_given_up(ledger)


# --- sync -------------------------------------------------------------------------------------------------------------


def closed_by_hand(stream: ReplyStream) -> None:
    """In the thread that reads it."""
    stream.close()


def left_by_error(stream: ReplyStream) -> None:
    """By an error inside its block."""
    with contextlib.suppress(ZeroDivisionError), stream:
        raise ZeroDivisionError


def closed_elsewhere(stream: ReplyStream) -> None:
    """In another thread, while this one waits for pieces."""
    stopping = threading.Timer(0.05, stream.close)
    stopping.start()
    list(stream)
    stopping.join()


def idle_sync(stream: ReplyStream) -> None:
    """By nobody taking a piece for as long as the Router allows."""
    time.sleep(IDLE_S)  # the limit itself


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("end", [closed_by_hand, left_by_error, closed_elsewhere, idle_sync])
def test_generation_ends_with_a_sync_stream(
    end: Callable[[ReplyStream], None],
    lane: str,
    local_model: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same for sync code, whose stream lives in another thread's loop."""
    ledger = MemoryLedger()
    idle_s = IDLE_S if end is idle_sync else NEVER_S
    with router_to(local_model, lane, ledger, tmp_path, monkeypatch, idle_s) as router:
        stream = router.stream("ask", PROMPT)
        next(stream)
        assert busy_slots(local_model) == 1
        end(stream)
        assert seconds_until_free(local_model) < FREE_WITHIN_S
        assert is_booked_as_given_up(ledger)


def forgotten_sync(router: Router) -> None:
    """The last reference goes."""
    next(router.stream("ask", PROMPT))


def broken_off_sync(router: Router) -> None:
    """The reader leaves its loop, and the stream with it."""
    for _ in router.stream("ask", PROMPT):
        break


def in_a_generator_sync(router: Router) -> None:
    """A generator of the application's stops in the middle, with the stream inside."""

    def words() -> Iterator[str]:
        with router.stream("ask", PROMPT) as stream:
            for piece in stream:
                yield piece.text

    next(words())


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("begin", [forgotten_sync, broken_off_sync, in_a_generator_sync])
def test_generation_ends_with_a_dropped_sync_stream(
    begin: Callable[[Router], None],
    lane: str,
    local_model: LocalModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each way of losing one that nobody closes."""
    ledger = MemoryLedger()
    with router_to(local_model, lane, ledger, tmp_path, monkeypatch) as router:
        begin(router)
        gc.collect()
        assert seconds_until_free(local_model) < FREE_WITHIN_S
        assert is_booked_as_given_up(ledger)
