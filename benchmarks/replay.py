"""Replay and re-derivation over a large book: seconds, megabytes, and whether exactly the expected calls change.

The book is written by the parts that a Router uses: every call is decided, recorded, reserved and settled, over four
weeks, with fallbacks, failures and refusals whose kinds are known by construction. `modelrouter replay` then runs over
it in a process of its own, with nothing changed; six changes of one fact, price or rule each are replayed, and every
call is compared with what was named beforehand. Last, policies, prices and catalog are taken away altogether, and
decisions are derived again from the book alone; and a book in which each kind of stored input was altered must be found
out. Exit 1 beyond 60 s of CPU or 300 MB for 100,000 calls, or at the first call that comes out otherwise.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE, Popen
from time import perf_counter
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, environment, record, table

sys.path.insert(0, str(ROOT))

from tests.cli.replay.trial import CASES, altered, derived, differences, written_trial

if TYPE_CHECKING:
    from tests.cli.replay.trial import Trial

CPU_MAX_S = 60.0
RSS_MAX_MB = 300.0
FULL = 100_000


def replayed(trial: Trial) -> dict[str, float]:
    """The command over the whole book, in a process of its own, with nothing changed."""
    command = [sys.executable, "-m", "modelrouter", "replay", "--json", "--present", str(trial.config)]
    begun_s = perf_counter()
    with Popen(command, stdout=PIPE, env=environment(), cwd=trial.folder) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or document["differences"] or document["left_out"]:
        raise AssertionError(f"a replay without a change finds something: {document}")
    return {
        "requests": document["requests"],
        "wall_s": perf_counter() - begun_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_mb": used.ru_maxrss / 1024,
    }


def main() -> int:
    """Run, print, perhaps record."""
    given = arguments(__doc__, calls=FULL, derivations=10_000, seed=0)
    with tempfile.TemporaryDirectory(dir=os.environ.get("MODELROUTER_BENCHMARK_FOLDER")) as folder:
        begun_s = perf_counter()
        trial = written_trial(Path(folder) / "trial", given.calls, given.seed)
        print(f"{given.calls:,} calls written in {perf_counter() - begun_s:.0f} s")
        whole = replayed(trial)
        print(
            f"replay of {whole['requests']:,.0f} requests, nothing changed: 0 differences, {whole['wall_s']:.1f} s, "
            f"{whole['cpu_s']:.1f} s of CPU, {whole['rss_mb']:.0f} MB"
        )
        wrong: dict[str, int] = {}
        rows = []
        for case in CASES:
            found = list(differences(trial, case))
            wrong[case.name] = len(found)
            expected = sum(case.expected(kind) is not None for kind in trial.calls.values())
            rows.append([case.name, f"{expected:,}", f"{len(found):,}"])
            for line in found[:3]:
                print(line)
        table(["one change", "calls that must change", "otherwise"], rows)
        tampered = altered(trial)
        again = derived(trial, given.derivations, given.seed)
    print(
        f"{again['same']:,.0f} of {again['decisions']:,.0f} decisions derived again from the book alone, "
        f"{again['cpu_s']:.1f} s of CPU; altered inputs found: {sum(tampered.values())} of {len(tampered)}"
    )
    figures = {"replay": whole, "otherwise": wrong, "derived": again, "altered_found": tampered}
    settings = {"calls": given.calls, "derivations": given.derivations, "seed": given.seed}
    record(given.record, "replay", settings, figures)
    share = max(given.calls / FULL, 0.2)
    is_quick = whole["cpu_s"] <= CPU_MAX_S * share and whole["rss_mb"] <= RSS_MAX_MB
    is_right = not any(wrong.values()) and again["same"] == again["decisions"] and all(tampered.values())
    return 0 if is_quick and is_right else 1


if __name__ == "__main__":
    sys.exit(main())
