"""The pure parts under a simulated world: every invariant holds over many requests, and each of them can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import End
from tests.simulation.broken import INVARIANTS
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.run import Figures, Rules


ENDS = frozenset(end.value for end in End)
RARE = frozenset({"not_granted"})
"""Everybody has to be revoked between a decision and its first hop."""


def holds(figures: Figures, ends: frozenset[str]) -> None:
    """Nothing broke, everything was checked, and requests ended in all of these ways."""
    told = figures.told()
    sys.stdout.write(told)
    assert figures.broken is None, told
    assert [name for name, count in figures.checks.items() if not count] == []
    assert ends <= set(figures.ends), told
    assert min(figures.crashes, figures.lapses, figures.corrections, figures.policy_changes, figures.reloads) > 0, told


@pytest.mark.parametrize("seed", [11, 12])
def test_every_invariant_holds(seed: int) -> None:
    """Thirty thousand requests with faults, crashes and changes of policy break no invariant."""
    holds(simulate(30_000, seed), ENDS - RARE)


@pytest.mark.long
def test_every_invariant_holds_over_many_requests() -> None:
    """A quarter of the release trial, whose figure `python -m tests.simulation` prints: a million in two minutes."""
    figures = simulate(250_000, 1)
    holds(figures, ENDS)
    assert figures.requests == 250_000


@pytest.mark.parametrize(("name", "rules"), [pytest.param(name, rules, id=why) for name, why, rules in MUTANTS])
def test_each_invariant_can_fail(name: str, rules: Callable[[], Rules]) -> None:
    """A variant that is broken on purpose is reported, by the invariant that it breaks, with its seed."""
    figures = simulate(40_000, 1, rules())
    assert figures.broken is not None
    assert figures.broken.name == name
    assert f"replay: python -m tests.simulation --requests {figures.requests} --seed 1\n" in figures.told()


def test_each_invariant_has_a_variant_that_breaks_it() -> None:
    """No invariant is without its proof that it can fail."""
    assert {name for name, _, _ in MUTANTS} == set(INVARIANTS)


def test_a_seed_replays_a_run() -> None:
    """The same seed comes to the same ends and costs in another process with other hashes, another seed to others."""
    first = simulate(2000, 5)
    again = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--requests", "2000", "--seed", "5"],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"digest {first.digest:016x}\n" in again
    assert again.endswith("0 broken\n")
    assert simulate(2000, 6).digest != first.digest
