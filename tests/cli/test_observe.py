"""`modelrouter observe`: what observing policies would have refused of real calls, and when it is safe to enforce."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter import Router
from modelrouter.testing import FakeTransport, failure, reply
from tests.cli.command import TWO_ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

CONFIG = TWO_ROUTES.replace("policies: [baseline]", "caller: {name: Acme, country: DE}\npolicies: [baseline, watchful]")
WATCHFUL = (
    "policy: watchful\ndescription: no American operator\nobserve: true\nrules:\n  operator.country: {deny: [US]}\n"
)
WAIVER = (
    "waivers: [{id: W-1, rule: watchful/operator.country, subject: dear, because: a trial, owner: dpo, "
    "expires: 2999-01-31}]\n"
)


def write(folder: Path, policy: str = WATCHFUL, config: str = CONFIG) -> None:
    """The config with its policy."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "modelrouter.yaml").write_text(config, encoding="utf-8")
    (folder / "policies" / "watchful.yaml").write_text(policy, encoding="utf-8")


def ask(*routes: str, **scripts: list[object]) -> None:
    """One call on each route."""
    lane = FakeTransport(reply("fine"), scripts=scripts)  # type: ignore[arg-type]  # turns, as the lane takes them
    with Router.from_config(transports={"direct": lane}) as router:
        for route in routes:
            router.complete(route, "Hello")


@pytest.fixture
def config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the config and a key for the closed model."""
    monkeypatch.setenv("OPENAI_API_KEY", "invented")
    write(folder)
    return folder


def test_calls_that_would_have_been_refused(config: Path, run: Callable[..., Ran]) -> None:
    """By rule, route and deployment, with how many would have had nobody left; the answer is no, and says it."""
    ask("closed", "both", "chat", "both", own=[reply("own")], dear=[reply("dear")])
    ran = run("observe", "--json")
    [row] = ran.document["policies"]
    assert (ran.code, row["safe"]) == (1, False)
    assert (row["calls"], row["refused"], row["nobody_left"], row["fewer_left"]) == (4, 3, 1, 0)
    places = {(each["rule"], each["route"], each["deployment"]): each["refused"] for each in row["rules"]}
    assert places == {("operator.country", "closed", "dear"): 1, ("operator.country", "both", "dear"): 2}
    assert {each["route"]: each["calls"] for each in row["routes"]} == {"both": 2, "chat": 1, "closed": 1}
    assert row["last_refused_at"] is not None
    told = run("observe").out
    assert "not safe to enforce: 3 of 4 calls" in told
    assert "1 would have had nobody left" in " ".join(told.split())


def test_it_is_safe_once_no_call_would_have_been_refused(config: Path, run: Callable[..., Ran]) -> None:
    """A fallback that would have gone is told; a call that fell back to it counts."""
    ask("chat", "chat")
    assert run("observe", "watchful", "--since", "2026-01-01").code == 0
    assert "safe to enforce: 0 of 2 calls since" in " ".join(run("observe").out.split())
    write(config, config=CONFIG.replace("try: [dear, own]", "try: [own, dear]"))
    ask("both", own=[reply("own")])
    row = run("observe", "--json").document["policies"][0]
    assert (row["safe"], row["refused"], row["fewer_left"]) == (True, 0, 1)
    ask("both", own=[failure("server_error", status=503)])
    row = run("observe", "--json").document["policies"][0]
    assert (row["safe"], row["refused"]) == (False, 1)


def test_waivers_are_told_with_owner_and_days_left(config: Path, run: Callable[..., Ran]) -> None:
    """What one would have admitted is not refused; calls under the text before it do not count."""
    ask("closed")
    write(config, WATCHFUL + WAIVER)
    ask("closed", "closed")
    ran = run("observe", "--json")
    [row] = ran.document["policies"]
    assert (ran.code, row["calls"], row["refused"], row["calls_under_other_versions"]) == (0, 2, 0, 1)
    [waiver] = row["waivers"]
    assert (waiver["id"], waiver["owner"], waiver["admitted"]) == ("W-1", "dpo", 2)
    assert waiver["days_left"] > 365
    told = " ".join(run("observe").out.split())
    assert "(dpo: a trial)" in told
    assert "1 call under another version of it do not count" in told


def test_without_calls_nothing_is_known(config: Path, run: Callable[..., Ran]) -> None:
    """Before the first call, and where all calls are older than what is asked for: 1, and no ledger is made."""
    ran = run("observe")
    assert ran.code == 1
    assert "not known: no call since" in ran.out
    assert not (config / "modelrouter.db").exists()
    ask("chat")
    assert run("observe", "--since", "2998-01-01").code == 1


def test_what_is_asserted_of_routes_must_hold_too(config: Path, run: Callable[..., Ran]) -> None:
    """Enforced, the config would not load, whatever the calls were."""
    write(config, "policy: watchful\nobserve: true\nrules:\n  vendors.survive_loss_of: {min: 1}\n")
    ask("chat", "closed")
    row = run("observe", "--json").document["policies"][0]
    assert (row["safe"], row["refused"], row["calls"]) == (False, 0, 2)
    assert any("`closed`" in each for each in row["asserted_and_broken"])
    assert "what it asserts of routes does not hold" in " ".join(run("observe").out.split())


def test_wrong_use(config: Path, run: Callable[..., Ran]) -> None:
    """A policy that is enforced, or that does not exist, is 2; where none observes there is nothing to wait for."""
    assert "is enforced" in run("observe", "baseline").err
    assert run("observe", "watchfull").code == 2
    assert "did you mean `watchful`?" in run("observe", "watchfull").err
    write(config, WATCHFUL.replace("observe: true\n", ""))
    ran = run("observe")
    assert (ran.code, ran.out.strip()) == (0, "no policy observes: each is enforced")


SHARES = (
    "policy: watchful\nobserve: true\nrules:\n"
    "  vendors.share: {max: 0.5, of: calls, window: 24h, min_volume: 2, when_alone: refuse}\n"
)


def test_an_observed_share_cap_is_no_less_a_refusal(config: Path, run: Callable[..., Ran]) -> None:
    """What it said when money was to be reserved counts as what any rule would have refused."""
    write(config, SHARES)
    ask("closed", "closed")
    ran = run("observe", "--json")
    [row] = ran.document["policies"]
    assert (ran.code, row["safe"], row["calls"], row["refused"], row["nobody_left"]) == (1, False, 2, 1, 1)
    [rule] = row["rules"]
    assert (rule["rule"], rule["route"], rule["deployment"]) == ("vendors.share", "closed", "dear")
    write(config, SHARES.replace("when_alone: refuse", "mode: soft"))
    ask("both", "both", dear=[reply("dear")] * 2)
    [row] = run("observe", "--json").document["policies"]
    assert (row["safe"], row["calls"], row["refused"]) == (True, 2, 0), "a soft cap refuses nobody"


def test_calls_without_a_decision_are_told_and_left_out(config: Path, run: Callable[..., Ran]) -> None:
    """A call of the first version of the book keeps nobody from hearing about the others."""
    ask("closed")
    with closing(sqlite3.connect(config / "modelrouter.db")) as book, book:
        for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            book.execute(f"DROP TRIGGER {name}")
        book.execute("""UPDATE calls SET decision = '{"epoch":"e","policies":[]}'""")
    ask("chat")
    ran = run("observe", "--json")
    assert (ran.code, ran.document["policies"][0]["calls"]) == (0, 1)
    assert ran.document["left_out"] == {"its record does not hold what the decision rests on": 1}
    assert "left out: 1: its record does not hold" in run("observe").out
