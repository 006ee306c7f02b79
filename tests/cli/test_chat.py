"""`modelrouter chat` with a real model server: answers, costs, interrupts, conversations."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import SERVERLESS, environment, in_process, served, sums

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran
    from tests.real_model import LocalModel


@pytest.fixture
def config(folder: Path, local_model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config for the running model."""
    monkeypatch.setenv("MODEL_KEY", local_model.key)
    (folder / "modelrouter.yaml").write_text(served(local_model), encoding="utf-8")
    return folder


def test_the_answer_is_on_stdout_and_its_cost_on_stderr(config: Path, local_model: LocalModel) -> None:
    """What is piped in is the prompt; stdout holds the answer alone, and the book what stderr says."""
    ran = in_process(config, "chat", "chat", stdin="Say hello.\n", variables={"MODEL_KEY": local_model.key})
    assert ran.code == 0
    assert ran.out.endswith("\n")
    assert ran.out.strip()
    assert ran.err.count("\n") == 1
    assert "local: " in ran.err
    cost = Decimal(ran.err.partition("cost $")[2].split()[0].rstrip(","))
    assert cost * 10**9 == sums(config)["settled"] > 0


@pytest.mark.parametrize("more", [("--no-stream",), ()])
def test_streamed_or_whole_it_is_one_answer(
    more: tuple[str, ...], config: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways print text and book one settled attempt."""
    ran = run("chat", "chat", "Say hello.", *more)
    assert ran.code == 0, ran.err
    assert ran.out.strip()
    assert sums(config)["attempts"] == 1


def test_the_document_holds_text_usage_and_exact_cost(config: Path, run: Callable[..., Ran]) -> None:
    """Cost is tokens x price, as text; nothing else is on stdout or stderr."""
    ran = run("chat", "chat", "Say hello.", "--session", "s-1", "--json")
    document, usage = ran.document, ran.document["usage"]
    assert ran.code == 0
    assert not ran.err
    assert Decimal(document["cost_usd"]) * 10**6 == usage["input_tokens"] + 2 * usage["output_tokens"]
    assert document["text"]
    assert [attempt["deployment"] for attempt in document["attempts"]] == ["local"]
    assert document["cost_is_certain"] is True


def test_a_prompt_that_is_longer_than_every_context_is_a_no(
    config: Path, local_model: LocalModel, run: Callable[..., Ran]
) -> None:
    """The server refuses it; that nobody's window is long enough is said in one sentence, and nothing is charged."""
    ran = run("chat", "chat", "word " * (local_model.context_tokens * 2))
    assert ran.code == 1
    assert "the prompt is longer than the context of every candidate" in ran.err
    assert ran.err.count("\n") == 1
    assert sums(config) == {"attempts": 1, "settled": 0, "uncertain": 0, "reserved": 0}


def test_ctrl_c_in_a_stream_keeps_the_text_and_books_the_bound(config: Path, local_model: LocalModel) -> None:
    """SIGINT after the first words: 130, one sentence with the amount that is in the book, nothing left reserved."""
    with subprocess.Popen(
        [sys.executable, "-m", "modelrouter", "chat", "long", "Write a very long story about the sea."],
        cwd=config,
        env=environment(MODEL_KEY=local_model.key),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1024)
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=60)
    text, said = (first + rest).decode(), told.decode()
    assert process.returncode == 130
    assert text.strip()
    assert said.count("\n") == 1
    assert "Traceback" not in said
    book = sums(config)
    assert (book["attempts"], book["settled"], book["reserved"]) == (1, 0, 0)
    booked = Decimal(said.partition("$")[2].split()[0])
    assert booked * 10**9 == book["uncertain"] > 0
    assert f"the {len(text) - 1} characters so far" in said


def test_ctrl_c_before_the_first_word_is_booked_too(folder: Path) -> None:
    """A server that takes the request and says nothing: 130, a document without text, and the bound in the book."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        (folder / "modelrouter.yaml").write_text(SERVERLESS.replace("127.0.0.1:9", address), encoding="utf-8")
        with subprocess.Popen(
            [sys.executable, "-m", "modelrouter", "chat", "chat", "Hello", "--json"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            listening.settimeout(60)
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(65536)
                process.send_signal(signal.SIGINT)
                out, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"")
    error = json.loads(out)["error"]
    book = sums(folder)
    assert (error["kind"], error["text"], error["exit_code"]) == ("Interrupted", "", 130)
    assert "no text had come" in error["message"]
    assert Decimal(error["cost_usd"]) * 10**9 == book["uncertain"] > 0
    assert book["reserved"] == 0


def test_a_reader_that_goes_away_ends_the_stream_quietly(config: Path, local_model: LocalModel) -> None:
    """`modelrouter chat … | head -c 1`: no words on stderr, 141, and the attempt is booked."""
    with subprocess.Popen(
        [sys.executable, "-m", "modelrouter", "chat", "long", "Write a very long story about the sea."],
        cwd=config,
        env=environment(MODEL_KEY=local_model.key),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141
    assert sums(config)["reserved"] == 0
    assert sums(config)["uncertain"] > 0


@pytest.mark.parametrize("as_argument", [False, True])
def test_a_prompt_that_is_no_text_is_wrong_use(as_argument: bool, folder: Path) -> None:
    """Bytes that are no UTF-8, piped in or as an argument: 2, and nothing is booked."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "modelrouter", "chat", "chat", *([b"\xff\xfe"] if as_argument else [])],
        cwd=folder,
        env=environment(LC_ALL="C"),
        input=b"\xff\xfe",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no text" in done.stderr
    assert not (folder / "modelrouter.db").exists()


class _Typing(io.StringIO):
    """Lines of a person at a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_conversation_goes_line_by_line(
    config: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is a turn that knows those before it; empty lines are none; the end of input ends it with 0."""
    monkeypatch.setattr(sys, "stdin", _Typing("My name is Ada.\n\nWhat did I say?\n"))
    ran = run("chat", "chat")
    assert ran.code == 0
    assert ran.err.count("local: ") == 2
    first, second = (int(line.split()[1]) for line in ran.err.replace("> ", "").splitlines() if "local: " in line)
    assert second > first


def test_a_turn_that_fails_does_not_end_the_conversation(
    config: Path, local_model: LocalModel, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence is told and the turn forgotten; the last turn decides what the shell hears."""
    long = "word " * (local_model.context_tokens * 2)
    monkeypatch.setattr(sys, "stdin", _Typing(f"{long}\nSay hello.\n"))
    mended = run("chat", "chat")
    assert mended.code == 0
    assert "longer than the context" in mended.err
    monkeypatch.setattr(sys, "stdin", _Typing(f"{long}\n"))
    assert run("chat", "chat").code == 1


def test_a_document_of_a_conversation_is_refused(
    config: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--json` is one document, so it wants one prompt."""
    monkeypatch.setattr(sys, "stdin", _Typing(""))
    assert run("chat", "chat", "--json").code == 2
