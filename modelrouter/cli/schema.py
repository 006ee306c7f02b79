"""`modelrouter schema`."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import print_document

__all__ = ["schema"]


class Kind(Enum):
    """What there is a schema of."""

    CONFIG = "config"
    POLICY = "policy"
    CASES = "cases"


def schema(
    kind: Annotated[Kind, typer.Argument(help="of which file")] = Kind.CONFIG,
    as_json: AsJson = False,
) -> None:
    """Print JSON Schema for editors, of a config, of a policy file or of a policy's cases."""
    del as_json  # it is JSON in any case; the option is there because every command has it
    from modelrouter.config.json_schema import json_schema

    print_document(json_schema()[kind.value])
