"""A store that goes away under calls, and comes back: nothing is sent meanwhile, and nothing is lost."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import pytest

from tests.money.kills import LEASE_S, bills, check, settled_book, some_work
from tests.money.trial import begin, caller, counting_server, ended, write_config
from tests.real_postgres import fresh_schema, running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUIET_S = 1.0
"""For so long nothing may be billed before it counts as quiet; nothing here takes a tenth of it to answer."""
GIVE_UP_S = 60.0
AWAY_S = 7.0
"""Longer than a batch waits for a store that may come back, so that calls are told."""


def until_quiet(log: Path) -> int:
    """Wait until what was granted before has been answered; how many calls are billed then."""
    give_up_at = time.monotonic() + GIVE_UP_S
    seen, since = bills(log), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        assert time.monotonic() < give_up_at, "calls go on although the book cannot be written"
        time.sleep(QUIET_S / 50)
        now = bills(log)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


def outage(folder: Path, ledger: str, away: Callable[[int], None], back: Callable[[int], None]) -> dict[str, int]:
    """Take the store away from a caller that is hard at work, give it back, and look at the book in the end."""
    log = folder / "billed.log"
    with counting_server(log) as port:
        config = write_config(folder, port, ledger, {}, lease_s=LEASE_S)
        with caller(config, "one", seed=7, tasks=16, calls=4_000) as process:
            begin(process)
            some_work(log, 100)
            away(process.pid)
            before = until_quiet(log)
            time.sleep(AWAY_S)
            assert bills(log) == before, "something was sent although it could not be written down"
            back(process.pid)
            some_work(log, 100)
            report = ended(process)
        check(settled_book(ledger), ledger, log)
    seen = report["seen"]
    assert isinstance(seen, dict)
    return seen


@pytest.mark.long
def test_nothing_is_sent_while_postgres_is_gone(tmp_path: Path) -> None:
    """The server stops as in a crash and comes back: calls fail meanwhile, and go on afterwards by themselves."""
    with running_server(is_durable=True) as server, fresh_schema(server.url) as ledger:
        seen = outage(tmp_path, ledger, lambda _: server.crash(), lambda _: server.start())
    assert seen["unwritten"] > 0
    assert seen["plain"] > 0


@pytest.mark.long
def test_nothing_is_sent_while_the_disk_takes_no_more(tmp_path: Path) -> None:
    """No file of the caller may grow, as on a full disk: calls fail meanwhile, and go on once there is room."""
    unlimited = resource.RLIM_INFINITY

    def away(pid: int) -> None:
        size = (tmp_path / "book.db-wal").stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size // 2, unlimited))

    def back(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))

    seen = outage(tmp_path, f"sqlite:///{tmp_path}/book.db", away, back)
    assert seen["unwritten"] > 0
    assert seen["plain"] > 0
