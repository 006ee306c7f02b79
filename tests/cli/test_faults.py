"""What becomes of errors that nobody foresaw, of interrupts, and of readers that have gone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import modelrouter
from modelrouter import errors
from modelrouter.cli import main
from modelrouter.cli.faults import InterruptedCallError, exit_code_of
from modelrouter.core.budget import Balance, Budget, Position, Refusal, Window
from modelrouter.core.shares import Holding, admit_share
from tests.cli.command import SERVERLESS, Ran, environment
from tests.ledger.builders import share

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _broken(*_arguments: object, **_options: object) -> None:
    raise ZeroDivisionError("a secret in a message")


def test_an_unforeseen_error_asks_for_a_report(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence without the error's own text, 70, and the same as a document."""
    monkeypatch.setattr("modelrouter.catalog.load_catalog", _broken)
    told, document = run("catalog", "list"), run("catalog", "list", "--json")
    assert (told.code, document.code) == (70, 70)
    assert told.err.count("\n") == 1
    assert "(ZeroDivisionError): please report it" in told.err
    assert "secret" not in told.err
    assert document.document["error"]["kind"] == "InternalError"


def test_debug_shows_the_traceback(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """`MODELROUTER_DEBUG=1` prints it before the sentence."""
    monkeypatch.setattr("modelrouter.catalog.load_catalog", _broken)
    monkeypatch.setenv("MODELROUTER_DEBUG", "1")
    told = run("catalog", "list")
    assert told.err.startswith("Traceback")
    assert told.err.rstrip().endswith("shows")


def test_an_interrupt_outside_a_call_is_130(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a command reads or computes says one word."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modelrouter.catalog.load_catalog", interrupted)
    assert run("catalog", "list") == Ran(130, "", "interrupted\n")


def test_every_error_of_the_package_has_an_exit_code() -> None:
    """Wrong use is 2, a no is 1; a request that a provider found invalid was a call that failed."""
    duplicate = errors.DuplicateRequestError("again", first_call_id="1")
    wrong_use = {errors.ConfigError("x"), errors.PolicyError("x"), errors.CatalogError("x"), duplicate}
    kinds = {getattr(errors, name) for name in errors.__all__} - {type(each) for each in wrong_use}
    budget = Budget("month", 1, Window.MONTH)
    refusal = Refusal(Position(budget, "", Balance(), None), 2, is_busy=False, wait_s=0.0)
    more: dict[Any, dict[str, Any]] = {
        kind: {"refusal": refusal} for kind in kinds if issubclass(kind, errors.BudgetError)
    }
    more[errors.ShareCapError] = {"refusal": admit_share(share(), 501, Holding(0, 0, 0))}
    codes = {kind: exit_code_of(kind("x", **more.get(kind, {}))) for kind in kinds}
    assert {exit_code_of(each) for each in wrong_use} == {2}
    assert codes.pop(errors.RequestError) == 2
    assert set(codes.values()) == {1}
    assert exit_code_of(InterruptedCallError("x")) == 130


def test_a_reader_that_has_gone_is_no_fault(folder: Path) -> None:
    """`modelrouter … | head -0`: nothing on stderr, 141 as a shell counts it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "modelrouter", "catalog", "list", "--json"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, b"")


def test_no_arguments_show_the_help(run: Callable[..., Ran]) -> None:
    """The commands and the exit codes are told; it was wrong use all the same."""
    told = run()
    assert told.code == 2
    for command in ("demo", "init", "check", "explain", "chat", "spend", "schema", "catalog", "Exit codes"):
        assert command in told.out


def test_every_command_has_help_and_json(run: Callable[..., Ran]) -> None:
    """`--help` of each command is there, names `--json`, and is readable at 80 columns."""
    commands = [("demo",), ("init",), ("check",), ("explain",), ("chat",), ("spend",), ("schema",)]
    for command in [*commands, ("catalog", "list"), ("catalog", "show")]:
        told = run(*command, "--help")
        assert told.code == 0
        assert "--json" in told.out
        assert max(len(line) for line in told.out.splitlines()) <= 80


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "check"]])
def test_the_version_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Alone it is answered before anything loads, and beside a command all the same."""
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"modelrouter {modelrouter.__version__}\n"


def test_the_version_loads_nothing_heavy(folder: Path) -> None:
    """A script that asks for the version does not wait for typer, rich, pydantic or aiohttp."""
    program = (
        "import sys; from modelrouter.cli import main; main(['--version']); "
        "print(sorted({'typer', 'rich', 'pydantic', 'aiohttp', 'yaml', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "[]"


def test_a_bad_config_written_after_a_dash_dash_is_no_json(folder: Path, run: Callable[..., Ran]) -> None:
    """`--json` behind `--` is a prompt, not an option."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    told = run("chat", "chat", "--", "--json")
    assert told.code == 1
    assert told.err.startswith("error: ")
