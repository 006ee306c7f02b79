"""`modelrouter init`: a first config for the keys that are in the environment."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.catalog import Catalog
    from modelrouter.cli.start.starter import Start
    from modelrouter.config import Setup

__all__ = ["init"]


class Server(Enum):
    """Kinds of servers of one's own."""

    LLAMACPP = "llamacpp"
    VLLM = "vllm"
    OLLAMA = "ollama"
    SGLANG = "sglang"
    LMSTUDIO = "lmstudio"
    TGI = "tgi"


def init(
    output: Annotated[Path, typer.Option(metavar="FILE", help="what to write")] = Path("modelrouter.yaml"),
    force: Annotated[bool, typer.Option("--force", help="overwrite a file that is already there")] = False,
    local: Annotated[
        Server | None, typer.Option(help="a server of your own takes part; nothing is looked for on the network")
    ] = None,
    wanted: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAMES",
            help="what to begin with, as `openai,bedrock-eu,qwen-vllm`, whatever keys there are",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented config for the keys in the environment, or for what is named. Keys' values are never shown."""
    from modelrouter.catalog import load_catalog
    from modelrouter.cli.start.fitting import fitting
    from modelrouter.cli.start.starter import starts

    if output.is_dir():
        raise ConfigError(f"`{output}` is a folder: name the file in it with `--output`")
    if output.exists() and not output.is_file():  # `--force` would put a file in the place of a device
        raise ConfigError(f"`{output}` is no file: name one with `--output`")
    if output.exists() and not force:
        raise _there_already(output)
    catalog = load_catalog()
    today = datetime.now(UTC).date()
    own = _own(catalog, local, today)
    if wanted:
        found = _named(catalog, wanted, today)
        text, local_added = _named_text(found, own, output, is_wanted=local is not None)
    else:
        found = [fitting(each, {}) for each in starts(catalog, os.environ, today)]
        text, local_added = _working_text(found, own, output, is_wanted=local is not None)
    _write(output, text, force=force)
    report = _report(output, catalog, found, local_added=local_added)
    if as_json:
        print_document(report)
    else:
        _show(report)


def _own(catalog: Catalog, local: Server | None, today: date) -> Start:
    """A server of one's own, by the name that `--local` gives it."""
    from modelrouter.cli.start.text import LOCAL_MODEL, LOCAL_NAME, LOCAL_SERVER
    from modelrouter.cli.start.wanted import operator_named, start_of

    template = operator_named(catalog, LOCAL_SERVER if local is None else local.value)
    return start_of(catalog, template, LOCAL_MODEL, None, os.environ, today, name=LOCAL_NAME)


def _named(catalog: Catalog, wanted: Sequence[str], today: date) -> list[Start]:
    """What was named, each once, in the order in which it was named."""
    from modelrouter.cli.start.fitting import fitting
    from modelrouter.cli.start.wanted import start_named

    names = dict.fromkeys(name for words in wanted for name in words.replace(",", " ").split())
    if not names:
        raise typer.BadParameter("nothing is named: write it as `--with openai,qwen-vllm`", param_hint="--with")
    return [fitting(start_named(catalog, name, os.environ, today), {}) for name in names]


def _named_text(found: Sequence[Start], own: Start, output: Path, *, is_wanted: bool) -> tuple[str, bool]:
    """A text that loads: with a server of one's own where nothing that was named can be a deployment yet."""
    from modelrouter.cli.start.text import config_text, is_live
    from modelrouter.config import from_text

    takes_part = is_wanted or not any(is_live(each) for each in found)
    text = config_text(found, own=own if takes_part else None, takes_part=takes_part)
    from_text(text, str(output))
    return text, takes_part


def _working_text(found: Sequence[Start], own: Start, output: Path, *, is_wanted: bool) -> tuple[str, bool]:
    """A text that loads, and whose route has somebody: a server of one's own where nobody else is permitted."""
    from modelrouter.cli.start.text import config_text
    from modelrouter.config import from_text

    if is_wanted or any(start.is_ready for start in found):
        text = config_text(found, own=own, takes_part=is_wanted)
        if _has_somebody(from_text(text, str(output))):
            return text, is_wanted
    text = config_text(found, own=own, takes_part=True)
    from_text(text, str(output))
    return text, True


def _has_somebody(setup: Setup) -> bool:
    """Whether the policies permit anybody on any route today; keys are there, because that is what was looked for."""
    from modelrouter.core.decision import Moment, decide, layers_for
    from modelrouter.core.request import Request, measure, normalise_messages

    messages = normalise_messages("init")
    for route in setup.routes.values():
        request = Request(route.name, messages, size=measure(messages, {}))
        layers = layers_for({}, route.layers)
        decision = decide(request, route, layers, setup.world, Moment(now_s=time.time(), seed="init"))
        if decision.permitted:
            return True
    return False


# --- the file ---------------------------------------------------------------------------------------------------------


def _there_already(output: Path) -> ConfigError:
    return ConfigError(f"`{output}` is already there: add `--force` to overwrite it, or name another with `--output`")


def _write(output: Path, text: str, *, force: bool) -> None:
    """Write it; without `force` a file that has come in between is left alone, and with it never half replaced.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        if not force:
            with output.open("x", encoding="utf-8") as fresh:
                fresh.write(text)
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=output.parent, delete=False) as file:
            file.write(text)
        try:
            Path(file.name).chmod(0o644)
            Path(file.name).replace(output)
        except OSError:
            Path(file.name).unlink()
            raise
    except FileExistsError:
        raise _there_already(output) from None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"`{output}` cannot be written ({reason}): name another file with `--output`") from None


# --- telling ----------------------------------------------------------------------------------------------------------


def _report(output: Path, catalog: Catalog, found: Sequence[Start], *, local_added: bool) -> dict[str, Any]:
    from modelrouter.cli.start.deployment_text import asks_of
    from modelrouter.cli.start.starter import key_variables
    from modelrouter.cli.start.text import LOCAL_NAME, ROUTE, is_live

    known = key_variables(catalog)
    found_keys = sorted({start.key for start in found if start.key_is_set and start.key})
    return {
        "path": str(output),
        "route": ROUTE,
        "keys_found": [{"variable": key, "operators": known[key]} for key in found_keys],
        "keys_not_found": sorted(set(known) - set(found_keys)),
        "deployments": [
            *([LOCAL_NAME] if local_added else []),
            *(start.deployment for start in found if is_live(start)),
        ],
        "in_comments": [
            {"deployment": start.deployment, "operator": start.template.id, "missing": list(start.missing)}
            for start in found
            if not is_live(start)
        ],
        "asks": {start.name: asks_of(start) for start in found if start.name},
        "next": [
            "fill in the lines marked FILL IN",
            "modelrouter check",
            f'modelrouter chat {ROUTE} "Hello"',
        ],
    }


def _show(report: dict[str, Any]) -> None:
    screen = console()
    screen.print(f"wrote {report['path']}", style="bold")
    for found in report["keys_found"]:
        screen.print(f"  key found: {found['variable']} ({', '.join(found['operators'])})", style="green")
    for waiting in report["in_comments"]:
        screen.print(f"  in comments: {waiting['deployment']}, until you add {' and '.join(waiting['missing'])}")
    for name, asks in report["asks"].items():
        screen.print(f"  {name}, only you can say:")
        for ask in asks:
            screen.print(f"    {ask}", soft_wrap=True)
    if not report["keys_found"] and not report["asks"]:
        variables = ", ".join(report["keys_not_found"])
        screen.print(f"  no key found. Set one of these and run it again with `--force`: {variables}")
    if "local" in report["deployments"]:
        screen.print("  local: a server of your own; start it, and correct its address in the file")
    screen.print(f"route {report['route']} tries: {', '.join(report['deployments'])}")
    screen.print("next:", style="bold")
    for step in report["next"]:
        screen.print(f"  {step}")
