"""What a configuration may hold, as typed Python objects and as YAML alike.

``Config(...)`` built in Python is checked as a file is and raises the same `ConfigError`, without file and line.
"""

# ruff: noqa: TC002 - pydantic reads annotations at run time
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from modelrouter.config.caller_schema import AgreementConfig, CallerConfig, TagConfig
from modelrouter.config.deployment_schema import DeploymentConfig
from modelrouter.config.fields import Base, Flag, Label, Name, Texts, Whole, fault
from modelrouter.config.money_schema import BudgetConfig, LedgerConfig, LedgerPlace, WaitConfig
from modelrouter.config.policy_schema import Policies, PolicyConfig, RuleConfig, WaiverConfig
from modelrouter.config.price_schema import Currency, RateConfig
from modelrouter.config.revoked_schema import RevocationsConfig
from modelrouter.config.route_schema import NeedsConfig, OutputTokensConfig, RouteConfig, SplitConfig
from modelrouter.config.traffic_schema import (
    HealthConfig,
    LimitsConfig,
    OwnTimeoutsConfig,
    RetriesConfig,
    TimeoutsConfig,
)

__all__ = [
    "AgreementConfig",
    "BudgetConfig",
    "CallerConfig",
    "Config",
    "DeploymentConfig",
    "HealthConfig",
    "LedgerConfig",
    "LimitsConfig",
    "NeedsConfig",
    "OutputTokensConfig",
    "OwnTimeoutsConfig",
    "OwnershipConfig",
    "PolicyConfig",
    "RetriesConfig",
    "RevocationsConfig",
    "RouteConfig",
    "RuleConfig",
    "SplitConfig",
    "TagConfig",
    "TimeoutsConfig",
    "WaitConfig",
    "WaiverConfig",
]

VERSION = 1


def _version(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value == VERSION:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > VERSION:
        raise fault(f"the file is of format {value}, and this modelrouter knows formats up to {VERSION}: update it")
    raise fault(f"`{value}` is no version of the format that is known here: write `modelrouter: {VERSION}`")


def _entry(value: object) -> object:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise fault("expected keys with values: write `{key: value}`, or the keys on lines of their own below")


def _plain(value: object) -> object:
    """Sets and tuples as the lists that a file would hold."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class _Shape:
    """What editors are told about an entry; `modelrouter.catalog` reads it, and names what is wrong in it."""

    name: str

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        from modelrouter.catalog import schema  # only editors ask for it

        model: type[BaseModel] = getattr(schema, self.name)
        return handler(model.__pydantic_core_schema__)


Entry: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_entry)]
OrganisationEntry: TypeAlias = Annotated[Entry, _Shape("OrganisationEntry")]
LicenceEntry: TypeAlias = Annotated[Entry, _Shape("LicenceEntry")]
ModelEntry: TypeAlias = Annotated[Entry, _Shape("ModelEntry")]
Version: TypeAlias = Annotated[Whole, BeforeValidator(_version), WithJsonSchema({"const": VERSION})]
Ownership: TypeAlias = Literal["forbidden", "flagged", "allowed"]


class OwnershipConfig(Base):
    """What files below a house may state: `forbidden` refuses it, `flagged` notes it, `allowed` is silent."""

    agreements: Ownership = Field("allowed", description="papers of the caller")
    organisations: Ownership = Field("allowed", description="entries under `organisations`")
    licences: Ownership = Field("allowed", description="entries under `licences`")
    models: Ownership = Field("allowed", description="entries under `models`")
    operators: Ownership = Field("allowed", description="entries under `operators`")
    links: Ownership = Field("allowed", description="terms of other organisations of a deployment's chain")
    processing: Ownership = Field("allowed", description="where a deployment computes")
    storage: Ownership = Field("allowed", description="where data rests")
    training: Ownership = Field("allowed", description="whether it trains on prompts")
    retention_days: Ownership = Field("allowed", description="how long it keeps prompts")
    price: Ownership = Field("allowed", description="what it costs")
    context_tokens: Ownership = Field("allowed", description="the window it serves")
    capabilities: Ownership = Field("allowed", description="what it can do")
    quantization: Ownership = Field("allowed", description="how its weights are stored")
    pinned: Ownership = Field("allowed", description="whether its name stays the same weights")
    retires_on: Ownership = Field("allowed", description="its last day")
    quality: Ownership = Field("allowed", description="how good its answers are held to be")
    bound_basis: Ownership = Field("allowed", description="what its bound rests on, and its overhead")


class Config(Base):
    """A whole configuration."""

    modelrouter: Version = Field(VERSION, description="version of the format")
    include: Texts = Field((), description="house files, which hold and may only be tightened here")
    caller: CallerConfig | None = Field(None, description="who we are")
    ledger: LedgerPlace | None = Field(
        None, description="the book, as sqlite:///modelrouter.db or postgresql://user@host/database"
    )
    tags: dict[Name, TagConfig] = Field({}, description="tags that requests may carry")
    baseline: Name | None = Field(None, description="the deployment that savings are measured against")
    organisations: dict[Label, OrganisationEntry] = Field({}, description="organisations, beside the shipped ones")
    licences: dict[Label, LicenceEntry] = Field({}, description="licences, beside the shipped ones")
    models: dict[Label, ModelEntry] = Field({}, description="models, beside shipped ones")
    operators: dict[Label, Annotated[Entry, _Shape("OperatorTemplateEntry")]] = Field(
        {}, description="templates of operators, beside the shipped ones"
    )
    rates: dict[Currency, RateConfig] = Field({}, description="dollars for one unit of a currency, as `EUR`")
    deployments: dict[Name, DeploymentConfig] = Field({}, description="what can be called")
    routes: dict[Name, RouteConfig] = Field({}, description="what application code names")
    policies: Policies = Field((), description="policies of every route, or `none`")
    waivers: tuple[WaiverConfig, ...] = Field((), description="exceptions to rules of policies that this file owns")
    ownership: OwnershipConfig | None = Field(None, description="in a house: what files below may state themselves")
    budgets: dict[Name, BudgetConfig] = Field({}, description="limits on money, over all calls of a window of time")
    revocations: RevocationsConfig | None = Field(
        None, description="a signed file that says who is cut off, for a machine without the ledger"
    )
    timeouts: TimeoutsConfig | None = Field(None, description="seconds, where nothing else says so")
    health: HealthConfig | None = Field(None, description="when a deployment is tried last")
    retries: RetriesConfig | None = Field(None, description="how many failing retries and fallbacks each takes")
    inspect: tuple[Literal["builtin", "presidio"], ...] = Field(
        (), description="look into requests before deciding; tags say by `raised_by` what that raises"
    )
    offline: Flag = Field(default=False, description="`true` connects to declared endpoints only")
