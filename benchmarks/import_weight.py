"""How long `from modelrouter import Router` takes over a bare interpreter, beside `import aiohttp`.

Fresh interpreters in turn, a round of warming first. Exits with 1 if a heavy package was loaded; says nothing else
about time, because machines differ: the ratio is what to look at (target: at most 80 ms and half of aiohttp's).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from _lab import ROOT, arguments, environment, record, spread, table

PROGRAMS = {
    "bare interpreter": "pass",
    "import aiohttp": "import aiohttp",
    "from modelrouter import Router": "from modelrouter import Router",
}
BARE, AIOHTTP, ROUTER = PROGRAMS
HEAVY = ("aiohttp", "litellm", "openai", "pydantic")
LOADED = (
    f"import json, sys; from modelrouter import Router; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
)


def elapsed_ms(program: str) -> float:
    """Start an interpreter, run a program, wait for its end."""
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True)
    return (time.perf_counter() - begun_s) * 1000


def main() -> int:
    """Measure, print, and judge only what is loaded."""
    chosen = arguments(__doc__, rounds=21)
    seen: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(chosen.rounds + 1):
        for name, program in PROGRAMS.items():
            took_ms = elapsed_ms(program)
            if number:
                seen[name].append(took_ms)
    figures = {name: spread(values) for name, values in seen.items()}
    over = {name: figure["median"] - figures[BARE]["median"] for name, figure in figures.items()}
    table(
        ["process", "median ms", "min ms", "over bare", "x aiohttp"],
        [
            [
                name,
                f"{figure['median']:.1f}",
                f"{figure['min']:.1f}",
                f"{over[name]:.1f}",
                f"{over[name] / over[AIOHTTP]:.2f}",
            ]
            for name, figure in figures.items()
        ],
    )
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, env=environment(), check=True, capture_output=True)
    loaded: list[str] = json.loads(done.stdout)
    print(f"loaded of {', '.join(HEAVY)}: {', '.join(loaded) or 'none'}")
    ratio = over[ROUTER] / over[AIOHTTP]
    kept = {"ms": figures, "over_bare_ms": over, "ratio_to_aiohttp": ratio, "heavy_loaded": loaded}
    record(chosen.record, "import_weight", {"rounds": chosen.rounds}, kept)
    return 1 if loaded else 0


if __name__ == "__main__":
    sys.exit(main())
