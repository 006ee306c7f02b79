"""`vendors.survive_loss_of`: what is asserted of a whole route, not asked of a deployment.

A rule says yes or no to one deployment, and is asked for every request. An assertion says something about all that is
left of a route, so it has no answer for one of them: it is judged by `core.assurance` when a configuration is loaded,
reloaded or checked, and never for a request. What is lost afterwards must not take the survivor down with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.rules.grammar import Grammar, Limit, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import RuleSpec

__all__ = ["RouteAssertion", "SurvivalAssertion"]


class RouteAssertion:
    """The base of all assertions: their keys and how they may be written. It has no `judge`, on purpose."""

    grammars: ClassVar[Mapping[str, Grammar]] = {}

    def keys(self) -> tuple[str, ...]:
        """The keys, sorted."""
        return tuple(sorted(self.grammars))

    def check(self, spec: RuleSpec) -> str | None:
        """What is wrong with an assertion as written, in one sentence, or None."""
        grammar = self.grammars.get(spec.key)
        return f"no rule is called `{spec.key}`" if grammar is None else grammar.fault(spec)


class SurvivalAssertion(RouteAssertion):
    """After any so many vendors are lost, somebody permitted is left."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "vendors.survive_loss_of": Grammar(("min",), limit=Limit.WHOLE),
    }

    def check(self, spec: RuleSpec) -> str | None:
        """Also a number of losses that asks nothing."""
        found = super().check(spec)
        if found is None and whole(spec.at_least) < 1:
            return f"`min: {spec.at_least}` asks nothing: write how many vendors may be lost at once, as 1"
        return found
