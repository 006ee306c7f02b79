"""Runs the cells of the matrix: one request each to a real Router with a real book, sync or async, over one lane."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import time
import traceback
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from modelrouter import Router
from modelrouter.errors import ModelRouterError, StreamBrokenError
from modelrouter.ledger import open_ledger
from modelrouter.router.outside import SystemClock
from modelrouter.transports.litellm_import import importing
from tests.matrix.faults import OTHER
from tests.matrix.server import Provider
from tests.money.trial import audit
from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from modelrouter.ledger import AttemptRow
    from tests.matrix.faults import Case

__all__ = ["CANARIES", "KEY", "SLOW_S", "Cell", "Evidence", "World", "run_world"]

KEY: Final = "canary-of-the-key-1f9c"
CANARIES: Final = (KEY, "system canary 2a8e", "user canary 3b7d", "stop canary 4c6f", "canary")
PROMPT: Final = (
    {"role": "system", "content": "You are the system canary 2a8e."},
    {"role": "user", "content": "Sing, user canary 3b7d!"},
)
STOP: Final = "stop canary 4c6f"
KEY_NAME: Final = "MATRIX_KEY"
INPUT_USD, OUTPUT_USD = "2", "8"
NANO_USD: Final = (2_000, 8_000)
"""Of an input and an output token, as the provider bills them."""

SLOW_S: Final = 2.0
PATIENT_S: Final = 30.0
IMPORTED_S: Final = 120.0
AT_ONCE: Final = 6
"""Cells at a time. They share nothing but the Router: each has a deployment and a port of its own."""


@dataclass(frozen=True, slots=True)
class World:
    """What is the same for all cells of one Router."""

    lane: str
    is_async: bool
    has_other: bool

    @property
    def name(self) -> str:
        """As a folder is called."""
        return f"{self.lane}-{'async' if self.is_async else 'sync'}-{'two' if self.has_other else 'alone'}"


@dataclass(slots=True)
class Cell:
    """What was seen of one request.

    Attributes:
        outcome: who answered, or the error's name.
        sent: requests that reached the provider of the fault, by its own count.
        is_open: whether one of them was still open a while later.
        billed_nano_usd: by the provider's own account.
        attempts: of the deployment with the fault, as the book has them.
        error_nano_usd: what the error says that it cost; None without an error.
        cost_nano_usd: of the whole call, as the book has it.
        took_s: until the caller knew.
        said: everything that an error told.
        text: of the reply, or what a broken stream's error holds.
        handed: what the caller got of a stream, piece by piece.
    """

    case: Case
    world: World
    call_id: str = ""
    outcome: str = ""
    sent: int = 0
    is_open: bool = False
    billed_nano_usd: int = 0
    attempts: tuple[AttemptRow, ...] = ()
    error_nano_usd: int | None = None
    cost_nano_usd: int = 0
    took_s: float = 0.0
    said: str = ""
    text: str = ""
    handed: str = ""


@dataclass(slots=True)
class Evidence:
    """What one world left behind.

    Attributes:
        log: all that was logged and printed, at any level.
        complaints: what asyncio logged: tasks nobody awaited, exceptions nobody took.
        book: every byte of the ledger's files, as they were while the Router lived and after it.
        echoed: what the provider was sent of key and prompts.
        trapped: connections to the address that nobody may call.
        left_open: connections that outlived the Router.
    """

    cells: list[Cell] = field(default_factory=list)
    log: str = ""
    complaints: list[str] = field(default_factory=list)
    book: bytes = b""
    echoed: str = ""
    trapped: int = 0
    left_open: int = 0


class _Keeper(logging.Handler):
    """Keeps every record as text."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.text = io.StringIO()
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        self.text.write(line + "\n")
        if record.name == "asyncio" and record.levelno >= logging.WARNING:
            self.complaints.append(line)


@contextlib.contextmanager
def _listening(evidence: Evidence) -> Iterator[None]:
    """Everything that is logged or printed, and the key in the environment."""
    keeper, printed, root = _Keeper(), io.StringIO(), logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    logging.getLogger("httpcore").setLevel(logging.INFO)  # at DEBUG it writes down headers, by a logger of its own
    root.setLevel(logging.DEBUG)
    logging.getLogger("LiteLLM").addHandler(keeper)
    os.environ[KEY_NAME] = KEY
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        del os.environ[KEY_NAME]
        root.setLevel(level)
        logging.getLogger("httpcore").setLevel(logging.NOTSET)
        root.removeHandler(keeper)
        logging.getLogger("LiteLLM").removeHandler(keeper)
        evidence.log = keeper.text.getvalue() + printed.getvalue()
        evidence.complaints = keeper.complaints


def _collect() -> None:
    """Collect what litellm's own client has dropped: a connect that a limit cuts off may leave it a socket to close."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def run_world(world: World, cases: Sequence[Case], folder: Path) -> Evidence:
    """Run every case once."""
    evidence = Evidence()
    if world.lane == "litellm":
        importing().result(IMPORTED_S)  # its first import takes longer than a slow case may
    with Provider([OTHER, *cases]) as provider, _listening(evidence):
        config = _config(world, cases, provider, folder)
        asyncio.run(_run_cells(world, cases, provider, evidence, config))
        if world.lane == "litellm":
            _collect()
        evidence.trapped = provider.connections
        evidence.echoed = provider.echoed
        evidence.left_open = provider.open_soon()
    _read_book(evidence, folder)
    audit(f"sqlite:///{folder / 'book.db'}")
    evidence.book += _files(folder)
    return evidence


async def _run_cells(world: World, cases: Sequence[Case], provider: Provider, evidence: Evidence, config: Path) -> None:
    router, gate = Router.from_config(config), asyncio.Semaphore(AT_ONCE)

    async def run(index: int, case: Case) -> Cell:
        async with gate:
            if case.is_primed:
                await _told(world, router, case, index, [])
            provider.begin(index)
            cell = Cell(case, world)
            begun_s = time.monotonic()
            handed: list[str] = []
            _take(cell, await _told(world, router, case, index, handed))
            cell.handed = "".join(handed)
            cell.took_s = time.monotonic() - begun_s
        account = await asyncio.wrap_future(provider.look_later(index))
        cell.sent, cell.is_open = account.requests, bool(account.open_later)
        cell.billed_nano_usd = sum(
            count * price for tokens in account.billed for count, price in zip(tokens, NANO_USD, strict=True)
        )
        return cell

    evidence.cells = await asyncio.gather(*(run(index, case) for index, case in enumerate(cases, 1)))

    evidence.book = _files(config.parent)
    await (router.aclose() if world.is_async else asyncio.to_thread(router.close))


async def _told(world: World, router: Router, case: Case, index: int, handed: list[str]) -> Any:
    """Make the call: what it gave, or raised. A stream's pieces are put into `handed`."""
    if world.is_async:
        return await _aask(router, case, index, handed)
    return await asyncio.to_thread(_ask, router, case, index, handed)


def _take(cell: Cell, told: Any) -> None:
    if isinstance(told, BaseException):
        cell.outcome = type(told).__name__
        cell.said = "\n".join((str(told), repr(told), repr(vars(told)), *traceback.format_exception(told)))
        if isinstance(told, ModelRouterError):
            cell.call_id = told.call_id or ""
            cell.error_nano_usd = int((told.cost_usd or 0) * 10**9)
        if isinstance(told, StreamBrokenError):
            cell.text = told.text
        return
    cell.call_id, cell.text = told.call_id, told.text
    cell.outcome = "other answers" if told.deployment == "other" else "answers"


def _ask(router: Router, case: Case, index: int, handed: list[str]) -> Any:
    """A sync call: the reply, or what it raised."""
    try:
        if case.mode == "plain":
            return router.complete(f"r{index}", PROMPT, stop=STOP, **case.options)
        with router.stream(f"r{index}", PROMPT, stop=STOP, **case.options) as stream:
            for piece in stream:
                handed.append(piece.text)  # noqa: PERF401 - what came before an error counts
        return stream.reply
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the caller meets
        return error


async def _aask(router: Router, case: Case, index: int, handed: list[str]) -> Any:
    """An async call: the reply, or what it raised."""
    try:
        if case.mode == "plain":
            return await router.acomplete(f"r{index}", PROMPT, stop=STOP, **case.options)
        async with router.astream(f"r{index}", PROMPT, stop=STOP, **case.options) as stream:
            async for piece in stream:
                handed.append(piece.text)  # noqa: PERF401 - what came before an error counts
        return stream.reply
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the caller meets
        return error


def _config(world: World, cases: Sequence[Case], provider: Provider, folder: Path) -> Path:
    lane = "lane: litellm" if world.lane == "litellm" else "lane: direct"
    served = [
        Served(
            f"d{index}" if index else "other",
            provider.urls[index],
            key=KEY_NAME,
            price=(INPUT_USD, OUTPUT_USD),
            more=", ".join((lane, *([case.more] if case.more else []))),
        )
        for index, case in enumerate([OTHER, *cases])
    ]
    limits = [
        f"attempts_max: 2, retries_max: 0, timeouts: {{attempt_s: {limit_s}, between_chunks_s: {limit_s}}}, "
        "output_tokens: {default: 20}"
        for limit_s in (SLOW_S if case.is_slow else PATIENT_S for case in cases)
    ]
    routes = [
        f"  r{index}: {{try: [d{index}{', other' if world.has_other else ''}], {limits[index - 1]}}}"
        for index in range(1, len(cases) + 1)
    ]
    return write_config(folder, served, "\n".join(routes))


def _files(folder: Path) -> bytes:
    """All that the ledger has written, whatever its files are called."""
    return b"".join(
        each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file() and each.suffix != ".yaml"
    )


def _read_book(evidence: Evidence, folder: Path) -> None:
    ledger = open_ledger(f"sqlite:///{folder / 'book.db'}", SystemClock())
    try:
        for cell in evidence.cells:
            booked = ledger.attempts(cell.call_id) if cell.call_id else ()
            cell.attempts = tuple(each for each in booked if each.deployment != "other")
            cell.cost_nano_usd = sum(each.cost_nano_usd for each in booked)
    finally:
        ledger.close(10)
