"""One loaded configuration with its compiled verdicts. A reload makes another epoch and swaps one reference."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, cast

from modelrouter.config.canonical import static
from modelrouter.config.grounds import grounds_of
from modelrouter.core.adapting import grown
from modelrouter.core.decision import compile_rows, day_of, decide, layers_for
from modelrouter.core.decision_record import frame_of, record_of
from modelrouter.core.grounds import layers_named
from modelrouter.core.grounds_text import text_of
from modelrouter.core.history import history_of, without_marks
from modelrouter.core.request import Request, as_long_as, measure, needs_of, normalise_messages
from modelrouter.core.route import Objective
from modelrouter.core.verdict import Precedents
from modelrouter.errors import PolicyError, RequestError
from modelrouter.router.arguments import (
    accept_of,
    ceiling_of,
    check_parameters,
    name_of,
    output_limit_of,
    own_copy,
    policies_of,
    reasoning_of,
    timeout_of,
)
from modelrouter.router.inspecting import Inspection
from modelrouter.router.json_format import check_format
from modelrouter.router.options import OWN_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from modelrouter.config.setup import Setup, Static
    from modelrouter.core.bounds import Size
    from modelrouter.core.decision import Compiled, Decision, Moment, Route
    from modelrouter.core.decision_record import Frame
    from modelrouter.core.history import History
    from modelrouter.core.policy import Layer
    from modelrouter.core.request import JSON, Message, Needs
    from modelrouter.core.route import Timeouts
    from modelrouter.ports import Inspector
    from modelrouter.router.options import Options

__all__ = ["Epoch"]

_Tags: TypeAlias = "tuple[tuple[str, str], ...]"
_Circumstances: TypeAlias = "tuple[str, tuple[str, ...], _Tags, _Tags]"

CACHE_LIMIT = 4096  # combinations of route, policies, tags and needs; far above what a program uses


class Epoch:
    """A `Setup`, and what was computed from it. Shared by threads: entries are only ever added, whole.

    Args:
        inspectors: of the Router's caller, beside those that the config names.

    Raises:
        ConfigError: an inspector has nothing that it could raise.
        MissingDependencyError: an inspector's package is not installed.
    """

    def __init__(self, setup: Setup, inspectors: Sequence[str | Inspector] = ()) -> None:
        self.setup = setup
        self._inspection = Inspection(setup, inspectors)
        self._defaults = tuple(name for name, tag in setup.tags.items() if tag.default is not None)
        self._layers: dict[_Circumstances, tuple[Layer, ...]] = {}
        self._compiled: dict[tuple[_Circumstances, Needs], Compiled] = {}
        self._precedents: Precedents | None = None
        self._timeouts: dict[tuple[str, str], Timeouts] = {}
        self._frames: dict[tuple[str, tuple[str, ...], Needs, int], tuple[tuple[Layer, ...], Frame]] = {}

    @cached_property
    def grounds(self) -> Static:
        """What decisions rest on, as text with its hash, for the ledger. Two threads may both work it out, once."""
        return static(text_of(grounds_of(self.setup)))

    def route(self, name: str) -> Route:
        """A route by its name.

        Raises:
            RequestError: there is none of that name.
        """
        found = self.setup.routes.get(name)
        if found is None:
            message = f"there is no route `{name}`{_nearest(name, self.setup.routes)}"
            raise RequestError(message)
        return found

    def timeouts(self, route: str, deployment: str) -> Timeouts:
        """The limits of time for an attempt of a route at a deployment."""
        found = self._timeouts.get((route, deployment))
        if found is None:
            own = self.setup.endpoints[deployment].timeouts
            found = own.with_others(self.route(route).timeouts, self.setup.timeouts)
            self._timeouts[route, deployment] = found
        return found

    def request(self, route: str, prompt: str | Sequence[Message], options: Options) -> Request:
        """Check what a caller asks, and measure it.

        Raises:
            RequestError: names the argument and says what to change.
        """
        self.route(route)
        given = cast("Mapping[str, JSON]", options)
        given_messages = normalise_messages(own_copy(prompt, "the prompt"))
        messages, history = without_marks(given_messages), history_of(given_messages)
        parameters = {name: own_copy(given[name], f"`{name}`") for name in given if name not in OWN_OPTIONS}
        limit = output_limit_of(parameters)
        check_parameters(parameters)
        check_format(parameters)
        tags = self._tags(options.get("tags"))
        return Request(
            route=route,
            messages=messages,
            parameters=parameters,
            size=self._size(route, messages, parameters, history),
            history=history,
            needs=needs_of(messages, parameters),
            max_output_tokens=limit,
            reasoning=reasoning_of(options.get("reasoning")),
            tags=tags,
            inspected=self._inspection.inspect(messages, parameters, tags),
            policies=policies_of(options.get("policy")),
            ceiling_nano_usd=ceiling_of(options.get("max_cost_usd")),
            timeout_s=timeout_of(options.get("timeout_s")),
            session=name_of("session", options.get("session")),
            request_id=name_of("request_id", options.get("request_id")),
            accept=accept_of(options.get("accept")),
        )

    def renewed(self, request: Request) -> Request:
        """A request that was made under another configuration, looked into and measured as this one asks for it.

        Raises:
            RequestError: this one has no such route or tag, or an inspector failed.
        """
        tags = self._tags(request.tags)
        return replace(
            request,
            tags=tags,
            size=self._size(request.route, request.messages, request.parameters, request.history),
            inspected=self._inspection.inspect(request.messages, request.parameters, tags),
        )

    def question(self, route: str, options: Options) -> Request:
        """A request without a prompt: as long as the route's window, for whoever wants to know beforehand.

        Raises:
            RequestError: as `request`.
        """
        return as_long_as(self.request(route, "?", options), self.route(route).needs.context_tokens)

    def decide(self, request: Request, moment: Moment) -> Decision:
        """Decide with compiled verdicts, compiling them where they are missing or their date has come.

        Raises:
            RequestError: there is no such route, or no policy of a name that the call gave.
        """
        route = self.route(request.route)
        circumstances = self._circumstances(request)
        layers = self._layers_of(request, route, circumstances)
        needs = route.needs.joined(request.needs)
        today = day_of(moment.now_s)
        compiled = self._compiled.get((circumstances, needs))
        if compiled is None or (compiled.valid_until is not None and today >= compiled.valid_until):
            compiled = compile_rows(
                self.setup.world, layers, route, needs, today, precedents=self._precedents_on(today)
            )
            if len(self._compiled) >= CACHE_LIMIT:
                self._compiled.clear()
            self._compiled[circumstances, needs] = compiled
        return decide(request, route, layers, self.setup.world, moment, compiled=compiled)

    def record(self, request: Request, decision: Decision) -> dict[str, object]:
        """What the ledger keeps of a decision of this epoch, see `core.decision_record`."""
        key = request.route, request.policies, request.needs, id(decision.layers)
        layers, frame = self._frames.get(key, (None, None))
        if frame is None or layers is not decision.layers:
            route = self.route(request.route)
            possible = layers_named(route, request.policies, self.setup.policies)
            frame = frame_of(self.grounds.sha256, request, route, possible, self.setup.world)
            if len(self._frames) >= CACHE_LIMIT:
                self._frames.clear()
            self._frames[key] = decision.layers, frame
        defaults = [name for name in self._defaults if name not in request.tags]
        return record_of(frame, request, decision, defaults)

    def _precedents_on(self, today: date) -> Precedents:
        found = self._precedents
        if found is None or found.today != today:
            found = self._precedents = Precedents(self.setup.world, today)
        return found

    def _size(
        self, route: str, messages: tuple[Message, ...], parameters: Mapping[str, JSON], history: History
    ) -> Size:
        """What counts for the bound, and, where the order goes by expected cost, what is expected of it."""
        is_rewritten = self.route(route).strips_history and not history.is_plain
        size = measure(grown(messages) if is_rewritten else messages, parameters)
        if self.route(route).objective is not Objective.COST:
            return size
        from modelrouter.router.estimate import expected_input_tokens

        return replace(size, expected_tokens=expected_input_tokens(messages, parameters))

    def _circumstances(self, request: Request) -> _Circumstances:
        """All that chooses the layers of a request: route, added policies, and the tags that policies look at."""
        return request.route, request.policies, self._binding(request.tags), self._binding(request.inspected.raised)

    def _binding(self, tags: Mapping[str, str]) -> _Tags:
        return tuple(sorted((tag, value) for tag, value in tags.items() if tag in self.setup.binding_tags))

    def _layers_of(self, request: Request, route: Route, circumstances: _Circumstances) -> tuple[Layer, ...]:
        """The layers that bind a request."""
        layers = self._layers.get(circumstances)
        if layers is None:
            for name in request.policies:
                self._check_policy(name)
            possible = layers_named(route, request.policies, self.setup.policies)
            layers = layers_for(request.tags, possible, request.inspected.raised)
            if len(self._layers) >= CACHE_LIMIT:
                self._layers.clear()
            self._layers[circumstances] = layers
        return layers

    def _check_policy(self, name: str) -> None:
        try:
            self.setup.policy_layers(name)
        except PolicyError as error:
            raise RequestError(f"`policy`: {error.reason}") from None

    def _tags(self, given: Mapping[str, str] | None) -> dict[str, str]:
        if given is not None and not isinstance(given, Mapping):
            raise RequestError("`tags` must map declared tags to their values")
        tags = dict(given or {})
        for tag, value in tags.items():
            declared = self.setup.tags.get(tag)
            if declared is None:
                raise RequestError(f"tag `{tag}` is not declared under `tags:`{_nearest(str(tag), self.setup.tags)}")
            name_of(f"tags.{tag}", value, may_be_empty=True)
            if declared.values and value not in declared.values:
                raise RequestError(f"tag `{tag}`: `{value}` is not one of {', '.join(sorted(declared.values))}")
        return tags


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; there are: {', '.join(sorted(known))}" if known else "; none is declared"
