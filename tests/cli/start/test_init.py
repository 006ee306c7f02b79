"""`modelrouter init`: what it writes works without edits, and shows no secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.cli.start.starter import key_variables
from modelrouter.config import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

SECRET: Final = "sk-do-not-show-this"
KEYS: Final = key_variables(load_catalog())


@pytest.mark.parametrize("variable", sorted(KEYS))
def test_one_key_is_enough_for_a_config_that_works(
    variable: str, folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever key is there, `check` passes without an edit, and the key's value is nowhere."""
    monkeypatch.setenv(variable, SECRET)
    wrote, checked = run("init"), run("check")
    assert wrote.code == 0, wrote.err
    assert variable in wrote.out
    assert checked.code == 0, checked.out
    text = (folder / "modelrouter.yaml").read_text(encoding="utf-8")
    assert f"env:{variable}" in text
    assert SECRET not in wrote.out + wrote.err + text + checked.out
    assert not (folder / "modelrouter.db").exists()


def test_all_keys_at_once_make_one_route(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators with a price are deployments, the cheapest first; the others stand in comments with what they miss."""
    for variable in KEYS:
        monkeypatch.setenv(variable, SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://acme.openai.azure.com/")
    report = run("init", "--json").document
    setup = load(folder / "modelrouter.yaml")
    rates = [
        price.output_usd_per_mtok
        for name in setup.routes["main"].candidates
        if (price := setup.world.deployments[name].price.value) is not None
    ]
    assert list(setup.routes["main"].candidates) == report["deployments"]
    assert rates == sorted(rates)
    assert len(rates) == len(report["deployments"])
    assert setup.endpoints["bedrock"].hosts == {"bedrock-runtime.eu-central-1.amazonaws.com"}
    assert setup.endpoints["azure"].base_url == "https://acme.openai.azure.com/openai/v1"
    waiting = {each["deployment"]: each["missing"] for each in report["in_comments"]}
    assert waiting["scaleway"] == ["price"]
    assert waiting["openrouter"] == ["operator", "price"]
    assert report["keys_not_found"] == []


def test_an_address_that_is_incomplete_is_left_in_comments(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure without its resource cannot be called: the line is there to be filled in, the config loads."""
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://evil.example.com/.openai.azure.com")
    assert run("init").code == 0
    text = (folder / "modelrouter.yaml").read_text(encoding="utf-8")
    assert "  # azure:\n" in text
    assert "resource: YOUR-RESOURCE" in text
    assert "evil" not in text
    assert list(load(folder / "modelrouter.yaml").world.deployments) == ["local"]


def test_without_keys_there_is_a_local_server_and_a_list_of_variables(folder: Path, run: Callable[..., Ran]) -> None:
    """It says which variables would be used, and the file still loads and checks."""
    wrote = run("init")
    assert wrote.code == 0
    assert "no key found" in wrote.out
    assert all(variable in wrote.out for variable in KEYS)
    assert run("check").code == 0
    assert load(folder / "modelrouter.yaml").routes["main"].candidates == ("local",)


@pytest.mark.parametrize("server", ["llamacpp", "vllm", "ollama", "sglang", "lmstudio", "tgi"])
def test_a_local_server_takes_part_when_it_is_asked_for(server: str, folder: Path, run: Callable[..., Ran]) -> None:
    """`--local` makes it a deployment in front of the others; every kind of server loads."""
    assert run("init", "--local", server).code == 0
    endpoint = load(folder / "modelrouter.yaml").endpoints["local"]
    assert endpoint.hosts == {"127.0.0.1"}


def test_facts_that_only_the_reader_knows_are_marked(folder: Path, run: Callable[..., Ran]) -> None:
    """Caller, places and terms of one's own are to be filled in: the mark stands on their lines."""
    run("init")
    lines = (folder / "modelrouter.yaml").read_text(encoding="utf-8").splitlines()
    for key in ("country: DE", "monthly_active_users:", "agreements:", "training: never", "price: {free: true}"):
        assert any(key in line and "FILL IN" in line for line in lines), key
    assert max(len(line) for line in lines if line.lstrip().startswith("#")) <= 120


def test_a_file_that_is_there_is_left_alone(folder: Path, run: Callable[..., Ran]) -> None:
    """Overwriting takes `--force`; another name takes `--output`."""
    mine = folder / "modelrouter.yaml"
    mine.write_text("mine\n", encoding="utf-8")
    refused = run("init")
    assert refused.code == 2
    assert "--force" in refused.err
    assert mine.read_text(encoding="utf-8") == "mine\n"
    assert run("init", "--output", "other.yaml").code == 0
    assert run("init", "--force").code == 0
    assert mine.read_text(encoding="utf-8") == (folder / "other.yaml").read_text(encoding="utf-8")
    assert sorted(path.name for path in folder.iterdir()) == ["modelrouter.yaml", "other.yaml"]


def test_a_folder_or_a_device_is_never_overwritten(folder: Path, run: Callable[..., Ran]) -> None:
    """`--force` replaces files alone: a folder and a pipe stay what they are, and nothing is left beside them."""
    (folder / "place").mkdir()
    os.mkfifo(folder / "pipe")
    for name, says in (("place", "is a folder: name the file in it"), ("pipe", "is no file: name one")):
        for more in ((), ("--force",)):
            refused = run("init", "--output", name, *more)
            assert (refused.code, refused.out) == (2, "")
            assert says in refused.err
    assert (folder / "place").is_dir()
    assert (folder / "pipe").is_fifo()
    assert sorted(path.name for path in folder.iterdir()) == ["pipe", "place"]


def test_a_place_that_cannot_be_written_is_a_sentence(folder: Path, run: Callable[..., Ran]) -> None:
    """A folder that is missing is told, with 2."""
    for more in ((), ("--force",)):
        refused = run("init", "--output", "nowhere/modelrouter.yaml", *more)
        assert refused.code == 2
        assert "cannot be written (no such file or directory)" in refused.err
