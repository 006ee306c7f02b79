"""`modelrouter catalog add`: a deployment of a model at an operator, as text or into a config."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.cli.start.starter import Start

__all__ = ["add"]


def add(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a model of the catalog")],
    operator: Annotated[str, typer.Argument(metavar="OPERATOR", help="an operator, or the kind of your own server")],
    *,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME", help="which of its endpoints")] = None,
    provider: Annotated[str | None, typer.Option(metavar="ID", help="whom an aggregator is pinned to")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="of the deployment")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="a part of the address, as `resource=acme`")
    ] = None,
    into: Annotated[Path | None, typer.Option(metavar="FILE", help="insert it there; else it is printed")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a deployment of a model at an operator: facts come from the catalog, what only you know is marked."""
    from modelrouter.catalog import load_catalog
    from modelrouter.cli.start.deployment_text import asks_of, deployment_text
    from modelrouter.cli.start.fitting import fitting
    from modelrouter.cli.start.wanted import operator_named, start_of

    catalog = load_catalog()
    template = operator_named(catalog, operator)
    place = f"-{endpoint}" if endpoint else ""
    stated = _stated(values or [])
    start = start_of(
        catalog,
        template,
        model,
        endpoint,
        os.environ,
        datetime.now(UTC).date(),
        stated=stated,
        name=name or f"{model}-{template.server or template.id}{place}",
        provider=provider,
    )
    start = fitting(start, stated)
    _check(start)
    block = deployment_text(start)
    if into is not None:
        _insert(start, block, into)
    if as_json:
        print_document(
            {
                "deployment": start.deployment,
                "text": block,
                "is_live": start.can_load,
                "asks": asks_of(start),
                "into": None if into is None else str(into),
            }
        )
        return
    _show(start, block, asks_of(start), into)


def _stated(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        key, mark, value = text.partition("=")
        if not mark or not key or not value:
            raise typer.BadParameter(f"`{text}` is no value: write it as `resource=acme`", param_hint="--set")
        found[key] = value
    return found


def _check(start: Start) -> None:
    """Refuse a name that is none, and a region that contradicts its endpoint, before anything is written."""
    from modelrouter.cli.start.fitting import fault_of
    from modelrouter.config.fields import NAME

    if not NAME.fullmatch(start.deployment):
        reason = f"`{start.deployment}` is no name: use letters, digits, `.`, `_` and `-`, as `eu-mistral`"
        raise typer.BadParameter(reason, param_hint="--name")
    fault = fault_of(start)
    if fault is not None:
        raise type(fault)(fault.reason, key=fault.key)


def _insert(start: Start, block: str, into: Path) -> None:
    from modelrouter.cli.start.insertion import inserted, write_over
    from modelrouter.config import from_text
    from modelrouter.config.files import read_file

    text = read_file(into, str(into))
    from_text(text, str(into))  # what is wrong there already is told first
    found = inserted(text, str(into), start.deployment, block)
    from_text(found, str(into))
    write_over(into, found)


def _show(start: Start, block: str, asks: Sequence[str], into: Path | None) -> None:
    screen = console()
    if into is None:
        screen.print(block, soft_wrap=True)
    else:
        screen.print(f"`{start.deployment}` is in {into}; name it in a route", style="bold", soft_wrap=True)
    if not start.can_load:
        screen.print("it stands in comments until its address is complete", style="yellow")
    if asks:
        screen.print("# only you can say:", style="dim")
        for ask in asks:
            screen.print(f"#   {ask}", style="dim", soft_wrap=True)
