"""Every way to write a configuration wrongly that we know: one sentence, with file, line and key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from modelrouter.config import find_config, from_text, load
from modelrouter.errors import ConfigError, PolicyError
from tests.config.bad_inputs import BAD
from tests.config.texts import config, load_files, marked_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.bad_inputs import Bad

FOREIGN_WORDS = re.compile(
    r"pydantic|Traceback|NoneType|\bdict\b|\bstr\b|\bint\b|https://errors|validation error|<parts>|<name>"
)


@pytest.mark.parametrize("case", BAD, ids=[f"{index}-{case.key}" for index, case in enumerate(BAD)])
def test_a_bad_configuration_is_refused_with_file_line_and_key(case: Bad, tmp_path: Path) -> None:
    """The error leads with the right place, says what to change, and has no word of the machinery in it."""
    text = config(**case.parts)
    path = tmp_path / "modelrouter.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    error = caught.value
    assert error.file == str(path)
    assert error.key == case.key
    assert case.words in error.reason.splitlines()[0]
    marked = marked_line(text)
    if marked is not None:
        assert error.line == marked
    assert isinstance(error, case.kind)
    assert isinstance(error, PolicyError) == (case.kind is PolicyError)
    assert not FOREIGN_WORDS.search(error.message)
    assert str(error).startswith(f"{path}:{error.line}: ")


def test_the_table_is_long_enough_and_nearly_all_cases_name_their_line() -> None:
    """Promise of the table: at least sixty cases, of which all but a few that mark nothing have a marked line."""
    assert len(BAD) >= 60
    assert sum(marked_line(config(**case.parts)) is None for case in BAD) <= 3


def test_the_configuration_that_the_cases_vary_is_right() -> None:
    """Without a replaced part nothing is wrong, so that each case fails for its own reason alone."""
    assert sorted(from_text(config()).world.deployments) == ["mistral", "own"]


def test_a_secret_is_never_repeated(tmp_path: Path) -> None:
    """A key that was written into the file, and a password in an address, are in no message."""
    secret = "sk-4711-do-not-show"  # an invented key
    for part in (
        f"key: {secret}",
        f"base_url: 'https://u:{secret}@llm.internal/v1'",
        f"headers: {{api-key: {secret}}}",
    ):
        deployments = f"deployments:\n  own:\n    {part}\n    model: qwen3-32b\n    operator: self\n    name: q"
        deployments += "\n    hosts: [llm.internal]"
        if "base_url" not in part:
            deployments += "\n    base_url: http://llm.internal/v1"
        with pytest.raises(ConfigError) as caught:
            load_files(tmp_path, modelrouter=config(deployments=deployments, routes="routes: {a: {try: [own]}}"))
        assert secret not in caught.value.message
        assert secret not in repr(caught.value.__dict__)


def test_all_errors_of_a_file_are_told_at_once() -> None:
    """The first leads, the others are listed with their own places."""
    text = config(routes="routes:\n  a: {try: [ownn]}\n  b: {try: [own], policies: [nope]}", more="baseline: nobody")
    with pytest.raises(ConfigError) as caught:
        from_text(text, "m.yaml")
    first, *others = caught.value.message.splitlines()
    assert "routes.a.try[0]: unknown deployment `ownn`" in first
    assert ["routes.b.policies[0]" in others[0], "baseline" in others[1]] == [True, True]
    assert all(re.match(r"m\.yaml:\d+: ", line) for line in (first, *others))


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"---\n"])
def test_an_empty_file_says_so(content: bytes, tmp_path: Path) -> None:
    """Empty, only comments, only a marker: the same sentence."""
    path = tmp_path / "modelrouter.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="the file is empty"):
        load(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8, a list instead of keys: each has its sentence, and a line where there is one."""
    path = tmp_path / "modelrouter.yaml"
    with pytest.raises(ConfigError, match="modelrouter init"):
        load(path)
    with pytest.raises(ConfigError, match="this is a folder"):
        load(tmp_path)
    path.write_bytes(b"modelrouter: 1\nledger: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        load(path)
    assert caught.value.line == 2
    path.write_text("- a\n- b\n")
    with pytest.raises(ConfigError, match="expected keys with values"):
        load(path)
    path.write_text("policy: mine\nrules: {}\n")
    with pytest.raises(ConfigError, match="a policy file, which belongs into the folder `policies`"):
        load(path)


def test_the_configuration_is_found_by_name_variable_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--config` wins over the variable, the variable over the folder; what is missing is told with the way out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODELROUTER_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="modelrouter init"):
        find_config(None)
    for name in ("modelrouter.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_text(config())
    assert find_config(None) == "modelrouter.yaml"
    monkeypatch.setenv("MODELROUTER_CONFIG", "b.yaml")
    assert find_config(None) == "b.yaml"
    assert find_config("c.yaml") == "c.yaml"
    with pytest.raises(ConfigError, match=r"`d\.yaml`"):
        find_config("d.yaml")
    monkeypatch.setenv("MODELROUTER_CONFIG", "e.yaml")
    with pytest.raises(ConfigError, match=r"`e\.yaml`, which `MODELROUTER_CONFIG` names"):
        find_config(None)
