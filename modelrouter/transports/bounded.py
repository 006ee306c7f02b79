"""What a server says, read within bounds. Pure.

A reply is held to a size while its bytes come (`Endpoint.reply_bytes_max`) and to a depth here
(`Endpoint.reply_depth_max`): what is nested without end costs whoever walks through it, and cannot be written again.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["ReplyTooLongError", "Unpacked", "UnreadableError", "read_json"]

GZIP: Final = 31
"""zlib's word for a stream with gzip's head and end."""


class ReplyTooLongError(Exception):
    """A reply has more bytes than are read."""


class UnreadableError(ValueError):
    """Bytes that cannot be unpacked, are no JSON, or are nested too deep.

    Attributes:
        what: our own words, to stand after `the reply` or `a chunk of the stream`.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Unpacked:
    """The bytes of a reply as they come, unpacked; no piece of it may take more memory than the whole reply may."""

    def __init__(self, encoding: str, bytes_max: int) -> None:
        self._left = bytes_max
        self._pieces: list[bytes] = []
        self._gzip = zlib.decompressobj(GZIP) if encoding == "gzip" else None
        if encoding not in {"", "identity", "gzip"}:
            raise UnreadableError("is packed in a way that nobody asked for")

    def take(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            ReplyTooLongError: there are more than are read.
            UnreadableError: they are not packed as was said.
        """
        if self._gzip is not None:
            try:
                piece = self._gzip.decompress(piece, self._left + 1)
            except zlib.error:
                raise UnreadableError("has a broken compression") from None
        self._left -= len(piece)
        if self._left < 0:
            raise ReplyTooLongError
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """All of it.

        Raises:
            UnreadableError: the end of what was packed is missing.
        """
        if self._gzip is not None and not self._gzip.eof and self._pieces:
            raise UnreadableError("has a broken compression")
        return b"".join(self._pieces)


def read_json(text: bytes, depth_max: int) -> JSON:
    """Decode one JSON text.

    Raises:
        UnreadableError: it is none, or has more than `depth_max` objects and arrays within each other.
    """
    try:
        value: JSON = orjson.loads(text)
    except orjson.JSONDecodeError:  # its own message quotes what it was given
        raise UnreadableError("is not a JSON object") from None
    if text.count(b"{") + text.count(b"[") > depth_max and _is_deeper(value, depth_max):
        raise UnreadableError(f"is nested deeper than {depth_max} levels")
    return value


def _is_deeper(value: JSON, depth_max: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth_max):
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return bool(level)
