"""Whatever comes, goes, fails or is configured anew: nobody is counted twice, lost, or let in beyond a limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.config import from_text
from modelrouter.core.attempts import Attempt, Failure, FailureKind, Phase
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.router.traffic import Need, Pass, Traffic
from modelrouter.testing import FakeClock
from tests.config.texts import PARTS, config
from tests.strategies import everyday

if TYPE_CHECKING:
    from modelrouter.config import Setup
    from modelrouter.router.traffic import Full

MOST, MINUTE = 2, 5
SETUP = from_text(
    config(
        deployments=PARTS["deployments"].replace(
            "    source: platform team",
            f"    limits: {{max_in_flight: {MOST}, max_queue: 3, requests_per_minute: {MINUTE}}}\n"
            '    key: ["env:ONE", "env:TWO"]\n    source: platform team',
        )
    )
)
FEWER_KEYS = replace(SETUP, endpoints={name: replace(each, more_keys=()) for name, each in SETUP.endpoints.items()})
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "end", "end", "give up", "time", "configure"]),
        st.integers(0, 9),
        st.sampled_from([None, *FailureKind]),
        st.booleans(),
    ),
    max_size=50,
)


def attempt(kind: FailureKind | None) -> Attempt:
    """An attempt that ended so."""
    failure = None if kind is None else Failure(kind, Phase.ANSWERING, "a test")
    most = Bound(1, 10, 10, BoundBasis.PROVED)
    price = PriceList(Decimal(1), Decimal(1))
    return Attempt(1, "own", most, price, 0.0, 1.0, failure, None if failure else Usage(5, 5))


class World:
    """Callers of one deployment, kept in plain lists beside it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.traffic = Traffic(SETUP, self.clock)
        self.asking: list[asyncio.Task[Pass | Full]] = []
        self.inside: list[Pass] = []
        self.begun_s: list[float] = []

    async def settle(self) -> None:
        """Let everybody go on as far as they can, and take in who got in."""
        for _ in range(6):
            await asyncio.sleep(0)
        for task in [each for each in self.asking if each.done()]:
            self.asking.remove(task)
            if not task.cancelled() and isinstance(got := task.result(), Pass):
                got.sent_s = self.clock.monotonic_s()
                self.inside.append(got)
                self.begun_s.append(self.clock.monotonic_s())

    async def step(self, what: str, which: int, kind: FailureKind | None, flag: bool) -> None:
        """One thing happens."""
        if what == "come":
            asked = self.traffic.enter("own", Need(5, 5), is_extra=flag, is_last=which > 3, wait_s=which * 1.0)
            self.asking.append(asyncio.ensure_future(asked))
        elif what == "end" and self.inside:
            place = which % len(self.inside)
            entry = self.inside.pop(place)
            if flag:  # it got no money, so it was never sent and counts for nothing
                self.begun_s.remove(entry.sent_s or 0.0)
            self.traffic.leave(entry, None if flag else attempt(kind))
        elif what == "give up" and self.asking:
            self.asking[which % len(self.asking)].cancel()
        elif what == "time":
            self.clock.move(which * 7)
        elif what == "configure":
            self.traffic.adopt(FEWER_KEYS if flag else SETUP)

    def holds(self) -> None:
        """What is under way is what was let in, and no limit is exceeded."""
        assert self.traffic.readings(("own",)).in_flight.get("own", 0) == len(self.inside) <= MOST
        now_s = self.clock.monotonic_s()
        assert sum(now_s - 60 < each for each in self.begun_s) <= MINUTE


async def lived(steps: list[tuple[str, int, FailureKind | None, bool]]) -> World:
    """All steps, and then everybody's end."""
    world = World()
    for each in steps:
        await world.step(*each)
        await world.settle()
        world.holds()
    for task in world.asking:
        task.cancel()
    await asyncio.gather(*world.asking, return_exceptions=True)
    await world.settle()
    while world.inside:
        world.traffic.leave(world.inside.pop(), attempt(None))
    return world


@everyday(150)
@given(STEPS)
def test_everybody_is_counted_once_and_no_limit_is_exceeded(
    steps: list[tuple[str, int, FailureKind | None, bool]],
) -> None:
    """At every moment, and at the end nothing is left: nobody under way, in a line, or undecided."""
    world = asyncio.run(lived(steps))
    assert world.traffic.readings(("own",)).in_flight == {}
    post = world.traffic._posts["own"]
    assert (post.line.waiting, post.undecided.waiting, post.budget.undecided) == (0, 0, 0)


def test_the_setups_differ() -> None:
    """What a reload changes in these runs is the number of keys."""
    keys: dict[str, Setup] = {"two": SETUP, "one": FEWER_KEYS}
    assert {name: 1 + len(each.endpoints["own"].more_keys) for name, each in keys.items()} == {"two": 2, "one": 1}
