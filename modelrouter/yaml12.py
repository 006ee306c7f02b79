"""YAML by the 1.2 rules, read exactly, with the line of everything that was read.

PyYAML parses the characters; what a plain word means is decided here, by the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema), narrowed: only `true` and `false` are booleans, so `NO` is Norway and
`off` is a word; a date is text; a number with a point is an exact `Decimal`. What makes two readers of one file
disagree is refused: a key given twice, merge keys, tags, keys that are no text, several documents in one file.

Values are shared where an alias repeats them: treat them as read-only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.nodes import Node

__all__ = ["Document", "Path", "Value", "dotted", "parse"]

Value: TypeAlias = "bool | int | Decimal | str | list[Value] | dict[str, Value] | None"
Path: TypeAlias = tuple[str | int, ...]

DEPTH_MAX: Final = 64
REPEATED_MAX: Final = 100_000
"""How many values aliases may repeat: a few lines of nested aliases could otherwise stand for billions."""
DIGITS_MAX: Final = 60
EXPONENT_MAX: Final = 60

PLAIN: Final = "plain"
QUOTED: Final = "quoted"
COLLECTION: Final = "collection"

NULLS: Final = frozenset({"", "~", "null"})
INTEGER: Final = re.compile(r"[-+]?[0-9]+")
OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE](?P<exponent>[-+]?[0-9]+))?")
NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
SIMPLE_KEY: Final = re.compile(r"[^\s.\[\]]+")

# What PyYAML's two parsers say, and what a person should do about it; the first that is contained wins.
PROBLEMS: Final = (
    ("expected a single document", "there are two documents in this file: remove the line `---` and what follows it"),
    ("undefined alias", "this alias has no anchor before it: write the value out, or put `&name` before the first use"),
    ("duplicate anchor", "this anchor is given twice: use another name"),
    ("undefined tag handle", "tags are not used here: remove the `!` word, or put the text in quotes"),
    ("tab", "a tab cannot indent: use spaces"),
    ("cannot start any token", "no value begins with this character: put the text in quotes, and indent with spaces"),
    ("unknown escape", "unknown escape after a backslash: use single quotes, or write the backslash twice"),
    ("quoted scalar", "a quote is not closed: close it on the same line"),
    ("',' or '}'", "a brace is not closed, or a comma is missing between two entries"),
    ("',' or ']'", "a bracket is not closed, or a comma is missing between two items"),
    ("node content", "a value is missing here, or a bracket or brace above is not closed"),
    ("mapping values", "a second `: ` on one line, or wrong indentation: put the text in quotes, or indent the line"),
    ("sequence entries", "a list item cannot stand here: put `- ` on a line of its own, indented below its key"),
    ("expected ':'", "a key without a colon and a blank after it: write `key: value`, or indent it below its key"),
    ("did not find expected key", "wrong indentation: the keys of one mapping begin in the same column"),
    ("expected <block end>", "wrong indentation: the keys of one mapping begin in the same column"),
    ("expected '-' indicator", "wrong indentation: the items of one list begin in the same column"),
    ("control characters", "a control character cannot stand in the file: remove it"),
    ("special characters", "a control character cannot stand in the file: remove it"),
    ("unacceptable character", "a control character cannot stand in the file: remove it"),
    ("exceeded max depth", f"nested more than {DEPTH_MAX} levels deep: write it flatter"),
)  # fmt: skip
NOT_YAML: Final = "this is not YAML: check indentation, quotes and brackets"
UNCLOSED: Final = ("quoted scalar", "',' or '}'", "',' or ']'", "expected ':'")
"""Problems that are noticed below their cause: the place where it began is what a person needs."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and on which lines.

    Attributes:
        value: the content; read-only.
        file: its name, for messages.
    """

    value: Value
    file: str
    _root: Node | None = field(default=None, repr=False, compare=False)

    def line(self, path: Path) -> int | None:
        """The line, from 1, of a key or list item; of the nearest enclosing one where the path leads nowhere.

        Returns:
            None only for a document that was not parsed from text.
        """
        node = self._root
        if node is None:
            return None
        line: int = node.start_mark.line + 1
        for step in path:
            place = _step(node, step)
            if place is None:
                break
            mark_node, node = place
            line = mark_node.start_mark.line + 1
        return line

    def fault(self, reason: str, path: Path = ()) -> ConfigError:
        """The error that says `reason` at a key of this file."""
        return ConfigError(reason, file=self.file, line=self.line(path), key=dotted(path) or None)


def dotted(path: Path) -> str:
    """A path for people, as `routes.support.try[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif SIMPLE_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def parse(text: str, file: str) -> Document:
    """Read one YAML document.

    Args:
        text: the content.
        file: its name, for messages.

    Raises:
        ConfigError: it is empty, is not YAML, or uses what is refused here; names file, line and what to change.
    """
    root = _compose(text.removeprefix("\ufeff"), file)
    if root is None or (isinstance(root, ScalarNode) and root.tag == PLAIN and root.value == ""):
        raise ConfigError("the file is empty: write something in it", file=file, line=1)
    reader = _Reader(file)
    value, _ = reader.read(root, (), 0)
    return Document(value, file, root)


class _Words:
    """Tells PyYAML's composer nothing but plain from quoted: what a word means is decided in `_Reader`."""

    def resolve(self, kind: type[Node], value: str | None, implicit: object) -> str:
        """The tag of a node that has none in the text."""
        del value  # what a word means is not decided here
        if kind is not ScalarNode:
            return COLLECTION
        return PLAIN if isinstance(implicit, tuple) and implicit[0] else QUOTED

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        """Paths change no meaning here."""

    def ascend_resolver(self) -> None:
        """Paths change no meaning here."""


def _portable(text: str) -> Node | None:
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class Loader(_Words, Reader, Scanner, Parser, Composer):
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)

    return Loader(text).get_single_node()


def _choose() -> Callable[[str], Node | None]:
    """The parser written in C where PyYAML was built with it, ten times as fast, else the portable one."""
    try:
        from yaml._yaml import CParser
    except ImportError:
        return _portable

    class Loader(_Words, CParser):
        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)

    return lambda text: Loader(text).get_single_node()


_composed: Final = _choose()


def _compose(text: str, file: str) -> Node | None:
    try:
        return _composed(text)
    except yaml.MarkedYAMLError as error:
        raise _in_our_words(error, file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if error.position >= 0 else None
        raise ConfigError("a control character cannot stand in the file: remove it", file=file, line=line) from None
    except UnicodeError:
        raise ConfigError("the file is not UTF-8 text: save it as UTF-8", file=file) from None
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(NOT_YAML, file=file) from None


def _in_our_words(error: yaml.MarkedYAMLError, file: str) -> ConfigError:
    said = f"{error.context or ''} {error.problem or ''}"
    words, advice = next((pair for pair in PROBLEMS if pair[0] in said), ("", NOT_YAML))
    mark = error.context_mark if words in UNCLOSED else error.problem_mark
    mark = mark or error.problem_mark or error.context_mark
    return ConfigError(advice, file=file, line=None if mark is None else mark.line + 1)


class _Reader:
    """Turns composed nodes into values, once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.known: dict[int, tuple[Value, int]] = {}
        self.open: set[int] = set()
        self.repeated = 0

    def read(self, node: Node, path: Path, depth: int) -> tuple[Value, int]:
        """The value of a node and how many values it stands for, aliases written out."""
        if isinstance(node, ScalarNode):
            return self.word(node, path), 1
        key = id(node)
        if key in self.known:
            return self.again(node, path)
        if node.tag != COLLECTION:
            raise self.fault("tags are not used here: remove the `!` word", node, path)
        if key in self.open:
            raise self.fault("an alias stands inside its own anchor: write the value out", node, path)
        if depth >= DEPTH_MAX:
            raise self.fault(f"nested more than {DEPTH_MAX} levels deep: write it flatter", node, path)
        self.open.add(key)
        value, size = (
            self.mapping(node, path, depth) if isinstance(node, MappingNode) else self.items(node, path, depth)
        )
        self.open.discard(key)
        self.known[key] = value, size
        return value, size

    def again(self, node: Node, path: Path) -> tuple[Value, int]:
        """What an alias repeats, as long as all aliases together stay within reason."""
        value, size = self.known[id(node)]
        self.repeated += size
        if self.repeated > REPEATED_MAX:
            raise self.fault("aliases repeat too much: write the values out", node, path)
        return value, size

    def items(self, node: Node, path: Path, depth: int) -> tuple[Value, int]:
        """A list."""
        found: list[Value] = []
        total = 1
        for index, item in enumerate(node.value):
            value, size = self.read(item, (*path, index), depth + 1)
            found.append(value)
            total += size
        return found, total

    def mapping(self, node: MappingNode, path: Path, depth: int) -> tuple[Value, int]:
        """A mapping; each key is text and stands once."""
        found: dict[str, Value] = {}
        total = 1
        for key_node, value_node in node.value:
            key = self.key(key_node, path)
            if key in found:
                first = next(other for other, _ in node.value if other.value == key).start_mark.line + 1
                reason = f"`{key}` is given twice, first on line {first}: remove one of the two"
                raise self.fault(reason, key_node, (*path, key))
            value, size = self.read(value_node, (*path, key), depth + 1)
            found[key] = value
            total += size
        return found, total

    def key(self, node: Node, path: Path) -> str:
        """A key, which must be text."""
        if not isinstance(node, ScalarNode):
            raise self.fault(
                "a key must be a single word, not a list or mapping: put it in quotes if it has brackets", node, path
            )
        if node.tag == QUOTED:
            text: str = node.value
            return text
        if node.value == "<<":
            raise self.fault("merge keys (`<<`) are not used here: write the keys out", node, path)
        word = self.word(node, path)
        if not isinstance(word, str):
            comma = ", or a comma stands inside a number: write `1234.5`" if type(word) in {int, Decimal} else ""
            raise self.fault(f"key `{node.value}` is not text: put it in quotes{comma}", node, path)
        return word

    def word(self, node: ScalarNode, path: Path) -> Value:
        """What a scalar means by the core schema."""
        text: str = node.value
        if node.tag == QUOTED:
            return text
        if node.tag != PLAIN:
            raise self.fault("tags are not used here: remove the `!` word, or put the text in quotes", node, path)
        if text in NULLS:
            return None
        if text == "true":
            return True
        if text == "false":
            return False
        return self.number(text, node, path) if text[0] in "+-.0123456789" else text

    def number(self, text: str, node: Node, path: Path) -> Value:
        """A whole number, an exact decimal, or text that only begins like one, as a date."""
        if OTHER_BASE.fullmatch(text) and len(text) <= DIGITS_MAX:
            return int(text, 0)
        match = DECIMAL.fullmatch(text)
        if match is None:
            if NOT_FINITE.fullmatch(text):
                raise self.fault(f"`{text}` is no amount: write a finite number", node, path)
            return text
        exponent = match["exponent"] or "0"
        if len(text) > DIGITS_MAX or len(exponent) > DIGITS_MAX or abs(int(exponent)) > EXPONENT_MAX:
            raise self.fault(f"a number of more than {DIGITS_MAX} digits: put it in quotes if it is a name", node, path)
        return int(text) if INTEGER.fullmatch(text) else Decimal(text)

    def fault(self, reason: str, node: Node, path: Path) -> ConfigError:
        """An error at a node."""
        return ConfigError(reason, file=self.file, line=node.start_mark.line + 1, key=dotted(path) or None)


def _step(node: Node, step: str | int) -> tuple[Node, Node] | None:
    """The node that carries the line of a step down, and the node below it."""
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step]
    return None
