"""Each finding of lint, where it must be told and where it must not, with its file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter.config.alone import check_alone
from modelrouter.config.build import read
from modelrouter.config.files import shipped_policies
from modelrouter.config.lint import findings_of
from modelrouter.core.lint import Severity
from tests.config.texts import MARK, config, load_files

if TYPE_CHECKING:
    from modelrouter.config.lint import Located

TODAY: Final = date(2026, 11, 29)
OWN_FACTS: Final = """deployments:
  own:
    model: qwen3-32b
    operator: self
    runs_on: none
    hosts: [llm.internal]
    base_url: "http://llm.internal:8000/v1"
    name: qwen
    processing: [DE]
    storage: none
    training: never
    retention_days: 0
    price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}
    source: {ref: platform team, checked_on: CHECKED, confidence: high, grade: technical}
"""
MISTRAL: Final = "  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu}"
GPT: Final = "  gpt: {model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme}"
RETAINS: Final = f"{OWN_FACTS.replace('retention_days: 0', 'retention_days: 45')}{MISTRAL}"
WAIVER: Final = (
    "waivers: [{id: W-7, rule: p/data.retention_days, subject: own, because: pending, owner: dpo, expires: EXPIRES}]"
)


def policy(*rules: str, more: str = "", name: str = "p") -> str:
    """A policy of these rules, each on a line of its own."""
    listed = "".join(f"  {rule}\n" for rule in rules)
    return f"policy: {name}\n{more}rules:\n{listed}"


def found_in(folder: Path, files: dict[str, str]) -> list[Located]:
    """What lint finds in a configuration."""
    load_files(folder, **{name: text.replace("CHECKED", "2026-11-01") for name, text in files.items()})
    return findings_of(read(folder / "modelrouter.yaml"), TODAY)


def with_policy(text: str, *others: str, **parts: str) -> dict[str, str]:
    """A configuration whose policies are `p` and these others, each in a file of its own."""
    names = ", ".join(["p", *(each.split()[1] for each in others)])
    files = {f"policies__{each.split()[1]}": each for each in (text, *others)}
    parts = {"deployments": f"{OWN_FACTS}{MISTRAL}", "policies": f"policies: [{names}]", **parts}
    return {"modelrouter": config(**parts), **files}


BRIEF: Final = "data.retention_days: {max: 30}"
SECOND: Final = policy("processing.country: {allow: [US]}", name="q")
KEPT: Final = policy(BRIEF, name="q")
HALF: Final = "vendors.share: {max: 0.5, window: 30d, min_volume: 100, when_alone: permit}"
TWO: Final = "routes: {support: {try: [mistral, gpt]}}"
CASES: Final = [
    (
        "never_permits",
        with_policy(policy(f"processing.country: {{allow: [DE, FR], deny: [EEA]}}  {MARK}")),
        with_policy(policy("processing.country: {allow: [EEA], deny: [FR]}")),
    ),
    (
        "never_permits",
        with_policy(policy("processing.country: {allow: [EEA]}"), SECOND.replace("[US]}", f"[US]}}  {MARK}")),
        with_policy(policy("processing.country: {allow: [EEA, US]}"), SECOND),
    ),
    (
        "never_permits",
        with_policy(policy("processing.country: {allow: [EEA]}"), SECOND.replace("[US]}", f"[US]}}  {MARK}")),
        # the two never bind together: a request has one data class
        with_policy(
            policy("processing.country: {allow: [EEA]}", more="applies_to: {data_class: [personal]}\n"),
            SECOND.replace("rules:", "applies_to: {data_class: [public]}\nrules:"),
        ),
    ),
    (
        "idle_deny",
        with_policy(policy(f"operator.country: {{allow: [EEA], deny: [CN]}}  {MARK}")),
        with_policy(policy("operator.id: {allow: [self, mistral], deny: [openai]}")),  # a parent might be denied
    ),
    (
        "covered",
        with_policy(policy(f"data.training: {{allow: [never, opt_out]}}  {MARK}", more="extends: [baseline]\n")),
        with_policy(policy(BRIEF, more="extends: [baseline]\n")),
    ),
    (
        "covered",
        with_policy(policy(f"data.training: {{allow: [never]}}  {MARK}", more="extends: [baseline]\n")),
        # what comes along binds only a part of the requests
        with_policy(
            policy(BRIEF, more="extends: [q]\n"),
            policy("data.retention_days: {max: 3}", more="applies_to: {data_class: [personal]}\n", name="q"),
        ),
    ),
    (
        "covered",
        with_policy(policy(f"data.retention_days: {{max: 40}}  {MARK}", more="extends: [q]\n"), KEPT),
        # a waiver lets somebody past the rule that comes along, and this one still holds
        with_policy(
            policy("data.retention_days: {max: 40}", more="extends: [q]\n"),
            f"{KEPT}{WAIVER.replace('p/', 'q/').replace('EXPIRES', '2027-11-28')}\n",
            deployments=RETAINS,
        ),
    ),
    (
        "covered",
        with_policy(policy(f"data.retention_days: {{max: 40}}  {MARK}", more="extends: [q]\n"), KEPT),
        # what is only observed refuses nobody
        with_policy(policy("data.retention_days: {max: 40}", more="extends: [q]\n"), f"{KEPT}observe: true\n"),
    ),
    (
        "unknown_for_all",
        with_policy(
            policy(f"processing.country: {{allow: [EEA]}}  {MARK}"),
            deployments=OWN_FACTS.replace("processing: [DE]", "processing: unknown"),
            routes="routes: {support: {try: [own]}}",
        ),
        with_policy(policy("processing.country: {allow: [EEA]}")),
    ),
    (
        "asks_nobody",
        with_policy(
            policy(f"weights.licence: {{allow: [Apache-2.0]}}  {MARK}"),
            deployments=f"{OWN_FACTS}{GPT}",
            routes="routes: {support: {try: [gpt]}}",
        ),
        with_policy(policy("weights.licence: {allow: [Apache-2.0]}")),
    ),
    (
        "asks_nobody",
        with_policy(policy(f"agreements: {{require: [dpa]}}  {MARK}"), routes="routes: {support: {try: [own]}}"),
        with_policy(policy("agreements: {require: [dpa]}")),
    ),
    (
        "facts_too_old",
        with_policy(policy("data.training: {allow: [never]}", f"facts.age_days: {{max: 27}}  {MARK}")),
        with_policy(
            policy("data.training: {allow: [never]}", "facts.age_days: {max: 28}"),
            routes="routes: {support: {try: [own]}}",
        ),
    ),
    (
        "waiver_expired",
        with_policy(f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2026-11-28')}  {MARK}\n", deployments=RETAINS),
        with_policy(f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2026-11-29')}\n", deployments=RETAINS),
    ),
    (
        "waiver_covers_nothing",
        with_policy(f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2027-11-28')}  {MARK}\n"),
        with_policy(f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2027-11-28')}\n", deployments=RETAINS),
    ),
    (
        "waiver_covers_nothing",
        with_policy(
            f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2027-11-28')}  {MARK}\n",
            deployments=RETAINS,
            routes="routes: {support: {try: [mistral]}}",
        ),
        with_policy(f"{policy(BRIEF)}{WAIVER.replace('EXPIRES', '2027-11-28')}\n", deployments=RETAINS),
    ),
    (
        "share_standstill",
        with_policy(policy(f"{HALF}  {MARK}"), deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}", routes=TWO),
        # together they may have more than there is
        with_policy(policy(HALF.replace("0.5", "0.6")), deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}", routes=TWO),
    ),
    (
        "share_standstill",
        with_policy(
            policy(f"{HALF.replace('permit', 'refuse')}  {MARK}"), routes="routes: {support: {try: [mistral]}}"
        ),
        with_policy(policy(HALF), routes="routes: {support: {try: [mistral]}}"),
    ),
    (
        "share_standstill",
        with_policy(policy(f"{HALF}  {MARK}"), deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}", routes=TWO),
        # our own machine adds to nobody's share
        with_policy(policy(HALF), deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}", routes=TWO.replace("[", "[own, ")),
    ),
    (
        "share_standstill",
        with_policy(policy(f"{HALF}  {MARK}"), deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}", routes=TWO),
        # a soft cap refuses nobody
        with_policy(
            policy(HALF.replace("when_alone: permit", "mode: soft")),
            deployments=f"{OWN_FACTS}{MISTRAL}\n{GPT}",
            routes=TWO,
        ),
    ),
    (
        "unusable",
        with_policy(policy(BRIEF), deployments=RETAINS.replace("  own:", f"  own:  {MARK}")),
        # without the tag it is refused; with another data class it is of use
        with_policy(policy(BRIEF, more="applies_to: {data_class: [personal]}\n"), deployments=RETAINS),
    ),
]


@pytest.mark.parametrize(("kind", "files"), [(kind, bad) for kind, bad, _ in CASES])
def test_a_finding_is_told_with_its_line(tmp_path: Path, kind: str, files: dict[str, str]) -> None:
    """Once, at the line of the rule, waiver or deployment."""
    [found] = [each for each in found_in(tmp_path, files) if each.finding.kind == kind]
    name, line = next(
        (name.replace("__", "/"), number)
        for name, text in files.items()
        for number, written in enumerate(text.splitlines(), 1)
        if MARK in written
    )
    assert (found.file or "").endswith(f"{name}.yaml")
    assert found.line == line
    is_error = kind == "never_permits"
    assert found.finding.severity is (Severity.ERROR if is_error else Severity.WARNING)


@pytest.mark.parametrize(("kind", "files"), [(kind, good) for kind, _, good in CASES])
def test_a_finding_is_not_told_of_what_is_right(tmp_path: Path, kind: str, files: dict[str, str]) -> None:
    """The nearest thing to it that has a meaning."""
    assert [each.finding.reason for each in found_in(tmp_path, files) if each.finding.kind == kind] == []


def test_what_is_proved_is_said(tmp_path: Path) -> None:
    """The sentence names the facts and their age, so that a person can go and check them."""
    files = with_policy(
        policy("data.training: {allow: [never]}", "facts.age_days: {max: 5}"), routes="routes: {support: {try: [own]}}"
    )
    reasons = {each.finding.kind: each.finding.reason for each in found_in(tmp_path, files)}
    assert reasons["facts_too_old"].startswith("facts older than 5 days: own.runs_on (28 days), own.training (28 days)")
    assert "(p/facts.age_days: 28 days)" in reasons["unusable"]


@pytest.mark.parametrize("path", shipped_policies(), ids=lambda path: path.stem)
def test_shipped_policies_raise_no_alarm_alone(path: Path) -> None:
    """Nothing in them is idle or impossible."""
    found, _ = check_alone(path, TODAY)
    assert [each.finding.reason for each in found] == []


@pytest.mark.parametrize(
    "path",
    [
        path for path in shipped_policies() if path.stem != "no-single-vendor"
    ],  # which no route with one vendor loads under
    ids=lambda path: path.stem,
)
def test_shipped_policies_are_never_told_to_ask_nobody(tmp_path: Path, path: Path) -> None:
    """They are written for whatever deployments there are: over one hosted and over one of our own they are silent."""
    for route in ("own", "mistral"):
        text = config(
            deployments=f"{OWN_FACTS}{MISTRAL}",
            policies=f"policies: [{path.stem}]",
            routes=f"routes: {{support: {{try: [{route}]}}}}",
        )
        kinds = {each.finding.kind for each in found_in(tmp_path, {"modelrouter": text})}
        assert kinds <= {"unusable", "unknown_for_all", "facts_too_old"}


EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "configs"
SHOWN: Final = {"refusal": {"claude", "kimi", "local"}, "team": {"kimi"}}
"""Deployments that examples have in order to show how they are refused."""


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_raise_no_false_alarm(path: Path) -> None:
    """Nothing is told but what an example shows on purpose."""
    found = findings_of(read(path), TODAY)
    assert {each.finding.kind for each in found} <= {"unusable"}
    assert {each.finding.deployment for each in found} == SHOWN.get(path.stem, set())
