"""The awkward models: what a name hides about weights, teachers, licences and places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.core.facts import ConditionKind, Openness, State
from tests.catalog.lineage import ancestors, countries

if TYPE_CHECKING:
    from modelrouter.catalog import Catalog

FAMILIES = {
    "gpt", "o-series", "gpt-oss", "gemini", "gemma", "claude", "qwen3", "qwen3.5", "qwen2.5", "qwen", "deepseek-v3",
    "deepseek-r1", "deepseek-v4", "kimi-k2", "kimi-k3", "glm", "minimax", "yi", "baichuan", "pangu", "llama", "muse",
    "mistral-small", "mistral-medium", "mistral-large", "devstral", "codestral", "magistral", "ministral", "mixtral",
    "nemotron", "r1", "sonar", "olmo", "tulu", "phi", "mai", "grok", "command", "nova", "granite", "apertus", "smollm",
    "jamba", "ernie", "hunyuan", "step", "internlm", "mimo", "longcat", "ling", "seed", "exaone", "falcon", "dbrx",
}  # fmt: skip


def licences(catalog: Catalog, model: str) -> set[str | None]:
    """The licence of a model and of all that its weights were made from; None where one is unknown."""
    return {catalog.model(each).licence.value for each in ancestors(catalog, model)}


def origins(catalog: Catalog, model: str, *, teachers: bool = False) -> set[str]:
    """Countries of the developers of a model and its ancestors; with those of its teachers, if asked."""
    named = set(ancestors(catalog, model))
    if teachers:
        for each in sorted(named):
            for teacher in catalog.model(each).distilled_from.value or ():
                named |= set(ancestors(catalog, teacher))
    return {
        catalog.organisation(catalog.model(each).developer.value or "").country.value or "unknown" for each in named
    }


def effects(catalog: Catalog, licence: str) -> set[tuple[ConditionKind, str | None, int | None]]:
    """Kind, metric and value of every condition of a licence."""
    return {(each.kind, each.metric, each.value) for each in catalog.licence(licence).conditions.value or ()}


def territories(catalog: Catalog, model: str) -> set[str]:
    """Places in which the licences of a model and its ancestors give no rights."""
    conditions = [
        each
        for licence in licences(catalog, model)
        if licence is not None
        for each in catalog.licence(licence).conditions.value or ()
    ]
    return {place for each in conditions for place in each.territory}


def test_every_family_is_there(catalog: Catalog) -> None:
    """Each family that people choose from has members."""
    assert FAMILIES - {model.family for model in catalog.models.values()} == set()


def test_lineage_is_known_for_most(catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    """Three of four models have their ancestors named, or a source that says they have none; the figure is printed.

    An alias has no weights, and so none to settle.
    """
    models = [each for each in catalog.models.values() if each.alias_of.state is State.NONE]
    settled = [each for each in models if each.derived_from.state in {State.KNOWN, State.NONE}]
    with capsys.disabled():
        print(f"\ncatalog: derived_from known or none for {len(settled)} of {len(models)} models")  # noqa: T201 - the figure is this test's product
    assert len(settled) * 4 >= len(models) * 3


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("deepseek-r1-distill-llama-70b", {"US", "CN"}),
        ("deepseek-r1-distill-llama-8b", {"US", "CN"}),
        ("r1-1776", {"US", "CN"}),
        ("mai-ds-r1", {"US", "CN"}),
        ("cogito-v2.1-671b", {"US", "CN"}),
        ("openreasoning-nemotron-32b", {"US", "CN"}),
        ("s1.1-32b", {"US", "CN"}),
        ("tng-r1t2-chimera", {"DE", "CN"}),
        ("sarvam-m", {"IN", "FR"}),
        ("solar-10.7b-instruct", {"KR", "FR"}),
        ("sonar", {"US"}),
        ("hermes-4-405b", {"US"}),
    ],
)
def test_a_name_does_not_hide_where_weights_come_from(catalog: Catalog, model: str, expected: set[str]) -> None:
    """The developer under whose name weights appear, and every developer whose weights are inside."""
    assert origins(catalog, model) == expected


def test_intellect_3_stands_on_weights_of_a_listed_developer(catalog: Catalog) -> None:
    """Its base is GLM-4.5-Air, of a developer that is on the US Entity List."""
    makers = [catalog.model(each).developer.value for each in ancestors(catalog, "intellect-3")]
    assert makers == ["primeintellect", "zhipu"]
    listed = catalog.organisation("zhipu").lists.value or ()
    assert [each.list_id for each in listed] == ["us-bis-entity-list"]


def test_a_teacher_is_not_an_ancestor(catalog: Catalog) -> None:
    """OpenReasoning-Nemotron has a Chinese base and a Chinese teacher; a Qwen3 8B has teachers and no ancestors."""
    nemotron = catalog.model("openreasoning-nemotron-32b")
    assert nemotron.derived_from.value == frozenset({"qwen2.5-32b-instruct"})
    assert nemotron.distilled_from.value == frozenset({"deepseek-r1-0528"})
    assert catalog.model("qwen3-8b").derived_from.state is State.NONE
    assert origins(catalog, "llama-3.2-3b-instruct", teachers=True) == {"US"}


@pytest.mark.parametrize(
    ("model", "parents"),
    [
        ("tng-r1t2-chimera", {"deepseek-r1", "deepseek-r1-0528", "deepseek-v3-0324"}),
        ("aion-1.0-mini", {"deepseek-r1-distill-qwen-32b", "qwq-32b-preview", "sky-t1-32b-preview"}),
    ],
)
def test_a_merge_has_several_parents(catalog: Catalog, model: str, parents: set[str]) -> None:
    """A merge takes the conditions of all that went into it."""
    assert catalog.model(model).derived_from.value == frozenset(parents)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("tng-r1t2-chimera", {"mit", "deepseek-1.0"}),
        ("cogito-v2.1-671b", {"mit", "deepseek-1.0"}),
        ("mai-ds-r1", {"mit", "deepseek-1.0"}),
        ("intellect-3", {"mit"}),
        ("deepseek-r1-distill-llama-8b", {"mit", "llama-3.1"}),
        ("deepseek-r1-distill-qwen-7b", {"mit", "apache-2.0"}),
        ("llama-3.3-nemotron-super-49b-v1.5", {"nvidia-open-model", "llama-3.3"}),
        ("minimax-m1", {"apache-2.0", "minimax-model"}),
        ("solar-10.7b-instruct", {"cc-by-nc-4.0", "apache-2.0"}),
        ("sonar", {"proprietary-api", "llama-3.3"}),
    ],
)
def test_conditions_of_the_base_come_along(catalog: Catalog, model: str, expected: set[str]) -> None:
    """A licence that is kinder than that of its base does not undo the base's."""
    assert licences(catalog, model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("qwen2.5-7b-instruct", "apache-2.0"),
        ("qwen2.5-32b-instruct", "apache-2.0"),
        ("qwen2.5-72b-instruct", "qwen-2024"),
        ("qwen2.5-3b-instruct", "qwen-research"),
        ("minimax-m1", "apache-2.0"),
        ("minimax-m2", "mit"),
        ("minimax-m2.1", "minimax-modified-mit"),
        ("minimax-m2.5", "minimax-model"),
        ("minimax-m2.7", "minimax-nc"),
        ("minimax-m3", "minimax-community"),
        ("kimi-k2-instruct", "kimi-modified-mit"),
        ("kimi-k2.6", "kimi-modified-mit"),
        ("kimi-k3", "kimi-k3"),
        ("qwen3.8-27b", "apache-2.0"),
        ("glm-5.2", "mit"),
        ("glm-5.3-flash", "mit"),
        ("gemma-2-27b-it", "gemma-tou"),
        ("gemma-4-26b-a4b-it", "apache-2.0"),
        ("ministral-8b-2410", "mistral-mrl"),
        ("ministral-3-8b-2512", "apache-2.0"),
        ("glm-4.5-air", "mit"),
        ("mimo-v2-flash", "mit"),
        ("baichuan2-7b-chat", "baichuan2"),
        ("devstral-2-123b", "mistral-modified-mit"),
        ("mistral-medium-3.5", "mistral-modified-mit"),
        ("devstral-small-2507", "apache-2.0"),
        ("grok-1", "apache-2.0"),
        ("grok-2", "xai-community"),
    ],
)
def test_a_family_name_says_nothing_of_the_licence(catalog: Catalog, model: str, expected: str) -> None:
    """Within one name the licence differs by size and by version; of code and weights, that of the weights counts."""
    assert catalog.model(model).licence.value == expected


def test_who_may_use_it_commercially(catalog: Catalog) -> None:
    """Weights for research alone are no commercial licence, and an unread text is not a yes."""
    for licence in ("qwen-research", "mistral-mrl", "mistral-mnpl", "exaone-nc", "cc-by-nc-4.0", "minimax-nc"):
        assert catalog.licence(licence).commercial_use.value is False
    unread = {
        "xai-community",
        "jamba-open",
        "lfm-1.0",
        "openpangu-1.0",
        "nvidia-nemotron-open-model",
        "mistral-ecosystem",
    }
    for licence in sorted(unread):
        assert catalog.licence(licence).commercial_use.state is State.UNKNOWN
        assert catalog.licence(licence).conditions.state is State.UNKNOWN


def test_two_modified_mit_licences_ask_for_different_things(catalog: Catalog) -> None:
    """Moonshot wants its name shown above a size, Mistral gives no rights above one, MiniMax wants its name always."""
    assert (ConditionKind.THRESHOLD_DISPLAY, "monthly_active_users", 100_000_000) in effects(
        catalog, "kimi-modified-mit"
    )
    assert (ConditionKind.THRESHOLD_NO_RIGHTS, "monthly_revenue_usd", 20_000_000) in effects(
        catalog, "mistral-modified-mit"
    )
    assert effects(catalog, "minimax-modified-mit") == {(ConditionKind.ATTRIBUTION, None, None)}
    assert not catalog.licence("minimax-modified-mit").osi_approved.value


@pytest.mark.parametrize("model", ["glm-5.3", "qwen3.8-2.4t-a95b", "qwen3.8-flash-next", "hy3"])
def test_a_licence_that_nobody_read_is_unknown(catalog: Catalog, model: str) -> None:
    """Others report what these texts say; none of those texts was read, so no rule may permit by them."""
    assert catalog.model(model).licence.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("licence", "kind", "metric", "value"),
    [
        ("llama-2", ConditionKind.THRESHOLD_ASK, "monthly_active_users", 700_000_000),
        ("databricks-open", ConditionKind.THRESHOLD_ASK, "monthly_active_users", 700_000_000),
        ("tongyi-2023", ConditionKind.THRESHOLD_ASK, "monthly_active_users", 100_000_000),
        ("stability-community", ConditionKind.THRESHOLD_ASK, "yearly_revenue_usd", 1_000_000),
        ("kimi-k3", ConditionKind.THRESHOLD_ASK, "yearly_revenue_usd", 20_000_000),
        ("kimi-k3", ConditionKind.THRESHOLD_DISPLAY, "monthly_revenue_usd", 20_000_000),
    ],
)
def test_thresholds_of_further_licences(
    catalog: Catalog, licence: str, kind: ConditionKind, metric: str, value: int
) -> None:
    """A number of users or an amount of revenue above which somebody must be asked."""
    assert (kind, metric, value) in effects(catalog, licence)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("llama-3.2-11b-vision-instruct", {"EU"}),
        ("llama-3.2-90b-vision-instruct", {"EU"}),
        ("llama-4-scout", {"EU"}),
        ("llama-4-maverick", {"EU"}),
        ("llama-3.2-3b-instruct", set()),
        ("llama-3.3-70b-instruct", set()),
        ("hunyuan-a13b-instruct", {"EU", "GB", "KR"}),
        ("hunyuan-7b-instruct", {"EU", "GB", "KR"}),
    ],
)
def test_licences_that_leave_places_out(catalog: Catalog, model: str, expected: set[str]) -> None:
    """Llama leaves out the EU for multimodal models alone; Hunyuan leaves out the EU, the UK and South Korea."""
    assert territories(catalog, model) == expected


def test_no_other_model_of_the_catalog_is_tied_to_a_place(catalog: Catalog) -> None:
    """Nobody else's licence names a place, by itself or through an ancestor."""
    tied = {key for key in catalog.models if territories(catalog, key)}
    assert tied == {
        "llama-3.2-11b-vision-instruct", "llama-3.2-90b-vision-instruct", "llama-4-scout", "llama-4-maverick",
        "hunyuan-a13b-instruct", "hunyuan-7b-instruct",
    }  # fmt: skip


@pytest.mark.parametrize(
    "model",
    ["qwen3-max", "qwen-plus", "qwen3.8-max", "codestral-2508", "grok-3", "grok-4", "muse-spark-1.3", "sonar"],
)
def test_a_closed_member_of_an_open_family(catalog: Catalog, model: str) -> None:
    """Relatives with open weights do not open these."""
    assert catalog.model(model).openness.value is Openness.CLOSED


@pytest.mark.parametrize(
    "model", ["qwen-plus", "deepseek-chat", "deepseek-reasoner", "gpt-4o", "gpt-5", "o3", "claude-haiku-4-5"]
)
def test_an_alias_is_never_pinned(catalog: Catalog, model: str) -> None:
    """A name that its owner may point elsewhere names no version."""
    assert catalog.model(model).pinned.value is False


def test_no_name_that_moves_is_called_pinned(catalog: Catalog) -> None:
    """Whatever ends in `-latest`, or is noted as an alias, is one, and no alias is pinned."""
    named = {key for key, model in catalog.models.items() if key.endswith("-latest") or "(alias)" in model.name}
    aliases = {key for key, model in catalog.models.items() if model.alias_of.state is not State.NONE}
    assert named <= aliases
    assert {catalog.model(key).pinned.value for key in aliases} == {False}


def test_an_alias_stands_for_models_on_days_that_follow_each_other(catalog: Catalog) -> None:
    """Each target is a model here and no alias, has a dated source, and does not begin before the last one began."""
    for model in catalog.models.values():
        standings = model.alias_of.value or ()
        for each in standings:
            assert catalog.model(each.model).alias_of.state is State.NONE
            assert each.source.checked_on is not None
        begins = [each.since for each in standings if each.since is not None]
        assert begins == sorted(begins)


def test_what_known_aliases_stand_for(catalog: Catalog) -> None:
    """The last standing of each; two have none, for their owners' pages were not seen."""
    found = {
        key: model.alias_of.value[-1].model if model.alias_of.value else model.alias_of.state.value
        for key, model in catalog.models.items()
        if model.alias_of.state is not State.NONE
    }
    assert found == {
        "codestral-latest": "codestral-2508",
        "deepseek-chat": "deepseek-v4-flash",
        "deepseek-reasoner": "deepseek-v4-flash",
        "gemini-flash-latest": "unknown",
        "gpt-5.6": "gpt-5.6-sol",
        "mistral-large-latest": "mistral-large-2512",
        "mistral-medium-3": "mistral-medium-3.5",
        "mistral-medium-latest": "mistral-medium-3.5",
        "mistral-small-latest": "mistral-small-4",
        "qwen-plus": "unknown",
    }


def test_a_retired_alias_ends_on_its_day(catalog: Catalog) -> None:
    """`deepseek-chat` stood for five models one after the other and ended; it has no lineage or licence of its own."""
    chat = catalog.model("deepseek-chat")
    standings = chat.alias_of.value or ()
    assert str(chat.retires_on.value) == "2026-07-24"
    assert [str(each.until) for each in standings][-1] == "2026-07-24"
    assert [each.model for each in standings if str(each.since) <= "2026-01-01" <= str(each.until)] == ["deepseek-v3.2"]
    assert {chat.derived_from.state, chat.licence.state, chat.openness.state} == {State.UNKNOWN}


def test_gemini_flash_leads_back_to_a_model_of_its_own(catalog: Catalog) -> None:
    """Its cards name what each was made from, down to one that was made from nothing before it."""
    assert list(ancestors(catalog, "gemini-3.8-flash")) == [
        "gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash", "gemini-3.5-flash", "gemini-3-flash-preview",
        "gemini-3-pro-preview",
    ]  # fmt: skip
    assert catalog.model("gemini-3-pro-preview").derived_from.state is State.NONE


def test_a_host_is_not_a_developer(catalog: Catalog) -> None:
    """GLM-5.3 is served by Mistral and Perplexity, and made by Z.ai."""
    assert catalog.model("glm-5.3").developer.value == "zhipu"
    assert origins(catalog, "glm-5.3") == {"CN"}


def test_only_pangu_carries_a_claim(catalog: Catalog) -> None:
    """One allegation is on record, and its weights' lineage stays unknown."""
    claims = {key for key, model in catalog.models.items() if model.lineage_claim.value}
    assert claims == {"pangu-pro-moe"}
    assert catalog.model("pangu-pro-moe").derived_from.state is State.UNKNOWN


def test_who_owns_whom(catalog: Catalog) -> None:
    """SpaceX owns xAI; NVIDIA did not buy Groq; the Falcon institute belongs to a council of Abu Dhabi."""
    assert catalog.organisation("xai").parent.value == "spacex"
    assert catalog.organisation("groq").parent.state is State.NONE
    assert catalog.organisation("tii").parent.value == "atrc"
    assert countries(catalog, "deepseek") == {"CN"}
    assert countries(catalog, "minimax-intl") == {"SG", "CN"}


def test_lists_are_dated_and_nobody_is_cleared_by_silence(catalog: Catalog) -> None:
    """Five organisations are on a list that was read; for all others the answer is unknown, and never `none`."""
    listed = {
        key: [(each.list_id, str(each.since)) for each in organisation.lists.value]
        for key, organisation in catalog.organisations.items()
        if organisation.lists.value
    }
    assert listed == {
        "zhipu": [("us-bis-entity-list", "2025-01-16")],
        "huawei": [("us-bis-entity-list", "2019-05-21"), ("us-dod-1260h", "None")],
        "tencent": [("us-dod-1260h", "2025-01-07")],
        "deepseek": [("us-ndaa-2026-1532", "2025-12-18"), ("us-ndaa-2026-6604", "2025-12-18")],
        "high-flyer": [("us-ndaa-2026-1532", "2025-12-18")],
    }
    assert {each.lists.state for each in catalog.organisations.values()} == {State.KNOWN, State.UNKNOWN}


def test_a_withdrawn_notice_lists_nobody(catalog: Catalog) -> None:
    """Alibaba and Baidu stood in a notice of February 2026 that was withdrawn at once: unknown, and not listed."""
    for key in ("alibaba", "alibaba-group", "baidu"):
        assert catalog.organisation(key).lists.state is State.UNKNOWN
