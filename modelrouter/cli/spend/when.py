"""From when to when a report goes: lengths, days and moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["moment_us", "written", "zone_of"]

LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_us(text: str, now: datetime, zone: tzinfo, *, option: str, through: bool = False) -> int:
    """The moment that `7d`, `2026-11-01` or `2026-11-01T09:30` means, as microseconds since 1970.

    Args:
        text: a length counts back from now; a day or a moment is one of `zone`, unless it has an offset of its own.
        now: the present.
        zone: whose clock days and moments are read by.
        option: where it was written, for messages.
        through: a day means its end, and not its beginning.

    Raises:
        BadParameter: it is none of them.
    """
    length = LENGTH.fullmatch(text)
    try:
        if length:
            moment = now - timedelta(seconds=int(length[1]) * SECONDS[length[2]])
        elif "T" in text:
            moment = datetime.fromisoformat(text)
        else:
            day = date.fromisoformat(text)
            moment = datetime.combine(day + timedelta(days=1) if through else day, time())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return (moment.astimezone(UTC) - EPOCH) // MICROSECOND
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"`{text}` is no length and no day: write it as `7d` or `2026-11-01`, or a moment as `2026-11-01T09:30`",
            param_hint=option,
        ) from None


def zone_of(name: str) -> tzinfo:
    """A time zone by its name, as `Europe/Berlin`.

    Raises:
        BadParameter: there is none of this name.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise typer.BadParameter(
            f"`{name}` is no time zone: write it as `Europe/Berlin` or `UTC`", param_hint="--tz"
        ) from None


def written(at_us: int, zone: tzinfo) -> str:
    """A moment for people and documents, to the second; what lies beyond the calendar is its last day."""
    seconds = min(at_us // 1_000_000, 253_402_214_400)
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).isoformat().replace("+00:00", "Z")
