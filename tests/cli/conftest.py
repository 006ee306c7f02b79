"""A folder of its own for each test, and an environment without the user's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.cli import main
from modelrouter.cli.start.starter import key_variables
from tests.cli.command import Ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test; no key and no config of the user is found from it."""
    monkeypatch.chdir(tmp_path)
    for name in (*key_variables(load_catalog()), "AWS_REGION", "AWS_DEFAULT_REGION", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MODELROUTER_CONFIG", "MODELROUTER_DEBUG", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command here, in the test's folder."""

    def ran(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(list(arguments))
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return ran
