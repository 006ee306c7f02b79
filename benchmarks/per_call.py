"""CPU per call and calls per second: aiohttp with orjson as the reference, modelrouter, openai's client, litellm.

modelrouter's calls decide by two policies and commit a reservation before they leave; the others do neither. Each peer
has a process of its own, and rounds go round the peers: one after the other, 64 tasks at once, streams of 50 chunks.
Read the ratios; absolute figures are this machine's.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from _lab import HERE, arguments, environment, is_here, record, serving, spread, table, write_config
from _peer import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("plain", "tasks", "stream")
REFERENCE = "aiohttp"


class Worker:
    """A peer's process, asked for one round at a time."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def round(self, kind: str, count: int) -> dict[str, float]:
        """One round: CPU µs and wall µs of a call, calls a second, CPU µs of a chunk."""
        if self._child.stdin is None or self._child.stdout is None:
            raise AssertionError("the peer was started without pipes")
        self._child.stdin.write(json.dumps({"do": kind, "count": count}) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"a peer ended in the middle of `{kind}`")
        got: dict[str, float] = json.loads(line)
        figures = {
            "cpu_us_per_call": 1e6 * got["cpu_s"] / got["calls"],
            "wall_us_per_call": 1e6 * got["wall_s"] / got["calls"],
            "calls_per_s": got["calls"] / got["wall_s"],
        }
        if got["chunks"]:
            figures["cpu_us_per_chunk"] = 1e6 * got["cpu_s"] / got["chunks"]
        return figures


@contextlib.contextmanager
def working(peer: str, base_url: str, program: str = "_peer.py") -> Iterator[Worker]:
    """A peer's process with a config and a ledger of its own."""
    with tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-") as folder:
        config = write_config(Path(folder), base_url, falls=program != "_peer.py")
        command = [sys.executable, str(HERE / program), peer, base_url, str(config)]
        with subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            yield Worker(child)
            if child.stdin is not None:
                child.stdin.close()
            child.wait()


def show(kind: str, figures: dict[str, dict[str, dict[str, dict[str, float]]]]) -> None:
    """One table."""
    measure = "cpu_us_per_chunk" if kind == "stream" else "cpu_us_per_call"
    reference = figures[REFERENCE][kind][measure]["median"]
    title = {"plain": "one after the other", "tasks": "64 tasks at once", "stream": "streams of 50 chunks"}[kind]
    rows = [
        [
            peer,
            f"{kinds[kind][measure]['median']:.0f}"
            if measure == "cpu_us_per_call"
            else f"{kinds[kind][measure]['median']:.1f}",
            f"{kinds[kind][measure]['min']:.0f}"
            if measure == "cpu_us_per_call"
            else f"{kinds[kind][measure]['min']:.1f}",
            f"{kinds[kind][measure]['median'] / reference:.1f}",
            f"{kinds[kind]['calls_per_s']['median']:.0f}",
        ]
        for peer, kinds in figures.items()
    ]
    unit = "chunk" if kind == "stream" else "call"
    table([title, f"CPU µs/{unit}", "min", "x aiohttp", "calls/s"], rows)
    print()


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, rounds=7, calls=100, tasks=640, streams=20)
    counts = {"plain": chosen.calls, "tasks": chosen.tasks, "stream": chosen.streams}
    needs = {"modelrouter.openai": "openai"}
    peers = [peer for peer in PEERS if peer == "modelrouter" or is_here(needs.get(peer, peer))]
    seen: dict[str, dict[str, list[dict[str, float]]]] = {peer: {kind: [] for kind in KINDS} for peer in peers}
    with serving() as base_url, contextlib.ExitStack() as stack:
        workers = {peer: stack.enter_context(working(peer, base_url)) for peer in peers}
        for number in range(chosen.rounds + 1):
            for kind in KINDS:
                for peer, worker in workers.items():
                    got = worker.round(kind, counts[kind])
                    if number:  # the first round warms
                        seen[peer][kind].append(got)
    figures = {
        peer: {
            kind: {measure: spread([one[measure] for one in rounds]) for measure in rounds[0]}
            for kind, rounds in kinds.items()
        }
        for peer, kinds in seen.items()
    }
    for kind in KINDS:
        show(kind, figures)
    record(chosen.record, "per_call", {"rounds": chosen.rounds, **counts}, figures)


if __name__ == "__main__":
    main()
