"""What lines hash to: the same text as the standard library's, whatever is in a column."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelrouter.ledger.chain import call_digest, canonical, checkpoint_content, line_hash, open_content

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
COLUMNS = st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), TEXTS), max_size=8)


@given(COLUMNS)
@example(["\x00\x1f\x7f\x80\u2028\u2029\ufeff\U0001f600", '"\\/\b\f\n\r\t', "é\u0301"])
def test_canonical_text_is_plain_json(values: list[str | int | None]) -> None:
    """Control characters, quotes, letters beyond ASCII and the largest numbers are written as `json` writes them."""
    assert canonical(values).decode() == json.dumps(values, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("value", ["\ud800", 2**64, -(2**63) - 1, b"bytes", object()])
def test_what_no_column_holds_is_refused(value: object) -> None:
    """A lone surrogate, a number beyond 64 bits and anything else are a `TypeError`, before anything is written."""
    with pytest.raises(TypeError):
        canonical([1, value])  # type: ignore[list-item]


def test_a_line_s_hash_is_made_of_the_one_before_it() -> None:
    """SHA-256 of the previous hash, a line feed and the line; for the first line the previous hash is empty."""
    text = canonical([1, "w", 1, "open"])
    first = line_hash("", text)
    assert first == hashlib.sha256(b'\n[1,"w",1,"open"]').hexdigest()
    assert line_hash(first, text) == hashlib.sha256(first.encode() + b'\n[1,"w",1,"open"]').hexdigest()


def test_contents_are_written_in_one_way() -> None:
    """Names in order, no spaces, letters as they are."""
    assert (
        open_content("w1", 7, "höst", "0.1", 5) == '{"at_us":5,"host":"höst","pid":7,"version":"0.1","writer_id":"w1"}'
    )
    assert checkpoint_content({"b": (2, "y"), "a": (1, "x")}) == '{"heads":{"a":[1,"x"],"b":[2,"y"]}}'
    columns = ("c", None, 5, "w", "support", None, "{}", "[]", "{}")
    wanted = hashlib.sha256(b'["c",null,5,"w","support",null,"{}","[]","{}"]').hexdigest()
    assert call_digest(columns) == wanted
