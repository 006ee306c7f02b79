"""What a deployment may hold: its model and chain, the facts that differ from the operator's template, and its wire.

A fact is written as its value, as one of `none`, `undisclosed`, `unknown`, or as `{value: …, source: …}`.
`modelrouter.catalog` turns facts into values of the core; here only their shape is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from modelrouter.config.fields import (
    Amount,
    Base,
    FreeJSON,
    KeySources,
    Label,
    Text,
    Texts,
    WholeAboveZero,
    fault,
)
from modelrouter.config.price_schema import price_schema
from modelrouter.config.traffic_schema import LimitsConfig, OwnTimeoutsConfig

__all__ = ["FACT_KEYS", "DeploymentConfig", "Fact", "SourceField"]

FACT_KEYS: Final = (
    "processing",
    "storage",
    "training",
    "retention_days",
    "price",
    "context_tokens",
    "capabilities",
    "quantization",
    "pinned",
    "retires_on",
    "bound_basis",
    "quality",
)
"""Facts that a deployment may state in place of its template's; a house may forbid each."""


def _fact(value: object) -> object:
    if value is None:
        raise fault("no value: write one, or `unknown`; text such as a lone `~` counts as nothing")
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    return value


def _source(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, Mapping) and "ref" in value):
        return value
    raise fault("a source is a text, or `{ref: …, checked_on: 2026-11-22, confidence: high, grade: contractual}`")


STATES: Final = {"enum": ["none", "undisclosed", "unknown"]}
SOURCE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["ref"],
            "additionalProperties": False,
            "properties": {
                "ref": {"type": "string"},
                "checked_on": {"type": "string", "format": "date"},
                "confidence": {"enum": ["low", "medium", "high"]},
                "grade": {"enum": ["contractual", "technical", "asserted"]},
            },
        },
    ]
}


def _schema(value: dict[str, Any]) -> WithJsonSchema:
    stated = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"value": value, "state": STATES, "source": SOURCE_SCHEMA},
    }
    return WithJsonSchema({"anyOf": [value, STATES, stated]})


STRING: Final = {"type": "string"}
WORDS: Final = {"type": "array", "items": STRING, "minItems": 1}
Fact: TypeAlias = Annotated[Any, BeforeValidator(_fact)]
TextFact: TypeAlias = Annotated[Fact, _schema(STRING)]
WordsFact: TypeAlias = Annotated[Fact, _schema(WORDS)]
CountFact: TypeAlias = Annotated[Fact, _schema({"type": "integer", "minimum": 0})]
FlagFact: TypeAlias = Annotated[Fact, _schema({"type": "boolean"})]
DayFact: TypeAlias = Annotated[Fact, _schema({"type": "string", "format": "date"})]
TrainingFact: TypeAlias = Annotated[Fact, _schema({"enum": ["never", "opt_out", "used"]})]
BasisFact: TypeAlias = Annotated[Fact, _schema({"enum": ["proved", "documented", "window"]})]
RATE: Final = {"anyOf": [{"type": "number", "minimum": 0}, STRING]}
QualityFact: TypeAlias = Annotated[Fact, _schema(RATE)]
PriceFact: TypeAlias = Annotated[Fact, WithJsonSchema({"anyOf": [price_schema(SOURCE_SCHEMA), STATES]})]
SourceField: TypeAlias = Annotated[Any, BeforeValidator(_source), WithJsonSchema(SOURCE_SCHEMA)]


class TermsConfig(Base):
    """The terms of one organisation of a chain, for this deployment."""

    processing: WordsFact = Field(None, description="countries or groups in which it computes")
    storage: WordsFact = Field(None, description="countries or groups in which it keeps data, or `none`")
    training: TrainingFact = Field(None, description="whether it trains on what passes: never, opt_out, used")
    retention_days: CountFact = Field(None, description="days for which it keeps what passes")
    source: SourceField = Field(None, description="where this can be checked")


Tokens: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
Factor: TypeAlias = Annotated[int, Field(strict=True, ge=1)]


class ImageTokensConfig(Base):
    """What an image counts as at most: `base + tokens_per_patch x patches`, between `least` and `most`."""

    most_tokens: Tokens = Field(description="of any image at any detail")
    patch_px: Factor | None = Field(None, description="side of a patch or tile; absent knows no formula")
    tokens_per_patch: Amount = Field(Decimal(1), description="exact, as 1.62")
    base_tokens: Tokens = Field(0, description="added once to each image")
    least_tokens: Tokens = Field(0, description="what the smallest image is scaled up to")
    low_tokens: Tokens | None = Field(None, description="of an image at detail low")


class OverheadConfig(Base):
    """What a chat template and a tokenizer add to a request; each an upper bound. See `modelrouter.core.bounds`."""

    per_request_tokens: Tokens = Field(64, description="per request: begin, default system prompt, start of the answer")
    per_message_tokens: Tokens = Field(16, description="per message, beside its role and content")
    per_toolset_tokens: Tokens = Field(512, description="once where there are tools or a response schema")
    per_tool_tokens: Tokens = Field(64, description="per tool definition, beside its own JSON")
    per_call_tokens: Tokens = Field(64, description="per earlier tool call, and per tool result")
    json_indent: Tokens = Field(4, description="blanks per level where JSON is printed on several lines")
    json_mark_tokens: Tokens = Field(1, description="per comma, colon and bracket of printed JSON")
    json_prints: Factor = Field(1, description="how often each member is printed")
    json_escapes: Literal["json", "html", "ascii"] = Field("ascii", description="what its JSON writer escapes")
    normaliser: Literal["none", "nfc", "nfkc"] = Field("nfc", description="how the tokenizer rewrites text")
    tokens_per_byte: Factor = Field(1, description="most tokens of a byte of text")
    beyond_limit_tokens: Tokens = Field(0, description="billed output that the output limit does not hold, per answer")
    hard_window: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="longer prompts than the known window are refused or cut"
    )
    image: ImageTokensConfig | None = Field(None, description="tokens of an image; absent leaves it to the window")
    audio_tokens_per_s: Tokens | None = Field(None, description="tokens of a second of audio")


class ReasoningConfig(Base):
    """What is sent to ask for each level of reasoning."""

    none: FreeJSON | None = Field(None, description="members of the request body that switch thinking off")
    low: FreeJSON | None = Field(None, description="members that ask for a little thinking")
    high: FreeJSON | None = Field(None, description="members that ask for much thinking")


class DeploymentConfig(Base):
    """One callable endpoint: a model at an operator."""

    model: Label = Field(description="id of a model")
    operator: Label = Field(description="id of the operator, `self` for your own server")
    via: Label | None = Field(None, description="id of the aggregator in between")
    subprocessor: Label | None = Field(None, description="who sees the prompt beside the operator")
    runs_on: Label | None = Field(None, description="the cloud under your own server, `none` for your own rooms")
    server: Label | None = Field(None, description="kind of your own server, as vllm or llamacpp")
    endpoint: Label | None = Field(None, description="which of the operator's endpoints")
    resource: Text | None = Field(None, description="part of the operator's address, as an Azure resource")
    region: Text | None = Field(None, description="part of the operator's address, as eu-central-1")
    project: Text | None = Field(None, description="part of the operator's address")
    account: Text | None = Field(None, description="part of the operator's address")

    base_url: Text | None = Field(None, description="address up to the operation, as http://vllm.internal:8000/v1")
    hosts: Texts | None = Field(None, description="the only hosts that may be connected to")
    name: Text | None = Field(None, description="the model's name at this endpoint")
    key: KeySources | None = Field(None, description="`env:VARIABLE` or `file:/path`, or a list of them used in turn")
    key_header: Text | None = Field(None, description="header of the key; absent is `authorization`")
    lane: Literal["direct", "litellm"] | None = Field(None, description="absent is the operator's own")
    ca_file: Text | None = Field(None, description="CA bundle that vouches for the server")
    client_certificate: Text | None = Field(None, description="certificate shown to the server")
    client_key: Text | None = Field(None, description="key of that certificate")
    proxy: Text | None = Field(None, description="the only proxy that is used")
    headers: dict[str, Text] = Field({}, description="fixed headers, none of them secret")
    params: FreeJSON = Field({}, description="default parameters; a request's own win")
    reasoning: ReasoningConfig | None = Field(None, description="what to send for each level")
    answers_as: Texts = Field((), description="names under which the server may answer")
    supported_parameters: Texts | None = Field(None, description="the only parameters that it takes")
    billed_statuses: tuple[Annotated[int, Field(strict=True, ge=400, le=599)], ...] | None = Field(
        None, description="HTTP error statuses that are billed"
    )
    usage: (
        Literal["unstated", "openai", "xai", "gemini", "openrouter", "perplexity", "deepinfra", "cache_apart"] | None
    ) = Field(None, description="how the server counts in what it reports; absent is the operator's own")
    reply_bytes_max: Annotated[WholeAboveZero, Field(le=2**31)] = Field(
        64 * 1024 * 1024, description="the longest reply that is read"
    )
    reply_depth_max: Annotated[WholeAboveZero, Field(le=200)] = Field(
        64, description="objects and arrays within each other in a reply"
    )
    timeouts: OwnTimeoutsConfig = Field(OwnTimeoutsConfig(), description="limits of time of its own")
    limits: LimitsConfig = Field(LimitsConfig(), description="what this process asks of it at most")
    wire_stream: Literal["always", "when_asked"] = Field(
        "when_asked",
        description="`always` streams plain calls on the wire too, so that they can be limited and stopped",
    )

    processing: WordsFact = Field(None, description="countries or groups in which it computes")
    storage: WordsFact = Field(None, description="countries or groups in which data rests, or `none`")
    training: TrainingFact = Field(None, description="never, opt_out or used")
    retention_days: CountFact = Field(None, description="days for which prompts are kept")
    price: PriceFact = Field(None, description="what is paid; zero only with `free: true`")
    context_tokens: CountFact = Field(None, description="the window that is served")
    capabilities: WordsFact = Field(None, description="what it can do of what the model can")
    quantization: TextFact = Field(None, description="as fp8; `none` is as released")
    pinned: FlagFact = Field(None, description="whether the name stays the same weights")
    retires_on: DayFact = Field(None, description="its last day of service")
    bound_basis: BasisFact = Field(None, description="what the bound on input tokens rests on")
    quality: QualityFact = Field(None, description="your own figure, higher is better; `prefer: quality` reads it")
    overhead: OverheadConfig | None = Field(None, description="tokens that its chat template adds at most")
    links: dict[Label, TermsConfig] = Field({}, description="terms of other organisations of the chain")
    source: SourceField = Field(None, description="where the facts stated here can be checked")
