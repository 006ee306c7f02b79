"""`modelrouter budget`, and what `check` and `explain` say of budgets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer

from modelrouter import Router
from modelrouter.testing import FakeTransport, reply
from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

BUDGETS = """
budgets:
  month: {usd: 2000, window: month, tz: Europe/Berlin}
  team: {usd: 0.01, window: 24h, each: tag.team, only: {route: [chat]}, when_reserved: {wait_s: 5}}
"""
COST = "0.000016"
"""Of one call: eight tokens in at a dollar a million, four out at two."""


def write(folder: Path, budgets: str = BUDGETS, more: str = "") -> None:
    """The config of this folder."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS + budgets + more, encoding="utf-8")


def spend_some(folder: Path, **tags: str) -> None:
    """One call that is answered, by a Router like any other over this folder's config and book."""
    lane = FakeTransport(reply("hello", input_tokens=8, output_tokens=4))
    with Router.from_config(folder / "modelrouter.yaml", transports={"direct": lane}) as router:
        router.complete("chat", "hi", tags=tags)


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    """The budgets of a document by their names."""
    return {each["name"]: each for each in document["budgets"]}


# --- show -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("budget",), ("budget", "show")])
def test_before_the_first_call_everything_is_left(
    folder: Path, run: Callable[..., Ran], words: tuple[str, ...]
) -> None:
    """The limits, their reach and the routes under them are shown; no file is made for the question."""
    write(folder)
    shown = run(*words)
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines() if line.strip()]
    assert lines[0] == ["budget", "scope", "window", "limit", "spent", "left", "resets"]
    assert lines[2][:5] == ["month", "month", "$2000", "$0", "$2000"]
    assert lines[3] == ["team", "each", "tag.team", "24h", "$0.01"]
    assert f"every process on this machine that uses `{folder / 'modelrouter.db'}`" in shown.out
    assert "team: $0.01 in 24h for each tag.team, only route chat; every route" in shown.out
    assert "is made with the first call" in shown.out
    assert not (folder / "modelrouter.db").exists()


def test_what_was_spent_is_shown_by_scope(folder: Path, run: Callable[..., Ran]) -> None:
    """Each scope has a row, also that of requests without the tag; columns that hold nothing are left out."""
    write(folder)
    spend_some(folder, team="billing")
    spend_some(folder)
    shown = run("budget")
    rows = [line.split() for line in shown.out.splitlines()]
    assert shown.code == 0
    assert ["month", "month", "$2000", "$0.000032", "$1999.999968"] in [row[:5] for row in rows]
    assert ["team", "billing", "24h", "$0.01", f"${COST}", "$0.009984"] in [row[:6] for row in rows]
    assert ["team", "(without)", "24h", "$0.01", f"${COST}", "$0.009984"] in [row[:6] for row in rows]
    assert "uncertain" not in shown.out


def test_a_tag_is_no_command_to_the_terminal(folder: Path, run: Callable[..., Ran]) -> None:
    """Whoever calls chooses its value, and whoever looks at the budgets is somebody else."""
    write(folder)
    spend_some(folder, team="\x1b]0;title\x07red")
    shown = run("budget").out
    assert "]0;titlered" in shown
    assert not {"\x1b", "\x07"} & set(shown)


def test_the_document_keeps_the_five_kinds_of_money_apart(folder: Path, run: Callable[..., Ran]) -> None:
    """Amounts are text with every digit; the reset is a moment in the budget's own zone."""
    write(folder)
    spend_some(folder, team="billing")
    document = run("budget", "show", "--json").document
    assert document["ok"] is True
    assert document["ledger"] == {"url": f"sqlite:///{folder / 'modelrouter.db'}", "exists": True, "trouble": None}
    assert document["mismatch"] == []
    month, team = by_name(document)["month"], by_name(document)["team"]
    assert (month["tz"], month["window"], month["routes"], month["wait_s"]) == ("Europe/Berlin", "month", ["chat"], 0.0)
    assert (team["each"], team["only"], team["wait_s"]) == ("tag.team", {"route": ["chat"]}, 5.0)
    (position,) = team["positions"]
    assert position.pop("resets")
    assert position == {
        "scope": "billing",
        "limit_usd": "0.01",
        "spent_usd": COST,
        "settled_usd": COST,
        "uncertain_usd": "0",
        "overrun_usd": "0",
        "correction_usd": "0",
        "reserved_usd": "0",
        "left_usd": "0.009984",
    }
    assert month["positions"][0]["resets"].startswith("20")


def test_the_option_may_stand_behind_the_group_alone(folder: Path, run: Callable[..., Ran]) -> None:
    """`budget --json` is `budget show --json`; before a word it would be lost, so it is refused."""
    write(folder)
    assert run("budget", "--json").document == run("budget", "show", "--json").document
    refused = run("budget", "--json", "show")
    assert refused.code == 2
    assert "write options behind `show`" in refused.out


def test_without_budgets_there_is_nothing_to_show(folder: Path, run: Callable[..., Ran]) -> None:
    """And nothing wrong."""
    write(folder, "")
    shown = run("budget")
    assert (shown.code, shown.out.strip()) == (0, "no budgets: add `budgets`\n" + shown.out.strip().splitlines()[-1])


def test_a_ledger_that_cannot_be_read_is_told(folder: Path, run: Callable[..., Ran]) -> None:
    """The definitions are shown all the same; the answer is no, and nothing unknown is shown as nothing spent."""
    write(folder)
    (folder / "modelrouter.db").write_text("this is no book", encoding="utf-8")
    shown = run("budget")
    assert shown.code == 1
    assert "ledger: " in shown.out
    assert ["month", "month", "$2000"] in [line.split() for line in shown.out.splitlines()]
    document = run("budget", "--json").document
    assert document["ledger"]["trouble"]
    assert [each["positions"] for each in document["budgets"]] == [[], []]
    asked = run("explain", "chat", "hi")
    assert asked.code == 0
    assert ["own", "month", "unknown"] in [line.split()[:3] for line in asked.out.splitlines()]
    rooms = run("explain", "chat", "hi", "--json").document["budgets"]
    assert [each["room"] for each in rooms["candidates"]["own"]] == ["unknown"] * 2
    assert rooms["trouble"] == document["ledger"]["trouble"]


# --- apply ------------------------------------------------------------------------------------------------------------


def test_other_budgets_are_a_no_until_they_are_applied(folder: Path, run: Callable[..., Ran]) -> None:
    """Every command that looks says what differs and what to run; `apply` lets calls through, and spending stays."""
    write(folder)
    spend_some(folder, team="billing")
    write(folder, BUDGETS.replace("0.01", "0.02").replace("month: {", "month: {only: {route: [chat]}, "))
    for words in (("budget",), ("check",)):
        told = run(*words)
        assert told.code == 1
        assert "`modelrouter budget apply`" in told.out
    assert "team: $0.01 in 24h for each tag.team, only route chat -> $0.02 in 24h" in run("budget").out
    refused = run("chat", "chat", "hi")
    assert refused.code == 1
    assert "`modelrouter budget apply`" in refused.err
    applied = run("budget", "apply", "--yes")
    assert (applied.code, applied.err) == (0, "")
    assert "month: $2000 a month (Europe/Berlin) -> $2000 a month (Europe/Berlin), only route chat" in applied.out
    assert "added up anew" in applied.out
    spend_some(folder, team="billing")
    found = by_name(run("budget", "--json").document)
    assert [one["spent_usd"] for one in found["team"]["positions"]] == ["0.000032"]
    assert [one["spent_usd"] for one in found["month"]["positions"]] == ["0.000032"]


def test_apply_as_a_document(folder: Path, run: Callable[..., Ran]) -> None:
    """Old and new of each; without `--yes` nothing is changed, and the answer is no."""
    write(folder)
    spend_some(folder)
    write(folder, "")
    asked = run("budget", "apply", "--json")
    assert asked.code == 1
    assert asked.document["applied"] is asked.document["ok"] is False
    assert [(each["old"]["name"], each["new"]) for each in asked.document["changes"]] == [
        ("month", None),
        ("team", None),
    ]
    assert run("budget", "apply", "--json", "--yes").document["applied"] is True
    again = run("budget", "apply", "--json")
    assert (again.code, again.document["changes"], again.document["applied"]) == (0, [], False)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_a_person_is_asked(
    folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    """On a terminal the question is put; anything but yes changes nothing."""
    write(folder)
    spend_some(folder)
    write(folder, BUDGETS.replace("2000", "3000"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def confirm(text: str, *, default: bool) -> bool:
        asked.append(text)
        return answer == "y" if answer else default

    monkeypatch.setattr(typer, "confirm", confirm)
    assert run("budget", "apply").code == code
    assert asked == ["put these in force?"]
    assert run("budget").code == code


def test_nobody_to_ask_is_a_no(folder: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that forgot `--yes` is told, and changes nothing."""
    write(folder)
    spend_some(folder)
    write(folder, BUDGETS.replace("2000", "3000"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    told = run("budget", "apply")
    assert told.code == 1
    assert "write `modelrouter budget apply --yes`" in told.out


def test_a_waiting_time_is_nobody_s_agreement(folder: Path, run: Callable[..., Ran]) -> None:
    """How long this process lets calls wait changes no definition."""
    write(folder)
    spend_some(folder)
    write(folder, BUDGETS.replace("wait_s: 5", "wait_s: 50"))
    assert run("budget").code == 0
    assert "nothing to change" in run("budget", "apply").out


# --- check and explain ------------------------------------------------------------------------------------------------


def test_check_says_how_far_budgets_reach_and_what_falls_under_them(folder: Path, run: Callable[..., Ran]) -> None:
    """And notes a budget that no route reaches."""
    write(folder, BUDGETS, "  idle: {usd: 1, window: day, only: {deployment: [dear]}}\n")
    shown = run("check")
    assert shown.code == 0
    assert "every process on this machine that uses" in shown.out
    assert "idle: $1 a day, only deployment dear; no route" in shown.out
    assert "note: budget `idle`: no route reaches it (deployment dear)" in " ".join(shown.out.split())
    document = run("check", "--json").document
    assert by_name(document)["team"]["routes"] == ["chat"]
    assert "every process on this machine" in document["reach"]


def test_explain_says_whether_each_budget_has_room(folder: Path, run: Callable[..., Ran]) -> None:
    """Before the first call there is no book and everything is left; later the balance of the asked scope counts."""
    write(folder, BUDGETS.replace("0.01", "0.00246"))
    before = run("explain", "chat", "hi", "--tag", "team=billing")
    assert (before.code, before.err) == (0, "")
    assert not (folder / "modelrouter.db").exists()
    row = ["own", "team", "billing", "$0.00246", "yes"]
    assert row in [line.split()[:5] for line in before.out.splitlines()]
    spend_some(folder, team="billing")
    document = run("explain", "chat", "hi", "--tag", "team=billing", "--json").document
    month, team = document["budgets"]["candidates"]["own"]
    assert (month["room"], team["room"], team["left_usd"]) == ("yes", "no", "0.002444")
    assert document["permitted"][0]["most_usd"] > team["left_usd"]
    other = run("explain", "chat", "hi", "--tag", "team=sales", "--json").document
    assert other["budgets"]["candidates"]["own"][1]["room"] == "yes"


def test_explain_knows_the_account_of_a_personal_value(folder: Path, run: Callable[..., Ran]) -> None:
    """Its hash is looked up where somebody has spent; a question makes no key."""
    personal = SERVERLESS.replace("tags: {team: {}}", "tags: {user: {personal: true}}")
    budgets = "budgets:\n  user: {usd: 1, window: total, each: tag.user}\n"
    (folder / "modelrouter.yaml").write_text(personal + budgets, encoding="utf-8")
    assert run("explain", "chat", "hi", "--tag", "user=ann").code == 0
    assert not (folder / "modelrouter.db").exists()
    spend_some(folder, user="ann")
    found = run("explain", "chat", "hi", "--tag", "user=ann", "--json").document["budgets"]["candidates"]["own"]
    assert [each["spent_usd"] for each in found] == [COST]
    assert found[0]["scope"].startswith("~")


# --- a book for a fleet -----------------------------------------------------------------------------------------------


def test_a_budget_of_a_fleet_over_postgresql(folder: Path, run: Callable[..., Ran], book_url: str) -> None:
    """Put in force, spent, shown and explained as in a file; it reaches everywhere, and no password is printed."""
    write(folder, BUDGETS.replace("{usd: 2000", "{scope: fleet, usd: 2000"), f"ledger: '{book_url}'\n")
    for words in (("budget",), ("check",), ("explain", "chat", "hi")):
        before = run(*words)
        assert (before.code, before.err) == (0, "")
        assert "cannot" not in before.out
    assert "is made with the first call" in run("budget").out
    assert run("budget", "apply", "--yes").code == 0
    spend_some(folder, team="billing")
    shown, checked = run("budget"), run("check")
    assert (shown.code, checked.code) == (0, 0)
    assert "every process of the fleet that uses `postgresql://" in shown.out
    assert f"${COST}" in shown.out
    told = [shown.out, checked.out, run("explain", "chat", "hi", "--json").out, run("check", "--json").out]
    password = book_url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password
    assert not [text for text in told if password in text]
