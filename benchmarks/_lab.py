"""What the benchmarks share: a server in a process of its own, a config that points at it, figures, their record."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import _server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "HERE",
    "MODEL",
    "ROOT",
    "arguments",
    "down_url",
    "environment",
    "is_here",
    "record",
    "serving",
    "spread",
    "table",
    "write_config",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
MODEL = _server.MODEL
PACKAGES = ("aiohttp", "litellm", "openai", "orjson", "pydantic")

CONFIG = """\
modelrouter: 1
caller: {{name: Acme GmbH, country: DE, parent_country: DE, monthly_active_users: 40000, monthly_revenue_usd: 100000}}
ledger: sqlite:///book.db
policies: [no-prc-operator, self-hosted-only]
deployments:
  own:
    model: {model}
    operator: self
    runs_on: none
    server: vllm
    hosts: [127.0.0.1]
    base_url: "{base_url}"
    name: {model}
    processing: [DE]
    storage: none
    retention_days: 0
    training: never
    price: {{input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}}
    source: {{ref: benchmark, checked_on: 2026-11-01, confidence: high, grade: technical}}
  # A closed API that the policies refuse: every decision judges two.
  closed: {{model: gpt-5.6-sol, operator: openai, key: "env:BENCHMARKS_HAVE_NO_KEY"}}
routes:
  ask: {{try: [closed, own], output_tokens: {{default: 64}}}}
"""

# The same twice: whoever is asked for `again` meets a server that is down, each time, as health is told to look away.
FALLING = """\
  again: {{try: [closed, down, own], output_tokens: {{default: 64}}}}
health: {{window_s: 0.001, in_a_row: 1000000}}
"""


def arguments(about: str | None, **counts: int) -> argparse.Namespace:
    """The command line of a benchmark: `--record FILE`, and counts by name with their defaults."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the figures as JSON; nothing without it")
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server, in a process of its own; its base URL."""
    command = [sys.executable, str(HERE / "_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        if child.stdin is None or child.stdout is None:
            raise AssertionError("the server was started without pipes")
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        finally:
            child.stdin.close()
            child.wait()


def write_config(folder: Path, base_url: str, *, falls: bool = False) -> Path:
    """A config with two policies, a deployment at the server, and one that is refused.

    Args:
        falls: with another deployment, that is down, and a route `again` that tries it first.
    """
    text = CONFIG.format(model=MODEL, base_url=base_url)
    if falls:
        own = text[text.index("  own:\n") : text.index("  # A closed")]
        down = own.replace("  own:", "  down:").replace(base_url, down_url(base_url))
        text = text.replace(own, own + down) + FALLING.format()
    path = folder / "modelrouter.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def down_url(base_url: str) -> str:
    """Where the server is down."""
    return f"{base_url.removesuffix('/v1')}/down/v1"


def environment() -> dict[str, str]:
    """What a child process sees: this package, wherever it was cloned to, and no network fetch by litellm's import."""
    path = os.pathsep.join(each for each in (str(ROOT), os.environ.get("PYTHONPATH", "")) if each)
    return {**os.environ, "PYTHONPATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def is_here(package: str) -> bool:
    """Whether a peer can be compared."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(package))
    return False


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most of some figures."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        first, *others = (
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())


def record(path: Path | None, name: str, settings: Mapping[str, object], figures: Mapping[str, object]) -> None:
    """Write the figures with what they were measured on: kind of machine and versions, never its name."""
    if path is None:
        return
    source = (ROOT / "modelrouter" / "__init__.py").read_text(encoding="utf-8")
    own = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)[0]
    versions = {"modelrouter": own, **{each: metadata.version(each) for each in PACKAGES if is_here(each)}}
    kept = {
        "benchmark": name,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "versions": versions,
        "settings": dict(settings),
        "figures": dict(figures),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
