"""`modelrouter chat`: ask a route, and see what it cost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrouter.cli.options import (
    AsJson,
    CeilingOption,
    ConfigOption,
    PolicyOption,
    PromptArgument,
    RouteArgument,
    TagOption,
    call_options,
)
from modelrouter.cli.screen import amount, dollars, error_console, print_document, printable
from modelrouter.errors import (
    AttemptsExhaustedError,
    BudgetError,
    CeilingError,
    DeadlineExceededError,
    NoRouteError,
    RequestError,
    StreamBrokenError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter import Reply, Router
    from modelrouter.core.request import Message
    from modelrouter.router.options import Options

__all__ = ["chat"]

TURN_ERRORS = (
    AttemptsExhaustedError,
    BudgetError,
    CeilingError,
    DeadlineExceededError,
    NoRouteError,
    RequestError,
    StreamBrokenError,
)
"""What ends one turn of a conversation and not the conversation."""


def chat(
    route: RouteArgument,
    prompt: PromptArgument = None,
    *,
    policy: PolicyOption = None,
    tag: TagOption = None,
    max_cost_usd: CeilingOption = None,
    session: Annotated[
        str | None, typer.Option(metavar="NAME", help="calls of one session keep their deployment")
    ] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="print the answer when it is complete")] = False,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask a route. Without PROMPT what is piped in is the prompt; on a terminal it is a conversation, line by line."""
    asked = _prompt(prompt, as_json=as_json)
    options = call_options(policy, tag, max_cost_usd, session)
    from modelrouter import Router
    from modelrouter.cli.booked import CallWatch, interruption

    watch, screen = CallWatch(), _Screen(quiet=as_json)
    ledger = ""
    try:
        with Router.from_config(config, events=watch) as router:
            ledger = router.setup.ledger
            turn = _Turn(router, route, options, screen, stream=not (no_stream or as_json))
            if asked is None:
                _converse(turn, watch)
                return
            reply = turn.ask(asked)
    except KeyboardInterrupt:
        screen.end_line()
        raise interruption(ledger, watch.call_id, screen.text) from None
    if as_json:
        print_document(_document(route, reply))


def _prompt(written: str | None, *, as_json: bool) -> str | None:
    """What to ask; None where a person types it line by line."""
    if written is not None:
        return _text(written, "PROMPT is no text: write UTF-8")
    if sys.stdin is None:  # it was closed before the program began
        return ""
    if not sys.stdin.isatty():
        no_text = "what was piped in is no text: pipe UTF-8 text"
        try:
            return _text(sys.stdin.read(), no_text)
        except UnicodeDecodeError:
            raise RequestError(no_text) from None
    if as_json:
        raise typer.BadParameter("with `--json` give the prompt, or pipe it in", param_hint="PROMPT")
    return None


def _text(given: str, otherwise: str) -> str:
    """What was given, unless it holds bytes that Python could not read and passed through."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise RequestError(otherwise) from None
    return given


class _Screen:
    """The answer on stdout as it comes, without what a terminal would take for a command."""

    def __init__(self, *, quiet: bool) -> None:
        self.text = ""
        self.quiet = quiet
        self._on_terminal = sys.stdout.isatty()
        self._line_open = False

    def begin(self) -> None:
        """A new answer."""
        self.text = ""

    def show(self, piece: str) -> None:
        """Print a piece at once."""
        self.text += piece
        if piece and not self.quiet:
            self._line_open = not piece.endswith("\n")
            sys.stdout.write(printable(piece) if self._on_terminal else piece)
            sys.stdout.flush()

    def end_line(self) -> None:
        """Begin a new line where the answer has not."""
        if self._line_open:
            self._line_open = False
            sys.stdout.write("\n")
            sys.stdout.flush()


class _Turn:
    """One question after another, each to the same route with the same options."""

    def __init__(self, router: Router, route: str, options: Options, screen: _Screen, *, stream: bool) -> None:
        self._router = router
        self._route = route
        self._options = options
        self._screen = screen
        self._stream = stream

    def ask(self, prompt: str | Sequence[Message]) -> Reply:
        """Ask, print the answer on stdout and its cost on stderr."""
        self._screen.begin()
        try:
            reply = self._streamed(prompt) if self._stream else self._whole(prompt)
        except TURN_ERRORS:
            self._screen.end_line()
            raise
        self._screen.end_line()
        if not self._screen.quiet:
            error_console().print(_cost_line(reply), style="dim")
        return reply

    def _whole(self, prompt: str | Sequence[Message]) -> Reply:
        reply = self._router.complete(self._route, prompt, **self._options)
        self._screen.show(reply.text)
        return reply

    def _streamed(self, prompt: str | Sequence[Message]) -> Reply:
        with self._router.stream(self._route, prompt, **self._options) as stream:
            for piece in stream:
                self._screen.show(piece.text)
        if stream.reply is None:
            raise AssertionError("a stream ended well without a reply")
        return stream.reply


def _converse(turn: _Turn, watch: Any) -> None:  # noqa: ANN401 - a `CallWatch`, whose module loads later
    """Line by line, until the end of input. A turn that fails is told and forgotten; the last one decides the code."""
    from modelrouter.cli.faults import exit_code_of

    messages: list[Message] = []
    code = 0
    error_console().print("Ctrl-D ends the conversation.", style="dim")
    while True:
        watch.call_id = None
        sys.stderr.write("> ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            break
        if not line.strip():
            continue
        try:
            reply = turn.ask([*messages, {"role": "user", "content": line.strip()}])
        except TURN_ERRORS as error:
            error_console().print(f"error: {printable(error.message)}", style="red")
            code = exit_code_of(error)
            continue
        messages += [{"role": "user", "content": line.strip()}, {"role": "assistant", "content": reply.text}]
        code = 0
    if code:
        raise typer.Exit(code)


def _cost_line(reply: Reply) -> str:
    usage = reply.usage
    tokens = "usage not reported" if usage is None else f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
    certain = "" if reply.cost_is_certain else ", a part of it booked at its bound"
    tried = len(reply.attempts)
    others = f", attempt {tried}" if tried > 1 else ""
    cut = ", cut off at the output limit" if reply.length_reached else ""
    saved = "" if reply.saved_usd is None else f", saved {dollars(reply.saved_usd)} against the baseline"
    return f"{reply.deployment}{others}: {tokens}, cost {dollars(reply.cost_usd)}{certain}{saved}{cut}"


def _document(route: str, reply: Reply) -> dict[str, Any]:
    from modelrouter.cli.decisions import attempt_document

    usage = reply.usage
    return {
        "route": route,
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "deployment": reply.deployment,
        "call_id": reply.call_id,
        "cost_usd": amount(reply.cost_nano_usd),
        "cost_is_certain": reply.cost_is_certain,
        "saved_usd": amount(reply.saved_nano_usd),
        "usage": None
        if usage is None
        else {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        },
        "attempts": [attempt_document(attempt) for attempt in reply.attempts],
        "not_granted": [{"deployment": name, "reason": reason} for name, reason in reply.decision.not_granted],
    }
