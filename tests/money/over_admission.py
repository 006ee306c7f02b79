"""The trial of promise 2: budgets that many processes spend at once, in every way that a call can go."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tests.money.caller import ROUTES, TEAMS
from tests.money.trial import audit, billed, call_all, counting_server, lines, replay, write_config

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.money.trial import Line

__all__ = ["Found", "trial"]

PROCESSES: Final = 4
TASKS: Final = 64
CALL_NANO_USD: Final = 600_000
"""About what a call comes to here, uncertain ones included: it only sets how many calls a limit is good for."""
USED_AT_LEAST: Final = Decimal("0.95")
NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class Found:
    """What the trial came to.

    Attributes:
        reserved_per_real: bounds of settled attempts over what they cost.
        used: the share of each limit that was used at the end, the lowest of them.
    """

    calls: int
    attempts: int
    calls_per_s: float
    seconds: float
    cpu_us_per_call: float
    seen: dict[str, int]
    used: Decimal
    reserved_per_real: Decimal
    billed_per_booked: Decimal


def trial(folder: Path, ledger: str, *, calls: int, seed: int) -> Found:
    """Spend the budgets until nobody may call any more, then look at every line of the book.

    Three kinds of budget hold at once, over all, for each team and for each route; the parts add up to the whole, so
    that each of them ends up used.
    """
    whole = calls * CALL_NANO_USD
    limits = {"all": whole}
    limits |= {f"team/{team}": whole // len(TEAMS) for team in TEAMS}
    limits |= {f"route/{route}": whole // len(ROUTES) for route in ROUTES}
    wait = "when_reserved: {wait_s: 5}"
    budgets = {
        "all": f"{{usd: {_usd(whole)}, window: total, {wait}}}",
        "team": f"{{usd: {_usd(whole // len(TEAMS))}, window: total, each: tag.team, {wait}}}",
        "route": f"{{usd: {_usd(whole // len(ROUTES))}, window: 24h, each: route, {wait}}}",
    }
    log = folder / "billed.log"
    with counting_server(log) as port:
        config = write_config(folder, port, ledger, budgets)
        begun_s = time.monotonic()
        reports = call_all(config, processes=PROCESSES, tasks=TASKS, calls=calls * 4, seed=seed)
        seconds = time.monotonic() - begun_s
    book = lines(ledger)
    used = replay(book, limits)
    audit(ledger)
    spent = used["all"]
    meter = billed(log)
    assert meter <= spent, f"the provider billed {meter} nano-dollars and the book says {spent}"
    lowest = min(Decimal(used[account]) / limit for account, limit in limits.items())
    assert lowest >= USED_AT_LEAST, f"only {lowest:.3f} of a limit was used: {used} of {limits}"
    seen: Counter[str] = Counter()
    for report in reports:
        told = report["seen"]
        assert isinstance(told, dict)
        seen.update(told)
        assert report["open"] == [], "a caller gave up before the budgets were spent"
    made = len({line.call_id for line in book if line.kind == "reserve"})
    cpu_s = sum(float(str(report["cpu_s"])) for report in reports)
    return Found(
        calls=made,
        attempts=sum(line.kind == "reserve" for line in book),
        calls_per_s=made / seconds,
        seconds=seconds,
        cpu_us_per_call=cpu_s / made * 1e6,
        seen=dict(seen),
        used=lowest,
        reserved_per_real=_reserved_per_real(book),
        billed_per_booked=Decimal(meter) / spent,
    )


def _usd(nano_usd: int) -> str:
    return f"'{Decimal(nano_usd) / NANO:f}'"


def _reserved_per_real(book: Sequence[Line]) -> Decimal:
    bounds = {line.seq: line.amount for line in book if line.kind == "reserve"}
    settled = [line for line in book if line.kind == "settle" and line.target is not None]
    reserved = sum(bounds[line.target] for line in settled if line.target is not None)
    return Decimal(reserved) / max(sum(line.amount for line in settled), 1)
