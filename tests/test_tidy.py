"""House rules that a machine can check: sizes, words, sentences of tests, nothing that belongs to a machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = sorted((ROOT / "modelrouter").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
BANNED_NAMES = {"data", "handler", "helper", "helpers", "info", "manager", "obj", "utils"}

# put together here, so that this file does not hold what it looks for
FOREIGN = [
    first + second
    for first, second in (
        ("python", "hosted.org"),
        ("py", "pi.org"),
        ("npm", "js.org"),
        ("registry.npm", "js"),
        ("deb.", "debian.org"),
        ("files.python", "hosted"),
    )
]
MACHINE_PATHS = re.compile(r"(?<![\w.*])/(?:wo" + r"rk|ro" + r"ot|op" + r"t)/\w")
KEYS = re.compile(
    r"sk" + r"-(?:proj-|ant-)?[A-Za-z0-9_-]{24,}|AK" + r"IA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE" + r" KEY-----"
)


def committed() -> list[Path]:
    """Every text file under version control, or, in an unpacked archive without it, every file that came along."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return [each for each in ROOT.rglob("*") if each.is_file() and ".venv" not in str(each)]
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring not counted."""
    first = node.body[0]
    has_docstring = ast.get_docstring(node) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small(path: Path) -> None:
    """No module is longer than 500 lines, no function than 70."""
    assert path.read_text(encoding="utf-8").count("\n") <= MODULE_LINES_MAX
    long = {node.name: lines_without_docstring(node) for node in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > FUNCTION_LINES_MAX} == {}


def test_modules_have_telling_names() -> None:
    """No room is called by a word that says nothing."""
    assert [path for path in PACKAGE if BANNED_NAMES & set(path.stem.split("_"))] == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_has_a_sentence(path: Path) -> None:
    """Each test says in its docstring what must hold."""
    silent = [node.name for node in functions(path) if node.name.startswith("test_") and not ast.get_docstring(node)]
    assert silent == []


def test_nothing_of_a_machine_is_committed() -> None:
    """No host of a package index, no path of a machine and no key stands in any committed file."""
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {host}" for host in FOREIGN if host in text]
        found += [f"{path}: {match.group()}" for match in MACHINE_PATHS.finditer(text)]
        found += [f"{path}: a key" for match in KEYS.finditer(text)]
    assert found == []
