"""The expected number of input tokens: near the published encoding, from files on disk, never from the network."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

from modelrouter.router import estimate

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PROSE = (
    "The committee met on 14 November 2026 and agreed, after a long discussion, to move all customer data within "
    "eighteen months. Die Sitzung dauerte drei Stunden; am Ende waren sich alle einig. 价格和地点是两个不同的问题。\n\n"
    "def total(amounts: list[int]) -> int:\n    return sum(amounts)  # in cents\n"
)
# counted once with tiktoken's own `o200k_base`
PROSE_TOKENS = 73


def test_the_estimate_is_near_the_published_count() -> None:
    """Prose in three languages and code: within a tenth of what `o200k_base` counts."""
    found = estimate.expected_input_tokens([{"role": "user", "content": PROSE}], {})
    assert found is not None
    assert abs(found - PROSE_TOKENS) <= PROSE_TOKENS / 10


def test_tools_and_parts_count() -> None:
    """Text in parts, and tool definitions, are text too."""
    plain = estimate.expected_input_tokens([{"role": "user", "content": PROSE}], {})
    parts = estimate.expected_input_tokens([{"role": "user", "content": [{"type": "text", "text": PROSE}]}], {})
    tools = estimate.expected_input_tokens(
        [{"role": "user", "content": PROSE}], {"tools": [{"type": "function", "function": {"name": "look_up"}}]}
    )
    assert plain is not None
    assert parts is not None
    assert tools is not None
    assert plain <= parts <= plain + 5
    assert tools > plain


def test_without_a_file_there_is_no_estimate_and_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the file, or with a changed one, is told nothing and connects to nobody."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(estimate, "_folders", lambda: [tmp_path])
    estimate._encoding.cache_clear()
    try:
        assert estimate.expected_input_tokens([{"role": "user", "content": PROSE}], {}) is None
        name = hashlib.sha1(estimate.RANKS.encode(), usedforsecurity=False).hexdigest()
        (tmp_path / name).write_bytes(b"aGVsbG8= 1\n")
        estimate._encoding.cache_clear()
        assert estimate.expected_input_tokens([{"role": "user", "content": PROSE}], {}) is None
    finally:
        estimate._encoding.cache_clear()
