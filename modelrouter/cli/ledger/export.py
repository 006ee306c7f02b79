"""`modelrouter ledger export`: the book as a table, one row for each attempt or revocation."""

from __future__ import annotations

import csv
import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from modelrouter.cli.ledger.book import opened
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document
from modelrouter.cli.spend.when import moment_us
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelrouter.ledger.session import Row

__all__ = ["export"]

FORMATS = ("jsonl", "csv")
ROWS = ("attempts", "revocations")


def export(
    *,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="a length as 24h, 7d, or a day as 2026-11-01 (UTC)")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="a new file; else the screen")] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="jsonl or csv")] = "jsonl",
    what: Annotated[str, typer.Option(metavar="ROWS", help="attempts or revocations")] = "attempts",
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Write one row for each attempt: ids, tags, usage, failure, price, and each kind of money apart.

    With `--what revocations` one for each revocation: who, as what, why, until when, and who undid it.

    Amounts are text with every digit. Tags that are personal are keyed hashes; `request_id` is in clear.
    """
    if form not in FORMATS:
        raise typer.BadParameter(f"`{form}` is none of {', '.join(FORMATS)}", param_hint="--format")
    if what not in ROWS:
        raise typer.BadParameter(f"`{what}` is none of {', '.join(ROWS)}", param_hint="--what")
    if as_json and to is None:
        raise typer.BadParameter(
            "`--json` prints a summary, so the rows need a file: add `--to FILE`", param_hint="--json"
        )
    since_us = 0 if since is None else moment_us(since, datetime.now(UTC), UTC, option="--since")
    from modelrouter.ledger.audit.export import EXPORT_COLUMNS, REVOCATION_COLUMNS, export_rows, revocation_rows

    rows, columns = (export_rows, EXPORT_COLUMNS) if what == ROWS[0] else (revocation_rows, REVOCATION_COLUMNS)
    with opened(config) as book, book.reading() as session, _target(to) as file:
        count = _write(file, form, columns, rows(session, since_us))
    if as_json:
        print_document({"file": str(to), "format": form, what: count})
    elif to is not None:
        console().print(f"{count:,} {what} are in {to}", soft_wrap=True)


def _write(file: IO[str], form: str, columns: Sequence[str], rows: Iterable[Row]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    if form == "csv":
        writer.writerow(columns)
    count = 0
    for row in rows:
        count += 1
        if form == "csv":
            writer.writerow(row)
        else:
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
    return count


@contextmanager
def _target(path: Path | None) -> Iterator[IO[str]]:
    """The screen, or a new file that its owner alone may read; what was only half written is removed."""
    if path is None:
        yield sys.stdout
        return
    try:
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8", newline="")
    except FileExistsError:
        raise RequestError(f"`{path}` is there already: name a file that is not") from None
    except OSError as error:
        raise RequestError(f"`{path}` cannot be written ({error.strerror}): name another file") from None
    try:
        with file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise RequestError(f"`{path}` cannot be written ({error.strerror}): nothing was kept") from None
        raise
