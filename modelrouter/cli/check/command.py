"""`modelrouter check`: who may serve every route and who not, are the policies sound; and what is left after a loss?"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption, TagOption, call_options
from modelrouter.cli.screen import console, print_document

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized
    from datetime import date

    from rich.console import Console

    from modelrouter.cli.budget.book import Book
    from modelrouter.config import Setup
    from modelrouter.config.cases import Tried
    from modelrouter.config.lint import Located
    from modelrouter.core.decision import Decision
    from modelrouter.core.horizon import Horizon

__all__ = ["check"]


PolicyOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help="only this policy, by its name or file, and no config; with --survive, one added to all routes",
    ),
]
UntilOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="also what dates will change, as 90d or 2027-03-01"),
]


class Annotations(enum.Enum):
    """Whose annotations are printed."""

    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class _Checked:
    """Everything that a check looked at."""

    found: str
    setup: Setup
    decisions: Sequence[Decision]
    book: Book
    trouble: str
    findings: Sequence[Located]
    tried: Sequence[Tried]
    today: date
    until: date | None
    horizon: Horizon | None

    @property
    def is_good(self) -> bool:
        """Whether the answer is yes."""
        from modelrouter.cli.check.findings import are_good

        served = not self.trouble and all(decision.permitted for decision in self.decisions)
        return served and are_good(self.findings, self.tried) and not (self.horizon and self.horizon.outages)


def check(
    *,
    policy: PolicyOption = None,
    until: UntilOption = None,
    survive: Annotated[
        bool, typer.Option("--survive", help="take each vendor away: 1 if a route then has nobody left")
    ] = False,
    depth: Annotated[
        int | None, typer.Option(metavar="1|2", min=1, max=2, help="how many vendors are lost at once; 1 if not given")
    ] = None,
    lose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOSS[,LOSS]",
            help="lose just this, together: a vendor, country:US, parent:ID, credential:env:NAME; several times: each",
        ),
    ] = None,
    need: Annotated[
        list[str] | None,
        typer.Option(metavar="CAPABILITY", help="as for requests that need it too; several times: all"),
    ] = None,
    tag: TagOption = None,
    annotations: Annotated[
        Annotations | None, typer.Option(help="also print what CI shows beside the line of a route")
    ] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Read the config, judge every route as without tags, lint policies and try their cases. Connects to nothing.

    1 if a route has nobody, or loses its last candidate within --until, if a case fails, or a rule can never permit.
    """
    if survive:
        from modelrouter.cli.check.survive import survive as survey

        _refuse("--until" if until else None, "looks at dates, and `--survive` at losses: give one of the two")
        both = "--depth" if lose and depth else None
        _refuse(both, "counts any vendors, and `--lose` names them: give one of the two")
        _refuse("--annotations" if annotations and as_json else None, "are lines, and `--json` is one document: choose")
        options = call_options(policy, tag, None)
        survey(config, lose or (), depth or 1, need or (), options, as_json=as_json, annotated=annotations is not None)
        return
    given = {"depth": depth, "lose": lose, "need": need, "tag": tag, "annotations": annotations}
    _refuse(next((f"--{name}" for name, value in given.items() if value), None), "belongs to `--survive`: add it")
    if policy:
        _check_policy(policy, config, until, as_json=as_json)
    else:
        _check_config(config, until, as_json=as_json)


def _refuse(option: str | None, reason: str) -> None:
    if option is not None:
        raise typer.BadParameter(reason, param_hint=option)


def _check_policy(policies: Sequence[str], config: str | None, until: str | None, *, as_json: bool) -> None:
    from modelrouter.cli.check.policy import check_policy

    if config is not None or until is not None:
        raise typer.BadParameter("a policy is checked without a config: leave out `--config` and `--until`")
    _refuse("--policy" if len(policies) > 1 else None, "names several: one policy is checked at a time")
    check_policy(policies[0], as_json=as_json)


def _check_config(config: str | None, until: str | None, *, as_json: bool) -> None:
    checked = _checked(config, until)
    if as_json:
        _print_document(checked)
    else:
        _show(checked)
    if not checked.is_good:
        raise typer.Exit(REFUSED)


def _checked(config: str | None, until: str | None) -> _Checked:
    from modelrouter import Router
    from modelrouter.cli.budget.book import read_book
    from modelrouter.cli.check.until import horizon_within, until_day
    from modelrouter.cli.unwritten import UnwrittenLedger
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.config.cases import cases_of
    from modelrouter.config.lint import findings_of
    from modelrouter.core.decision import day_of
    from modelrouter.router.outside import SystemClock

    today = day_of(SystemClock().now_s())
    last = None if until is None else until_day(until, today)
    found = find_config(config)
    with Router.from_config(found, ledger=UnwrittenLedger()) as router:
        decisions = [router.explain(name) for name in router.setup.routes]
    reading = read(found)
    setup = reading.setup
    book = read_book(setup)
    return _Checked(
        found,
        setup,
        decisions,
        book,
        _ledger_trouble(setup, book),
        findings_of(reading, today),
        cases_of(reading, today),
        today,
        last,
        None if last is None else horizon_within(setup, today, last),
    )


def _ledger_trouble(setup: Setup, book: Book) -> str:
    """Why the ledger cannot be used, or empty. One that is not there yet is not made."""
    if book.is_there or book.trouble:
        return book.trouble or book.mismatch
    if setup.ledger_path and not os.access(Path(setup.ledger_path).parent, os.W_OK):
        return f"the ledger `{setup.ledger_path}` cannot be made: check the permissions of its folder"
    return ""


def _notes(setup: Setup) -> list[str]:
    notes = list(setup.notes)
    if setup.binding_tags:
        names = ", ".join(sorted(setup.binding_tags))
        notes.append(
            f"judged without tags, so every policy that asks for one binds ({names}): "
            "`modelrouter explain ROUTE --tag NAME=VALUE` judges with them"
        )
    idle = sorted(set(setup.world.deployments) - {name for route in setup.routes.values() for name in route.candidates})
    if idle:
        notes.append(f"in no route: {', '.join(idle)}")
    return notes


def _print_document(checked: _Checked) -> None:
    from modelrouter.cli.budget.book import budget_document
    from modelrouter.cli.check.findings import cases_document, findings_document
    from modelrouter.cli.check.until import horizon_document
    from modelrouter.cli.decisions import decision_document

    setup = checked.setup
    ahead = None
    if checked.horizon is not None and checked.until is not None:
        ahead = horizon_document(checked.horizon, checked.today, checked.until)
    print_document(
        {
            "ok": checked.is_good,
            "config": checked.found,
            "files": list(setup.files),
            "deployments": sorted(setup.world.deployments),
            "routes": [{"ok": bool(each.permitted), **decision_document(each)} for each in checked.decisions],
            "ledger": {
                "url": setup.ledger_shown,
                "ok": not checked.trouble,
                "exists": checked.book.is_there,
                "trouble": checked.trouble or None,
            },
            "reach": setup.reach,
            "budgets": [{**budget_document(each), "routes": list(setup.routes_under(each))} for each in setup.budgets],
            "notes": _notes(setup),
            "findings": findings_document(checked.findings),
            "cases": cases_document(checked.tried),
            "ahead": ahead,
        }
    )


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _show(checked: _Checked) -> None:
    from modelrouter.cli.budget.command import show_reach
    from modelrouter.cli.check.findings import show_cases, show_findings
    from modelrouter.cli.check.until import show_horizon
    from modelrouter.cli.decisions import show_decision

    screen, setup = console(), checked.setup
    screen.print(
        f"{checked.found}: {_count(setup.world.deployments, 'deployment')}, {_count(setup.routes, 'route')}",
        style="bold",
    )
    for decision in checked.decisions:
        screen.print()
        show_decision(screen, decision)
    if checked.horizon is not None and checked.until is not None:
        show_horizon(screen, checked.horizon, checked.today, checked.until)
    screen.print()
    for note in _notes(setup):
        screen.print(f"note: {note}", style="yellow")
    show_reach(screen, setup)
    show_findings(screen, checked.findings)
    show_cases(screen, checked.tried)
    _show_ledger(screen, checked)
    _show_answer(screen, checked)


def _show_ledger(screen: Console, checked: _Checked) -> None:
    if checked.trouble:
        # a path that is folded cannot be copied
        screen.print(f"ledger: {checked.trouble}", style="red", soft_wrap=True)
    elif not checked.book.is_there:
        where = checked.setup.ledger_path or checked.setup.ledger_shown
        screen.print(f"ledger: {where}, made with the first call", style="dim", soft_wrap=True)


def _show_answer(screen: Console, checked: _Checked) -> None:
    without = [decision.route for decision in checked.decisions if not decision.permitted]
    if without:
        screen.print(f"nobody may serve: {', '.join(without)}", style="bold red")
    elif not checked.trouble:
        said = "every route can be served" if checked.decisions else "no routes: add `routes`"
        screen.print(said, style="bold green")
    if checked.horizon is not None and checked.horizon.outages:
        lost = dict.fromkeys(f"{each.route} from {each.day} on" for each in checked.horizon.outages)
        screen.print(f"will have nobody: {', '.join(lost)}", style="bold red")
