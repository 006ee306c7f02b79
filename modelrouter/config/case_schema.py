"""What a file of cases may hold: deployments, and what a policy must say of each of them.

Cases stand in a file of their own, `NAME.cases.yaml` beside `NAME.yaml`. So a policy stays short, its digest does not
change with its tests, a wrong test never keeps a router from starting, and one may test what somebody else wrote.
"""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from modelrouter.config.caller_schema import CallerConfig
from modelrouter.config.deployment_schema import DeploymentConfig
from modelrouter.config.fields import Base, Day, Label, Name, Text, fault
from modelrouter.config.route_schema import NeedsConfig
from modelrouter.config.schema import LicenceEntry, ModelEntry, OrganisationEntry
from modelrouter.errors import ConfigError, PolicyError

__all__ = ["CaseConfig", "CasesConfig"]

REFUSED_SCHEMA: Final = {
    "anyOf": [{"const": True}, {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}


def _refused(value: object) -> object:
    if value is False:
        raise fault("`refused: false` says too little: write `permitted: true`")
    if value is True:
        return ()
    if isinstance(value, str) and value.strip():
        return (value,)
    if isinstance(value, (list, tuple)) and value:
        return value
    raise fault("expected a rule, as `developer.country`, a list of rules, or `true`")


def _permitted(value: object) -> object:
    if value is not True:
        raise fault("only `true` can stand here: for the contrary write `refused: RULE`")
    return value


def _shape(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<parts>"


Rules: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_refused), WithJsonSchema(REFUSED_SCHEMA)]
Permitted: TypeAlias = Annotated[bool, BeforeValidator(_permitted), WithJsonSchema({"const": True})]
Deployment: TypeAlias = Annotated[
    Annotated[Name, Tag("<name>")] | Annotated[DeploymentConfig, Tag("<parts>")], Discriminator(_shape)
]


class CaseConfig(Base):
    """One deployment, and what the policy must say of it."""

    deployment: Deployment = Field(description="a deployment as in a configuration, or the name of one there")
    permitted: Permitted | None = Field(None, description="`true`: no rule refuses it")
    refused: Rules | None = Field(None, description="the rule that refuses it, several that all do, or `true` for any")
    reason: Text | None = Field(None, description="the words in which that rule refuses, as `parent CN`")
    because: Text | None = Field(None, description="why this is right: the law, contract or source it rests on")
    tags: dict[Name, Text] = Field({}, description="tags of the request; absent is a request without tags")
    on: Day | None = Field(None, description="the day of judging; absent is that of the file")
    caller: CallerConfig | None = Field(None, description="facts of the caller that differ from the file's")
    needs: NeedsConfig | None = Field(None, description="what the request needs beside")

    @model_validator(mode="after")
    def _expects_one_thing(self) -> CaseConfig:
        if (self.permitted is None) == (self.refused is None):
            raise fault("a case expects one thing: write `permitted: true` or `refused: RULE`")
        if self.reason is not None and len(self.refused or ()) != 1:
            raise fault("`reason` belongs to one rule: write `refused: RULE` with it, or remove it")
        return self

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """Cases belong to policies."""
        return PolicyError


class CasesConfig(Base):
    """The cases of one policy."""

    policy: Name = Field(description="the policy's name, which is the file's before `.cases.yaml`")
    on: Day | None = Field(None, description="the day on which cases are judged; absent is today")
    caller: CallerConfig | None = Field(None, description="who asks; absent is the configuration's caller")
    organisations: dict[Label, OrganisationEntry] = Field({}, description="organisations that only these cases know")
    licences: dict[Label, LicenceEntry] = Field({}, description="licences that only these cases know")
    models: dict[Label, ModelEntry] = Field({}, description="models that only these cases know")
    cases: tuple[CaseConfig, ...] = Field(description="deployments, each with what the policy must say of it")

    @model_validator(mode="before")
    @classmethod
    def _has_cases(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(value, dict) and value.get("cases") == []:
            raise fault("`cases` is empty: write at least one, or remove the file")
        return value

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """Cases belong to policies."""
        return PolicyError
