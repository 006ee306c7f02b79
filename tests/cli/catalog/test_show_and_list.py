"""`modelrouter catalog` and `modelrouter schema`: what is known, narrowed down, and with its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.cli.catalog.lineage import descendants, lineage_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.command import Ran


def _entries(ran: Ran) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ran.document["entries"]
    return found


def test_lists_hold_the_whole_catalog(run: Callable[..., Ran]) -> None:
    """Every id is listed once, and the table names each of them."""
    catalog = load_catalog()
    for kind, known in (
        ("models", catalog.models),
        ("operators", catalog.templates),
        ("licences", catalog.licences),
        ("organisations", catalog.organisations),
    ):
        assert [row["id"] for row in _entries(run("catalog", "list", kind, "--json"))] == sorted(known)
        table = run("catalog", "list", kind).out
        assert all(name in table for name in known)


def test_filters_ask_all_at_once(run: Callable[..., Ran]) -> None:
    """Developer, country of it or a parent, licence by either id, operator and openness each narrow models down."""
    by_country = _entries(run("catalog", "list", "--country", "cn", "--json"))
    assert by_country
    assert all("CN" in row["countries"] for row in by_country)
    in_union = {row["id"] for row in _entries(run("catalog", "list", "--country", "EU", "--json"))}
    assert "mistral-medium-3.5" in in_union
    assert not in_union & {row["id"] for row in by_country}
    spdx = _entries(run("catalog", "list", "--licence", "Apache-2.0", "--json"))
    assert spdx == _entries(run("catalog", "list", "--licence", "apache-2.0", "--json"))
    both = _entries(run("catalog", "list", "--developer", "openai", "--openness", "open_weights", "--json"))
    assert {row["id"] for row in both} == {"gpt-oss-120b", "gpt-oss-20b", "gpt-oss-safeguard-20b"}
    by_template = _entries(run("catalog", "list", "--operator", "bedrock", "--json"))
    assert by_template == _entries(run("catalog", "list", "--operator", "aws", "--json"))
    assert all("bedrock" in row["operators"] for row in by_template)


def test_operators_and_organisations_are_narrowed_down_by_country(run: Callable[..., Ran]) -> None:
    """A subsidiary counts where its parent is, too."""
    operators = {row["id"] for row in _entries(run("catalog", "list", "operators", "--country", "CN", "--json"))}
    assert {"alibaba-intl", "deepseek"} <= operators
    assert not operators & {"mistral", "openai"}
    serving = {row["id"] for row in _entries(run("catalog", "list", "operators", "--developer", "mistral", "--json"))}
    assert {"mistral", "scaleway"} <= serving


def test_an_alias_is_shown_with_its_days_and_what_it_stands_for(run: Callable[..., Ran]) -> None:
    """Each model that it stood for with its days; no licence of its own, for it has no weights."""
    shown = run("catalog", "show", "mistral-medium-latest")
    for words in ("mistral-medium-2508 since an unknown day", "└── alias of [1]", "mistral-medium-3.5 (by mistral)"):
        assert words in shown.out
    assert "licence" not in shown.out
    facts = run("catalog", "show", "mistral-medium-latest", "--json").document["model"]["facts"]
    assert facts["alias_of"]["value"][-1] == {"model": "mistral-medium-3.5", "since": "2026-07-03", "until": None}
    assert "alias_of" not in run("catalog", "show", "gpt-5", "--json").document["model"]["facts"]


def test_a_model_is_shown_with_lineage_offers_and_sources(run: Callable[..., Ran]) -> None:
    """The distilled Llama: both ancestors with their own, who offers it, and each source once by its number."""
    shown = run("catalog", "show", "deepseek-r1-distill-llama-70b")
    for words in (
        "├── derived from [1]",
        "llama-3.3-70b-instruct (by meta)",
        "deepseek-v3-base (by deepseek)",
        "ovhcloud",
    ):
        assert words in shown.out
    assert [line.strip()[:3] for line in shown.out.splitlines() if line.strip().startswith("[1]")] == ["[1]"]
    document = run("catalog", "show", "deepseek-r1-distill-llama-70b", "--json").document["model"]
    relations = document["lineage"]["relations"]
    assert [each["model"] for each in relations["derived_from"]["models"]] == ["llama-3.3-70b-instruct"]
    assert relations["derived_from"]["source"]["confidence"] == "high"
    assert [offer["operator"] for offer in document["offers"]] == ["nscale", "ovhcloud"]


def test_a_price_is_that_of_its_endpoint(run: Callable[..., Ran]) -> None:
    """An endpoint with an uplift shows its own price, exactly, as text."""
    offers = run("catalog", "show", "mistral-medium-3.5", "--json").document["model"]["offers"]
    found = {
        each["endpoint"]: each["price"]["value"]["input_usd_per_mtok"]
        for each in offers
        if each["operator"] == "mistral"
    }
    assert found == {"global": "1.5", "eu": "1.65", "us": "1.65"}


def test_an_id_of_two_kinds_is_shown_as_both(run: Callable[..., Ran]) -> None:
    """`mistral` is an organisation and an operator; a licence is found by its SPDX id."""
    document = run("catalog", "show", "mistral", "--json").document
    assert [kind for kind in ("model", "operator", "organisation", "licence") if document[kind]] == [
        "operator",
        "organisation",
    ]
    assert document["operator"]["endpoints"][0]["key_variable"] == "MISTRAL_API_KEY"
    licence = run("catalog", "show", "Apache-2.0")
    assert licence.code == 0
    assert "licence apache-2.0" in licence.out


@pytest.mark.parametrize("each", [7, pytest.param(1, marks=pytest.mark.long)])
def test_everything_in_the_catalog_can_be_shown(each: int, run: Callable[..., Ran]) -> None:
    """No entry has a fact or a state that the command cannot print, for people or for programs, in turn."""
    catalog = load_catalog()
    names = sorted({*catalog.models, *catalog.templates, *catalog.organisations, *catalog.licences})
    for number, name in enumerate(names[::each]):
        if number % 2:
            assert run("catalog", "show", name).code == 0, name
        else:
            assert run("catalog", "show", name, "--json").document["id"] == name


def test_descendants_are_the_reverse_of_lineage() -> None:
    """Every model lists each of its descendants as made from it, at any distance."""
    catalog = load_catalog()

    def ancestors(node: dict[str, Any]) -> set[str]:
        parents = [
            each
            for name in ("derived_from", "distilled_from")
            for each in node["relations"].get(name, {"models": []})["models"]
        ]
        return {each["model"] for each in parents}.union(*(ancestors(each) for each in parents))

    for model in catalog.models:
        for made in descendants(catalog, model):
            assert model in ancestors(lineage_document(catalog, made))


@pytest.mark.parametrize(("arguments", "key"), [((), "deployments"), (("config",), "routes"), (("policy",), "rules")])
def test_schema_prints_json_schema(arguments: tuple[str, ...], key: str, run: Callable[..., Ran]) -> None:
    """Of a config unless a policy is asked for; `--json` changes nothing."""
    document = run("schema", *arguments).document
    assert document["$schema"].startswith("https://json-schema.org/")
    assert key in document["properties"]
    assert run("schema", *arguments, "--json").document == document


def test_a_place_is_where_computing_stays(run: Callable[..., Ran]) -> None:
    """Endpoints inside the EEA, those of the EU among them; what may compute anywhere is inside nothing."""
    rows = {row["id"]: row for row in _entries(run("catalog", "list", "operators", "--place", "eea", "--json"))}
    assert rows["azure"]["endpoints"] == ["datazone-eu"]
    assert "scaleway" in rows
    assert "anthropic" not in rows
    models = {row["id"] for row in _entries(run("catalog", "list", "--place", "FR", "--json"))}
    served = load_catalog().templates["ovhcloud"].models
    assert set(served) <= models
    assert "gpt-6-sol" not in models


def test_an_operator_and_a_place_are_asked_of_one_offer(run: Callable[..., Ran]) -> None:
    """A model that Azure serves anywhere and others serve in the EU is not served by Azure in the EU."""
    catalog = load_catalog()
    inside = {row["id"] for row in _entries(run("catalog", "list", "--place", "EU", "--operator", "azure", "--json"))}
    expected = {
        name
        for name, offer in catalog.templates["azure"].models.items()
        if offer.endpoints is None or "datazone-eu" in offer.endpoints
    }
    assert inside == expected


def test_models_that_can_do_something_and_end_before_a_day(run: Callable[..., Ran]) -> None:
    """Capabilities are those that a source names; an end is that of the model or of an offer."""
    seeing = {row["id"] for row in _entries(run("catalog", "list", "--capability", "vision", "--json"))}
    catalog = load_catalog()
    assert seeing == {name for name, each in catalog.models.items() if "vision" in (each.capabilities.value or ())}
    ending = _entries(run("catalog", "list", "--retires-before", "2027-06-01", "--json"))
    assert {"gpt-5-mini", "deepseek-r1"} <= {row["id"] for row in ending}
    assert all(row["retires"] < "2027-06-01" for row in ending)
    assert "retires" in run("catalog", "list", "--retires-before", "2027-06-01").out


def test_an_operator_is_shown_with_who_it_is(run: Callable[..., Ran]) -> None:
    """Country, parent, lists and attestations of its organisation; whom papers are signed with; its models."""
    document = run("catalog", "show", "azure", "--json").document["operator"]
    assert document["organisation_facts"]["parent"]["value"] == "microsoft"
    assert set(document["organisation_facts"]) == {"country", "parent", "lists", "attestations"}
    assert document["agreements_with"] == "azure"
    assert {"context_tokens", "capabilities", "pinned", "retires_on", "bound_basis"} <= set(document["models"][0])
    shown = run("catalog", "show", "azure").out
    assert "agreements are made with azure" in shown
    assert ", contractual" in shown  # the grade of a source


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--place", "UK"), "write `GB`"),
        (("--place", "Europe"), "groups are"),
        (("--capability", "tool"), "did you mean `tools`?"),
        (("--retires-before", "soon"), "is no day"),
        (("licences", "--place", "DE"), "cannot be narrowed down by place"),
    ],
)
def test_a_filter_that_is_none_is_wrong_use(arguments: tuple[str, ...], words: str, run: Callable[..., Ran]) -> None:
    """A place, a capability and a day have words of their own."""
    refused = run("catalog", "list", *arguments)
    assert refused.code == 2
    assert words in refused.err
