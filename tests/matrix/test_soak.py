"""A tenth of the soak, which ends as the whole must: nothing left, everything booked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 300.0


@pytest.mark.long
def test_a_tenth_of_the_soak_leaves_nothing(tmp_path: Path) -> None:
    """Two thousand calls after a warm-up of a thousand: the program ends well, and says so."""
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), "--calls=2000", "--warm=1000"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "does not hold: nothing" in done.stdout
