"""Ends of attempts that cannot be written into the book, kept in a file until they can, also across a restart.

The book may be out of reach just when an attempt ends. Its end is then appended to a file of the writer's own, beside
the book or in a folder of the user, and synced. Whoever opens the book later takes over the files of writers that are
gone, which their lock tells, and removes each once all of it is in the book. A file holds no text of anybody: one line
of JSON for each end, with ids, counts, amounts and our own words about a failure.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.chain import canonical_text
from modelrouter.ledger.filelock import locked
from modelrouter.ledger.rows import microseconds, usage_columns
from modelrouter.ports import Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["Countdown", "Orphan", "Spool", "line_of", "orphans", "resolution_of"]

USAGE: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "units",
    "reported_nano_usd",
)

log: Final = logging.getLogger(__name__)


class Spool:
    """The file of one writer; made when it is first needed.

    Args:
        places: beginnings of file names, the best first.
    """

    def __init__(self, places: Sequence[Path], writer_id: str) -> None:
        self._paths = [place.with_name(place.name + writer_id) for place in places]
        self._open: tuple[Path, int] | None = None

    @property
    def path(self) -> Path | None:
        """Where it is; None: nothing is kept."""
        return None if self._open is None else self._open[0]

    def add(self, resolutions: Iterable[Resolution]) -> bool:
        """Keep these, durably. False: no place takes them, and they will not outlive the process."""
        text = "".join(line_of(each) + "\n" for each in resolutions).encode()
        if not text:
            return True
        if self._open is not None:
            if _append(self._open[1], text):
                return True
            log.error("the ends of attempts that wait for the ledger cannot be kept in `%s`", self._open[0])
            return False
        for path in self._paths:
            number = locked(path)
            if number is None:
                continue
            if _append(number, text):
                self._open = path, number
                return True
            _remove(path, number)
        log.error("the ends of attempts that wait for the ledger cannot be kept in any file, and end with the process")
        return False

    def clear(self) -> None:
        """All of it is in the book."""
        if self._open is not None:
            _remove(*self._open)
            self._open = None

    def let_go(self) -> None:
        """Leave the file to whoever opens the book next."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None


class Orphan:
    """What a writer that is gone has left behind; ours until `remove` or `let_go`.

    Raises:
        OSError: it cannot be read now.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self._number = number
        self._is_whole = True
        self.resolutions: tuple[Resolution, ...] = tuple(self._read())

    def remove(self) -> None:
        """All that can be read of it is in the book. What this version cannot read stays for one that can."""
        if self._is_whole:
            _remove(self.path, self._number)
        else:
            self.let_go()

    def _read(self) -> Iterable[Resolution]:
        """The ends in it. A last line that was cut off by a crash was never promised to anybody."""
        with os.fdopen(os.dup(self._number), "rb") as file:
            file.seek(0)
            lines = file.read().split(b"\n")[:-1]
        for line in lines:
            try:
                yield resolution_of(line.decode())
            except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
                self._is_whole = False
                log.warning("a line of `%s` cannot be read, so the file is kept", self.path)

    def let_go(self) -> None:
        """Leave it to somebody else."""
        os.close(self._number)


class Countdown:
    """Calls back once all of so many ends are in the book, or were there before; never, if one could not be written."""

    def __init__(self, count: int, reached: Callable[[], None]) -> None:
        self._left = count
        self._reached = reached
        self._guard = threading.Lock()

    def take(self, outcome: Exception | None) -> None:
        """One more outcome."""
        if isinstance(outcome, LedgerUnavailableError):
            return
        with self._guard:
            self._left -= 1
            is_over = not self._left
        if is_over:
            self._reached()


def orphans(places: Sequence[Path]) -> list[Orphan]:
    """The files of writers that are gone."""
    found: list[Orphan] = []
    for place in places:
        with contextlib.suppress(OSError):
            for path in sorted(place.parent.iterdir()):
                if path.name.startswith(place.name):
                    number = locked(path, create=False)
                    if number is None:
                        continue
                    if not _is_ours(number):
                        os.close(number)
                        continue
                    try:
                        found.append(Orphan(path, number))
                    except OSError:
                        os.close(number)
                        log.warning("`%s` cannot be read now, and stays for whoever opens the ledger next", path)
    return found


def _is_ours(number: int) -> bool:
    """Whether a file was left by a writer of this user: one of the places is a folder that everybody may write to."""
    return not hasattr(os, "geteuid") or os.fstat(number).st_uid == os.geteuid()


def _append(number: int, text: bytes) -> bool:
    """Add to a file and sync it; whole lines, or none."""
    try:
        size = os.fstat(number).st_size
        try:
            left = memoryview(text)
            while left:
                left = left[os.write(number, left) :]
            os.fsync(number)
        except OSError:
            os.ftruncate(number, size)
            raise
    except OSError:
        return False
    return True


def _remove(path: Path, number: int) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(number)


def line_of(resolution: Resolution) -> str:
    """All that the book needs of an end."""
    attempt = resolution.attempt
    failure, usage = attempt.failure, attempt.usage
    said: dict[str, object] = {
        "reservation_id": resolution.reservation_id,
        "billing": resolution.billing.name,
        "cost_nano_usd": resolution.cost_nano_usd,
        "saved_nano_usd": resolution.saved_nano_usd,
        "number": attempt.number,
        "deployment": attempt.deployment,
        "duration_us": microseconds(attempt.ended_s - attempt.started_s),
        "length_reached": attempt.length_reached,
        "usage": None if usage is None else dict(zip(USAGE, usage_columns(usage), strict=True)),
        "failure": None,
    }
    if failure is not None:
        kind, phase = failure.kind.value, failure.phase.value
        said["failure"] = {"kind": kind, "phase": phase, "status": failure.status, "detail": failure.detail}
    return canonical_text(said)


def resolution_of(line: str) -> Resolution:
    """The end that a line describes; what the book does not read of an attempt is left empty.

    Raises:
        ValueError, KeyError, TypeError, ArithmeticError, RecursionError: it is no such line.
    """
    said: dict[str, Any] = json.loads(line)
    failed, usage = said["failure"], said["usage"]
    failure = None
    if failed is not None:
        kind, phase = FailureKind(failed["kind"]), Phase(failed["phase"])
        failure = Failure(kind, phase, str(failed["detail"]), status=failed["status"])
    billing = Billing[said["billing"]]
    cost = int(said["cost_nano_usd"])
    attempt = Attempt(
        number=int(said["number"]),
        deployment=str(said["deployment"]),
        bound=Bound(0, 0, 0, BoundBasis.WINDOW),
        price=PriceList(Decimal(0), Decimal(0), free=True),
        started_s=0.0,
        ended_s=int(said["duration_us"]) / 1_000_000,
        failure=failure,
        usage=None if usage is None else Usage.from_columns(**usage),
        billing=billing,
        cost_nano_usd=cost,
        length_reached=bool(said["length_reached"]),
    )
    return Resolution(str(said["reservation_id"]), billing, cost, attempt, said["saved_nano_usd"])
