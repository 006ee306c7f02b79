"""`modelrouter catalog usable`: its counts are those of the catalog, its words those of the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.config.files import shipped_policies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.command import Ran

CALLER = ("--country", "DE", "--agreements", "all", "--metric", "monthly_active_users=40000")


def _by_policy(ran: Ran) -> dict[str, dict[str, Any]]:
    return {row["policy"]: row for row in ran.document["policies"]}


def test_every_shipped_policy_is_counted_against_the_whole_catalog(run: Callable[..., Ran]) -> None:
    """All offers of operators and all open models are counted; no policy admits more; none has more than five gaps."""
    ran = run("catalog", "usable", *CALLER, "--json")
    catalog, everything = load_catalog(), ran.document["everything"]
    hosted = [each for each in catalog.templates.values() if not each.server and not each.providers]
    direct = sum(len(offer.endpoints or each.endpoints) for each in hosted for offer in each.models.values())
    assert everything["offers"] > direct
    assert everything["operators"] == len({each.operator for each in hosted if each.models})
    openness = [model.openness.value.value if model.openness.value else "" for model in catalog.models.values()]
    assert everything["own_models"] == sum(each.startswith("open") for each in openness)
    found = _by_policy(ran)
    assert set(found) == {path.stem for path in shipped_policies()}
    for row in found.values():
        assert all(row["admits"][name] <= everything[name] for name in ("operators", "endpoints", "models", "offers"))
        assert len(row["missing"]) <= 5
        assert [gap["together"] for gap in row["missing"]] == sorted(gap["together"] for gap in row["missing"])


def test_what_the_shipped_policies_are_for(run: Callable[..., Ran]) -> None:
    """Nobody but ourselves behind an air gap; for the EU a European and an American operator; no Chinese one."""
    found = _by_policy(run("catalog", "usable", *CALLER, "--json"))
    assert found["air-gap"]["admits"]["offers"] == found["self-hosted-only"]["admits"]["offers"] == 0
    assert found["air-gap"]["admits"]["own_models"] > 0
    assert {"azure", "ovhcloud", "scaleway"} <= set(found["eu-gdpr"]["admits"]["operator_ids"])
    assert set(found["eu-sovereign"]["admits"]["operator_ids"]) < set(found["eu-gdpr"]["admits"]["operator_ids"])
    chinese = {"alibaba-intl", "deepseek", "minimax-intl", "moonshot-intl", "zai-intl"}
    assert not chinese & set(found["no-prc-operator"]["admits"]["operator_ids"])
    assert {"aws", "azure", "google", "openai"} <= set(found["us-federal-civil"]["admits"]["operator_ids"])


def test_a_caller_without_papers_has_no_operator_under_eu_gdpr(run: Callable[..., Ran]) -> None:
    """Agreements are the caller's: without them only its own servers are left, and no fact would change that."""
    row = _by_policy(run("catalog", "usable", "eu-gdpr", "--country", "DE", "--json"))["eu-gdpr"]
    assert row["admits"]["offers"] == 0
    assert row["admits"]["own_models"] > 0
    assert row["missing"] == []


def test_the_table_says_for_whom_it_counts(run: Callable[..., Ran]) -> None:
    """The caller's facts stand above the figures; what is named is counted, in the order in which it is named."""
    ran = run("catalog", "usable", "zdr-no-train", "eu-gdpr", *CALLER)
    assert "country DE, monthly_active_users 40000" in ran.out
    assert ran.out.index("zdr-no-train") < ran.out.index("eu-gdpr") < ran.out.index("all on offer")
    assert "baseline" not in ran.out
    assert "a caller who states nothing" in run("catalog", "usable", "baseline").out


def test_a_policy_of_ones_own_is_counted_by_its_file(folder: Path, run: Callable[..., Ran]) -> None:
    """It may extend a shipped one, and then admits no more than that."""
    (folder / "mine.yaml").write_text(
        "policy: mine\nextends: [eu-gdpr]\nrules: {data.retention_days: {max: 0}}\n", encoding="utf-8"
    )
    found = _by_policy(run("catalog", "usable", "mine.yaml", "eu-gdpr", *CALLER, "--json"))
    assert 0 < found["mine"]["admits"]["offers"] < found["eu-gdpr"]["admits"]["offers"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("eu-gdrp",), "did you mean `eu-gdpr`?"),
        (("--country", "UK"), "write `GB`"),
        (("--metric", "users=5"), "`monthly_active_users`"),
        (("--metric", "monthly_active_users=many"), "has no whole number"),
        (("--agreements", "some"), "all"),
        (("nowhere.yaml",), "no such file"),
    ],
)
def test_wrong_words_are_refused(run: Callable[..., Ran], arguments: tuple[str, ...], words: str) -> None:
    """Exit 2, and a sentence that says what to write."""
    ran = run("catalog", "usable", *arguments)
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err
