"""CPU of a failed attempt: the first server answers 500, the second answers; beside openai's client and litellm.Router.

Each peer has a process of its own, and rounds go round the peers: calls to the server that is well, then calls that
fall back. The difference is what the failed attempt costs. modelrouter decides by two policies and commits two
reservations, and books both ends; openai's client stands in a `try`; litellm.Router has retries and cooldowns off.
Nobody may learn that the first server is down. Read the ratios; absolute figures are this machine's.
"""

from __future__ import annotations

import contextlib

from _faller import FALLERS
from _lab import arguments, is_here, record, serving, spread, table
from per_call import working

KINDS = ("plain", "fallback")
NEEDS = {"modelrouter": "aiohttp", "openai, try and except": "openai", "litellm.Router": "litellm"}


def main() -> None:
    """Measure and print."""
    chosen = arguments(__doc__, rounds=7, calls=100)
    peers = [peer for peer in FALLERS if is_here(NEEDS[peer])]
    seen: dict[str, dict[str, list[float]]] = {peer: {kind: [] for kind in KINDS} for peer in peers}
    with serving() as base_url, contextlib.ExitStack() as stack:
        workers = {peer: stack.enter_context(working(peer, base_url, "_faller.py")) for peer in peers}
        for number in range(chosen.rounds + 1):
            for kind in KINDS:
                for peer, worker in workers.items():
                    got = worker.round(kind, chosen.calls)
                    if number:  # the first round warms
                        seen[peer][kind].append(got["cpu_us_per_call"])
    figures = {
        peer: {
            **{f"{kind}_cpu_us": spread(each) for kind, each in kinds.items()},
            "failed_attempt_cpu_us": spread([fell - well for well, fell in zip(*kinds.values(), strict=True)]),
        }
        for peer, kinds in seen.items()
    }
    ours = figures["modelrouter"]["failed_attempt_cpu_us"]["median"]
    rows = [
        [
            peer,
            *(f"{each['median']:.0f}" for each in found.values()),
            f"{found['failed_attempt_cpu_us']['median'] / ours:.1f}",
        ]
        for peer, found in figures.items()
    ]
    table(["CPU µs, medians", "well", "falls back", "failed attempt", "x modelrouter"], rows)
    record(chosen.record, "fallback", {"rounds": chosen.rounds, "calls": chosen.calls}, figures)


if __name__ == "__main__":
    main()
