"""What a policy file may hold; the same as a policy written inside a configuration or built in Python."""

# ruff: noqa: TC001 - pydantic reads annotations at run time
from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from modelrouter.config.fields import Base, Day, Flag, Name, Text, fault
from modelrouter.core.rules import all_keys
from modelrouter.errors import ConfigError, PolicyError

__all__ = ["NONE", "OPTIONS", "Policies", "PolicyConfig", "PolicyItem", "RuleConfig", "WaiverConfig"]

NONE: Final = "none"
VERBS: Final = ("allow", "deny", "min", "max", "require")
OPTIONS: Final = (
    "grade", "hosting", "lineage", "undisclosed", "of", "by", "window", "min_volume", "mode", "when_alone",
)  # fmt: skip


def _names(value: object) -> object:
    if isinstance(value, (str, int, Decimal)):
        raise fault(f"`{value}` stands alone where a list is expected: write `[{value}]`")
    if isinstance(value, (list, tuple, set, frozenset)) and not value:
        raise fault("an empty list: name at least one, or remove the rule")
    return value


def _required(value: object) -> object:
    if value is True:
        return value
    if value is False:
        raise fault("`require: false` asks nothing: remove the rule")
    return _names(value)


def _limit(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise fault("not a limit: write one number or word; in Python an int, text or Decimal, not a float")
    return value


LIMIT_SCHEMA: Final = {"anyOf": [{"type": "number"}, {"type": "string"}]}
REQUIRED_SCHEMA: Final = {"anyOf": [{"const": True}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
NAMES_SCHEMA: Final = {"type": "array", "items": {"type": "string"}, "minItems": 1}
Names: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_names), WithJsonSchema(NAMES_SCHEMA)]
Limit: TypeAlias = Annotated[Any, BeforeValidator(_limit), WithJsonSchema(LIMIT_SCHEMA)]
Required: TypeAlias = Annotated[
    Annotated[bool, Tag("<flag>")] | Annotated[tuple[Text, ...], Tag("<list>")],
    Discriminator(lambda value: "<flag>" if isinstance(value, bool) else "<list>"),
    BeforeValidator(_required),
    WithJsonSchema(REQUIRED_SCHEMA),
]


class RuleConfig(Base):
    """One rule: verbs that test a fact, and the parameters of its family."""

    allow: Names | None = Field(None, description="every member of the fact must be among these")
    deny: Names | None = Field(None, description="no member of the fact may be among these")
    min: Limit | None = Field(None, description="the fact must be at least this")
    max: Limit | None = Field(None, description="the fact must be at most this")
    require: Required | None = Field(None, description="`true`, or what must be there")
    because: Text | None = Field(None, description="the reason, for people")
    ref: Text | None = Field(None, description="the law, contract or minutes it rests on")
    grade: Any = Field(None, description="grades of a statement about places that are accepted")
    hosting: Any = Field(None, description="ways of hosting for which the rule asks")
    lineage: Any = Field(None, description="relations along which ancestors are asked too")
    undisclosed: Any = Field(None, description="relation to `permit` or `refuse` where it is not disclosed")

    of: Any = Field(None, description="of a share: `spend` (the default), `calls` or `tokens`")
    by: Any = Field(
        None, description="of a share: vendors by `operator` (the default), `developer`, `parent` or `country`"
    )
    window: Any = Field(None, description="of a share: how far back it is measured, as `30d` or `24h`")
    min_volume: Any = Field(
        None, description="of a share: the US dollars, calls or tokens that it is taken of where there are fewer"
    )
    mode: Any = Field(
        None, description="of a share: `hard` (the default) refuses the call, `soft` tries the vendor last"
    )
    when_alone: Any = Field(
        None, description="of a hard share: `permit` or `refuse` where every permitted deployment is one vendor's"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_a_verb(cls, value: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(value, Mapping):
            for key in (*VERBS, *OPTIONS):
                if key in value and value[key] is None:
                    raise fault(f"`{key}` has no value: write one, or remove it")
            known = all(key in cls.model_fields for key in value)
            if known and not any(value.get(verb) is not None for verb in VERBS):
                raise fault(
                    f"a rule without a verb asks nothing: add one of {', '.join(f'`{verb}`' for verb in VERBS)}"
                )
        return value

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """Rules belong to policies."""
        return PolicyError


class WaiverConfig(Base):
    """An exception to one rule for one deployment, signed and dated."""

    id: Text = Field(description="the waiver's own id, as `W-7`")
    rule: Text = Field(description="the rule it excepts from, as `eu-customers/data.retention_days`")
    subject: Name = Field(description="the deployment it is for")
    because: Text = Field(description="the reason")
    owner: Text = Field(description="who answers for it")
    expires: Day = Field(description="its last day, as 2026-12-31")

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """Waivers belong to policies."""
        return PolicyError


def _rule_keys(schema: dict[str, Any]) -> None:
    schema["propertyNames"] = {"enum": list(all_keys())}


class PolicyConfig(Base):
    """A named set of rules."""

    policy: Name = Field(description="the policy's name")
    description: str = Field("", description="what it is for, in a sentence")
    extends: Annotated[tuple[Name, ...], BeforeValidator(_names)] = Field((), description="policies that come along")
    applies_to: dict[Name, Names] = Field({}, description="tag to the values for which the policy binds")
    rules: dict[str, RuleConfig] = Field(
        {}, description="path of a fact to the rule that tests it", json_schema_extra=_rule_keys
    )
    waivers: tuple[WaiverConfig, ...] = Field((), description="exceptions to rules of this policy")
    observe: Flag = Field(default=False, description="`true` records its rules instead of enforcing them")

    @model_validator(mode="after")
    def _says_something(self) -> PolicyConfig:
        if not self.rules and not self.extends:
            raise fault("a policy without rules permits everything: add `rules:` or `extends:`")
        return self

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """What is wrong in a policy is a `PolicyError`."""
        return PolicyError


def _shape(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<parts>"


def _bare(value: object) -> object:
    if isinstance(value, str) and value != NONE:
        if value.casefold() == NONE:
            raise fault(f"`{value}` is no word here: write `{NONE}`")
        raise fault(f"`{value}` stands alone where a list is expected: write `[{value}]`")
    return value


def _no_path(name: object) -> object:
    if isinstance(name, str) and ("/" in name or name.endswith((".yaml", ".yml"))):
        stem = name.rsplit("/", 1)[-1].removesuffix(".yaml").removesuffix(".yml")
        raise fault(f"`{name}` is a path: write `{stem}`; its file is found in the folder `policies` beside this one")
    return name


PolicyItem: TypeAlias = Annotated[
    Annotated[Name, BeforeValidator(_no_path), Tag("<name>")] | Annotated[PolicyConfig, Tag("<parts>")],
    Discriminator(_shape),
]
Policies: TypeAlias = Annotated[
    Annotated[str, Tag("<none>"), WithJsonSchema({"const": NONE})] | Annotated[tuple[PolicyItem, ...], Tag("<list>")],
    Discriminator(lambda value: "<none>" if isinstance(value, str) else "<list>"),
    BeforeValidator(_bare),
]
"""Names of policies or whole policies; or the word `none`, which says that having none is meant."""
