"""`check --survive`: every vendor is taken away, and the command says who is left, at which price, or who takes all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

CONFIG: Final = """\
modelrouter: 1
caller: {name: Acme GmbH, country: DE, parent_country: DE}
ledger: sqlite:///book.db
policies: [baseline]
tags: {data_class: {values: [personal, public]}}
deployments:
  gpt: {model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme, key: "env:OUR_ACCOUNT"}
  openai: {model: gpt-5.6-sol, operator: openai, key: "env:OUR_ACCOUNT", training: never, source: the contract}
  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu, key: "env:OUR_MISTRAL"}
  own:
    model: qwen3-32b
    operator: self
    runs_on: hetzner
    hosts: [llm.internal]
    base_url: "http://llm.internal:8000/v1"
    name: qwen
    processing: [DE]
    storage: none
    training: never
    retention_days: 0
    capabilities: [tools]
    price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}
    source: platform team
organisations:
  hetzner: {country: DE, parent: none, terms: {training: never}, source: the contract}
routes:
  safe: {try: [gpt, mistral, own]}
  twice: {try: [gpt, openai]}
"""
SAFE: Final = CONFIG.replace("  twice: {try: [gpt, openai]}\n", "")


@pytest.fixture
def survey(folder: Path, run: Callable[..., Ran]) -> Callable[..., Ran]:
    """Writes a config and surveys it."""

    def surveyed(text: str, *arguments: str) -> Ran:
        (folder / "modelrouter.yaml").write_text(text, encoding="utf-8")
        return run("check", "--survive", *arguments)

    return surveyed


def route_of(document: Any, name: str) -> Any:
    """One route of a document."""
    [found] = [each for each in document["routes"] if each["route"] == name]
    return found


def after(route: Any, *lost: str) -> Any:
    """What a route's document says about one loss."""
    [found] = [each for each in route["losses"] if each["lost"] == list(lost)]
    return found


def test_a_route_that_survives_is_good(folder: Path, survey: Callable[..., Ran]) -> None:
    """Each loss says who is next, and at which price; nothing is made, no key is needed."""
    told, document = survey(SAFE), survey(SAFE, "--json").document
    assert told.code == 0
    assert "every route has somebody left after the loss of any vendor" in told.out
    assert "counted as if its key were here: gpt (environment variable `OUR_ACCOUNT` is not set)" in told.out.replace(
        "\n", " "
    ).replace("  ", " ")
    assert (document["ok"], document["lost"]) == (True, "any vendor")
    safe = route_of(document, "safe")
    assert (safe["ok"], safe["reasons"], safe["counterexample"]) == (True, [], None)
    prices = {each["deployment"]: (each["expected_usd"], each["most_usd"]) for each in safe["permitted"]}
    assert list(prices) == ["gpt", "mistral", "own"]
    assert [each["lost"] for each in safe["losses"]] == [
        [name] for name in ("azure", "hetzner", "microsoft", "mistral", "openai", "openai-foundation")
    ]
    openai = after(safe, "openai")
    assert (openai["left"], openai["left_count"]) == (["mistral", "own"], 2)
    assert (openai["expected_usd"], openai["most_usd"]) == prices["mistral"]
    assert sorted(path.name for path in folder.iterdir()) == ["modelrouter.yaml"]


def test_the_vendors_are_told_with_their_roles(survey: Callable[..., Ran]) -> None:
    """The document says who stands behind each permitted deployment, and in which part."""
    gpt, _, own = route_of(survey(SAFE, "--json").document, "safe")["permitted"]
    assert gpt["vendors"] == [
        {"id": "azure", "roles": ["operator"]},
        {"id": "microsoft", "roles": ["parent"]},
        {"id": "openai", "roles": ["developer"]},
        {"id": "openai-foundation", "roles": ["parent"]},
    ]
    assert own["vendors"] == [{"id": "hetzner", "roles": ["cloud"]}]
    assert (own["vendors_known"], own["missing"]) == (True, [])


def test_one_vendor_who_takes_all_is_1(survey: Callable[..., Ran]) -> None:
    """Two operators of one developer's closed weights: the shortest counterexample is that developer."""
    told, document = survey(CONFIG), survey(CONFIG, "--json").document
    assert told.code == 1
    assert "the loss of `openai` leaves nobody for `twice`" in told.out
    assert told.out.rstrip().endswith("nobody is left for: twice")
    twice = route_of(document, "twice")
    assert (document["ok"], twice["ok"], twice["counterexample"]) == (False, False, ["openai"])
    assert after(twice, "openai")["left_count"] == 0
    assert after(twice, "openai")["expected_usd"] is None
    assert after(twice, "azure")["left"] == ["openai"]
    assert route_of(document, "safe")["ok"] is True


def test_pairs(survey: Callable[..., Ran]) -> None:
    """With a depth of two every pair is tried as well: three deployments that share nobody survive, two do not."""
    assert survey(SAFE, "--depth", "2").code == 0
    document = survey(SAFE, "--depth", "2", "--json").document
    assert len(route_of(document, "safe")["losses"]) == 6 + 15
    two = SAFE.replace("[gpt, mistral, own]", "[mistral, own]")
    assert survey(two).code == 0
    told = survey(two, "--depth", "2")
    assert told.code == 1
    assert "the loss of `hetzner` and `mistral` leaves nobody for `safe`" in told.out
    assert "hetzner and mistral" in told.out


@pytest.mark.parametrize(
    ("lose", "left"),
    [
        (("openai,azure",), {"openai,azure": ["mistral", "own"]}),
        (("openai,mistral",), {"openai,mistral": ["own"]}),
        (("country:US",), {"country:US": ["mistral", "own"]}),
        (("country:EU",), {"country:EU": ["gpt"]}),
        (("parent:microsoft",), {"parent:microsoft": ["mistral", "own"]}),
        (("credential:env:OUR_ACCOUNT",), {"credential:env:OUR_ACCOUNT": ["mistral", "own"]}),
        (("country:US,credential:env:OUR_MISTRAL",), {"country:US,credential:env:OUR_MISTRAL": ["own"]}),
        (("groq", "hetzner"), {"groq": ["gpt", "mistral", "own"], "hetzner": ["gpt", "mistral"]}),
    ],
)
def test_what_is_named_is_lost_together(
    survey: Callable[..., Ran], lose: tuple[str, ...], left: dict[str, list[str]]
) -> None:
    """A vendor, several at once, a country or group of them, a family, a credential; each `--lose` is one loss."""
    asked = [word for each in lose for word in ("--lose", each)]
    ran = survey(SAFE, *asked, "--json")
    losses = route_of(ran.document, "safe")["losses"]
    assert {",".join(each["lost"]): each["left"] for each in losses} == left
    assert ran.code == 0


def test_one_credential_for_all_is_told_in_words(survey: Callable[..., Ran]) -> None:
    """Both of the route's deployments stand on one account: its loss leaves nobody, and the answer is no."""
    told = survey(CONFIG, "--lose", "credential:env:OUR_ACCOUNT")
    assert told.code == 1
    assert "the loss of `credential:env:OUR_ACCOUNT` leaves nobody for `twice`" in told.out.replace("\n", " ")


def test_unknown_vendors_are_no_way_out(survey: Callable[..., Ran]) -> None:
    """A deployment may serve, and proves nothing: who it falls with is not known, and it says which fact is missing."""
    text = SAFE.replace("policies: [baseline]", "policies: none").replace("    runs_on: hetzner\n", "")
    ran = survey(text.replace("[gpt, mistral, own]", "[mistral, own]"))
    assert ran.code == 1
    assert "the loss of `mistral` leaves nobody for `safe`" in ran.out
    assert "never counts as a survivor: own (own.runs_on not declared)" in ran.out
    alone = survey(text.replace("[gpt, mistral, own]", "[own]"), "--json").document
    safe = route_of(alone, "safe")
    assert safe["counterexample"] == []
    assert "nobody whose vendors are all known" in safe["reasons"][0]
    assert alone["unproved"] == [{"deployment": "own", "missing": "own.runs_on not declared"}]


def test_needs_policies_and_tags_are_in_force(survey: Callable[..., Ran]) -> None:
    """What a request may bring along takes candidates away, and with them the way out."""
    text = SAFE.replace("[gpt, mistral, own]", "[gpt, own]")
    assert survey(text).code == 0
    assert survey(text, "--need", "tools").code == 0
    assert survey(text, "--need", "vision").code == 1
    assert survey(text, "--policy", "open-weights-only").code == 1
    tagged = (
        "policies: [baseline, {policy: personal, applies_to: {data_class: [personal]}, "
        "rules: {hosting: {allow: [self_hosted]}}}]"
    )
    text = text.replace("policies: [baseline]", tagged)
    untagged = survey(text, "--json")
    assert untagged.code == 1
    assert (
        "judged without tags that policies ask for, so all of these bind (data_class)" in untagged.document["notes"][0]
    )
    public = survey(text, "--tag", "data_class=public", "--json")
    assert (public.code, public.document["notes"]) == (0, [])


def test_what_policies_assert_is_told_though_it_does_not_load(
    survey: Callable[..., Ran], run: Callable[..., Ran]
) -> None:
    """A config that `check` refuses as a whole is surveyed, with the policy that asks; observed ones only tell."""
    text = CONFIG.replace("policies: [baseline]", "policies: [baseline, no-single-vendor]")
    ran = survey(text, "--json")
    assert ran.code == 1
    twice = route_of(ran.document, "twice")
    [reason] = twice["reasons"]
    assert "no-single-vendor/vendors.survive_loss_of asks for a route that survives the loss of any vendor" in reason
    assert twice["asserted"] == [
        {
            "rule": "no-single-vendor/vendors.survive_loss_of",
            "min": 1,
            "observed": False,
            "counterexample": ["openai"],
        }
    ]
    plain = run("check")
    assert plain.code == 2
    assert "routes.twice: the loss of `openai` leaves nobody" in plain.err
    asked = "{policy: two, observe: true, rules: {vendors.survive_loss_of: {min: 3}}}"
    seen = survey(SAFE.replace("[baseline]", f"[baseline, {asked}]"))
    assert seen.code == 0
    assert "observed: the loss of" in seen.out


def test_the_book_can_be_read_when_an_assertion_does_not_hold(folder: Path, run: Callable[..., Ran]) -> None:
    """A vendor that is lost takes calls away, not the report on what was spent, nor the budgets, nor the auditor."""
    held = SAFE.replace("policies: [baseline]", "policies: [baseline, no-single-vendor]")
    (folder / "modelrouter.yaml").write_text(held.replace("[gpt, mistral, own]", "[gpt]"), encoding="utf-8")
    assert run("check").code == 2
    assert run("budget", "apply", "--yes").code == 0
    for command in (["spend"], ["budget"], ["ledger", "verify"], ["status"]):
        assert run(*command).code == 0, command


def test_an_assertion_may_ask_for_more_than_the_survey_does(survey: Callable[..., Ran]) -> None:
    """Every single loss is survived, the policy asks for pairs: the answer is no, with the pair."""
    asked = "{policy: two, rules: {vendors.survive_loss_of: {min: 2}}}"
    text = SAFE.replace("[baseline]", f"[baseline, {asked}]").replace("[gpt, mistral, own]", "[mistral, own]")
    ran = survey(text, "--json")
    safe = route_of(ran.document, "safe")
    assert (ran.code, safe["ok"], safe["counterexample"]) == (1, False, None)
    assert "the loss of `hetzner` and `mistral` leaves nobody" in safe["reasons"][0]


def test_annotations_stand_at_the_route(survey: Callable[..., Ran], folder: Path) -> None:
    """One line for CI per reason: file as CI knows it, the route's line, and nothing that would end the command."""
    line = CONFIG.splitlines().index("  twice: {try: [gpt, openai]}") + 1
    ran = survey(CONFIG, "--annotations", "github")
    [told] = [each for each in ran.out.splitlines() if each.startswith("::")]
    title = "title=modelrouter%3A route twice"
    assert told.startswith(f"::error file=modelrouter.yaml,line={line},{title}::the loss of `openai` leaves nobody")
    odd = folder / "acme,100%.yaml"
    odd.write_text(CONFIG, encoding="utf-8")
    named = survey(CONFIG, "--annotations", "github", "--config", str(odd))
    assert f"::error file=acme%2C100%25.yaml,line={line},{title}::" in named.out
    assert "::" not in survey(SAFE, "--annotations", "github").out


def test_a_file_of_another_folder_keeps_its_path(
    survey: Callable[..., Ran], folder: Path, tmp_path_factory: Any
) -> None:
    """What is not below the folder of CI is named in full."""
    other = tmp_path_factory.mktemp("elsewhere") / "acme.yaml"
    other.write_text(CONFIG, encoding="utf-8")
    ran = survey(SAFE, "--annotations", "github", "--config", str(other))
    assert f"::error file={other.as_posix() if os.name == 'nt' else other},line=" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--lose", "opnai"), "no organisation is called `opnai`: did you mean `openai`?"),
        (("--lose", "self"), "no organisation is called `self`"),
        (("--lose", "openai,,azure"), "no organisation is called ``"),
        (("--lose", "openai,openai"), "names something twice"),
        (("--lose", "country:us"), "`us` must be in capitals: write `US`"),
        (("--lose", "parent:nobody"), "no organisation is called `nobody`"),
        (("--lose", "credential:env:OUR_ACOUNT"), "no deployment has the key `env:OUR_ACOUNT`: did you mean"),
        (("--lose", "land:DE"), "`land:DE` is no loss"),
        (("--need", "telepathy"), "`telepathy` is no capability"),
        (("--policy", "nothing-such"), "unknown policy `nothing-such`"),
        (("--tag", "colour=red"), "tag `colour` is not declared"),
        (("--depth", "3"), "--depth"),
        (("--depth", "2", "--lose", "openai"), "give one of the two"),
        (("--annotations", "github", "--json"), "one document"),
        (("--annotations", "gitlab"), "gitlab"),
    ],
)
def test_wrong_use_is_2(survey: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    """What cannot be asked is said in one sentence."""
    ran = survey(SAFE, *arguments)
    assert ran.code == 2
    assert words in ran.out + ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--depth", "2"),
        ("--lose", "openai"),
        ("--need", "tools"),
        ("--tag", "team=a"),
        ("--annotations", "github"),
    ],
)
def test_options_of_the_survey_belong_to_it(folder: Path, run: Callable[..., Ran], arguments: tuple[str, ...]) -> None:
    """Without `--survive` they would be passed over, so they are refused."""
    (folder / "modelrouter.yaml").write_text(SAFE, encoding="utf-8")
    ran = run("check", *arguments)
    assert ran.code == 2
    assert f"{arguments[0]}: belongs to `--survive`: add it" in ran.err
