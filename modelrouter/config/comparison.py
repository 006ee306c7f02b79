"""From what somebody names to the two sides of a comparison: policies over one ground, or whole configurations.

What a file is, its content says: a configuration has `modelrouter:`, a policy `policy:`. It is read once, so that a
pipe does as well as a file, and a policy may be called otherwise than its file: an older version of it often is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.config.alone import SUFFIX, extended_by, policy_path
from modelrouter.config.build import read_text
from modelrouter.config.faults import Faults
from modelrouter.config.files import CASES, checked, read_file
from modelrouter.config.on_offer import agreements_with_all, offers_in
from modelrouter.config.policies import policies_beside
from modelrouter.config.policy_schema import PolicyConfig
from modelrouter.core.assurance import Side
from modelrouter.core.policy import Layer, Level
from modelrouter.core.route import Route, Try
from modelrouter.errors import ConfigError
from modelrouter.yaml12 import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from modelrouter.config.build import Reading
    from modelrouter.config.policies import PolicyBook
    from modelrouter.config.setup import Setup
    from modelrouter.config.world import Tables
    from modelrouter.core.policy import Policy
    from modelrouter.yaml12 import Document

__all__ = ["CATALOG", "Named", "Over", "named", "over_catalog", "over_config", "side_of_config", "sides_of_policies"]

CATALOG: Final = "catalog"
"""The one route over which policies are compared without a configuration."""
KINDS: Final = "it has neither `modelrouter: 1`, as a configuration, nor `policy: NAME`, as a policy"


@dataclass(frozen=True, slots=True)
class Named:
    """A file or a policy that somebody named.

    Attributes:
        text: its content; None for a name.
        is_config: it is a whole configuration.
    """

    shown: str
    text: str | None
    is_config: bool

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return Path(self.shown).expanduser().absolute()

    def reading(self) -> Reading:
        """What a configuration comes to; what it asserts of routes is not judged.

        Raises:
            ConfigError: something in it is wrong.
        """
        return read_text(self.text or "", self.shown, self.path)


@dataclass(frozen=True, slots=True)
class Over:
    """What policies are judged over.

    Attributes:
        book: policies that a configuration knows by name; None without one.
        folders: where files that a policy extends are looked for, after its own folder.
    """

    side: Side
    tables: Tables
    book: PolicyBook | None = None
    folders: tuple[Path, ...] = ()


def named(text: str) -> Named:
    """What a path or a name means.

    Raises:
        ConfigError: there is no such file, it cannot be read, or it is neither a policy nor a configuration.
    """
    if not (text.endswith((SUFFIX, ".yml")) or "/" in text):
        return Named(text, None, is_config=False)
    if text.endswith(CASES):
        raise ConfigError(f"`{text}` holds cases: name the policy itself, `{text.removesuffix(CASES)}{SUFFIX}`")
    content = read_file(Path(text).expanduser().absolute(), text)
    value = parse(content, text).value
    keys = value if isinstance(value, dict) else {}
    if "modelrouter" not in keys and "policy" not in keys:
        raise ConfigError(f"this is nothing that can be compared: {KINDS}", file=text)
    return Named(text, content, is_config="modelrouter" in keys)


def side_of_config(reading: Reading) -> Side:
    """A configuration as one side: its routes under its own policies, over its own world."""
    setup = reading.setup
    return Side(setup.routes, setup.world, _tags(setup))


def over_config(reading: Reading) -> Over:
    """The candidates of a configuration's routes, without its policies and what its routes need."""
    setup = reading.setup
    bare = {name: replace(route, layers=()) for name, route in setup.routes.items()}
    folders = tuple(file.folder / "policies" for file in reversed(reading.files))
    return Over(Side(bare, setup.world, _tags(setup), only_policies=True), reading.tables, reading.book, folders)


def over_catalog(tables: Tables, sides: Sequence[Named], today: date) -> Over:
    """Everything on offer, for a caller who has signed with everybody what either side asks for.

    Else a missing paper would refuse the same offers on both sides, and hide what differs.
    """
    policies = [policy for each in sides for policy in _policies(each, tables, None, ())]
    signed = agreements_with_all(tables, policies)
    world, offers = offers_in(signed, today)
    route = Route(CATALOG, tuple(Try({each.id: 1}) for each in offers))
    return Over(Side({CATALOG: route}, world, {}, only_policies=True), signed)


def sides_of_policies(old: Named, new: Named, over: Over) -> tuple[Side, Side]:
    """Two policies, each with what it extends, alone over the same ground, as a call would add them.

    Raises:
        ConfigError: one of them is wrong; names file, line and key.
    """
    pairs = [_policies(each, over.tables, over.book, over.folders) for each in (old, new)]
    asked = {tag: None for policies in pairs for policy in policies for tag in policy.applies_to}
    tags: dict[str, frozenset[str] | None] = {**asked, **over.side.tags}
    sides = []
    for policies in pairs:
        layers = tuple(Layer(policy, Level.REQUEST) for policy in policies)
        routes = {name: replace(route, layers=layers) for name, route in over.side.routes.items()}
        sides.append(replace(over.side, routes=routes, tags=tags))
    return sides[0], sides[1]


def _tags(setup: Setup) -> Mapping[str, frozenset[str] | None]:
    return {name: tag.values for name, tag in setup.tags.items()}


def _policies(each: Named, tables: Tables, book: PolicyBook | None, folders: Sequence[Path]) -> tuple[Policy, ...]:
    """A policy with those that it extends, itself last."""
    if each.text is None and book is not None and each.shown in book.expanded:
        return book.expanded[each.shown]
    if each.text is None:
        path = policy_path(each.shown)
        text = read_file(path, str(path))
    else:
        path, text = each.path, each.text
    document = parse(text, str(path) if each.text is None else each.shown)
    return _expanded(document, [path.parent, *folders], tables)


def _expanded(document: Document, folders: Sequence[Path], tables: Tables) -> tuple[Policy, ...]:
    policy = checked(PolicyConfig, document)
    faults = Faults()
    found = policies_beside(extended_by(policy, folders), tables, faults, [(policy, document)])
    faults.raise_any()
    return found.expanded[policy.policy]
