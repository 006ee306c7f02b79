"""From what people write to values of the core: YAML, or the same as typed Python objects.

``load`` reads a file, `from_text` a text, `build` a `Config` that was put together in Python; each returns a `Setup` or
raises one `ConfigError` that tells everything that is wrong as `file:line: key: what to change`.
"""

from __future__ import annotations

from modelrouter.config.build import build, from_text, load
from modelrouter.config.files import find_config
from modelrouter.config.json_schema import json_schema
from modelrouter.config.schema import (
    AgreementConfig,
    BudgetConfig,
    CallerConfig,
    Config,
    DeploymentConfig,
    HealthConfig,
    LedgerConfig,
    LimitsConfig,
    NeedsConfig,
    OutputTokensConfig,
    OwnershipConfig,
    OwnTimeoutsConfig,
    PolicyConfig,
    RetriesConfig,
    RouteConfig,
    RuleConfig,
    SplitConfig,
    TagConfig,
    TimeoutsConfig,
    WaitConfig,
    WaiverConfig,
)
from modelrouter.config.setup import Setup, Static, Tag

__all__ = [
    "AgreementConfig",
    "BudgetConfig",
    "CallerConfig",
    "Config",
    "DeploymentConfig",
    "HealthConfig",
    "LedgerConfig",
    "LimitsConfig",
    "NeedsConfig",
    "OutputTokensConfig",
    "OwnTimeoutsConfig",
    "OwnershipConfig",
    "PolicyConfig",
    "RetriesConfig",
    "RouteConfig",
    "RuleConfig",
    "Setup",
    "SplitConfig",
    "Static",
    "Tag",
    "TagConfig",
    "TimeoutsConfig",
    "WaitConfig",
    "WaiverConfig",
    "build",
    "find_config",
    "from_text",
    "json_schema",
    "load",
]
