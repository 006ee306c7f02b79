"""Findings of lint with the places where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.config.policies import SHIPPED
from modelrouter.core.facts import World
from modelrouter.core.lint import findings_in
from modelrouter.core.lint_routes import findings_on

if TYPE_CHECKING:
    from datetime import date

    from modelrouter.config.build import Reading
    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.world import Tables
    from modelrouter.core.lint import Finding

__all__ = ["Located", "findings_alone", "findings_of"]

PRESETS_MAY: Final = frozenset({"asks_nobody"})
"""What is no finding in a shipped policy: it is written for whatever deployments there may be."""


@dataclass(frozen=True, slots=True)
class Located:
    """A finding and its place; no file and line for what was built in Python."""

    finding: Finding
    file: str | None
    line: int | None
    key: str | None


def findings_of(reading: Reading, today: date) -> list[Located]:
    """Everything that lint finds in a configuration: in the policies of its own, and in those that its routes use."""
    setup, book = reading.setup, reading.book
    used = {layer.policy.name for route in setup.routes.values() for layer in route.layers}
    own = {name for name, each in book.written.items() if each.owner != SHIPPED}
    found = [each for name in sorted(used | own) for each in findings_in(book.expanded[name], setup.world)]
    tags = {name: tag.values for name, tag in setup.tags.items()}
    found += [
        each
        for each in findings_on(setup.routes, setup.world, tags, today)
        if not (each.kind in PRESETS_MAY and book.written[each.policy].owner == SHIPPED)
    ]
    return [_located(each, book, reading) for each in found]


def findings_alone(book: PolicyBook, name: str, tables: Tables) -> list[Located]:
    """What lint finds in one policy without a configuration."""
    world = World(tables.organisations, tables.licences, tables.models, {}, tables.groups, tables.caller)
    return [_located(each, book) for each in findings_in(book.expanded[name], world)]


def _located(finding: Finding, book: PolicyBook, reading: Reading | None = None) -> Located:
    if finding.waiver:
        at = book.waivers[finding.waiver]
    elif finding.policy:
        at = book.written[finding.policy].fault("", "rules", finding.rule)
    else:
        files = reading.files if reading else ()
        at = next(
            file.fault("", "deployments", finding.deployment)
            for file in files
            if finding.deployment in file.config.deployments
        )
    return Located(finding, at.file, at.line, at.key)
