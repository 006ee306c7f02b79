"""What is printed: tables for people, one JSON document for programs.

Colours only on a terminal, and never with NO_COLOR.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.core.money import usd_from_nano

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["amount", "console", "dollars", "error_console", "print_document", "printable", "table"]

Document = dict[str, Any]
KEPT: Final = "\n\t"


def console() -> Console:
    """For stdout. Text is printed as it is: brackets in it are no markup."""
    return _console()


def error_console() -> Console:
    """For stderr. Lines are not folded, so that a log of them can be searched."""
    return _console(stderr=True, soft_wrap=True)


def _console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            """Where nobody reads on, the program ends as `faults.run` says; rich of itself ends it with 1, a no."""
            raise BrokenPipeError

    return Piped(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)


def table(*columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Table:
    """A table that is readable at 80 columns: no frame, long words fold.

    Args:
        right: columns of figures.
        whole: columns of names that somebody may want to copy: never folded.
    """
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        figures = column in right
        made.add_column(
            column, justify="right" if figures else "left", overflow="fold", no_wrap=figures or column in whole
        )
    return made


def print_document(document: Document) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def amount(nano_usd: int | None) -> str | None:
    """Nano-dollars as text of dollars, every digit, for documents."""
    return None if nano_usd is None else f"{usd_from_nano(nano_usd):f}"


def dollars(usd: Decimal) -> str:
    """An exact amount for people."""
    return f"{'-' if usd < 0 else ''}${abs(usd):f}"


def printable(text: str) -> str:
    """Text from elsewhere without what a terminal would take for a command."""
    return "".join(letter for letter in text if letter.isprintable() or letter in KEPT)
