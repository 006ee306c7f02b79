"""What all families share: reading facts so that nothing missing permits.

One principle gives every family the same precedence. A rule reads its facts through a `Hearing`. A fact that cannot
permit (unknown, undisclosed, known with low confidence) leaves a **doubt**; a value that breaks the rule leaves a
**refusal**, whatever its confidence. Any refusal makes the answer `REFUSED`, else any doubt makes it `UNKNOWN`, else
it is `PERMITTED`. So a denied member beats a missing one, a known member outside an allow-list beats a missing one,
and a poor source can only ever refuse. Of several refusals, or doubts, the first is told.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from modelrouter.core.facts import UNKNOWN_SOURCE, Confidence, State
from modelrouter.core.policy import Judgement, Obligation, Outcome, UsedFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.bounds import Bound, Shortfall
    from modelrouter.core.facts import Fact, Model, Source, World
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.grammar import Grammar
    from modelrouter.core.subject import Subject

__all__ = ["LOW", "Gate", "Hearing", "RuleFamily"]

T = TypeVar("T")

LOW: Final = "low confidence"


@dataclass(frozen=True, slots=True)
class _Point:
    reason: str
    path: str
    remedy: str


class Hearing:
    """One rule asked about one deployment: what it read, and what speaks against permitting."""

    __slots__ = ("_doubts", "_duties", "_refusal", "_used", "subject")

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._used: dict[UsedFact, None] = {}
        self._duties: dict[Obligation, None] = {}
        self._refusal: _Point | None = None
        self._doubts: dict[str, _Point] = {}

    @property
    def world(self) -> World:
        """All static facts."""
        return self.subject.world

    @property
    def name(self) -> str:
        """Id of the deployment."""
        return self.subject.deployment.id

    @property
    def model(self) -> Model | None:
        """The model behind the deployment, if the world has it."""
        return self.world.models.get(self.subject.deployment.model)

    def read(self, path: str, fact: Fact[T], *, empty: T | None = None, remedy: str = "", shown: str = "") -> T | None:
        """The value of a fact; what cannot permit becomes a doubt.

        Args:
            path: as `gpt.retention_days`.
            empty: what a sourced `none` stands for; without it, `none` answers nothing here and is a doubt.
            remedy: what would turn a doubt; the default asks for the fact.
            shown: the value in words, where it needs its own.

        Returns:
            None where there is no value. A value of low confidence is returned, for it may still refuse.
        """
        self.note(path, shown if shown and fact.state is State.KNOWN else _shown(fact), fact.source)
        state = fact.state
        value = fact.value if state is State.KNOWN else empty if state is State.NONE else None
        if value is None:
            reason = State.UNKNOWN.value if state is State.KNOWN else state.value
            asked = "disclosed" if state is State.UNDISCLOSED else "known"
            self.doubt(reason, path, remedy or f"`{path}` {asked}")
        else:
            self.weigh(path, fact.source)
        return value

    def weigh(self, path: str, source: Source) -> None:
        """A source of low confidence never permits."""
        if source.confidence is Confidence.LOW:
            self.doubt(LOW, path, f"a better source for `{path}`")

    def note(self, path: str, shown: str, source: Source) -> None:
        """Write down a fact as read."""
        self._used[UsedFact(path, shown, source)] = None

    def refuse(self, reason: str, path: str, remedy: str) -> None:
        """Something known breaks the rule."""
        self._refusal = self._refusal or _Point(reason, path, remedy)

    def doubt(self, reason: str, path: str, remedy: str) -> None:
        """Something that the rule asks for is missing."""
        self._doubts.setdefault(path, _Point(reason, path, remedy))

    def miss(self, path: str, fact: str, remedy: str) -> None:
        """What a fact points to is in no table: a doubt at `path`, and a fact that was asked for and is not known."""
        self.note(fact, State.UNKNOWN.value, UNKNOWN_SOURCE)
        self.doubt(State.UNKNOWN.value, path, remedy)

    def oblige(self, whose: str, text: str) -> None:
        """A permitted use brings a duty along. It is told of refused ones too: a waiver lifts a rule, not a licence."""
        self._duties[Obligation(whose, text)] = None

    def judgement(self) -> Judgement:
        """The answer."""
        used, duties = tuple(self._used), tuple(self._duties)
        if self._refusal is not None:
            point = self._refusal
            return Judgement(Outcome.REFUSED, point.reason, point.path, used, duties, point.remedy)
        if not self._doubts:
            return Judgement(Outcome.PERMITTED, used=used, obligations=duties)
        point = next(iter(self._doubts.values()))
        missing = tuple(self._doubts)
        return Judgement(Outcome.UNKNOWN, point.reason, point.path, used, duties, point.remedy, missing)


@dataclass(frozen=True, slots=True)
class Gate:
    """`allow` and `deny` as sets: the same test for countries, ids, licences and words.

    Attributes:
        allow: None lets everybody through whom `deny` does not hold.
    """

    allow: frozenset[str] | None
    deny: frozenset[str] = frozenset()

    @staticmethod
    def of(spec: RuleSpec, *, lower: bool = False) -> Gate:
        """The sets as written, or in lower case for what is compared without it."""
        gate = Gate(spec.allow, spec.deny or frozenset())
        return gate.lowered() if lower else gate

    def lowered(self) -> Gate:
        """The same, in lower case."""
        allow = None if self.allow is None else frozenset(word.lower() for word in self.allow)
        return Gate(allow, frozenset(word.lower() for word in self.deny))

    def keeps_out(self, *names: str) -> bool:
        """Whether a member that goes by any of these names is denied, or is by none of them allowed."""
        if not self.deny.isdisjoint(names):
            return True
        return self.allow is not None and self.allow.isdisjoint(names)


class RuleFamily:
    """The base of all families; see `core.subject.Family` for what each of them promises.

    A family lists its grammar by key, and answers in `hear`. It is total: it raises on no world and on no rule, and a
    rule that was written without a meaning is answered `UNKNOWN`, with the sentence that `check` gives.
    """

    grammars: ClassVar[Mapping[str, Grammar]] = {}
    per_request: ClassVar[bool] = False
    """Judged by `judge_request`, for each request anew; the static answer is then `PERMITTED` without facts."""
    over_facts: ClassVar[bool] = False
    """Judged by `judge_facts`, over the facts that other rules used; the static answer is then `PERMITTED` likewise."""

    def owns(self, key: str) -> bool:
        """Whether this family answers for a rule key."""
        return key in self.grammars

    def keys(self) -> tuple[str, ...]:
        """The keys, sorted."""
        return tuple(sorted(self.grammars))

    def check(self, spec: RuleSpec) -> str | None:
        """What is wrong with a rule as written, in one sentence, or None."""
        return self.fault(spec) or self.oddity(spec)

    def fault(self, spec: RuleSpec) -> str | None:
        """What in a rule has no meaning."""
        grammar = self.grammars.get(spec.key)
        return f"no rule is called `{spec.key}`" if grammar is None else grammar.fault(spec)

    def oddity(self, spec: RuleSpec) -> str | None:
        """What has a meaning that nobody can want."""
        both = sorted((spec.allow or frozenset()) & (spec.deny or frozenset()))
        return f"`{both[0]}` is both allowed and denied: keep one" if both else None

    def judge(self, spec: RuleSpec, subject: Subject) -> Judgement:
        """The answer for one deployment."""
        if self.per_request or self.over_facts:
            return Judgement(Outcome.PERMITTED)
        hearing = Hearing(subject)
        self._hear_or_doubt(spec, hearing)
        return hearing.judgement()

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Read the facts and speak against permitting where the rule does."""
        hearing.doubt(f"`{spec.key}` is not judged here", spec.key, f"without `{spec.key}`")

    def judge_request(self, spec: RuleSpec, subject: Subject, bound: Bound | Shortfall) -> Judgement:
        """The answer for one request at one deployment; only for families that are `per_request`.

        Args:
            bound: what the request can cost there under the rule's own ceiling, or why no bound could be given.
        """
        del spec, subject, bound
        return Judgement(Outcome.PERMITTED)

    def judge_facts(self, spec: RuleSpec, used: tuple[UsedFact, ...], subject: Subject) -> Judgement:
        """The answer over facts that other rules used; only for families that are `over_facts`."""
        del spec, used, subject
        return Judgement(Outcome.PERMITTED)

    def _hear_or_doubt(self, spec: RuleSpec, hearing: Hearing) -> None:
        fault = self.fault(spec)
        if fault is None:
            self.hear(spec, hearing)
        else:
            hearing.doubt(fault, spec.key, f"`{spec.key}` as a rule that has a meaning")


def _shown(fact: Fact[T]) -> str:
    value: object = fact.value
    if fact.state is not State.KNOWN:
        return str(fact.state.value)
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (frozenset, set)):
        return ", ".join(sorted(value))
    return "none" if value == () else str(value)
