"""The file that archived lines are kept in: JSON, one record a line, complete enough to be audited on its own.

The first record says what the file is and what came before it; then every line of the book in its order, each call
before its first line; then the documents that these name; the last record counts them all. A book's `archive` line
holds the hash of the whole file.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

from modelrouter.errors import RequestError
from modelrouter.ledger.audit.chains import Start
from modelrouter.ledger.audit.lines import CALL_COLUMNS, COLUMNS, compact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from modelrouter.ledger.audit.lines import CallRow
    from modelrouter.ledger.session import Row

__all__ = ["FORMAT", "ArchiveWriter", "Header", "file_digest", "read_header", "records"]

FORMAT: Final = "modelrouter-archive"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file.

    Attributes:
        start: what came before its first line.
        writers: the rows of all writers that it needs.
    """

    last_seq: int
    start: Start
    writers: tuple[Row, ...]

    def text(self) -> str:
        """As it is written."""
        return compact(
            {
                "format": FORMAT,
                "version": VERSION,
                "first_seq": self.start.seq + 1,
                "last_seq": self.last_seq,
                "before_us": self.start.before_us,
                "heads": self.start.ends,
                "checked": self.start.checked,
                "budgets": self.start.budgets,
                "documents": [[digest, *listed] for digest, listed in sorted(self.start.documents.items())],
                "revocations": [[entry, *said] for entry, said in sorted(self.start.revocations.items())],
                "revoked": self.start.revoked,
                "writers": self.writers,
            }
        )

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The header that a record is.

        Raises:
            KeyError: something is missing, as with the next two.
            TypeError: something has another form.
            ValueError: so too.
        """
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise ValueError(f"version `{record['version']}` of `{record['format']}`")
        start = Start(
            seq=int(record["first_seq"]) - 1,
            before_us=int(record["before_us"]),
            ends={name: (int(number), str(digest)) for name, (number, digest) in record["heads"].items()},
            checked={name: int(number) for name, number in record["checked"].items()},
            budgets=None if record["budgets"] is None else (str(record["budgets"][0]), int(record["budgets"][1])),
            documents={digest: (kind, name, int(at)) for digest, kind, name, at in record["documents"]},
            revocations={int(entry): (int(at), str(text)) for entry, at, text in record["revocations"]},
            revoked=int(record["revoked"]),
        )
        return cls(int(record["last_seq"]), start, tuple(tuple(row) for row in record["writers"]))


class ArchiveWriter:
    """Writes one file, readable by its owner alone, and hashes it on the way.

    Raises:
        RequestError: there is a file of this name, or it cannot be made.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._counts = {"lines": 0, "calls": 0, "documents": 0}
        try:
            self._file: IO[bytes] = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        except FileExistsError:
            raise RequestError(f"`{path}` is there already: name a file that is not") from None
        except OSError as error:
            raise RequestError(f"`{path}` cannot be written ({error.strerror}): name another file") from None
        self._put(header.text())

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; a file that is not complete is removed."""
        self._file.close()
        if error is not None:
            self._path.unlink(missing_ok=True)

    def line(self, row: Row) -> None:
        """Add a line of the book."""
        self._counts["lines"] += 1
        self._put(f'{{"entry":{compact(row[: len(COLUMNS)])}}}')

    def call(self, call: CallRow) -> None:
        """Add a call."""
        self._counts["calls"] += 1
        self._put(f'{{"call":{compact([getattr(call, name) for name in CALL_COLUMNS])}}}')

    def document(self, row: Row) -> None:
        """Add a document."""
        self._counts["documents"] += 1
        self._put(f'{{"document":{compact(row)}}}')

    def finish(self) -> str:
        """Write the end and wait until all of it is on the disk; the hash of the file."""
        self._put(compact({"end": self._counts}))
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise RequestError(f"`{self._path}` cannot be written ({error.strerror}): nothing was archived") from None
        return self._digest.hexdigest()

    def _put(self, text: str) -> None:
        record = text.encode() + b"\n"
        self._digest.update(record)
        try:
            self._file.write(record)
        except OSError as error:
            raise RequestError(f"`{self._path}` cannot be written ({error.strerror}): nothing was archived") from None


def file_digest(path: Path) -> str:
    """The hash of a file.

    Raises:
        RequestError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RequestError(f"the archive `{path}` cannot be read: {(error.strerror or 'unknown').lower()}") from None


def read_header(path: Path) -> Header:
    """The first record of a file.

    Raises:
        RequestError: it cannot be read, or is no archive of ours.
    """
    try:
        with path.open("rb") as file:
            return Header.from_record(json.loads(file.readline()))
    except OSError as error:
        raise RequestError(f"the archive `{path}` cannot be read: {(error.strerror or 'unknown').lower()}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RequestError(f"`{path}` is no archive that this version knows") from None


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """What follows the first record: `entry`, `call`, `document` or `end`, and its columns.

    Raises:
        RequestError: a record cannot be read; says which line of the file.
    """
    with path.open("rb") as file:
        file.readline()
        for number, text in enumerate(file, 2):
            try:
                [(name, columns)] = json.loads(text).items()
            except (ValueError, AttributeError):
                raise RequestError(f"`{path}` line {number} is no record of an archive") from None
            yield name, columns
