"""The simulation: an event queue, writers that live and die, bursts of requests, and all that goes wrong meanwhile.

What is driven is the code that the package runs with: the attempt loop, the rule of admission, the order, and
`router.traffic` with its models of health, keys, load and retry budgets. Clock, network and book are simulated. There
is no thread and no event loop, and every draw comes from one seed, so a seed replays a run to the last event.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from modelrouter.core.attempts import run
from modelrouter.core.budget import admit
from modelrouter.core.ordering import in_order
from modelrouter.router.traffic import Traffic
from tests.simulation.broken import INVARIANTS, BrokenInvariantError
from tests.simulation.drive import Drive
from tests.simulation.faults import Weather
from tests.simulation.invariants import Invariants
from tests.simulation.store import Store
from tests.simulation.watch import Watch
from tests.simulation.world import BUDGETS, CASES, EPOCH_S, HOSTS, ROUTES, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelrouter.config.setup import Setup
    from modelrouter.core.attempts import End, Flow, Plan
    from modelrouter.core.budget import Refusal, Standing
    from modelrouter.core.facts import Deployment
    from modelrouter.core.request import Request
    from modelrouter.core.route import Moment, Route
    from modelrouter.router.traffic import Full
    from tests.simulation.invariants import Booking
    from tests.simulation.store import Held

__all__ = ["Figures", "Rules", "Simulation", "Writer", "simulate"]

WRITERS: Final = 3
LEASE_S: Final = 30.0
OPERATORS: Final = tuple(sorted({host.operator for host in HOSTS.values()}))
WEATHERS: Final = tuple(Weather)
MASK: Final = 2**64 - 1


class SimulatedTraffic(Traffic):
    """The traffic of one writer, whose callers wait for an event."""

    @staticmethod
    def _wake(post: Any) -> None:
        """Let whoever is first in a line look again."""
        for line in (post.line, post.undecided):
            first = line.first
            if isinstance(first, Drive) and not first.is_woken:
                first.is_woken = True
                first.sim.at(first.sim.now_s, Drive.roomed, first)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is under test; a mutant puts something broken in one of its places.

    Attributes:
        asks_policy: the driver asks policy again before each hop and each sending.
        asks_book: it asks whether its reservation still stands before it sends.
    """

    run: Callable[[Plan], Flow] = run
    admit: Callable[[int, Sequence[Standing]], Refusal | None] = admit
    in_order: Callable[[Mapping[str, int], Route, Request, Moment, Mapping[str, Deployment]], list[str]] = in_order
    traffic: type[SimulatedTraffic] = SimulatedTraffic
    store: type[Store] = Store
    asks_policy: bool = True
    asks_book: bool = True


class Clock:
    """The time of the simulation."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    def now_s(self) -> float:
        """Seconds since 1970."""
        return EPOCH_S + self._sim.now_s

    def monotonic_s(self) -> float:
        """Seconds since the simulation began."""
        return self._sim.now_s

    async def sleep(self, seconds: float) -> None:
        """Never asked: who waits leaves an event behind."""
        raise AssertionError(f"slept for {seconds} s")


class Writer:
    """One process: its traffic, its requests under way, and what it holds in the book."""

    def __init__(self, sim: Simulation) -> None:
        self.traffic = sim.rules.traffic(cast("Setup", terms()), Clock(sim))
        self.watches = {name: Watch(host.limits, sim.watched.checks) for name, host in HOSTS.items()}
        self.drives: dict[Drive, None] = {}  # in the order of their coming
        self.held: dict[Held, Booking] = {}

    def post(self, name: str) -> Any:
        """The models of one deployment."""
        return self.traffic._posts[name]

    def is_ill(self, name: str, full: Full) -> bool:
        """Whether a deployment refused a first attempt for its health alone: calls are few, and nobody is waiting."""
        limits = self.watches[name].limits
        if limits.max_in_flight is not None and self.watches[name].in_flight >= limits.max_in_flight:
            return False
        has_rate = limits.requests_per_minute is not None or limits.tokens_per_minute is not None
        return not self.post(name).line.waiting and (full.line is None or not has_rate)


Event: TypeAlias = "tuple[float, int, Callable[[Any], None], Any, int]"


@dataclass(slots=True)
class Figures:
    """What a run came to."""

    seed: int
    requests: int = 0
    sends: int = 0
    simulated_h: float = 0.0
    cpu_s: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    crashes: int = 0
    lapses: int = 0
    corrections: int = 0
    policy_changes: int = 0
    reloads: int = 0
    most_under_way: int = 0
    digest: int = 0
    broken: BrokenInvariantError | None = None

    def told(self) -> str:
        """The figures for people; of a broken invariant also the command that replays it."""
        ends = ", ".join(f"{count} {name}" for name, count in self.ends.items())
        checks = "\n".join(f"  {count:>9} {name}: {INVARIANTS[name]}" for name, count in self.checks.items())
        text = (
            f"seed {self.seed}: {self.requests} requests, {self.sends} calls and {self.simulated_h:.0f} simulated hours"
            f" in {self.cpu_s:.1f} s of CPU, digest {self.digest:016x}\n"
            f"ends: {ends}\n"
            f"{self.crashes} crashes, {self.lapses} reservations lapsed, {self.corrections} corrections, "
            f"{self.policy_changes} changes of policy, {self.reloads} reloads, "
            f"at most {self.most_under_way} requests under way\n"
            f"checks:\n{checks}\n"
        )
        if self.broken is None:
            return f"{text}0 broken\n"
        replay = f"python -m tests.simulation --requests {self.requests} --seed {self.seed}"
        return f"{text}broken: {self.broken}\nreplay: {replay}\n"


class Simulation:
    """One run from one seed."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.random, self.rules, self.watched = Random(seed), rules, Invariants()
        self.chance = self.random.random
        self.now_s, self.sends, self.corrections = 0.0, 0, 0
        self.figures = Figures(seed)
        self.ends: Counter[End | None] = Counter()
        self.store = rules.store(BUDGETS, rules.admit)
        self.refused: dict[str, set[str]] = {route.name: set() for route in ROUTES}
        self.weather = dict.fromkeys(OPERATORS, Weather.FINE)
        self._heap: list[Event] = []
        self._events = 0
        self._wanted = self._left = 0
        self._rate = 1.0
        self.writers = [Writer(self) for _ in range(WRITERS)]

    def at(self, at_s: float, what: Callable[[Drive], None], drive: Drive) -> None:
        """Let a request go on at a moment, unless it has gone on before."""
        self._events += 1
        heappush(self._heap, (at_s, self._events, what, drive, drive.turn))

    def then(self, at_s: float, what: Callable[[Any], None], subject: object = None) -> None:
        """Let something happen at a moment, whatever comes before."""
        self._events += 1
        heappush(self._heap, (at_s, self._events, what, subject, -1))

    def ended(self, end: End, cost: int) -> None:
        """A request is over."""
        self.ends[end] += 1
        self.figures.digest = (self.figures.digest * 1_000_003 + cost * 31 + len(end.value)) & MASK

    def run(self, requests: int) -> None:
        """Simulate so many requests, and all that follows from them.

        Raises:
            BrokenInvariantError: something does not hold.
        """
        self._wanted, heap = requests, self._heap
        self.then(0.0, self._burst)
        while heap:
            at_s, _, what, subject, turn = heappop(heap)
            if turn < 0 or turn == subject.turn:
                self.now_s = at_s
                what(subject)
        self.watched.quiet()

    # --- load ---------------------------------------------------------------------------------------------------------

    def _burst(self, _: object) -> None:
        """Some hundred requests close together, and what goes wrong among them."""
        chance, now_s = self.chance, self.now_s
        self._left = int(20 + 300 * chance() ** 2)
        self._rate = (1.0, 4.0, 15.0, 60.0)[int(4 * chance())]
        length_s = self._left / self._rate
        for moment in (0.0, chance(), chance()):
            self.then(now_s + length_s * moment, self._turn_weather)
        for happens, share in (
            (self._change_policy, 0.7),
            (self._crash, 0.15),
            (self._lapse, 0.2),
            (self._reload, 0.1),
        ):
            likely = share
            while chance() < likely:
                self.then(now_s + length_s * chance(), happens)
                likely *= 0.5
        self._arrive(None)

    def _arrive(self, _: object) -> None:
        chance, figures = self.chance, self.figures
        figures.requests += 1
        writer = self.writers[int(WRITERS * chance())]
        drive = Drive(self, writer, CASES[int(len(CASES) * chance())])
        if not drive.begin(figures.requests):
            self.ends[None] += 1
        elif figures.requests % 64 == 0:
            self.then(self.now_s + 4 * chance(), Drive.cancel, drive)
        if figures.requests % 32 == 0:
            figures.most_under_way = max(figures.most_under_way, sum(len(each.drives) for each in self.writers))
        if figures.requests >= self._wanted:
            return
        self._left -= 1
        if self._left > 0:
            self.then(self.now_s + 2 * chance() / self._rate, self._arrive)
        else:
            pause_s = 40.0 * chance() if chance() < 0.4 else 14_400.0 * chance() ** 2
            self.then(self.now_s + pause_s, self._burst)

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def _turn_weather(self, _: object) -> None:
        operator = OPERATORS[int(len(OPERATORS) * self.chance())]
        fine = self.chance() < 0.5
        self.weather[operator] = Weather.FINE if fine else WEATHERS[int(len(WEATHERS) * self.chance())]

    def _change_policy(self, _: object) -> None:
        """A reload, or a revocation, turns who is permitted on one route."""
        self.figures.policy_changes += 1
        route = ROUTES[int(len(ROUTES) * self.chance())]
        refused, names = self.refused[route.name], route.candidates
        name = names[int(len(names) * self.chance())]
        if name in refused:
            refused.discard(name)
        elif len(refused) < len(names) - 1 or self.chance() < 0.1:
            refused.add(name)

    def _reload(self, _: object) -> None:
        """A process reads its configuration again in the middle of everything."""
        self.figures.reloads += 1
        writer = self.writers[int(WRITERS * self.chance())]
        for watch in writer.watches.values():
            watch.renew()
        writer.traffic.adopt(cast("Setup", terms()))

    def _crash(self, _: object) -> None:
        """A process dies in the middle of everything; another takes its place, and its lease lapses in a while."""
        self.figures.crashes += 1
        place = int(WRITERS * self.chance())
        gone = self.writers[place]
        for drive in gone.drives:
            drive.die()
        self.writers[place] = Writer(self)
        self.then(self.now_s + LEASE_S, self._expire, gone)

    def _lapse(self, _: object) -> None:
        """A process was too slow to renew its lease, and goes on as if nothing had been."""
        self._expire(self.writers[int(WRITERS * self.chance())])

    def _expire(self, writer: Writer) -> None:
        self.figures.lapses += len(writer.held)
        for held, booking in writer.held.items():
            self.store.lapse(held)
            self.watched.ended(booking, held.booked, held.ended)
        writer.held.clear()


def simulate(requests: int, seed: int, rules: Rules | None = None) -> Figures:
    """Simulate so many requests; the figures say which invariant broke, if one did."""
    sim = Simulation(seed, Rules() if rules is None else rules)
    figures, began_s = sim.figures, time.process_time()
    try:
        sim.run(requests)
    except BrokenInvariantError as broken:
        figures.broken = broken
    for writer in sim.writers:
        for drive in list(writer.drives):
            drive.die()
    figures.cpu_s = time.process_time() - began_s
    figures.simulated_h = sim.now_s / 3600
    figures.sends, figures.corrections, figures.checks = sim.sends, sim.corrections, sim.watched.checks
    figures.ends = {"refused" if end is None else end.value: count for end, count in sim.ends.most_common()}
    return figures
