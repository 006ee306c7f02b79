"""Cases of policies: what they are judged by, what they find, and what is said of one that is written wrongly."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter.config.alone import check_alone, policy_path
from modelrouter.config.build import read
from modelrouter.config.cases import cases_of, read_cases
from modelrouter.config.files import CASES, cases_in, shipped_folder
from modelrouter.errors import ConfigError
from tests.config.texts import MARK, config, load_files, marked_line

if TYPE_CHECKING:
    from modelrouter.config.cases import Tried

TODAY: Final = date(2026, 11, 29)
POLICY: Final = """policy: p
extends: [q]
rules:
  operator.country:    {deny: [CN]}
  data.retention_days: {max: 30}
"""
AGED: Final = "policy: p\nrules:\n  data.training: {allow: [never]}\n  facts.age_days: {max: 365}\n"
EXTENDED: Final = "policy: q\nrules:\n  data.training: {allow: [never]}\n"
TAGGED: Final = "policy: p\napplies_to: {data_class: [personal]}\nrules:\n  hosting: {allow: [self_hosted]}\n"
OWN: Final = "{model: qwen3-32b, operator: self, runs_on: none, retention_days: DAYS, training: never, source: SOURCE}"
OUTDATED: Final = "{agreements: [{type: dpa, with: mistral, expires: 2026-11-28}]}"
SOURCE: Final = "{ref: platform team, checked_on: 2026-11-01, confidence: high}"


def own(days: int = 0) -> str:
    """A server of our own that keeps what passes for so many days."""
    return OWN.replace("DAYS", str(days)).replace("SOURCE", SOURCE)


def tried(folder: Path, *cases: str, policy: str = POLICY, top: str = "", **parts: str) -> list[Tried]:
    """The cases of `p`, in a folder with a configuration; those of shipped policies, which come along, left out."""
    text = f"policy: p\n{top}\ncases:\n" + "".join(f"  - {case}\n" for case in cases)
    load_files(folder, modelrouter=config(**parts), policies__p=policy, policies__q=EXTENDED)
    (folder / "policies" / f"p{CASES}").write_text(text, encoding="utf-8")
    return [each for each in cases_of(read(folder / "modelrouter.yaml"), TODAY) if each.policy == "p"]


def failures(folder: Path, *cases: str, **parts: str) -> list[str]:
    """What of each case failed; empty for one that holds."""
    return [each.failure for each in tried(folder, *cases, **parts)]


def test_cases_that_hold(tmp_path: Path) -> None:
    """By name and by facts; a rule of the policy, one that comes along, several at once, and any."""
    assert (
        failures(
            tmp_path,
            f"{{deployment: {own()}, permitted: true}}",
            "{deployment: own, permitted: true}",
            f"{{deployment: {own(45)}, refused: data.retention_days, reason: 45 days}}",
            f"{{deployment: {own(45)}, refused: p/data.retention_days}}",
            "{deployment: {model: kimi-k3, operator: moonshot-intl}, refused: [operator.country, q/data.training]}",
            "{deployment: {model: kimi-k3, operator: moonshot-intl}, refused: true}",
        )
        == [""] * 6
    )


def test_cases_that_fail_say_what_came_and_why(tmp_path: Path) -> None:
    """Expected and got, with the rule, its reason and the fact; file and line are those of the case."""
    found = tried(
        tmp_path,
        f"{{deployment: {own(45)}, permitted: true, because: the board said so}}",
        f"{{deployment: {own()}, refused: operator.country}}",
        f"{{deployment: {own(45)}, refused: data.retention_days, reason: 46 days}}",
        f"{{deployment: {own()}, refused: true}}",
    )
    kept = "refused by data.retention_days (45 days: qwen3-32b@self.retention_days)"
    assert [each.failure for each in found] == [
        f"expected permitted, got {kept}",
        "expected refused by operator.country, got permitted",
        f"expected refused by data.retention_days (46 days), got {kept}",
        "expected refused by some rule, got permitted",
    ]
    assert [each.line for each in found] == [4, 5, 6, 7]
    assert {each.file for each in found} == {str(tmp_path.resolve() / "policies" / "p.cases.yaml")}
    assert found[0].because == "the board said so"


def test_a_case_has_its_own_day_tags_caller_and_needs(tmp_path: Path) -> None:
    """A fact is too old on a later day; a tag takes the policy away; a paper is there or not; a need refuses."""
    assert failures(
        tmp_path,
        f"{{deployment: {own()}, on: 2027-11-01, permitted: true}}",
        f"{{deployment: {own()}, on: 2027-11-02, refused: facts.age_days}}",
        policy=AGED,
    ) == ["", ""]
    hosted = "{model: mistral-medium-3.5, operator: mistral, endpoint: eu}"
    assert failures(
        tmp_path,
        f"{{deployment: {hosted}, tags: {{data_class: public}}, permitted: true}}",
        f"{{deployment: {hosted}, tags: {{data_class: personal}}, refused: hosting}}",
        f"{{deployment: {hosted}, refused: hosting}}",
        policy=TAGGED,
    ) == ["", "", ""]
    papers = "policy: p\nrules:\n  agreements: {require: [dpa]}\n"
    assert failures(
        tmp_path,
        f"{{deployment: {hosted}, permitted: true}}",
        f"{{deployment: {hosted}, caller: {{agreements: []}}, refused: agreements}}",
        f"{{deployment: {hosted}, caller: {OUTDATED}, refused: agreements, reason: dpa expired}}",
        f"{{deployment: {hosted}, needs: {{context_tokens: 9000000}}, refused: needs.context_tokens}}",
        policy=papers,
    ) == ["", "", "", ""]


def test_the_file_may_state_day_caller_and_models(tmp_path: Path) -> None:
    """They hold for each of its cases, and change nothing for the routes."""
    top = f"""on: 2027-12-01
caller: {{country: US}}
models: {{tuned: {{developer: self, derived_from: unknown, licence: apache-2.0, source: {SOURCE}}}}}"""
    case = own().replace("qwen3-32b", "tuned")
    rules = "policy: p\nrules:\n  developer.country: {allow: [US]}\n  facts.age_days: {max: 365}\n"
    found = tried(tmp_path, f"{{deployment: {case}, refused: [developer.country, facts.age_days]}}",
                  f"{{deployment: {case}, on: 2026-11-29, refused: developer.country, reason: unknown}}",
                  policy=rules, top=top)  # fmt: skip
    assert [each.failure for each in found] == ["", ""]
    assert "tuned" not in read(tmp_path / "modelrouter.yaml").setup.world.models


def test_an_observed_policy_is_judged_as_if_it_were_enforced(tmp_path: Path) -> None:
    """That is what somebody wants to know before enforcing it."""
    observed = "policy: p\nobserve: true\nrules:\n  hosting: {allow: [managed]}\n"
    assert failures(tmp_path, f"{{deployment: {own()}, refused: hosting}}", policy=observed) == [""]


def test_a_missing_price_is_no_policys_answer(tmp_path: Path) -> None:
    """What the catalog refuses for everybody does not count as a refusal by the policy."""
    assert "price" not in own()
    assert failures(tmp_path, f"{{deployment: {own()}, permitted: true}}") == [""]


def test_a_policy_written_inside_a_configuration_has_cases_too(tmp_path: Path) -> None:
    """They stand where its file would."""
    inside = "policies: [{policy: p, rules: {hosting: {allow: [self_hosted]}}}]"
    load_files(tmp_path, modelrouter=config(policies=inside))
    (tmp_path / "policies").mkdir()
    path = tmp_path / "policies" / f"p{CASES}"
    path.write_text("policy: p\ncases: [{deployment: mistral, refused: hosting}]\n", encoding="utf-8")
    assert [each.failure for each in cases_of(read(tmp_path / "modelrouter.yaml"), TODAY)] == [""]


WRONG: Final = [
    ("{deployment: own, refusd: hosting}", "unknown key: did you mean `refused`?"),
    ("{deployment: own}", "a case expects one thing: write `permitted: true` or `refused: RULE`"),
    ("{deployment: own, permitted: true, refused: true}", "a case expects one thing"),
    ("{deployment: own, permitted: false}", "only `true` can stand here"),
    ("{deployment: own, refused: false}", "`refused: false` says too little"),
    ("{deployment: own, refused: []}", "expected a rule, as `developer.country`"),
    ("{deployment: own, refused: operator.contry}", "policy `p` has no rule `operator.contry`: did you mean"),
    ("{deployment: own, refused: needs.tools}", "policy `p` has no rule `needs.tools`"),
    ("{deployment: own, refused: true, reason: unknown}", "`reason` belongs to one rule"),
    ("{deployment: onw, permitted: true}", "unknown deployment `onw`: did you mean `own`?"),
    ("{deployment: {model: qwen3-32bb, operator: self}, permitted: true}", "unknown model `qwen3-32bb`: did you mean"),
    ("{deployment: {model: kimi-k3, operator: nobody}, permitted: true}", "unknown operator `nobody`"),
    ("{deployment: {model: kimi-k3, operator: self, retention_days: many, source: x}, permitted: true}", "whole"),
    ("{deployment: {modle: kimi-k3, operator: self}, permitted: true}", "did you mean `model`?"),
    ("{deployment: own, tags: {data_clas: public}, permitted: true}", "tag `data_clas` is not declared: did you mean"),
    ("{deployment: own, tags: {data_class: pubic}, permitted: true}", "`pubic` is no value of tag `data_class`: did"),
    ("{deployment: own, on: 2026-02-30, permitted: true}", "`2026-02-30` is not in the calendar"),
    ("{deployment: own, caller: {agreements: [{type: dpa, with: mistrl}]}, permitted: true}",
     "unknown organisation `mistrl`: did you mean `mistral`?"),
    ("{deployment: own, needs: {tool: true}, permitted: true}", "unknown key: did you mean `tools`?"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_case_is_told_with_its_line(tmp_path: Path, case: str, words: str) -> None:
    """What is wrong and what to write, at the line of the case."""
    text = f"policy: p\ncases:\n  - {{deployment: own, permitted: true}}\n  - {case}  {MARK}\n"
    load_files(tmp_path, modelrouter=config(), policies__p=POLICY, policies__q=EXTENDED)
    (tmp_path / "policies" / f"p{CASES}").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        cases_of(read(tmp_path / "modelrouter.yaml"), TODAY)
    assert words in raised.value.reason
    assert (raised.value.file or "").endswith("p.cases.yaml")
    assert raised.value.line == marked_line(text)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p", "policy: q\ncases: [{deployment: own, permitted: true}]", "these are cases of `q`, in a file called"),
        ("pp", "policy: pp\ncases: [{deployment: own, permitted: true}]", "unknown policy `pp`: did you mean `p`?"),
        ("p", "policy: p\ncases: []", "`cases` is empty"),
        ("p", "policy: p", "missing: add `cases`"),
        ("p", "policy: p\ncase: []\ncases: [{deployment: own, permitted: true}]", "did you mean `cases`?"),
        ("p", "policy: p\nmodels: {m: {developer: nobody-at-all}}\ncases: [{deployment: own, permitted: true}]", ""),
        ("r", "policy: r\ncases: [{deployment: own, refused: request.cost_usd}]", "depends on the size of a request"),
    ],
)
def test_a_wrong_file_of_cases_is_told(tmp_path: Path, name: str, text: str, words: str) -> None:
    """Its name, its policy, its keys."""
    ceiling = "policy: r\nrules:\n  request.cost_usd: {max: 1}\n"
    load_files(tmp_path, modelrouter=config(), policies__p=POLICY, policies__q=EXTENDED, policies__r=ceiling)
    (tmp_path / "policies" / f"{name}{CASES}").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        cases_of(read(tmp_path / "modelrouter.yaml"), TODAY)
    assert words in raised.value.message
    assert (raised.value.file or "").endswith(f"{name}.cases.yaml")


def test_a_router_does_not_read_cases(tmp_path: Path) -> None:
    """A wrong test keeps nobody from working, and changes no digest."""
    before = load_files(
        tmp_path, modelrouter=config(policies="policies: [p]"), policies__p=POLICY, policies__q=EXTENDED
    )
    (tmp_path / "policies" / f"p{CASES}").write_text("no: [yaml", encoding="utf-8")
    after = load_files(tmp_path, modelrouter=config(policies="policies: [p]"))
    assert (after.digest, after.files) == (before.digest, before.files)


# --- without a configuration ------------------------------------------------------------------------------------------


def test_a_policy_alone_is_tried_with_those_beside_it(tmp_path: Path) -> None:
    """Against the shipped catalog; what it extends is found beside it, else among the shipped ones."""
    (tmp_path / "p.yaml").write_text(POLICY.replace("[q]", "[q, baseline]"), encoding="utf-8")
    (tmp_path / "q.yaml").write_text(EXTENDED, encoding="utf-8")
    text = f"policy: p\ncases:\n  - {{deployment: {own(45)}, refused: data.retention_days}}\n"
    (tmp_path / "p.cases.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "modelrouter.yaml").write_text("not: a policy", encoding="utf-8")
    found, tried = check_alone(tmp_path / "p.yaml", TODAY)
    assert [each.failure for each in tried] == [""]
    assert found == []


def test_alone_there_are_no_names_of_deployments(tmp_path: Path) -> None:
    """A case says what to write in their place."""
    (tmp_path / "q.yaml").write_text(EXTENDED, encoding="utf-8")
    text = "policy: q\ncases:\n  - {deployment: gpt, permitted: true}\n"
    (tmp_path / "q.cases.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no configuration declares `gpt` here: write `\{model: …") as raised:
        check_alone(tmp_path / "q.yaml", TODAY)
    assert raised.value.line == 3


def test_shipped_cases_hold_and_have_their_day() -> None:
    """Without a day they would fail at somebody's desk in a year."""
    files = [read_cases(path)[0] for path in cases_in(shipped_folder())]
    assert [each.policy for each in files if each.on is None] == []
    ended = [each for file in files for each in check_alone(policy_path(file.policy), TODAY)[1]]
    assert [each for each in ended if each.failure] == []


def test_the_example_has_cases_that_hold() -> None:
    """By the names of the house's deployments."""
    found = cases_of(read(Path(__file__).parents[2] / "examples" / "configs" / "team.yaml"), TODAY)
    own = [each for each in found if each.policy == "team-thrift"]
    assert [each.failure for each in own] == ["", ""]
