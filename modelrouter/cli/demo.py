"""`modelrouter demo`."""

from __future__ import annotations

import io
import json
from typing import Annotated

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import print_document

__all__ = ["demo"]


def demo(
    model: Annotated[
        str | None, typer.Option(metavar="PATH", help="a GGUF file; else a small model is fetched")
    ] = None,
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="what to ask")] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="DIR", help="an empty folder: config and ledger stay there")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See the whole story on this machine, with a real model: verdicts, an answer, a failure, the book."""
    from modelrouter.demo import run_demo

    if not as_json:
        raise typer.Exit(run_demo(model, prompt, keep=keep))
    printed = io.StringIO()
    code = run_demo(model, prompt, json=True, keep=keep, out=printed)
    document = json.loads(printed.getvalue())
    if isinstance(document.get("error"), str):  # the demo says a sentence; every command's errors have one shape
        from modelrouter.cli.faults import error_document

        document = error_document("DemoError", document["error"], code)
    print_document(document)
    raise typer.Exit(code)
