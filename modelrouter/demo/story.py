"""Plays the demo from beginning to end: one real call, one forced failure, and what the book says of both.

Nothing shown is written beforehand: verdicts are computed from the catalog, the answer comes from the model, costs from
the usage that the server reported, and the ledger's rows are read back from its file.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.demo.fault import DemoError
from modelrouter.demo.findings import Story, booked, call_made, candidates_of, elsewhere
from modelrouter.demo.server import LocalServer
from modelrouter.demo.stage import CATALOG_MODEL, closed_port, folder_for, set_up
from modelrouter.demo.weights import find_weights
from modelrouter.errors import AttemptsExhaustedError, DeadlineExceededError, ModelRouterError, StreamBrokenError

if TYPE_CHECKING:
    from typing import TextIO

    from modelrouter import Reply, Router
    from modelrouter.demo.findings import BookedAttempt, CallMade
    from modelrouter.demo.screen import Screen
    from modelrouter.demo.weights import Weights

__all__ = ["DEFAULT_PROMPT", "run_demo"]

DEFAULT_PROMPT: Final = "Write a short and friendly greeting to somebody who tries you for the first time."
"""Small talk, because a model of this size knows hardly any fact."""
CHAT: Final = "chat"
AFTER_A_FAILURE: Final = "chat-after-a-failure"


def run_demo(
    model: str | None = None,
    prompt: str | None = None,
    json: bool = False,  # noqa: FBT001, FBT002 - named as the option of the command
    *,
    keep: str | Path | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Play the demo.

    Args:
        model: path of a GGUF file; None finds or fetches SmolLM2-135M-Instruct.
        prompt: what to ask; None asks for a greeting.
        json: print one JSON document at the end, in place of the show.
        keep: an empty folder in which config and ledger stay; None removes them.
        out: where to print; None is stdout.
        err: where the sentence of a failure goes; None is stderr.

    Returns:
        0 when the model answered both calls; 1 with one sentence on `err` otherwise.
    """
    from modelrouter.demo.screen import screen_for

    screen = screen_for(json=json, out=out, err=err)
    try:
        with screen:
            story = _play(model, prompt or DEFAULT_PROMPT, None if keep is None else Path(keep), screen)
            screen.ended(story)
    except ModelRouterError as error:
        screen.failed(_sentence(error))
        return 1
    return 0


def _play(model: str | None, prompt: str, keep: Path | None, screen: Screen) -> Story:
    weights = find_weights(model, progress=screen.fetching)
    with contextlib.ExitStack() as stage:
        server = stage.enter_context(LocalServer.start(weights.path, name=_served_name(weights)))
        folder = stage.enter_context(folder_for(keep))
        config = set_up(folder, server, weights, stage.enter_context(closed_port()))
        screen.began(server.model, weights, prompt)
        return _calls(config, server, weights, prompt, screen)


def _served_name(weights: Weights) -> str:
    return CATALOG_MODEL if weights.is_pinned else "local-model"


def _calls(config: Path, server: LocalServer, weights: Weights, prompt: str, screen: Screen) -> Story:
    from modelrouter import Router

    with Router.from_config(config) as router:
        setup = router.setup
        candidates = candidates_of(router.explain(CHAT, prompt), setup.world)
        screen.candidates(candidates)
        reply = _streamed(router, prompt, screen)
        answer = call_made(CHAT, reply)
        screen.answered(answer)
        fallback = call_made(AFTER_A_FAILURE, router.complete(AFTER_A_FAILURE, prompt))
        screen.fell_back(fallback)
    rows = _read_back(setup.ledger, (answer, fallback))
    screen.booked(rows)
    others = elsewhere(reply, setup.world)
    screen.elsewhere(answer, others)
    return Story(
        model=setup.world.models[setup.world.deployments[reply.deployment].model].name,
        model_file=weights.path.name,
        parameter_count=server.model.parameter_count,
        prompt=prompt,
        candidates=candidates,
        answer=answer,
        fallback=fallback,
        ledger=rows,
        elsewhere=others,
        next_steps=(
            "`modelrouter init` writes a modelrouter.yaml for the keys that are in your environment",
            "`modelrouter check` says for each route who may serve it, and who may not and why",
        ),
    )


def _streamed(router: Router, prompt: str, screen: Screen) -> Reply:
    """The answer, piece by piece as it comes."""
    with router.stream(CHAT, prompt) as stream:
        for piece in stream:
            screen.piece(piece.text)
    if stream.reply is None:
        raise DemoError("the model did not answer: its stream ended early")
    return stream.reply


def _read_back(ledger: str, calls: tuple[CallMade, ...]) -> tuple[BookedAttempt, ...]:
    """The lines of these calls, from the closed book's file."""
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    book = open_ledger(ledger, SystemClock(), create=False)
    try:
        return booked([row for call in calls for row in book.attempts(call.call_id)])
    finally:
        book.close(5.0)


def _sentence(error: ModelRouterError) -> str:
    """What to say of an error: what became of the answer first, where one was due."""
    if isinstance(error, StreamBrokenError):
        return f"the model did not answer to the end: {error.message}"
    if isinstance(error, (AttemptsExhaustedError, DeadlineExceededError)):
        return f"the model did not answer: {error.message}"
    return error.message or str(error)
