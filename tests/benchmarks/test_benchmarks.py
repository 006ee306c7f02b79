"""Each benchmark runs with tiny counts and says what it should; what the figures are is not judged here."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
DEADLINE_S = 240.0
NEEDS_AN_INDEX = "install_size.py"
"""Installs packages, so it is described here and not run."""
IN_THE_SECOND_SUITE = {"money.py", "shares.py"}
"""Their trials are tests of that suite, a tenth of them, so they are described here and not run."""
PEERS = ["aiohttp", "modelrouter", "modelrouter.openai", "openai", "litellm"]

TINY: dict[str, list[str]] = {
    "bounds.py": ["--conversations=29", "--served=3"],
    "fallback.py": ["--rounds=1", "--calls=20"],
    "first_reply.py": ["--rounds=1"],
    "import_weight.py": ["--rounds=2"],
    "ledger.py": ["--rounds=1", "--rows=128", "--single=5"],
    "outage.py": ["--requests=40", "--seconds=1"],
    "per_call.py": ["--rounds=1", "--calls=2", "--tasks=70", "--streams=2"],
    "price_exactness.py": ["--models=40"],
    "replay.py": ["--calls=300", "--derivations=40"],
    "soak.py": ["--calls=150", "--warm=300"],
    "tamper.py": ["--entries=60", "--part=4"],
    "spend.py": ["--rounds=1", "--attempts=3000", "--users=20", "--through=100"],
    "survive.py": ["--rounds=1", "--deployments=12", "--routes=5", "--clouds=7"],
}


def run(name: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark with its tiny counts, from a folder of the test's own."""
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *TINY[name], *more],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


DIFFERENCES = {
    "added_mean_ms",
    "added_median_ms",
    "added_p99_ms",
    "failed_attempt_cpu_us",
    "latest_after_deadline_ms",
    "ledger_cpu_us",
    "ledger_cpu_of_aiohttp",
    "alone_added_us",
}
"""What is left of one measurement after another: over a handful of calls, noise can take it below zero."""


def numbers(found: object, *, name: str = "") -> list[tuple[str, float]]:
    """Every number in the figures, under the name that stands nearest above it and is a measurement's."""
    if isinstance(found, dict):
        below = found.items()
        return [each for key, value in below for each in numbers(value, name=name if name in DIFFERENCES else key)]
    return [(name, float(found))] if isinstance(found, int | float) else []


def recorded(name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """What a benchmark prints, and the figures that it records."""
    path = folder / "kept" / "figures.json"
    done = run(name, folder, "--record", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["benchmark"] == name.removesuffix(".py")
    assert set(kept["machine"]) == {"system", "architecture", "cores", "python"}
    assert {"aiohttp", "modelrouter", "openai"} <= set(kept["versions"])
    for named, number in numbers(kept["figures"]):
        assert math.isfinite(number), named
        assert number >= 0 or named in DIFFERENCES, (named, number)
    return done.stdout, kept["figures"]


def test_import_weight(tmp_path: Path) -> None:
    """It names the three processes and that nothing heavy was loaded."""
    printed, figures = recorded("import_weight.py", tmp_path)
    assert "from modelrouter import Router" in printed
    assert "loaded of aiohttp, litellm, openai, pydantic: none" in printed
    assert figures["heavy_loaded"] == []


@pytest.mark.long
def test_first_reply(tmp_path: Path) -> None:
    """It splits the way to the first reply, and the parts make the whole."""
    printed, figures = recorded("first_reply.py", tmp_path)
    assert printed.splitlines()[0].split()[-8:] == ["start", "ms", "import", "ms", "config", "ms", "call", "ms"]
    assert set(figures["ratio_to_aiohttp"]) == {"aiohttp", "modelrouter", "openai"}
    for steps in figures["ms"].values():
        parts = sum(steps[step]["median"] for step in ("start", "import", "config", "call"))
        assert parts == pytest.approx(steps["total"]["median"])


@pytest.mark.long
def test_per_call(tmp_path: Path) -> None:
    """Every peer answers all calls and every chunk of all streams, and is compared in three tables."""
    printed, figures = recorded("per_call.py", tmp_path)
    assert list(figures) == PEERS
    for title in ("one after the other", "64 tasks at once", "streams of 50 chunks"):
        assert title in printed
    for kinds in figures.values():
        assert set(kinds) == {"plain", "tasks", "stream"}
        # all 50 pieces came: CPU per call and per chunk are of the same rounds
        ratio = kinds["stream"]["cpu_us_per_call"]["median"] / kinds["stream"]["cpu_us_per_chunk"]["median"]
        assert ratio == pytest.approx(50)


@pytest.mark.long
def test_fallback(tmp_path: Path) -> None:
    """Every peer falls back in every call that is to, and the failed attempt is what that adds."""
    printed, figures = recorded("fallback.py", tmp_path)
    assert "failed attempt" in printed
    assert list(figures) == ["modelrouter", "openai, try and except", "litellm.Router"]
    for found in figures.values():
        added = found["fallback_cpu_us"]["median"] - found["plain_cpu_us"]["median"]
        assert found["failed_attempt_cpu_us"]["median"] == pytest.approx(added)


@pytest.mark.long
def test_bounds(tmp_path: Path) -> None:
    """It counts by bytes, by tokenizers and on the real server, and finds no prompt over its bound."""
    printed, figures = recorded("bounds.py", tmp_path)
    assert "0 of 438 prompts over their bound" in printed
    assert figures["breaches"] == 0
    assert {"bytes, hermes", "cl100k_base", "byte-level, NFKC", "SmolLM2-135M on llama.cpp"} <= set(
        figures["tokenizers"]
    )
    assert all(1 <= each["least"] <= each["median"] <= each["worst"] for each in figures["tokenizers"].values())


def test_ledger(tmp_path: Path) -> None:
    """It prints both stores, with their waiters, one alone and four processes, beside one fdatasync."""
    printed, figures = recorded("ledger.py", tmp_path)
    assert list(figures) == ["SQLite", "PostgreSQL"]
    assert all(name in printed for name in figures)


@pytest.mark.long
def test_price_exactness(tmp_path: Path) -> None:
    """It compares every usage of some models, and what differs has a reason; the table of reasons can be written."""
    printed, figures = recorded("price_exactness.py", tmp_path)
    assert figures["price_lists"] == 40
    assert figures["other_than_fractions"] == 0
    assert sum(figures["verdicts"].values()) == figures["usages"] > 400
    assert "read otherwise for a known reason" in printed
    assert run("price_exactness.py", tmp_path, "--record", str(tmp_path / "table.md")).returncode == 0
    assert "| who is right, and why |" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_spend(tmp_path: Path) -> None:
    """It asks for every group over a book whose sums it knows, and through the store finds every sum right."""
    printed, figures = recorded("spend.py", tmp_path)
    assert "3,000 attempts" in printed
    assert "100 attempts, every sum right" in printed
    assert {"deployment", "policy", "tag.user", "tag.team,day", "hour", "through the store"} <= set(figures)


@pytest.mark.long
def test_soak(tmp_path: Path) -> None:
    """It calls in every way, meets faults, and finds that nothing is left and that enough was booked."""
    printed, figures = recorded("soak.py", tmp_path)
    assert "does not hold: nothing" in printed
    assert sum(figures["calls"].values()) == 450
    assert len(figures["calls"]) == 9
    assert figures["server"]["faults"] > 50
    assert {"threads", "sockets", "files", "reserved_nano_usd"} == set(figures["left"])


@pytest.mark.long
def test_outage(tmp_path: Path) -> None:
    """With everything down few calls are added and none is late; the other weathers are told beside the calm one."""
    printed, figures = recorded("outage.py", tmp_path)
    assert "broken: nothing" in printed
    for name in ("everything down", "everything hangs"):
        assert 40 <= figures[name]["calls"] <= figures[name]["calls_allowed"]
    assert figures["all well"]["attempts_per_request"] == figures["all well"]["success"] == 1
    assert {"two of three fail by halves", "two of three are flooded", "one of two flaps"} <= set(figures)


def test_survive(tmp_path: Path) -> None:
    """It takes every vendor and every two away from every route, and finds right who is left."""
    printed, figures = recorded("survive.py", tmp_path)
    assert "12 deployments of " in printed
    assert list(figures) == ["one vendor", "any 2 vendors"]
    assert 0 < figures["one vendor"]["losses"] < figures["any 2 vendors"]["losses"]


@pytest.mark.long
def test_replay(tmp_path: Path) -> None:
    """Nothing changes without a change, six changes do what was named beforehand, and altered inputs are found."""
    printed, figures = recorded("replay.py", tmp_path)
    assert "40 of 40 decisions derived again" in printed
    assert len(figures["otherwise"]) == 6
    assert not any(figures["otherwise"].values())
    assert all(figures["altered_found"].values())


@pytest.mark.long
def test_tamper(tmp_path: Path) -> None:
    """It finds everything that it does to a small book, and says what only a head can show."""
    printed, figures = recorded("tamper.py", tmp_path)
    assert "not found" not in printed
    assert {"edit entries", "delete calls", "swap neighbours", "remove a writer"} <= set(figures["found"])
    assert all(each["done"] == each["found"] for each in figures["found"].values())
    assert all(each["with"] == each["tried"] > each["without"] for each in figures["whole"].values())


@pytest.mark.parametrize("name", ["import_weight.py", "ledger.py"])
def test_nothing_is_written_unless_asked(name: str, tmp_path: Path) -> None:
    """Without `--record` no file appears, neither where it is run nor beside it."""
    before = {path for path in BENCHMARKS.rglob("*") if "__pycache__" not in path.parts}
    assert run(name, tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert {path for path in BENCHMARKS.rglob("*") if "__pycache__" not in path.parts} == before


def test_every_benchmark_is_run_and_described() -> None:
    """Each program in the folder has its counts above and its lines in the folder's README."""
    programs = {path.name for path in BENCHMARKS.glob("*.py") if not path.name.startswith("_")}
    assert programs == {*TINY, NEEDS_AN_INDEX, *IN_THE_SECOND_SUITE}
    described = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert all(f"- `{name}`: " in described for name in programs)
