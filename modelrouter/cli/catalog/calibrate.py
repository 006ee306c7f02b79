"""`modelrouter catalog calibrate`: what a server's chat template adds to a request, as the overhead of a deployment."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from modelrouter.catalog.calibration import Calibration
    from modelrouter.core.bounds import Overhead

__all__ = ["calibrate"]


def calibrate(
    base_url: Annotated[str, typer.Argument(metavar="BASE_URL", help="of a llama.cpp or vLLM server of your own")],
    model: Annotated[str, typer.Option(metavar="NAME", help="the model's name there; vLLM wants it")] = "",
    key: Annotated[str | None, typer.Option(metavar="SOURCE", help="env:VARIABLE or file:PATH")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what the chat template of your own server adds to a request, for the `overhead` of its deployment."""
    from modelrouter.catalog.calibration import Unrendered
    from modelrouter.catalog.calibration import calibrate as measured
    from modelrouter.catalog.token_servers import Endpoint, found_at
    from modelrouter.errors import CatalogError

    with Endpoint(base_url, _key(key)) as endpoint:
        try:
            found = measured(found_at(endpoint, model))
        except Unrendered:
            raise CatalogError("the server renders no chat at all: it has no chat template") from None
    if as_json:
        print_document(_document(found))
    else:
        _show(found)
    if not found.holds:
        raise typer.Exit(1)


def _key(source: str | None) -> str | None:
    """The secret that a source names; it is read once and never shown."""
    if source is None:
        return None
    from modelrouter.transports.credentials import credential_from

    found = credential_from(source).read()
    if not found:
        raise typer.BadParameter("nothing stands where the key should be", param_hint="--key")
    return found


def _written(overhead: Overhead) -> dict[str, Any]:
    """The overhead as a deployment states it, without what is as by default."""
    found: dict[str, Any] = {}
    for field in fields(overhead):
        value = getattr(overhead, field.name)
        if value != field.default:
            found[field.name] = value.name.lower() if isinstance(value, Enum) else value
    return found


def _document(found: Calibration) -> dict[str, Any]:
    return {
        "overhead": _written(found.overhead),
        "bound_basis": "documented",
        "tools_are_printed": found.tools_are_printed,
        "refused": list(found.refused),
        "holds": found.holds,
        "probes": [
            {"name": each.name, "bound": each.bound, "prompt_bytes": each.prompt_bytes, "tokens": each.tokens}
            for each in found.probes
        ],
    }


def _show(found: Calibration) -> None:
    screen = console()
    written = ", ".join(f"{name}: {value}" for name, value in _written(found.overhead).items())
    screen.print(f"overhead: {{{written}}}")
    if not found.tools_are_printed:
        screen.print("this template drops tools silently: the model never sees them", style="yellow")
    if found.refused:
        screen.print(f"refused, and therefore not covered: {', '.join(found.refused)}", style="yellow")
    probes = table("probe", "bound", "bytes", "tokens", right=("bound", "bytes", "tokens"))
    for each in sorted(found.probes, key=lambda probe: probe.bound / max(1, probe.prompt_bytes))[:5]:
        probes.add_row(each.name, str(each.bound), str(each.prompt_bytes), str(each.tokens))
    screen.print(probes)
    wrong = sum(not each.holds for each in found.probes)
    if wrong:
        screen.print(f"{wrong} of {len(found.probes)} probes exceed this bound: do not use it", style="red")
    else:
        screen.print(f"{len(found.probes)} probes within the bound, the nearest above", style="dim")
        screen.print(
            "Measured, so it justifies `bound_basis: documented`. Read the template before you write `proved`."
        )
