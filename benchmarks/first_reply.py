"""From the start of a process to its first reply: modelrouter beside aiohttp's bare POST, and the openai client.

Fresh processes in turn against a server in another one. modelrouter's includes reading the config, the catalog and the
policies, and a reservation that is durable before the request leaves. The ledger's file is there from a first round.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _lab import HERE, arguments, environment, is_here, record, serving, spread, table, write_config

STEPS = ("start", "import", "config", "call")


def first_reply_s(peer: str, base_url: str, config: Path) -> dict[str, float]:
    """Start a process and wait for the line that it prints with its first reply; seconds in total and by step."""
    command = [sys.executable, str(HERE / "_first.py"), peer, base_url, str(config)]
    begun_s = time.perf_counter()
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as child:
        if child.stdout is None:
            raise AssertionError("the process was started without a pipe")
        line = child.stdout.readline()
        total_s = time.perf_counter() - begun_s
    if child.returncode:
        raise SystemExit(f"{peer} ended with {child.returncode}")
    steps: dict[str, float] = json.loads(line)
    return {"total": total_s, "start": total_s - sum(steps.values()), **steps}


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, rounds=15)
    peers = [peer for peer in ("aiohttp", "modelrouter", "openai") if peer == "modelrouter" or is_here(peer)]
    seen: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
    with serving() as base_url, tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-") as folder:
        config = write_config(Path(folder), base_url)
        for number in range(chosen.rounds + 1):
            for peer in peers:
                steps = first_reply_s(peer, base_url, config)
                if number:
                    seen[peer].append(steps)
    figures = {
        peer: {step: spread([1000 * one.get(step, 0.0) for one in runs]) for step in ("total", *STEPS)}
        for peer, runs in seen.items()
    }
    reference = figures["aiohttp"]["total"]
    table(
        ["to the first reply", "median ms", "min ms", "x aiohttp", *(f"{step} ms" for step in STEPS)],
        [
            [
                peer,
                f"{figure['total']['median']:.0f}",
                f"{figure['total']['min']:.0f}",
                f"{figure['total']['median'] / reference['median']:.2f}",
                *(f"{figure[step]['median']:.0f}" for step in STEPS),
            ]
            for peer, figure in figures.items()
        ],
    )
    ratios = {peer: figure["total"]["median"] / reference["median"] for peer, figure in figures.items()}
    record(chosen.record, "first_reply", {"rounds": chosen.rounds}, {"ms": figures, "ratio_to_aiohttp": ratios})


if __name__ == "__main__":
    main()
