"""`modelrouter spend`: the book in sums, exact."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from modelrouter import AttemptsExhaustedError, Router
from modelrouter.testing import FakeTransport, failure, reply
from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran


@pytest.fixture
def booked(folder: Path) -> Path:
    """A book with an answer for team `a`, one without a team, and a timeout that is uncertain."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    lane = FakeTransport(
        reply("one", input_tokens=1000, output_tokens=500),
        reply("two", input_tokens=10, output_tokens=5),
        failure("timed_out"),
    )
    with Router.from_config(transports={"direct": lane}) as router:
        router.complete("chat", "Hello", tags={"team": "a"})
        router.complete("chat", "Hello")
        with pytest.raises(AttemptsExhaustedError):
            router.complete("chat", "Hello", tags={"team": "a"}, max_output_tokens=100)
    return folder


def test_settled_and_uncertain_stand_apart(booked: Path, run: Callable[..., Ran]) -> None:
    """1,000 and 10 tokens at 1 USD, 500 and 5 at 2 USD per million are settled exactly; the timeout is at its bound."""
    document = run("spend", "--json").document
    [row] = document["rows"]
    assert (row["group"], row["attempts"], row["failures"]) == ("own", 3, 1)
    assert row["settled_usd"] == "0.00202"
    assert float(row["uncertain_usd"]) >= 0.0002
    assert row["reserved_usd"] == "0"
    assert {**row, "group": "total", "groups": ["total"]} == document["total"]
    table = run("spend").out
    assert "$0.00202" in table
    assert "uncertain" in table
    assert "reserved" not in table


def test_groups_are_the_ledgers_own(booked: Path, run: Callable[..., Ran]) -> None:
    """By tag, calls without it stand apart; by model, operator, route and day there is one line each."""
    by_team = {row["group"]: row for row in run("spend", "--by", "tag.team", "--json").document["rows"]}
    assert {name: row["attempts"] for name, row in by_team.items()} == {"": 1, "a": 2}
    assert "(without)" in run("spend", "--by", "tag.team").out
    for by, group in (("model", "gpt-oss-20b"), ("operator", "self"), ("route", "chat")):
        assert [row["group"] for row in run("spend", "--by", by, "--json").document["rows"]] == [group]


def test_since_leaves_out_what_came_before(booked: Path, run: Callable[..., Ran]) -> None:
    """The last hour holds everything, tomorrow nothing, which is no failure."""
    assert run("spend", "--since", "1h", "--json").document["total"]["attempts"] == 3
    later = run("spend", "--since", "2999-01-01")
    assert later.code == 0
    assert later.out.startswith("nothing is booked since 2999-01-01")


def test_a_book_that_is_not_there_yet_is_empty(folder: Path, run: Callable[..., Ran]) -> None:
    """Before the first call there is nothing to sum up; the ledger is not made for it."""
    (folder / "modelrouter.yaml").write_text(SERVERLESS, encoding="utf-8")
    assert run("spend", "--json").document["rows"] == []
    assert run("spend").out.startswith("nothing is booked")
    assert not (folder / "modelrouter.db").exists()


def test_amounts_are_exact_in_every_form(booked: Path, run: Callable[..., Ran]) -> None:
    """The document has text and nano-dollars, the CSV the same text; the table names both costs of failures."""
    [row] = run("spend", "--json").document["rows"]
    assert row["settled_nano_usd"] == 2_020_000
    assert row["failed_usd"] == row["uncertain_usd"]
    assert row["failed_nano_usd"] == row["uncertain_nano_usd"]
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (3, 1_010, 505)
    [cells] = csv.DictReader(io.StringIO(run("spend", "--csv").out))
    assert (cells["deployment"], cells["settled_usd"], cells["calls"]) == ("own", "0.00202", "3")
    assert cells["uncertain_usd"] == row["uncertain_usd"]


def test_two_groups_at_once(booked: Path, run: Callable[..., Ran]) -> None:
    """A row for each pair that there is, with both names."""
    document = run("spend", "--by", "route,tag.team", "--json").document
    assert {tuple(row["groups"]): row["attempts"] for row in document["rows"]} == {("chat", ""): 1, ("chat", "a"): 2}
    assert run("spend", "--by", "route,tag.team", "--csv").out.startswith("route,tag.team,calls,")
    assert "(without)" in run("spend", "--by", "route,tag.team").out


def test_policies_and_developers_are_groups_too(booked: Path, run: Callable[..., Ran]) -> None:
    """What bound a call and who trained the model are in the book."""
    assert [row["group"] for row in run("spend", "--by", "policy", "--json").document["rows"]] == ["baseline"]
    assert [row["group"] for row in run("spend", "--by", "developer", "--json").document["rows"]] == ["openai"]


def test_times_are_those_of_a_zone(booked: Path, run: Callable[..., Ran]) -> None:
    """An hour is written with its offset; today in Apia holds what today in UTC may not."""
    [hour] = run("spend", "--by", "hour", "--tz", "Asia/Kolkata", "--json").document["rows"]
    assert hour["group"].endswith(":30+05:30")
    [month] = run("spend", "--by", "month", "--json").document["rows"]
    assert datetime.now(UTC).strftime("%Y-%m") >= month["group"]


def test_until_goes_through_its_day(booked: Path, run: Callable[..., Ran]) -> None:
    """Until today holds everything, until yesterday nothing; from one to the other may not run backwards."""
    today = datetime.now(UTC).date()
    assert run("spend", "--until", str(today + timedelta(days=1)), "--json").document["total"]["attempts"] == 3
    assert run("spend", "--until", str(today - timedelta(days=2)), "--json").document["total"]["attempts"] == 0
    told = run("spend", "--since", "2026-05-02", "--until", "2026-05-01")
    assert told.code == 2
    assert "`2026-05-01` ends at 2026-05-02T00:00:00Z, which is not after the beginning" in told.err
    assert run("spend", "--since", "2026-05-01", "--until", "2026-05-01").code == 0


def test_a_limit_leaves_the_others_in_one_row(booked: Path, run: Callable[..., Ran]) -> None:
    """The dearest stays, the total is that of all."""
    document = run("spend", "--by", "tag.team", "--limit", "1", "--json").document
    assert [row["group"] for row in document["rows"]] == ["a"]
    assert (document["others"]["rows"], document["others"]["attempts"]) == (1, 1)
    assert document["total"]["attempts"] == 3
    assert "(1 others)" in run("spend", "--by", "tag.team", "--limit", "1").out


def test_another_price_is_an_estimate_beside_it(booked: Path, run: Callable[..., Ran]) -> None:
    """By the price of a deployment: 1,010 tokens in and 505 out at 1 and 2 USD per million."""
    document = run("spend", "--compare-to", "gpt-oss-20b@self", "--json").document
    assert document["compared_to"]["model"] == "gpt-oss-20b"
    assert document["total"]["compared_usd"] == "0.00202"
    assert document["total"]["difference_nano_usd"] == 0
    told = run("spend", "--compare-to", "dear")
    assert told.code == 0
    assert "compared: an estimate" in told.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--by", "colour"), "`colour` is none of"),
        (("--by", "route,route"), "names a group twice"),
        (("--by", "tag.tem"), "no call has a tag `tem`: did you mean `team`?"),
        (("--tz", "Berlin"), "`Berlin` is no time zone"),
        (("--until", "tomorrow"), "write it as `7d` or `2026-11-01`"),
        (("--compare-to", "gpt-oss-20b@nobody"), "is not known"),
        (("--compare-to", "gpt-7-sol"), "did you mean"),
        (("--json", "--csv"), "ask for one"),
        (("--limit", "0"), "limit"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_answered_is_one_sentence(
    arguments: tuple[str, ...], says: str, booked: Path, run: Callable[..., Ran]
) -> None:
    """Wrong use is 2, and the sentence says what is right."""
    told = run("spend", *arguments)
    assert told.code == 2
    assert says in told.err + told.out
    assert len((told.err or told.out).strip().splitlines()) == 1 or "--json" in arguments


def test_a_budget_says_what_is_left(folder: Path, run: Callable[..., Ran]) -> None:
    """Below the table: limit, what is used and what is left, for every scope; the report's span does not matter."""
    budgets = "budgets:\n  all: {usd: 1, window: total}\n  team: {usd: 2, window: month, each: tag.team}\n"
    (folder / "modelrouter.yaml").write_text(SERVERLESS + budgets, encoding="utf-8")
    with Router.from_config(transports={"direct": FakeTransport(reply("ok", input_tokens=1000))}) as router:
        router.complete("chat", "Hello", tags={"team": "a"})
    document = run("spend", "--json").document
    left = {(budget["budget"], budget["scope"]): budget["left_usd"] for budget in document["budgets"]}
    assert left == {("all", ""): "0.99899", ("team", "a"): "1.99899"}
    later = run("spend", "--since", "2999-01-01")
    assert "nothing is booked since 2999-01-01T00:00:00Z" in later.out
    assert "budgets now" in later.out
    assert "$0.99899" in later.out
    (folder / "modelrouter.yaml").write_text(SERVERLESS + budgets.replace("usd: 1,", "usd: 3,"), encoding="utf-8")
    changed = run("spend")
    assert "`modelrouter budget apply`" in changed.out
    assert "$0.99899" in changed.out


def test_personal_tags_stay_hashes(folder: Path, run: Callable[..., Ran]) -> None:
    """Rows are told apart, and nobody's name is in the report."""
    text = SERVERLESS.replace("tags: {team: {}}", "tags: {user: {personal: true}}")
    (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
    with Router.from_config(transports={"direct": FakeTransport(reply("ok"))}) as router:
        for name in ("ada@example.org", "bob@example.org", "ada@example.org"):
            router.complete("chat", "Hello", tags={"user": name})
    rows = run("spend", "--by", "tag.user", "--json").document["rows"]
    assert sorted(row["attempts"] for row in rows) == [1, 2]
    assert all(row["group"].startswith("~") and "example" not in row["group"] for row in rows)
    assert "keyed hashes" in run("spend", "--by", "tag.user").out
