"""Print the fault matrix: `python -m tests.matrix [direct|litellm] [sync|async] [part of a fault's name]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.matrix.cells import World, run_world
from tests.matrix.faults import CASES
from tests.matrix.table import differences, read_golden, row_of, table


def main() -> int:
    """Run the cells that were asked for, print their table and where it differs from the golden file."""
    asked = sys.argv[1:]
    lanes = [lane for lane in ("direct", "litellm") if lane in asked] or ["direct", "litellm"]
    modes = [mode for mode in ("sync", "async") if mode in asked] or ["sync", "async"]
    part = " ".join(word for word in asked if word not in {"direct", "litellm", "sync", "async"})
    cases = [case for case in CASES if part in case.fault]
    wrong: list[str] = []
    for lane in lanes:
        for mode in modes:
            with tempfile.TemporaryDirectory() as folder:
                found = []
                for has_other in (True, False):
                    world = World(lane, mode == "async", has_other)
                    place = Path(folder) / world.name
                    place.mkdir()
                    found.append(run_world(world, cases, place).cells)
            rows = [row_of(two, alone) for two, alone in zip(*found, strict=True)]
            sys.stdout.write(f"{lane}, {mode}\n{table(rows)}\n")
            wrong += [f"{lane}, {mode}: {line}" for line in differences(rows, read_golden(lane))]
    sys.stdout.write("".join(f"{line}\n" for line in wrong) or "as the golden file says\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
