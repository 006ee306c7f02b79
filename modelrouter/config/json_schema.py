"""JSON Schema for editors: of a configuration, of a policy file and of a policy's cases."""

from __future__ import annotations

from typing import Any

from modelrouter.config.case_schema import CasesConfig
from modelrouter.config.policy_schema import PolicyConfig
from modelrouter.config.schema import Config

__all__ = ["json_schema"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schemas, draft 2020-12, under `config`, `policy` and `cases`."""
    return {
        "config": {"$schema": DRAFT, **Config.model_json_schema(by_alias=True), "title": "modelrouter configuration"},
        "policy": {"$schema": DRAFT, **PolicyConfig.model_json_schema(by_alias=True), "title": "modelrouter policy"},
        "cases": {"$schema": DRAFT, **CasesConfig.model_json_schema(by_alias=True), "title": "cases of a policy"},
    }
