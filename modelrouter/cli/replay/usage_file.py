"""Another system's usage log: one JSON object a line, in the words of those who write such logs.

Understood are the names of litellm's spend logs, of OpenAI's usage (also its buckets with `results`), of OpenRouter's
activity and generations, and ours. A line may stand for many requests that share its figures evenly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["BadLine", "UsageLine", "usage_lines"]

Written = dict[str, Any]

TIMES: Final = ("time", "timestamp", "created_at", "startTime", "start_time", "date", "created")
MODELS: Final = ("model", "model_id", "model_permaslug", "modelPermaslug")
INPUTS: Final = ("input_tokens", "native_tokens_prompt", "prompt_tokens", "promptTokens", "tokens_prompt")
OUTPUTS: Final = (
    "output_tokens", "native_tokens_completion", "completion_tokens", "completionTokens", "tokens_completion",
)  # fmt: skip
CACHED: Final = ("cached_input_tokens", "input_cached_tokens", "native_tokens_cached", "cache_read_input_tokens")
COSTS: Final = ("cost_usd", "spend", "total_cost", "cost", "usage")
REQUESTS: Final = ("requests", "num_model_requests", "num_requests")
OPERATORS: Final = ("provider", "provider_name", "providerName", "custom_llm_provider")
COUNT_MAX: Final = 10**15
DECIMALS: Final = Decimal(10) ** 9
MILLISECONDS_FROM: Final = 10**11
"""A moment as a number that is larger counts milliseconds: as seconds it would lie beyond the year 5000."""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One line.

    Attributes:
        at_s: seconds since 1970, UTC; None where the line does not say.
        operator: as the log calls it; empty where it does not say.
        cost_nano_usd: None where the line does not say.
        requests: how many requests the figures are of.
    """

    place: str
    at_s: float | None
    model: str
    operator: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cost_nano_usd: int | None
    requests: int
    route: str | None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used, and why."""

    place: str
    reason: str


def usage_lines(path: Path) -> Iterator[UsageLine | BadLine]:
    """Every line of a file that holds something.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, content in enumerate(file, start=1):
                if content.strip():
                    yield from _read(content, f"{path}:{number}")
    except OSError as error:
        raise RequestError(f"`{path}` cannot be read ({error.strerror}): name another file") from None


def _read(content: bytes, place: str) -> Iterator[UsageLine | BadLine]:
    try:
        written = json.loads(content.decode(), parse_float=Decimal)
    except ValueError:
        yield BadLine(place, "it is no JSON object")
        return
    if not isinstance(written, dict):
        yield BadLine(place, "it is no JSON object")
        return
    results = written.get("results")
    if not isinstance(results, list):
        yield _line(written, place)
        return
    for each in results:  # a bucket of OpenAI's: its time is that of each result
        yield _line({**written, **each}, place) if isinstance(each, dict) else BadLine(place, "a result is no object")


def _line(written: Written, place: str) -> UsageLine | BadLine:
    try:
        model = _first(written, MODELS)
        if not isinstance(model, str) or not model:
            return BadLine(place, "it names no `model`")
        requests = _count(written, REQUESTS, 1)
        if not requests:
            return BadLine(place, "it is of no request")
        tokens, answered = _count(written, INPUTS), _count(written, OUTPUTS)
        if tokens is None or answered is None:
            return BadLine(place, f"it has no `{'input' if tokens is None else 'output'}_tokens`")
        tags, route = written.get("tags"), written.get("route")
        return UsageLine(
            place=place,
            at_s=_moment_s(_first(written, TIMES)),
            model=model,
            operator=str(_first(written, OPERATORS) or ""),
            input_tokens=tokens,
            output_tokens=answered,
            cached_input_tokens=min(_count(written, CACHED, 0) or 0, tokens),
            cost_nano_usd=_cost(_first(written, COSTS)),
            requests=requests,
            route=route if isinstance(route, str) else None,
            tags={name: value for name, value in tags.items() if isinstance(value, str)}
            if isinstance(tags, dict)
            else {},
        )
    except ValueError as error:
        return BadLine(place, str(error))


def _first(written: Written, names: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
    return next((written[name] for name in names if written.get(name) is not None), None)


def _count(written: Written, names: tuple[str, ...], absent: int | None = None) -> int | None:
    name = next((name for name in names if written.get(name) is not None), None)
    if name is None:
        return absent
    value = written[name]
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        raise ValueError(f"`{name}` is no whole number")
    if not 0 <= value <= COUNT_MAX:
        raise ValueError(f"`{name}` is below zero, or beyond what anybody counts")
    return int(value)


def _cost(value: Any) -> int | None:  # noqa: ANN401 - JSON
    """Dollars as nano-dollars, to the nearest: such logs hold floating-point figures."""
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
        if not amount.is_finite() or amount < 0 or amount > COUNT_MAX:
            raise ValueError("its cost is no amount in dollars")
        return int((amount * DECIMALS).to_integral_value(ROUND_HALF_EVEN))
    except InvalidOperation:
        raise ValueError("its cost is no amount in dollars") from None


def _moment_s(value: Any) -> float | None:  # noqa: ANN401 - JSON
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        seconds = float(value)
        return seconds / 1000 if seconds > MILLISECONDS_FROM else seconds
    try:
        moment = datetime.fromisoformat(str(value).strip().replace(" UTC", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"`{str(value)[:40]}` is no moment: write it as 2026-11-01T09:30:00Z") from None
