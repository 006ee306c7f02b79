"""Which layers can bind a request, over all tags that it might carry.

Policies look at tags only through `applies_to`, so there are few situations that they can tell apart: each tag is
absent, has one of the values that some policy names, or has another one. Situations in which the same layers bind, with
the same waivers awake, are one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.core.policy import Layer

__all__ = ["OTHER", "Situation", "situations"]

OTHER: Final = "(any other)"
"""Stands for every value of a tag that no policy names."""
OFF, ASLEEP, AWAKE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Situation:
    """Layers that bind together.

    Attributes:
        tags: an example of tags under which they do; a tag that is not in it is absent.
    """

    tags: Mapping[str, str]
    layers: tuple[Layer, ...]


def situations(layers: tuple[Layer, ...], tags: Mapping[str, frozenset[str] | None]) -> tuple[Situation, ...]:
    """Every situation that policies can tell apart; that of a request without tags comes first.

    Args:
        layers: of a route.
        tags: the declared ones with their values; None takes any text.
    """
    states: dict[tuple[int, ...], dict[str, str]] = {(AWAKE,) * len(layers): {}}
    for tag in sorted({tag for layer in layers for tag in layer.policy.applies_to}):
        found: dict[tuple[int, ...], dict[str, str]] = {}
        for state, example in states.items():
            for value in _values(tag, layers, tags.get(tag)):
                given = {**example, **({} if value is None else {tag: value})}
                found.setdefault(_after(state, layers, tag, value), given)
        states = found
    return tuple(Situation(example, _bound(state, layers)) for state, example in states.items())


def _values(tag: str, layers: tuple[Layer, ...], declared: frozenset[str] | None) -> Iterable[str | None]:
    """What a tag can be, as far as policies tell it apart; absent first."""
    named = {value for layer in layers for value in layer.policy.applies_to.get(tag, ())}
    possible = named if declared is None else named & declared
    has_others = declared is None or not declared <= named
    return (None, *sorted(possible), *((OTHER,) if has_others else ()))


def _after(state: tuple[int, ...], layers: tuple[Layer, ...], tag: str, value: str | None) -> tuple[int, ...]:
    return tuple(_status(before, layer, tag, value) for before, layer in zip(state, layers, strict=True))


def _status(before: int, layer: Layer, tag: str, value: str | None) -> int:
    wanted = layer.policy.applies_to.get(tag)
    if wanted is None or value in wanted:
        return before
    if value is not None:
        return OFF
    return min(before, ASLEEP if layer.policy.waivers else AWAKE)  # without waivers there is nothing to put to sleep


def _bound(state: tuple[int, ...], layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return tuple(
        layer if status == AWAKE else replace(layer, waivers_active=False)
        for layer, status in zip(layers, state, strict=True)
        if status != OFF
    )
