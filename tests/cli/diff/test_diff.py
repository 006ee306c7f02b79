"""`modelrouter diff`: two policies over a config or the catalog, two configs, and what speaks against comparing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import TWO_ROUTES, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

CONFIG = f"{TWO_ROUTES}caller: {{name: Acme, country: DE}}\n"
TAGGED = CONFIG.replace("tags: {team: {}}", "tags: {team: {}, kind: {values: [public, secret]}}")
OPEN = "policy: acme\ndescription: ours\nrules:\n  data.retention_days: {max: 90}\n  request.cost_usd: {max: 0.05}\n"
STRICT = (
    "policy: acme\nrules:\n  data.retention_days: {max: 90}\n  request.cost_usd: {max: 0.02}\n"
    "  operator.country: {deny: [US]}\n"
)
WAIVER = (
    "waivers: [{id: W-1, rule: acme/operator.country, subject: dear, because: a trial, owner: dpo, "
    "expires: 2027-01-31}]\n"
)


@pytest.fixture
def write(folder: Path) -> Callable[..., str]:
    """Writes a file into the test's folder and names it."""

    def written(name: str, text: str) -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    return written


def rows(document: dict[str, Any], key: str) -> set[tuple[str, str]]:
    """Route and deployment of what turned."""
    return {(row["route"], row["deployment"]) for row in document[key]}


def test_a_policy_before_and_after_over_a_config(run: Callable[..., Ran], write: Callable[..., str]) -> None:
    """Who is newly permitted on which route, by which rule it was refused, and which ceiling rose: 1."""
    write("modelrouter.yaml", CONFIG)
    ran = run("diff", write("before/acme.yaml", STRICT), write("after/acme.yaml", OPEN), "--json")
    found = ran.document
    assert (ran.code, found["ok"]) == (1, False)
    assert rows(found, "newly_permitted") == {("closed", "dear"), ("both", "dear")}
    assert [each["rule"] for each in found["newly_permitted"][0]["before"]] == ["operator.country"]
    assert {each["cause"] for each in found["not_proved"]} == {"removed", "changed"}
    limits = {(each["before"]["max_cost_usd"], each["after"]["max_cost_usd"]) for each in found["limits"]}
    assert limits == {("0.02", "0.05")}
    told = run("diff", "before/acme.yaml", "after/acme.yaml")
    assert "acme/operator.country (US)" in told.out
    assert "permits more" in told.out
    other = run("diff", "after/acme.yaml", "before/acme.yaml", "--json")
    assert (other.code, other.document["proved_by_rules"]) == (0, True)
    assert rows(other.document, "newly_refused") == {("closed", "dear"), ("both", "dear")}
    assert "by the rules themselves" in run("diff", "after/acme.yaml", "before/acme.yaml").out


def test_a_waiver_is_told_with_its_owner_and_the_days_it_has_left(
    run: Callable[..., Ran], write: Callable[..., str]
) -> None:
    """On a given day, so that the days are known; over the day of its end it is expired and permits nothing."""
    write("modelrouter.yaml", CONFIG)
    names = write("before/acme.yaml", STRICT), write("after/acme.yaml", STRICT + WAIVER)
    ran = run("diff", *names, "--on", "2027-01-01", "--json")
    (waiver,) = ran.document["waivers"]
    assert (waiver["id"], waiver["turn"], waiver["owner"], waiver["days_left"]) == ("W-1", "added", "dpo", 30)
    assert {each["deployment"] for each in waiver["admits"]} == {"dear"}
    assert rows(ran.document, "newly_permitted") == {("closed", "dear"), ("both", "dear")}
    assert ran.code == 1
    told = run("diff", *names, "--on", "2027-01-01").out
    assert "dpo" in told
    assert "has a new or a longer waiver (W-1)" in told
    late = run("diff", *names, "--on", "2027-02-01", "--json")
    assert (late.code, late.document["waivers"][0]["days_left"]) == (0, -1)
    assert "expired 2027-01-31" in run("diff", *names, "--on", "2027-02-01").out


def test_a_policy_that_only_observes_or_binds_less_permits_more(
    run: Callable[..., Ran], write: Callable[..., str]
) -> None:
    """Both are told as what they are, with the tags under which a smaller scope lets somebody in."""
    write("modelrouter.yaml", TAGGED)
    before = write("before/acme.yaml", STRICT)
    watched = run("diff", before, write("after/acme.yaml", f"{STRICT}observe: true\n"), "--json")
    assert {each["cause"] for each in watched.document["not_proved"]} == {"observed"}
    narrowed = run("diff", before, write("less/acme.yaml", f"{STRICT}applies_to: {{kind: [secret]}}\n"), "--json")
    assert {each["cause"] for each in narrowed.document["not_proved"]} == {"narrowed"}
    tags = [tags for each in narrowed.document["newly_permitted"] for tags in each["tags"]]
    assert tags == [{"kind": "(any other)"}] * len(tags)
    assert (watched.code, narrowed.code) == (1, 1)
    assert run("diff", "less/acme.yaml", before).code == 0


def test_two_configs(run: Callable[..., Ran], write: Callable[..., str]) -> None:
    """A candidate that is added, an order and a budget that are others are told; the same config differs in nothing."""
    budget = "budgets: {month: {usd: 20, window: month}}\n"
    old = write("old.yaml", f"{TWO_ROUTES}{budget}")
    new = write(
        "new.yaml",
        f"{TWO_ROUTES}{budget.replace('20', '90')}".replace("try: [own]}", "try: [dear, own], prefer: cost}"),
    )
    ran = run("diff", old, new, "--json")
    assert rows(ran.document, "newly_permitted") == {("chat", "dear")}
    assert ran.document["newly_permitted"][0]["before"][0]["rule"] == "try"
    assert ran.document["orders"] == [{"route": "chat", "before": "listed: own", "after": "cost: dear, own"}]
    assert [(each["name"], each["after"]["limit_usd"]) for each in ran.document["budgets"]] == [("month", "90")]
    assert ran.code == 1
    told = run("diff", old, new).out
    assert "no candidate of `chat` before" in told
    assert "order of chat: listed: own -> cost: dear, own" in told
    same = run("diff", old, old, "--json")
    assert (same.code, same.document["proved_by_rules"]) == (0, True)
    assert not any(same.document[key] for key in ("newly_permitted", "newly_refused", "limits", "not_proved", "orders"))
    back = run("diff", new, old, "--json")
    assert (back.code, rows(back.document, "newly_refused")) == (0, {("chat", "dear")})


def test_an_inspection_that_is_taken_back_permits_more(run: Callable[..., Ran], write: Callable[..., str]) -> None:
    """What looked into requests only took candidates away; to look for more, or into higher values, is no less."""
    tags = "{kind: {values: [public, secret], raised_by: {api_key: secret}}}"
    inspected = CONFIG.replace("tags: {team: {}}", f"tags: {tags}") + "inspect: [builtin]\n"
    old = write("old.yaml", inspected)
    gone = run("diff", old, write("new.yaml", inspected.replace("inspect: [builtin]\n", "")), "--json")
    assert (gone.code, gone.document["ok"]) == (1, False)
    assert gone.document["inspection_taken_back"] == ["the inspector `builtin` looks into no request any more"]
    assert "`builtin` looks into no request any more" in run("diff", old, "new.yaml").out
    assert run("diff", "new.yaml", old).code == 0
    lower = write("lower.yaml", inspected.replace("{api_key: secret}", "{iban: secret}"))
    assert "raises tag `kind` to `secret` no more" in " ".join(run("diff", old, lower).out.split())


def test_a_file_of_revocations_that_is_not_obeyed_any_more_permits_more(
    run: Callable[..., Ran], write: Callable[..., str]
) -> None:
    """Whoever it cuts off could be asked again; the same file named from another folder, or one more, is no less."""
    obeying = CONFIG + "revocations: {file: revoked.json, key: 'env:REVOCATIONS_KEY'}\n"
    old, new = write("old.yaml", obeying), write("new.yaml", CONFIG)
    gone = run("diff", old, new, "--json")
    assert (gone.code, gone.document["ok"]) == (1, False)
    words = "who is cut off by the signed file `revoked.json` is cut off no more"
    assert gone.document["revocations_taken_back"] == [words]
    assert words in " ".join(run("diff", old, new).out.split())
    assert run("diff", new, old).code == 0
    assert run("diff", old, write("elsewhere/old.yaml", obeying)).code == 0


def test_shipped_policies_over_the_catalog(run: Callable[..., Ran]) -> None:
    """Without any config: the sovereign policy permits less than the one it extends, whatever is on offer."""
    ran = run("diff", "eu-gdpr", "eu-sovereign", "--catalog", "--country", "de", "--json")
    assert (ran.code, ran.document["proved_by_rules"]) == (0, True)
    assert len(ran.document["newly_refused"]) > 10
    assert ran.document["newly_permitted"] == []
    assert {each["rule"] for row in ran.document["newly_refused"] for each in row["after"]} == {"operator.country"}


def test_a_pipe_is_as_good_as_a_file(folder: Path, write: Callable[..., str]) -> None:
    """An older version comes from version control by `<(…)`, and is read once."""
    write("modelrouter.yaml", CONFIG)
    reading, writing = os.pipe()
    os.write(writing, STRICT.encode())
    os.close(writing)
    done = subprocess.run(
        [sys.executable, "-m", "modelrouter", "diff", f"/dev/fd/{reading}", write("acme.yaml", STRICT)],
        cwd=folder,
        env=environment(),
        pass_fds=[reading],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    os.close(reading)
    assert (done.returncode, done.stderr) == (0, "")
    assert "by the rules themselves" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("baseline", "eu-gdpr"), "`--catalog`"),
        (("baseline", "eu-gpdr", "--catalog"), "did you mean `eu-gdpr`?"),
        (("baseline", "nowhere.yaml", "--catalog"), "no such file"),
        (("baseline", "notes.yaml", "--catalog"), "nothing that can be compared"),
        (("baseline", "config.yaml"), "two of a kind"),
        (("config.yaml", "config.yaml", "--catalog"), "two configs bring all with them"),
        (("baseline", "eu-gdpr", "--config", "config.yaml", "--catalog"), "choose"),
        (("baseline", "eu-gdpr", "--country", "DE"), "`--catalog`"),
        (("baseline", "eu-gdpr", "--catalog", "--country", "XX"), "country"),
        (("baseline", "eu-gdpr", "--catalog", "--on", "tomorrow"), "`2027-03-01`"),
        (("baseline", "acme.cases.yaml", "--catalog"), "holds cases"),
        (("baseline", "broken.yaml", "--catalog"), "broken.yaml:3"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(
    run: Callable[..., Ran], write: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    """What cannot be compared ends with 2, and says what to do."""
    write("notes.yaml", "a: 1\n")
    write("config.yaml", TWO_ROUTES)
    write("broken.yaml", "policy: broken\nrules:\n  data.retention_dayz: {max: 1}\n")
    ran = run("diff", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
