"""What a route may hold: who is tried, in which order, and what they must be able to do."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from modelrouter.config.fields import Base, Flag, Name, Seconds, Whole, WholeAboveZero, fault
from modelrouter.config.policy_schema import Policies
from modelrouter.config.traffic_schema import OwnTimeoutsConfig
from modelrouter.core.request import CAPABILITIES, Needs

__all__ = ["ANY", "NeedsConfig", "OutputTokensConfig", "RouteConfig", "SplitConfig"]

ANY: Final = "any"


class SplitConfig(Base):
    """Deployments that share the requests of one step by weight."""

    split: dict[Name, WholeAboveZero] = Field(description="deployment to its weight, a whole number above zero")
    sticky: Literal["session"] | None = Field(None, description="`session` keeps a session with its deployment")

    @model_validator(mode="after")
    def _has_members(self) -> SplitConfig:
        if not self.split:
            raise fault("a split without deployments: add some with their weights")
        return self


class NeedsConfig(Base):
    """What whoever serves the route must be able to do."""

    context_tokens: WholeAboveZero | None = Field(None, description="the window that must be served")
    audio_input: Flag = Field(default=False, description="takes sound")
    files: Flag = Field(default=False, description="takes files")
    json_object: Flag = Field(default=False, description="answers with a JSON object when asked")
    json_schema: Flag = Field(default=False, description="answers by a given JSON schema")
    logprobs: Flag = Field(default=False, description="reports log probabilities")
    parallel_tools: Flag = Field(default=False, description="calls several tools at once")
    reasoning: Flag = Field(default=False, description="can be asked to reason")
    seed: Flag = Field(default=False, description="takes a seed")
    tools: Flag = Field(default=False, description="calls tools")
    vision: Flag = Field(default=False, description="takes images")

    def needs(self) -> Needs:
        """As the core has it."""
        wanted = frozenset(name for name in CAPABILITIES if getattr(self, name))
        return Needs(context_tokens=self.context_tokens, capabilities=wanted)


class OutputTokensConfig(Base):
    """How long answers may be."""

    default: WholeAboveZero = Field(1024, description="the output limit of a request that sets none")
    min: WholeAboveZero = Field(1, description="a ceiling never shortens the answer below this")

    @model_validator(mode="after")
    def _in_order(self) -> OutputTokensConfig:
        if self.min > self.default:
            raise fault(f"`min` {self.min} is more than `default` {self.default}: lower it")
        return self


def _word(text: str) -> str:
    return text if text == ANY else _checked(text)


def _checked(text: str) -> str:
    from modelrouter.config.fields import NAME

    if not NAME.fullmatch(text):
        raise fault(f"`{text[:80]}` is no name of a deployment")
    return text


def _filled(value: object) -> object:
    if isinstance(value, str) and value != ANY:
        raise fault(f"`{value}` stands alone where a list is expected: write `[{value}]`")
    if isinstance(value, (list, tuple)) and not value:
        raise fault("a route without candidates: name at least one deployment, or write `any`")
    return value


Candidate: TypeAlias = Annotated[
    Annotated[str, BeforeValidator(_word), Tag("<name>")] | Annotated[SplitConfig, Tag("<parts>")],
    Discriminator(lambda value: "<name>" if isinstance(value, str) else "<parts>"),
]
Candidates: TypeAlias = Annotated[
    Annotated[str, Tag("<any>"), WithJsonSchema({"const": ANY})] | Annotated[tuple[Candidate, ...], Tag("<list>")],
    Discriminator(lambda value: "<any>" if isinstance(value, str) else "<list>"),
    BeforeValidator(_filled),
]


OnAnswer: TypeAlias = Literal["fallback", "return"]


class RouteConfig(Base):
    """The name that application code uses."""

    try_: Candidates = Field(alias="try", description="deployments in order, splits among them, or `any`")
    prefer: Literal["listed", "cost", "latency", "quality"] = Field(
        "listed", description="the order among the permitted"
    )
    needs: NeedsConfig = Field(NeedsConfig(), description="what candidates must be able to do")
    output_tokens: OutputTokensConfig = Field(OutputTokensConfig(), description="how long answers may be")
    reasoning: Literal["none", "low", "high"] | None = Field(None, description="how much a model may think first")
    policies: Policies = Field((), description="policies of this route, beside the house's and the top's; or `none`")
    timeout_s: Seconds | None = Field(None, description="deadline of a request that sets none")
    timeouts: OwnTimeoutsConfig = Field(OwnTimeoutsConfig(), description="of its attempts, beside the deployments' own")
    attempts_max: Annotated[WholeAboveZero, Field(le=100)] = Field(6, description="over all candidates of one request")
    retries_max: Annotated[Whole, Field(le=100)] = Field(
        2, description="how often one candidate is asked again when nobody else is left, where it did not say when"
    )
    on_refusal: OnAnswer = Field("fallback", description="the model declines: ask the next candidate, or return it")
    on_filtered: OnAnswer = Field("fallback", description="a content filter stopped the answer")
    on_empty: OnAnswer = Field("fallback", description="the answer ends properly and says nothing")
    on_out_of_tokens: OnAnswer = Field(
        "fallback", description="the output limit was reached, as by thinking, before anything was said"
    )
    on_foreign_history: Literal["refuse", "strip"] = Field(
        "refuse", description="a candidate cannot take a part of the conversation: refuse it, or strip that part for it"
    )
    on_schema: OnAnswer = Field("fallback", description="the answer is not the JSON that `response_format` asked for")
