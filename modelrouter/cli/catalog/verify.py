"""`modelrouter catalog verify`: whether a catalog can be trusted as it is written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document
from modelrouter.core.facts import State
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.catalog.census import Census
    from modelrouter.catalog.verify import Finding

__all__ = ["FolderArgument", "catalog_folder", "day_of", "verify"]

FolderArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="a catalog's folder; absent is the shipped one", show_default=False),
]
TABLE: Final = "organisations.yaml"


def verify(
    folder: FolderArgument = None,
    *,
    max_age_days: Annotated[int | None, typer.Option(metavar="DAYS", min=0, help="how old a check may be")] = None,
    on: Annotated[str | None, typer.Option(metavar="DAY", help="judge dates as on this day; absent is today")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell everything that is wrong with a catalog at once: schema, sources, ids, circles, contradictions; 1 if any."""
    from modelrouter.catalog.census import census_of
    from modelrouter.catalog.loader import read_catalog
    from modelrouter.catalog.verify import AGE_MAX_DAYS
    from modelrouter.catalog.verify import verify as verified

    found = catalog_folder(folder)
    day = day_of(on)
    shelf, findings = verified(found, day, age_max_days=AGE_MAX_DAYS if max_age_days is None else max_age_days)
    counts = {table: len(entries) for table, entries in sorted(shelf.raw.items())}
    census = None if findings else census_of(read_catalog(found))
    if as_json:
        entries = [_document(each) for each in findings]
        read = {"folder": str(folder or "shipped"), "entries": counts, "facts": _census_document(census)}
        print_document({"ok": not findings, **read, "findings": entries})
    else:
        _show(counts, findings)
        if census is not None:
            _show_census(census)
    if findings:
        raise typer.Exit(REFUSED)


def catalog_folder(folder: Path | None) -> Path:
    """The folder of a catalog, or the one inside a version of this package; the shipped one where none is named.

    Raises:
        ConfigError: there is no such folder, or none of a catalog.
    """
    from importlib.resources import files

    found = Path(str(files("modelrouter.catalog"))) if folder is None else folder
    if not found.is_dir():
        raise ConfigError(f"there is no folder `{folder}`: name one in the layout of the shipped catalog")
    within = [
        place for place in (found, found / "catalog", found / "modelrouter" / "catalog") if (place / TABLE).is_file()
    ]
    if not within:
        raise ConfigError(f"`{folder}` is no catalog: it has no `{TABLE}`; name the folder that holds it")
    return within[0]


def day_of(text: str | None) -> date:
    """A day that was named, or today, UTC."""
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is no day: write it as `2026-11-22`", param_hint="--on") from None


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "file": finding.file,
        "line": finding.line,
        "key": finding.key,
        "message": finding.message,
    }


def _show(counts: dict[str, int], findings: Sequence[Finding]) -> None:
    screen = console()
    for each in findings:
        key = f" {each.key}:" if each.key else ""
        screen.print(f"{each.place}:{key} {each.message}", soft_wrap=True)
    read = ", ".join(f"{number} {table}" for table, number in counts.items())
    if findings:
        word = "finding" if len(findings) == 1 else "findings"
        screen.print(f"{len(findings)} {word} in {read}", style="bold red", soft_wrap=True)
    else:
        screen.print(f"nothing is wrong in {read}", style="bold green", soft_wrap=True)


def _census_document(census: Census | None) -> dict[str, Any] | None:
    if census is None:
        return None
    plain = {"states": dict(census.states), "confidences": dict(census.confidences)}
    return {**plain, "unsourced": census.unsourced, "models": census.models, "based": census.based}


def _show_census(census: Census) -> None:
    states = ", ".join(f"{census.states[state.value]} {state.value}" for state in State)
    sure = ", ".join(f"{number} {level}" for level, number in sorted(census.confidences.items()))
    screen = console()
    screen.print(f"{sum(census.states.values())} facts: {states}; confidence: {sure}", soft_wrap=True)
    screen.print(
        f"{census.based} of {census.models} models: known from what they were made, or sourced that from nothing",
        soft_wrap=True,
    )
