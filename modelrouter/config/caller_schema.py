"""Who asks, and what is booked of it: parts of a configuration that stand beside the deployments."""

from __future__ import annotations

from pydantic import Field, model_validator

from modelrouter.catalog.entries import METRICS
from modelrouter.config.fields import Base, Country, Day, Flag, Label, Text, Texts, Whole, fault

__all__ = ["AgreementConfig", "CallerConfig", "TagConfig"]


class AgreementConfig(Base):
    """A paper between the caller and an organisation."""

    type: Label = Field(description="as `dpa`, `licence`, `baa`")
    with_: Label = Field(alias="with", description="id of the organisation")
    id: Text = Field("", description="your reference")
    expires: Day | None = Field(None, description="its last day; absent is open-ended")


class CallerConfig(Base):
    """Who we are; licence thresholds and rules about ourselves are judged by this."""

    name: Text = Field("", description="your organisation")
    country: Country | None = Field(None, description="two letters of ISO 3166-1")
    parent_country: Country | None = Field(None, description="country of the controlling owner; absent is the same")
    monthly_active_users: Whole | None = Field(None, description="for licence thresholds; absent is unknown")
    daily_active_users: Whole | None = Field(None, description="for licence thresholds; absent is unknown")
    monthly_revenue_usd: Whole | None = Field(None, description="for licence thresholds; absent is unknown")
    yearly_revenue_usd: Whole | None = Field(None, description="for licence thresholds; absent is unknown")
    agreements: tuple[AgreementConfig, ...] = Field((), description="papers with organisations")
    checked_on: Day | None = Field(None, description="when all this was last looked at; rules on the age of facts ask")

    @model_validator(mode="after")
    def _has_a_country(self) -> CallerConfig:
        if self.parent_country and not self.country:
            raise fault("`parent_country` without `country`: add `country`")
        return self

    @property
    def metrics(self) -> dict[str, int]:
        """The numbers that are known."""
        return {name: value for name in sorted(METRICS) if (value := getattr(self, name)) is not None}


class TagConfig(Base):
    """A tag that requests may carry."""

    values: Texts | None = Field(
        None,
        description="the only values it takes, for `raised_by` from the lowest to the highest; absent takes any text",
    )
    raised_by: dict[Label, Text] = Field(
        {}, description="what `inspect` finds to the value that it raises the tag to, as {api_key: secret}"
    )
    default: Text | None = Field(None, description="what ledger and budgets book where a request has none")
    personal: Flag = Field(default=False, description="`true` keeps only a keyed hash of it")

    @model_validator(mode="after")
    def _default_is_a_value(self) -> TagConfig:
        if self.values is not None and not self.values:
            raise fault("`values` is empty: list at least one, or remove it")
        if self.default is not None and self.values is not None and self.default not in self.values:
            raise fault(f"default `{self.default}` is not among `values`: add it there or change it")
        for kind, value in self.raised_by.items():
            if value not in (self.values or ()):
                raise fault(f"`raised_by`: `{kind}` raises to `{value}`, which is not among `values`: add it there")
        return self
