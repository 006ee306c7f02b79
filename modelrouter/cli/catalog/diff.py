"""`modelrouter catalog diff`: what changed between two catalogs, and what of it could change decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.catalog.verify import FolderArgument, catalog_folder
from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.cli.catalog.changes import Change

__all__ = ["diff"]

SHOWN_MAX: Final = 60
"""Characters of a value on a line; `--json` has all of it."""


def diff(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="a catalog's folder, or that of a version of this package")
    ],
    new: FolderArgument = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what was added, removed and changed, fact by fact; 1 if any of it could change a decision or a cost."""
    from modelrouter.catalog import load_catalog
    from modelrouter.catalog.loader import read_catalog
    from modelrouter.cli.catalog.changes import changes

    before = read_catalog(catalog_folder(old))
    after = load_catalog() if new is None else read_catalog(catalog_folder(new))
    found = changes(before, after)
    decides = [each for each in found if each.decides]
    if as_json:
        print_document(
            {
                "old": str(old),
                "new": str(new or "shipped"),
                "can_change_decisions": bool(decides),
                "changes": [_document(each) for each in found],
            }
        )
    else:
        _show(found, decides)
    if decides:
        raise typer.Exit(REFUSED)


def _document(change: Change) -> dict[str, Any]:
    return {
        "table": change.table,
        "id": change.entry,
        "fact": change.fact or None,
        "kind": change.kind,
        "parts": list(change.parts),
        "can_change_decisions": change.decides,
        "before": change.before,
        "after": change.after,
    }


def _show(found: Sequence[Change], decides: Sequence[Change]) -> None:
    screen = console()
    for each in found:
        mark = "!" if each.decides else " "
        path = f"{each.table}/{each.entry}" + (f" {each.fact}" if each.fact else "")
        parts = [f"{part} {_said(each.before, part)} -> {_said(each.after, part)}" for part in each.parts]
        style = "yellow" if each.decides else "dim"
        screen.print(f"{mark} {each.kind} {path}{': ' if parts else ''}{'; '.join(parts)}", style=style, soft_wrap=True)
    if not found:
        screen.print("no difference", style="bold green")
        return
    screen.print(f"{len(found)} differences, {len(decides)} of them (!) could change decisions or costs", style="bold")


def _said(leaf: Mapping[str, Any] | None, part: str) -> str:
    """One part of a fact in few words."""
    if leaf is None:
        return "nothing"
    source = leaf.get("source") or {}
    value = {
        "state": leaf["state"],
        "value": leaf["value"],
        "confidence": source.get("confidence"),
        "grade": source.get("grade"),
        "date": source.get("checked_on"),
        "reference": source.get("ref"),
    }[part]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"
