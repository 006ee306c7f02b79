"""Whether a value meets a JSON Schema, in bounded time and depth. Loads `jsonschema`; nothing else may.

`jsonschema` was chosen because it knows every draft, is what litellm already brings along, and is Python: a schema
compiled to code, or to a native library that recurses, would run what a caller wrote. What it leaves open is closed
here. Patterns run in `regex`, whose search can be given a time; unique items are compared by key instead of by pair;
each keyword looks at the clock; and references are resolved inside the schema alone, so nothing is ever fetched.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelrouter.core.request import JSON

__all__ = ["CHECK_S", "DEPTH_MAX", "NODES_MAX", "Schema", "broken_keyword", "fault_of"]

Schema: TypeAlias = "Mapping[str, JSON] | bool"

CHECK_S: Final = 1.0
"""Longest that one answer is held against its schema, in seconds of computing: a machine that pauses costs none."""
DEPTH_MAX: Final = 100
"""Deepest nesting of a schema or an answer that is looked at."""
NODES_MAX: Final = 20_000
"""Most values that a schema may be made of."""
SCHEMAS_HELD: Final = 64
VALUES: Final = frozenset({"const", "default", "enum", "examples"})
"""Keywords that hold plain values: nothing in them is a schema."""


class _Broken(Protocol):
    """An error of jsonschema's; of what it knows, only the keyword may be shown."""

    @property
    def validator(self) -> str: ...


class _Validator(Protocol):
    """A validator of jsonschema's."""

    def iter_errors(self, instance: JSON) -> Iterator[_Broken]: ...

    def descend(
        self, instance: JSON, schema: JSON, path: str | None = None, schema_path: str | None = None
    ) -> Iterator[_Broken]: ...


class _Pattern(Protocol):
    """A compiled pattern of regex's."""

    def search(self, text: str, *, timeout: float) -> object: ...


_Keyword: TypeAlias = "Callable[[_Validator, JSON, JSON, Mapping[str, JSON]], Iterator[_Broken] | None]"

_until_s: contextvars.ContextVar[float] = contextvars.ContextVar("modelrouter_schema_until_s")


class _OutOfTimeError(Exception):
    """An answer could not be held against its schema in time."""


def fault_of(schema: Schema) -> str | None:
    """What is wrong with a schema, as the end of a sentence about it; None for one that answers can be held against."""
    if not isinstance(schema, bool) and _nodes(schema) is None:
        return f"is too large: at most {NODES_MAX} values, {DEPTH_MAX} deep, can be checked"
    return _fault_of(_text(schema))


@functools.lru_cache(maxsize=SCHEMAS_HELD)
def _fault_of(text: str) -> str | None:
    schema: Schema = json.loads(text)
    fault = None if isinstance(schema, bool) else _fault_in(_nodes(schema) or [])
    if fault is not None:
        return fault
    jsonschema: Any = importlib.import_module("jsonschema")  # ships no types
    try:
        _validator(text)
    except jsonschema.SchemaError as error:
        return f"is no JSON Schema: `{error.validator}` of its draft does not hold"
    except RecursionError:
        return "is too deeply nested to be checked"
    return None if isinstance(schema, bool) else _dangling(schema)


def _text(schema: Schema) -> str:
    """A schema as the text that stands for it: the standard library writes whatever it is made of."""
    return json.dumps(schema, sort_keys=True)


def broken_keyword(schema: Schema, value: JSON) -> str | None:
    """The first keyword of the schema that a value breaks, or None if it meets it. Never shows any of the value.

    A value that cannot be checked within `CHECK_S` or `DEPTH_MAX` is told by a sentence's end of its own: what is not
    known to meet a schema does not meet it.
    """
    if _is_too_deep(value):
        return f"depth: it is nested deeper than {DEPTH_MAX}"
    referencing: Any = importlib.import_module("referencing.exceptions")
    token = _until_s.set(time.thread_time() + CHECK_S)
    try:
        broken = next(_validator(_text(schema)).iter_errors(value), None)
    except _OutOfTimeError:
        return f"time: it could not be checked in {CHECK_S:g} s"
    except RecursionError:
        return "depth: the schema goes round in circles on it"
    except ArithmeticError:
        return "number: it is too large to be computed with"
    except referencing.Unresolvable:
        return "$ref"
    finally:
        _until_s.reset(token)
    return None if broken is None else str(broken.validator)


# --- the schema -------------------------------------------------------------------------------------------------------


def _nodes(schema: Mapping[str, JSON]) -> list[Mapping[str, JSON]] | None:
    """Every object in a schema that may be a schema itself; None if it has too many values, or too deep ones."""
    found: list[Mapping[str, JSON]] = []
    ahead: list[tuple[JSON, int]] = [(schema, 1)]
    count = 0
    while ahead:
        value, depth = ahead.pop()
        count += 1
        if count > NODES_MAX or depth > DEPTH_MAX:
            return None
        if isinstance(value, Mapping):
            found.append(value)
            ahead.extend((item, depth + 1) for key, item in value.items() if key not in VALUES)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            ahead.extend((item, depth + 1) for item in value)
    return found


def _fault_in(nodes: Sequence[Mapping[str, JSON]]) -> str | None:
    regex: Any = importlib.import_module("regex")  # ships no types
    has_patterns = has_leftovers = False
    for node in nodes:
        named = node.get("patternProperties")
        patterns = [*(named if isinstance(named, Mapping) else ()), node.get("pattern")]
        has_patterns = has_patterns or isinstance(named, Mapping)
        has_leftovers = has_leftovers or isinstance(node.get("unevaluatedProperties"), (bool, Mapping))
        for pattern in patterns:
            if isinstance(pattern, str):
                try:
                    _pattern(pattern)
                except regex.error:
                    return "holds a `pattern` that is no regular expression"
    if has_patterns and has_leftovers:
        return "has `patternProperties` and `unevaluatedProperties`, which cannot be checked in bounded time: use one"
    return None


def _dangling(schema: Mapping[str, JSON]) -> str | None:
    """A reference that leads out of the schema. Those of parts with an `$id` of their own are left to the check."""
    nodes = _nodes(schema) or []
    if any("$id" in node for node in nodes if node is not schema):
        return None
    referencing: Any = importlib.import_module("referencing.exceptions")
    jsonschema: Any = importlib.import_module("referencing.jsonschema")
    resource = jsonschema.DRAFT202012.create_resource(schema)
    resolver = importlib.import_module("referencing").Registry().resolver_with_root(resource)
    for node in nodes:
        for name in ("$ref", "$dynamicRef"):
            target = node.get(name)
            if isinstance(target, str):
                try:
                    resolver.lookup(target)
                except (referencing.Unresolvable, ValueError):
                    return (
                        f"has a `{name}` that leads nowhere inside it, and nothing is fetched: write it under `$defs`"
                    )
    return None


@functools.lru_cache(maxsize=SCHEMAS_HELD)
def _validator(text: str) -> _Validator:
    """A validator for a schema, given as JSON.

    Raises:
        jsonschema.SchemaError: it is none.
    """
    jsonschema: Any = importlib.import_module("jsonschema")
    validators: Any = importlib.import_module("jsonschema.validators")
    referencing: Any = importlib.import_module("referencing")
    schema = json.loads(text)
    base = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    base.check_schema(schema)
    ours: dict[str, _Keyword] = {
        "additionalProperties": _additional_properties,
        "pattern": _matches,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items,
    }
    keywords = {name: _watched(ours.get(name, keyword)) for name, keyword in base.VALIDATORS.items()}
    made: _Validator = validators.extend(base, validators=keywords)(schema, registry=referencing.Registry())
    return made


# --- keywords ---------------------------------------------------------------------------------------------------------


def _watched(keyword: _Keyword) -> _Keyword:
    """A keyword that first looks at the clock."""

    def watched(validator: _Validator, wanted: JSON, value: JSON, schema: Mapping[str, JSON]) -> Iterator[_Broken]:
        _left_s()
        yield from keyword(validator, wanted, value, schema) or ()

    return watched


def _left_s() -> float:
    left_s = _until_s.get() - time.thread_time()
    if left_s <= 0:
        raise _OutOfTimeError
    return left_s


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str) -> _Pattern:
    compiled: _Pattern = importlib.import_module("regex").compile(pattern)
    return compiled


def _is_found(pattern: str, text: str) -> bool:
    try:
        return _pattern(pattern).search(text, timeout=_left_s()) is not None
    except TimeoutError:
        raise _OutOfTimeError from None


def _broken() -> _Broken:
    error: _Broken = importlib.import_module("jsonschema").ValidationError("")
    return error


def _matches(_validator: _Validator, pattern: JSON, value: JSON, _schema: Mapping[str, JSON]) -> Iterator[_Broken]:
    if isinstance(value, str) and isinstance(pattern, str) and not _is_found(pattern, value):
        yield _broken()


def _pattern_properties(
    validator: _Validator, wanted: JSON, value: JSON, _schema: Mapping[str, JSON]
) -> Iterator[_Broken]:
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        for pattern, schema in wanted.items():
            for name, item in value.items():
                if _is_found(pattern, name):
                    yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: _Validator, wanted: JSON, value: JSON, schema: Mapping[str, JSON]
) -> Iterator[_Broken]:
    if not isinstance(value, Mapping):
        return
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    for name, item in value.items():
        if isinstance(named, Mapping) and name in named:
            continue
        if isinstance(patterns, Mapping) and any(_is_found(pattern, name) for pattern in patterns):
            continue
        if wanted is False:
            yield _broken()
        else:
            yield from validator.descend(item, wanted, path=name)


def _unique_items(_validator: _Validator, wanted: JSON, value: JSON, _schema: Mapping[str, JSON]) -> Iterator[_Broken]:
    if not (wanted and isinstance(value, list)):
        return
    seen: set[object] = set()
    for item in value:
        key = _key(item)
        if key in seen:
            yield _broken()
        seen.add(key)


def _key(value: JSON) -> object:
    """Equal for values that JSON Schema holds equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, Mapping):
        return frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_key(item) for item in value)
    return value


def _is_too_deep(value: JSON) -> bool:
    """Whether a value is nested deeper than is looked at; walks it level by level, so that depth costs no stack."""
    level: list[JSON] = [value]
    for _ in range(DEPTH_MAX):
        below: list[JSON] = []
        for item in level:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True
