"""`check` with cases, lint and a look ahead: what it prints, what it answers, and what it says of wrong use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.command import SERVERLESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

TODAY: Final = datetime.now(UTC).date()
HOUSE: Final = "policy: house\nrules:\n  hosting: {allow: [self_hosted]}\n  data.retention_days: {max: 30}\n"
CASES: Final = """policy: house
cases:
  - {deployment: own, permitted: true}
  - {deployment: dear, refused: hosting}
"""
USED: Final = SERVERLESS.replace("policies: [baseline]", "policies: [baseline, house]")
"""The serverless configuration under the policy of the house."""


def write(folder: Path, config: str = USED, **policies: str) -> None:
    """A configuration and files in the folder `policies`; `a__cases` stands for `a.cases`."""
    (folder / "modelrouter.yaml").write_text(config, encoding="utf-8")
    (folder / "policies").mkdir(exist_ok=True)
    for name, text in {"house": HOUSE, **policies}.items():
        (folder / "policies" / f"{name.replace('__', '.')}.yaml").write_text(text, encoding="utf-8")


# --- cases ------------------------------------------------------------------------------------------------------------


def test_cases_that_hold_are_counted(folder: Path, run: Callable[..., Ran]) -> None:
    """By policy; the answer stays yes."""
    write(folder, house__cases=CASES)
    told, document = run("check"), run("check", "--json").document
    assert told.code == 0
    by_policy = document["cases"]["by_policy"]
    assert f"cases: {sum(by_policy.values())} of {sum(by_policy.values())} hold (baseline, house)" in told.out
    assert document["cases"]["by_policy"]["house"] == 2
    assert (document["ok"], document["cases"]["failed"]) == (True, [])


def test_a_case_that_fails_is_1_and_one_line(folder: Path, run: Callable[..., Ran]) -> None:
    """With file and line, what was expected, what came, and why; for programs too."""
    write(folder, house__cases=CASES.replace("dear, refused: hosting", "own, refused: hosting, because: we rent"))
    told, document = run("check"), run("check", "--json").document
    assert told.code == 1
    [line] = [line for line in told.out.splitlines() if line.startswith("case: ")]
    assert line.endswith("house.cases.yaml:4: house, own: expected refused by hosting, got permitted (because we rent)")
    assert "every route can be served" in told.out
    [failed] = document["cases"]["failed"]
    assert document["ok"] is False
    assert (failed["policy"], failed["line"], failed["deployment"], failed["because"]) == ("house", 4, "own", "we rent")


def test_a_policy_is_tried_without_a_config(folder: Path, run: Callable[..., Ran]) -> None:
    """By its name among those here, by its path, or among the shipped ones; 1 if a case fails."""
    hosted = "{model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu}"
    (folder / "policies").mkdir()
    (folder / "policies" / "house.yaml").write_text(HOUSE, encoding="utf-8")
    cases = folder / "policies" / "house.cases.yaml"
    assert "no cases: write some in policies/house.cases.yaml" in run("check", "--policy", "house").out
    cases.write_text(f"policy: house\ncases:\n  - {{deployment: {hosted}, refused: hosting}}\n", encoding="utf-8")
    for named in ("house", "policies/house.yaml", str(folder / "policies" / "house.yaml")):
        told = run("check", "--policy", named)
        assert told.code == 0
        assert "cases: 1 of 1 hold (house)" in told.out
    cases.write_text(f"policy: house\ncases:\n  - {{deployment: {hosted}, permitted: true}}\n", encoding="utf-8")
    told, document = run("check", "--policy", "house"), run("check", "--policy", "house", "--json").document
    assert told.code == 1
    assert "policies/house.cases.yaml:3: house, gpt-5.6-sol@azure/datazone-eu: expected permitted, got" in told.out
    assert (document["ok"], document["policy"], document["cases"]["count"]) == (False, "house", 1)
    assert run("check", "--policy", "eu-gdpr").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--policy", "eu-gdrp"), "unknown policy `eu-gdrp`: did you mean `eu-gdpr`?"),
        (("--policy", "policies/none.yaml"), "there is no file `policies/none.yaml`"),
        (("--policy", "policies/house.cases.yaml"), "holds cases: name the policy itself, `policies/house.yaml`"),
        (("--policy", "house", "--config", "modelrouter.yaml"), "leave out `--config` and `--until`"),
        (("--policy", "house", "--until", "90d"), "leave out `--config` and `--until`"),
        (("--until", "soon"), "`soon` is no length and no day: write it as `90d` or `2027-03-01`"),
        (("--until", "0d"), "`0d` is no length and no day"),
        (("--until", "-3d"), "`-3d` is no length and no day"),
        (("--until", "999999w"), "`999999w` is no length and no day"),
        (("--until", "2027-02-30"), "`2027-02-30` is no length and no day"),
        (("--until", "2020-01-01"), "`2020-01-01` is not ahead: today is"),
        (("--until", TODAY.isoformat()), "is not ahead"),
    ],
)
def test_wrong_use_is_2_and_one_sentence(
    folder: Path, run: Callable[..., Ran], arguments: tuple[str, ...], words: str
) -> None:
    """What is wrong with an option, and what to write in its place."""
    write(folder)
    told = run("check", *arguments)
    assert told.code == 2
    assert words in told.err
    assert "Traceback" not in told.err


def test_a_wrong_file_of_cases_is_2(folder: Path, run: Callable[..., Ran]) -> None:
    """With its place and the nearest right key; nothing else is told as if it were known."""
    write(folder, house__cases=CASES.replace("refused", "refussed"))
    told = run("check")
    assert told.code == 2
    assert "house.cases.yaml:4: cases[1].refussed: unknown key: did you mean `refused`?" in told.err
    document = run("check", "--json").document
    assert (document["error"]["line"], document["error"]["kind"]) == (4, "PolicyError")


# --- lint -------------------------------------------------------------------------------------------------------------


def test_a_rule_that_can_never_permit_is_1(folder: Path, run: Callable[..., Ran]) -> None:
    """An error, told once with its place, for people and for programs."""
    write(folder, spare="policy: spare\nrules:\n  operator.country: {allow: [DE], deny: [EEA]}\n")
    told, document = run("check"), run("check", "--json").document
    assert told.code == 1
    [line] = [line for line in told.out.splitlines() if line.startswith("error: ")]
    assert 'spare.yaml:3: rules["operator.country"]: `operator.country` can never permit' in line
    [finding] = document["findings"]
    assert (finding["kind"], finding["severity"], finding["line"]) == ("never_permits", "error", 3)
    assert (document["ok"], finding["policy"], finding["rule"]) == (False, "spare", "operator.country")
    assert run("check", "--policy", "spare").code == 1


def test_a_warning_leaves_the_answer_yes(folder: Path, run: Callable[..., Ran]) -> None:
    """What is idle does no harm."""
    write(folder, house=HOUSE.replace("rules:", "extends: [baseline]\nrules:\n  data.training: {allow: [never]}"))
    told, document = run("check"), run("check", "--json").document
    assert told.code == 0
    assert "warning: " in told.out
    [finding] = document["findings"]
    assert (document["ok"], finding["kind"], finding["severity"]) == (True, "covered", "warning")


# --- ahead ------------------------------------------------------------------------------------------------------------


def retiring(days: int) -> str:
    """The configuration whose one server has so many days left after today."""
    last = TODAY + timedelta(days=days)
    return USED.replace("    name: m\n", f"    name: m\n    retires_on: {last}\n")


def test_a_route_that_will_lose_its_last_candidate_is_1(folder: Path, run: Callable[..., Ran]) -> None:
    """The day, the route, the deployment and why, for people and for programs; without --until it is no matter."""
    write(folder, retiring(10))
    told, document = run("check", "--until", "90d"), run("check", "--until", "90d", "--json").document
    first = TODAY + timedelta(days=11)
    assert told.code == 1
    assert f"will have nobody: chat from {first} on" in told.out
    assert f"until {TODAY + timedelta(days=90)} (90 days)" in told.out
    ahead = document["ahead"]
    [flip], [outage] = ahead["flips"], ahead["outages"]
    assert (document["ok"], ahead["ok"], outage["route"]) == (False, False, "chat")
    assert (flip["at"], flip["deployment"], flip["becomes"]) == (f"{first}T00:00:00Z", "own", "refused")
    assert [each["rule"] for each in flip["refusals"]] == ["retires_on"]
    assert run("check").code == 0
    assert run("check", "--json").document["ahead"] is None


def test_what_lies_behind_the_last_day_is_not_told(folder: Path, run: Callable[..., Ran]) -> None:
    """A model is good through its last day, so nobody is lost until the day after."""
    write(folder, retiring(10))
    told = run("check", "--until", (TODAY + timedelta(days=10)).isoformat())
    assert told.code == 0
    assert "no date changes who may serve" in told.out
    assert run("check", "--until", (TODAY + timedelta(days=11)).isoformat()).code == 1


def test_a_waiver_that_ends_is_named(folder: Path, run: Callable[..., Ran]) -> None:
    """With its id and its last day, so that somebody can sign it anew."""
    last = TODAY + timedelta(days=5)
    waiver = (
        "waivers: [{id: W-7, rule: house/data.retention_days, subject: own, because: pending, owner: dpo, "
        f"expires: {last}}}]\n"
    )
    write(folder, USED.replace("retention_days: 0", "retention_days: 45"), house=HOUSE + waiver)
    told, document = run("check", "--until", "2w"), run("check", "--until", "2w", "--json").document
    assert told.code == 1
    assert "W-7 ended on" in " ".join(told.out.split())
    assert [flip["waivers_ended"] for flip in document["ahead"]["flips"]] == [["W-7"]]
    assert document["findings"] == []
