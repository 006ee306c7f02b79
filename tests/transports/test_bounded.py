"""What a server says is read within bounds: how much of it, packed or not, and how deep."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import TYPE_CHECKING

import orjson
import pytest

from modelrouter.transports.bounded import ReplyTooLongError, Unpacked, UnreadableError, read_json
from tests.transports.builders import completion

if TYPE_CHECKING:
    from modelrouter.core.request import JSON


def nested(levels: int) -> JSON:
    """Objects and arrays in turn, within each other."""
    value: JSON = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [0, 1, 2, 10, 64])
def test_depth_within_the_bound(levels: int) -> None:
    """As many levels as are allowed are read, whatever stands beside them."""
    value: JSON = {"beside": [[], {}] * 100, "deep": nested(levels - 1)} if levels > 3 else nested(levels)
    assert read_json(orjson.dumps(value), levels) == value


@pytest.mark.parametrize("levels", [1, 2, 10, 64])
def test_depth_beyond_the_bound(levels: int) -> None:
    """One level more is not."""
    with pytest.raises(UnreadableError, match=f"nested deeper than {levels} levels"):
        read_json(orjson.dumps(nested(levels + 1)), levels)


def test_brackets_in_a_text_are_no_depth() -> None:
    """An answer that is full of code is not deep."""
    reply = completion("{[" * 10_000)
    assert read_json(orjson.dumps(reply), 8) == reply


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000 + b"]" * 100_000, b"nothing"])
def test_what_is_no_json(text: bytes) -> None:
    """It is told without a word of what it says; so is what is too deep for the parser itself."""
    with pytest.raises(UnreadableError) as raised:
        read_json(text, 64)
    assert raised.value.what == "is not a JSON object"
    assert raised.value.__cause__ is None


def unpack(content: bytes, encoding: str) -> bytes:
    """Take content as it comes from a network, a thousand bytes at a time, of which ten thousand may come."""
    unpacked = Unpacked(encoding, 10_000)
    for start in range(0, len(content), 1_000):
        unpacked.take(content[start : start + 1_000])
    return unpacked.whole()


@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000])
def test_what_fits_is_whole(encoding: str, size: int) -> None:
    """As many bytes as are read come out as they went in."""
    content = (bytes(range(256)) * 40)[:size]
    assert unpack(gzip.compress(content) if encoding == "gzip" else content, encoding) == content


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_one_byte_more_does_not_fit(encoding: str) -> None:
    """The bound counts what was unpacked."""
    content = gzip.compress(b"x" * 10_001) if encoding else b"x" * 10_001
    with pytest.raises(ReplyTooLongError):
        unpack(content, encoding)


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    """A hundred million blanks in a hundred thousand bytes, in one piece."""
    packed = gzip.compress(b" " * 100_000_000, 9)
    tracemalloc.start()
    with pytest.raises(ReplyTooLongError):
        Unpacked("gzip", 100_000).take(packed)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(b"x" * 1_000)[:-9]], ids=["garbage", "cut"])
def test_a_broken_compression_is_told(content: bytes) -> None:
    """Garbage, and what lacks its end."""
    with pytest.raises(UnreadableError, match="broken compression"):
        unpack(content, "gzip")


def test_other_packings_are_not_read() -> None:
    """Nobody asked for them."""
    with pytest.raises(UnreadableError, match="nobody asked for"):
        Unpacked("br", 10_000)
