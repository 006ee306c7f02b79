"""The ports to the program around: its clock, its log, and its own look at requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["Clock", "EventSink", "Inspector"]


class Clock(Protocol):
    """Time from outside."""

    def now_s(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Inspector(Protocol):
    """Looks into the texts of a request before anything is decided. Synchronous, and quick: every call waits for it.

    One that raises refuses the request.
    """

    def __call__(self, texts: Sequence[str], /) -> Mapping[str, int]:
        """How many things of each kind the texts hold, and nothing of the things themselves."""
        ...


class EventSink(Protocol):
    """Where events go: decisions, attempts, failures. Never prompt or answer text, never a key."""

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Take one event; must not raise or block."""
        ...
