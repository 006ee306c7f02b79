"""Whether an archive's file is the one that its book took out, and whether what it holds is as sound as a book."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modelrouter.errors import RequestError
from modelrouter.ledger.audit.archive_file import file_digest, read_header
from modelrouter.ledger.audit.findings import Findings
from modelrouter.ledger.audit.lines import body_digest
from modelrouter.ledger.audit.scratch import restored
from modelrouter.ledger.audit.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelrouter.ledger.audit.archive_file import Header
    from modelrouter.ledger.audit.findings import Fault
    from modelrouter.ledger.audit.heads import Head
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.audit.walk import Walk

__all__ = ["ArchiveReport", "check_archives", "require_archive"]


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What the audit of one file came to."""

    path: Path
    first_seq: int
    last_seq: int
    lines: int
    faults: Sequence[Fault]
    counts: Mapping[str, int]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts


def check_archives(session: Reader, paths: Sequence[Path], against: Head | None = None) -> list[ArchiveReport]:
    """Audit files, the newest first.

    The newest must be the one that a line of the book names; an older one may be named by a line in a newer file.

    Args:
        session: the book, in one picture.
        against: a head that somebody kept; compared in the file that holds its line.

    Raises:
        RequestError: a file cannot be read, or is no archive.
    """
    headers = [(path, read_header(path)) for path in paths]
    contents = _contents(session)
    reports = []
    for path, header in sorted(headers, key=lambda each: -each[1].last_seq):
        wanted = against if against is not None and header.start.seq <= against.seq <= header.last_seq else None
        reports.append(_check(path, header, contents, wanted))
    return reports


def _check(path: Path, header: Header, contents: dict[str, dict[str, Any]], against: Head | None) -> ArchiveReport:
    """Audit one file; what its own `archive` lines say is added to `contents`."""
    began, findings = time.perf_counter(), Findings()
    content = contents.get(file_digest(path))
    if content is None:
        findings.add("archive", None, "no line of the book, or of a newer archive, names this file as it is now")
    with restored(path, header) as (scratch, counts):
        walked = walk(scratch, replace(header.start, before_us=0), findings, against)  # it has no sums of earlier hours
        _texts(scratch, walked)
        _ends(walked, header, content, counts)
        contents.update(_contents(scratch))
    return ArchiveReport(
        path,
        header.start.seq + 1,
        header.last_seq,
        walked.lines,
        tuple(findings.shown),
        dict(findings.counts),
        time.perf_counter() - began,
    )


def _contents(session: Reader) -> dict[str, dict[str, Any]]:
    """What lines of kind `archive` say, by the hash of their file."""
    found: dict[str, dict[str, Any]] = {}
    for (text,) in session.rows("SELECT content FROM entries WHERE kind = 'archive'"):
        try:
            content = json.loads(str(text))
            found[str(content["file"])] = content
        except (ValueError, KeyError, TypeError):
            continue  # said by the audit of whatever holds it
    return found


def _texts(scratch: Reader, walked: Walk) -> None:
    there = set()
    for digest, body in scratch.rows("SELECT digest, body FROM documents"):
        there.add(str(digest))
        if body_digest(str(body)) != digest:
            walked.findings.add("documents", None, f"the text of document `{digest}` is another")
    for digest, seq in walked.named.items():
        if digest not in there:
            walked.findings.add("documents", seq, f"the document `{digest}` that it refers to is missing")


def _ends(walked: Walk, header: Header, content: dict[str, Any] | None, counts: dict[str, int]) -> None:
    """Compare with what the book says of it, and the file with its own last record."""
    findings, bookings = walked.findings, walked.bookings
    if walked.chains.seq != header.last_seq or counts.get("lines") != walked.lines:
        findings.add("archive", None, f"it should end with line {header.last_seq} and ends with {walked.chains.seq}")
    if counts.get("calls") != bookings.calls:
        findings.add("archive", None, f"it should hold {counts.get('calls')} calls and holds {bookings.calls}")
    for seq in bookings.pending:
        findings.add("archive", seq, "it has no end in this archive")
    if content is None:
        return
    try:
        heads = {name: (int(number), str(digest)) for name, (number, digest) in content["heads"].items()}
        sums = [int(content["sums"][f"{name}_nano_usd"]) for name in MONEY]
    except (ValueError, KeyError, TypeError, AttributeError):
        findings.add("archive", None, "the book does not say what this archive holds")
        return
    if heads != walked.chains.ends:
        findings.add("archive", None, "the chains do not end as the book says")
    if sums != bookings.totals:
        findings.add("archive", None, "its sums are not those that the book says")


MONEY = ("settled", "uncertain", "reserved", "overrun", "correction")


def require_archive(against: Head | None, first_seq: int, reports: Sequence[ArchiveReport]) -> None:
    """Refuse to compare with a head whose line is in an archive that was not given.

    Raises:
        RequestError: so it is.
    """
    if against is None or against.seq >= first_seq - 1:
        return
    if not any(report.first_seq - 1 <= against.seq <= report.last_seq for report in reports):
        raise RequestError(
            f"the head was taken at line {against.seq}, and the lines before {first_seq} were archived: name the file "
            "that holds it with `--archive`"
        )
