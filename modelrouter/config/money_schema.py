"""Where money is booked, and the limits on it: the part of a configuration that the ledger goes by."""

# ruff: noqa: TC003 - pydantic reads annotations at run time
from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag, WithJsonSchema, model_validator

from modelrouter.config.fields import Amount, Base, Label, Seconds, Text, Texts, fault
from modelrouter.config.nearest import nearest
from modelrouter.core.budget import SCOPES, Window
from modelrouter.core.money import nano_from_usd

__all__ = ["UTC_NAME", "BudgetConfig", "LedgerConfig", "LedgerPlace", "WaitConfig", "length_s", "window_of"]

REFUSE: Final = "refuse"
UTC_NAME: Final = "UTC"
LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}
LONGEST_S: Final = 3_660 * 86_400
WORDS: Final = tuple(each.value for each in Window if each is not Window.ROLLING)
TAG: Final = re.compile(r"tag\.[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


def length_s(window: str) -> int:
    """Seconds of a window that is written as a length, as `24h`; 0 for a word."""
    found = LENGTH.fullmatch(window)
    return int(found[1]) * SECONDS[found[2]] if found else 0


def window_of(window: str) -> Window:
    """What a checked window is."""
    return Window.ROLLING if length_s(window) else Window(window)


def _window(text: str) -> str:
    if text in WORDS or 0 < length_s(text) <= LONGEST_S:
        return text
    if length_s(text):
        raise fault(f"`{text}` is too long: write `total`, or a length of up to ten years")
    raise fault(f"`{text}` is no window: write hour, day, week, month, total, or a length as `90m`, `24h` or `7d`")


def _zone(name: str) -> str:
    if name == UTC_NAME:
        return name
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        if not known:
            raise fault(
                f"`{name}` cannot be looked up, because this machine has no time zone data: install the package "
                "`tzdata`, or write `tz: UTC`"
            ) from None
        raise fault(f"`{name}` is no time zone{nearest(name, known) or ': write it as Europe/Berlin'}") from None
    return name


def _scope(name: str) -> str:
    if name in SCOPES or TAG.fullmatch(name):
        return name
    raise fault(f"`{name}` is no scope: write tag.NAME or one of {', '.join(SCOPES)}")


def _only(only: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, values in only.items():
        _scope(name)
        if not values:
            raise fault(f"`{name}` is empty, so nothing falls under this budget: list at least one, or remove it")
    return only


def _refuse(word: str) -> str:
    if word != REFUSE:
        raise fault(f"`{word}` is not known here: write `{{wait_s: 5}}` to wait for settlements, or `{REFUSE}`")
    return word


def _limit(amount: Decimal) -> Decimal:
    try:
        nano_usd = nano_from_usd(amount)
    except ValueError as error:
        raise fault(str(error)) from None
    if amount and not nano_usd:
        raise fault(f"`{amount}` is less than a nano-dollar, the least that is counted: write 0 or more than that")
    return amount


Limit: TypeAlias = Annotated[Amount, AfterValidator(_limit)]
WindowWord: TypeAlias = Annotated[
    Label,
    AfterValidator(_window),
    WithJsonSchema({"anyOf": [{"enum": list(WORDS)}, {"type": "string", "pattern": f"^{LENGTH.pattern}$"}]}),
]
Zone: TypeAlias = Annotated[Text, AfterValidator(_zone)]
ScopeName: TypeAlias = Annotated[
    Label,
    AfterValidator(_scope),
    WithJsonSchema({"anyOf": [{"enum": list(SCOPES)}, {"type": "string", "pattern": f"^{TAG.pattern}$"}]}),
]


class WaitConfig(Base):
    """How long a request waits for money that is reserved and may come back."""

    wait_s: Seconds = Field(description="seconds to wait for settlements")


WhenReserved: TypeAlias = Annotated[
    Annotated[Text, AfterValidator(_refuse), Tag("<word>"), WithJsonSchema({"const": REFUSE})]
    | Annotated[WaitConfig, Tag("<parts>")],
    Discriminator(lambda value: "<word>" if isinstance(value, str) else "<parts>"),
]


class BudgetConfig(Base):
    """A limit on money over a window of time."""

    usd: Limit = Field(description="the limit")
    window: WindowWord = Field(description="hour, day, week, month, total, or a length that rolls on, as `24h`")
    tz: Zone = Field(UTC_NAME, description="time zone in which the window begins, as Europe/Berlin")
    each: ScopeName | None = Field(
        None, description="a budget for each: tag.NAME, route, policy, deployment, operator, developer"
    )
    only: Annotated[dict[str, Texts], AfterValidator(_only)] = Field(
        {}, description="what falls under it, as `{route: [support]}`; by the names that `each` takes"
    )
    when_reserved: WhenReserved = Field(REFUSE, description="`{wait_s: 5}` waits for settlements, `refuse` does not")
    scope: Literal["ledger", "fleet"] = Field(
        "ledger", description="`fleet` wants a ledger that every machine shares, and refuses a file"
    )

    @model_validator(mode="after")
    def _zone_means_something(self) -> BudgetConfig:
        if self.tz != UTC_NAME and window_of(self.window) in {Window.ROLLING, Window.TOTAL}:
            raise fault(f"`tz` says when a calendar window begins, and `{self.window}` is none: remove `tz`")
        return self


class LedgerConfig(Base):
    """The book, with its settings."""

    url: Text = Field(description="as sqlite:///modelrouter.db or postgresql://user@host/database")
    lease_s: Seconds = Field(30.0, description="seconds without a sign of life until a process's reservations expire")
    spool: Text | None = Field(
        None,
        description="folder for ends of calls that could not be written; absent is beside the book, or of the user",
    )


LedgerPlace: TypeAlias = Annotated[
    Annotated[Text, Strict(), Tag("<url>")] | Annotated[LedgerConfig, Tag("<parts>")],
    Discriminator(lambda value: "<parts>" if isinstance(value, (dict, LedgerConfig)) else "<url>"),
]
