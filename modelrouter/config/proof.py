"""Whether routes meet what policies assert of them, when a configuration is loaded or loaded again.

An assertion that does not hold is an error, told at the route: a configuration is not taken into use on a hope. In a
policy that only observes, it is a note.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.config.faults import Fault, Faults
from modelrouter.core.assurance import Ground, asserted_by, broken_assertions, permitted_on
from modelrouter.core.decision import day_of
from modelrouter.core.verdict import Precedents
from modelrouter.errors import PolicyError
from modelrouter.yaml12 import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.config.setup import Setup
    from modelrouter.core.assurance import Broken

__all__ = ["broken_in", "proved"]


def proved(setup: Setup, now_s: float | None = None) -> Setup:
    """The same configuration, with a note for each assertion that is only observed and does not hold.

    Args:
        now_s: the moment for which it is proved; None is now.

    Raises:
        PolicyError: an assertion does not hold; names the route and the shortest counterexample.
    """
    faults = Faults()
    notes: list[str] = []
    for each in broken_in(setup, time.time() if now_s is None else now_s):
        if each.asserted.observed:
            notes.append(f"observed: {each.reason}")
            continue
        origin = setup.origins[each.route]
        faults.add(Fault(each.reason, origin.file, origin.line, dotted(("routes", each.route)), PolicyError))
    faults.raise_any()
    return replace(setup, notes=(*setup.notes, *notes)) if notes else setup


def broken_in(setup: Setup, now_s: float) -> Iterator[Broken]:
    """Every assertion that does not hold at a moment, route by route. A route of which nothing is asserted is free."""
    asserted = {name: found for name, route in setup.routes.items() if (found := asserted_by(route.layers))}
    if not asserted:
        return
    candidates = (candidate for name in asserted for candidate in setup.routes[name].candidates)
    ground = Ground(setup.world, candidates)
    precedents = Precedents(setup.world, day_of(now_s))
    for name, found in asserted.items():
        permitted = permitted_on(setup.routes[name], setup.world, now_s, precedents)
        yield from broken_assertions(name, found, ground.footing(permitted), ground)
