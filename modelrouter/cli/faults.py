"""Runs a command and turns whatever goes wrong into one sentence, or one document, and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from modelrouter.errors import ConfigError, ModelRouterError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.attempts import Attempt

__all__ = [
    "INTERNAL",
    "INTERRUPTED",
    "NOBODY_READS",
    "REFUSED",
    "WRONG_USE",
    "InterruptedCallError",
    "error_document",
    "run",
]

REFUSED: Final = 1
"""The answer is no: a route with nobody, a call that failed."""
WRONG_USE: Final = 2
"""A bad config or bad arguments."""
INTERNAL: Final = 70
"""A fault of this package; `EX_SOFTWARE` of sysexits.h."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it."""
NOBODY_READS: Final = 141
"""Whoever read our output has gone, as shells count a broken pipe."""

DEBUG: Final = "MODELROUTER_DEBUG"
NOT_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""What becomes of output that has no room; an error of a file that a command opened names that file."""
COMMAND_ERROR: Final[Any] = typer.BadParameter.__mro__[2]
"""The base of what is wrong with arguments. typer moved it between modules, but not in this line of ancestors."""


# What typer says of values, through pydantic, and what a person should read; each that is found is replaced.
WORDS: Final = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid integer.*"), "write a whole number"),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"write at least \1"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"write at most \1"),
)


class InterruptedCallError(ModelRouterError):
    """Ctrl-C during a call, which has been booked. `text` is what had come."""

    text: str = ""


def run(arguments: list[str]) -> int:
    """Run the command that the arguments name; see `modelrouter.cli.main` for what is returned."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the program began: nobody wants to read
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
        with contextlib.suppress(AttributeError, ValueError):  # a stream of the host's own, without an encoding
            getattr(sys, name).reconfigure(errors="backslashreplace")
    as_json = "--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments
    try:
        code = _told(arguments, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except OSError as error:
        _forget_stdout()
        sentence = f"what is printed cannot be written ({os.strerror(error.errno or 0).lower()}): make room for it"
        return _tell(sentence, _document("OutputError"), REFUSED, as_json=False)
    return code


def _told(arguments: list[str], *, as_json: bool) -> int:
    """Run, and tell what went wrong."""
    try:
        return _invoke(arguments)
    except BrokenPipeError:
        raise
    except COMMAND_ERROR as error:
        _show_traceback()
        return _tell(_usage_sentence(error, arguments), _document("UsageError"), WRONG_USE, as_json=as_json)
    except ModelRouterError as error:
        _show_traceback()
        sentence = error.message or str(error) or type(error).__name__
        return _tell(sentence, _document_of(error), exit_code_of(error), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _tell("interrupted", _document("Interrupted"), INTERRUPTED, as_json=as_json)
    except Exception as error:  # the last place where a person can be told
        if isinstance(error, OSError) and error.errno in NOT_WRITTEN and error.filename is None:
            raise
        _show_traceback()
        return _tell(_report_sentence(error), _document("InternalError"), INTERNAL, as_json=as_json)


def _invoke(arguments: list[str]) -> int:
    from modelrouter.cli.app import app

    command = typer.main.get_command(app)
    try:
        with command.make_context("modelrouter", arguments) as context:
            command.invoke(context)
    except typer.Exit as ended:
        return ended.exit_code
    except COMMAND_ERROR as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise
        print(error.ctx.get_help())
        return WRONG_USE
    return 0


def exit_code_of(error: ModelRouterError) -> int:
    """What an error says to the shell. A request that a provider found invalid was a failed call, not wrong use."""
    if isinstance(error, InterruptedCallError):
        return INTERRUPTED
    if isinstance(error, ConfigError) or (isinstance(error, RequestError) and not error.attempts):
        return WRONG_USE
    return REFUSED


# --- telling ----------------------------------------------------------------------------------------------------------


def _tell(sentence: str, document: dict[str, Any], code: int, *, as_json: bool) -> int:
    from modelrouter.cli.screen import error_console, print_document, printable

    if as_json:
        print_document({"error": {**document, "message": sentence, "exit_code": code}})
        return code
    with contextlib.suppress(BrokenPipeError):
        screen = error_console()
        screen.print("error: " if code != INTERRUPTED else "", style="bold red", end="")
        screen.print(printable(sentence))
    return code


def error_document(kind: str, sentence: str, code: int) -> dict[str, Any]:
    """What `--json` prints for an error."""
    return {"error": {**_document(kind), "message": sentence, "exit_code": code}}


def _document(kind: str) -> dict[str, Any]:
    """What every error document holds; None where an error has no such thing."""
    return {
        "kind": kind,
        "message": "",
        "exit_code": 0,
        "file": None,
        "line": None,
        "key": None,
        "call_id": None,
        "cost_usd": None,
        "attempts": [],
        "decision": None,
        "text": None,
    }


def _document_of(error: ModelRouterError) -> dict[str, Any]:
    from modelrouter.cli.decisions import attempt_document, decision_document

    kind = "Interrupted" if isinstance(error, InterruptedCallError) else type(error).__name__
    attempts: Sequence[Attempt] = error.attempts
    return {
        **_document(kind),
        "file": getattr(error, "file", None),
        "line": getattr(error, "line", None),
        "key": getattr(error, "key", None),
        "call_id": error.call_id,
        "cost_usd": None if error.cost_usd is None else f"{error.cost_usd:f}",
        "attempts": [attempt_document(attempt) for attempt in attempts],
        "decision": None if error.decision is None else decision_document(error.decision),
        "text": getattr(error, "text", None),
    }


def _usage_sentence(error: Any, arguments: Sequence[str]) -> str:  # noqa: ANN401 - its class lives in another module with each version of typer
    said = str(error.format_message()).strip().rstrip(".").replace("'", "`")
    for found, instead in WORDS:
        said = found.sub(instead, said)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else _command_path(arguments)
    return f"{said[:1].lower()}{said[1:]}: see `{path} --help`"


def _command_path(arguments: Sequence[str]) -> str:
    """The command that the first arguments name, for errors that know no context."""
    from modelrouter.cli.app import app

    command: Any = typer.main.get_command(app)
    names = ["modelrouter"]
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        names.append(word)
    return " ".join(names)


def _report_sentence(error: Exception) -> str:
    return (
        f"modelrouter has a fault of its own ({type(error).__name__}): please report it, with what "
        f"`{DEBUG}=1` in front of the same command shows"
    )


def _show_traceback() -> None:
    if os.environ.get(DEBUG) == "1":
        traceback.print_exc()


def _forget_stdout() -> None:
    """Nobody reads: what is still in the buffer must not raise once more when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
