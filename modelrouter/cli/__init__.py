"""The command line: `modelrouter …`. A face above the router; it computes nothing that the library does not.

`app` lists the commands, one module each; `faults` turns every error into one sentence and an exit code; `screen` knows
terminals. Nothing heavy loads before the command that needs it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        0 good, 1 the answer is no, 2 wrong use; 70 a fault of this package, 130 interrupted, 141 nobody reads on.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:  # answered before anything is loaded: scripts ask this often
        from modelrouter import __version__

        print(f"modelrouter {__version__}")
        return 0
    try:
        from modelrouter.cli.faults import run

        return run(given)
    except KeyboardInterrupt:  # while the packages load, or for a second time
        return 130
