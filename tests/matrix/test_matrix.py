"""The fault matrix, cell by cell, against the golden file, and what must hold in every cell whatever it says.

Every day the direct lane is run with every fault and the litellm lane with a third of them; the long suite runs all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.errors import StreamBrokenError
from modelrouter.ledger import AttemptState
from tests.matrix.cells import CANARIES, SLOW_S, World, run_world
from tests.matrix.faults import CASES
from tests.matrix.table import differences, read_golden, row_of

if TYPE_CHECKING:
    from tests.matrix.cells import Cell, Evidence

LANES = [
    pytest.param(("direct", True, 1), id="direct-async"),
    pytest.param(("litellm", False, 3), id="litellm-sync-third"),
    pytest.param(("direct", False, 1), id="direct-sync", marks=pytest.mark.long),
    pytest.param(("litellm", False, 1), id="litellm-sync", marks=pytest.mark.long),
    pytest.param(("litellm", True, 1), id="litellm-async", marks=pytest.mark.long),
]
"""Lane, whether calls are async, and every how many-th case is run."""


@dataclass(frozen=True, slots=True)
class Played:
    """All cells of one lane in one way of calling."""

    lane: str
    two: Evidence
    alone: Evidence

    @property
    def both(self) -> tuple[Evidence, Evidence]:
        """With another deployment and without."""
        return self.two, self.alone

    @property
    def cells(self) -> list[Cell]:
        """All of them."""
        return [*self.two.cells, *self.alone.cells]


@pytest.fixture(scope="module", params=LANES)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Every fault, once with another deployment to fall back to and once without."""
    lane, is_async, step = request.param
    worlds = [World(lane, is_async, has_other) for has_other in (True, False)]
    return Played(lane, *(run_world(world, CASES[::step], tmp_path_factory.mktemp(world.name)) for world in worlds))


def named(cells: list[Cell]) -> list[tuple[Any, ...]]:
    """Cells by what identifies them, for a failing test's message."""
    return [(*cell.case.key, cell.world.name, cell.outcome) for cell in cells]


def test_each_fault_comes_to_what_the_golden_file_says(played: Played) -> None:
    """Kind, phase, requests on the wire, money, outcome and connections of every cell."""
    rows = [row_of(two, alone) for two, alone in zip(played.two.cells, played.alone.cells, strict=True)]
    assert differences(rows, read_golden(played.lane)) == []


def test_the_golden_file_has_every_fault_and_no_other() -> None:
    """At least forty faults, each in every mode in which it can happen."""
    assert set(read_golden("direct")) == {case.key for case in CASES}
    assert len({case.fault for case in CASES}) >= 40


def test_what_was_billed_is_booked(played: Played) -> None:
    """No provider bills more than what the book holds, nothing stays reserved, and an error tells the booked cost."""
    cells = played.cells
    assert (
        named([cell for cell in cells if sum(each.cost_nano_usd for each in cell.attempts) < cell.billed_nano_usd])
        == []
    )
    assert named([cell for cell in cells if any(each.state is AttemptState.RESERVED for each in cell.attempts)]) == []
    assert named([cell for cell in cells if cell.error_nano_usd not in {None, cell.cost_nano_usd}]) == []


def test_no_fault_takes_longer_than_its_limits(played: Played) -> None:
    """The limit of an attempt ends it, whatever drips in meanwhile; waits that a provider asked for are a second."""
    assert named([cell for cell in played.cells if cell.took_s > 3 * SLOW_S + 4]) == []


def test_a_broken_stream_tells_what_it_had_handed_out(played: Played) -> None:
    """The error holds the text so far and what it cost."""
    broken = [cell for cell in played.cells if cell.outcome == StreamBrokenError.__name__]
    assert broken
    assert (
        named([cell for cell in broken if not cell.handed or cell.text != cell.handed or not cell.error_nano_usd]) == []
    )


def test_no_key_and_no_prompt_is_told(played: Played) -> None:
    """Providers echo both wherever they can; no error, log line, printed line or byte of the book has them."""
    for evidence in played.both:
        assert all(canary in evidence.echoed for canary in CANARIES), "the provider was not sent what is looked for"
        assert named([cell for cell in evidence.cells if any(canary in cell.said for canary in CANARIES)]) == []
        assert [canary for canary in CANARIES if canary in evidence.log] == []
        assert [canary for canary in CANARIES if canary.encode() in evidence.book] == []


def test_nothing_is_left_behind(played: Played) -> None:
    """No connection outlives the Router, nobody was redirected, and asyncio has nothing to complain about."""
    for evidence in played.both:
        assert (evidence.left_open, evidence.trapped, evidence.complaints) == (0, 0, [])
