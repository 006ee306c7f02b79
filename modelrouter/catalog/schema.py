"""What an entry may hold, as pydantic models: for the shipped files in tests, for users' own sections, for editors.

A fact is a plain value, known by the entry's own `source`; one of the words `none`, `undisclosed`, `unknown`; or a
mapping of `value` or `state` with a `source` of its own. Import this only where people's text is checked: pydantic is
heavy. `entries` and `offers` turn what was accepted here into values; they take the text as read, or `model_dump`
with `exclude_unset=True`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    Strict,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from modelrouter.catalog.countries import country_fault
from modelrouter.catalog.reading import Place, Reading
from modelrouter.core.money import exact_decimal
from modelrouter.errors import CatalogError

__all__ = [
    "ConditionEntry",
    "EndpointEntry",
    "GroupEntry",
    "LicenceEntry",
    "ListingEntry",
    "ModelEntry",
    "OfferedModelEntry",
    "OperatorTemplateEntry",
    "OrganisationEntry",
    "OverheadEntry",
    "PriceEntry",
    "SourceEntry",
    "StandingEntry",
    "TermsEntry",
    "WireEntry",
]

T = TypeVar("T")

StateWord: TypeAlias = Literal["none", "undisclosed", "unknown"]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, strict=True)]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=0)]
Flag: TypeAlias = Annotated[bool, Strict()]


def _country(code: str) -> str:
    fault = country_fault(code)
    if fault:
        raise ValueError(fault)
    return code


def _places(codes: list[str]) -> list[str]:
    try:
        Reading.places(codes, Place())
    except CatalogError as error:
        raise ValueError(error.reason) from None
    return codes


def _day(value: object) -> object:
    if not isinstance(value, (str, date)):
        raise ValueError("write a day as `2026-11-22`")  # noqa: TRY004 - pydantic collects only ValueError
    return value


def _amount(value: object) -> Decimal:
    if not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"`{value}` is not an exact amount: write digits, as `0.15`, never a float")  # noqa: TRY004 - as above
    return exact_decimal(value)


Country: TypeAlias = Annotated[Text, AfterValidator(_country)]
Ids: TypeAlias = Annotated[list[Text], Field(min_length=1)]
Places: TypeAlias = Annotated[Ids, AfterValidator(_places)]
Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
Amount: TypeAlias = Annotated[
    Decimal,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?$"}]}),
]
Capability: TypeAlias = Literal[
    "audio_input", "files", "json_object", "json_schema", "logprobs", "parallel_tools", "reasoning", "seed", "tools",
    "vision",
]  # fmt: skip
Capabilities: TypeAlias = Annotated[list[Capability], Field(min_length=1)]
Level: TypeAlias = Literal["none", "low", "high"]
ReasoningEntry: TypeAlias = dict[Level, dict[str, JsonValue]]


class Entry(BaseModel):
    """What all entries have in common: closed and frozen, so that a typing error is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceEntry(Entry):
    """Where a fact can be checked. A bare text in its place is medium, asserted and undated."""

    ref: Text
    checked_on: Day | None = None
    confidence: Literal["high", "medium", "low"] = "medium"
    grade: Literal["contractual", "technical", "asserted"] = "asserted"


Source: TypeAlias = Text | SourceEntry


class Stated(Entry, Generic[T]):
    """A fact with a source of its own."""

    value: T | None = None
    state: StateWord | None = None
    source: Source | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Stated[T]:
        if (self.value is None) == (self.state is None):
            raise ValueError("write `value` or `state`: one of the two")
        return self


class ListingEntry(Entry):
    """An entry on a government list; without `since` it holds on every day."""

    list: Text
    since: Day | None = None
    until: Day | None = None
    source: Source | None = None


class TermsEntry(Entry):
    """What an operator does with what passes through it, and where."""

    processing: Places | StateWord | Stated[Places] | None = None
    storage: Places | StateWord | Stated[Places] | None = None
    training: Literal["never", "opt_out", "used", "undisclosed", "unknown"] | Stated[Text] | None = None
    retention_days: Count | StateWord | Stated[Count] | None = None
    source: Source | None = None


class OrganisationEntry(Entry):
    """A company, institute or person, whatever its roles."""

    name: Text | None = None
    country: Country | Literal["undisclosed", "unknown"] | Stated[Country] | None = None
    parent: Text | Stated[Text] | None = None
    roles: list[Literal["developer", "operator", "aggregator", "cloud"]] = Field(default_factory=list)
    lists: Annotated[list[ListingEntry], Field(min_length=1)] | StateWord | Stated[list[ListingEntry]] | None = None
    attestations: Ids | StateWord | Stated[Ids] | None = None
    terms: TermsEntry | None = None
    source: Source | None = None


class ConditionEntry(Entry):
    """One condition of a licence."""

    kind: Literal[
        "threshold_ask", "threshold_display", "threshold_no_rights", "registration", "territory", "attribution",
        "field_of_use",
    ]  # fmt: skip
    text: Text
    metric: (
        Literal["monthly_active_users", "daily_active_users", "monthly_revenue_usd", "yearly_revenue_usd"] | None
    ) = None
    value: PositiveInt | None = None
    territory: Places | None = None

    @model_validator(mode="after")
    def _what_the_kind_takes(self) -> ConditionEntry:
        threshold = self.kind.startswith("threshold_")
        if threshold != (self.metric is not None) or threshold != (self.value is not None):
            raise ValueError("a threshold takes `metric` and `value`, no other condition does")
        if (self.kind == "territory") != (self.territory is not None):
            raise ValueError("the condition `territory` takes `territory`, no other does")
        return self


class LicenceEntry(Entry):
    """A licence of weights."""

    spdx: Text
    name: Text | None = None
    commercial_use: Flag | Literal["undisclosed", "unknown"] | Stated[Flag] | None = None
    conditions: Annotated[list[ConditionEntry], Field(min_length=1)] | StateWord | None = None
    osi_approved: Flag | Literal["undisclosed", "unknown"] | Stated[Flag] | None = None
    reaches_hosted_use: Flag = False
    source: Source | None = None


class StandingEntry(Entry):
    """What an alias stands for on some days; without `since` and `until` on every day."""

    model: Text
    since: Day | None = None
    until: Day | None = None
    source: Source | None = None


Standings: TypeAlias = Annotated[list[StandingEntry], Field(min_length=1)]


class ModelEntry(Entry):
    """Weights and version, as their developer names them; or an alias of such, with `alias_of`."""

    developer: Text | Stated[Text]
    name: Text | None = None
    family: Text | None = None
    licence: Text | Stated[Text] | None = None
    openness: Literal["closed", "open_weights", "open_source", "undisclosed", "unknown"] | Stated[Text] | None = None
    derived_from: Ids | StateWord | Stated[Ids] | None = None
    distilled_from: Ids | StateWord | Stated[Ids] | None = None
    lineage_claim: Ids | StateWord | Stated[Ids] | None = None
    context_tokens: Count | Literal["undisclosed", "unknown"] | Stated[Count] | None = None
    pinned: Flag | Literal["undisclosed", "unknown"] | Stated[Flag] | None = None
    retires_on: Day | StateWord | Stated[Day] | None = None
    capabilities: Capabilities | StateWord | Stated[Capabilities] | None = None
    alias_of: Standings | StateWord | Stated[Standings] | None = None
    source: Source | None = None


class RatesEntry(Entry):
    """Amounts for a million tokens by class: text, whole numbers or decimals, never floats.

    Those without `usd` in their names are for prices with a `currency` of their own.
    """

    input_usd_per_mtok: Amount | None = None
    cached_input_usd_per_mtok: Amount | None = None
    cache_write_usd_per_mtok: Amount | None = None
    cache_write_1h_usd_per_mtok: Amount | None = None
    audio_input_usd_per_mtok: Amount | None = None
    cached_audio_usd_per_mtok: Amount | None = None
    image_input_usd_per_mtok: Amount | None = None
    cached_image_usd_per_mtok: Amount | None = None
    output_usd_per_mtok: Amount | None = None
    reasoning_usd_per_mtok: Amount | None = None
    audio_output_usd_per_mtok: Amount | None = None
    image_output_usd_per_mtok: Amount | None = None
    input_per_mtok: Amount | None = None
    cached_input_per_mtok: Amount | None = None
    cache_write_per_mtok: Amount | None = None
    cache_write_1h_per_mtok: Amount | None = None
    audio_input_per_mtok: Amount | None = None
    cached_audio_per_mtok: Amount | None = None
    image_input_per_mtok: Amount | None = None
    cached_image_per_mtok: Amount | None = None
    output_per_mtok: Amount | None = None
    reasoning_per_mtok: Amount | None = None
    audio_output_per_mtok: Amount | None = None
    image_output_per_mtok: Amount | None = None


class TierEntry(RatesEntry):
    """Rates of prompts with more than so many tokens."""

    above_input_tokens: PositiveInt


Clock: TypeAlias = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", strict=True)]


class HoursEntry(RatesEntry):
    """Rates at hours of the day, UTC; an `end` before its `start` is on the next day."""

    start: Clock
    end: Clock
    weekdays: Annotated[list[Annotated[int, Strict(), Field(ge=1, le=7)]], Field(min_length=1)] | None = None
    tiers: list[TierEntry] = Field(default_factory=list)


class ListEntry(RatesEntry):
    """All that can be charged."""

    request_usd: Amount | None = None
    request: Amount | None = None
    machine_hour_usd: Amount | None = None
    machine_hour: Amount | None = None
    tiers: list[TierEntry] = Field(default_factory=list)
    hours: list[HoursEntry] = Field(default_factory=list)
    fees: dict[Text, Amount] = Field(default_factory=dict)
    source: Source | None = None


class ChangeEntry(ListEntry):
    """Another price from a day on."""

    begins_on: Day


class PriceEntry(ListEntry):
    """What one deployment costs, in dollars or in a `currency` that has a rate."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$", strict=True)] = "USD"
    free: Flag = False
    marginal: Flag = False
    billed_at: Literal["start", "end"] = "start"
    changes: list[ChangeEntry] = Field(default_factory=list)
    mode: Literal["standard", "batch", "flex", "priority"] = "standard"
    valid_from: Day | None = None
    valid_until: Day | None = None
    slots: PositiveInt = 1
    reported_settles: Flag = False

    @model_validator(mode="after")
    def _both_or_free(self) -> PriceEntry:
        """By the token, by the machine-hour, or free; in one currency."""
        usd, other = (self.input_usd_per_mtok, self.output_usd_per_mtok), (self.input_per_mtok, self.output_per_mtok)
        by_hour = self.machine_hour_usd is not None or self.machine_hour is not None
        if None in usd and None in other and not by_hour and not self.free:
            raise ValueError("write both `input_usd_per_mtok` and `output_usd_per_mtok`, or `free: true`")
        return self


class ImageTokensEntry(Entry):
    """What an image counts as, each an upper bound."""

    most_tokens: Count
    patch_px: Annotated[int, Strict(), Field(ge=1)] | None = None
    tokens_per_patch: Amount | None = None
    base_tokens: Count | None = None
    least_tokens: Count | None = None
    low_tokens: Count | None = None


class OverheadEntry(Entry):
    """What a chat template and a tokenizer add to a request, each an upper bound."""

    per_request_tokens: Count | None = None
    per_message_tokens: Count | None = None
    per_toolset_tokens: Count | None = None
    per_tool_tokens: Count | None = None
    per_call_tokens: Count | None = None
    json_indent: Count | None = None
    json_mark_tokens: Count | None = None
    json_prints: Annotated[int, Strict(), Field(ge=1)] | None = None
    json_escapes: Literal["json", "html", "ascii"] | None = None
    normaliser: Literal["none", "nfc", "nfkc"] | None = None
    tokens_per_byte: Annotated[int, Strict(), Field(ge=1)] | None = None
    beyond_limit_tokens: Count | None = None
    hard_window: Flag | None = None
    image: ImageTokensEntry | None = None
    audio_tokens_per_s: Count | None = None


class BoundEntry(Entry):
    """How the upper bound on input tokens is known."""

    basis: Literal["proved", "documented", "window", "unknown"] | None = None
    overhead: OverheadEntry | None = None
    source: Source | None = None


class WireEntry(Entry):
    """How an operator is called. `key` is the name of an environment variable, never a key."""

    lane: Literal["direct", "litellm"] = "direct"
    base_url: Annotated[str, StringConstraints(pattern=r"^https://[^/@]+(/.*)?$")] | None = None
    hosts: list[Text] = Field(default_factory=list)
    provider: Text | None = None
    key: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    key_header: Text | None = None
    headers: dict[str, Text] = Field(default_factory=dict)
    parameter_names: dict[str, Text] = Field(default_factory=dict)
    supported_parameters: list[Text] = Field(default_factory=list)
    pins: dict[str, JsonValue] = Field(default_factory=dict)
    reasoning: ReasoningEntry = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    billed_statuses: list[Annotated[int, Strict(), Field(ge=400, le=599)]] = Field(default_factory=list)
    name_suffix: Text | None = None
    usage: Literal["unstated", "openai", "xai", "gemini", "openrouter", "perplexity", "deepinfra", "cache_apart"] = (
        "unstated"
    )


class EndpointEntry(TermsEntry):
    """One of an operator's endpoints; terms that it states stand in the place of the operator's."""

    base_url: Annotated[str, StringConstraints(pattern=r"^https://[^/@]+(/.*)?$")] | None = None
    hosts: list[Text] = Field(default_factory=list)
    pins: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    regions: list[Text] = Field(default_factory=list)
    price_uplift: Amount | Literal["unknown"] | None = None
    name_prefix: Text | None = None
    name_suffix: Text | None = None


class OfferedModelEntry(Entry):
    """One model at one operator."""

    name: Text | None = None
    price: PriceEntry | Literal["undisclosed", "unknown"] | None = None
    context_tokens: Count | Literal["undisclosed", "unknown"] | Stated[Count] | None = None
    capabilities: Capabilities | StateWord | Stated[Capabilities] | None = None
    retires_on: Day | StateWord | Stated[Day] | None = None
    pinned: Flag | Literal["undisclosed", "unknown"] | Stated[Flag] | None = None
    quantization: Text | Stated[Text] | None = None
    endpoints: list[Text] = Field(default_factory=list)
    answers_as: list[Text] = Field(default_factory=list)
    subprocessor: Text | None = None
    terms: TermsEntry | None = None
    price_uplift: Amount | None = None
    hosting: Literal["self_hosted", "managed", "vendor_api"] | None = None
    reasoning: ReasoningEntry | None = None
    unsupported_parameters: list[Text] = Field(default_factory=list)
    overhead: OverheadEntry | None = None
    bound_basis: Literal["proved", "documented", "window", "unknown"] | Stated[Text] | None = None
    source: Source | None = None


class OperatorTemplateEntry(Entry):
    """What one operator, or one kind of self-hosted server, brings to a deployment."""

    operator: Text
    kind: Literal["vendor_api", "cloud", "host", "aggregator", "self_hosted"]
    source: Source
    name: Text | None = None
    server: Text | None = None
    terms: TermsEntry | None = None
    wire: WireEntry = Field(default_factory=WireEntry)
    bound: BoundEntry | None = None
    endpoints: dict[str, EndpointEntry] = Field(default_factory=dict)
    default_endpoint: Text | None = None
    providers: dict[str, Text] = Field(default_factory=dict)
    attestations: Ids | StateWord | Stated[Ids] | None = None
    capabilities: Capabilities | StateWord | Stated[Capabilities] | None = None
    models: dict[str, OfferedModelEntry] = Field(default_factory=dict)


class GroupEntry(Entry):
    """A dated group of countries."""

    name: Text
    members: Annotated[list[Country], Field(min_length=1)]
    as_of: Day
    source: Source
