"""What `revoke` and `restore` are asked for, from the words of a command."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import typer

from modelrouter.cli.spend.when import moment_us
from modelrouter.core.assurance import ROLES_OF, RevokedRole
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.assurance import Revocation, RevokedKind

__all__ = ["restored_by", "roles_from", "until_from"]

LENGTH: Final = re.compile(r"([1-9][0-9]{0,5})([mhdw])", re.ASCII)
SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SECOND_US: Final = 1_000_000


def roles_from(text: str | None, kind: RevokedKind) -> frozenset[RevokedRole]:
    """The roles that `operator,via` means; None is every role of the kind.

    Raises:
        BadParameter: a word is no role of it.
    """
    if text is None:
        return ROLES_OF[kind]
    known = {role.value: role for role in RevokedRole if role in ROLES_OF[kind]}
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            from modelrouter.config.nearest import nearest

            raise typer.BadParameter(
                f"a {kind.value} is not revoked as `{word}`{nearest(word, known)}", param_hint="--as"
            )
    return frozenset(known[word] for word in words)


def until_from(text: str | None, now: datetime) -> int | None:
    """The first moment after `2h`, `2026-12-31` (through that day, UTC) or `2026-12-31T18:00`; None is open-ended.

    Raises:
        BadParameter: it is none of them, or is not ahead.
    """
    if text is None:
        return None
    length = LENGTH.fullmatch(text)
    if length:
        ahead = now + timedelta(seconds=int(length[1]) * SECONDS[length[2]])
        return int(ahead.timestamp() * SECOND_US)
    found = moment_us(text, now, UTC, option="--until", through=True)
    if found <= now.timestamp() * SECOND_US:
        raise typer.BadParameter(f"`{text}` is not ahead: now is {now:%Y-%m-%dT%H:%M}Z", param_hint="--until")
    return found


def restored_by(text: str, revoked: Mapping[int, Revocation]) -> tuple[int, ...]:
    """The revocations that a number or a name means.

    Raises:
        RequestError: it means none; says what was probably meant.
    """
    if text.isascii() and text.isdecimal():
        found = tuple(number for number in revoked if number == int(text))
    else:
        found = tuple(number for number, each in revoked.items() if text in {each.name, each.subject})
    if found:
        return found
    from modelrouter.config.nearest import nearest

    names = {each.name for each in revoked.values()}
    known = nearest(text, names) if names else ": nothing is revoked"
    raise RequestError(f"`{text}` is not revoked here{known}")
