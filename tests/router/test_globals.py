"""What belongs to the host stays as it was found: through import, use of both lanes, and close."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.router.configs import Served, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real_model import LocalModel

WATCHED = """
import asyncio, logging, os, signal, sys, warnings

import structlog
if "host-has-litellm" in sys.argv:
    import litellm

def plain(value):
    return isinstance(value, (str, int, float, bool, type(None), list, dict, tuple, set, frozenset))

def settings_of(module):
    # its settings, not its own bookkeeping: names under `_`, and tables that litellm loads into itself when first read
    return {name: repr(value) for name, value in vars(module).items() if plain(value) and not name.startswith("_")}

def snapshot():
    root = logging.getLogger()
    found = {
        "root level": root.level,
        "root handlers": list(map(repr, root.handlers)),
        "root filters": list(map(repr, root.filters)),
        "logging disabled at": root.manager.disable,
        "logger class": logging.getLoggerClass(),
        "structlog": repr(structlog.get_config()) if structlog.is_configured() else "as shipped",
        "signals": {each: signal.getsignal(each) for each in signal.valid_signals() if each not in (9, 19)},
        "loop policy": type(asyncio.get_event_loop_policy()),
        "environment": dict(os.environ),
        "excepthook": sys.excepthook,
        "warnings": list(map(repr, warnings.filters)),
        "umask": (mask := os.umask(0), os.umask(mask))[0],
        "working folder": os.getcwd(),
    }
    if "host-has-litellm" in sys.argv:
        settings = settings_of(sys.modules["litellm"])
        found["litellm"] = {name: settings.get(name) for name in known} if known else settings
    return found

known = set()
before = snapshot()
known = set(before.get("litellm", ()))
from modelrouter import Router
router = Router.from_config(sys.argv[1])
for route in ("direct", "other"):
    reply = router.complete(route, "Say hello.", max_output_tokens=4)
    assert reply.attempts[-1].deployment == route, reply.attempts
    for _ in router.stream(route, "Say hello.", max_output_tokens=4):
        pass
router.close()
after = snapshot()
changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
for name, (was, now) in changed.items():
    if isinstance(was, dict):
        was, now = ({k: v for k, v in each.items() if was.get(k) != now.get(k)} for each in (was, now))
    print(f"{name}: was {was}, is {now}")
sys.exit(1 if changed else 0)
"""


@pytest.mark.parametrize("host", ["", "host-has-litellm"])
def test_globals_are_left_as_found(
    tmp_path: Path, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Root logging, structlog, signals, loop policy, environment, and litellm's settings where the host has litellm."""
    monkeypatch.setenv("LOCAL_KEY", local_model.key)
    served = [
        Served("direct", local_model.base_url, name=local_model.name, key="LOCAL_KEY"),
        Served(
            "other",
            local_model.base_url,
            name=local_model.name,
            key="LOCAL_KEY",
            more="lane: litellm",
        ),
    ]
    config = write_config(tmp_path, served, "  direct: {try: [direct]}\n  other: {try: [other]}")
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(config), host],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
