"""Images and clips: sizes from headers as encoders write them, nothing from what cannot be read."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.bounds import Picture
from modelrouter.core.media import audio_s, picture

if TYPE_CHECKING:
    from modelrouter.core.request import JSON


def png(width: int, height: int) -> bytes:
    """A header with its checksum; the pixels do not matter."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"\0" * 20


def gif(width: int, height: int) -> bytes:
    """A logical screen."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0" * 30


def jpeg(width: int, height: int, *, before: int = 0, marker: int = 0xC0) -> bytes:
    """Segments of a camera's notes, then a frame."""
    notes = b"\xff\xe1" + struct.pack(">H", before + 2) + b"\xff\xc0" * (before // 2) + b"\0" * (before % 2)
    frame = bytes((0xFF, marker)) + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\0" * 9
    return b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 10 + notes + b"\xff" + frame


def webp(kind: bytes, width: int, height: int) -> bytes:
    """The three formats of RFC 9649."""
    body = {
        b"VP8 ": b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height),
        b"VP8L": b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14),
        b"VP8X": b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind]
    return b"RIFF" + struct.pack("<I", 30) + b"WEBP" + kind + struct.pack("<I", len(body)) + body + b"\0" * 20


def wav(seconds: float, rate: int = 16_000) -> bytes:
    """Mono, 16 bits."""
    count = int(seconds * rate) * 2
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16) + b"data" + struct.pack("<I", count)
    return b"RIFF" + struct.pack("<I", count + 36) + head + b"\0" * count


def part(content: bytes, kind: str = "png") -> dict[str, JSON]:
    """A content part that carries an image itself."""
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


SIDES = st.integers(1, 0x3FFF)


@given(SIDES, SIDES, st.integers(0, 5000))
def test_sizes_are_read_from_headers(width: int, height: int, before: int) -> None:
    """Every format that vision models take says its own size."""
    made = [
        png(width, height),
        gif(width, height),
        jpeg(width, height, before=before),
        jpeg(width, height, before=before, marker=0xC2),
        *(webp(kind, width, height) for kind in (b"VP8 ", b"VP8L", b"VP8X")),
    ]
    assert {picture(part(content)) for content in made} == {Picture(width, height)}


def test_the_detail_is_kept() -> None:
    """It decides how many tokens an image takes."""
    asked = part(png(3, 4))
    image = asked["image_url"]
    assert isinstance(image, dict)
    assert picture({**asked, "image_url": {**image, "detail": "high"}}) == Picture(3, 4, "high")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG",
        png(3, 4)[:20],
        png(0, 4),
        b"BM" + b"\0" * 60,
        jpeg(3, 4)[:25],
        b"\xff\xd8" + b"\xff\xd0" * 2000,
        b"\xff\xd8" + b"\0" * 60,
        webp(b"VP8X", 3, 4).replace(b"VP8X", b"VP9 "),
    ],
)
def test_what_cannot_be_read_has_no_size(content: bytes) -> None:
    """It counts as the operator's maximum, never as what a broken header says."""
    assert picture(part(content)) == Picture()


@pytest.mark.parametrize(
    "url",
    ["https://pictures.example/1.png", "data:image/png,abc", "data:text/plain;base64,AAAA", "data:image/png;base64,é"],
)
def test_an_address_has_no_size(url: str) -> None:
    """Nothing is fetched, and nothing but Base64 of an image is looked into."""
    assert picture({"type": "image_url", "image_url": {"url": url}}) == Picture()


@pytest.mark.parametrize(
    "other",
    [{"type": "text", "text": "x"}, {"type": "image_url"}, {"type": "image_url", "image_url": {"file_id": "1"}}],
)
def test_what_is_no_image_as_openai_writes_them_is_none(other: dict[str, JSON]) -> None:
    """It stays opaque."""
    assert picture(other) is None


@pytest.mark.parametrize(("seconds", "counted"), [(0.01, 1), (0.99, 1), (1, 2), (2.5, 3), (10, 11)])
def test_a_wav_lasts_as_long_as_its_bytes(seconds: float, counted: int) -> None:
    """All that was sent counts as sound, its header too, and a started second is a whole one."""
    clip: dict[str, JSON] = {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(wav(seconds)).decode(), "format": "wav"},
    }
    assert audio_s(clip) == counted


@pytest.mark.parametrize(("place", "value"), [(28, b"\xff\xff\xff\xff"), (20, b"\x55\x00"), (32, b"\x00\x00")])
def test_a_header_that_contradicts_itself_states_no_length(place: int, value: bytes) -> None:
    """Bytes per second that no player goes by, a compressed format, samples without a size: no bound on the sound."""
    content = bytearray(wav(60))
    content[place : place + len(value)] = value
    data = base64.b64encode(content).decode()
    assert audio_s({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}) is None


@pytest.mark.parametrize(
    "clip",
    [
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(b"ID3" + b"\0" * 60).decode(), "format": "mp3"},
        },
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(wav(1)).decode().replace("fAAA", "AAAA"), "format": "wav"},
        },
        {"type": "input_audio", "input_audio": {"data": ""}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "input_audio"},
        {"type": "text", "text": "x"},
    ],
)
def test_a_clip_whose_length_nobody_states_has_none(clip: dict[str, JSON]) -> None:
    """The window bounds it, or nothing does."""
    found = audio_s(clip)
    assert found is None or clip["input_audio"] != {}
