"""What a caller said, checked and made our own: a wrong argument is a RequestError that names it, never a traceback."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar, cast

from modelrouter.core.money import nano_from_usd
from modelrouter.core.request import Reasoning
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from decimal import Decimal

    from modelrouter.core.request import JSON, Accept

__all__ = [
    "accept_of",
    "ceiling_of",
    "check_parameters",
    "name_of",
    "output_limit_of",
    "own_copy",
    "policies_of",
    "reasoning_of",
    "timeout_of",
]

T = TypeVar("T")

CLIENT_TOOLS: Final = frozenset({"custom", "function"})
LONGEST_S: Final = 366 * 86_400
COUNT_MAX: Final = 10**9
OUTPUT_LIMIT_NAMES: Final = ("max_output_tokens", "max_completion_tokens", "max_tokens")


def own_copy(value: T, what: str) -> T:
    """A copy of JSON as the caller wrote it: what is sent is what was measured, whatever the caller does meanwhile.

    Raises:
        RequestError: something in it has no form in JSON.
    """
    try:
        return cast("T", _copied(value, what))
    except RecursionError:
        raise RequestError(f"{what} is nested too deeply, or holds itself") from None


def _copied(value: object, what: str) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"{what} holds a number that is not finite, which JSON cannot say")
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise RequestError(f"{what} holds a mapping whose keys are not text")
        return {key: _copied(item, what) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_copied(item, what) for item in value]
    raise RequestError(f"{what} holds a `{type(value).__name__}`, which has no form in JSON")


def output_limit_of(parameters: dict[str, JSON]) -> int | None:
    """Take the output limit out of the parameters: it is ours to send, under the name each deployment wants.

    Raises:
        RequestError: it is no whole number above zero, or given twice.
    """
    given = {name: parameters.pop(name) for name in OUTPUT_LIMIT_NAMES if parameters.get(name) is not None}
    for name in OUTPUT_LIMIT_NAMES:
        parameters.pop(name, None)
    if not given:
        return None
    if len(given) > 1:
        raise RequestError(f"give one of {', '.join(given)}, not several")
    name, value = next(iter(given.items()))
    return _count(name, value)


def check_parameters(parameters: Mapping[str, JSON]) -> None:
    """Refuse what is unknown, and what would leave the facts and bounds that are decided on.

    Raises:
        RequestError: names the parameter and says why.
    """
    from modelrouter.transports import parameters as wire  # here, so that importing the Router stays light

    fault = wire.check_parameters(parameters)
    if fault is not None:
        raise RequestError(fault)
    for name, why in wire.BEYOND_THE_FACTS.items():
        if parameters.get(name, False) is not False:
            raise RequestError(f"parameter `{name}` is not passed on: it {why}")
    if parameters.get("n") is not None:
        _count("n", parameters["n"])  # a server may read "3" or 3.0 as a count too, and the bound would not
    for index, tool in enumerate(_listed("tools", parameters)):
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if kind not in CLIENT_TOOLS:
            known = ", ".join(sorted(CLIENT_TOOLS))
            raise RequestError(
                f"tools[{index}]: type `{kind}` would run at the provider, beyond any fact we know; use {known}"
            )
    _listed("functions", parameters)


def _count(name: str, value: JSON) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RequestError(f"`{name}` must be a whole number of at least 1, not `{value}`")
    if value > COUNT_MAX:
        raise RequestError(f"`{name}` must be at most {COUNT_MAX}: no ledger can hold what more might cost")
    return value


def _listed(name: str, parameters: Mapping[str, JSON]) -> Sequence[JSON]:
    """What is not a list would be measured as nothing."""
    value = parameters.get(name)
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RequestError(f"`{name}` must be a list")
    return value


def reasoning_of(level: str | None) -> Reasoning | None:
    """How much a model may think.

    Raises:
        RequestError: no such level.
    """
    if level is None:
        return None
    try:
        return Reasoning(level)
    except ValueError:
        levels = ", ".join(each.value for each in Reasoning)
        raise RequestError(f"`reasoning` must be one of {levels}, not `{level}`") from None


def accept_of(accept: Accept | None) -> Accept | None:
    """The caller's own test of an answer.

    Raises:
        RequestError: it cannot be called.
    """
    given: object = accept
    if given is not None and not callable(given):
        raise RequestError("`accept` must be a function of the answer's message that answers True or False")
    return accept


def ceiling_of(amount: str | int | Decimal | None) -> int | None:
    """A ceiling in nano-dollars, rounded down.

    Raises:
        RequestError: it is no exact amount.
    """
    if amount is None:
        return None
    try:
        return nano_from_usd(amount)
    except ValueError as error:
        raise RequestError(f"`max_cost_usd`: {error}") from None


def timeout_of(timeout_s: float | None) -> float | None:
    """A deadline in seconds.

    Raises:
        RequestError: it is no number above zero.
    """
    if timeout_s is None:
        return None
    given: object = timeout_s
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise RequestError(f"`timeout_s` must be a number of seconds, not `{given}`")
    if not given > 0:
        raise RequestError(f"`timeout_s` must be above zero, not `{given}`")
    if given > LONGEST_S:
        raise RequestError(
            f"`timeout_s` must be at most {LONGEST_S}, which is a year: leave it out for the route's own"
        )
    return timeout_s


def policies_of(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of policies that a call adds.

    Raises:
        RequestError: they are no names.
    """
    given: object = (names,) if isinstance(names, str) else names or ()
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise RequestError("`policy` must be a name, or a list of names")
    return tuple(given)


def name_of(option: str, value: str | None, *, may_be_empty: bool = False) -> str | None:
    """Text that is written down and compared: an idempotency key, a session, the value of a tag.

    Raises:
        RequestError: it is no text, empty, has no form in UTF-8, or holds U+0000.
    """
    given: object = value
    if given is None and not may_be_empty:
        return None
    if not isinstance(given, str):
        raise RequestError(f"`{option}` must be text")
    if not given and not may_be_empty:
        raise RequestError(f"`{option}` is empty: give it a value, or leave it out")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise RequestError(f"`{option}` holds half of a character, which nothing can write down") from None
    if "\x00" in given:
        raise RequestError(
            f"`{option}` holds the character U+0000, which not every ledger can write down: leave it out"
        )
    return given
