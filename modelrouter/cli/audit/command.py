"""`modelrouter audit`: the evidence of a period as one folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption, DayOption, day_asked
from modelrouter.cli.screen import console, print_document

__all__ = ["audit"]


def audit(
    *,
    period: Annotated[
        str, typer.Option(metavar="PERIOD", help="2026-Q4, 2026-11, 2026, or 2026-10-01..2026-12-31; whole days, UTC")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="a new or empty folder; else ./audit-PERIOD")
    ] = None,
    on: DayOption = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="HEAD", help="a head of the ledger that you kept, as text or as a file that holds it"),
    ] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Write an audit pack: policies, waivers, who was cut off, refusals, spend, vendors, models, ledger heads.

    It is a folder of CSV, JSON and Markdown. Connects to nothing but the ledger. 1 if the ledger is not as it was
    written; the pack says so and is written too.
    """
    from modelrouter import __version__
    from modelrouter.cli.audit.evidence import evidence_of
    from modelrouter.cli.audit.made import Made
    from modelrouter.cli.audit.pack import MANIFEST, manifest_of, pack_of, write_pack
    from modelrouter.cli.audit.period import period_of
    from modelrouter.cli.booked import opened
    from modelrouter.cli.ledger.verify import head_asked
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    asked, today, kept = period_of(period), day_asked(on), None if against is None else head_asked(against)
    found = find_config(config)
    setup = read(found).setup
    with opened(setup.ledger) as book, book.reading() as session:
        evidence = evidence_of(session, setup, asked, kept)
    shown = Path(setup.ledger_path).name if setup.ledger_path else setup.ledger_shown
    made = Made(asked, today, __version__, shown, Path(found).name)
    folder = out or Path(f"audit-{asked.name}")
    files = pack_of(setup, evidence, made)
    write_pack(folder, files)
    seal = hashlib.sha256(files[MANIFEST]).hexdigest()
    if as_json:
        document = manifest_of(files, evidence, made)
        print_document(
            {
                "ok": evidence.verified.is_good,
                "folder": str(folder),
                "manifest": MANIFEST,
                "manifest_sha256": seal,
                **document,
            }
        )
    else:
        screen = console()
        screen.print(f"{len(files)} files are in {folder}: begin with README.md", soft_wrap=True)
        screen.print(f"SHA-256 of {MANIFEST}, which seals all of them: {seal}", soft_wrap=True, highlight=False)
        if not evidence.verified.is_good:
            screen.print("the ledger is not as it was written: see `modelrouter ledger verify`", style="bold red")
    if not evidence.verified.is_good:
        raise typer.Exit(REFUSED)
