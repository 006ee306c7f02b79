"""Bad input: one clear sentence on stderr, or one document with `--json`, the right exit code, and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.command import SERVERLESS, TWO_ROUTES, environment, in_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Ran

SECRET: Final = "sk-do-not-show-this"


@dataclass(frozen=True, slots=True)
class Bad:
    """A config, and what must be said about it.

    Attributes:
        line: the line that is named; None where it is about no line.
    """

    name: str
    text: str
    says: str
    line: int | None = None


CIRCLE: Final = SERVERLESS.replace(
    "policies: [baseline]", "policies:\n  - {policy: a, extends: [b]}\n  - {policy: b, extends: [a]}"
)
FOREIGN: Final = SERVERLESS.replace("http://127.0.0.1:9/v1", "https://api.openai.com/v1")
BAD: Final = (
    Bad("empty file", "", "the file is empty", 1),
    Bad("YAML syntax", SERVERLESS.replace("tags: {team: {}}", "tags: {team: {}"), "brace is not closed", 4),
    Bad("unknown key", SERVERLESS.replace("routes:", "rutes:"), "did you mean `routes`?", 21),
    Bad("key given twice", SERVERLESS + "baseline: own\n", "given twice", 23),
    Bad("NO is Norway", SERVERLESS + "offline: NO\n", "expected `true` or `false`", 23),
    Bad("wrong type", SERVERLESS.replace("retention_days: 0", "retention_days: soon"), "must be a whole number", 17),
    Bad("unknown model", SERVERLESS.replace("gpt-oss-20b", "gpt-oss-21b"), "did you mean `gpt-oss-20b`?", 7),
    Bad("unknown operator", SERVERLESS.replace("operator: openai", "operator: opnai"), "did you mean `openai`?", 20),
    Bad("no candidates", SERVERLESS.replace("try: [own]", "try: []"), "without candidates", 22),
    Bad("extends in a circle", CIRCLE, "a -> b -> a", 3),
    Bad("include in a circle", f"include: [modelrouter.yaml]\n{SERVERLESS}", "in a circle", 1),
    Bad("foreign base URL", FOREIGN, "`api.openai.com` belongs to operator `openai`", 12),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_config_is_one_sentence_with_file_and_line(bad: Bad, folder: Path, run: Callable[..., Ran]) -> None:
    """`check` says what is wrong and where, ends with 2, and its JSON holds the same as fields."""
    (folder / "modelrouter.yaml").write_text(bad.text, encoding="utf-8")
    told, document = run("check"), run("check", "--json").document["error"]
    assert told.code == 2
    assert not told.out
    assert told.err.startswith("error: ")
    assert bad.says in told.err
    assert "Traceback" not in told.err
    assert document["exit_code"] == 2
    assert document["message"] in told.err
    assert document["line"] == bad.line or bad.line is None


def test_norway_is_a_country(folder: Path, run: Callable[..., Ran]) -> None:
    """`country: NO` is read as Norway, not as false."""
    (folder / "modelrouter.yaml").write_text(f"{SERVERLESS}caller: {{country: NO}}\n", encoding="utf-8")
    assert run("check").code == 0


def test_a_missing_config_says_how_to_get_one(folder: Path, run: Callable[..., Ran]) -> None:
    """Without a config, and with one that is named and not there, `init` is pointed at."""
    nowhere, named = run("explain", "chat"), run("check", "--config", "there.yaml")
    assert (nowhere.code, named.code) == (2, 2)
    assert "`modelrouter init`" in nowhere.err
    assert "there is no file `there.yaml`" in named.err


def test_a_config_that_is_a_folder_or_has_no_name_is_said_so(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty `--config`, as a script with an unset variable gives it, never means the file that lies there."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    (folder / "conf").mkdir()
    told, empty = run("check", "--config", "conf"), run("check", "--config", "")
    assert (told.code, empty.code) == (2, 2)
    assert "`conf` is a folder: name the file in it" in told.err
    assert "the name of the config is empty" in empty.err
    monkeypatch.setenv("MODELROUTER_CONFIG", "conf")
    assert "`conf`, which `MODELROUTER_CONFIG` names, is a folder" in run("check").err


UNPRIVILEGED: Final = """
import contextlib, io, os, sys
from modelrouter.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(sys.argv[1:])  # whatever it needs is loaded while it may be read
if os.getuid() == 0:  # to whom every file is open
    os.setgid(65534)
    os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


def _unprivileged(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("shut", ["modelrouter.yaml", "policies/baseline.yaml", "policies", "shut"])
def test_what_may_not_be_read_is_named(shut: str) -> None:
    """A config, a policy, and the folder of either: 2, the file, and never a shipped policy in place of one's own."""
    with tempfile.TemporaryDirectory() as name:  # not `tmp_path`, whose parents are private to the user of the run
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "policies").mkdir()
        (folder / "shut").mkdir()
        for config in (folder / "modelrouter.yaml", folder / "shut" / "other.yaml"):
            config.write_text(SERVERLESS, encoding="utf-8")
        own = "policy: baseline\nrules: {operator.id: {allow: [mistral]}}\n"
        (folder / "policies" / "baseline.yaml").write_text(own, encoding="utf-8")
        (folder / shut).chmod(0)
        named = "shut/other.yaml" if shut == "shut" else "modelrouter.yaml"
        done = _unprivileged(folder, "check", "--config", named, "--json")
        (folder / shut).chmod(0o700)
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "may not be" in error["message"]
    assert error["file"].endswith("shut/other.yaml" if shut == "shut" else shut)


def test_a_policy_file_that_would_not_be_read_is_named(folder: Path, run: Callable[..., Ran]) -> None:
    """`policies/baseline.yml` is not passed over for the shipped policy of its name."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    (folder / "policies").mkdir()
    own = folder / "policies" / "baseline.yml"
    own.write_text("policy: baseline\nrules: {operator.id: {allow: [mistral]}}\n", encoding="utf-8")
    told = run("check")
    assert told.code == 2
    assert f"{own}: policies are read from `.yaml` files: call it `baseline.yaml`" in told.err
    own.rename(own.with_suffix(".yaml"))
    assert run("check").code == 1  # the rule refuses the only deployment


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain", "caht"), "did you mean `chat`?"),
        (("explain", "chat", "--policy", "baselin"), "did you mean `baseline`?"),
        (("explain", "chat", "--tag", "team"), "write it as `name=value`"),
        (("explain", "chat", "--tag", "tem=a"), "did you mean `team`?"),
        (("explain", "chat", "--tag", "team=a", "--tag", "team=b"), "tag `team` is given twice"),
        (("explain", "chat", "--max-cost-usd", "much"), "`much` is not a number"),
        (("explain",), "missing argument"),
        (("chat", "chat", " "), "the prompt is empty"),
        (("spend", "--by", "colour"), "`colour` is none of"),
        (("spend", "--since", "yesterday"), "write it as `7d` or `2026-11-01`"),
        (("spend", "--since", "999999w"), "write it as `7d` or `2026-11-01`"),
        (("catalog", "add", "--set"), "see `modelrouter catalog add --help`"),
        (("spend", "--limit", "0"), "write at least 1: see"),
        (("spend", "--limit", "few"), "write a whole number: see"),
        (("check", "--survive", "--depth", "3"), "write at most 2: see"),
        (("schema", "recipe"), "`kind`: `recipe` is not one of `config`"),
        (("catalog", "show", "mistrl"), "did you mean `mistral`?"),
        (("catalog", "list", "--openness", "ajar"), "open_weights"),
        (("catalog", "list", "licences", "--country", "DE"), "cannot be narrowed down by country"),
        (("catalog", "list", "--country", "Germany"), "EEA, EFTA, EU"),
        (("--colour",), "no such option"),
        (("chekc",), "no such command"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_2_and_say_what_is_right(
    arguments: tuple[str, ...], says: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """What was typed wrong is named, in a sentence and in a document."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    told, document = run(*arguments), run(*arguments, "--json")
    assert (told.code, document.code) == (2, 2)
    assert says in told.err
    assert "Traceback" not in told.err
    assert says in document.document["error"]["message"]


def test_a_key_that_is_not_set_is_named_and_no_value_is_shown(folder: Path) -> None:
    """In a process of its own: nobody is permitted for want of a key, 1, and nothing of another key is printed."""
    (folder / "modelrouter.yaml").write_text(TWO_ROUTES, encoding="utf-8")
    told = in_process(folder, "chat", "closed", "Hello", variables={"MISTRAL_API_KEY": SECRET})
    assert told.code == 1
    assert told.err.count("\n") == 1
    assert "environment variable `OPENAI_API_KEY` is not set" in told.err
    assert SECRET not in told.out + told.err
    assert not told.out


def test_an_unreachable_ledger_is_told_by_every_command_that_needs_it(folder: Path, run: Callable[..., Ran]) -> None:
    """Nothing is sent without a book: 1, naming the folder that is missing."""
    text = SERVERLESS + "ledger: sqlite:///nowhere/book.db\n"
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    for command in (("chat", "chat", "Hello"), ("spend",), ("check",)):
        told = run(*command)
        assert told.code == 1
        assert "nowhere` of the ledger does not exist: make it" in told.err + told.out
    assert run("check", "--json").document["ledger"]["ok"] is False


def test_a_failed_call_is_1_and_keeps_the_ledger_right(folder: Path, run: Callable[..., Ran]) -> None:
    """Nobody listens at the address: the failure is told, in words and as a document with its attempts."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    told, document = run("chat", "chat", "Hello"), run("chat", "chat", "Hello", "--json")
    assert (told.code, document.code) == (1, 1)
    assert "every candidate was tried and failed" in told.err
    error = document.document["error"]
    assert error["kind"] == "AttemptsExhaustedError"
    assert [attempt["failure"] for attempt in error["attempts"]] == ["unreachable"] * 3  # once, and two retries
    assert error["cost_usd"] == "0"
    assert run("spend", "--json").document["total"]["failures"] == 6
