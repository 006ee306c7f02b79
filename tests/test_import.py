"""What `from modelrouter import Router` costs and loads, seen from fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "aiohttp",
    "asyncio",
    "httpx",
    "litellm",
    "openai",
    "psycopg",
    "pydantic",
    "rich",
    "sqlite3",
    "structlog",
    "typer",
    "yaml",
}
ROUNDS = 7
RATIO_MAX = 0.5
"""Of the time that `import aiohttp` takes beyond a bare interpreter, in the same run."""


def interpreter(program: str) -> str:
    """Run a program in a fresh interpreter; what it prints."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_router_loads_nothing_heavy() -> None:
    """Importing the Router loads none of the packages that a call, a config or a face needs."""
    program = "import json, sys; from modelrouter import Router; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(interpreter(program))}
    assert loaded & HEAVY == set()
    assert "modelrouter" in loaded


def test_the_list_of_heavy_packages_is_of_packages() -> None:
    """Each name on the list can be imported, so that none is missing there for a typing error."""
    found = interpreter(f"import importlib.util as u; print([n for n in {sorted(HEAVY)} if u.find_spec(n) is None])")
    assert found.strip() == "[]"


def test_importing_the_router_is_light() -> None:
    """Over a bare interpreter it takes at most half of what `import aiohttp` takes; the minimum of interleaved runs."""
    programs = {"bare": "pass", "aiohttp": "import aiohttp", "router": "from modelrouter import Router"}
    best = dict.fromkeys(programs, float("inf"))
    for _ in range(ROUNDS):
        for name, program in programs.items():
            begun = time.perf_counter()
            interpreter(program)
            best[name] = min(best[name], time.perf_counter() - begun)
    assert best["router"] - best["bare"] <= RATIO_MAX * (best["aiohttp"] - best["bare"]), best
