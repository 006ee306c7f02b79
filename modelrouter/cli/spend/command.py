"""`modelrouter spend`: what was spent, from the book."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrouter.cli.options import AsJson, ConfigOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.cli.spend.view import View
    from modelrouter.config import Setup
    from modelrouter.core.budget import Budget
    from modelrouter.ledger.reports import Question, Report

__all__ = ["spend"]

TAG = "tag."


def spend(
    *,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP[,GROUP]",
            help="deployment (the default), route, operator, developer, model, policy, hour, day, month or tag.NAME; "
            "one or two. With --concentration operator (the default), developer, parent or country",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="a length as 90m, 24h, 7d, 4w, a day as 2026-11-01, or 2026-11-01T09:30"),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="the same; through a day, if it is one")] = None,
    compare_to: Annotated[
        str | None,
        typer.Option(metavar="MODEL[@OPERATOR]", help="estimate what the same tokens would have cost there"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="show so many rows, and the others as one")] = (
        None
    ),
    concentration: Annotated[
        bool,
        typer.Option("--concentration", help="which vendor has how much, the trend, and how far each share cap is"),
    ] = False,
    tz: Annotated[str, typer.Option(metavar="ZONE", help="whose days and months, as Europe/Berlin")] = "UTC",
    config: ConfigOption = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print rows for a spreadsheet")] = False,
) -> None:
    """Sum up the book. Settled, uncertain (booked at its bound), reserved, overrun and correction are never added up.

    An attempt belongs to the moment of its reservation.
    """
    if as_json and as_csv:
        raise typer.BadParameter("`--json` and `--csv` are two forms of one report: ask for one", param_hint="--csv")
    if concentration:
        others = {"--compare-to": compare_to is not None, "--limit": limit is not None, "--csv": as_csv}
        _concentration(by, since, until, tz, config, others, as_json=as_json)
        return
    question = _question(by or "deployment", since, until, tz)
    from modelrouter.cli.spend.view import view_of
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    setup = read(find_config(config)).setup
    blank = _blank(setup, question, compare_to)
    report, blank = _read(setup, blank)
    _check_tags(setup, report, question)
    _print(view_of(report, blank, limit), as_json=as_json, as_csv=as_csv)


def _concentration(  # noqa: PLR0917 - as they were given
    by: str | None,
    since: str | None,
    until: str | None,
    tz: str,
    config: str | None,
    others: Mapping[str, bool],
    *,
    as_json: bool,
) -> None:
    from modelrouter.core.shares import BY

    for option, is_given in others.items():
        if is_given:
            raise typer.BadParameter("this means nothing with `--concentration`: remove it", param_hint=option)
    by = by or BY[0]
    if by not in BY:
        raise typer.BadParameter(f"`{by}` tells no vendors apart: write {', '.join(BY)}", param_hint="--by")
    question = _question("operator", since or "30d", until, tz)
    from modelrouter.cli.spend.concentration import Span, show_concentration
    from modelrouter.config import find_config, load

    if question.until_us is None:
        now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
        question = replace(question, until_us=now_us)
    if question.since_us is None or question.until_us is None or question.until_us <= question.since_us:
        raise typer.BadParameter(f"`{since}` is not in the past: write a length, as 30d", param_hint="--since")
    span = Span(question.since_us, question.until_us, question.zone)
    show_concentration(load(find_config(config)), by, span, as_json=as_json)


def _question(by: str, since: str | None, until: str | None, tz: str) -> Question:
    from modelrouter.cli.spend.when import moment_us, written, zone_of
    from modelrouter.ledger.reports import Question, groups_of

    groups, zone, now = groups_of(by), zone_of(tz), datetime.now(UTC)
    since_us = None if since is None else moment_us(since, now, zone, option="--since")
    until_us = None if until is None else moment_us(until, now, zone, option="--until", through=True)
    if since_us is not None and until_us is not None and until_us <= since_us:
        raise typer.BadParameter(
            f"`{until}` ends at {written(until_us, zone)}, which is not after the beginning at "
            f"{written(since_us, zone)}: swap them, or move one",
            param_hint="--until",
        )
    return Question(groups, since_us, until_us, zone)


def _blank(setup: Setup, question: Question, compare_to: str | None) -> View:
    """All of a view that is known without the book."""
    from modelrouter.cli.spend.compare import comparison
    from modelrouter.cli.spend.view import View

    compared = None
    if compare_to is not None:
        from modelrouter.catalog import load_catalog

        compared = comparison(setup, load_catalog(), compare_to)
    tags = [name for name in question.by if name.startswith(TAG)]
    declared = {name: setup.tags.get(name.removeprefix(TAG)) for name in tags}
    return View(
        question=question,
        ledger=setup.ledger_path or setup.ledger_shown,
        baseline=setup.baseline,
        comparison=compared,
        personal=tuple(name for name, tag in declared.items() if tag is not None and tag.personal),
    )


def _read(setup: Setup, blank: View) -> tuple[Report, View]:
    """The report, and where budgets stand."""
    from modelrouter.cli.booked import opened
    from modelrouter.ledger.reports import Report, Sums, report

    path = Path(setup.ledger_path) if setup.ledger_path else None
    if path is not None and path.parent.is_dir() and not path.exists():
        return Report((), Sums()), blank  # it is made with the first call
    with opened(setup.ledger) as book:
        with book.reading() as session:
            found = report(session, blank.question)
        book.configure(budgets=setup.budgets)
        note = _budget_note(setup.budgets, book.budgets())
        return found, replace(blank, positions=tuple(book.positions()), budget_note=note)


def _budget_note(written: Sequence[Budget], in_force: Sequence[Budget]) -> str:
    """A book goes by the budgets that were put in force in it, whatever a config says since."""
    if not in_force or {each.definition for each in written} == {each.definition for each in in_force}:
        return ""
    return (
        "the book goes by other budgets than this config: nothing is reserved by it until `modelrouter budget apply` "
        "puts these in force"
    )


def _check_tags(setup: Setup, report: Report, question: Question) -> None:
    """A tag that is neither declared nor in the book is a slip of the pen.

    Raises:
        BadParameter: there is one.
    """
    from modelrouter.config.nearest import nearest

    for place, name in enumerate(question.by):
        tag = name.removeprefix(TAG)
        if name.startswith(TAG) and tag not in setup.tags and not any(row.group[place] for row in report.rows):
            raise typer.BadParameter(f"no call has a tag `{tag}`{nearest(tag, setup.tags)}", param_hint="--by")


def _print(view: View, *, as_json: bool, as_csv: bool) -> None:
    from modelrouter.cli.spend import documents, screen

    if as_json:
        documents.print_json(view)
    elif as_csv:
        documents.print_csv(view)
    else:
        screen.show(view)
