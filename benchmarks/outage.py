"""What an outage costs: calls beyond the requests, time beyond the deadline, success, attempts and latency.

A real Router on a SQLite book calls three servers on loopback, by a real clock. First with everything down, or hanging:
how many calls a thousand requests cause, and how late the latest of them failed. Then with the first server down: how
many failed extra calls the others may still have, beside a Router that has seen no outage. Then requests arrive evenly
while two of three fail by halves, are flooded (a server takes 20 requests a second, and answers 429 beyond it), or flap
every five seconds, beside the best that was possible: one attempt at whoever is well. Exit 1 if a limit is broken.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Final, Self

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from modelrouter import Router
from modelrouter.core.retries import REFILL_S, RetryTerms
from modelrouter.errors import ModelRouterError
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEED: Final = 20_261_129
TAKES_S: Final = 0.02
"""How long a server that is well takes to answer."""
AT_ONCE: Final = 20
LATE_MOST_S: Final = 0.1
"""Judged with the full count alone: a small run may share its machine with anything."""
FULL_REQUESTS: Final = 1000
FLAPS_S: Final = 5.0
ROOM_PER_S: Final = 20
UP, DOWN, FULL, HANGS = 200, 503, 429, 0
NAMES: Final = ("a", "b", "c")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
WHOLE = {"id": "c", "object": "chat.completion", "model": "smollm2-135m-instruct", "choices": [CHOICE], "usage": USAGE}


class Server(LoopbackServer):
    """Answers as its mood says; use it in a `with`.

    Attributes:
        mood: asked at each request: a status, or `HANGS`.
        calls: requests that came.
    """

    def __init__(self, mood: Callable[[], int]) -> None:
        super().__init__()
        self.mood = mood
        self.calls = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve requests until the client goes."""
        while True:
            await self.request(reader)
            self.calls += 1
            status = self.mood()
            if status == HANGS:
                await reader.read()
                return
            if status == UP:
                await asyncio.sleep(TAKES_S)
            body = json.dumps(WHOLE if status == UP else {"error": {"message": "no"}}).encode()
            more = "Retry-After: 1\r\n" if status == FULL else ""
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()


class Room:
    """The mood of a server that takes so many requests a second, evenly, and a tenth of a second's at once."""

    def __init__(self, per_s: int) -> None:
        self._per_s, self._most = per_s, per_s / 10
        self._left, self._at_s = self._most, time.monotonic()

    def __call__(self) -> int:
        """Whether there is room for one more."""
        now_s = time.monotonic()
        self._left, self._at_s = min(self._most, self._left + (now_s - self._at_s) * self._per_s), now_s
        if self._left < 1:
            return FULL
        self._left -= 1
        return UP


def always(status: int) -> Callable[[], int]:
    """One mood."""
    return lambda: status


def half(draw: random.Random) -> Callable[[], int]:
    """Down for every second request, by chance."""
    return lambda: DOWN if draw.random() < 0.5 else UP


def flapping(begun_s: float, phase: int) -> Callable[[], int]:
    """Up and down in turn, for as long each; phase 1 begins with down."""
    return lambda: UP if int((time.monotonic() - begun_s) / FLAPS_S) % 2 == phase else DOWN


@dataclass(slots=True)
class Told:
    """What became of some requests.

    Attributes:
        took_s: of each, until its caller knew.
        attempts: of each, as the caller was told.
        failed: how many were not answered.
        passed_s: from the first request to the last end.
        calls: that reached each server.
    """

    took_s: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    failed: int = 0
    passed_s: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)

    async def ask(self, router: Router, route: str) -> None:
        """One request."""
        begun_s = time.monotonic()
        try:
            found = (await router.acomplete(route, "hi")).attempts
        except ModelRouterError as error:
            self.failed += 1
            found = error.attempts
        self.took_s.append(time.monotonic() - begun_s)
        self.attempts.append(len(found))

    @property
    def figures(self) -> dict[str, float]:
        """Success, attempts and latency."""
        cuts = quantiles(self.took_s, n=100)
        return {
            "requests": len(self.took_s),
            "success": 1 - self.failed / len(self.took_s),
            "attempts_per_request": mean(self.attempts),
            "median_ms": 1000 * median(self.took_s),
            "mean_ms": 1000 * mean(self.took_s),
            "p99_ms": 1000 * cuts[98],
        }


class Lab:
    """Servers, and a Router before them; use it in an `async with`."""

    def __init__(self, moods: list[Callable[[], int]], routes: str) -> None:
        self.servers = [Server(mood) for mood in moods]
        self._routes = routes
        self._folder = tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-")

    async def __aenter__(self) -> Self:
        """Begin."""
        served = [Served(name, server.__enter__().base_url) for name, server in zip(NAMES, self.servers, strict=False)]
        self.router = Router.from_config(write_config(Path(self._folder.name), served, self._routes))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all of it."""
        await self.router.aclose()
        for server in self.servers:
            server.__exit__(None, None, None)
        self._folder.cleanup()

    async def at_once(self, requests: int, route: str = "ask") -> Told:
        """So many requests, twenty at a time."""
        places = asyncio.Semaphore(AT_ONCE)

        async def placed(told: Told) -> None:
            async with places:
                await told.ask(self.router, route)

        return await self._told(lambda told: [placed(told) for _ in range(requests)])

    async def arriving(self, seconds: int, per_s: int) -> Told:
        """Requests that arrive evenly, whether or not those before them have been answered."""

        async def arrives(told: Told, number: int) -> None:
            await asyncio.sleep(number / per_s)
            await told.ask(self.router, "ask")

        return await self._told(lambda told: [arrives(told, number) for number in range(seconds * per_s)])

    async def _told(self, asking: Callable[[Told], list[object]]) -> Told:
        told, begun_s = Told(), time.monotonic()
        before = [server.calls for server in self.servers]
        await asyncio.gather(*asking(told))  # type: ignore[call-overload]
        told.passed_s = time.monotonic() - begun_s
        told.calls = {name: server.calls - was for name, server, was in zip(NAMES, self.servers, before, strict=False)}
        return told


def allowed(requests: int, passed_s: float) -> int:
    """Calls that so many requests may cause: the budgets of three deployments, and what was undecided as each ran out.

    The undecided are other ones each time where three run out one after the other, as on a slow machine.
    """
    terms = RetryTerms()
    minimum = terms.least * (1 + passed_s / REFILL_S)
    return int(requests * (1 + terms.share) + len(NAMES) * (minimum + AT_ONCE))


NOBODY: Final = {
    "everything down": (DOWN, "timeout_s: 2"),
    "everything hangs": (HANGS, "timeout_s: 1, attempts_max: 3, timeouts: {attempt_s: 0.3}"),
    "everything hangs, deadlines short": (HANGS, "timeout_s: 0.6, timeouts: {attempt_s: 0.35}"),
}
"""Mood of all servers, and limits of the route. In the last, the deadline cuts the second attempt short: that it came
to nothing is not held against its deployment, but its retry budget has paid for it."""


async def nobody(requests: int, mood: int, limits: str) -> dict[str, float]:
    """Nobody answers."""
    deadline_s = float(limits.split(",", maxsplit=1)[0].removeprefix("timeout_s: "))
    async with Lab([always(mood)] * 3, f"  ask: {{try: [a, b, c], {limits}}}") as lab:
        told = await lab.at_once(requests)
    assert told.failed == requests
    return {
        "requests": requests,
        "calls": sum(told.calls.values()),
        "calls_allowed": allowed(requests, told.passed_s),
        "attempts_per_request": mean(told.attempts),
        "latest_after_deadline_ms": 1000 * (max(told.took_s) - deadline_s),
        "median_ms": 1000 * median(told.took_s),
    }


async def budgets_of_others(requests: int) -> dict[str, float]:
    """Failed extra calls that `c` still takes on, after an outage of `a` and without one."""
    routes = "  ask: {try: [a, b]}\n  others: {try: [b, c], timeout_s: 2, retries_max: 0}"
    extra: dict[str, float] = {}
    for name, mood in (("after an outage", DOWN), ("without one", UP)):
        async with Lab([always(mood), always(UP), always(UP)], routes) as lab:
            told = await lab.at_once(requests)
            extra[f"{name}: answered"] = 1 - told.failed / requests
            for server in lab.servers[1:]:
                server.mood = always(DOWN)
            told = await lab.at_once(requests, "others")
            extra[f"{name}: calls to b"] = told.calls["b"]
            extra[f"{name}: calls to c"] = told.calls["c"]
    return extra


async def weathers(seconds: int, seed: int) -> Mapping[str, Told]:
    """Requests that arrive evenly in different weathers; the first is calm, and what is possible at best."""
    draw = random.Random(seed)  # noqa: S311 - spread, not a secret
    well, begun_s = always(UP), time.monotonic
    found: dict[str, Told] = {}
    kinds: list[tuple[str, int, Callable[[], list[Callable[[], int]]]]] = [
        ("all well", 50, lambda: [well, well, well]),
        ("two of three fail by halves", 50, lambda: [half(draw), half(draw), well]),
        ("two of three are flooded", 60, lambda: [Room(ROOM_PER_S), Room(ROOM_PER_S), well]),
        ("one of two flaps", 50, lambda: [flapping(begun_s(), 1), well]),
        ("two flap in turn", 50, lambda: [flapping(begun_s(), 0), flapping(begun_s(), 1)]),
    ]
    for name, per_s, moods in kinds:
        made = moods()
        route = f"  ask: {{try: [{', '.join(NAMES[: len(made)])}], timeout_s: 10}}"
        async with Lab(made, route) as lab:
            if not found:
                await lab.arriving(1, per_s)  # warms
            found[name] = await lab.arriving(seconds, per_s)
    return found


async def measured(requests: int, seconds: int, seed: int) -> tuple[dict[str, dict[str, float]], list[str]]:
    """All of it, and which limits were broken."""
    figures, faults = {}, []
    for name, (mood, limits) in NOBODY.items():
        found = figures[name] = await nobody(requests, mood, limits)
        if found["calls"] > found["calls_allowed"]:
            faults.append(f"{name}: more calls than the budgets allow")
        if found["latest_after_deadline_ms"] > 1000 * LATE_MOST_S and requests >= FULL_REQUESTS:
            faults.append(f"{name}: later than its deadline by more than {1000 * LATE_MOST_S:.0f} ms")
    figures["budgets of others"] = await budgets_of_others(requests)
    told = await weathers(seconds, seed)
    best = told["all well"].figures
    for name, each in told.items():
        found = each.figures
        added = {f"added_{key}": found[key] - best[key] for key in ("median_ms", "mean_ms", "p99_ms")}
        figures[name] = {**found, **added, **{f"calls_{server}": count for server, count in each.calls.items()}}
    return figures, faults


def main() -> int:
    """Measure, print, perhaps record."""
    chosen = arguments(__doc__, requests=FULL_REQUESTS, seconds=30, seed=SEED)
    figures, faults = asyncio.run(measured(chosen.requests, chosen.seconds, chosen.seed))
    for name in (*NOBODY, "budgets of others"):
        table((name, ""), [(key, f"{number:,.2f}".removesuffix(".00")) for key, number in figures[name].items()])
        print()
    keys = ("requests", "success", "attempts_per_request", "added_median_ms", "added_mean_ms", "added_p99_ms")
    rows = [
        (name, *(f"{found[key]:,.4g}" for key in keys)) for name, found in figures.items() if "added_mean_ms" in found
    ]
    table(("", *(key.replace("_", " ") for key in keys)), rows)
    print(f"\nseed {chosen.seed}; broken: {'; '.join(faults) or 'nothing'}")
    settings = {"requests": chosen.requests, "seconds": chosen.seconds, "seed": chosen.seed}
    record(chosen.record, "outage", settings, figures)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
