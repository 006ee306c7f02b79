"""Secrets and account numbers in text: what has a shape, and, where it has one, a checksum. Pure, and never shown.

Found are kinds and counts, nothing of the text. A shape alone would cry wolf: card numbers must pass Luhn and belong
to a known range, IBANs must have their country's length and pass mod 97, tokens of the JOSE form must decode, keys must
not be a placeholder of one letter. What is split over messages, encoded or drawn in a picture is not found.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

__all__ = ["KINDS", "find", "is_iban", "is_luhn", "is_payment_card"]

ORDINARY: Final = "A-Za-z0-9"
LEAST_SIGNS: Final = 8
"""How many different signs a key has at least; placeholders as `sk-xxxx…` have fewer."""


def find(texts: Sequence[str], kinds: Collection[str]) -> Mapping[str, int]:
    """How many of each of these kinds are in the texts; kinds of which there is none are left out."""
    found: Counter[str] = Counter()
    for kind in kinds:
        finder = KINDS[kind]
        found[kind] = sum(finder(text) for text in texts)
    return {kind: count for kind, count in found.items() if count}


# --- keys and tokens --------------------------------------------------------------------------------------------------


def _shapes(*shapes: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (anchor, re.compile(f"(?<![{ORDINARY}_]){shape}(?![{ORDINARY}])", re.ASCII)) for anchor, shape in shapes
    )


API_KEYS: Final = _shapes(
    (
        "sk-",
        r"sk-(?=[A-Za-z_-]{0,255}\d)[A-Za-z0-9_-]{32,256}",
    ),  # OpenAI, Anthropic, DeepSeek, OpenRouter, and many that follow them
    ("AIza", "AIza[A-Za-z0-9_-]{35}"),  # Google
    ("AKIA", "AKIA[0-9A-Z]{16}"),  # Amazon
    ("ASIA", "ASIA[0-9A-Z]{16}"),
    ("gsk_", "gsk_[A-Za-z0-9]{40,64}"),  # Groq
    ("xai-", "xai-[A-Za-z0-9]{60,96}"),
    ("r8_", "r8_[A-Za-z0-9]{37}"),  # Replicate
    ("k_live_", "[rs]k_live_[A-Za-z0-9]{16,128}"),  # Stripe
    ("SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),  # SendGrid
    ("AccountKey=", "AccountKey=[A-Za-z0-9+/]{86}=="),  # Azure Storage
)
TOKENS: Final = _shapes(
    ("gh", "gh[opsur]_[A-Za-z0-9]{36,255}"),  # GitHub
    ("github_pat_", r"github_pat_\w{60,128}"),
    ("glpat-", r"glpat-[\w-]{20,64}"),  # GitLab
    ("hf_", "hf_[A-Za-z0-9]{30,64}"),  # Hugging Face
    ("xox", r"xox[abeoprs]-[\w-]{20,255}"),  # Slack
    ("npm_", "npm_[A-Za-z0-9]{36}"),
)
"""Each with a piece that every match holds, which is looked for first. Sources: the vendors' own descriptions, and the
rules of https://github.com/gitleaks/gitleaks where a vendor gives none."""

JOSE: Final = re.compile(r"(?<![\w-])(eyJ[\w-]{8,4096})\.(eyJ[\w-]{4,65536})\.[\w-]{16,}", re.ASCII)
PRIVATE_KEY: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")


def _api_keys(text: str) -> int:
    return _count(text, API_KEYS)


def _tokens(text: str) -> int:
    signed = sum(_is_jose(match) for match in JOSE.finditer(text)) if "eyJ" in text else 0
    return signed + _count(text, TOKENS)


def _count(text: str, shapes: Sequence[tuple[str, re.Pattern[str]]]) -> int:
    return sum(_is_drawn(match.group()) for anchor, shape in shapes if anchor in text for match in shape.finditer(text))


def _is_drawn(key: str) -> bool:
    """Whether a key looks drawn by chance, and not written to stand for one."""
    return len(set(key)) >= LEAST_SIGNS


def _is_jose(match: re.Match[str]) -> bool:
    """RFC 7515: a header with `alg`, and a payload that is an object, both as base64url."""
    header, payload = (_decoded(part) for part in match.groups())
    return isinstance(header, dict) and "alg" in header and isinstance(payload, dict)


def _decoded(part: str) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None


def _private_keys(text: str) -> int:
    return len(PRIVATE_KEY.findall(text)) if "PRIVATE KEY" in text else 0


# --- IBAN -------------------------------------------------------------------------------------------------------------


def _lengths() -> dict[str, int]:
    """Length of an IBAN by country. Source: SWIFT, IBAN Registry (ISO 13616), https://www.swift.com/iban."""
    written = (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30"
    )
    return {entry[:2]: int(entry[2:]) for entry in written.split()}


IBAN_LENGTHS: Final = _lengths()
IBAN_HEAD: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
SEPARATORS: Final = " -\u00a0\u202f"
"""What may stand, one at a time, between groups of an account or card number."""


def is_iban(number: str) -> bool:
    """Whether letters and digits without separators are an IBAN: its country's length, and 1 modulo 97 (ISO 7064)."""
    number = number.upper()
    if IBAN_LENGTHS.get(number[:2]) != len(number) or not (number.isascii() and number.isalnum()):
        return False
    if not number[2:4].isdigit():
        return False
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def _ibans(text: str) -> int:
    count, at = 0, 0
    while (head := IBAN_HEAD.search(text, at)) is not None:
        number, end = _joined(text, head.start(), IBAN_LENGTHS.get(head.group()[:2].upper(), 0))
        found = is_iban(number) and not (end < len(text) and text[end].isascii() and text[end].isalnum())
        count += found
        at = end if found else head.end()
    return count


def _joined(text: str, start: int, length: int) -> tuple[str, int]:
    """The next so many letters and digits from a place on, and where they end."""
    signs: list[str] = []
    at = start
    while at < len(text) and len(signs) < length:
        sign = text[at]
        if sign.isascii() and sign.isalnum():
            signs.append(sign)
        elif sign not in SEPARATORS or text[at - 1] in SEPARATORS:
            break
        at += 1
    return "".join(signs), at


# --- cards ------------------------------------------------------------------------------------------------------------

CARD_RANGES: Final = (
    ("2200", "2204", {16}),
    ("2221", "2720", {16}),
    ("300", "305", {14}),
    ("34", "34", {15}),
    ("3528", "3589", {16, 19}),
    ("36", "36", {14}),
    ("37", "37", {15}),
    ("38", "39", {14}),
    ("4", "4", {16, 19}),
    ("50", "55", {16, 19}),
    ("56", "58", {16, 19}),
    ("6011", "6011", {16, 19}),
    ("62", "63", {16, 19}),
    ("644", "649", {16, 19}),
    ("65", "65", {16, 19}),
    ("67", "67", {16, 19}),
    ("9792", "9792", {16}),
)
"""First and last prefix of an issuer, and how long its numbers are (ISO/IEC 7812). Thirteen digits are left out: no
card has them any more, and every article in a shop does."""

GROUPINGS: Final = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 4), (4, 6, 5)})
"""How card numbers are written with separators; whole ones stand for themselves."""
DIGIT_RUN: Final = re.compile(f"(?<![{ORDINARY}])[0-9]+(?:[{SEPARATORS}][0-9]+)*(?![{ORDINARY}])")
DIGIT_GROUP: Final = re.compile("[0-9]+")


def is_luhn(digits: str) -> bool:
    """Whether decimal digits pass Luhn's test (ISO/IEC 7812-1): every second from the right doubled, sum in tens."""
    total = 0
    for place, sign in enumerate(reversed(digits)):
        value = int(sign) << (place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_payment_card(digits: str) -> bool:
    """Whether decimal digits are the number of a payment card: a known range, its length, and Luhn."""
    is_issued = any(
        len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in CARD_RANGES
    )
    return is_issued and is_luhn(digits)


def _payment_cards(text: str) -> int:
    return sum(_cards_in(DIGIT_GROUP.findall(run.group())) for run in DIGIT_RUN.finditer(text) if len(run.group()) > 13)


def _cards_in(groups: Sequence[str]) -> int:
    count = at = 0
    while at < len(groups):
        taken = next((size for size in _sizes(groups, at) if is_payment_card("".join(groups[at : at + size]))), 0)
        count += taken > 0
        at += taken or 1
    return count


def _sizes(groups: Sequence[str], at: int) -> Iterator[int]:
    """How many groups from here on may be one number, longest first."""
    for size in (5, 4, 3):
        if tuple(map(len, groups[at : at + size])) in GROUPINGS:
            yield size
    yield 1


KINDS: Final[Mapping[str, Callable[[str], int]]] = {
    "api_key": _api_keys,
    "iban": _ibans,
    "payment_card": _payment_cards,
    "private_key": _private_keys,
    "token": _tokens,
}
"""What is found here, by the name that a tag's `raised_by` uses."""
