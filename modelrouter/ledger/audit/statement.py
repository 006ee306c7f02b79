"""A provider's billing export: what it says that it charged, request by request.

It is a CSV file with a first line of names, or JSON with one object a line; `COLUMNS` says which names are understood.
A line needs a cost, and either one of our ids or a moment and a model. All else may be left out, and other columns are
ignored.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.money import NANO_PER_USD
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["COLUMNS", "Charge", "read_statement"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "reservation_id": ("reservation_id",),
    "call_id": ("call_id",),
    "request_id": ("request_id",),
    "time": ("time", "timestamp", "created_at", "created", "date"),
    "model": ("model", "model_id", "model_name"),
    "cost": ("cost_usd", "cost", "amount_usd", "total_cost"),
    "input": ("input_tokens", "prompt_tokens", "tokens_prompt"),
    "output": ("output_tokens", "completion_tokens", "tokens_completion"),
    "cached": ("cached_input_tokens", "cached_tokens"),
}
"""What is understood, each with the names it goes by; of several in one file the first counts."""
DIGITS: Final = re.compile(r"[0-9]{1,15}")
LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of an export.

    Attributes:
        line: where it stands in the file, for messages.
        cost_nano_usd: rounded up to a whole nano-dollar.
        at_us: when, by the provider's clock; None where it does not say.
    """

    line: int
    cost_nano_usd: int
    at_us: int | None = None
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reservation_id: str = ""
    call_id: str = ""
    request_id: str = ""

    @property
    def has_id(self) -> bool:
        """Whether it names one of ours."""
        return bool(self.reservation_id or self.call_id or self.request_id)


def read_statement(path: Path) -> list[Charge]:
    """All lines of an export.

    Raises:
        RequestError: the file, or a line of it, cannot be read; says which.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = _objects(file, path) if first.lstrip().startswith("{") else _rows(file, path)
            return [_charge(path, number, written) for number, written in lines]
    except OSError as error:
        raise RequestError(f"the export `{path}` cannot be read: {(error.strerror or 'unknown').lower()}") from None
    except UnicodeDecodeError:
        raise RequestError(f"the export `{path}` is no UTF-8 text: save it as CSV or JSON lines in UTF-8") from None


def _objects(file: Any, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - an open text file
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            written = json.loads(text, parse_float=Decimal)
        except ValueError:
            written = None
        if not isinstance(written, dict):
            raise RequestError(f"`{path}` line {number} is no JSON object")
        yield number, written


def _rows(file: Any, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - an open text file
    reader = csv.DictReader(file, strict=True)
    known = {name for names in COLUMNS.values() for name in names}
    try:
        if not known & set(reader.fieldnames or ()):
            raise RequestError(
                f"`{path}` line 1 has none of the columns that are understood: name them {', '.join(WANTED)}"
            )
        for written in reader:
            if None in written or None in written.values():
                raise RequestError(f"`{path}` line {reader.line_num} has more or fewer values than the first line")
            yield reader.line_num, written
    except csv.Error as error:
        raise RequestError(f"`{path}` line {reader.line_num} is no CSV: {error}") from None


WANTED: Final = ("`cost_usd`", "`time`", "`model`", "`input_tokens`", "`output_tokens`", "or `call_id`")


def _charge(path: Path, number: int, written: dict[str, Any]) -> Charge:
    found = {what: _first(written, names) for what, names in COLUMNS.items()}
    try:
        charge = Charge(
            line=number,
            cost_nano_usd=_nano(found["cost"]),
            at_us=_moment(found["time"]),
            model=str(found["model"] or ""),
            input_tokens=_count(found["input"]),
            output_tokens=_count(found["output"]),
            cached_input_tokens=_count(found["cached"]),
            reservation_id=str(found["reservation_id"] or ""),
            call_id=str(found["call_id"] or ""),
            request_id=str(found["request_id"] or ""),
        )
    except ValueError as error:
        raise RequestError(f"`{path}` line {number}: {error}") from None
    if not charge.has_id and (charge.at_us is None or not charge.model):
        raise RequestError(f"`{path}` line {number} names none of our ids, so it needs a `time` and a `model`")
    return charge


def _first(written: dict[str, Any], names: tuple[str, ...]) -> object:
    return next((written[name] for name in names if written.get(name) not in {None, ""}), None)


def _nano(value: object) -> int:
    if value is None:
        raise ValueError("it has no `cost_usd`")
    try:
        usd = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        raise ValueError(f"`{value}` is no cost: write it as `0.0123`") from None
    if not usd.is_finite() or usd < 0 or usd * NANO_PER_USD > LARGEST:
        raise ValueError(f"`{value}` is no cost that a book can hold")
    numerator, denominator = usd.as_integer_ratio()
    return -(-numerator * NANO_PER_USD // denominator)


def _count(value: object) -> int | None:
    if value is None:
        return None
    if not DIGITS.fullmatch(str(value).strip()):
        raise ValueError(f"`{value}` is no count of tokens")
    return int(str(value))


def _moment(value: object) -> int | None:
    """ISO 8601, UTC unless it says otherwise; or seconds since 1970."""
    if value is None:
        return None
    text = str(value).strip()
    try:
        if re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", text):
            return int(Decimal(text) * 1_000_000)
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{value}` is no moment: write it as `2026-11-22T09:30:00Z`") from None
    read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return (read - EPOCH) // timedelta(microseconds=1)
