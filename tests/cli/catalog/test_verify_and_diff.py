"""`catalog verify` and `catalog diff` on the command line: what is wrong with a catalog, what differs between two."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Ran

SHIPPED: Final = Path(str(files("modelrouter.catalog")))
DAY: Final = ("--on", "2026-11-29")


@pytest.fixture
def copy(folder: Path) -> Path:
    """A copy of the shipped catalog's files, not compiled, in `other`."""
    other = folder / "other"
    shutil.copytree(SHIPPED, other, ignore=shutil.ignore_patterns("*.py", "__pycache__", "verify", "compiled.json"))
    return other


def edit(file: Path, old: str, new: str) -> int:
    """Change the first place in a file; the number of its line."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


# --- verify -----------------------------------------------------------------------------------------------------------


def test_the_shipped_catalog_is_verified(run: Callable[..., Ran]) -> None:
    """Nothing is wrong, for people and for programs."""
    ran = run("catalog", "verify", *DAY)
    assert ran.code == 0, ran.out
    assert "nothing is wrong" in ran.out
    document = run("catalog", "verify", *DAY, "--json").document
    assert document["ok"]
    assert document["findings"] == []
    assert document["entries"]["models"] >= 250


def test_findings_name_file_line_and_key(copy: Path, run: Callable[..., Ran]) -> None:
    """All at once, with exit 1; the documents hold the same."""
    assert run("catalog", "verify", "other", *DAY).code == 0
    first = edit(copy / "models" / "deepseek.yaml", "licence: mit", "licence: mit-2")
    second = edit(copy / "organisations.yaml", "country: US", "country: USA")
    ran = run("catalog", "verify", "other", *DAY)
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert any(line.startswith(f"models/deepseek.yaml:{first}: ") and "`mit-2`" in line for line in lines)
    assert any(line.startswith(f"organisations.yaml:{second}: openai.country: ") for line in lines)
    assert lines[-1].startswith("2 findings in ")
    document = run("catalog", "verify", "other", *DAY, "--json")
    assert document.code == 1
    assert {(each["file"], each["line"]) for each in document.document["findings"]} == {
        ("models/deepseek.yaml", first),
        ("organisations.yaml", second),
    }


def test_a_file_that_is_no_yaml_is_a_finding(copy: Path, run: Callable[..., Ran]) -> None:
    """Its line is told, and nothing that stands in it is missed elsewhere."""
    (copy / "licences.yaml").write_text("mit: {spdx: MIT\n", encoding="utf-8")
    (copy / "models" / "odd.yaml").write_bytes(b"\xff\xfe\x00")
    findings = run("catalog", "verify", "other", *DAY, "--json").document["findings"]
    assert {(each["file"], each["kind"]) for each in findings} == {
        ("licences.yaml", "file"),
        ("models/odd.yaml", "file"),
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "there is no folder `nowhere`"),
        ((".",), "`.` is no catalog: it has no `organisations.yaml`"),
        (("--on", "today"), "is no day"),
        (("--max-age-days", "-1"), "write at least 0"),
    ],
)
def test_what_cannot_be_verified_is_wrong_use(
    arguments: tuple[str, ...], words: str, folder: Path, run: Callable[..., Ran]
) -> None:
    """A folder that is none, a day that is none."""
    refused = run("catalog", "verify", *arguments)
    assert refused.code == 2, refused.out
    assert words in refused.err


# --- diff -------------------------------------------------------------------------------------------------------------


def test_a_catalog_does_not_differ_from_itself(copy: Path, run: Callable[..., Ran]) -> None:
    """Comments and layout are no difference."""
    file = copy / "licences.yaml"
    file.write_text("# one comment more\n\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run("catalog", "diff", "other")
    assert ran.code == 0, ran.out
    assert "no difference" in ran.out


def test_differences_are_told_by_meaning(copy: Path, run: Callable[..., Ran]) -> None:
    """Value, state, confidence, date and reference apart; what could change decisions is marked and ends with 1."""
    edit(copy / "licences.yaml", "commercial_use: true", "commercial_use: unknown")
    edit(copy / "groups.yaml", '[CH, IS, LI, "NO"]', "[CH, IS, LI]")
    edit(copy / "organisations.yaml", "name: OpenAI Group PBC", "name: OpenAI")
    ran = run("catalog", "diff", str(copy), str(SHIPPED), "--json")
    assert ran.code == 1
    found = {(each["table"], each["id"], each["fact"]): each for each in ran.document["changes"]}
    assert set(found) == {
        ("licences", "apache-2.0", "commercial_use"),
        ("groups", "EFTA", "members"),
        ("organisations", "openai", "name"),
    }
    licence = found["licences", "apache-2.0", "commercial_use"]
    assert licence["before"]["state"] == "unknown"
    assert licence["after"]["value"] is True
    assert {"state", "value", "date"} <= set(licence["parts"])
    assert licence["can_change_decisions"]
    assert found["groups", "EFTA", "members"]["can_change_decisions"]
    assert not found["organisations", "openai", "name"]["can_change_decisions"]
    shown = run("catalog", "diff", str(copy)).out.splitlines()
    assert [line[0] for line in shown[:-1]] == [" ", "!", "!"]
    assert shown[-1] == "3 differences, 2 of them (!) could change decisions or costs"


def test_only_words_for_people_end_with_0(copy: Path, run: Callable[..., Ran]) -> None:
    """A name, or a better reference for the same fact, changes no decision."""
    edit(copy / "organisations.yaml", "name: OpenAI Group PBC", "name: OpenAI")
    edit(copy / "organisations.yaml", '"https://openai.com/our-structure"', '"https://openai.com/structure"')
    ran = run("catalog", "diff", "other", "--json")
    assert ran.code == 0
    assert {tuple(each["parts"]) for each in ran.document["changes"]} == {("value",), ("reference",)}


def test_a_price_is_told_where_it_is_charged(copy: Path, run: Callable[..., Ran]) -> None:
    """An uplift changes the price of every model at that endpoint, and nowhere else; each offer is told."""
    edit(copy / "operators" / "mistral.yaml", 'price_uplift: "1.1"', 'price_uplift: "1.2"')
    changes = run("catalog", "diff", "other", "--json").document["changes"]
    assert {each["table"] for each in changes} == {"endpoints", "offers"}
    facts = {each["fact"] for each in changes if each["table"] == "offers"}
    place = next(each["id"].partition("/")[2] for each in changes if each["table"] == "endpoints")
    assert f"price.{place}" in facts
    assert all(fact.startswith(f"price.{place}") for fact in facts)
    assert all(each["can_change_decisions"] for each in changes)


def test_what_is_gone_and_what_is_new(copy: Path, run: Callable[..., Ran]) -> None:
    """A model that is gone can change decisions, one that is new is named by nobody yet."""
    (copy / "models" / "zz.yaml").write_text(
        'zz-1: {developer: openai, licence: mit, source: {ref: "a page", checked_on: 2026-11-22}}\n', encoding="utf-8"
    )
    gone = run("catalog", "diff", "other", "--json")
    assert gone.code == 1
    assert [(each["kind"], each["id"]) for each in gone.document["changes"]] == [("removed", "zz-1")]
    new = run("catalog", "diff", str(SHIPPED), "other", "--json")
    assert new.code == 0
    assert [(each["kind"], each["id"]) for each in new.document["changes"]] == [("added", "zz-1")]


def test_a_version_of_the_package_may_be_named(folder: Path, copy: Path, run: Callable[..., Ran]) -> None:
    """The catalog is found inside it."""
    (folder / "old" / "modelrouter").mkdir(parents=True)
    copy.rename(folder / "old" / "modelrouter" / "catalog")
    assert run("catalog", "diff", "old").code == 0
    assert run("catalog", "diff", "old/modelrouter", "old").code == 0


@pytest.mark.parametrize("names", [("nowhere",), ("other", "nowhere")])
def test_a_folder_that_is_missing_is_wrong_use(names: tuple[str, ...], copy: Path, run: Callable[..., Ran]) -> None:
    """Old or new."""
    refused = run("catalog", "diff", *names)
    assert refused.code == 2
    assert "there is no folder `nowhere`" in refused.err


def test_a_catalog_that_cannot_be_read_is_wrong_use(copy: Path, run: Callable[..., Ran]) -> None:
    """With file and line."""
    (copy / "licences.yaml").write_text("mit: {spdx: MIT\n", encoding="utf-8")
    refused = run("catalog", "diff", "other")
    assert refused.code == 2
    assert refused.err.startswith("error: licences.yaml:1")
