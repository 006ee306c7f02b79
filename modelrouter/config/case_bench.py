"""From a case as it is written to one that can be judged: its deployment, caller and day, and the rules it names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.catalog.reading import Place
from modelrouter.config.build import check_model
from modelrouter.config.deployments import deployment_from
from modelrouter.config.faults import Fault
from modelrouter.config.nearest import nearest
from modelrouter.config.offers import offer_for
from modelrouter.config.world import caller_from, with_caller
from modelrouter.core.cases import Case
from modelrouter.core.facts import World
from modelrouter.core.policy import Layer, Level
from modelrouter.core.request import Needs
from modelrouter.core.rules import family_of
from modelrouter.errors import ConfigError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.config.caller_schema import CallerConfig
    from modelrouter.config.case_schema import CaseConfig
    from modelrouter.config.deployment_schema import DeploymentConfig
    from modelrouter.config.world import Tables
    from modelrouter.core.facts import Deployment
    from modelrouter.core.policy import Policy
    from modelrouter.yaml12 import Document
    from modelrouter.yaml12 import Path as KeyPath

__all__ = ["Bench"]

NEEDS: Final = "needs."


@dataclass(frozen=True, slots=True)
class Bench:
    """What all cases of a file have in common.

    Attributes:
        policies: those that the policy extends first, itself last.
        caller: as written; a case replaces single keys of it.
        deployments: those that a case may name.
        tags: by name, the values it takes; None takes any.
        today: the day of a case that names none.
    """

    document: Document
    policies: tuple[Policy, ...]
    tables: Tables
    caller: CallerConfig
    deployments: Mapping[str, Deployment]
    tags: Mapping[str, frozenset[str] | None]
    today: date

    def case(self, index: int, written: CaseConfig) -> Case:
        """One case, ready to be judged. A policy that only observes is judged as if it were enforced.

        Raises:
            ConfigError: it names what does not exist; says file, line and key.
        """
        at: KeyPath = ("cases", index)
        self._check_rules(written, at)
        self._check_tags(written, at)
        tables = self._tables(written, at)
        if isinstance(written.deployment, str):
            deployment = self._named(written.deployment, at)
        else:
            deployment = self._made(written.deployment, tables, at)
        return Case(
            deployment=deployment,
            layers=tuple(Layer(replace(policy, observe=False), Level.REQUEST) for policy in self.policies),
            world=World(
                organisations=tables.organisations,
                licences=tables.licences,
                models=tables.models,
                deployments={},
                groups=tables.groups,
                caller=tables.caller,
            ),
            today=written.on or self.today,
            refused_by=written.refused,
            reason=written.reason,
            tags=written.tags,
            needs=Needs() if written.needs is None else written.needs.needs(),
        )

    def _fault(self, reason: str, at: KeyPath, kind: type[ConfigError] = PolicyError) -> ConfigError:
        return Fault.at(self.document, at, reason, kind).error()

    def _check_rules(self, written: CaseConfig, at: KeyPath) -> None:
        keys = {spec.key for policy in self.policies for spec in policy.rules}
        full = {f"{policy.name}/{spec.key}" for policy in self.policies for spec in policy.rules}
        needs = written.needs.needs() if written.needs else Needs()
        asked = {f"{NEEDS}{name}" for name in needs.capabilities}
        asked |= {f"{NEEDS}context_tokens"} if needs.context_tokens is not None else set()
        for rule in written.refused or ():
            family = family_of(rule.rpartition("/")[2])
            if rule not in keys | full | asked:
                reason = f"policy `{self.policies[-1].name}` has no rule `{rule}`{nearest(rule, keys | asked)}"
                raise self._fault(reason, (*at, "refused"))
            if family is not None and family.per_request:
                reason = f"`{rule}` depends on the size of a request, which no case has: try it with `explain`"
                raise self._fault(reason, (*at, "refused"))

    def _check_tags(self, written: CaseConfig, at: KeyPath) -> None:
        for tag, value in written.tags.items():
            if tag not in self.tags:
                raise self._fault(f"tag `{tag}` is not declared{nearest(tag, self.tags)}", (*at, "tags", tag))
            declared = self.tags[tag]
            if declared is not None and value not in declared:
                raise self._fault(f"`{value}` is no value of tag `{tag}`{nearest(value, declared)}", (*at, "tags", tag))

    def _tables(self, written: CaseConfig, at: KeyPath) -> Tables:
        """The facts, asked for by the caller of this case."""
        own = written.caller
        if own is None:
            return self.tables
        for paper in own.agreements:
            if paper.with_ not in self.tables.organisations:
                reason = f"unknown organisation `{paper.with_}`{nearest(paper.with_, self.tables.organisations)}"
                raise self._fault(reason, (*at, "caller", "agreements"))
        changed = {key: getattr(own, key) for key in own.model_fields_set}
        return with_caller(self.tables, caller_from(self.caller.model_copy(update=changed)))

    def _named(self, name: str, at: KeyPath) -> Deployment:
        found = self.deployments.get(name)
        if found is not None:
            return found
        if self.deployments:
            reason = f"unknown deployment `{name}`{nearest(name, self.deployments)}"
        else:
            reason = f"no configuration declares `{name}` here: write `{{model: …, operator: …}}` in its place"
        raise self._fault(reason, (*at, "deployment"))

    def _made(self, written: DeploymentConfig, tables: Tables, at: KeyPath) -> Deployment:
        """A deployment's facts as a configuration would have them. Nothing is called, so it needs no address."""
        place = Place(self.document.file, (*at, "deployment"), self.document.line)
        try:
            check_model(written, tables)
            return deployment_from(_called(written), written, place, offer_for(written, tables), tables)
        except ConfigError as error:
            if error.file is not None:
                raise
            raise self._fault(
                error.reason, (*at, "deployment", *([error.key] if error.key else [])), type(error)
            ) from None


def _called(written: DeploymentConfig) -> str:
    """A name for a deployment that has none."""
    endpoint = f"/{written.endpoint}" if written.endpoint else ""
    via = f" via {written.via}" if written.via else ""
    return f"{written.model}@{written.operator}{endpoint}{via}"
