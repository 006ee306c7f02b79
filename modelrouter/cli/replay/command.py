"""`modelrouter replay`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import print_document
from modelrouter.cli.spend.when import moment_us
from modelrouter.core.replay import Change, Regime, compare
from modelrouter.core.replay_sums import Tally
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.catalog import Catalog
    from modelrouter.cli.replay.report import Report
    from modelrouter.config import Setup
    from modelrouter.ledger.session import Session

__all__ = ["replay"]

WORSE = (Change.NEWLY_REFUSED, Change.NOBODY_LEFT, Change.GONE)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is replayed, and under what."""

    setup: Setup
    catalog: Catalog
    shown: Mapping[str, str | None]
    since_us: int
    route: str | None


def replay(
    *,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a policy in place of the one of its name")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="another config")] = None,
    catalog: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="another catalog, or the folder of a version of this package")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="a length as 24h, 30d, or a day as 2026-11-01 (UTC)")
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="ROUTE", help="only its calls; with --from: the route of lines without one")
    ] = None,
    usage: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="another system's usage log: one JSON object a line")
    ] = None,
    present: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="the config whose ledger is read; else MODELROUTER_CONFIG, else ./modelrouter.yaml"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide past requests again under another policy, config or catalog: who would be refused, permitted, moved; cost.

    Each is decided at its own moment, with what was read then. Without a change given, the config of today is compared
    with what held on the day of each call. 1 if a request would be refused that was served.
    """
    from modelrouter.catalog import load_catalog
    from modelrouter.catalog.loader import read_catalog
    from modelrouter.cli.catalog.verify import catalog_folder
    from modelrouter.cli.replay.report import report_document, show_report
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    since_us = 0 if since is None else moment_us(since, datetime.now(UTC), UTC, option="--since")
    other = None if catalog is None else read_catalog(catalog_folder(catalog))
    found = str(config) if config is not None else find_config(present)
    setup = read(found, catalog=other, policy=policy).setup
    shown = {"config": found, "policy": None if policy is None else str(policy), "catalog": str(catalog or "shipped")}
    asked = _Asked(setup, load_catalog() if other is None else other, shown, since_us, route)
    report = _of_book(asked, _book_of(present, config)) if usage is None else _of_log(asked, usage)
    if as_json:
        print_document(report_document(report))
    else:
        show_report(report)
    if any(report.tally.changes[change] for change in WORSE):
        raise typer.Exit(REFUSED)


def _book_of(present: str | None, config: Path | None) -> str:
    """The config whose ledger is read: the present one, or the other where there is no present one."""
    from modelrouter.config import find_config

    try:
        return find_config(present)
    except ConfigError:
        if present is not None or config is None:
            raise
        return str(config)


def _of_book(asked: _Asked, present: str) -> Report:
    """Replay the requests of the ledger."""
    from modelrouter.cli.ledger.book import opened
    from modelrouter.cli.replay.report import Report
    from modelrouter.config.grounds import grounds_of
    from modelrouter.ledger.past import PastCalls

    tally = Tally()
    with opened(present) as book, book.reading() as session:
        regime = Regime(grounds_of(asked.setup), asked.setup.ladders, _known(session, asked.setup))
        calls = PastCalls(session, asked.since_us, asked.route)
        for past in calls:
            tally.add(past, compare(past, regime))
    return Report(tally, asked.shown, left_out=calls.left_out, unlike=calls.unlike)


def _of_log(asked: _Asked, path: Path) -> Report:
    """Replay another system's usage."""
    from modelrouter.cli.replay.foreign import ForeignCalls
    from modelrouter.cli.replay.report import Report
    from modelrouter.config.grounds import grounds_of

    tally, regime = Tally(), Regime(grounds_of(asked.setup), asked.setup.ladders)
    calls = ForeignCalls(path, asked.setup, asked.catalog, asked.since_us, asked.route)
    for past in calls:
        tally.add(past, calls.costed(past, compare(past, regime)))
    return Report(
        tally,
        {**asked.shown, "from": str(path)},
        left_out=calls.left_out,
        bad_lines=tuple(calls.bad_lines),
        unmatched=calls.unmatched,
        estimated=calls.estimated,
    )


def _known(session: Session, setup: Setup) -> dict[tuple[str, str], str]:
    """What stands behind the hashes of personal tags, for the values that policies name."""
    from modelrouter.ledger.tag_keys import pseudonyms

    named: dict[str, set[str]] = {}
    layers = [layer.policy for route in setup.routes.values() for layer in route.layers]
    for policy in [*layers, *(each for policies in setup.policies.values() for each in policies)]:
        for tag, values in policy.applies_to.items():
            if tag in setup.tags and setup.tags[tag].personal:
                named.setdefault(tag, set()).update(values)
    return {
        (tag, stands_for): value
        for tag, values in named.items()
        for stands_for, value in pseudonyms(session, tag, values).items()
    }
