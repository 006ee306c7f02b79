"""The JSON Schema for editors agrees with what the loader takes."""

from __future__ import annotations

import importlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from modelrouter.config import NeedsConfig, OwnershipConfig, json_schema
from modelrouter.config.deployment_schema import FACT_KEYS, DeploymentConfig
from modelrouter.config.files import shipped_policies
from modelrouter.core.request import CAPABILITIES
from modelrouter.yaml12 import parse
from tests.config.bad_inputs import BAD
from tests.config.test_design_example import POLICY, YAML
from tests.config.texts import config

EXAMPLES = Path(__file__).parents[2] / "examples" / "configs"
Draft202012Validator: Any = importlib.import_module("jsonschema").Draft202012Validator  # ships no types


def _plain(text: str) -> Any:
    """YAML as an editor's validator sees it: numbers are JSON numbers."""
    return json.loads(json.dumps(parse(text, "f.yaml").value, default=lambda value: float(Decimal(value))))


@pytest.mark.parametrize("text", [YAML, config()])
def test_configurations_that_load_are_valid(text: str) -> None:
    """An editor marks nothing in them."""
    assert list(Draft202012Validator(json_schema()["config"]).iter_errors(_plain(text))) == []


@pytest.mark.parametrize("text", [POLICY, *(path.read_text(encoding="utf-8") for path in shipped_policies())])
def test_policies_that_load_are_valid(text: str) -> None:
    """The example's and every shipped one."""
    assert list(Draft202012Validator(json_schema()["policy"]).iter_errors(_plain(text))) == []


def test_cases_that_are_read_are_valid_and_others_are_not() -> None:
    """The example's is; one with a misspelt key, with `permitted: false` or without cases is not."""
    validator = Draft202012Validator(json_schema()["cases"])
    text = (EXAMPLES / "policies" / "team-thrift.cases.yaml").read_text(encoding="utf-8")
    assert list(validator.iter_errors(_plain(text))) == []
    wrong = [text.replace("permitted", "permited"), text.replace("true", "false"), "policy: team-thrift"]
    assert [bool(list(validator.iter_errors(_plain(each)))) for each in wrong] == [True] * 3


def test_schemas_are_schemas_and_find_misspelt_keys() -> None:
    """They are valid themselves, and an editor marks most of what the loader refuses as unknown."""
    schemas = json_schema()
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schemas["config"])
    unknown = [case for case in BAD if case.words.startswith("did you mean") and case.key != "modelrouter"]
    marked = [case for case in unknown if list(validator.iter_errors(_plain(config(**case.parts))))]
    assert len(marked) >= 8


def test_lists_that_must_agree_do() -> None:
    """Every capability can be needed, every fact of a deployment can be owned by a house."""
    assert set(NeedsConfig.model_fields) == CAPABILITIES | {"context_tokens"}
    assert set(FACT_KEYS) <= set(DeploymentConfig.model_fields)
    assert set(FACT_KEYS) <= set(OwnershipConfig.model_fields)
