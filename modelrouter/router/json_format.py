"""What `response_format` asks of an answer, found in a request. `json_schema` loads only where there is a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from modelrouter.core.request import JSON

__all__ = ["check_format", "schema_of", "wants_json"]


def wants_json(parameters: Mapping[str, JSON]) -> bool:
    """Whether the answer must be JSON at all."""
    form = parameters.get("response_format")
    return isinstance(form, Mapping) and form.get("type") in {"json_object", "json_schema"}


def schema_of(parameters: Mapping[str, JSON]) -> Mapping[str, JSON] | bool | None:
    """The schema that the answer must meet: OpenAI's `json_schema.schema`, or `schema` beside the type (llama.cpp)."""
    form = parameters.get("response_format")
    if not isinstance(form, Mapping) or not wants_json(parameters):
        return None
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else form.get("schema")
    return schema if isinstance(schema, (Mapping, bool)) else None


def check_format(parameters: Mapping[str, JSON]) -> None:
    """Refuse a schema that answers could not be held against.

    Raises:
        RequestError: it is no JSON Schema, points outside itself, or is too large; says which.
    """
    schema = schema_of(parameters)
    if schema is None:
        return
    from modelrouter.router.json_schema import fault_of

    fault = fault_of(schema)
    if fault is not None:
        raise RequestError(f"`response_format`: the schema {fault}")
