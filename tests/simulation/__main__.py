"""`python -m tests.simulation --requests N --seed S` simulates and prints figures; exit 1 if an invariant broke."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.run import simulate


def main() -> int:
    """Simulate, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="simulate the pure parts")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    figures = simulate(given.requests, given.seed)
    sys.stdout.write(figures.told())
    return 0 if figures.broken is None else 1


sys.exit(main())
