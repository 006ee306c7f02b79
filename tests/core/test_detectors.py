"""Secrets and account numbers: found where they are, by independent oracles, and not where they are not."""

from __future__ import annotations

import base64
import json
import random
import string
import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.detectors import (
    CARD_RANGES,
    IBAN_LENGTHS,
    KINDS,
    find,
    is_iban,
    is_luhn,
    is_payment_card,
)
from tests.strategies import everyday

SEED: Final = 20261129
LETTERS: Final = string.ascii_letters + string.digits
REGISTRY: Final = """
AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201
BE68539007547034 CH9300762011623852957 CZ6508000000192000145399 DE89370400440532013000 DK5000400440116243
EE382200221020145685 ES9121000418450200051332 FI2112345600000785 FR1420041010050500013M02606 GB29NWBK60161331926819
GI75NWBK000000007099453 GR1601101250000000012300695 HU42117730161111101800000000 IE29AIBK93115212345678
"""
"""Examples that the IBAN registry itself gives, one for each of some countries."""


def luhn_by_hand(digits: str) -> bool:
    """Luhn's test as it is written down in words: double, add up the digits of what is doubled, sum in tens."""
    doubled = ""
    for place, sign in enumerate(digits):
        is_second = (len(digits) - 1 - place) % 2 == 1
        doubled += str(2 * int(sign)) if is_second else sign
    return sum(int(sign) for sign in doubled) % 10 == 0


def mod97_by_hand(number: str) -> int:
    """ISO 7064 digit by digit, as it is done on paper: never more than three digits in the head."""
    rest = 0
    for sign in number[4:] + number[:4]:
        for digit in str(string.digits.find(sign) if sign.isdigit() else ord(sign) - ord("A") + 10):
            rest = (rest * 10 + int(digit)) % 97
    return rest


def with_check(country: str, account: str) -> str:
    """An IBAN with the check digits that the registry prescribes: 98 less the rest with zeros in their place."""
    return f"{country}{98 - mod97_by_hand(f'{country}00{account}'):02d}{account}"


def drawn(chance: random.Random, length: int, signs: str = LETTERS) -> str:
    """Signs by chance."""
    return "".join(chance.choice(signs) for _ in range(length))


# --- checksums --------------------------------------------------------------------------------------------------------


@given(st.text("0123456789", min_size=1, max_size=30))
@everyday(500)
def test_luhn_as_by_hand(digits: str) -> None:
    """Any digits pass or fail as they do when it is worked out in words; exactly one last digit passes."""
    assert is_luhn(digits) == luhn_by_hand(digits)
    assert sum(is_luhn(digits + last) for last in "0123456789") == 1


@given(st.sampled_from(sorted(IBAN_LENGTHS)), st.data())
@everyday(500)
def test_iban_as_on_paper(country: str, data: st.DataObject) -> None:
    """With its check digits an account is an IBAN; one digit off, or two neighbours swapped, it is none."""
    length = IBAN_LENGTHS[country] - 4
    account = data.draw(st.text(string.digits + string.ascii_uppercase, min_size=length, max_size=length))
    whole = with_check(country, account)
    assert is_iban(whole)
    assert is_iban(whole.lower())
    at = data.draw(st.integers(4, len(whole) - 1))
    other = data.draw(st.sampled_from([sign for sign in string.digits if sign != whole[at]]))
    changed = whole[:at] + other + whole[at + 1 :]
    assert is_iban(changed) == (mod97_by_hand(changed) == 1)
    assert not is_iban(whole[:-1])
    assert not is_iban(whole + "0")


def test_the_registrys_own_examples() -> None:
    """Each is an IBAN, written together, in groups, in lower case, and in a sentence."""
    for number in REGISTRY.split():
        groups = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
        for text in (number, groups, number.lower(), groups.replace(" ", "-"), f"pay to {groups} please, 12 EUR"):
            assert find([text], ["iban"]) == {"iban": 1}, text


def test_luhn_catches_single_digits() -> None:
    """Changing any one digit of a valid number makes it invalid."""
    card = "4111111111111111"
    for at in range(len(card)):
        for other in set(string.digits) - {card[at]}:
            assert not is_payment_card(card[:at] + other + card[at + 1 :])


CARDS: Final = [
    "4111111111111111", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117",
    "3530111333300000", "36227206271667", "6200000000000005",
]  # fmt: skip
"""Test numbers that payment processors publish for their sandboxes."""


@pytest.mark.parametrize("card", CARDS)
def test_cards_as_people_write_them(card: str) -> None:
    """Together, in the groups of its kind, at the end of a sentence, and beside its date."""
    sizes = {14: (4, 6, 4), 15: (4, 6, 5)}.get(len(card), (4, 4, 4, 4))
    groups, at = [], 0
    for size in sizes:
        groups.append(card[at : at + size])
        at += size
    for text in (card, " ".join(groups), "-".join(groups), f"it is {card}.", f"{' '.join(groups)} 12/27 123"):
        assert find([text], ["payment_card"]) == {"payment_card": 1}, text


def test_ranges_are_in_themselves() -> None:
    """First and last of a range have one length and an order."""
    assert all(len(first) == len(last) and first <= last for first, last, _ in CARD_RANGES)


# --- keys -------------------------------------------------------------------------------------------------------------

CHANCE = random.Random(SEED)
HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("=")
PAYLOAD = base64.urlsafe_b64encode(json.dumps({"sub": "1"}).encode()).decode().rstrip("=")
KEYS: Final = [
    ("api_key", "sk" + "-" + drawn(CHANCE, 40) + "7"),
    ("api_key", "sk" + "-proj-" + drawn(CHANCE, 80) + "7"),
    ("api_key", "sk" + "-ant-api03-" + drawn(CHANCE, 93)),
    ("api_key", "sk" + "-or-v1-" + drawn(CHANCE, 64, "0123456789abcdef")),
    ("api_key", "AI" + "za" + drawn(CHANCE, 35)),
    ("api_key", "AK" + "IA" + drawn(CHANCE, 16, string.ascii_uppercase + string.digits)),
    ("api_key", "gsk" + "_" + drawn(CHANCE, 52)),
    ("api_key", "xai" + "-" + drawn(CHANCE, 80)),
    ("api_key", "r8" + "_" + drawn(CHANCE, 37)),
    ("api_key", "sk" + "_live_" + drawn(CHANCE, 24)),
    ("api_key", "SG" + "." + drawn(CHANCE, 22) + "." + drawn(CHANCE, 43)),
    ("api_key", "AccountKey=" + drawn(CHANCE, 86) + "=="),
    ("token", "gh" + "p_" + drawn(CHANCE, 36)),
    ("token", "github" + "_pat_" + drawn(CHANCE, 82)),
    ("token", "gl" + "pat-" + drawn(CHANCE, 20)),
    ("token", "h" + "f_" + drawn(CHANCE, 34)),
    ("token", "xo" + "xb-" + "1234567890-" + drawn(CHANCE, 24)),
    ("token", "np" + "m_" + drawn(CHANCE, 36)),
    ("token", f"{HEADER}.{PAYLOAD}." + drawn(CHANCE, 43)),
    ("private_key", "-----BEGIN PRIVATE" + " KEY-----\nMIIEvQ"),
    ("private_key", "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIEvQ"),
    ("private_key", "-----BEGIN OPENSSH PRIVATE" + " KEY-----\nb3BlbnNzaA"),
    ("private_key", "-----BEGIN PGP PRIVATE" + " KEY BLOCK-----\nlQO"),
]
"""One of each shape, put together here so that none stands in this file."""


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_keys_are_found_wherever_they_stand(kind: str, key: str) -> None:
    """Alone, in quotes, as a value, in an address, and at the end of a sentence; once, and as its own kind only."""
    for text in (key, f'"{key}"', f"KEY={key}\n", f"https://x.example/?key={key}&b=1", f"Use {key}.", f"a\t{key}\tb"):
        assert find([text], sorted(KINDS)) == {kind: 1}, text


@pytest.mark.parametrize(
    "text",
    [
        "sk" + "-" + "x" * 48,  # a placeholder
        "sk" + "-your-key-goes-here-and-nowhere-else-at-all",
        "AK" + "IA" + "X" * 16,
        "the gh" + "p_ prefix begins tokens",
        "eyJhbGciOiJIUzI1NiJ9",  # a header alone
        "eyJhbGciOiJIUzI1NiJ9.eyJub3QganNvbg.AAAAAAAAAAAAAAAAAAAA",  # no JSON behind it
        "-----BEGIN PUBLIC KEY-----",
        "task-" + "a1" * 20,  # the middle of a word
        "4006381333931",  # an EAN of an article
        "1234 5678 9012 3456",
        "2026-11-29 12:00:00 1700000000000",
        "4111 1111 1111 1112",  # Luhn fails
        "41111111111111111",  # one digit too many
        "0000000000000000",
        "DE89370400440532013001",  # mod 97 fails
        "DE8937040044053201300",  # too short
        "ZZ89370400440532013000",  # no country
        "order no. GB12 of 2026",
        "192.168.178.100 and 0x41111111",
        "",
    ],
)
def test_what_is_none_is_not_found(text: str) -> None:
    """Placeholders, other numbers, and numbers that fail their check."""
    assert find([text], sorted(KINDS)) == {}


def test_false_alarms_are_rare() -> None:
    """Among a million drawn numbers of ordinary texts, hardly any is taken for an account or a card."""
    chance = random.Random(SEED)
    texts = [
        " ".join(
            chance.choice(
                (
                    str(chance.randrange(10 ** chance.randrange(1, 16))),
                    f"{chance.randrange(10**6)}-{chance.randrange(10**6)}",
                    drawn(chance, 8),
                    f"{chance.randrange(10**4)}.{chance.randrange(100):02d}",
                )
            )
            for _ in range(1000)
        )
        for _ in range(100)
    ]
    found = find(texts, sorted(KINDS))
    assert sum(found.values()) <= 100, (SEED, found)  # of 100,000 words


def test_several_are_counted() -> None:
    """Each text and each place counts; kinds that are not asked for are not looked for."""
    texts = [f"{CARDS[0]} and {CARDS[1]}", f"{CARDS[0]}"]
    assert find(texts, ["payment_card", "iban"]) == {"payment_card": 3}
    assert find(texts, ["iban"]) == {}


@given(st.text(max_size=200), st.sampled_from(KEYS), st.sampled_from(CARDS), st.sampled_from(REGISTRY.split()))
@everyday(300)
def test_whatever_stands_around_it(around: str, key: tuple[str, str], card: str, iban: str) -> None:
    """No text before or after hides a finding, and no text breaks the search."""
    text = f"{around}\n{key[1]}\n{around}\n{card}\n{around}\n{iban}\n{around}"
    found = find([text], sorted(KINDS))
    assert {key[0], "payment_card", "iban"} <= found.keys()


@pytest.mark.parametrize("piece", ["eyJ", "sk-", "DE89 ", "4111 ", "1", "-----BEGIN A ", "gh", "SG.", "xoxb-", "1-1 "])
def test_no_text_takes_long(piece: str) -> None:
    """A megabyte of beginnings is searched in seconds, not hours."""
    text = (piece * (1_000_000 // len(piece)))[:1_000_000]
    began = time.monotonic()
    find([text], sorted(KINDS))
    assert time.monotonic() - began < 20
