"""`modelrouter attest`: what was asked of a vendor since a moment, and who is cut off now, as a document to sign."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document
from modelrouter.cli.spend.when import moment_us, written
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Revocation
    from modelrouter.ledger.audit.attempts import BookedAttempt
    from modelrouter.ledger.session import Session

__all__ = ["attest"]

FORMAT: Final = "modelrouter-attestation"
VERSION: Final = 1
METHOD: Final = (
    "operator and developer are those that the ledger wrote down with each attempt, owners included; other roles are "
    "looked up for its deployment and its model in the facts named by `facts_sha256`"
)


@dataclass(slots=True)
class Asked:
    """Attempts at a vendor.

    Attributes:
        made: those of which nothing proves that they were not sent.
        not_sent: reserved, and ended before anything was sent.
        roles: of those that were made, how often the vendor had which role; one attempt may count in several.
        unknown: attempts at deployments and models that the config does not know any more, so not every role is known.
    """

    made: int = 0
    not_sent: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    deployments: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def attest(
    *,
    vendor: Annotated[str, typer.Option(metavar="NAME", help="whom it is about, with everybody they own")],
    since: Annotated[str, typer.Option(metavar="WHEN", help="a length as 24h, 7d, or a day or moment (UTC)")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="write the document to a new file")] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Write down how many attempts went to a vendor since a moment, in which roles, and who is cut off now.

    One line of canonical JSON, to be signed as it is. Exit 1: attempts were made.
    """
    from modelrouter.cli.booked import opened
    from modelrouter.cli.revoke.place import in_files
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.core.assurance import RevokedKind
    from modelrouter.router.cutting_off import subject_of

    setup = read(find_config(config)).setup
    kind, name = subject_of(vendor if ":" in vendor else f"vendor:{vendor}", setup.world)
    if kind is not RevokedKind.VENDOR:
        raise typer.BadParameter(f"`{vendor}` is no vendor", param_hint="--vendor")
    since_us = moment_us(since, datetime.now(UTC), UTC, option="--since")
    by_files = in_files(setup)
    with opened(setup.ledger) as book:
        revoked = (*book.revoked(), *by_files)
        with book.reading() as session:
            document = _document(setup, name, since_us, revoked, session)
    text = _canonical(document)
    digest = hashlib.sha256(text).hexdigest()
    if out is not None:
        _write(out, text)
    if as_json:
        print_document({"sha256": digest, "file": None if out is None else str(out), "document": document})
    elif out is None:
        print(text.decode(), end="")
    else:
        _show(document, out)
    if not as_json:
        typer.echo(f"sha256 {digest}", err=out is None)
    if document["attempts"]["made"]:
        raise typer.Exit(REFUSED)


def _document(
    setup: Setup, vendor: str, since_us: int, revoked: tuple[Revocation, ...], session: Session
) -> dict[str, Any]:
    from modelrouter.ledger.audit.attempts import attempts_between
    from modelrouter.ledger.audit.verify import current_head, start_of

    before_us = start_of(session).before_us
    if since_us < before_us:
        raise RequestError(
            f"the lines from before {written(before_us, UTC)} are in an archive: attest from there on with "
            f"`--since {written(before_us, UTC)}`"
        )
    ((last_us,),) = session.rows("SELECT at_us FROM state")
    now_us = max(session.now_us(), int(last_us or 0))
    exposed = _Exposed(setup, vendor, now_us / 1_000_000)
    asked = Asked()
    for attempt in attempts_between(session, since_us):
        exposed.count(attempt, asked)
    return {
        "format": FORMAT,
        "version": VERSION,
        "vendor": vendor,
        "since": written(since_us, UTC),
        "until": written(now_us, UTC),
        "attempts": {
            "made": asked.made,
            "not_sent": asked.not_sent,
            "roles": dict(asked.roles),
            "deployments": dict(asked.deployments),
            "not_in_config": dict(asked.unknown),
            "method": METHOD,
        },
        "verdicts": exposed.verdicts(revoked, now_us),
        "revoked": [
            {"id": each.id, "since": written(each.from_us, UTC), **each.content()}
            for each in revoked
            if each.holds(now_us)
        ],
        "ledger_head": str(current_head(session)),
        "facts_sha256": setup.world.epoch,
        "catalog_sha256": setup.digests["catalog"].sha256,
        "config_sha256": setup.digest,
    }


class _Exposed:
    """What of a config and of attempts belongs to a vendor."""

    def __init__(self, setup: Setup, vendor: str, now_s: float) -> None:
        from modelrouter.core.assurance import exposure_of
        from modelrouter.core.decision import day_of
        from modelrouter.core.subject import Calendar, Subject

        self._setup = setup
        self._vendor = vendor
        world, calendar = setup.world, Calendar(day_of(now_s))
        self._marks = {
            name: exposure_of(Subject(each, world, calendar)).marks for name, each in world.deployments.items()
        }

    def roles(self, deployment: str) -> list[str]:
        """In which roles the vendor stands behind a deployment of the config; an unknown one may be anybody."""
        found = [mark.split(":", 2) for mark in self._marks.get(deployment, ())]
        roles = {role for kind, role, name in found if kind == "vendor" and name == self._vendor}
        unknown = {f"{role} (not known)" for kind, role, name in found if kind == "vendor" and name == "?"}
        return sorted(roles | unknown)

    def count(self, attempt: BookedAttempt, asked: Asked) -> None:
        """Count one attempt, if it was one at the vendor."""
        line = attempt.reservation
        name = line.deployment or ""
        roles = {role for role in self.roles(name) if role not in {"operator", "developer"}}
        roles |= {
            role
            for role, organisation in (("operator", line.operator), ("developer", line.developer))
            if self._is_of(organisation or "")
        }
        if name not in self._marks:
            asked.unknown[name] += 1
        if not roles:
            return
        if attempt.end is not None and attempt.end.phase == "not_sent":
            asked.not_sent += 1
            return
        asked.made += 1
        asked.deployments[name] += 1
        asked.roles.update(roles)

    def verdicts(self, revoked: tuple[Revocation, ...], now_us: int) -> list[dict[str, Any]]:
        """Each deployment that the vendor stands behind, and whether it is cut off now."""
        from modelrouter.core.assurance import revoked_by

        found = []
        for name, marks in self._marks.items():
            roles = self.roles(name)
            if not roles:
                continue
            by = revoked_by(marks, revoked, now_us)
            routes = [route for route, each in self._setup.routes.items() if name in each.candidates]
            said = None if by is None else by.sentence(marks)
            found.append({"deployment": name, "roles": roles, "routes": routes, "revoked": said})
        return found

    def _is_of(self, organisation: str) -> bool:
        from modelrouter.core.lineage import owners

        return any(owner.id == self._vendor for owner in owners(self._setup.world, organisation))


def _canonical(document: dict[str, Any]) -> bytes:
    """The bytes to sign: JSON on one line, names in order, letters as they are."""
    from modelrouter.ledger.chain import canonical_text

    return canonical_text(document).encode() + b"\n"


def _write(path: Path, text: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
    except FileExistsError:
        raise RequestError(f"`{path}` is there already: name a file that is not") from None
    except OSError as error:
        raise RequestError(f"`{path}` cannot be written ({error.strerror}): name another file") from None


def _show(document: dict[str, Any], path: Path) -> None:
    screen, attempts = console(), document["attempts"]
    roles = ", ".join(f"{count} as {role}" for role, count in sorted(attempts["roles"].items()))
    said = f"{attempts['made']} attempts at {document['vendor']} since {document['since']}"
    screen.print(
        f"{said} ({roles})" if roles else said,
        style="bold red" if attempts["made"] else "bold green", soft_wrap=True,
    )  # fmt: skip
    for each in document["verdicts"]:
        screen.print(f"  {each['deployment']}: {each['revoked'] or 'not revoked'}", soft_wrap=True)
    screen.print(f"written to {path}", soft_wrap=True)
