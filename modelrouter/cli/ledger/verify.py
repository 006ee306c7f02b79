"""`modelrouter ledger verify` and `head`: is the book what was written, and what an outsider keeps to know it later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.ledger.book import fault_documents, opened
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import amount, console, print_document, printable, table
from modelrouter.core.money import format_usd
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.ledger.audit.archive_check import ArchiveReport
    from modelrouter.ledger.audit.findings import Fault
    from modelrouter.ledger.audit.heads import Head
    from modelrouter.ledger.audit.verify import Report

__all__ = ["head", "head_asked", "verify"]

HEAD_MARK: Final = "mr1:"
HEAD_FILE_MAX: Final = 4_096
MONEY: Final = ("settled", "uncertain", "reserved", "overrun", "correction")


def verify(
    *,
    against: Annotated[
        str | None, typer.Option(metavar="HEAD", help="a head that you kept, as text or as a file that holds it")
    ] = None,
    archive: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="check an archive's file too; may be given several times"),
    ] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Audit the book: every chain, every amount, every sum, worked out anew. Writers go on meanwhile.

    Exit code 1 where anything is not as it must be. A book that was rewritten as a whole, or cut off at its end with
    all sums made to fit, shows only against a head that was kept elsewhere.
    """
    kept = None if against is None else head_asked(against)
    from modelrouter.ledger.audit.archive_check import check_archives, require_archive
    from modelrouter.ledger.audit.verify import start_of
    from modelrouter.ledger.audit.verify import verify as audit

    with opened(config) as book, book.reading() as session:
        first_seq = start_of(session).seq + 1
        is_here = kept is not None and kept.seq >= first_seq - 1
        archives = check_archives(session, archive or (), None if is_here else kept)
        require_archive(kept, first_seq, archives)
        report = audit(session, against=kept if is_here else None)
    good = report.is_good and all(each.is_good for each in archives)
    if as_json:
        print_document({**_document(report), "good": good, "archives": [_archive_document(each) for each in archives]})
    else:
        _show(report)
        for each in archives:
            _show_archive(each)
    if not good:
        raise typer.Exit(1)


def head(*, config: ConfigOption = None, as_json: AsJson = False) -> None:
    """Print the head of the book: one line to keep elsewhere, for `verify --against`."""
    from modelrouter.ledger.audit.verify import current_head

    with opened(config) as book, book.reading() as session:
        found = current_head(session)
    if as_json:
        print_document({"head": str(found), "seq": found.seq})
    else:
        print(found)


def head_asked(text: str) -> Head:
    """A head, or the one that a file holds.

    Raises:
        RequestError: it is neither.
    """
    from modelrouter.ledger.audit.heads import parse_head

    if text.startswith(HEAD_MARK):
        return parse_head(text)
    try:
        with Path(text).open(encoding="utf-8") as file:
            kept = file.read(HEAD_FILE_MAX)
    except (OSError, ValueError):
        raise RequestError(
            f"`{text}` is neither a head nor a file that holds one: write `mr1:…` as `modelrouter ledger head` "
            "printed it, or the file's name"
        ) from None
    return parse_head(kept)


def _document(report: Report) -> dict[str, Any]:
    return {
        "head": str(report.head),
        "first_seq": report.first_seq,
        "last_seq": report.head.seq,
        "lines": report.lines,
        "writers": report.writers,
        "calls": report.calls,
        "kinds": dict(report.kinds),
        **{f"{name}_usd": amount(getattr(report, f"{name}_nano_usd")) for name in MONEY},
        "repriced": report.repriced,
        "unpriced": report.unpriced,
        "unlisted_documents": report.unlisted,
        "archived_lines_left": report.left,
        "faults": fault_documents(report.faults),
        "fault_counts": dict(report.counts),
        "seconds": round(report.seconds, 3),
    }


def _archive_document(report: ArchiveReport) -> dict[str, Any]:
    return {
        "file": str(report.path),
        "first_seq": report.first_seq,
        "last_seq": report.last_seq,
        "lines": report.lines,
        "good": report.is_good,
        "faults": fault_documents(report.faults),
        "fault_counts": dict(report.counts),
        "seconds": round(report.seconds, 3),
    }


def _show(report: Report) -> None:
    shown = table("looked at", "found", right=("found",))
    shown.add_row(f"lines {report.first_seq} to {report.head.seq}", f"{report.lines:,}")
    shown.add_row("chains of writers", f"{report.writers:,}")
    shown.add_row("calls", f"{report.calls:,}")
    shown.add_row("settlements priced again", f"{report.repriced:,}")
    if report.unpriced:
        shown.add_row("settlements without usage", f"{report.unpriced:,}")
    if report.unlisted:
        shown.add_row("documents that no line lists", f"{report.unlisted:,}")
    if report.left:
        shown.add_row("archived lines to remove", f"{report.left:,}")
    for name in MONEY:
        shown.add_row(name, format_usd(getattr(report, f"{name}_nano_usd")))
    shown.add_section()
    shown.add_row("faults", f"{sum(report.counts.values()):,}")
    console().print(shown)
    _show_faults("the book", report.faults, report.counts, report.seconds)
    console().print(f"head {report.head}", soft_wrap=True)


def _show_archive(report: ArchiveReport) -> None:
    name = f"archive {report.path} (lines {report.first_seq} to {report.last_seq})"
    _show_faults(name, report.faults, report.counts, report.seconds)


def _show_faults(name: str, faults: Sequence[Fault], counts: Mapping[str, int], seconds: float) -> None:
    screen = console()
    if not counts:
        screen.print(f"{name} is as it was written, checked in {seconds:.2f} s", soft_wrap=True)
        return
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    screen.print(
        f"{name} is not as it was written ({found}), checked in {seconds:.2f} s; the first faults:", soft_wrap=True
    )
    for each in faults:
        place = "" if each.seq is None else f"line {each.seq}: "
        screen.print(printable(f"  {each.kind}: {place}{each.text}"), soft_wrap=True)
