"""Our costs beside those of `genai_prices`' own calculator, over its whole table, and beside fractions.

Every model of the table with a price for tokens, at standard, batch, flex and priority rates, with usages of every
kind, at the edges of its tiers and at each moment at which its price changes. Theirs is lifted to the next nano-dollar,
as ours is. Then reports as providers send them, through both readers. Exits with 1 if a cost differs from fractions,
or from theirs without a known reason. `--record FILE.md` writes the table of disagreements, `--record FILE` figures.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from tests.genai_cases import EQUAL, UNEXPLAINED, VERDICTS, cases, compared, models, modes, skipped
from tests.genai_reports import REPORTS, read

if TYPE_CHECKING:
    from pathlib import Path

    from tests.genai_reports import Read, Report

SHOWN = 3


@dataclass(slots=True)
class Found:
    """What the comparison came to."""

    models: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    named: dict[str, set[str]] = field(default_factory=dict)
    beside_fractions: int = 0


def compare(most: int) -> Found:
    """Every case of every model, or of the first so many."""
    found = Found()
    for model in islice((each for source in (models(), modes()) for each in source), most or None):
        found.models += 1
        for case in cases(model, Random(model.name)):  # noqa: S311 - spread, not secrets
            outcome = compared(model, case)
            found.verdicts[outcome.verdict] += 1
            found.beside_fractions += outcome.ours != outcome.oracle
            if outcome.verdict != EQUAL:
                found.named.setdefault(outcome.verdict, set()).add(model.name)
                shown = found.examples.setdefault(outcome.verdict, [])
                if len(shown) < SHOWN:
                    theirs = "refused" if outcome.theirs is None else f"{outcome.theirs:,}"
                    ours = "uncertain" if outcome.is_uncertain else f"{outcome.ours:,}"
                    shown.append(f"{model.name}, {case.what}: {ours} against {theirs}")
    return found


def markdown(found: Found, reports: list[tuple[Report, Read]]) -> str:
    """The disagreements, with who is right and why."""
    written = (
        f"Written by `benchmarks/price_exactness.py` on {datetime.now(UTC).date()}, with genai-prices "
        f"{metadata.version('genai-prices')}. Amounts are nano-dollars, theirs lifted to a whole one as ours is."
    )
    counted = (
        f"{found.models:,} price lists (each model of the table with rates for input and output, at each of its terms "
        f"of service), {found.verdicts.total():,} usages. {found.verdicts[EQUAL]:,} are equal to the last digit; "
        f"{found.beside_fractions} differ from the independent calculation with fractions; "
        f"{found.verdicts[UNEXPLAINED]} are unexplained."
    )
    lines = [
        "# Costs beside those of genai-prices",
        "",
        written,
        "",
        counted,
        "",
        f"Left out: {', '.join(f'{count} models with {reason}' for reason, count in sorted(skipped().items()))}.",
        "",
        "## Same counts, another cost",
        "",
        "| what | usages | price lists | who is right, and why | for example, ours against theirs |",
        "| --- | ---: | ---: | --- | --- |",
    ]
    for verdict, why in VERDICTS.items():
        count = found.verdicts[verdict]
        shown = "<br>".join(found.examples.get(verdict, ["none"]))
        lines.append(f"| {verdict} | {count:,} | {len(found.named.get(verdict, ())):,} | {why} | {shown} |")
    lines += [
        "",
        "## Same report, read by both",
        "",
        "| report | model | ours | theirs | who is right, and why |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for report, outcome in reports:
        theirs = "refused" if outcome.theirs is None else f"{outcome.theirs:,}"
        lines.append(f"| {report.what} | {report.model} | {outcome.ours:,} | {theirs} | {report.why or 'equal'} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Compare, print, record, and judge whether all is explained."""
    chosen = arguments(__doc__, models=0)
    found = compare(chosen.models)
    reports = [(report, read(report)) for report in REPORTS]
    rows = [[verdict, f"{count:,}"] for verdict, count in sorted(found.verdicts.items())]
    table(["verdict", "usages"], [*rows, ["other than fractions", f"{found.beside_fractions:,}"]])
    surprising = [report.what for report, outcome in reports if (outcome.ours != outcome.theirs) != bool(report.why)]
    print(f"reports: {len(reports)}, read otherwise for a known reason: {sum(bool(each.why) for each, _ in reports)}")
    keep(chosen.record, chosen.models, found, reports)
    return 1 if found.beside_fractions or found.verdicts[UNEXPLAINED] or surprising else 0


def keep(path: Path | None, most: int, found: Found, reports: list[tuple[Report, Read]]) -> None:
    """Write the table or the figures, if asked to."""
    if path is not None and path.suffix == ".md":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(markdown(found, reports), encoding="utf-8")
        return
    figures = {
        "price_lists": found.models,
        "usages": sum(found.verdicts.values()),
        "other_than_fractions": found.beside_fractions,
        "verdicts": dict(found.verdicts),
    }
    record(path, "price_exactness", {"models": most}, figures)


if __name__ == "__main__":
    sys.exit(main())
