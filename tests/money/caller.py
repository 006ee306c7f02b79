"""A process that calls through a Router, many tasks at once, in every way a caller can begin and end a call.

    python -m tests.money.caller CONFIG NAME SEED TASKS CALLS

It goes on until each pair of route and team is told that a budget is spent, or until `CALLS` calls were begun; then it
closes the Router and prints one line of JSON. It prints `ready` first and waits for a line, so that several start
together.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter import (
    BudgetBusyError,
    BudgetExceededError,
    LedgerUnavailableError,
    ModelRouterError,
    NoRouteError,
    Router,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROUTES", "TEAMS"]

ROUTES: Final = ("first", "second")
TEAMS: Final = ("red", "blue", "green")
WAYS: Final = (
    *("plain",) * 11,
    *("streamed",) * 4,
    *("late", "cut", "fail", "cancelled", "left", "dropped"),
)
"""How calls go, by their share."""
PATIENCE_S: Final = 0.01
"""After so long a call that is to be cancelled is cancelled."""
PAUSE_S: Final = 0.5
"""How long a task lets the book alone after it could not be written, as any application would."""
FILLING: Final = "Please be so kind as to answer this at your leisure. "


@dataclass
class Caller:
    """What one process does."""

    router: Router
    name: str
    chance: random.Random
    numbers: Iterator[int]
    open: set[tuple[str, str]] = field(default_factory=lambda: set(itertools.product(ROUTES, TEAMS)))
    seen: Counter[str] = field(default_factory=Counter)

    async def work(self) -> None:
        """One task: call after call, until nobody may call any more."""
        for number in self.numbers:
            if not self.open:
                return
            route, team = self.chance.choice(sorted(self.open))
            self.seen[f"begun on {route}"] += 1
            way = self.chance.choice(WAYS)
            try:
                await self.call(f"{self.name}-{number}", way, route, team)
                self.seen[way] += 1
            except BudgetExceededError:
                self.open.discard((route, team))
                self.seen["exceeded"] += 1
            except BudgetBusyError:
                self.seen["busy"] += 1
            except LedgerUnavailableError:
                self.seen["unwritten"] += 1
                await asyncio.sleep(PAUSE_S)
            except NoRouteError:
                self.seen[f"refused on {route}"] += 1
            except ModelRouterError as error:
                self.seen[type(error).__name__] += 1

    async def call(self, call: str, way: str, route: str, team: str) -> None:
        """Make one call and end it as its way is."""
        kind = (
            way if way in {"late", "cut", "fail"} else "late" if way in {"cancelled", "left", "dropped"} else "answer"
        )
        prompt = f"{kind} {call} {FILLING * self.chance.randrange(1, 12)}"
        tags = {"team": team}
        if way == "cancelled":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.router.acomplete(route, prompt, tags=tags), PATIENCE_S)
        elif way in {"streamed", "left", "dropped"}:
            stream = self.router.astream(route, prompt, tags=tags)
            async for _ in stream:
                if way == "left":
                    await stream.aclose()
                    break
                if way == "dropped":
                    break
            del stream
            if way == "dropped" and self.chance.random() < 0.1:
                gc.collect()
        else:
            await self.router.acomplete(route, prompt, tags=tags)


async def run(config: str, name: str, seed: int, tasks: int, calls: int) -> dict[str, object]:
    """Run all tasks, close, and say what was seen."""
    begun_s, cpu_s = time.monotonic(), time.process_time()
    router = Router.from_config(config)
    caller = Caller(router, name, random.Random(seed), iter(range(calls)))
    await asyncio.gather(*(caller.work() for _ in range(tasks)))
    gc.collect()
    await router.aclose()
    return {
        "seen": dict(caller.seen),
        "open": sorted(caller.open),
        "seconds": time.monotonic() - begun_s,
        "cpu_s": time.process_time() - cpu_s,
    }


def main() -> None:
    """Wait for the word, work, and report."""
    config, name, seed, tasks, calls = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    report = asyncio.run(run(config, name, int(seed), int(tasks), int(calls)))
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
