"""The order of the lines and the chain of each writer: nothing changed, left out, put in or put elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelrouter.ledger.audit.heads import head_of
from modelrouter.ledger.audit.lines import BEFORE_ALL, COLUMNS, compact, line_hash, whole

if TYPE_CHECKING:
    from modelrouter.ledger.audit.findings import Findings
    from modelrouter.ledger.audit.heads import Ends, Head
    from modelrouter.ledger.audit.lines import Line, Reader
    from modelrouter.ledger.session import Row

__all__ = ["Chains", "Start", "Writer", "writers_of"]


@dataclass(frozen=True, slots=True)
class Writer:
    """One row of `writers`."""

    writer_id: str
    pid: int
    host: str
    version: str
    at_us: int

    @property
    def opening(self) -> str:
        """What the first line of its chain says."""
        return compact(
            {
                "writer_id": self.writer_id,
                "pid": self.pid,
                "host": self.host,
                "version": self.version,
                "at_us": self.at_us,
            }
        )


@dataclass(frozen=True, slots=True)
class Start:
    """What came before the first line that is read.

    Attributes:
        seq: the last line before it; 0 where the book begins.
        before_us: where earlier lines were moved to an archive, the first hour that is wholly here; else 0.
        ends: of the chains up to there.
        checked: up to which line of each chain checkpoints up to there had named it.
        budgets: the definitions in force there, as a line of kind `budgets` writes them, and its number; None where
            there was no such line.
        documents: kind, name and moment of those listed up to there, by digest.
        revocations: moment and content of those in force there, by their lines.
        revoked: how many lines up to there changed them.
    """

    seq: int = 0
    before_us: int = 0
    ends: Ends = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    budgets: tuple[str, int] | None = None
    documents: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    revocations: dict[int, tuple[int, str]] = field(default_factory=dict)
    revoked: int = 0

    @property
    def after(self) -> int:
        """The line after which reading begins: of a book that was never archived, no line may come before the first."""
        return self.seq or BEFORE_ALL


def writers_of(session: Reader) -> dict[int, Writer]:
    """All writers by their number."""
    rows = session.rows("SELECT writer, writer_id, pid, host, version, at_us FROM writers")
    found: dict[int, Writer] = {}
    for number, *values in rows:
        columns: list[Any] = values  # compared with what their opening line says
        found[whole(number)] = Writer(*columns)
    return found


class Chains:
    """Follows every chain at once, line by line."""

    def __init__(self, writers: dict[int, Writer], start: Start, findings: Findings, against: Head | None) -> None:
        self.ends: Ends = dict(start.ends)
        self.checked = {writer_id: start.checked.get(writer_id, 0) for writer_id in start.ends}
        self.seq = start.seq
        self.at_us = 0
        self.against_met = against is None
        self._writers = writers
        self._findings = findings
        self._against = against
        self._meet()

    def take(self, row: Row, line: Line) -> str | None:
        """Check one line against the one before it, in the book and in its chain.

        Returns:
            its writer's id; None where there is no such writer.
        """
        self._order(line)
        writer = self._writers.get(line.writer)
        if writer is None:
            self._fault("writers", line, f"it names writer {line.writer}, who is not in the book")
            self._meet()
            return None
        number, previous = self.ends.get(writer.writer_id, (0, ""))
        if line.writer_seq != number + 1:
            self._fault("chain", line, f"it is line {line.writer_seq} of writer `{writer.writer_id}`, after {number}")
        if line.hash != line_hash(previous, row, writer.writer_id):
            self._fault("chain", line, "its hash does not come from its columns and the line before it")
        if (line.kind == "open") != (line.writer_seq == 1):
            self._fault("chain", line, "a writer's first line, and no other, must be of kind `open`")
        elif line.kind == "open" and not _same(line.content, writer.opening):
            self._fault("writers", line, f"writer `{writer.writer_id}` is not as its first line says")
        if line.kind == "checkpoint":
            self._checkpoint(line)
        self.ends[writer.writer_id] = (line.writer_seq, line.hash)
        self._meet()
        return writer.writer_id

    def skip(self, row: Row) -> None:
        """Go past a line that cannot be read, so that it is told of once."""
        seq, writer, number, digest = row[0], row[1], row[2], row[len(COLUMNS) - 1]
        if isinstance(seq, int):
            self.seq = seq
        known = self._writers.get(writer) if isinstance(writer, int) else None
        if known is not None and isinstance(number, int) and isinstance(digest, str):
            self.ends[known.writer_id] = (number, digest)
        self._meet()

    def finish(self) -> None:
        """Compare what only the end of the book can tell."""
        opened = self.ends.keys()
        for number, writer in self._writers.items():
            if writer.writer_id not in opened:
                self._findings.add("writers", None, f"writer {number} (`{writer.writer_id}`) has no line")
        if not self.against_met and self._against is not None:
            wanted = self._against
            where = f"ends at {self.seq}" if wanted.seq > self.seq else "begins later"
            self._findings.add("head", None, f"the head was taken at line {wanted.seq}, and the book {where}")

    def _order(self, line: Line) -> None:
        if line.seq != self.seq + 1:
            missing = f"lines {self.seq + 1} to {line.seq - 1} are missing" if line.seq > self.seq else "it comes twice"
            self._fault("order", line, f"it follows line {self.seq}: {missing}")
        if line.at_us < self.at_us:
            self._fault("time", line, f"it is {self.at_us - line.at_us} microseconds older than the line before it")
        self.seq, self.at_us = line.seq, max(line.at_us, self.at_us)

    def _checkpoint(self, line: Line) -> None:
        try:
            written = json.loads(line.content or "")["heads"]
            heads = {name: (int(number), str(digest)) for name, (number, digest) in written.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            self._fault("checkpoint", line, "it does not hold the ends of the chains")
            return
        grown = {name for name, (number, _) in self.ends.items() if number > self.checked.get(name, 0)}
        wrong = sorted(name for name, head in heads.items() if head != self.ends.get(name))
        if wrong:
            self._fault("checkpoint", line, f"the chain of writer `{wrong[0]}` did not end as it says")
        elif not grown <= heads.keys():
            left = min(grown - heads.keys())
            self._fault("checkpoint", line, f"the chain of writer `{left}` has grown, and it does not say so")
        self.checked.update((name, number) for name, (number, _) in heads.items())

    def _meet(self) -> None:
        """Compare with the head that somebody kept, once its line is reached."""
        wanted = self._against
        if self.against_met or wanted is None or wanted.seq != self.seq:
            return
        self.against_met = True
        if head_of(self.seq, self.ends) != wanted:
            self._findings.add("head", self.seq, "up to here the book is not the one that the head was taken of")

    def _fault(self, kind: str, line: Line, text: str) -> None:
        self._findings.add(kind, line.seq, text)


def _same(content: str | None, opening: str) -> bool:
    try:
        return bool(json.loads(content or "") == json.loads(opening))
    except ValueError:
        return False
