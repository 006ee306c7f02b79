"""Keys: where they come from, that they are read when needed, and that they show nowhere."""

from __future__ import annotations

import copy
import os
import pickle
from typing import TYPE_CHECKING, cast

import pytest

from modelrouter.errors import ConfigError
from modelrouter.transports.credentials import CallableKey, EnvKey, FileKey, credential_from

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter.transports.credentials import KeySource

SECRET = "sk" + "-live-0123456789abcdef"


def test_variable_is_read_at_call_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set after the config was read is seen; an empty one counts as not set."""
    key = credential_from("env:SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    assert key.read() is None
    monkeypatch.setenv("SOME_KEY", SECRET)
    assert key.read() == SECRET
    monkeypatch.setenv("SOME_KEY", "")
    assert key.read() is None
    assert key.describe() == "environment variable `SOME_KEY`"
    assert key.can_be_checked


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b" abc", " abc"),
        (b"", None),
        (b"\n", None),
    ],
)
def test_one_newline_belongs_to_the_file(tmp_path: Path, content: bytes, key: str | None) -> None:
    """Exactly one newline at the end is not part of the key."""
    file = tmp_path / "key"
    file.write_bytes(content)
    assert credential_from(f"file:{file}").read() == key


def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Overwritten, replaced by another file, removed and put back: each is seen at the next call."""
    file = tmp_path / "key"
    key = FileKey(file)
    assert key.read() is None
    file.write_text("one")
    assert key.read() == "one"
    file.write_text("two!")
    assert key.read() == "two!"
    other = tmp_path / "other"
    other.write_text("six!")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert key.read() == "six!"
    file.unlink()
    assert key.read() is None
    file.write_text("back")
    assert key.read() == "back"


def test_same_size_and_file_with_another_time_is_read_again(tmp_path: Path) -> None:
    """A rewrite in place that keeps the length is seen by its time of change."""
    file = tmp_path / "key"
    file.write_text("aaaa")
    os.utime(file, ns=(1, 1))
    key = FileKey(file)
    assert key.read() == "aaaa"
    file.write_text("bbbb")
    os.utime(file, ns=(2, 2))
    assert key.read() == "bbbb"


def test_unchanged_file_is_not_opened_again(tmp_path: Path) -> None:
    """The key is held while the file's identity is the same, so a call costs one `stat`."""
    file = tmp_path / "key"
    file.write_text("held")
    key = FileKey(file)
    assert key.read() == "held"
    kept = file.stat()
    file.write_text("HELD")
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert key.read() == "held"


def test_relative_path_belongs_to_the_folder_of_the_config(tmp_path: Path) -> None:
    """A relative path is relative to the file that holds it, an absolute one is left alone."""
    (tmp_path / "key").write_text("near")
    assert credential_from("file:key", tmp_path).read() == "near"
    assert credential_from(f"file:{tmp_path / 'key'}", tmp_path / "elsewhere").read() == "near"


def test_file_that_is_no_secret_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe, a huge file and bytes that are no text are errors; none shows content or waits for ever."""
    with pytest.raises(OSError, match="regular"):
        FileKey(tmp_path).read()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="regular"):
        FileKey(pipe).read()
    big = tmp_path / "big"
    big.write_bytes(b"x" * 70_000)
    with pytest.raises(ValueError, match="longer"):
        FileKey(big).read()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" + SECRET.encode())
    with pytest.raises(ValueError, match="UTF-8") as caught:
        FileKey(binary).read()
    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None


def test_function_is_asked_at_each_call() -> None:
    """A function may rotate the key; it is not asked beforehand, and must return text."""
    keys = iter(["one", "two", None])
    key = credential_from(lambda: next(keys))
    assert [key.read(), key.read(), key.read()] == ["one", "two", None]
    assert not key.can_be_checked
    with pytest.raises(TypeError, match="no text"):
        CallableKey(cast("KeySource", lambda: 7)).read()  # type: ignore[arg-type]


def test_secret_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr nor description nor pickle nor copy of any credential holds the key."""
    monkeypatch.setenv("SOME_KEY", SECRET)
    file = tmp_path / "key"
    file.write_text(SECRET)
    held = FileKey(file)
    assert held.read() == SECRET
    for key in (EnvKey("SOME_KEY"), held, CallableKey(lambda: SECRET), copy.deepcopy(held)):
        assert SECRET not in repr(key) + str(key) + key.describe()
    assert SECRET.encode() not in pickle.dumps(held)
    assert pickle.loads(pickle.dumps(held)).read() == SECRET  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "spec", [SECRET, f"env:{SECRET}", f"key:{SECRET}", f"Env:{SECRET}", "env:", "env:A B", "file:", ""]
)
def test_anything_else_is_refused_without_being_repeated(spec: str) -> None:
    """A key written into the config is refused by a sentence that says what to write and does not hold it."""
    with pytest.raises(ConfigError) as caught:
        credential_from(spec)
    assert SECRET not in str(caught.value)
    assert "write" in str(caught.value)
