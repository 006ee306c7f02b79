"""Server-sent events out of bytes that are cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.transports.sse import Event, EventReader, EventTooLongError


def read(*pieces: bytes) -> list[tuple[bytes, bool]]:
    """All events of a stream that comes in these pieces and ends."""
    reader = EventReader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    return [(event.data, event.is_error) for event in (*found, *reader.end())]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:\n\n", [b""]),
        (b": PROCESSING\n\n: PROCESSING\n\ndata: a\n\n", [b"a"]),
        (b"data: a\n: in between\ndata: b\n\n", [b"a\nb"]),
        (b"id: 7\nretry: 10\nfoo: bar\ndata\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\ndata: b", [b"a", b"b"]),
        (b"data: a\n\ndata: b\r", [b"a", b"b"]),
        (b"data: a\n", [b"a"]),
        (b"", []),
        (b"nonsense", []),
    ],
)
def test_stream(stream: bytes, events: list[bytes]) -> None:
    """In one piece or byte by byte, a stream gives the same events."""
    expected = [(data, False) for data in events]
    assert read(stream) == expected
    assert read(*(stream[index : index + 1] for index in range(len(stream)))) == expected


def test_error_events_are_marked() -> None:
    """`event: error` marks that event alone."""
    stream = b"event: error\ndata: a\n\ndata: b\n\nevent:message\ndata: c\n\nevent: error\n\ndata: d\n\n"
    assert read(stream) == [(b"a", True), (b"b", False), (b"c", False), (b"d", False)]


def test_character_cut_in_two() -> None:
    """A piece may end within a character: bytes are joined before anybody decodes them."""
    data = "data: über 漢字 🙂\n\n".encode()
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == [("über 漢字 🙂".encode(), False)]


def test_carriage_return_and_newline_in_two_pieces() -> None:
    """A CRLF cut in the middle is one end of line."""
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [(b"a\nb", False)]


@given(st.lists(st.text(alphabet='ab:{}" ü', max_size=12), max_size=6), st.data())
def test_any_cut_gives_the_same_events(payloads: list[str], drawn: st.DataObject) -> None:
    """Whatever the payloads and the cuts, what was written is what is read."""
    stream = "".join(f"data: {payload}\r\n\r\n" for payload in payloads).encode()
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == [(payload.encode(), False) for payload in payloads]


@pytest.mark.parametrize(
    "line", [b"data: " + b"x" * 100, b"data: " + b"x" * 60 + b"\ndata: " + b"x" * 60 + b"\n", b"x" * 200]
)
def test_too_long_event_is_refused(line: bytes) -> None:
    """Neither an endless line nor endless data lines fill the memory."""
    reader = EventReader(limit_bytes=99)
    assert reader.feed(b"data: short\n\n") == [Event(b"short", is_error=False)]
    with pytest.raises(EventTooLongError):
        reader.feed(line)
