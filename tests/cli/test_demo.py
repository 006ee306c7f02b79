"""`modelrouter demo`: the command hands its options on, and its failures have the shape of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.cli.command import Ran


def test_options_reach_the_demo(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """Model, prompt and folder are handed on as written, and the demo's own exit code is the command's."""
    given: dict[str, object] = {}

    def played(model: str | None, prompt: str | None, json: bool = False, **more: object) -> int:
        given.update(model=model, prompt=prompt, json=json, **more)
        return 1

    monkeypatch.setattr("modelrouter.demo.run_demo", played)
    told = run("demo", "--model", "m.gguf", "--prompt", "Hi", "--keep", "here")
    assert told.code == 1
    assert given == {"model": "m.gguf", "prompt": "Hi", "json": False, "keep": "here"}


def test_a_model_file_that_is_not_there_is_a_sentence(run: Callable[..., Ran]) -> None:
    """The path is named on stderr, with 1."""
    told = run("demo", "--model", "nowhere.gguf")
    assert told.code == 1
    assert "nowhere.gguf" in told.err
    assert "Traceback" not in told.err


def test_its_error_document_is_like_that_of_other_commands(run: Callable[..., Ran]) -> None:
    """`error` holds kind, message and exit code."""
    told = run("demo", "--model", "nowhere.gguf", "--json")
    error = told.document["error"]
    assert (told.code, error["exit_code"]) == (1, 1)
    assert "nowhere.gguf" in error["message"]
