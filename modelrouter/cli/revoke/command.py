"""`modelrouter revoke` and `modelrouter restore`: cutting a vendor, a model or a deployment off, and undoing it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document, printable
from modelrouter.core.assurance import Revocation
from modelrouter.errors import ConfigError, LedgerError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.config import Setup

__all__ = ["restore", "revoke"]

InFile: TypeAlias = Annotated[
    bool, typer.Option("--in-file", help="in the signed file of the config in place of its ledger")
]
SigningKey: TypeAlias = Annotated[
    str | None,
    typer.Option("--signing-key", metavar="KEY", help="with `public_key`: the private key, as env:NAME or file:/path"),
]


def revoke(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="VENDOR|DEPLOYMENT|MODEL",
            help="whom; where several have the name: vendor:NAME, deployment:NAME or model:NAME",
            show_default=False,
        ),
    ] = None,
    *,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="why, for whoever meets it")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="it ends by itself: after 2h or 7d, or on 2026-12-31 (UTC)")
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="ROLES",
            help="a vendor as developer, operator, via, subprocessor, cloud, lineage; a model as itself, lineage; "
            "several with commas; absent is every role",
        ),
    ] = None,
    abort_in_flight: Annotated[
        bool, typer.Option("--abort-in-flight", help="interrupt calls under way; else they finish")
    ] = False,
    in_file: InFile = False,
    signing_key: SigningKey = None,
    listed: Annotated[bool, typer.Option("--list", help="show what is revoked, and change nothing")] = False,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Cut off a vendor in every role, a model or a deployment: the next admission anywhere on the ledger obeys."""
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    if listed:
        if name is not None or reason is not None:
            raise typer.BadParameter("it shows what is revoked: leave out the rest", param_hint="--list")
        _list(read(find_config(config)).setup, in_file=in_file, as_json=as_json)
        return
    if name is None:
        raise typer.BadParameter("say whom, or write `--list`", param_hint="VENDOR|DEPLOYMENT|MODEL")
    if reason is None or not reason.strip():
        raise typer.BadParameter("say why: whoever meets it reads it", param_hint="--reason")
    from modelrouter.cli.revoke.place import opened_place
    from modelrouter.cli.revoke.wanted import roles_from, until_from
    from modelrouter.router.cutting_off import subject_of

    setup = read(find_config(config)).setup
    kind, found = subject_of(name, setup.world)
    until_us = until_from(until, datetime.now(UTC))
    wanted = Revocation(
        kind, found, reason, roles_from(roles, kind), until_us=until_us, abort_in_flight=abort_in_flight
    )
    with opened_place(setup, in_file=in_file, signing_key=signing_key, create=True) as place:
        number, shown = place.revoke(wanted), place.shown
        revoked: Mapping[int, Revocation] = {number: wanted}
        with suppress(LedgerError):  # it is done, whether or not it can be read again
            revoked = place.revoked()
    _tell(setup, revoked, number, revoked.get(number, wanted), shown, in_file=in_file, as_json=as_json)


def _tell(
    setup: Setup,
    revoked: Mapping[int, Revocation],
    number: int,
    made: Revocation,
    shown: str,
    *,
    in_file: bool,
    as_json: bool,
) -> None:
    """What was revoked, and what that leaves, with everything else that is in force."""
    from modelrouter.cli.revoke.screen import losses_of, revocation_document, show_losses

    losses = losses_of(setup, [*revoked.values(), *_in_files(setup, in_file=in_file)])
    if as_json:
        print_document({"where": shown, "revoked": revocation_document(number, made), **losses.document()})
        return
    screen = console()
    screen.print(f"{made.subject} is revoked: number {number} in {shown}", style="bold", soft_wrap=True)
    if not losses_of(setup, [made]).whys:
        screen.print("no deployment of this config falls under it", soft_wrap=True)
    show_losses(losses)
    undo = f"modelrouter restore {number}{' --in-file' if in_file else ''}"
    screen.print(f"undo it with `{undo}`", style="dim", soft_wrap=True)


def _in_files(setup: Setup, *, in_file: bool) -> tuple[Revocation, ...]:
    """What signed files add to the ledger, as far as they can be proved here; nothing where one was asked for."""
    from modelrouter.cli.revoke.place import in_files

    if not in_file:
        with suppress(ConfigError, MissingDependencyError):  # the key may be on other machines only
            return in_files(setup)
    return ()


def restore(
    name: Annotated[
        str, typer.Argument(metavar="NUMBER|NAME", help="a number that `revoke` gave, or all revocations of a name")
    ],
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why, for whoever reads the ledger")] = "",
    in_file: InFile = False,
    signing_key: SigningKey = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Undo revocations: what they took away is asked again from the next admission on."""
    from modelrouter.cli.revoke.place import opened_place
    from modelrouter.cli.revoke.screen import revocation_document
    from modelrouter.cli.revoke.wanted import restored_by
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    setup = read(find_config(config)).setup
    with opened_place(setup, in_file=in_file, signing_key=signing_key, create=False) as place:
        revoked = place.revoked()
        numbers = restored_by(name, revoked)
        place.restore(numbers, reason)
        left = {number: each for number, each in place.revoked().items() if number not in numbers}
        shown = place.shown
    if as_json:
        print_document(
            {
                "where": shown,
                "restored": [revocation_document(number, revoked[number]) for number in numbers],
                "still_revoked": [revocation_document(*each) for each in left.items()],
            }
        )
        return
    for number in numbers:
        each = revoked[number]
        text = f"{each.subject} is restored: number {number} ({each.reason}) in {shown}"
        console().print(printable(text), soft_wrap=True)
    if left:
        names = ", ".join(dict.fromkeys(each.subject for each in left.values()))
        console().print(f"still revoked: {names}", style="dim", soft_wrap=True)


def _list(setup: Setup, *, in_file: bool, as_json: bool) -> None:
    from modelrouter.cli.revoke.place import opened_place
    from modelrouter.cli.revoke.screen import losses_of, revocation_document, show_losses, show_revoked
    from modelrouter.ledger.access import NoBookError

    shown, revoked = setup.ledger_shown, dict[int, Revocation]()
    path = Path(setup.ledger_path) if setup.ledger_path else None
    is_there = in_file or path is None or path.exists() or not path.parent.is_dir()
    with suppress(NoBookError):  # the first call makes it
        if is_there:
            with opened_place(setup, in_file=in_file, signing_key=None, create=False) as place:
                shown, revoked = place.shown, dict(place.revoked())
    beside = _in_files(setup, in_file=in_file)
    losses = losses_of(setup, [*revoked.values(), *beside])
    if as_json:
        documents = [revocation_document(*each) for each in revoked.items()]
        print_document({"where": shown, "revoked": documents, **losses.document()})
        return
    show_revoked(revoked, shown)
    if beside:
        names = ", ".join(dict.fromkeys(each.subject for each in beside))
        console().print(f"and by signed file: {names}; see `modelrouter revoke --list --in-file`", soft_wrap=True)
    if revoked or beside:
        show_losses(losses)
