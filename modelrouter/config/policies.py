"""Policies by name: who defines which, what they extend, which waivers hold, and what layers come of it.

A name means one policy everywhere. A file sees the policies of the files above it, its own (written inside it, or in
the folder `policies` beside it) and the shipped ones; its own may take the name of a shipped one that no house uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.config.canonical import canonical, static
from modelrouter.config.faults import Fault
from modelrouter.config.files import policy_files, read_policy, shipped_policies
from modelrouter.config.nearest import nearest
from modelrouter.config.policy_schema import NONE, PolicyConfig
from modelrouter.config.rule_words import rule_faults, rule_from
from modelrouter.config.waivers import waivers_of
from modelrouter.core.policy import Layer, Level, Policy
from modelrouter.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.config.policy_schema import Policies
    from modelrouter.config.world import Tables
    from modelrouter.core.policy import Waiver
    from modelrouter.yaml12 import Document
    from modelrouter.yaml12 import Path as KeyPath

__all__ = ["SHIPPED", "PolicyBook", "Written", "policies_beside", "policies_of"]

SHIPPED: Final = 1_000_000
"""Owner of shipped policies: below every file."""


@dataclass(frozen=True, slots=True)
class Written:
    """A policy as it was written, and where.

    Attributes:
        prefix: the path of the policy in its document.
        owner: index of the file that it belongs to, in the order of the files; `SHIPPED` for none.
        inside: it is written inside the owner, not in a file of its own.
    """

    config: PolicyConfig
    document: Document | None
    prefix: KeyPath
    owner: int
    inside: bool = False

    def fault(self, reason: str, *path: str | int) -> Fault:
        """What is wrong at a key of it."""
        return Fault.at(self.document, (*self.prefix, *path), reason, PolicyError)

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        if self.document is None:
            return "the configuration"
        return f"{self.document.file}:{self.document.line((*self.prefix, 'policy'))}"


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """Every policy that can be named.

    Attributes:
        expanded: by name: those it extends first, itself last.
        files: every policy file that was read.
        written: by name: as it was written, and where.
        waivers: by id: where each waiver stands.
    """

    expanded: Mapping[str, tuple[Policy, ...]]
    files: tuple[str, ...]
    written: Mapping[str, Written]
    waivers: Mapping[str, Fault]

    def layers(self, names: Sequence[str], level: Level) -> Iterator[Layer]:
        """The layers that some names bring along."""
        for name in names:
            for policy in self.expanded.get(name, ()):
                yield Layer(policy, level)


def names_in(policies: Policies) -> tuple[str, ...]:
    """The names in a list of policies; none for the word `none`."""
    if isinstance(policies, str):
        return ()
    return tuple(item if isinstance(item, str) else item.policy for item in policies)


def policies_of(
    files: Sequence[ConfigFile],
    tables: Tables,
    deployments: Sequence[str],
    faults: Faults,
    other: tuple[PolicyConfig, Document] | None = None,
) -> PolicyBook:
    """Read, check and expand every policy.

    Args:
        other: stands in for the policy of its name, wherever that is written.
    """
    shelf = _Shelf(files, faults)
    shelf.collect()
    if other is not None:
        shelf.replace(*other)
    tags = {name: tag.values for file in files for name, tag in file.config.tags.items()}
    for written in shelf.found.values():
        _check_tags(written, tags, faults)
    return _bound(shelf, tables, deployments, faults)


def policies_beside(
    paths: Sequence[Path], tables: Tables, faults: Faults, given: Sequence[tuple[PolicyConfig, Document]] = ()
) -> PolicyBook:
    """Policy files without a configuration, and the shipped ones below them; any tag and deployment may be named.

    Args:
        given: policies that were read already, whatever their files are called.
    """
    shelf = _Shelf((), faults)
    shelf.collect(paths, given)
    subjects = [waiver.subject for each in shelf.found.values() for waiver in each.config.waivers]
    return _bound(shelf, tables, subjects, faults)


def _bound(shelf: _Shelf, tables: Tables, deployments: Sequence[str], faults: Faults) -> PolicyBook:
    """Everything on the shelf, checked and expanded."""
    shelf.check_names()
    waivers = waivers_of(shelf.found, shelf.files, deployments, faults)
    built = {name: _policy(each, waivers.by_policy.get(name, ()), tables, faults) for name, each in shelf.found.items()}
    expanded = {name: tuple(built[each] for each in shelf.expand(name)) for name in shelf.found}
    return PolicyBook(expanded, tuple(shelf.paths), shelf.found, waivers.places)


class _Shelf:
    """Collects the policies of all files under their names."""

    def __init__(self, files: Sequence[ConfigFile], faults: Faults) -> None:
        self.files = files
        self.faults = faults
        self.found: dict[str, Written] = {}
        self.paths: list[str] = []
        self.used_by_house: dict[str, str] = {}

    def collect(self, paths: Sequence[Path] = (), given: Sequence[tuple[PolicyConfig, Document]] = ()) -> None:
        """Read everything: `given`, `paths`, then the files, the highest house first, then the shipped."""
        folders: set[Path] = set()
        for policy, document in given:
            self._take(Written(policy, document, (), 0))
        self._take_files(paths, 0)
        for index, file in enumerate(self.files):
            for policy, path in _inside(file):
                self._take(Written(policy, file.document, path, index, inside=True))
            folder = file.folder.resolve()
            if folder not in folders:
                folders.add(folder)
                self._take_files(policy_files(file.folder), index)
            if file.level is Level.HOUSE:
                self._note_use(file, index)
        own = set(self.found)
        self._take_files([path for path in shipped_policies() if path.stem not in own], SHIPPED)

    def _take_files(self, paths: Sequence[Path], owner: int) -> None:
        for path in paths:
            self.paths.append(str(path))
            with self.faults.caught():
                policy, document = read_policy(path)
                self._take(Written(policy, document, (), owner))

    def _take(self, written: Written) -> None:
        name = written.config.policy
        first = self.found.get(name)
        if first is not None:
            reason = f"`{name}` is defined in {first.place} and cannot be redefined: choose another name"
            self.faults.add(written.fault(reason, "policy"))
        elif name in self.used_by_house and written.owner != SHIPPED:
            reason = f"{self.used_by_house[name]} uses the shipped policy `{name}`: choose another name"
            self.faults.add(written.fault(reason, "policy"))
        else:
            self.found[name] = written

    def replace(self, config: PolicyConfig, document: Document) -> None:
        """Let another policy stand in for the one of its name."""
        name = config.policy
        written = self.found.get(name)
        if written is None:
            reason = f"there is no policy `{name}` that it could stand in for{nearest(name, self.found)}"
            self.faults.add(Fault.at(document, ("policy",), reason, PolicyError))
        else:
            self.found[name] = Written(config, document, (), written.owner)

    def _note_use(self, file: ConfigFile, index: int) -> None:
        """The shipped policies that a house uses, itself or by what it extends, keep their meaning below it."""
        shipped = {path.stem for path in shipped_policies()} - set(self.found)
        own = [written for written in self.found.values() if written.owner == index]
        used = [*(name for name, _ in _named(file)), *(name for each in own for name in each.config.extends)]
        for name in used:
            if name in shipped:
                self.used_by_house.setdefault(name, file.name)

    def check_names(self) -> None:
        """Every name that is used must be one that its file can see, and nothing extends itself."""
        for index, file in enumerate(self.files):
            for name, path in _named(file):
                self._check(name, index, Fault.at(file.document, path, self._unknown(name, index), PolicyError))
        for name, written in self.found.items():
            for position, extended in enumerate(written.config.extends):
                reason = self._unknown(extended, written.owner)
                self._check(extended, written.owner, written.fault(reason, "extends", position))
            circle = self._circle(name, (name,))
            if circle is not None:
                shown = " -> ".join(circle)
                self.faults.add(
                    written.fault(f"policies extend each other in a circle: {shown}: remove one", "extends")
                )

    def _check(self, name: str, reader: int, fault: Fault) -> None:
        if name not in self._seen_from(reader):
            self.faults.add(fault)

    def _seen_from(self, reader: int) -> set[str]:
        return {name for name, each in self.found.items() if each.owner <= reader or each.owner == SHIPPED}

    def _unknown(self, name: str, reader: int) -> str:
        return f"unknown policy `{name}`{nearest(name, self._seen_from(reader))}"

    def _circle(self, name: str, trail: tuple[str, ...]) -> tuple[str, ...] | None:
        written = self.found.get(name)
        for extended in written.config.extends if written else ():
            if extended == trail[0]:
                return (*trail, extended)
            if extended not in trail:
                circle = self._circle(extended, (*trail, extended))
                if circle is not None:
                    return circle
        return None

    def expand(self, name: str) -> list[str]:
        """What a policy extends, then itself; each once."""
        ordered: list[str] = []

        def visit(each: str, trail: frozenset[str]) -> None:
            if each in trail or each not in self.found:
                return
            for extended in self.found[each].config.extends:
                visit(extended, trail | {each})
            if each not in ordered:
                ordered.append(each)

        visit(name, frozenset())
        return ordered


def _inside(file: ConfigFile) -> Iterator[tuple[PolicyConfig, KeyPath]]:
    """Policies that are written inside a configuration."""
    for policies, path in _lists(file):
        for index, item in enumerate(policies if not isinstance(policies, str) else ()):
            if isinstance(item, PolicyConfig):
                yield item, (*path, index)


def _named(file: ConfigFile) -> Iterator[tuple[str, KeyPath]]:
    """Policies that a configuration names."""
    for policies, path in _lists(file):
        for index, item in enumerate(policies if not isinstance(policies, str) else ()):
            if isinstance(item, str):
                yield item, (*path, index)


def _lists(file: ConfigFile) -> Iterator[tuple[Policies, KeyPath]]:
    yield file.config.policies, ("policies",)
    for name, route in file.config.routes.items():
        yield route.policies, ("routes", name, "policies")


def _check_tags(written: Written, tags: Mapping[str, tuple[str, ...] | None], faults: Faults) -> None:
    for tag, values in written.config.applies_to.items():
        if tag not in tags:
            faults.add(
                written.fault(f"tag `{tag}` is not declared under `tags`{nearest(tag, tags)}", "applies_to", tag)
            )
            continue
        declared = tags[tag]
        for value in values:
            if declared is not None and value not in declared:
                reason = f"`{value}` is no value of tag `{tag}`{nearest(value, declared)}"
                faults.add(written.fault(reason, "applies_to", tag))


def _policy(written: Written, waivers: Sequence[Waiver], tables: Tables, faults: Faults) -> Policy:
    config = written.config
    rules = tuple(rule_from(key, rule) for key, rule in config.rules.items())
    for spec in rules:
        for path, reason in rule_faults(spec, tables):
            faults.add(written.fault(reason, "rules", spec.key, *path))
    policy = Policy(
        name=config.policy,
        rules=rules,
        description=config.description,
        applies_to={tag: frozenset(values) for tag, values in config.applies_to.items()},
        waivers=tuple(waivers),
        observe=config.observe,
    )
    return replace(policy, digest=static(canonical(policy)).sha256)


def says_none(policies: Policies) -> bool:
    """Whether the word `none` stands there."""
    return policies == NONE
