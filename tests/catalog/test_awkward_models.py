"""The awkward models, through a real configuration: the sentence that a person reads when one is refused, and why.

Each expectation is written from the licence, the card or the list that it names, for a caller in Germany on one day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.decision import Moment, decide
from modelrouter.core.explanation import explanation
from modelrouter.core.request import Request
from modelrouter.errors import ConfigError
from tests.config.texts import load_files

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 29)
OWN = """deployments:
  own:
    model: MODEL
    operator: self
    runs_on: none
    hosts: [llm.internal]
    base_url: "http://llm.internal:8000/v1"
    name: weights
    context_tokens: 32768
    price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20}
    source: {ref: platform team, checked_on: 2026-11-01, confidence: high}
"""
HOSTED = """deployments:
  own:
    {model: MODEL, operator: OPERATOR, ENDPOINTname: NAME, context_tokens: 32768,
     price: {input_usd_per_mtok: 1, output_usd_per_mtok: 3}, source: {ref: price page, checked_on: 2026-11-01}}
"""
TUNED = "models: {acme-support: {developer: self, derived_from: [BASE], licence: apache-2.0, source: training log 77}}"
CALLER = "name: Acme GmbH, country: DE, parent_country: DE"
SMALL = (
    "monthly_active_users: 40000, daily_active_users: 9000, monthly_revenue_usd: 100000, yearly_revenue_usd: 1200000"
)
LARGE = (
    "monthly_active_users: 200000000, daily_active_users: 2000000, monthly_revenue_usd: 30000000, "
    "yearly_revenue_usd: 400000000"
)
NO_CHINA = "developer.country: {deny: [CN]}"
NO_CHINA_TAUGHT = "developer.country: {deny: [CN], lineage: [derived_from, distilled_from]}"
USE = "weights.use: {require: [commercial]}"
OPEN = "weights.licence: {allow: [Apache-2.0, MIT]}"
PINNED = "model.pinned: {require: true}"


@dataclass(frozen=True, slots=True)
class Told:
    """What one rule says of one model that the caller hosts itself.

    Attributes:
        refusal: what the explanation must say; empty where the model is permitted.
        duties: what it must say beside a permission.
        caller: more about the caller.
    """

    name: str
    model: str
    rule: str
    refusal: str = ""
    duties: tuple[str, ...] = ()
    caller: str = SMALL
    day: date = TODAY
    models: str = ""


def told(folder: Path, rule: str, deployments: str, *, caller: str = SMALL, day: date = TODAY, models: str = "") -> str:
    """The explanation of a decision of one route with one deployment under one rule."""
    text = "\n".join(
        (
            "modelrouter: 1",
            f"caller: {{{CALLER}, {caller}}}",
            models,
            deployments,
            "routes: {r: {try: [own], policies: [p]}}",
            "policies: none",
        )
    )
    policy = f"policy: p\nrules:\n  {rule}\n"
    setup = load_files(folder, policies__p=policy, modelrouter=text + "\n")
    route = setup.routes["r"]
    now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
    return explanation(decide(Request("r", ()), route, route.layers, setup.world, Moment(now)))


CASES = (
    # --- weights under another name ------------------------------------------------------------------------------
    Told(
        "R1-Distill-Llama-70B is a Chinese tuning of American weights: its own developer counts",
        "deepseek-r1-distill-llama-70b",
        NO_CHINA,
        "p/developer.country: CN [deepseek.country = CN;",
    ),
    Told(
        "and so does the American base",
        "deepseek-r1-distill-llama-70b",
        "developer.country: {allow: [CN]}",
        "US via llama-3.3-70b-instruct [meta.country = US;",
    ),
    Told(
        "its README calls it MIT, its base is under the Llama 3.3 licence",
        "deepseek-r1-distill-llama-70b",
        OPEN,
        "llama-3.3 via llama-3.3-70b-instruct [llama-3.3-70b-instruct.licence = llama-3.3;",
    ),
    Told(
        "so a name is to be shown",
        "deepseek-r1-distill-llama-70b",
        USE,
        duties=('show "Built with Llama"', "(llama-3.3-70b-instruct)"),
    ),
    Told(
        "R1-1776 has an American name and Chinese weights",
        "r1-1776",
        NO_CHINA,
        "CN via deepseek-r1 [deepseek.country = CN;",
    ),
    Told(
        "a rule that follows no lineage asks about the name alone",
        "r1-1776",
        "developer.id: {allow: [perplexity], lineage: []}",
    ),
    Told(
        "INTELLECT-3 stands on GLM, of a developer on the US Entity List",
        "intellect-3",
        "developer.lists: {deny: [us-bis-entity-list]}",
        "us-bis-entity-list via glm-4.5-air-base [zhipu.lists = us-bis-entity-list since 2025-01-16; 90 FR 4617",
    ),
    Told(
        "a teacher is asked about where a rule names teachers",
        "openreasoning-nemotron-32b",
        NO_CHINA_TAUGHT,
        "CN via deepseek-r1-0528 [deepseek.country = CN;",
    ),
    Told(
        "Pangu: a claim is not a lineage; what is unknown stays unknown",
        "pangu-pro-moe",
        "developer.country: {deny: [RU]}",
        "unknown [pangu-pro-moe.derived_from = unknown; no source",
    ),
    Told(
        "the claim counts where a rule asks for claims",
        "pangu-pro-moe",
        "developer.id: {deny: [alibaba], lineage: [derived_from, lineage_claim]}",
        "alibaba via qwen2.5-14b",
    ),
    Told(
        "and nowhere else",
        "pangu-pro-moe",
        "developer.id: {deny: [alibaba]}",
        "unknown [pangu-pro-moe.derived_from",
    ),
    # --- licence by size and by version --------------------------------------------------------------------------
    Told("Qwen2.5 7B is Apache-2.0", "qwen2.5-7b-instruct", OPEN),
    Told("Qwen2.5 72B is not", "qwen2.5-72b-instruct", OPEN, "qwen-2024 [qwen2.5-72b-instruct.licence = qwen-2024;"),
    Told(
        "Qwen2.5 72B wants a licence above 100 million monthly users",
        "qwen2.5-72b-instruct",
        USE,
        "monthly_active_users > 100000000 [qwen-2024.conditions",
        caller=LARGE,
    ),
    Told(
        "which an agreement with Alibaba meets",
        "qwen2.5-72b-instruct",
        USE,
        duties=('"Built with Qwen"',),
        caller=f"{LARGE}, agreements: [{{type: licence, with: alibaba, id: 2026-7}}]",
    ),
    Told(
        "Qwen2.5 3B is for research alone",
        "qwen2.5-3b-instruct",
        USE,
        "no commercial use [qwen-research.commercial_use = false;",
    ),
    Told(
        "DeepSeek V3 has a licence of its own", "deepseek-v3", OPEN, "deepseek-1.0 [deepseek-v3.licence = deepseek-1.0;"
    ),
    Told(
        "V3-0324 is MIT on weights that are not",
        "deepseek-v3-0324",
        OPEN,
        "deepseek-1.0 via deepseek-v3 [deepseek-v3.licence = deepseek-1.0;",
    ),
    Told(
        "MiniMax M1 is Apache-2.0 on a base that is not",
        "minimax-m1",
        OPEN,
        "minimax-model via minimax-text-01",
    ),
    Told(
        "MiniMax M2 is MIT, on weights of which nobody says where they began",
        "minimax-m2",
        OPEN,
        "unknown [minimax-m2.derived_from",
    ),
    Told(
        "MiniMax M2.7 is not for commerce", "minimax-m2.7", USE, "no commercial use [minimax-nc.commercial_use = false;"
    ),
    Told(
        "MiniMax M3 wants a notice from small users, which is an agreement here",
        "minimax-m3",
        USE,
        "not registered [minimax-community.conditions",
    ),
    Told(
        "MiniMax M3 wants an authorisation above 20 million USD a year",
        "minimax-m3",
        USE,
        "yearly_revenue_usd > 20000000 [minimax-community.conditions",
        caller=LARGE,
    ),
    Told(
        "Kimi K2 above its lines obliges to show a name, and takes no right away",
        "kimi-k2-instruct",
        USE,
        duties=("above 100 million monthly active users, show the model's name",),
        caller=LARGE,
    ),
    Told(
        "Kimi K2 below its lines asks for nothing but its notice",
        "kimi-k2-instruct",
        USE,
        duties=("keep the copyright",),
    ),
    Told("Kimi K3 below its lines is free to use", "kimi-k3", USE, duties=("keep the copyright notice",)),
    Told(
        "Kimi K3 above 20 million USD a year is asked for an agreement",
        "kimi-k3",
        USE,
        "yearly_revenue_usd > 20000000 [kimi-k3.conditions",
        caller=LARGE,
    ),
    Told(
        "a caller who does not say what it earns cannot be cleared of a line",
        "kimi-k3",
        USE,
        "unknown [caller.yearly_revenue_usd]",
        caller="monthly_active_users: 5",
    ),
    Told(
        "Baichuan2 wants a written authorisation, whatever the size",
        "baichuan2-7b-chat",
        USE,
        "not registered [baichuan2.conditions",
    ),
    Told(
        "and gives no rights above a million daily users, whatever was signed",
        "baichuan2-7b-chat",
        USE,
        "daily_active_users > 1000000 [baichuan2.conditions",
        caller=f"{LARGE}, agreements: [{{type: licence, with: baichuan, id: 2026-9}}]",
    ),
    # --- places --------------------------------------------------------------------------------------------------
    Told("Llama 4 is not licensed to a caller in the EU", "llama-4-scout", USE, "territory DE [caller.country = DE;"),
    Told(
        "Llama 3.3 is, for its clause speaks of multimodal models",
        "llama-3.3-70b-instruct",
        USE,
        duties=("Built with",),
    ),
    Told("Hunyuan leaves the EU out", "hunyuan-a13b-instruct", USE, "territory DE [caller.country = DE;"),
    # --- lists ---------------------------------------------------------------------------------------------------
    Told(
        "the law of December 2025 names DeepSeek, and what was made from it follows",
        "r1-1776",
        "developer.lists: {deny: [us-ndaa-2026-1532]}",
        "us-ndaa-2026-1532 via deepseek-r1 [deepseek.lists = us-ndaa-2026-1532 since 2025-12-18; P.L. 119-60",
    ),
    Told(
        "Tencent has been on the list of section 1260H since 7 January 2025",
        "hunyuan-7b-instruct",
        "developer.lists: {deny: [us-dod-1260h]}",
        "us-dod-1260h [tencent.lists = us-dod-1260h since 2025-01-07;",
    ),
    Told(
        "before that day its lists did not say so",
        "hunyuan-7b-instruct",
        "developer.lists: {deny: [us-dod-1260h]}",
        day=date(2025, 1, 6),
    ),
    Told(
        "a notice that was withdrawn lists nobody, and clears nobody",
        "qwen3-32b",
        "developer.lists: {deny: [us-dod-1260h]}",
        "unknown [alibaba.lists = unknown; no source",
    ),
    Told(
        "an entry on one list does not clear of another",
        "glm-4.5",
        "developer.lists: {deny: [us-dod-1260h]}",
        "unknown [zhipu.lists = us-bis-entity-list since 2025-01-16;",
    ),
    # --- one's own tuning ----------------------------------------------------------------------------------------
    Told(
        "a tuning of one's own has the origin of what it was made from",
        "acme-support",
        NO_CHINA,
        "CN via qwen3-32b [alibaba.country = CN;",
        models=TUNED.replace("BASE", "qwen3-32b"),
    ),
    Told(
        "and its licence",
        "acme-support",
        USE,
        "territory DE via llama-4-scout [caller.country = DE;",
        models=TUNED.replace("BASE", "llama-4-scout"),
    ),
    Told(
        "from French weights it passes",
        "acme-support",
        NO_CHINA,
        models=TUNED.replace("BASE", "mistral-small-3.2"),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said_of_one_s_own_weights(case: Told, tmp_path: Path) -> None:
    """Weights on one's own machine: their origin, licence and lists are told with the fact and its source."""
    text = told(
        tmp_path, case.rule, OWN.replace("MODEL", case.model), caller=case.caller, day=case.day, models=case.models
    )
    if case.refusal:
        assert "own: refused" in text
        assert case.refusal in text
    else:
        assert "own: permitted" in text
    for duty in case.duties:
        assert duty in text


HOSTED_CASES = (
    (
        "an alias is never pinned",
        PINNED,
        "mistral-large-latest",
        "p/model.pinned: not pinned [mistral-large-latest.pinned = false;",
    ),
    (
        "a licence that binds users of a hosted copy is told of an alias too",
        USE,
        "mistral-medium-latest",
        "duty: Modified MIT License (Mistral AI) binds users of a hosted copy too",
    ),
    (
        "an alias is closed or open as what it stands for",
        "weights.openness: {allow: [open_weights]}",
        "codestral-latest",
        "closed via codestral-2508 [codestral-2508.openness = closed;",
    ),
    (
        "a model that is denied is denied under its alias",
        "model.id: {deny: [mistral-large-2512]}",
        "mistral-large-latest",
        "mistral-large-latest stands for mistral-large-2512",
    ),
    (
        "an alias of nobody knows what is unknown",
        "developer.country: {deny: [RU]}",
        "qwen-plus",
        "unknown [qwen-plus.alias_of = unknown; no source",
    ),
)


@pytest.mark.parametrize(("name", "rule", "model", "said"), HOSTED_CASES, ids=[case[0] for case in HOSTED_CASES])
def test_what_is_said_of_a_name_that_moves(name: str, rule: str, model: str, said: str, tmp_path: Path) -> None:
    """At its developer's endpoint an alias is judged as what it stands for on the day."""
    assert name
    operator, endpoint = ("alibaba-intl", "") if model == "qwen-plus" else ("mistral", "endpoint: eu, ")
    deployments = HOSTED.replace("MODEL", model).replace("OPERATOR", operator).replace("ENDPOINT", endpoint)
    assert said in told(tmp_path, rule, deployments.replace("NAME", model))


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2025, 9, 1), "deepseek-chat stands for deepseek-v3.1 ["),
        (date(2025, 9, 21), "deepseek-chat stands for deepseek-v3.1 ["),
        (date(2025, 12, 1), "deepseek-chat stands for deepseek-v3.2 ["),
        (date(2026, 5, 1), "deepseek-chat stands for deepseek-v4-flash ["),
        (date(2026, 8, 1), "p/model.id: unknown [deepseek-chat.alias_of = unknown; no source"),
    ],
)
def test_an_alias_is_what_it_was_on_the_day(day: date, said: str, tmp_path: Path) -> None:
    """`deepseek-chat` stood for one model after another, as DeepSeek's change log tells, and then for none."""
    rule = "model.id: {deny: [deepseek-v3.1, deepseek-v3.2, deepseek-v4-flash]}"
    deployments = HOSTED.replace("MODEL", "deepseek-chat").replace("OPERATOR", "deepseek").replace("ENDPOINT", "")
    assert said in told(tmp_path, rule, deployments.replace("NAME", "deepseek-chat"), day=day)


def test_a_name_that_moves_is_not_taken_for_a_version(tmp_path: Path) -> None:
    """A deployment that declares a version and calls an alias is a fault of the configuration, with the way out."""
    deployments = HOSTED.replace("MODEL", "mistral-large-2512").replace("OPERATOR", "mistral")
    with pytest.raises(
        ConfigError, match="`mistral-large-latest` is an alias that moves: write `model: mistral-large-lat"
    ):
        told(
            tmp_path, PINNED, deployments.replace("ENDPOINT", "endpoint: eu, ").replace("NAME", "mistral-large-latest")
        )


def test_a_tuning_whose_lineage_is_not_declared_is_a_fault(tmp_path: Path) -> None:
    """A model of one's own must say from what it was made; unknown would refuse it everywhere without a word why."""
    models = "models: {acme-support: {developer: self, licence: apache-2.0, source: log 77}}"
    with pytest.raises(ConfigError, match="say what it was made from: `derived_from:"):
        told(tmp_path, NO_CHINA, OWN.replace("MODEL", "acme-support"), models=models)


def test_an_alias_of_one_s_own_must_stand_for_models(tmp_path: Path) -> None:
    """Targets must be known, and none of them an alias."""
    for target, fault in (("nothing-9b", "unknown model `nothing-9b`"), ("gpt-5.6", "`gpt-5.6` is an alias too")):
        models = f"models: {{house: {{developer: self, alias_of: [{{model: {target}}}], source: log 11}}}}"
        with pytest.raises(ConfigError, match=fault):
            told(tmp_path, NO_CHINA, OWN.replace("MODEL", "house"), models=models)
