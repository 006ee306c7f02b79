"""A price list as text: canonical JSON, of which a book keeps a copy, so that an old book can be priced again. Pure.

Version 2 writes what differs from the default, names in order, amounts as plain decimal digits without trailing zeros.
Version 1 wrote six rates and `free`, without a version.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.pricing import PriceChange, PriceList
from modelrouter.core.provenance import Alternative, PriceReference
from modelrouter.core.tariff import RATE_NAMES, BilledAt, Hours, PriceMode, Rates, Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance

__all__ = ["VERSION", "digest_of", "fields_from", "text_of"]

VERSION: Final = 2
PAIRS: Final = frozenset({"fees", "amounts"})
"""Fields that hold names and amounts, written as an object."""


def text_of(price: PriceList) -> str:
    """A price list as canonical JSON."""
    written = {"version": VERSION, **_written(price)}
    return json.dumps(written, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _written(record: DataclassInstance) -> dict[str, object]:
    """The fields of a dataclass that are not as they would be anyway."""
    found: dict[str, object] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if not each.init or (each.default is not MISSING and value == each.default):
            continue
        found[each.name] = {name: _plain(amount) for name, amount in value} if each.name in PAIRS else _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _written(value) if is_dataclass(value) and not isinstance(value, type) else value


def fields_from(text: str) -> dict[str, Any]:
    """What a `PriceList` is built from, for a text of any version.

    Raises:
        ValueError: it is no price list, or one of a later version.
    """
    try:
        written: dict[str, Any] = dict(json.loads(text))
        version = written.pop("version", 1)
        if version == 1:
            return {name: Decimal(each) if isinstance(each, str) else each for name, each in written.items()}
        if version == VERSION:
            return _read(written, PRICE_READERS)
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError, InvalidOperation) as error:
        raise ValueError("this text is no price list") from error
    raise ValueError(f"this price list was written as version `{version}`, which needs a later release to be read")


def _read(written: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {name: readers[name](value) for name, value in written.items()}


def _price(written: Mapping[str, Any]) -> PriceList:
    return PriceList(**_read(written, PRICE_READERS))


def _rates(written: Mapping[str, Any]) -> Rates:
    return Rates(**_read(written, dict.fromkeys(RATE_NAMES, Decimal)))


def _tiers(written: list[Mapping[str, Any]]) -> tuple[Tier, ...]:
    return tuple(Tier(int(each["above_input_tokens"]), _rates(each["rates"])) for each in written)


def _hours(written: list[Mapping[str, Any]]) -> tuple[Hours, ...]:
    readers: dict[str, Callable[[Any], Any]] = {
        "from_minute": int,
        "until_minute": int,
        "rates": _rates,
        "weekdays": frozenset,
        "tiers": _tiers,
    }
    return tuple(Hours(**_read(each, readers)) for each in written)


def _changes(written: list[Mapping[str, Any]]) -> tuple[PriceChange, ...]:
    return tuple(PriceChange(date.fromisoformat(each["begins_on"]), _price(each["price"])) for each in written)


def _pairs(written: Mapping[str, str]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, Decimal(amount)) for name, amount in written.items())


def _alternatives(written: list[Mapping[str, Any]]) -> tuple[Alternative, ...]:
    readers: dict[str, Callable[[Any], Any]] = {"source": str, "amounts": _pairs, "checked_on": date.fromisoformat}
    return tuple(Alternative(**_read(each, readers)) for each in written)


def _reference(written: Mapping[str, Any]) -> PriceReference:
    return PriceReference(**_read(written, REFERENCE_READERS))


REFERENCE_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("source", "currency", "rate_source", "snapshot"), str),
    **dict.fromkeys(("checked_on", "valid_from", "valid_until", "rate_on"), date.fromisoformat),
    "usd_per_unit": Decimal,
    "disputed": bool,
    "alternatives": _alternatives,
}
PRICE_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys((*RATE_NAMES, "request_usd", "uplift", "machine_hour_usd"), Decimal),
    **dict.fromkeys(("free", "marginal", "uplift_covers_fees", "reported_settles"), bool),
    "tiers": _tiers,
    "hours": _hours,
    "billed_at": BilledAt,
    "changes": _changes,
    "mode": PriceMode,
    "fees": _pairs,
    "slots": int,
    "reference": _reference,
}
