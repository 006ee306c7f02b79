"""Where a configuration says which signed file of revocations is obeyed, and by whose signature."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from modelrouter.config.fields import KEY_SCHEMA, Base, Text, fault
from modelrouter.errors import ConfigError
from modelrouter.transports.credentials import credential_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.ports import Credential

__all__ = ["RevocationsConfig", "RevokedPlace", "revoked_places"]

PUBLIC_KEY_BYTES: Final = 32


def _public(text: str) -> str:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != PUBLIC_KEY_BYTES:
        raise fault("not an Ed25519 public key: write its 32 bytes in base64, 44 letters")
    return text


PublicKey: TypeAlias = Annotated[Text, AfterValidator(_public)]


class RevocationsConfig(Base):
    """A signed file that says who is cut off."""

    file: Text = Field(description="the file, which must be there: `modelrouter revoke … --in-file` makes it")
    key: Annotated[Text, WithJsonSchema(KEY_SCHEMA)] | None = Field(
        None, description="a secret that signs and proves the file (HMAC-SHA256), as `env:NAME` or `file:/path`"
    )
    public_key: PublicKey | None = Field(
        None, description="in place of `key`: an Ed25519 public key in base64, so that nobody here can sign"
    )

    @model_validator(mode="after")
    def _is_proved_by_one(self) -> RevocationsConfig:
        if (self.key is None) == (self.public_key is None):
            raise fault("say whose signature counts: write either `key` or `public_key`")
        return self


@dataclass(frozen=True, slots=True)
class RevokedPlace:
    """A signed file, and what proves it: one of the two."""

    path: Path
    key: Credential | None = None
    public_key: bytes | None = None


def revoked_places(files: Sequence[ConfigFile], faults: Faults) -> tuple[RevokedPlace, ...]:
    """The file of each configuration that names one, those of houses first. They are read by whoever obeys them."""
    found: list[RevokedPlace] = []
    for file in files:
        written = file.config.revocations
        if written is None:
            continue
        path = (file.folder / Path(written.file).expanduser()).absolute()
        public_key = None if written.public_key is None else base64.b64decode(written.public_key)
        try:
            key = None if written.key is None else credential_from(written.key, file.folder)
        except ConfigError as error:
            faults.add(file.fault(error.reason, "revocations", "key"))
            continue
        found.append(RevokedPlace(path, key, public_key))
    return tuple(found)
