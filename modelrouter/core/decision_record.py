"""What a book keeps of one decision: enough to derive it again, and no text of the request. Pure.

A record names its grounds by their hash, holds the values of everything dynamic that was read (of what a route never
reads, nothing), says of the request what counts for a decision, and ends with a digest of the outcome, so that a
derivation that comes out otherwise is noticed. The rest stands beside it in the book: route, session, request id and
tags; the call's own id is what shares and ties were drawn by.

Tags may be personal and are then hashes, so a record does not rest on them: it says which of the layers that could have
bound the request did.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from modelrouter.core.bounds import Picture, Size
from modelrouter.core.decision import decide
from modelrouter.core.grounds import layers_named
from modelrouter.core.history import PLAIN, History, Origin, Shape, Trait
from modelrouter.core.inspection import UNINSPECTED, Inspected
from modelrouter.core.policy import Outcome
from modelrouter.core.portability import stand_in, thinking_is_off
from modelrouter.core.request import Needs, Reasoning, Request
from modelrouter.core.route import Moment, Objective
from modelrouter.core.share_record import share_from
from modelrouter.core.shares import ShareMode, share_refusal_text
from modelrouter.core.verdict import layers_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.decision import Compiled, Decision, Route
    from modelrouter.core.facts import World
    from modelrouter.core.grounds import Grounds
    from modelrouter.core.policy import Layer
    from modelrouter.core.share_record import Capped

__all__ = [
    "Frame",
    "Recorded",
    "as_reserved",
    "derived",
    "frame_of",
    "layers_bound",
    "outcome_digest",
    "record_of",
    "recorded_from",
]

Record: TypeAlias = "dict[str, Any]"

OUTCOME_BYTES: Final = 8
RESTS: Final = tuple(each.name for each in fields(Size) if each.name not in {"text_bytes", "message_count"})
REST: Final = operator.attrgetter(*RESTS)
PLAIN_REST: Final = REST(Size(0))
"""What a size counts beside text and messages; most requests have nothing of it."""
OFF: Final[Mapping[str, Any]] = {"thinking": {"type": "disabled"}}


@dataclass(frozen=True, slots=True)
class Frame:
    """What the records of many requests share, and which dynamic values their decisions read.

    Attributes:
        fixed: the beginning of each record.
        reads_load: calls under way, for ties.
        reads_latency: the deployments of which it is read how long answers take.
        reads_first_token: how long first content takes, where an answer is streamed.
    """

    fixed: Record
    reads_load: bool
    reads_latency: frozenset[str]
    reads_first_token: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record, read.

    Attributes:
        grounds: hash of the grounds.
        request: without messages; its tags are those of the book.
        moment: what was read of it.
        bound: places of the layers that bound it among those that could; None is all.
        asleep: those of which the waivers did not hold.
        defaults: tags that the request did not have; the book has their declared defaults.
        capped: what share caps said before anything was reserved.
        outcome: digest of the outcome.
    """

    grounds: str
    request: Request
    moment: Moment
    outcome: str
    bound: tuple[int, ...] | None = None
    asleep: frozenset[int] = frozenset()
    defaults: frozenset[str] = frozenset()
    capped: tuple[Capped, ...] = ()


# --- writing ----------------------------------------------------------------------------------------------------------


def frame_of(grounds: str, request: Request, route: Route, possible: tuple[Layer, ...], world: World) -> Frame:
    """The frame of requests with these tags, added policies and needs.

    Args:
        possible: all layers that could bind the request, from `grounds.layers_named`.
    """
    fixed: Record = {"grounds": grounds}
    raised = request.inspected.raised
    found = [layers_for(request.tags, (layer,), raised) for layer in possible]
    if not all(found):
        fixed["bound"] = [place for place, layers in enumerate(found) if layers]
    asleep = [
        place
        for place, layers in enumerate(found)
        if layers and possible[place].waivers_active and not layers[0].waivers_active
    ]
    needs = request.needs
    more: Record = {
        "asleep": asleep,
        "policies": list(request.policies),
        "context_tokens": needs.context_tokens,
        "capabilities": sorted(needs.capabilities),
        "parameters": sorted(needs.parameters),
    }
    fixed.update((name, value) for name, value in more.items() if value)
    by_latency = route.objective is Objective.LATENCY
    prices = {name: world.deployments[name].price.value for name in route.candidates}
    return Frame(
        fixed,
        reads_load=route.objective is not Objective.LISTED or any(step.equals for step in route.tries),
        reads_latency=frozenset(
            name for name, price in prices.items() if by_latency or (price is not None and not price.is_plain)
        ),
        reads_first_token=by_latency,
    )


def record_of(frame: Frame, request: Request, decision: Decision, defaults: Sequence[str] = ()) -> Record:
    """What the book keeps of a decision, to be written as JSON.

    Args:
        defaults: tags of which the book has the declared default, because the request had none.
    """
    moment, size = decision.moment, request.size
    record: Record = {**frame.fixed, "at": moment.now_s}
    record["size"] = {"text_bytes": size.text_bytes, "message_count": size.message_count}
    if REST(size) != PLAIN_REST:
        record["size"] = _size(size)
    _note_moment(record, frame, moment)
    if defaults:
        record["defaults"] = defaults
    if (
        request.max_output_tokens is not None
        or request.ceiling_nano_usd is not None
        or request.timeout_s is not None
        or request.reasoning is not None
    ):
        _note_limits(record, request)
    if request.inspected.found or request.inspected.raised:
        record["found"], record["raised"] = request.inspected.found, request.inspected.raised
    if not request.history.is_plain:
        record["history"] = _history(request)
    record["outcome"] = outcome_digest(decision)
    return record


def outcome_digest(decision: Decision) -> str:
    """A short hash of who may serve, in which order, at which bound, and of each rule's answer; words do not count."""
    parts = [row.digest for row in decision.rows.values()]
    for each in decision.permitted:
        most = each.bound
        parts.append(
            f"{each.deployment} {most.nano_usd} {most.input_tokens} {most.max_output_tokens} {most.basis:d} "
            f"{each.expected_nano_usd}"
        )
    parts += [each.gist for each in decision.moment_verdicts if each.judgement.outcome is not Outcome.PERMITTED]
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=OUTCOME_BYTES).hexdigest()


def _note_moment(record: Record, frame: Frame, moment: Moment) -> None:
    if moment.observed_output_tokens:
        record["output_tokens"] = {name: math.ceil(value) for name, value in moment.observed_output_tokens.items()}
    if moment.in_flight and frame.reads_load:
        record["in_flight"] = moment.in_flight
    if moment.latency_s and frame.reads_latency:
        read = {name: value for name, value in moment.latency_s.items() if name in frame.reads_latency}
        record.update({"latency_s": read} if read else {})
    if moment.first_token_s and frame.reads_first_token:
        record["first_token_s"] = moment.first_token_s
    if moment.unavailable:
        record["unavailable"] = moment.unavailable
    if moment.revoked:
        record["revoked"] = moment.revoked
    if moment.unhealthy:
        record["unhealthy"] = moment.unhealthy
    if moment.is_stream:
        record["stream"] = True


def _note_limits(record: Record, request: Request) -> None:
    reasoning = None if request.reasoning is None else request.reasoning.value
    limits = {
        "max_output_tokens": request.max_output_tokens,
        "ceiling_nano_usd": request.ceiling_nano_usd,
        "timeout_s": request.timeout_s,
        "reasoning": reasoning,
    }
    record.update((name, value) for name, value in limits.items() if value is not None)


def _size(size: Size) -> Record:
    written: Record = {"text_bytes": size.text_bytes, "message_count": size.message_count}
    values = zip(RESTS, REST(size), PLAIN_REST, strict=True)
    written.update((name, value) for name, value, plain in values if value != plain)
    if size.pictures:
        written["pictures"] = [[each.width, each.height, each.detail] for each in size.pictures]
    return written


def _history(request: Request) -> Record:
    history = stand_in(request.history)
    shapes = sorted(
        [each.trait.name, each.origin.developer, each.origin.operator, each.origin.via, each.reference]
        for each in history.shapes
    )
    return {
        "shapes": shapes,
        "tool_ids": sorted(history.tool_ids),
        "call_count": history.call_count,
        "calls_without_reasoning": history.calls_without_reasoning,
        "calls_without_signature": history.calls_without_signature,
        "thinking_off": thinking_is_off(request),
    }


# --- reading ----------------------------------------------------------------------------------------------------------


def recorded_from(  # noqa: PLR0917 - the columns of a call
    text: str, call_id: str, request_id: str | None, route: str, session: str | None, tags: Mapping[str, str]
) -> Recorded:
    """A record as the book has it, with what stands beside it.

    Raises:
        ValueError: it is none, or was written by a version that did not keep what a decision rests on.
    """
    try:
        record = json.loads(text)
        return _recorded(record, call_id, request_id, route, session, tags)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("its record does not hold what the decision rests on") from error


def _recorded(  # noqa: PLR0917 - as above
    record: Record, call_id: str, request_id: str | None, route: str, session: str | None, tags: Mapping[str, str]
) -> Recorded:
    get = record.get
    history = get("history")
    found, raised = get("found", {}), get("raised", {})
    reasoning, bound = get("reasoning"), get("bound")
    return Recorded(
        grounds=str(record["grounds"]),
        request=Request(
            route=route,
            messages=(),
            parameters=OFF if history is not None and history["thinking_off"] else {},
            size=_size_from(record["size"]),
            needs=Needs(get("context_tokens"), frozenset(get("capabilities", ())), frozenset(get("parameters", ()))),
            max_output_tokens=get("max_output_tokens"),
            reasoning=None if reasoning is None else Reasoning(reasoning),
            tags=tags,
            policies=tuple(get("policies", ())),
            ceiling_nano_usd=get("ceiling_nano_usd"),
            timeout_s=get("timeout_s"),
            session=session,
            request_id=request_id,
            inspected=Inspected(found, raised) if found or raised else UNINSPECTED,
            history=PLAIN if history is None else _history_from(history),
        ),
        moment=Moment(
            now_s=record["at"],
            seed=call_id,
            unavailable=get("unavailable", {}),
            revoked=get("revoked", {}),
            unhealthy=get("unhealthy", {}),
            in_flight=get("in_flight", {}),
            latency_s=get("latency_s", {}),
            first_token_s=get("first_token_s", {}),
            is_stream=get("stream", False),
            observed_output_tokens=get("output_tokens", {}),
        ),
        outcome=str(record["outcome"]),
        bound=None if bound is None else tuple(bound),
        asleep=frozenset(get("asleep", ())),
        defaults=frozenset(get("defaults", ())),
        capped=tuple(map(share_from, get("shares", ()))),
    )


def _size_from(written: Record) -> Size:
    pictures = tuple(Picture(*each) for each in written.get("pictures", ()))
    return replace(Size(**{**written, "pictures": ()}), pictures=pictures)


def _history_from(written: Record) -> History:
    return History(
        shapes=frozenset(
            Shape(Trait[trait], Origin(developer, operator, via), reference)
            for trait, developer, operator, via, reference in written["shapes"]
        ),
        tool_ids=frozenset(written["tool_ids"]),
        call_count=written["call_count"],
        calls_without_reasoning=written["calls_without_reasoning"],
        calls_without_signature=written["calls_without_signature"],
    )


# --- deriving ---------------------------------------------------------------------------------------------------------


def layers_bound(recorded: Recorded, grounds: Grounds) -> tuple[Layer, ...]:
    """The layers that bound a request.

    Raises:
        ValueError: the grounds hold no such route, policy or layer.
    """
    request = recorded.request
    try:
        possible = layers_named(grounds.routes[request.route], request.policies, grounds.policies)
        places = range(len(possible)) if recorded.bound is None else recorded.bound
        return tuple(
            replace(possible[place], waivers_active=False) if place in recorded.asleep else possible[place]
            for place in places
        )
    except (KeyError, IndexError) as error:
        raise ValueError("its grounds are not those of its record") from error


def derived(
    recorded: Recorded,
    grounds: Grounds,
    *,
    layers: tuple[Layer, ...] | None = None,
    compiled: Compiled | None = None,
) -> Decision:
    """The decision, derived again from what the book holds.

    Args:
        layers: from `layers_bound`; None asks for them.
        compiled: of these layers, for the record's route, needs and day; None judges anew.

    Raises:
        ValueError: record and grounds do not belong together.
    """
    bound = layers_bound(recorded, grounds) if layers is None else layers
    try:
        route = grounds.routes[recorded.request.route]
        found = decide(recorded.request, route, bound, grounds.world, recorded.moment, compiled=compiled)
    except (KeyError, TypeError) as error:
        raise ValueError("its grounds are not those of its record") from error
    return as_reserved(found, recorded)


def as_reserved(decision: Decision, recorded: Recorded) -> Decision:
    """A derived decision with what share caps said when money was to be reserved."""
    if not recorded.capped:
        return decision
    refused = [each for each in recorded.capped if each[1].demand.cap.mode is ShareMode.HARD]
    not_granted = {name: share_refusal_text(refusal) for name, refusal in refused}
    return replace(decision, not_granted=tuple(not_granted.items()), capped=recorded.capped)
