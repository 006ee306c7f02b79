"""Tokenizers that count without a network: tiktoken's encodings, Anthropic's old one, and three made to be the worst.

The worst ones have merged nothing: a token for each byte of what their normaliser leaves, so that a bound which is one
byte too low is found. Those of tiktoken and Anthropic lie among the files that litellm brings along.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tiktoken
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from modelrouter.core.bounds import Normaliser

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BYTES", "TOKENIZERS", "Counter"]


@dataclass(frozen=True, slots=True)
class Counter:
    """One tokenizer.

    Attributes:
        normaliser: what it does to a text first: a fact of its deployment.
        added_tokens: what it puts in front of a prompt.
        count: tokens of a prompt, special tokens in it taken as such or as text, whichever is more.
    """

    name: str
    normaliser: Normaliser
    count: Callable[[str], int]
    added_tokens: int = 0


def _bundled() -> Path:
    """The folder in which litellm keeps tokenizers; found without importing litellm."""
    found = find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        raise AssertionError("litellm is a dependency of this package, and its tokenizers are needed here")
    return Path(found.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"


@cache
def _encoding(name: str) -> tiktoken.Encoding:
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(_bundled())
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _by_tiktoken(name: str) -> Callable[[str], int]:
    def count(prompt: str) -> int:
        encoding = _encoding(name)
        return max(len(encoding.encode(prompt, allowed_special="all")), len(encoding.encode_ordinary(prompt)))

    return count


@cache
def _anthropic() -> Tokenizer:
    return Tokenizer.from_file(str(_bundled() / "anthropic_tokenizer.json"))


@cache
def _byte_level(form: str) -> Tokenizer:
    """A token for each byte of a normal form."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={each: place for place, each in enumerate(alphabet)}, merges=[]))
    tokenizer.normalizer = {"NFC": normalizers.NFC, "NFKC": normalizers.NFKC}[form]()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    return tokenizer


@cache
def _sentence_pieces() -> Tokenizer:
    """As SentencePiece with byte fallback: NFKC, a blank in front, blanks as U+2581, and few letters of its own."""
    pieces = ["<unk>", "\u2581", "a", "e", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {each: place for place, each in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    return tokenizer


def _length(made: Callable[[], Tokenizer]) -> Callable[[str], int]:
    return lambda prompt: len(made().encode(prompt, add_special_tokens=True).ids)


BYTES: Final = Counter("bytes", Normaliser.NONE, lambda prompt: len(prompt.encode()))

TOKENIZERS: Final = (
    *(
        Counter(name, Normaliser.NONE, _by_tiktoken(name))
        for name in ("cl100k_base", "o200k_base", "o200k_harmony", "p50k_base")
    ),
    Counter("anthropic (2023, NFKC)", Normaliser.NFKC, _length(_anthropic)),
    Counter("byte-level, NFC", Normaliser.NFC, _length(lambda: _byte_level("NFC"))),
    Counter("byte-level, NFKC", Normaliser.NFKC, _length(lambda: _byte_level("NFKC"))),
    Counter("sentence pieces, NFKC", Normaliser.NFKC, _length(_sentence_pieces), added_tokens=1),
)
