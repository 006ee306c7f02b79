"""The core cannot act: nothing it loads could open a socket, read a clock, a file or a random number."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.find_spec("modelrouter")
assert SPEC is not None
assert SPEC.origin is not None
PACKAGE = Path(SPEC.origin).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((PACKAGE / "core").rglob("*.py"))
}
ACTING = {
    "aiohttp",
    "asyncio",
    "concurrent.futures",
    "httpx",
    "litellm",
    "logging",
    "multiprocessing",
    "openai",
    "pydantic",
    "random",
    "requests",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "tenacity",
    "threading",
    "tiktoken",
    "urllib.request",
    "yaml",
}
"""What a module of the core may not bring along, not even through another one."""

UNSEEN = {"builtins", "ctypes", "gc", "importlib", "io", "os", "pathlib", "platform", "shutil", "sys", "time", "uuid"}
"""What an interpreter may have loaded before us, so that only the source tells whether the core asks for it."""

ACTING_CALLS = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint", "globals"}
CLOCK_READERS = {"now", "today", "utcnow"}

LOADED_BY = """
import importlib, json, sys, types
package = types.ModuleType("modelrouter")  # the core alone: the package's own door would load the rooms above it
package.__path__ = [sys.argv[1]]
sys.modules["modelrouter"] = package
before = set(sys.modules)
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(*names: str) -> set[str]:
    """What a fresh interpreter has loaded after importing these modules, beyond what it had before."""
    finished = subprocess.run(
        [sys.executable, "-I", "-c", LOADED_BY, str(PACKAGE), *names],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(json.loads(finished.stdout))


def test_a_fresh_interpreter_loads_nothing_that_can_act() -> None:
    """All modules of the core together load no package that reaches outside the process, nor a room above them."""
    loaded = loaded_by(*MODULES)
    assert set(MODULES) <= loaded
    assert not {name for name in loaded if name in ACTING or name.split(".")[0] in ACTING}
    ours = {name for name in loaded if name.startswith("modelrouter.")}
    assert not {name for name in ours if not name.startswith(("modelrouter.core", "modelrouter.errors"))}


def test_the_watch_would_see_an_acting_module() -> None:
    """The same look at a module that does act finds it, so an empty answer above means something."""
    assert {"asyncio", "socket"} <= loaded_by("asyncio")


def imported(tree: ast.AST) -> set[str]:
    """Every module that a source names in an import, at whatever depth."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_source_asks_for_nothing_that_acts(name: str) -> None:
    """No import of a clock, a file, the environment or chance, at the top or inside a function."""
    asked = imported(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert not {module for module in asked if module in ACTING or module.split(".")[0] in ACTING | UNSEEN}
    above = {module for module in asked if module.startswith("modelrouter.")}
    assert not {module for module in above if not module.startswith(("modelrouter.core", "modelrouter.errors"))}


@pytest.mark.parametrize("name", MODULES)
def test_the_source_reads_no_clock_and_rebinds_no_global(name: str) -> None:
    """No call that reads the day, prints or opens a file, and no `global`."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {call.id for call in called if isinstance(call, ast.Name)} & ACTING_CALLS
    assert not {call.attr for call in called if isinstance(call, ast.Attribute)} & CLOCK_READERS
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", {"time"}),
        ("def f():\n    from os import environ", {"os", "os.environ"}),
        ("import os.path as p", {"os.path"}),
    ],
)
def test_the_reader_of_sources_finds_imports_wherever_they_stand(source: str, found: set[str]) -> None:
    """Imports inside functions and of submodules are seen."""
    assert found <= imported(ast.parse(source))
