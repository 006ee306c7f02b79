"""Each example runs as `python examples/NAME.py`, keeps its promise, and connects to nothing but this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelrouter.config import load
from tests.examples import transcript

if TYPE_CHECKING:
    from tests.real_model import LocalModel

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DEADLINE_S = 240.0
"""For one example on a machine that does other things as well."""

TELLING = {
    "async_many.py": "100 answers, ",
    "budgets.py": "billing waits for money that is reserved: 16 answers",
    "inspect_secrets.py": "inspection: 1 iban; data_class raised to personal",
    "no_single_vendor.py": "not reloaded: the loss of `azure` leaves nobody for `contracts`",
    "openai_client.py": "          and streamed, in ",
    "policy_refusal.py": "Nearest: `local` retaining at most 30 days would admit local.",
    "quickstart.py": "  1. local: permitted; expected $0.0000",
    "streaming.py": "-- async, $0.0000",
    "swap_provider.py": "+    runs_on: none",
    "team_layers.py": "forbids to state `training` here: remove it",
}
"""Each example with a part of a line that it prints only when all before it went well."""
FOR_PYTEST = "test_your_rules.py"

WATCH = """
import ipaddress, os, sys

def only_this_machine(event, given):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        host = given[0] if event.startswith("socket.get") else given[1][0] if isinstance(given[1], tuple) else None
        text = host.decode() if isinstance(host, bytes) else host
        try:
            near = text in {None, "localhost"} or ipaddress.ip_address(text).is_loopback
        except ValueError:
            near = False
        if not near:
            os.write(2, f"an example asked for {text}\\n".encode())
            os._exit(99)

sys.addaudithook(only_this_machine)
"""
"""A `sitecustomize` that ends an interpreter at its first step towards another machine."""


def run(example: Path, folder: Path, *before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example from another folder, as a process of its own, with these arguments of Python before it."""
    (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    ours = ("EXAMPLES_", "MODELROUTER_EXAMPLES_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *before, str(example)],
        cwd=folder,
        env={**inherited, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_tests_that_a_user_would_write_pass(tmp_path: Path) -> None:
    """With pytest as a user has it: none of this project's settings, and no address but this machine's."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini")
    done = run(EXAMPLES / FOR_PYTEST, tmp_path, *arguments, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " passed in " in done.stdout


@pytest.mark.parametrize("name", sorted(TELLING))
def test_example(name: str, local_model: LocalModel, tmp_path: Path) -> None:
    """It exits with 0, says nothing on stderr, and prints its telling line."""
    done = run(
        EXAMPLES / name,
        tmp_path,
        MODELROUTER_EXAMPLES_LLM=local_model.base_url,
        MODELROUTER_EXAMPLES_LLM_KEY=local_model.key,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert any(TELLING[name] in line for line in done.stdout.splitlines()), done.stdout


def test_an_example_starts_the_model_itself(tmp_path: Path) -> None:
    """Without a server that is named, an example brings its own, and ends it."""
    done = run(EXAMPLES / "quickstart.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert TELLING["quickstart.py"] in done.stdout


def test_the_watch_would_see_a_foreign_address(tmp_path: Path) -> None:
    """A program that looks up another machine is ended, so the silence of the examples means something."""
    stranger = tmp_path / "stranger.py"
    stranger.write_text("import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)", encoding="utf-8")
    done = run(stranger, tmp_path)
    assert (done.returncode, done.stderr) == (99, "an example asked for 192.0.2.1\n")


def test_every_example_is_run() -> None:
    """Each program in the folder has its line above."""
    assert {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("_")} == {
        *TELLING,
        FOR_PYTEST,
    }


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLES / "configs").glob("*.yaml")))
def test_every_config_can_be_loaded_as_it_stands(name: str) -> None:
    """The configs are no templates: `modelrouter check --config` takes them."""
    assert load(str(EXAMPLES / "configs" / name)).routes


def test_a_new_user_gets_to_three_vendors_under_eu_gdpr(tmp_path: Path) -> None:
    """The session that is written down goes as it is written, mistakes included, to three permitted vendors."""
    text = transcript.SESSION.read_text(encoding="utf-8")
    assert "route main: 3 of 3 permitted" in text
    assert transcript.played(text, tmp_path) == text
