"""Bad input: one clear sentence on stderr, or one document with `--json`, the right exit code, and no traceback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.command import SERVERLESS, TWO_ROUTES, in_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain", "caht"), "did you mean `chat`?"),
        (("explain", "chat", "--policy", "baselin"), "did you mean `baseline`?"),
        (("explain", "chat", "--tag", "team"), "write it as `name=value`"),
        (("explain", "chat", "--tag", "tem=a"), "did you mean `team`?"),
        (("explain", "chat", "--max-cost-usd", "much"), "`much` is not a number"),
        (("explain",), "missing argument"),
        (("chat", "chat", " "), "the prompt is empty"),
        (("spend", "--by", "colour"), "`colour` is none of"),
        (("spend", "--since", "yesterday"), "write it as `7d` or `2026-11-01`"),
        (("spend", "--since", "999999w"), "write it as `7d` or `2026-11-01`"),
        (("schema", "recipe"), "recipe"),
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
