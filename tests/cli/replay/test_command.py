"""`modelrouter replay` over the ledger: who is refused, permitted, moved, at which cost, and what is said to people."""

from __future__ import annotations

import shutil
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from modelrouter.testing import FakeTransport, reply
from tests.cli.replay.trial import CASES, CONFIG, altered, derived, differences, opened_book, written_trial
from tests.router.configs import write_config
from tests.router.played import served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran
    from tests.cli.replay.trial import Case, Trial

CALLS = 240


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A book of calls whose kinds are known; nobody writes into it."""
    return written_trial(tmp_path_factory.mktemp("past") / "trial", CALLS)


@pytest.fixture
def past(trial: Trial, folder: Path) -> Trial:
    """The same in the test's own folder."""
    shutil.copytree(trial.folder, folder, dirs_exist_ok=True)
    return type(trial)(folder, trial.calls, trial.counts)


def test_nothing_changed_is_no_difference(past: Trial, run: Callable[..., Ran]) -> None:
    """The config of today against itself: every call as it was, refused ones too, at the same cost."""
    told, document = run("replay"), run("replay", "--json").document
    assert told.code == 0
    assert "0 differences" in told.out
    assert document["requests"] == sum(past.counts.get(name, 1) for name in past.calls)
    assert (document["differences"], document["groups"], document["left_out"]) == (0, [], {})
    assert document["cost"]["before_usd"] == document["cost"]["after_usd"] != "0"
    assert document["decided_otherwise_by_this_version"] == 0
    assert {each["route"]: each["served_after"] for each in document["routes"]}["sealed"] == 0
    assert document["routes_with_nobody"] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_one_change_changes_exactly_the_expected_calls(past: Trial, case: Case) -> None:
    """One fact, price or rule: what becomes of each call was named beforehand."""
    assert list(differences(past, case)) == []
    assert any(case.expected(kind) for kind in past.calls.values())


def test_a_stricter_policy_is_told(past: Trial, run: Callable[..., Ran]) -> None:
    """Who is refused newly and by which rule, the shares, and 1 as the answer; the same for programs."""
    arguments = ["--policy", str(CASES[0].change(past)["policy"])]
    told, document = run("replay", *arguments), run("replay", *arguments, "--json").document
    expected = {name for name, kind in past.calls.items() if CASES[0].expected(kind)}
    assert told.code == 1
    for words in ("newly refused", "personal-data/processing.country", "eu -> nobody", "operator", "requests before"):
        assert words in told.out
    assert document["changes"]["newly_refused"] == document["differences"] == len(expected)
    [group] = document["groups"]
    assert (group["route"], group["before"], group["after"]) == ("support", "eu", None)
    assert group["why"] == "personal-data/processing.country"
    assert set(group["calls"]) <= expected
    assert {"deployment": "eu", "rule": "personal-data/processing.country", "requests": len(expected)} in document[
        "lost"
    ]
    assert Decimal(document["cost"]["after_usd"]) < Decimal(document["cost"]["before_usd"])


def test_moved_calls_are_priced_anew(past: Trial, run: Callable[..., Ran]) -> None:
    """From A to B: what the same tokens cost at B, and the shares of operators and developers move with them."""
    document = run("replay", "--policy", str(CASES[1].change(past)["policy"]), "--json").document
    moved = [each for each in document["groups"] if each["change"] == "moved"]
    assert {each["before"] for each in moved} == {"cn"}
    for each in moved:
        ratio = {"us": Decimal("2.5"), "eu": Decimal(5)}[each["after"]]
        assert Decimal(each["after_usd"]) == pytest.approx(Decimal(each["before_usd"]) * ratio)
    shares = {each["id"]: (each["requests_before"], each["requests_after"]) for each in document["developers"]}
    assert shares["tower"][0] > 0 == shares["tower"][1]
    assert sum(before for before, _ in shares.values()) >= sum(after for _, after in shares.values())


def test_routes_and_policies_that_are_gone_are_reported(past: Trial, run: Callable[..., Ran], folder: Path) -> None:
    """A name that the other config does not know ends nothing: its calls are told apart."""
    text = CONFIG.replace("  best: {try: [closed, eu]}\n", "").replace(
        "  drafts: {try: [eu, us, cn]", "  drafts: {try: [eu]"
    )
    (folder / "other.yaml").write_text(text, encoding="utf-8")
    told, document = run("replay", "--config", "other.yaml"), run("replay", "--config", "other.yaml", "--json").document
    assert told.code == 1
    assert document["changes"]["gone"] == sum(kind.route == "best" for kind in past.calls.values())
    assert {each["why"] for each in document["groups"] if each["change"] == "gone"} == {"there is no route `best`"}
    assert {"cn", "us"} <= {each["deployment"] for each in document["lost"]}
    assert "not a candidate of the route any more" in told.out
    assert document["routes_with_nobody"] == ["best"]


def test_only_one_route_and_only_lately(past: Trial, run: Callable[..., Ran]) -> None:
    """`--route` and `--since` bound what is replayed."""
    document = run("replay", "--route", "drafts", "--json").document
    assert document["requests"] == sum(kind.route == "drafts" for kind in past.calls.values())
    assert run("replay", "--since", "2999-01-01", "--json").document["requests"] == 0


def test_what_cannot_be_decided_again_is_counted(past: Trial, run: Callable[..., Ran], folder: Path) -> None:
    """A record that was altered, or of an older version, is left out and said so."""
    book = sqlite3.connect(folder / "book.db")
    for (trigger,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        book.execute(f"DROP TRIGGER {trigger}")
    book.execute("UPDATE calls SET decision = '{}' WHERE route = 'drafts'")
    book.commit()
    book.close()
    told, document = run("replay"), run("replay", "--json").document
    assert "left out" in told.out
    [(reason, count)] = document["left_out"].items()
    assert "does not hold what the decision rests on" in reason
    assert count == sum(kind.route == "drafts" for kind in past.calls.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "nowhere.yaml"), "nowhere.yaml"),
        (("--policy", "strange.yaml"), "strange.yaml:1"),
        (("--config", "nowhere.yaml"), "nowhere.yaml"),
        (("--catalog", "nowhere"), "nowhere"),
        (("--since", "soon"), "is no length"),
        (("--present", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_wrong_use_is_2_and_names_the_file(
    past: Trial, run: Callable[..., Ran], folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A file that is not there, and a policy that stands in for none, are told with file and line."""
    (folder / "strange.yaml").write_text("policy: strange\nrules: {hosting: {allow: [managed]}}\n", encoding="utf-8")
    told = run("replay", *arguments)
    assert told.code == 2
    assert said in told.err


def test_personal_tags_bind_by_the_key_of_the_book(folder: Path, run: Callable[..., Ran]) -> None:
    """A policy for a person is found again behind the hash; once the key is gone, nobody is known any more."""
    top = "tags: {user: {personal: true}}\npolicies: [{policy: everybody, rules: {data.training: {allow: [never]}}}]"
    config = write_config(folder, served("a", "b"), "  ask: {try: [a, b]}", top=top)
    with Router.from_config(config, transports={"direct": FakeTransport(reply("x"))}) as router:
        for user in ("ann", "ben", "ann"):
            router.complete("ask", "Hello", tags={"user": user})
    text = config.read_text(encoding="utf-8")
    fresh = "{policy: anns, applies_to: {user: [ann]}, rules: {model.id: {allow: [gpt-6-sol]}}}, {policy: everybody"
    (folder / "other.yaml").write_text(text.replace("{policy: everybody", fresh), encoding="utf-8")
    arguments = ("replay", "--present", str(config), "--config", "other.yaml", "--json")
    assert run(*arguments).document["changes"]["newly_refused"] == 2
    with opened_book(folder / "book.db") as book:
        assert book.forget("user")
    assert run(*arguments).document["changes"]["newly_refused"] == 0


@pytest.mark.long
def test_a_tenth_of_the_trial(tmp_path: Path) -> None:
    """10,000 calls: nothing without a change, six changes as named, and every input that is altered is found."""
    past = written_trial(tmp_path / "trial", 10_000, seed=7)
    assert past.changed() == {}
    for case in CASES:
        assert list(differences(past, case)) == [], case.name
    assert all(altered(past).values())
    again = derived(past, 1_000, 7)
    assert again["same"] == again["decisions"] == 1_000
