"""The one test command, run from any Python 3.11+ at the root of the repository.

    python -m tests             format, lint, types, imports and the everyday tests
    python -m tests --long      the second suite: kill tests, soaks, release trials
    python -m tests --seed any  other drawn cases than the usual ones; the seed is printed
    python -m tests -- -k money arguments after `--` go to pytest

It makes its own environment in `.venv-test` and renews it when `pyproject.toml` or `constraints.txt` change.
Whoever has an interpreter with everything in it names that in `MODELROUTER_TEST_PYTHON`, and nothing is set up.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-test"
STAMP = ENVIRONMENT / "modelrouter-stamp"
SEED = 20261129
"""Of the cases that Hypothesis draws, so that a failure here is one everywhere; `--seed` draws others."""
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that must hold, as arguments for the interpreter of the environment."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended: its exit status, its seconds and the last line it printed."""

    step: Step
    status: int
    elapsed_s: float
    closing_line: str


def steps(*, long: bool, seed: int, pytest_arguments: list[str]) -> list[Step]:
    """Return what the chosen suite runs, in order; the first has checked the files that the second runs."""
    color = ("--color=yes",) if sys.stdout.isatty() else ()
    pytest = ("-m", "pytest", *color, "-n", "3", f"--hypothesis-seed={seed}")
    if long:
        return [Step(name=f"pytest (long, seed {seed})", arguments=(*pytest, "-m", "long", *pytest_arguments))]
    return [
        Step(name="ruff format", arguments=("-m", "ruff", "format", "--check", ".")),
        Step(name="ruff check", arguments=("-m", "ruff", "check", ".")),
        Step(name="mypy", arguments=("-m", "mypy")),
        Step(name="import-linter", arguments=("-c", LINT_IMPORTS)),
        Step(name=f"pytest (seed {seed})", arguments=(*pytest, *pytest_arguments)),
    ]


def fingerprint() -> str:
    """Return what the environment was made from: this interpreter, this place and the two files that name packages."""
    digest = hashlib.sha256(f"{sys.version}\n{ROOT}\n".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def interpreter() -> Path:
    """Return the interpreter that runs the steps, after making its environment if that is missing or old."""
    named = os.environ.get("MODELROUTER_TEST_PYTHON")
    if named:
        return Path(named)
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = fingerprint()
    if python.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return python
    if Path(sys.prefix).resolve() == ENVIRONMENT:
        sys.exit("`.venv-test` is older than pyproject.toml or constraints.txt: run this with the Python outside it")
    begun = time.monotonic()
    print("== set-up: packages into .venv-test (once)", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    install = ("-m", "pip", "install", "--disable-pip-version-check", "-e", ".[test]", "-c", "constraints.txt")
    for command in ([sys.executable, "-m", "venv", str(ENVIRONMENT)], [str(python), *install]):
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            sys.stdout.write(done.stdout.decode(errors="replace"))
            sys.exit(f"set-up failed: `{' '.join(command)}` ended with {done.returncode}")
    STAMP.write_text(wanted, encoding="utf-8")
    print(f"== set-up: {time.monotonic() - begun:.1f} s", flush=True)
    return python


def run(python: Path, step: Step) -> Outcome:
    """Run one step, pass on what it prints as it comes, and keep its last line."""
    print(f"== {step.name}", flush=True)
    begun = time.monotonic()
    closing_line = ""
    with subprocess.Popen(
        [str(python), *step.arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            closing_line = line.rstrip() or closing_line
    elapsed_s = time.monotonic() - begun
    print(f"== {step.name}: {elapsed_s:.1f} s", flush=True)
    return Outcome(step=step, status=process.returncode, elapsed_s=elapsed_s, closing_line=closing_line)


def _seed(text: str) -> int:
    return random.randrange(2**32) if text == "any" else int(text)


def main() -> int:
    """Run every step, even after one failed; return 1 if any did."""
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m tests", epilog="arguments after `--` go to pytest")
    parser.add_argument("--long", action="store_true", help="the second suite: kill tests, soaks, release trials")
    parser.add_argument("--seed", type=_seed, default=SEED, help="a number, or `any`; usually %(default)s")
    chosen = parser.parse_args(arguments[:cut])
    python = interpreter()
    planned = steps(long=chosen.long, seed=chosen.seed, pytest_arguments=arguments[cut + 1 :])
    outcomes = [run(python, step) for step in planned]
    print("== summary")
    for outcome in outcomes:
        verdict = "failed" if outcome.status else "passed"
        print(f"{verdict}  {outcome.elapsed_s:6.1f} s  {outcome.step.name}")
    print(outcomes[-1].closing_line, flush=True)
    return 1 if any(outcome.status for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
