"""The kinds of values that a configuration is made of, each refused in our own words.

Text stays text and numbers stay exact: nothing is converted silently, and no float is read.
"""

# ruff: noqa: TC002 - pydantic reads annotations at run time
from __future__ import annotations

import re
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from modelrouter.catalog.countries import country_fault
from modelrouter.config.faults import errors_of, joined
from modelrouter.core.money import exact_decimal
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import Document

__all__ = [
    "Amount",
    "Base",
    "Country",
    "Day",
    "Flag",
    "FreeJSON",
    "KeySources",
    "Label",
    "Name",
    "Seconds",
    "Text",
    "Texts",
    "Whole",
    "WholeAboveZero",
    "fault",
]

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:@/+-]*[A-Za-z0-9])?")
RESERVED: Final = frozenset({"any", "global", "none", "undisclosed", "unknown"})
LENGTH_MAX: Final = 200


def fault(reason: str) -> PydanticCustomError:
    """An error whose sentence reaches the reader as it is."""
    return PydanticCustomError("ours", "{reason}", {"reason": reason})


_checking: ContextVar[dict[int, type[Base]] | None] = ContextVar("checking", default=None)
"""While a configuration is checked: what each mapping in it is checked as, so that an unknown key can be compared."""


class Base(BaseModel):
    """What every part of a configuration has in common: closed, frozen, and errors in our own words."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:  # noqa: ANN401
        """The outermost part puts all errors into our words; `info.context` is the file that it was read from."""
        models = _checking.get()
        if models is not None:
            models[id(value)] = cls
            return handler(value)
        models = {id(value): cls}
        token = _checking.set(models)
        document = info.context if isinstance(info.context, Document) else None
        try:
            return handler(value)
        except ValidationError as error:
            found = errors_of(error, value, models, document)
        finally:
            _checking.reset(token)
        raise joined(found)

    @classmethod
    def error_kind(cls) -> type[ConfigError]:
        """What an error in this part is raised as."""
        return ConfigError


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or len(text) > LENGTH_MAX:
        raise fault(f"`{text[:80]}` is no name: use letters, digits, `.`, `_` and `-`, as `eu-mistral`")
    if text in RESERVED:
        raise fault(f"`{text}` is a word with a meaning of its own: choose another name")
    return text


def _label(text: str) -> str:
    if not LABEL.fullmatch(text) or len(text) > LENGTH_MAX:
        raise fault(f"`{text[:80]}` is no id: use letters, digits and `. _ - : / @ +`, without spaces")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise fault("empty text: write something or remove the key")
    return text


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise fault(f"`{value}` is not in the calendar: write an existing day") from None
    raise fault(f"`{value}` is no day: write it as 2026-11-22")


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise fault("not an exact amount: write a number, in Python as text or Decimal and not as float")
    try:
        return exact_decimal(value)
    except ValueError as error:
        raise fault(str(error)) from None


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise fault("not a number of seconds: write a number, as `30`")
    if not 0 < value <= 86_400:
        raise fault(f"`{value}` is out of range: write seconds above 0 and up to 86400")
    return float(value)


def _country(code: str) -> str:
    reason = country_fault(code)
    if reason:
        raise fault(reason)
    return code


def _list(value: object) -> object:
    if isinstance(value, (str, bool, int, Decimal)):
        raise fault(f"`{value}` stands alone where a list is expected: write `[{value}]`")
    return value


def _free(value: object) -> object:
    """JSON as a server gets it: exact decimals become floats, which is what JSON numbers are."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str) and value in {"True", "False", "TRUE", "FALSE", "None"}:
        raise fault(f"`{value}` is only a word here: write `true`, `false` or `null`")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _free(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_free(item) for item in value]
    raise fault("not a JSON value: write text, numbers, true, false, null, lists and mappings")


def _keys(value: object) -> object:
    """One, or several: each a name of a place, or in Python a function."""
    found = value if isinstance(value, (list, tuple)) else (value,)
    if not found:
        raise fault("an empty list of keys: name one, as `env:VARIABLE`, or remove it")
    if all(isinstance(each, str) or callable(each) for each in found):
        return tuple(found) if isinstance(value, (list, tuple)) else value
    raise fault("a key is named, as `env:VARIABLE` or `file:/path`; several as a list of such names")


DAY_SCHEMA: Final = {"type": "string", "format": "date"}
AMOUNT_SCHEMA: Final = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}

Text: TypeAlias = Annotated[str, Strict(), AfterValidator(_filled)]
Name: TypeAlias = Annotated[str, Strict(), AfterValidator(_name)]
Label: TypeAlias = Annotated[str, Strict(), AfterValidator(_label)]
Flag: TypeAlias = Annotated[bool, Strict()]
Whole: TypeAlias = Annotated[int, Strict(), Field(ge=0, le=10**15)]
WholeAboveZero: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=10**15)]
Day: TypeAlias = Annotated[date, BeforeValidator(_day), WithJsonSchema(DAY_SCHEMA)]
Amount: TypeAlias = Annotated[Decimal, BeforeValidator(_amount), WithJsonSchema(AMOUNT_SCHEMA)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds), WithJsonSchema({"type": "number"})]
Country: TypeAlias = Annotated[str, Strict(), AfterValidator(_country)]
Texts: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(_list)]
FreeJSON: TypeAlias = Annotated[dict[str, Any], BeforeValidator(_free)]
KEY_SCHEMA: Final = {"type": "string", "pattern": "^(env|file):"}
KeySources: TypeAlias = Annotated[
    Any,  # text, a function, or a tuple of them
    BeforeValidator(_keys),
    WithJsonSchema({"anyOf": [KEY_SCHEMA, {"type": "array", "items": KEY_SCHEMA, "minItems": 1}]}),
]
