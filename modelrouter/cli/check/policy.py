"""`check --policy`: one policy without a configuration, linted, and its cases tried against the shipped catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from modelrouter.cli.check.findings import are_good, cases_document, findings_document, show_cases, show_findings
from modelrouter.cli.faults import REFUSED
from modelrouter.cli.screen import console, print_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelrouter.config.cases import Tried
    from modelrouter.config.lint import Located

__all__ = ["check_policy"]


def check_policy(named: str, *, as_json: bool) -> None:
    """Check the policy that a name or a path means; ends with 1 if a case fails or a rule can never permit."""
    from modelrouter.config.alone import check_alone, policy_path
    from modelrouter.core.decision import day_of
    from modelrouter.router.outside import SystemClock

    path = policy_path(named)
    found, tried = check_alone(path, day_of(SystemClock().now_s()))
    good = are_good(found, tried)
    if as_json:
        print_document(
            {
                "ok": good,
                "policy": path.stem,
                "file": str(path),
                "findings": findings_document(found),
                "cases": cases_document(tried),
            }
        )
    else:
        _show(path, found, tried, good=good)
    if not good:
        raise typer.Exit(REFUSED)


def _show(path: Path, found: Sequence[Located], tried: Sequence[Tried], *, good: bool) -> None:
    screen = console()
    show_findings(screen, found)
    show_cases(screen, tried)
    if not tried:
        screen.print(f"no cases: write some in {path.with_suffix('.cases.yaml')}", style="yellow", soft_wrap=True)
    if good:
        screen.print(f"{path.stem}: nothing speaks against it", style="bold green")
