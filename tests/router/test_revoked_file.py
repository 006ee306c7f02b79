"""A signed file of revocations: obeyed, read again when it changes, and refused when it is not what was signed."""

from __future__ import annotations

import base64
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from modelrouter.config.revoked_schema import RevokedPlace
from modelrouter.core.assurance import ROLES_OF, Revocation, RevokedKind
from modelrouter.errors import ConfigError, RevokedError
from modelrouter.router import engine
from modelrouter.router.revoked_file import RevokedFile, read_revoked, write_revoked
from modelrouter.transports.credentials import EnvKey
from tests.router.played import HANGS, SOON_S, Played, hello, played

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a secret of more than sixteen bytes"
VARIABLE = "REVOCATIONS_KEY"
TOP = f"revocations: {{file: revoked.json, key: 'env:{VARIABLE}'}}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RevokedPlace:
    """A file proved by a secret."""
    monkeypatch.setenv(VARIABLE, SECRET)
    return RevokedPlace(tmp_path / "revoked.json", EnvKey(VARIABLE))


def revocation(name: str) -> Revocation:
    """A deployment."""
    return Revocation(RevokedKind.DEPLOYMENT, name, "why", ROLES_OF[RevokedKind.DEPLOYMENT], from_us=5)


def test_what_is_signed_is_obeyed_and_followed(tmp_path: Path, place: RevokedPlace) -> None:
    """Each call goes by the file as it is then; the verdict names the file."""
    write_revoked(place, 1, {1: revocation("a")})
    with played(tmp_path, Played(hello()), top=TOP) as router:
        assert router.complete("ask", "?").deployment == "b"
        assert "by number 1 of revoked.json (why)" in router.explain("ask").explain()
        write_revoked(place, 2, {1: revocation("a"), 2: revocation("b")})
        assert router.complete("ask", "?").deployment == "c"
        write_revoked(place, 3, {})
        assert router.complete("ask", "?").deployment == "a"
        write_revoked(place, 4, {number: revocation(name) for number, name in enumerate("abc")})
        with pytest.raises(RevokedError, match=r"number 2 of revoked\.json"):
            router.complete("ask", "?")


def test_a_change_of_the_file_aborts_calls_under_way(
    tmp_path: Path, place: RevokedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that decides nothing meanwhile sees the change as well, and the caller is answered by another."""
    monkeypatch.setattr(engine, "LOOK_S", 0.02)
    write_revoked(place, 1, {})
    lane = Played(HANGS, hello())
    with played(tmp_path, lane, top=TOP) as router, ThreadPoolExecutor() as pool:
        asked = pool.submit(router.complete, "ask", "?")
        assert lane.hanging.wait(SOON_S)
        write_revoked(place, 2, {2: replace(revocation("a"), abort_in_flight=True)})
        assert asked.result(SOON_S).deployment == "b"


def test_a_change_that_cannot_be_proved_changes_nothing(
    tmp_path: Path, place: RevokedPlace, caplog: pytest.LogCaptureFixture
) -> None:
    """While a Router runs, what was cut off stays so: half a file, a forged one, an old one, and none. Warned once."""
    write_revoked(place, 1, {})
    old = place.path.read_bytes()
    write_revoked(place, 2, {1: revocation("a")})
    good = place.path.read_bytes()
    with caplog.at_level(logging.WARNING, "modelrouter"), played(tmp_path, Played(hello()), top=TOP) as router:
        for number, (content, words) in enumerate(
            [
                (good[:40], "is refused"),
                (good.replace(b'"a"', b'"b"'), "its signature is not right"),
                (old, "is an older version of itself (number 1, and 2 was seen)"),
                (None, "is not there"),
            ],
            1,
        ):
            place.path.unlink() if content is None else place.path.write_bytes(content)
            assert router.complete("ask", "?").deployment == "b"
            assert router.complete("ask", "?").deployment == "b"
            told = [each.getMessage() for each in caplog.records]
            assert len(told) == number
            assert words in told[-1]
        place.path.write_bytes(good)
        assert router.complete("ask", "?").deployment == "b"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"why"', '"who"'), "its signature is not right"),
        (lambda text: text.replace('"number": 3', '"number": 9'), "its signature is not right"),
        (lambda text: text.replace("hmac-sha256:", "hmac-sha256:0"), "its signature is not right"),
        (lambda text: json.dumps({**json.loads(text), "signature": None}), "its signature is not right"),
        (lambda text: json.dumps({**json.loads(text), "revocations": []}), "its signature is not right"),
        (lambda text: text[: len(text) // 2], "is refused"),
        (lambda _: "[]", "no list of revocations"),
        (lambda _: '{"modelrouter_revocations": 2}', "of a version that is known here"),
        (lambda _: " " * (1 << 20) + "{}", "longer than"),
        (lambda _: "\x00", "is refused"),
    ],
)
def test_a_file_that_was_altered_is_refused_at_load(
    tmp_path: Path, place: RevokedPlace, change: object, words: str
) -> None:
    """No Router begins with it: the sentence names the file, and no part of its signature."""
    write_revoked(place, 3, {3: revocation("a")})
    place.path.write_text(change(place.path.read_text()))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"revoked\.json") as raised:
        played(tmp_path, Played(hello()), top=TOP)
    assert words in raised.value.reason
    assert "\n" not in raised.value.message


def test_without_the_file_or_its_key_no_router_begins(
    tmp_path: Path, place: RevokedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows who is cut off, so nobody is asked."""
    with pytest.raises(ConfigError, match="is not there: nobody knows who is cut off"):
        played(tmp_path, Played(hello()), top=TOP)
    write_revoked(place, 1, {})
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(ConfigError, match="is shorter than 16 bytes"):
        played(tmp_path, Played(hello()), top=TOP)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=f"`{VARIABLE}` is not set"):
        played(tmp_path, Played(hello()), top=TOP)


def test_a_reload_reads_it_anew_and_refuses_a_bad_one(tmp_path: Path, place: RevokedPlace) -> None:
    """A reload with a file that cannot be proved changes nothing."""
    write_revoked(place, 1, {1: revocation("a")})
    with played(tmp_path, Played(hello()), top=TOP) as router:
        good = place.path.read_bytes()
        place.path.write_bytes(good[:-20])
        with pytest.raises(ConfigError, match="is refused"):
            router.reload()
        assert router.complete("ask", "?").deployment == "b"
        place.path.write_bytes(good)
        router.reload()
        assert router.complete("ask", "?").deployment == "b"


def test_ed25519_proves_without_being_able_to_sign(tmp_path: Path) -> None:
    """The public key reads what the private one signed, and neither another key's nor an HMAC of it."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    pem, other_pem = (
        each.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for each in (key, other)
    )
    place = RevokedPlace(tmp_path / "revoked.json", public_key=key.public_key().public_bytes_raw())
    write_revoked(place, 1, {1: revocation("a")}, pem)
    assert [each.name for each in RevokedFile([place]).revocations()] == ["a"]
    with pytest.raises(ConfigError, match="does not belong to the `public_key`"):
        write_revoked(place, 2, {}, other_pem)
    with pytest.raises(ConfigError, match="name the private key"):
        write_revoked(place, 2, {})
    with pytest.raises(ConfigError, match="no Ed25519 private key in PEM"):
        write_revoked(place, 2, {}, "not a key")
    theirs = RevokedPlace(place.path, public_key=other.public_key().public_bytes_raw())
    with pytest.raises(ConfigError, match="signature is not right"):
        read_revoked(theirs)
    for signature in ("hmac-sha256:00", "ed25519:?", "ed25519:" + base64.b64encode(b"x" * 64).decode()):
        document = {**json.loads(place.path.read_text()), "signature": signature}
        place.path.write_text(json.dumps(document))
        with pytest.raises(ConfigError, match="signature is not right"):
            read_revoked(place)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    write_revoked(place, 2, {1: revocation("a")}, pem)
    top = f"revocations: {{file: revoked.json, public_key: '{public}'}}"
    with played(tmp_path, Played(hello()), top=top) as router:
        assert router.complete("ask", "?").deployment == "b"
