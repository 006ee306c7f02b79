"""Runs commands, in this process or in one of their own, and the configs that they are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.real_model import LocalModel

__all__ = ["ROOT", "SERVERLESS", "TWO_ROUTES", "Ran", "environment", "in_process", "served", "sums"]

ROOT: Final = Path(__file__).parents[2]
"""The folder from which the package is imported."""

SERVERLESS: Final = """\
modelrouter: 1
policies: [baseline]
baseline: dear
tags: {team: {}}
deployments:
  own:
    model: gpt-oss-20b
    operator: self
    server: llamacpp
    runs_on: none
    hosts: ["127.0.0.1"]
    base_url: "http://127.0.0.1:9/v1"
    name: m
    processing: [DE]
    storage: none
    training: never
    retention_days: 0
    price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}
    source: the tests
  dear: {model: gpt-6-sol, operator: openai, endpoint: global, key: "env:OPENAI_API_KEY"}
routes:
  chat: {try: [own]}
"""
"""One server of one's own at which nobody listens, and a closed model that savings are measured against."""

TWO_ROUTES: Final = SERVERLESS + "  closed: {try: [dear]}\n  both: {try: [dear, own]}\n"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Stdout as the one JSON document that it must be."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def environment(**variables: str) -> dict[str, str]:
    """What a command in a process of its own finds: this package, and nothing of the user's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables}


def in_process(
    folder: Path, *arguments: str, stdin: str | None = None, variables: Mapping[str, str] | None = None
) -> Ran:
    """Run a command in a process of its own, with `stdin` piped in."""
    done = subprocess.run(
        [sys.executable, "-m", "modelrouter", *arguments],
        cwd=folder,
        env=environment(**(variables or {})),
        input=stdin or "",
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def served(model: LocalModel, *, output_tokens: int = 16) -> str:
    """A config for a running model server, whose key is in `MODEL_KEY`; route `long` may answer at length."""
    return f"""\
modelrouter: 1
policies: none
deployments:
  local:
    model: {model.name}
    operator: self
    server: llamacpp
    runs_on: none
    hosts: ["127.0.0.1"]
    base_url: "{model.base_url}"
    name: {model.name}
    key: "env:MODEL_KEY"
    params: {{temperature: 0, seed: 1}}
    context_tokens: {model.context_tokens}
    price: {{input_usd_per_mtok: 1, output_usd_per_mtok: 2}}
    source: the tests
routes:
  chat: {{try: [local], output_tokens: {{default: {output_tokens}}}}}
  long: {{try: [local], output_tokens: {{default: 1500}}}}
"""


def sums(folder: Path) -> dict[str, int]:
    """The whole book of a folder, in nano-dollars."""
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    book = open_ledger(f"sqlite:///{folder / 'modelrouter.db'}", SystemClock(), create=False)
    try:
        totals = book.totals()
    finally:
        book.close(5.0)
    return {
        "attempts": totals.attempts,
        "settled": totals.settled_nano_usd,
        "uncertain": totals.uncertain_nano_usd,
        "reserved": totals.reserved_nano_usd,
    }
