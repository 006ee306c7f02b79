"""The example of the documentation, as YAML and as Python objects."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from modelrouter.config import (
    AgreementConfig,
    BudgetConfig,
    CallerConfig,
    Config,
    DeploymentConfig,
    NeedsConfig,
    OutputTokensConfig,
    PolicyConfig,
    RouteConfig,
    RuleConfig,
    SplitConfig,
    TagConfig,
    WaitConfig,
    WaiverConfig,
    build,
    load,
)
from modelrouter.core.budget import Window
from modelrouter.core.facts import Fact, Hosting, LinkRole, Ownership, State, Training
from modelrouter.core.policy import Level
from modelrouter.core.request import Needs, Reasoning
from modelrouter.core.route import Try

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from modelrouter.config import Setup

# ruff: noqa: E501 - the example is as the documentation has it
HOUSE = "modelrouter: 1\npolicies: [no-prc-operator]\n"
YAML = """
modelrouter: 1                              # schema version
include: [house.yaml]                       # may only be tightened below
caller: {name: Acme GmbH, country: DE, monthly_active_users: 40000,
         agreements: [{type: dpa, with: mistral, id: "2026-114", expires: 2027-05-01}, {type: dpa, with: azure, id: "2026-020"}]}
ledger: sqlite:///modelrouter.db
tags: {data_class: {values: [public, personal], default: personal}, team: {}, user: {personal: true}}
baseline: gpt                               # what saved_usd is measured against
models: {acme-support: {developer: self, derived_from: [mistral-small-3.2], licence: apache-2.0, source: "training log 77"}}
deployments:
  small:   {model: acme-support, operator: self, runs_on: hetzner, hosts: [vllm.internal], base_url: "http://vllm.internal:8000/v1", name: acme-support,
            key: "env:VLLM_KEY", processing: [DE], storage: none, retention_days: 0, training: never, price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.20},
            source: {ref: "platform team", checked_on: 2026-11-01, confidence: high, grade: technical}}
  mistral: {model: mistral-medium-3.5, operator: mistral, endpoint: eu, key: "env:MISTRAL_API_KEY"}          # facts from the catalog
  gpt:     {model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme, key: "file:/run/secrets/azure"}
  qwen:    {model: qwen3-32b, operator: self, hosts: [127.0.0.1], base_url: "http://127.0.0.1:8001/v1", name: qwen}
routes:
  support:
    try: [{split: {small: 70, mistral: 30}, sticky: session}, gpt]     # or a flat list, or `any`
    prefer: listed                          # listed | cost (expected) | latency | quality (only with quality facts)
    needs: {context_tokens: 32000, json_schema: true}
    output_tokens: {default: 1500, min: 400}
    reasoning: none                         # none | low | high, mapped per deployment
    policies: [eu-customers]                # added to the house's, never instead of them
  drafts: {try: [qwen, small]}
budgets:
  month: {usd: 2000, window: month, tz: Europe/Berlin}
  team:  {usd: 50, window: day, each: tag.team, when_reserved: {wait_s: 5}}
offline: false                              # true: no connection but declared endpoints
"""
POLICY = """
policy: eu-customers
description: personal data of EU customers
extends: [baseline]                         # baseline comes along as a layer of its own
applies_to: {data_class: [personal]}        # several tags: all; a missing tag binds too
rules:                                      # key = the fact's path; verbs: allow deny min max require
  developer.country:   {deny: [CN, RU], lineage: [derived_from, distilled_from], undisclosed: {distilled_from: permit}, because: "risk board 2026-04"}
  operator.country:    {deny: [CN, HK, MO]}
  processing.country:  {allow: [EEA], grade: [contractual, technical], ref: "GDPR ch. V"}
  data.training:       {allow: [never]}
  data.retention_days: {max: 30}
  agreements:          {require: [dpa]}
  weights.licence:     {allow: [Apache-2.0, MIT], hosting: [self_hosted]}
  request.cost_usd:    {max: 0.02}
waivers: [{id: W-7, rule: eu-customers/data.retention_days, subject: gpt, because: "ZDR contract pending", owner: dpo, expires: 2026-12-31}]
"""


def _written(folder: Path) -> Path:
    (folder / "house.yaml").write_text(HOUSE)
    (folder / "policies").mkdir()
    (folder / "policies" / "eu-customers.yaml").write_text(POLICY)
    path = folder / "modelrouter.yaml"
    path.write_text(YAML)
    return path


def _same_in_python() -> Config:
    """The same configuration as typed objects; amounts are Decimal or text, days are text or dates."""
    source: Any = {"ref": "platform team", "checked_on": "2026-11-01", "confidence": "high", "grade": "technical"}
    return Config(
        include=("house.yaml",),
        caller=CallerConfig(
            name="Acme GmbH",
            country="DE",
            monthly_active_users=40_000,
            agreements=(
                AgreementConfig(type="dpa", with_="mistral", id="2026-114", expires="2027-05-01"),
                AgreementConfig(type="dpa", with_="azure", id="2026-020"),
            ),
        ),
        ledger="sqlite:///modelrouter.db",
        tags={
            "data_class": TagConfig(values=("public", "personal"), default="personal"),
            "team": TagConfig(),
            "user": TagConfig(personal=True),
        },
        baseline="gpt",
        models={
            "acme-support": {
                "developer": "self",
                "derived_from": {"mistral-small-3.2"},
                "licence": "apache-2.0",
                "source": "training log 77",
            }
        },
        deployments={
            "small": DeploymentConfig(
                model="acme-support",
                operator="self",
                runs_on="hetzner",
                hosts=("vllm.internal",),
                base_url="http://vllm.internal:8000/v1",
                name="acme-support",
                key="env:VLLM_KEY",
                processing=("DE",),
                storage="none",
                retention_days=0,
                training="never",
                price={"input_usd_per_mtok": "0.05", "output_usd_per_mtok": Decimal("0.20")},
                source=source,
            ),
            "mistral": DeploymentConfig(
                model="mistral-medium-3.5", operator="mistral", endpoint="eu", key="env:MISTRAL_API_KEY"
            ),
            "gpt": DeploymentConfig(
                model="gpt-5.6-sol",
                operator="azure",
                endpoint="datazone-eu",
                resource="acme",
                key="file:/run/secrets/azure",
            ),
            "qwen": DeploymentConfig(
                model="qwen3-32b",
                operator="self",
                hosts=("127.0.0.1",),
                base_url="http://127.0.0.1:8001/v1",
                name="qwen",
            ),
        },
        routes={
            "support": RouteConfig(
                try_=(SplitConfig(split={"small": 70, "mistral": 30}, sticky="session"), "gpt"),
                prefer="listed",
                needs=NeedsConfig(context_tokens=32_000, json_schema=True),
                output_tokens=OutputTokensConfig(default=1500, min=400),
                reasoning="none",
                policies=(_policy_in_python(),),
            ),
            "drafts": RouteConfig(try_=("qwen", "small")),
        },
        budgets={
            "month": BudgetConfig(usd=2000, window="month", tz="Europe/Berlin"),
            "team": BudgetConfig(usd="50", window="day", each="tag.team", when_reserved=WaitConfig(wait_s=5)),
        },
        offline=False,
    )


def _policy_in_python() -> PolicyConfig:
    return PolicyConfig(
        policy="eu-customers",
        description="personal data of EU customers",
        extends=("baseline",),
        applies_to={"data_class": ("personal",)},
        rules={
            "developer.country": RuleConfig(
                deny=("CN", "RU"),
                lineage=("derived_from", "distilled_from"),
                undisclosed={"distilled_from": "permit"},
                because="risk board 2026-04",
            ),
            "operator.country": RuleConfig(deny=("CN", "HK", "MO")),
            "processing.country": RuleConfig(allow=("EEA",), grade=("contractual", "technical"), ref="GDPR ch. V"),
            "data.training": RuleConfig(allow=("never",)),
            "data.retention_days": RuleConfig(max=30),
            "agreements": RuleConfig(require=("dpa",)),
            "weights.licence": RuleConfig(allow=("Apache-2.0", "MIT"), hosting=("self_hosted",)),
            "request.cost_usd": RuleConfig(max=Decimal("0.02")),
        },
        waivers=(
            WaiverConfig(
                id="W-7",
                rule="eu-customers/data.retention_days",
                subject="gpt",
                because="ZDR contract pending",
                owner="dpo",
                expires="2026-12-31",
            ),
        ),
    )


def test_the_example_loads_and_means_what_it_says(tmp_path: Path) -> None:
    """Routes, layers, needs and limits of the example are those that are written."""
    setup = load(_written(tmp_path))
    support, drafts = setup.routes["support"], setup.routes["drafts"]
    assert support.tries == (Try({"small": 70, "mistral": 30}, "session"), Try({"gpt": 1}))
    assert [(layer.policy.name, layer.level) for layer in support.layers] == [
        ("no-prc-operator", Level.HOUSE),
        ("baseline", Level.ROUTE),
        ("eu-customers", Level.ROUTE),
    ]
    assert [layer.policy.name for layer in drafts.layers] == ["no-prc-operator"]
    assert support.needs == Needs(context_tokens=32_000, capabilities=frozenset({"json_schema"}))
    assert (support.default_output_tokens, support.least_output_tokens) == (1500, 400)
    assert support.reasoning is Reasoning.NONE
    policy = setup.policies["eu-customers"][-1]
    assert [waiver.id for waiver in policy.waivers] == ["W-7"]
    assert next(rule for rule in policy.rules if rule.key == "request.cost_usd").at_most == Decimal("0.02")
    assert setup.binding_tags == {"data_class"}
    assert setup.tags["user"].personal
    assert setup.baseline == "gpt"
    assert setup.ledger_path == str(tmp_path / "modelrouter.db")
    assert str(tmp_path / "policies" / "eu-customers.yaml") in setup.files
    month, team = setup.budgets
    assert (month.limit_nano_usd, month.window, month.zone_name) == (2000 * 10**9, Window.MONTH, "Europe/Berlin")
    assert (team.limit_nano_usd, team.window, team.each, team.wait_s) == (50 * 10**9, Window.DAY, "tag.team", 5.0)


def test_the_example_has_the_facts_that_are_written(tmp_path: Path) -> None:
    """The self-hosted deployment has its own facts as its user's, a cloud under it, and an exact price."""
    world = load(_written(tmp_path)).world
    small = world.deployments["small"]
    operator, cloud = small.chain
    assert (operator.organisation, cloud.role, cloud.organisation) == ("self", LinkRole.RUNS_ON, "hetzner")
    assert operator.terms.processing == cloud.terms.processing
    assert operator.terms.processing.source.ownership is Ownership.USER
    assert operator.terms.storage.state is State.NONE
    assert operator.terms.training.value is Training.NEVER
    assert cloud.terms.training == world.organisations["hetzner"].terms.training
    assert small.hosting is Hosting.SELF_HOSTED
    assert small.chain_complete.value is True
    price = small.price.value
    assert price is not None
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (Decimal("0.05"), Decimal("0.20"))
    assert world.deployments["qwen"].chain_complete == Fact.unknown()
    assert world.models["acme-support"].derived_from.value == frozenset({"mistral-small-3.2"})
    assert world.caller.metrics == {"monthly_active_users": 40_000}
    assert world.organisations["self"].country.value == "DE"


def test_python_objects_come_to_the_same_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """World, endpoints, routes, policies and the epoch are equal; only files that were read, and lines in them, differ."""
    read = load(_written(tmp_path))
    (tmp_path / "policies" / "eu-customers.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    built = build(_same_in_python())
    assert built.world.epoch == read.world.epoch
    assert _comparable(built) == _comparable(read)


def _comparable(setup: Setup) -> Setup:
    return replace(setup, files=(), digests={}, digest="", origins={})


def test_layout_and_comments_change_no_digest(tmp_path: Path) -> None:
    """The hashes are of what is meant: comments and blank lines change none, a value changes them."""
    path = _written(tmp_path)
    before = load(path)
    path.write_text("# a comment\n\n" + YAML.replace("prefer: listed  ", "prefer:    listed  "))
    after = load(path)
    assert (after.digest, after.world.epoch) == (before.digest, before.world.epoch)
    path.write_text(YAML.replace("0.20", "0.21"))
    other = load(path)
    assert other.digest != before.digest
    assert other.world.epoch != before.world.epoch
    assert other.digests["policy/eu-customers"] == before.digests["policy/eu-customers"]
