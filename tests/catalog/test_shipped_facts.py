"""The shipped files, entry by entry: shape, sources, references, and what policies will ask of them."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from modelrouter.catalog.loader import read_catalog
from modelrouter.catalog.schema import (
    GroupEntry,
    LicenceEntry,
    ModelEntry,
    OperatorTemplateEntry,
    OrganisationEntry,
)
from modelrouter.core.facts import (
    SELF,
    ConditionKind,
    Confidence,
    Fact,
    Openness,
    Ownership,
    State,
    Training,
)
from modelrouter.yaml12 import parse
from tests.catalog.lineage import ancestors, countries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from modelrouter.catalog import Catalog

ROOT = files("modelrouter.catalog")
FACT_DATE = date(2026, 11, 22)
TABLES: dict[str, type[BaseModel]] = {
    "organisations.yaml": OrganisationEntry,
    "licences.yaml": LicenceEntry,
    "groups.yaml": GroupEntry,
}


def texts(folder: str) -> list[tuple[str, str]]:
    """Names and texts of the files of one folder."""
    return [
        (f"{folder}/{file.name}", file.read_text(encoding="utf-8"))
        for file in (ROOT / folder).iterdir()
        if file.name.endswith(".yaml")
    ]


def every_text() -> list[tuple[str, str]]:
    """Names and texts of all shipped files."""
    tables = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in TABLES]
    return tables + texts("models") + texts("operators")


def facts_of(thing: object, path: str) -> Iterator[tuple[str, Fact[object]]]:
    """Every fact inside a value of the catalog, with a path for the message of a failing test."""
    for each in fields(thing):  # type: ignore[arg-type]
        value = getattr(thing, each.name)
        if isinstance(value, Fact):
            yield f"{path}.{each.name}", value
        elif each.name == "terms":
            yield from facts_of(value, f"{path}.terms")
        elif each.name == "own_terms":
            yield from ((f"{path}.{name}", fact) for name, fact in value.items())


def every_fact(catalog: Catalog) -> Iterator[tuple[str, Fact[object]]]:
    """Every fact of the catalog."""
    for table in (catalog.organisations, catalog.licences, catalog.models):
        for key, value in table.items():
            yield from facts_of(value, key)
    for key, template in catalog.templates.items():
        yield from facts_of(template, key)
        for name, endpoint in template.endpoints.items():
            yield from facts_of(endpoint, f"{key}.{name}")
        for name, offer in template.models.items():
            yield from facts_of(offer, f"{key}.{name}")


@pytest.mark.parametrize(("name", "text"), every_text(), ids=[name for name, _ in every_text()])
def test_every_file_fits_the_schema(name: str, text: str) -> None:
    """Each shipped file holds only what the schema allows, so that loading may skip it."""
    value = parse(text, name).value
    assert isinstance(value, dict)
    if name.startswith("operators/"):
        OperatorTemplateEntry.model_validate(value)
        return
    for entry in value.values():
        TABLES.get(name, ModelEntry).model_validate(entry)


def test_it_holds_what_was_promised(catalog: Catalog) -> None:
    """At least 290 models of 55 developers under 40 licences, 40 templates of operators and 6 kinds of servers."""
    developers = {model.developer.value for model in catalog.models.values()}
    operators = [key for key, template in catalog.templates.items() if template.operator != SELF]
    servers = {template.server for template in catalog.templates.values()} - {""}
    assert len(catalog.models) >= 290
    assert len(developers) >= 55
    assert len(catalog.licences) >= 40
    assert len(operators) >= 40
    assert servers == {"vllm", "sglang", "llamacpp", "ollama", "tgi", "lmstudio"}


def test_no_id_dangles(catalog: Catalog) -> None:
    """Every id that an entry names is there: parents, developers, licences, ancestors, models, operators."""
    missing = [
        f"{organisation.id}.parent"
        for organisation in catalog.organisations.values()
        if organisation.parent.value is not None and organisation.parent.value not in catalog.organisations
    ]
    for model in catalog.models.values():
        related = (model.derived_from.value, model.distilled_from.value, model.lineage_claim.value)
        missing += [f"{model.id}: {each}" for ids in related for each in ids or () if each not in catalog.models]
        missing += [] if model.developer.value in catalog.organisations else [f"{model.id}.developer"]
        missing += [] if model.licence.value in {None, *catalog.licences} else [f"{model.id}.licence"]
    for template in catalog.templates.values():
        named = {template.operator, *template.providers, *(o.subprocessor for o in template.models.values())}
        missing += [f"{template.id}: {each}" for each in named - {None, SELF} if each not in catalog.organisations]
        missing += [f"{template.id}: {each}" for each in template.models if each not in catalog.models]
    assert missing == []


def test_places_are_countries_or_known_groups(catalog: Catalog) -> None:
    """A place is a country, `global`, or a group whose members the catalog knows."""
    used = {
        place
        for path, fact in every_fact(catalog)
        if path.endswith((".processing", ".storage")) and isinstance(fact.value, frozenset)
        for place in fact.value
    }
    territories = {
        place
        for licence in catalog.licences.values()
        for condition in licence.conditions.value or ()
        for place in condition.territory
    }
    groups = {place for place in used | territories if len(place) != 2 or place == "EU"} - {"global"}
    assert groups <= set(catalog.groups)
    assert groups >= {"EU", "EFTA"}


def test_every_fact_that_is_not_unknown_can_be_checked(catalog: Catalog) -> None:
    """Known, none and undisclosed carry a reference, the day it was checked, and our ownership."""
    loose = [
        path
        for path, fact in every_fact(catalog)
        if fact.state is not State.UNKNOWN
        and not (fact.source.ref and fact.source.checked_on and fact.source.ownership is Ownership.SHIPPED)
    ]
    assert loose == []


def test_nothing_of_low_confidence_is_shipped_as_known(catalog: Catalog) -> None:
    """What rests on memory or on an unverified page is unknown here, so it can never permit."""
    weak = [
        path
        for path, fact in every_fact(catalog)
        if fact.state is not State.UNKNOWN and fact.source.confidence < Confidence.MEDIUM
    ]
    assert weak == []


def test_no_fact_claims_to_be_checked_before_it_was(catalog: Catalog) -> None:
    """The seed was gathered on one day; a later check may only be later."""
    dates = {fact.source.checked_on for _, fact in every_fact(catalog) if fact.source.checked_on}
    assert min(dates) >= FACT_DATE


def test_lineage_is_acyclic(catalog: Catalog) -> None:
    """No model is among its own ancestors, by weights or by teachers, and no organisation among its own parents."""

    def reaches(start: str, edges: dict[str, set[str]]) -> bool:
        seen: set[str] = set()
        ahead = set(edges.get(start, ()))
        while ahead:
            each = ahead.pop()
            if each == start:
                return True
            ahead |= edges.get(each, set()) - seen
            seen.add(each)
        return False

    lineage = {
        key: set(model.derived_from.value or ()) | set(model.distilled_from.value or ())
        for key, model in catalog.models.items()
    }
    parents = {key: {each.parent.value} if each.parent.value else set() for key, each in catalog.organisations.items()}
    assert [key for key in lineage if reaches(key, lineage)] == []
    assert [key for key in parents if reaches(key, parents)] == []


def test_prices_are_written_as_text() -> None:
    """A price stands in quotes, so that no reader of any kind makes a float of it."""
    found = [
        (name, line)
        for name, text in every_text()
        for line in text.splitlines()
        for amount in re.findall(r"\w+_usd(?:_per_mtok)?: (\S+?)[,}]", line)
        if not re.fullmatch(r'"\d+(\.\d+)?"', amount)
    ]
    assert found == []


def test_the_groups_have_their_members(catalog: Catalog) -> None:
    """27 countries in the EU, 30 in the EEA; Switzerland is in EFTA alone, and Norway is a country, not a `false`."""
    assert len(catalog.group("EU")) == 27
    assert catalog.group("EEA") == catalog.group("EU") | {"IS", "LI", "NO"}
    assert catalog.group("EFTA") == {"CH", "IS", "LI", "NO"}
    assert "GB" not in catalog.group("EEA")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("deepseek-r1-distill-llama-70b", {"mit", "llama-3.3"}),
        ("deepseek-r1-distill-qwen-32b", {"mit", "apache-2.0"}),
        ("r1-1776", {"mit", "deepseek-1.0"}),
        ("deepseek-v3.2", {"mit", "deepseek-1.0"}),
        ("mistral-small-3.2", {"apache-2.0"}),
    ],
)
def test_licences_come_along_with_ancestors(catalog: Catalog, model: str, expected: set[str]) -> None:
    """A fine-tune carries the licence of what it was made from beside its own."""
    assert {catalog.model(each).licence.value for each in ancestors(catalog, model)} == expected


def test_a_rebadged_model_keeps_its_origin(catalog: Catalog) -> None:
    """R1-1776 has a US developer, and ancestors from China."""
    developers = [catalog.model(each).developer.value for each in ancestors(catalog, "r1-1776")]
    assert developers == ["perplexity", "deepseek", "deepseek"]


def test_a_claim_is_never_lineage(catalog: Catalog) -> None:
    """The allegation about Pangu stands as a claim; its lineage stays unknown."""
    pangu = catalog.model("pangu-pro-moe")
    assert pangu.lineage_claim.value == frozenset({"qwen2.5-14b"})
    assert pangu.derived_from.state is State.UNKNOWN
    assert catalog.model("qwen3-32b").lineage_claim.state is State.NONE


@pytest.mark.parametrize(
    ("licence", "kind", "metric", "value"),
    [
        ("llama-3.3", ConditionKind.THRESHOLD_ASK, "monthly_active_users", 700_000_000),
        ("qwen-2024", ConditionKind.THRESHOLD_ASK, "monthly_active_users", 100_000_000),
        ("kimi-modified-mit", ConditionKind.THRESHOLD_DISPLAY, "monthly_active_users", 100_000_000),
        ("kimi-modified-mit", ConditionKind.THRESHOLD_DISPLAY, "monthly_revenue_usd", 20_000_000),
        ("mistral-modified-mit", ConditionKind.THRESHOLD_NO_RIGHTS, "monthly_revenue_usd", 20_000_000),
        ("minimax-community", ConditionKind.THRESHOLD_ASK, "yearly_revenue_usd", 20_000_000),
        ("baichuan2", ConditionKind.THRESHOLD_NO_RIGHTS, "daily_active_users", 1_000_000),
    ],
)
def test_thresholds_differ_in_what_they_ask(
    catalog: Catalog, licence: str, kind: ConditionKind, metric: str, value: int
) -> None:
    """Ask, show a name, or no rights at all: three effects that one word `restricted` would mix."""
    conditions = catalog.licence(licence).conditions.value or ()
    assert (kind, metric, value) in {(each.kind, each.metric, each.value) for each in conditions}


def test_terms_that_reach_hosted_use_say_so(catalog: Catalog) -> None:
    """Two licences bind even those who call a hosted copy; Llama's does not."""
    assert catalog.licence("mistral-modified-mit").reaches_hosted_use
    assert catalog.licence("minimax-nc").reaches_hosted_use
    assert not catalog.licence("llama-3.3").reaches_hosted_use


def test_a_licence_by_size_and_by_version(catalog: Catalog) -> None:
    """Qwen2.5 72B and 32B, DeepSeek V3 and V3-0324, Gemma 3 and 4 differ in licence within one name."""
    assert catalog.model("qwen2.5-72b-instruct").licence.value == "qwen-2024"
    assert catalog.model("qwen2.5-32b").licence.value == "apache-2.0"
    assert catalog.model("deepseek-v3").licence.value == "deepseek-1.0"
    assert catalog.model("deepseek-v3-0324").licence.value == "mit"
    assert catalog.model("gemma-3-27b-it").licence.value == "gemma-tou"
    assert catalog.model("gemma-4-31b-it").licence.value == "apache-2.0"


def test_open_weights_are_not_open_source(catalog: Catalog) -> None:
    """Only models with open data and code beside open weights are called open source."""
    named = {key for key, model in catalog.models.items() if model.openness.value is Openness.OPEN_SOURCE}
    assert named == {
        "olmo-2-32b-instruct", "olmo-3-32b-think", "smollm2-135m-instruct", "smollm3-3b",
        "apertus-70b-instruct", "apertus-8b-instruct",
    }  # fmt: skip
    assert catalog.model("qwen3-max").openness.value is Openness.CLOSED


def test_a_subsidiary_has_its_parents_country_too(catalog: Catalog) -> None:
    """Moonshot's and Z.ai's contract entities sit in Singapore and belong to companies in China."""
    assert catalog.organisation("moonshot-intl").country.value == "SG"
    assert catalog.organisation("moonshot-intl").parent.value == "moonshot"
    assert countries(catalog, "alibaba-intl") == {"SG", "CN"}


def test_government_lists_are_dated(catalog: Catalog) -> None:
    """Zhipu has been on the US Entity List since 16 January 2025."""
    listings = catalog.organisation("zhipu").lists.value or ()
    assert [(each.list_id, each.since) for each in listings] == [("us-bis-entity-list", date(2025, 1, 16))]


def test_the_cloud_under_a_server_answers_for_itself(catalog: Catalog) -> None:
    """Hetzner, as `runs_on`, states places, training and retention of its own."""
    terms = catalog.organisation("hetzner").terms
    assert terms.processing.value == frozenset({"DE", "FI"})
    assert terms.training.value is Training.NEVER
    assert terms.retention_days.value == 0


def test_the_same_files_have_the_same_digest(catalog: Catalog) -> None:
    """The digest is of the content: read twice, it is the same."""
    again = read_catalog(ROOT)
    assert again.digest == catalog.digest
    assert re.fullmatch(r"[0-9a-f]{64}", again.digest)
