"""Who is cut off for one Router: by its ledger, by a signed file, and by drills. And who is under way meanwhile.

The ledger's reserve is the authority on what the ledger says. What is kept here is what its last transaction told, so
that decisions show it, that nothing is sent which was admitted a moment before, and that calls under way end where a
revocation asks for that. A file and a drill are obeyed here alone, before each hop and each sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Final

from modelrouter.config.nearest import nearest
from modelrouter.core.assurance.revocations import ROLES_OF, Revocation, RevokedKind, revoked_by, subjects_named
from modelrouter.core.facts import SELF
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from modelrouter.core.facts import World
    from modelrouter.router.epoch import Epoch

__all__ = ["CutOff", "Flight", "drill", "hits", "subject_of"]

DRILL: Final = "`Router.losing`"


def subject_of(text: str, world: World) -> tuple[RevokedKind, str]:
    """The one thing that a name means.

    Raises:
        RequestError: nothing has this name, or several have it; says what to write.
    """
    found = subjects_named(text, world)
    if len(found) == 1:
        return found[0]
    if found:
        ways = " or ".join(f"`{kind.value}:{name}`" for kind, name in found)
        raise RequestError(f"`{text}` is the name of several things: write {ways}")
    if text.removeprefix(f"{RevokedKind.VENDOR.value}:") == SELF:
        raise RequestError("`self` is you, and no vendor: revoke a deployment or a model instead")
    word, colon, name = text.partition(":")
    known: dict[str, Iterable[str]] = {
        RevokedKind.VENDOR.value: world.organisations.keys() - {SELF},
        RevokedKind.MODEL.value: world.models,
        RevokedKind.DEPLOYMENT.value: world.deployments,
    }
    if colon and word in known:
        raise RequestError(f"there is no {word} `{name}`{nearest(name, known[word])}")
    everything = {each for names in known.values() for each in names}
    raise RequestError(f"there is no vendor, model or deployment `{text}`{nearest(text, everything)}")


def drill(names: Sequence[str], world: World) -> tuple[Revocation, ...]:
    """Revocations of these in every role, for as long as a drill takes.

    Raises:
        RequestError: a name means nothing, or several things.
    """
    found = [subject_of(name, world) for name in names]
    return tuple(Revocation(kind, name, "a drill", ROLES_OF[kind], DRILL) for kind, name in found)


class CutOff:
    """See the module. Thread-safe: values are only ever replaced, whole.

    Args:
        drills: those of the Router, which begin and end while this lives.
    """

    def __init__(self, drills: Collection[tuple[Revocation, ...]]) -> None:
        self.by_ledger: tuple[Revocation, ...] = ()
        self._drills = drills

    def revocations(self, epoch: Epoch) -> tuple[Revocation, ...]:
        """All that were not restored."""
        found = self.by_ledger
        if epoch.revoked_file is not None:
            found = (*found, *epoch.revoked_file.revocations())
        return (*found, *(each for one in tuple(self._drills) for each in one)) if self._drills else found

    def why(self, epoch: Epoch, deployment: str, now_s: float) -> str:
        """Why a deployment is cut off, or empty."""
        found = self.revocations(epoch)
        return _why(epoch, deployment, now_s, found) if found else ""

    def among(self, epoch: Epoch, candidates: Sequence[str], now_s: float) -> dict[str, str]:
        """Those of some that are cut off, and why."""
        found = self.revocations(epoch)
        if not found:
            return {}
        whys = ((name, _why(epoch, name, now_s, found)) for name in candidates)
        return {name: why for name, why in whys if why}


def _why(epoch: Epoch, deployment: str, now_s: float, revocations: Sequence[Revocation]) -> str:
    marks = epoch.exposure(deployment, now_s).marks
    found = revoked_by(marks, revocations, int(now_s * 1_000_000))
    return "" if found is None else found.sentence(marks)


class Flight:
    """One attempt under way until its first content, which a revocation may interrupt from any thread.

    An async context manager around it: what is interrupted ends with a TimeoutError, and `why` says so.

    Args:
        among: all that are under way, by identity; it is one of them meanwhile. They are not held there: an attempt
            holds its task, and one that is dropped with its event loop is booked when it is collected.

    Attributes:
        why: it was interrupted, and by what; empty where it was not.
    """

    __slots__ = ("__weakref__", "_among", "_limit", "_loop", "marks", "why")

    def __init__(self, marks: frozenset[str], among: dict[int, weakref.ref[Flight]]) -> None:
        self.marks = marks
        self.why = ""
        self._among = among
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._among[id(self)] = weakref.ref(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._among.pop(id(self), None)
        await self._limit.__aexit__(kind, error, trace)

    def interrupt(self, why: str) -> None:
        """End it, if it has not ended by itself."""
        with contextlib.suppress(RuntimeError):  # its loop was closed, and it with it
            self._loop.call_soon_threadsafe(self._cut, why)

    def _cut(self, why: str) -> None:
        with contextlib.suppress(RuntimeError):  # it has just ended
            self._limit.reschedule(self._loop.time())
            self.why = why


def hits(marks: frozenset[str], revocations: Iterable[Revocation]) -> Iterator[str]:
    """What interrupts an attempt at a deployment with these marks, in words."""
    for each in revocations:
        if not each.marks.isdisjoint(marks):
            yield each.sentence(marks)
