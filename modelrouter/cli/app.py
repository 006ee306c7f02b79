"""The commands, in the order in which a person meets them."""

from __future__ import annotations

from typing import Annotated

import typer

from modelrouter.cli.audit.command import audit
from modelrouter.cli.budget.command import budget
from modelrouter.cli.catalog.add import add
from modelrouter.cli.catalog.calibrate import calibrate
from modelrouter.cli.catalog.diff import diff as catalog_diff
from modelrouter.cli.catalog.listing import list_entries
from modelrouter.cli.catalog.prices import prices
from modelrouter.cli.catalog.show import show
from modelrouter.cli.catalog.usable import usable
from modelrouter.cli.catalog.verify import verify
from modelrouter.cli.catalog.why import why
from modelrouter.cli.chat import chat
from modelrouter.cli.check.command import check
from modelrouter.cli.demo import demo
from modelrouter.cli.diff.command import diff
from modelrouter.cli.explain.command import explain
from modelrouter.cli.ledger.group import ledger
from modelrouter.cli.observe import observe
from modelrouter.cli.replay.command import replay
from modelrouter.cli.schema import schema
from modelrouter.cli.spend.command import spend
from modelrouter.cli.start.init import init
from modelrouter.cli.status import status

__all__ = ["app"]

EPILOG = (
    "Exit codes: 0 good, 1 the answer is no (nobody permitted, or a failed call), 2 wrong use; 70 a fault of "
    "modelrouter, 130 interrupted. MODELROUTER_DEBUG=1 shows tracebacks."
)

app = typer.Typer(
    name="modelrouter",
    help="Name a route, let policies decide, know what it cost and why.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
catalog = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What is known, and from which source.")


@app.callback()
def _program(version: Annotated[bool, typer.Option("--version", help="print the version and end")] = False) -> None:
    if version:
        from modelrouter import __version__

        print(f"modelrouter {__version__}")
        raise typer.Exit


app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(explain)
app.command()(chat)
app.command()(spend)
app.command()(status)
app.command()(replay)
app.command()(diff)
app.command()(observe)
app.command()(audit)
app.add_typer(budget, name="budget")
app.add_typer(ledger, name="ledger")
app.command()(schema)
catalog.command("list")(list_entries)
catalog.command("show")(show)
catalog.command("usable")(usable)
catalog.command("calibrate")(calibrate)
catalog.command("prices")(prices)
catalog.command("why")(why)
catalog.command("add")(add)
catalog.command("verify")(verify)
catalog.command("diff")(catalog_diff)
app.add_typer(catalog, name="catalog")
