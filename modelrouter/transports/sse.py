"""Server-sent events out of bytes as they come. Pure.

Source of the format: WHATWG HTML, "Server-sent events". Two things differ on purpose: an event that the stream ends in
without its blank line is given, not dropped, and the fields `id` and `retry` mean nothing here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["EVENT_LIMIT_BYTES", "Event", "EventReader", "EventTooLongError"]

EVENT_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""The longest event that is read: a chunk with a picture in it has a few megabytes."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventTooLongError(ValueError):
    """An event is longer than the limit."""


class Event(NamedTuple):
    """One event.

    Attributes:
        data: its data lines, joined by newlines.
        is_error: it was sent under the name `error`.
    """

    data: bytes
    is_error: bool


class EventReader:
    """Takes bytes cut anywhere, even within a character, and gives the events that are complete."""

    __slots__ = ("_data", "_is_error", "_limit_bytes", "_started", "_tail")

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._tail = b""
        self._data: bytes | None = None
        self._is_error = False
        self._started = False

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next bytes.

        Raises:
            EventTooLongError: the event under way is longer than the limit.
        """
        text = self._tail + piece if self._tail else piece
        if not self._started and len(text) >= len(BYTE_ORDER_MARK):
            self._started = True
            text = text.removeprefix(BYTE_ORDER_MARK)
        if b"\r" in text:
            held = text[-1:] if text.endswith(b"\r") else b""  # half of a CRLF, perhaps
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        lines = text.split(b"\n")
        self._tail = lines.pop()
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        if len(self._tail) + len(self._data or b"") > self._limit_bytes:
            raise EventTooLongError
        return events

    def end(self) -> list[Event]:
        """The stream is over: give what an end of line and a blank line would complete."""
        return self.feed(b"\n\n")

    def _take(self, line: bytes, events: list[Event]) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data = value if self._data is None else self._data + b"\n" + value
        elif not line:
            if self._data is not None:
                events.append(Event(self._data, self._is_error))
            self._data = None
            self._is_error = False
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"
