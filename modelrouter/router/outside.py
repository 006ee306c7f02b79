"""The real clock, and the sink that hands events to the host's own logging."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LogSink", "SystemClock"]


class SystemClock:
    """The machine's clock."""

    def now_s(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


class LogSink:
    """Events as structured lines of the stdlib logger `modelrouter`, at level INFO.

    The host's logging and structlog settings are left as found: this logger is wrapped with its own processors, and it
    stays silent until the host lets INFO of `modelrouter` through.
    """

    def __init__(self) -> None:
        import logging

        self._plain = logging.getLogger("modelrouter")
        self._level = logging.INFO
        self._logger: Any = None

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Write one event, if anybody listens."""
        if not self._plain.isEnabledFor(self._level):
            return
        if self._logger is None:
            self._logger = self._wrapped()
        self._logger.info(event, **fields)

    def _wrapped(self) -> object:
        import structlog

        return structlog.wrap_logger(
            self._plain,
            processors=[structlog.stdlib.add_log_level, structlog.processors.JSONRenderer(sort_keys=True)],
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )
