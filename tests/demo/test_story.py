"""The whole demo, for real: a model answers, a failure falls back, the book adds up, and nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from modelrouter import Router
from modelrouter.demo import run_demo, server
from modelrouter.demo.stage import OWN_MODEL
from modelrouter.demo.weights import cache_folder, find_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
NANO = Decimal("0.000000001")
BEGUN = "modelrouter demo"
KEY_VARIABLE = "MODELROUTER_DEMO_API_KEY"
PLAY = """
import sys
from modelrouter.demo import run_demo
sys.exit(run_demo())
"""
PLAY_WATCHED = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        host = arguments[1][0] if event == "socket.connect" else arguments[0]
        if host not in ("127.0.0.1", b"127.0.0.1"):
            os._exit(97)
    if event == "subprocess.Popen" and "pip" in list(arguments[1]):
        os._exit(98)

sys.addaudithook(watch)
from modelrouter.demo import run_demo
sys.exit(run_demo())
"""


@dataclass(frozen=True, slots=True)
class Played:
    """A demo that was played once for all tests that only read: its document, and the folder it kept."""

    document: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module", autouse=True)
def _no_demo_key() -> Iterator[None]:
    """The closed candidates have no key, whatever the environment of the tests holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(KEY_VARIABLE, raising=False)
        yield


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The demo with `--json` and `--keep`."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    out = io.StringIO()
    assert run_demo(json=True, keep=folder, out=out) == 0
    return Played(json.loads(out.getvalue()), folder)


@dataclass(frozen=True, slots=True)
class Shown:
    """A demo that was shown in a pipe, in a process of its own with a folder of its own for temporary files."""

    text: str
    said: str
    status: int
    server: psutil.Process
    temporary: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A second run, in a process that ends at its first connection beyond this machine or start of pip."""
    find_weights()  # the first run
    temporary = tmp_path_factory.mktemp("temporary")
    demo = Demo(PLAY_WATCHED, temporary)
    status, rest, said = demo.end()
    return Shown(demo.text + rest, said, status, demo.server, temporary)


@pytest.fixture(scope="module")
def longer(played: Played) -> Played:
    """The demo with a longer prompt; the environment is as before."""
    before = dict(os.environ)
    out = io.StringIO()
    assert run_demo(prompt=f"{played.document['prompt']} {'Be kind. ' * 20}", json=True, out=out) == 0
    assert dict(os.environ) == before
    return Played(json.loads(out.getvalue()), played.folder)


class Demo:
    """A demo in a process of its own, whose output is read as it comes."""

    def __init__(self, code: str, temporary: Path) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in `end`
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )
        self.text = self.read_until(BEGUN)
        (self.server,) = [
            child
            for child in psutil.Process(self.process.pid).children()
            if server.CHILD.name in " ".join(child.cmdline())
        ]

    def read_until(self, beginning: str) -> str:
        """Read lines until one begins so; give back all of them."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(beginning):
                return "".join(lines)
        raise AssertionError(f"the demo ended before `{beginning}`: {lines}")

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit status, the rest of the output, and what was said on stderr."""
        assert self.process.stdout is not None
        with self.process.stdout as stdout, self._errors as errors:
            rest = stdout.read()
            status = self.process.wait()
            errors.seek(0)
            return status, rest, errors.read()


def candidate(played: Played, name: str) -> dict[str, Any]:
    """One candidate of the document."""
    (found,) = [each for each in played.document["candidates"] if each["deployment"] == name]
    return dict(found)


def test_a_closed_api_is_skipped_for_want_of_a_key(played: Played) -> None:
    """The key's variable is named, and nothing but the missing key keeps it out."""
    (refusal,) = candidate(played, "gpt")["refusals"]
    assert KEY_VARIABLE in refusal["reason"]


def test_a_hosted_one_is_refused_by_origin(played: Played) -> None:
    """The operator's parent country decides first, with its source and the day it was checked."""
    first = candidate(played, "kimi")["refusals"][0]
    assert (first["rule"], first["reason"]) == ("operator.country", "parent CN")
    assert first["source"].startswith("https://")
    assert first["checked_on"]


def test_another_is_refused_by_place(played: Played) -> None:
    """Processing anywhere is outside every region, with its source."""
    first = candidate(played, "claude")["refusals"][0]
    assert (first["rule"], first["reason"]) == ("processing.country", "global")
    assert first["source"].startswith("https://")


def test_the_local_model_alone_is_permitted(played: Played) -> None:
    """One candidate is left, and its bound is shown."""
    permitted = [each for each in played.document["candidates"] if each["permitted"]]
    assert [each["deployment"] for each in permitted] == ["local"]
    assert Decimal(permitted[0]["most_usd"]) > 0


def test_the_local_model_answers(played: Played) -> None:
    """Words came, from the local deployment, in one attempt, with the tokens that the server counted."""
    answer = played.document["answer"]
    assert answer["text"].strip()
    assert answer["deployment"] == "local"
    assert [each["failure"] for each in answer["attempts"]] == [""]
    assert answer["input_tokens"] > 0
    assert answer["output_tokens"] > 0


def test_the_forced_failure_falls_back(played: Played) -> None:
    """The first attempt of the second call meets a closed port, costs nothing, and the next one answers."""
    attempts = played.document["fallback"]["attempts"]
    assert [(each["deployment"], each["failure"]) for each in attempts] == [("stopped", "unreachable"), ("local", "")]
    assert Decimal(attempts[0]["cost_usd"]) == 0
    assert played.document["fallback"]["text"].strip()


def test_the_cost_is_usage_times_price_to_the_last_digit(played: Played) -> None:
    """The cost is recomputed from the tokens and the price in the kept config, rounded up to a nano-dollar."""
    with Router.from_config(played.folder / "modelrouter.yaml") as router:
        price = router.setup.world.deployments["local"].price.value
    assert price is not None
    for call in (played.document["answer"], played.document["fallback"]):
        exact = call["input_tokens"] * price.input_usd_per_mtok + call["output_tokens"] * price.output_usd_per_mtok
        assert Decimal(call["cost_usd"]) == (exact / 1_000_000).quantize(NANO, ROUND_CEILING)


def test_elsewhere_is_the_same_usage_at_catalog_prices(played: Played) -> None:
    """Every other candidate's cost is recomputed from its own price, cached tokens left out as none were cached."""
    answer = played.document["answer"]
    rows = played.document["elsewhere"]
    with Router.from_config(played.folder / "modelrouter.yaml") as router:
        deployments = router.setup.world.deployments
        for row in rows:
            price = deployments[row["deployment"]].price.value
            assert price is not None
            exact = (
                answer["input_tokens"] * price.input_usd_per_mtok + answer["output_tokens"] * price.output_usd_per_mtok
            )
            assert Decimal(row["cost_usd"]) == (exact / 1_000_000).quantize(NANO, ROUND_CEILING)
    assert {row["deployment"] for row in rows} == {"gpt", "kimi", "claude", "local"}
    assert [row["deployment"] for row in rows if row["paid"]] == ["local"]
    assert [Decimal(row["cost_usd"]) for row in rows] == sorted(
        (Decimal(row["cost_usd"]) for row in rows), reverse=True
    )


def test_what_was_saved_is_the_difference_to_the_baseline(played: Played) -> None:
    """The reply's own figure agrees with the table's."""
    (baseline,) = [row for row in played.document["elsewhere"] if row["deployment"] == "gpt"]
    answer = played.document["answer"]
    assert Decimal(answer["saved_usd"]) == Decimal(baseline["cost_usd"]) - Decimal(answer["cost_usd"])


def test_the_ledger_rows_are_those_of_the_file(played: Played) -> None:
    """Three rows: settled, released, settled; their sum is that of the replies, and of the file itself."""
    rows = played.document["ledger"]
    assert [(row["deployment"], row["state"]) for row in rows] == [
        ("local", "settled"),
        ("stopped", "released"),
        ("local", "settled"),
    ]
    told = Decimal(played.document["answer"]["cost_usd"]) + Decimal(played.document["fallback"]["cost_usd"])
    assert sum(Decimal(row["cost_usd"]) for row in rows) == told
    book = sqlite3.connect(played.folder / "modelrouter.db")
    try:
        (nano_usd,) = book.execute("SELECT sum(amount_nano_usd) FROM entries WHERE kind <> 'reserve'").fetchone()
    finally:
        book.close()
    assert nano_usd * NANO == told


def test_what_is_kept_holds_no_key(played: Played) -> None:
    """Config, policy and ledger stay; the server's key does not."""
    assert {path.name for path in played.folder.iterdir()} >= {"modelrouter.yaml", "modelrouter.db", "policies"}
    assert not (played.folder / "local.key").exists()


def test_two_lines_say_what_to_do_next(played: Played) -> None:
    """The document ends with commands that exist beside the demo."""
    assert len(played.document["next_steps"]) == 2
    assert "`modelrouter init`" in played.document["next_steps"][0]


def test_a_prompt_beyond_the_window_is_one_sentence() -> None:
    """A prompt longer than the model's window ends in a sentence and exit status 1."""
    out, err = io.StringIO(), io.StringIO()
    assert run_demo(prompt="word " * 5000, out=out, err=err) == 1
    assert err.getvalue().startswith("modelrouter demo: the model did not answer")
    assert "context" in err.getvalue()


def test_the_prompt_reaches_the_model(played: Played, longer: Played) -> None:
    """A longer prompt is counted by the server as more tokens."""
    assert longer.document["answer"]["input_tokens"] >= played.document["answer"]["input_tokens"] + 20


def test_a_second_run_needs_neither_network_nor_pip(shown: Shown) -> None:
    """With the model in the cache nothing is asked of anybody but this machine."""
    assert (shown.status, shown.said) == (0, "")


def test_the_show_for_people_is_plain_where_nobody_watches(shown: Shown) -> None:
    """In a pipe: every part of the story, the size of the model, and no colour codes."""
    for part in ("135M model", "refused", "permitted", "unreachable", "settled", "paid", "modelrouter init"):
        assert part in shown.text
    assert "\x1b" not in shown.text


def test_nothing_is_left_after_the_demo(shown: Shown) -> None:
    """No process and no file stays behind, nor half a download in the cache."""
    assert not shown.server.is_running()
    assert list(shown.temporary.iterdir()) == []
    assert not list(cache_folder().glob("fetch-*"))


@pytest.mark.parametrize("moment", [BEGUN, "2."])
def test_with_its_server_killed_the_demo_says_so(moment: str, tmp_path: Path) -> None:
    """Killed before or in the middle of the answer: the command says that the model did not answer, and exits 1."""
    demo = Demo(PLAY, tmp_path)
    if moment != BEGUN:
        demo.read_until(moment)
    demo.server.kill()
    status, _, said = demo.end()
    assert status == 1
    assert said.startswith("modelrouter demo: the model did not answer")
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the answer ends the model server too, and removes the files."""
    demo = Demo(PLAY, tmp_path)
    demo.read_until("2.")
    demo.process.send_signal(signal.SIGINT)
    status, _, _ = demo.end()
    assert status != 0
    assert not demo.server.is_running()
    assert list(tmp_path.iterdir()) == []


def test_an_own_model_file_is_judged_by_what_is_known_of_it(tmp_path: Path) -> None:
    """Another file than the pinned one runs too, but nothing is claimed of its developer or lineage."""
    own = tmp_path / "mine.gguf"
    shutil.copy(find_weights().path, own)
    with own.open("ab") as file:
        file.write(b"\0")
    out = io.StringIO()
    assert run_demo(model=str(own), json=True, keep=tmp_path / "kept", out=out) == 0
    document = json.loads(out.getvalue())
    assert (document["model"], document["model_file"]) == ("mine.gguf", "mine.gguf")
    with Router.from_config(tmp_path / "kept" / "modelrouter.yaml") as router:
        facts = router.setup.world.models[OWN_MODEL]
    assert {facts.developer.state.value, facts.derived_from.state.value, facts.licence.state.value} == {"unknown"}


@pytest.mark.parametrize("json_wanted", [True, False])
def test_a_wrong_file_is_one_sentence_and_exit_1(tmp_path: Path, json_wanted: bool) -> None:
    """The sentence goes to stderr for people, and into the document with `--json`."""
    out, err = io.StringIO(), io.StringIO()
    assert run_demo(model=str(tmp_path / "nowhere.gguf"), json=json_wanted, out=out, err=err) == 1
    sentence = json.loads(out.getvalue())["error"] if json_wanted else err.getvalue()
    assert "there is no model file" in sentence
    assert (err.getvalue() == "") is json_wanted


def test_a_folder_in_use_is_not_written_to(tmp_path: Path) -> None:
    """`--keep` wants an empty folder: what is there stays as it is."""
    (tmp_path / "modelrouter.yaml").write_text("mine")
    err = io.StringIO()
    assert run_demo(keep=tmp_path, out=io.StringIO(), err=err) == 1
    assert "already holds something" in err.getvalue()
    assert (tmp_path / "modelrouter.yaml").read_text() == "mine"
