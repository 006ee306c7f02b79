"""How large an image is and how long a clip lasts, from the first bytes of what a request carries itself. Pure.

Only headers are read. What cannot be read counts at the formula's maximum, or by the window; nothing is guessed. An
address is never fetched.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from modelrouter.core.overhead import Picture

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["audio_s", "picture"]

SEGMENTS_MAX: Final = 256
"""Segments of a JPEG that are walked through before its frame; cameras write a few dozen at most."""
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame and say its size (ITU-T T.81, table B.1)."""


class _Encoded:
    """Base64 text of which single stretches are decoded."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def at(self, offset: int, count: int) -> bytes:
        """Decoded bytes from an offset, empty where the text is no Base64 there or ends before."""
        first, last = offset // 3 * 4, -(-(offset + count) // 3) * 4
        try:
            found = binascii.a2b_base64(self._text[first:last].encode("ascii"), strict_mode=True)
        except (ValueError, binascii.Error):
            return b""
        part = found[offset % 3 :][:count]
        return part if len(part) == count else b""

    def __len__(self) -> int:
        return len(self._text) * 3 // 4


def picture(part: Mapping[str, JSON]) -> Picture | None:
    """The image of a content part `image_url`, or None where the part holds none as OpenAI writes them.

    The size is known for PNG, GIF, JPEG and WebP in a `data:` address, and unknown for everything else.
    """
    image = part.get("image_url")
    if part.get("type") != "image_url" or not isinstance(image, Mapping):
        return None
    url, detail = image.get("url"), image.get("detail")
    if not isinstance(url, str):
        return None
    asked = detail if isinstance(detail, str) else ""
    head, mark, body = url.partition(";base64,")
    if not mark or not head.startswith("data:image/"):
        return Picture(detail=asked)
    size = _size(_Encoded(body))
    return Picture(detail=asked) if size is None or 0 in size else Picture(*size, asked)


def _size(encoded: _Encoded) -> tuple[int, int] | None:
    """Width and height in pixels."""
    head = encoded.at(0, 30)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:16] == b"IHDR":
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return _jpeg(encoded) if head[:2] == b"\xff\xd8" else None


def _webp(head: bytes) -> tuple[int, int] | None:
    """RFC 9649: canvas of the extended format, bit fields of the lossless one, frame header of the lossy one."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _jpeg(encoded: _Encoded) -> tuple[int, int] | None:
    """Walk from segment to segment until a frame says its size."""
    offset = 2
    for _ in range(SEGMENTS_MAX):
        segment = encoded.at(offset, 9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if marker in FRAMES:
            return int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7])
        if marker == 0xFF:  # padding before a marker
            offset += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # stands alone
            offset += 2
        else:
            offset += 2 + int.from_bytes(segment[2:4])
    return None


SAMPLES: Final = frozenset({1, 3, 0xFFFE})
"""Formats of a WAV file that hold plain samples: whole numbers, fractions, and the extensible one."""


def audio_s(part: Mapping[str, JSON]) -> int | None:
    """Seconds of a content part `input_audio`, rounded up; None where no length can be told, as of an MP3.

    All that was sent of a WAV file counts as sound, at the rate by which it is played: the bytes per second in its
    header may say anything, so they must agree with it.
    """
    clip = part.get("input_audio")
    if part.get("type") != "input_audio" or not isinstance(clip, Mapping):
        return None
    text = clip.get("data")
    if not isinstance(text, str):
        return None
    encoded = _Encoded(text)
    head = encoded.at(0, 34)
    if head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt " or int.from_bytes(head[20:22], "little") not in SAMPLES:
        return None
    bytes_per_s = int.from_bytes(head[28:32], "little")
    played = int.from_bytes(head[24:28], "little") * int.from_bytes(head[32:34], "little")
    return -(-len(encoded) // played) if played and played == bytes_per_s else None
