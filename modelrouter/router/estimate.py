"""How many tokens a text probably is: an expectation for orders and explanations, never a bound.

tiktoken merges with the ranks of `o200k_base`, from a file that is already on this disk: in tiktoken's own cache, or
among the files that litellm brings along. Nothing is ever downloaded; without such a file there is no estimate, and
bytes / 4 stands in. The text is cut by a pattern of ours that is simpler than o200k's, which changes a count by a few
per cent.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import tiktoken

    from modelrouter.core.request import JSON, Message

__all__ = ["expected_input_tokens"]

RANKS: Final = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
"""Where the file was published: its cached copies are named by the SHA-1 of this address. It is never asked."""
SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the file's content, as tiktoken itself checks it."""
CUT: Final = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PER_MESSAGE: Final = 4
"""Role marks of a message, as OpenAI's cookbook counts them."""


def expected_input_tokens(messages: Sequence[Message], parameters: Mapping[str, JSON]) -> int | None:
    """The tokens of all text and tool definitions, or None where no ranks are found on this disk."""
    encoding = _encoding()
    if encoding is None:
        return None
    texts = [text for message in messages for value in message.values() for text in _texts(value)]
    texts.extend(_texts(parameters.get("tools")))
    texts.extend(_texts(parameters.get("response_format")))
    return sum(len(encoding.encode_ordinary(text)) for text in texts) + PER_MESSAGE * len(messages)


@functools.cache
def _encoding() -> tiktoken.Encoding | None:
    content = _ranks()
    if content is None:
        return None
    import tiktoken

    pairs = (line.split() for line in content.splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding("modelrouter-estimate", pat_str=CUT, mergeable_ranks=ranks, special_tokens={})


def _ranks() -> bytes | None:
    """The rank file's content, from the first place that holds it unchanged."""
    name = hashlib.sha1(RANKS.encode(), usedforsecurity=False).hexdigest()
    for folder in _folders():
        try:
            content = (folder / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == SHA256:
            return content
    return None


def _folders() -> Iterator[Path]:
    """Tiktoken's cache, then litellm's own copies, found without importing it."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    yield Path(tempfile.gettempdir()) / "data-gym-cache"
    found = find_spec("litellm")
    for place in (found.submodule_search_locations if found is not None else None) or ():
        yield Path(place) / "litellm_core_utils" / "tokenizers"


def _texts(value: JSON) -> Iterator[str]:
    """Every text in a value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
