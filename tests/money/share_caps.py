"""The trial of share caps: processes that buy from several vendors at once, and a book that is replayed line by line.

The oracle reads the book by its own statement and adds everything up in its own way: at each reservation, every hard
cap of its route must have held for its vendor.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.money.counting_server import INPUT_NANO_USD, MODEL, OUTPUT_NANO_USD
from tests.money.trial import audit, call_all, counting_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

__all__ = ["Alone", "Cap", "Found", "alone", "broken", "trial"]

PROCESSES: Final = 4
TASKS: Final = 64
Cells: TypeAlias = "defaultdict[tuple[str, int], int]"
HOUR_US: Final = 3_600_000_000
NANO: Final = 10**9
PARENTS: Final = {"north": "holding", "south": "holding", "east": "east"}
LINES: Final = """SELECT e.seq, e.kind, e.amount_nano_usd, e.at_us, COALESCE(e.operator, ''), e.bound_input_tokens,
    e.bound_output_tokens, COALESCE(e.resolves, e.corrects), e.input_tokens, e.output_tokens, c.route, e.call_id
    FROM entries e LEFT JOIN calls c ON c.call_id = e.call_id ORDER BY e.seq"""


@dataclass(frozen=True, slots=True)
class Cap:
    """A rule, as the oracle has it.

    Attributes:
        of: `spend`, `calls` or `tokens`.
        least: nano-dollars, attempts or tokens.
    """

    most: Fraction
    of: str
    by: str
    window_h: int
    least: int
    mode: str = "hard"
    alone: str = "permit"

    @property
    def yaml(self) -> str:
        """As a rule of a policy."""
        volume = f"'{self.least // NANO}.{self.least % NANO:09d}'" if self.of == "spend" else str(self.least)
        alone = f", when_alone: {self.alone}" if self.mode == "hard" else ""
        return (
            f"{{max: '{float(self.most):g}', of: {self.of}, by: {self.by}, window: {self.window_h}h, "
            f"min_volume: {volume}, mode: {self.mode}{alone}}}"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a trial came to.

    Attributes:
        checked: admissions of which every hard cap was looked at.
        closest: how much of a cap was used at most by an admission that it had to let pass.
        refused: calls that found every vendor over a hard cap.
        moved: attempts at another vendor than the route's first.
    """

    calls: int
    attempts: int
    checked: int
    seconds: float
    calls_per_s: float
    cpu_us_per_call: float
    closest: Fraction
    refused: int
    moved: int
    shares: dict[str, str]


@dataclass(frozen=True, slots=True)
class Alone:
    """What became of routes with one vendor.

    Attributes:
        beyond: admissions beyond the cap where `when_alone` permits.
    """

    permitted: int
    beyond: int
    refused: int
    checked: int


# --- the trials -------------------------------------------------------------------------------------------------------

SPEND: Final = Cap(Fraction(9, 20), "spend", "operator", 24, NANO // 4)
CALLS: Final = Cap(Fraction(11, 20), "calls", "operator", 1, 300)
SOFT: Final = Cap(Fraction(1, 20), "tokens", "parent", 24, 100, mode="soft")


def trial(folder: Path, ledger: str, *, calls: int, seed: int) -> Found:
    """Buy from three vendors under two hard caps on one route and a soft one, always exceeded, on the other."""
    policies = {"spread": SPEND, "counted": CALLS, "leaning": SOFT}
    routes = {"first": (("north", "south", "east"), ("spread", "counted")), "second": (("east", "south"), ("leaning",))}
    log = folder / "billed.log"
    with counting_server(log) as port:
        config = _write_config(folder, port, ledger, policies, routes)
        begun_s = time.monotonic()
        reports = call_all(config, processes=PROCESSES, tasks=TASKS, calls=calls // PROCESSES, seed=seed)
        seconds = time.monotonic() - begun_s
    book = list(_lines(ledger))
    caps = {route: [policies[name] for name in names] for route, (_, names) in routes.items()}
    faults, checked, closest = broken(book, caps)
    assert not faults, faults[:3]
    audit(ledger)
    seen = _seen(reports)
    assert not seen["refused on second"], "a soft cap refused"
    first = {route: names[0] for route, (names, _) in routes.items()}
    attempts = [line for line in book if line.kind == "reserve"]
    operators = Counter(line.operator for line in attempts)
    return Found(
        calls=len({line.call_id for line in attempts}),
        attempts=len(attempts),
        checked=checked,
        seconds=seconds,
        calls_per_s=calls / seconds,
        cpu_us_per_call=sum(float(str(report["cpu_s"])) for report in reports) / calls * 1e6,
        closest=closest,
        refused=seen["refused on first"],
        moved=sum(line.operator != first[line.route] for line in attempts),
        shares={name: f"{count / len(attempts):.3f}" for name, count in sorted(operators.items())},
    )


def alone(folder: Path, ledger: str, *, calls: int, seed: int) -> Alone:
    """Buy on two routes that have one vendor each: where `when_alone` permits, all goes on; else the cap holds."""
    policies = {
        "lenient": Cap(Fraction(1, 5), "calls", "operator", 24, 40),
        "strict": Cap(Fraction(1, 5), "calls", "operator", 24, 40, alone="refuse"),
    }
    routes = {"first": (("north",), ("lenient",)), "second": (("south",), ("strict",))}
    with counting_server(folder / "billed.log") as port:
        config = _write_config(folder, port, ledger, policies, routes)
        reports = call_all(config, processes=PROCESSES, tasks=TASKS, calls=calls // PROCESSES, seed=seed)
    book = list(_lines(ledger))
    caps = {route: [policies[name] for name in names] for route, (_, names) in routes.items()}
    faults, checked, _ = broken(book, {"first": [], "second": caps["second"]})
    assert not faults, faults[:3]
    audit(ledger)
    seen = _seen(reports)
    assert not seen["refused on first"], "a vendor that is alone was refused where it is permitted"
    beyond, _, _ = broken(book, {"first": caps["first"], "second": []})
    return Alone(seen["begun on first"], len(beyond), seen["refused on second"], checked)


def _seen(reports: Sequence[Mapping[str, object]]) -> Counter[str]:
    seen: Counter[str] = Counter()
    for report in reports:
        told = report["seen"]
        assert isinstance(told, dict)
        seen.update(told)
    return seen


def _write_config(
    folder: Path,
    port: int,
    ledger: str,
    policies: Mapping[str, Cap],
    routes: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
) -> Path:
    price = (
        f"{{input_usd_per_mtok: '{INPUT_NANO_USD * 1_000_000 / NANO:g}', "
        f"output_usd_per_mtok: '{OUTPUT_NANO_USD * 1_000_000 / NANO:g}'}}"
    )
    source = "{ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}"
    lines = [
        "modelrouter: 1",
        "caller: {name: Acme GmbH, country: DE, parent_country: DE}",
        f"ledger: {{url: {json.dumps(ledger)}}}",
        "tags: {team: {values: [red, blue, green]}}",
        "organisations:",
        "  holding: {country: DE, parent: none, terms: {training: never}, source: the register}",
        "  north: {country: DE, parent: holding, terms: {training: never}, source: the register}",
        "  south: {country: FR, parent: holding, terms: {training: never}, source: the register}",
        "  east: {country: PL, parent: none, terms: {training: never}, source: the register}",
        "deployments:",
    ]
    lines += [
        f"  {name}: {{model: {MODEL}, operator: {name}, hosts: [127.0.0.1], "
        f"base_url: 'http://127.0.0.1:{port}/v1', name: {MODEL}, processing: [DE], storage: none, retention_days: 0, "
        f"training: never, context_tokens: 8192, bound_basis: documented, price: {price}, source: {source}}}"
        for name in PARENTS
    ]
    lines.append("routes:")
    for route, (names, used) in routes.items():
        written = "".join(
            f"\n      - {{policy: {name}, rules: {{vendors.share: {policies[name].yaml}}}}}" for name in used
        )
        lines.append(
            f"  {route}:\n    try: [{', '.join(names)}]\n    output_tokens: {{default: 60, min: 1}}\n"
            f"    policies:{written}"
        )
    path = folder / "modelrouter.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- the oracle -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the book."""

    seq: int
    kind: str
    amount: int
    at_us: int
    operator: str
    bound_tokens: int
    target: int | None
    tokens: int
    route: str
    call_id: str


def broken(book: Sequence[Line], caps: Mapping[str, Sequence[Cap]]) -> tuple[list[str], int, Fraction]:
    """Every admission at which a hard cap of its route did not hold.

    Returns:
        a sentence for each; how many were looked at; the highest part of a cap that one of them used.
    """
    settled: dict[str, defaultdict[tuple[str, int], int]] = {
        of: defaultdict(int) for of in ("spend", "calls", "tokens")
    }
    reserved: dict[str, defaultdict[tuple[str, int], int]] = {of: defaultdict(int) for of in settled}
    begun = {line.seq: line for line in book if line.kind == "reserve"}
    faults, checked, closest = [], 0, Fraction(0)
    for line in book:
        if line.kind == "reserve":
            hard = [cap for cap in caps.get(line.route, ()) if cap.mode == "hard"]
            for cap in hard:
                part = _part(line, cap, settled[cap.of], reserved[cap.of])
                closest = max(closest, part)
                if part > 1:
                    faults.append(f"line {line.seq}: {float(part):.4f} of the cap on {cap.of} for {line.operator}")
            checked += bool(hard)
            place = line.operator, line.at_us // HOUR_US
            for of, units in (("spend", line.amount), ("calls", 1), ("tokens", line.bound_tokens)):
                reserved[of][place] += units
            continue
        origin = begun.get(line.target or 0)
        if origin is None:
            continue
        place = origin.operator, origin.at_us // HOUR_US
        settled["spend"][place] += line.amount
        settled["tokens"][place] += line.tokens
        if line.kind in {"settle", "uncertain", "release", "expire"}:
            settled["calls"][place] += 1
            for of, units in (("spend", origin.amount), ("calls", 1), ("tokens", origin.bound_tokens)):
                reserved[of][place] -= units
    return faults, checked, closest


def _part(line: Line, cap: Cap, settled: Cells, reserved: Cells) -> Fraction:
    """What of a cap is used with this admission."""
    first = (line.at_us - cap.window_h * HOUR_US) // HOUR_US

    def is_theirs(operator: str) -> bool:
        return PARENTS[operator] == PARENTS[line.operator] if cap.by == "parent" else operator == line.operator

    total = sum(units for (_, hour), units in settled.items() if hour >= first)
    own = sum(units for (who, hour), units in settled.items() if hour >= first and is_theirs(who))
    held = sum(units for (who, hour), units in reserved.items() if hour >= first and is_theirs(who))
    needed = {"spend": line.amount, "calls": 1, "tokens": line.bound_tokens}[cap.of]
    return Fraction(own + held + needed) / (cap.most * max(cap.least, total))


def _lines(ledger: str) -> Iterator[Line]:
    """The whole book, read without the package."""
    for seq, kind, amount, at_us, operator, *bounds, target, tokens_in, tokens_out, route, call in _rows(ledger):
        most, tokens = (sum(each or 0 for each in counts) for counts in (bounds, (tokens_in, tokens_out)))
        yield Line(seq, kind, amount, at_us, operator, most, target, tokens, route or "", call or "")


def _rows(ledger: str) -> Sequence[tuple[Any, ...]]:
    if ledger.startswith("sqlite:///"):
        connection = sqlite3.connect(f"file:{ledger.removeprefix('sqlite:///')}?mode=ro", uri=True)
        try:
            return connection.execute(LINES).fetchall()
        finally:
            connection.close()
    import psycopg

    address, _, schema = ledger.partition("schema=")
    with psycopg.connect(address.rstrip("?&"), options=f"-c search_path={schema}") as server:
        return server.execute(LINES).fetchall()
