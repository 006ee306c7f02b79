"""A signed file that says who is cut off, for machines without the ledger.

It is one JSON document: revocations, a number that grows with each change, and a signature over all of it, so that no
part can be left out. HMAC-SHA256 takes a secret that both sides have and needs no package: whoever can read it on a
machine that routes can read that machine's API keys too. Ed25519 lets that machine prove the file and not sign one; it
needs the package `cryptography`.

A file that cannot be read or proved is refused when a configuration is loaded. Of a running Router it is read again
when it changes; one that cannot be proved then, or whose number went back, changes nothing and is warned of once: what
was cut off stays so, and half a copy of a file stops nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.assurance.revocations import revocation_from
from modelrouter.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from modelrouter.config.revoked_schema import RevokedPlace
    from modelrouter.core.assurance.revocations import Revocation

__all__ = ["RevokedFile", "read_revoked", "write_revoked"]

VERSION: Final = 1
KEY: Final = "revocations"
LARGEST: Final = 1 << 20
HMAC: Final = "hmac-sha256:"
ED25519: Final = "ed25519:"
SECRET_BYTES: Final = 16
"""The shortest secret that is taken."""

log: Final = logging.getLogger(__name__)


class RevokedFile:
    """The files of one configuration, read again when they change. Thread-safe: values are only ever replaced, whole.

    Raises:
        ConfigError: a file cannot be read or proved.
        MissingDependencyError: `cryptography` is not installed.
    """

    def __init__(self, places: Sequence[RevokedPlace]) -> None:
        self._places = places
        self._seen = [_identity(place.path) for place in places]
        self._read = [read_revoked(place) for place in places]

    def revocations(self) -> tuple[Revocation, ...]:
        """All that they say now."""
        for number, place in enumerate(self._places):
            seen = _identity(place.path)
            if seen != self._seen[number]:
                self._seen[number] = seen
                self._read_again(number, place)
        return tuple(each for _, found in self._read for each in found.values())

    def _read_again(self, number: int, place: RevokedPlace) -> None:
        before = self._read[number]
        try:
            found = read_revoked(place)
        except (ConfigError, MissingDependencyError) as error:
            log.warning("%s; what it said before stays in force", error.message)
            return
        if found[0] < before[0]:
            log.warning(
                "`%s` is an older version of itself (number %d, and %d was seen): what was seen stays in force",
                place.path, found[0], before[0],
            )  # fmt: skip
            return
        self._read[number] = found


def read_revoked(place: RevokedPlace) -> tuple[int, dict[int, Revocation]]:
    """What a file says: its number, and who is cut off, each by a number of its own.

    Raises:
        ConfigError: it cannot be read or proved; names the file and what is wrong.
        MissingDependencyError: `cryptography` is not installed.
    """
    path = place.path
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise _fault(path, f"{what}: nobody knows who is cut off; `modelrouter revoke … --in-file` makes it") from None
    try:
        document = _proved(place, text)
        found = {
            int(each["number"]): revocation_from(
                each, id=f"number {each['number']} of {path.name}", from_us=int(each["at_us"])
            )
            for each in document["revocations"]
        }
        return int(document["number"]), found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _fault(path, f"is refused: {error}") from None


def write_revoked(
    place: RevokedPlace, number: int, revocations: Mapping[int, Revocation], signing_key: str | None = None
) -> None:
    """Write a file anew, whole or not at all.

    Args:
        number: higher than that of the file before.
        revocations: each by its own number.
        signing_key: an Ed25519 private key, as PEM; None signs with the secret of the place.

    Raises:
        ConfigError: it cannot be signed or written.
        MissingDependencyError: `cryptography` is not installed.
    """
    import tempfile

    document: dict[str, Any] = {
        "modelrouter_revocations": VERSION,
        "number": number,
        "revocations": [
            {"number": own, "at_us": each.from_us, **each.content()} for own, each in revocations.items()
        ],
    }  # fmt: skip
    document["signature"] = _signature(place, _signed_bytes(document), signing_key)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    try:
        descriptor, name = tempfile.mkstemp(dir=place.path.parent, prefix=f".{place.path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # noqa: PTH101 - it says nothing secret, and other users' processes read it
            os.replace(name, place.path)  # noqa: PTH105 - a name, not a path
        except BaseException:
            os.unlink(name)  # noqa: PTH108 - a name, not a path
            raise
    except OSError as error:
        raise _fault(place.path, f"cannot be written ({error.strerror})") from None


def _proved(place: RevokedPlace, text: bytes) -> dict[str, Any]:
    """The document in a file, without its signature.

    Raises:
        ValueError: it is none, or its signature is not right.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it is longer than {LARGEST} bytes")
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("modelrouter_revocations") != VERSION:
        raise ValueError("it is no list of revocations of a version that is known here")
    signature = document.pop("signature", None)
    if not isinstance(signature, str) or not _is_signed(place, _signed_bytes(document), signature):
        raise ValueError("its signature is not right: it was altered, or signed with another key")
    return document


def _signed_bytes(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _is_signed(place: RevokedPlace, content: bytes, signature: str) -> bool:
    if place.public_key is None:
        wanted = HMAC + hmac.new(_secret(place), content, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.encode())
    _require_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not signature.startswith(ED25519):
        return False
    try:
        proof = base64.b64decode(signature.removeprefix(ED25519), validate=True)
        Ed25519PublicKey.from_public_bytes(place.public_key).verify(proof, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _signature(place: RevokedPlace, content: bytes, signing_key: str | None) -> str:
    if place.public_key is None:
        return HMAC + hmac.new(_secret(place), content, hashlib.sha256).hexdigest()
    if signing_key is None:
        raise _fault(place.path, "is proved by `public_key`: name the private key to sign it with `--signing-key`")
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(signing_key.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _fault(place.path, "cannot be signed: the signing key is no Ed25519 private key in PEM, without password")
    if key.public_key().public_bytes_raw() != place.public_key:
        raise _fault(place.path, "cannot be signed: the signing key does not belong to the `public_key` of the config")
    return ED25519 + base64.b64encode(key.sign(content)).decode()


def _secret(place: RevokedPlace) -> bytes:
    key = place.key
    try:
        found = None if key is None else key.read()
    except (OSError, ValueError):
        found = None
    if key is None or found is None:
        where = "its key" if key is None else key.describe()
        raise _fault(place.path, f"cannot be proved: {where} is not set")
    secret = found.encode()
    if len(secret) < SECRET_BYTES:
        raise _fault(place.path, f"cannot be proved: {key.describe()} is shorter than {SECRET_BYTES} bytes")
    return secret


def _require_cryptography() -> None:
    import importlib.util

    if importlib.util.find_spec("cryptography") is None:
        raise MissingDependencyError(
            'revocations signed with Ed25519 need the package cryptography: pip install "modelrouter[revocations]"'
        )


def _fault(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"`{path}` {reason}", key=KEY)


def _identity(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
