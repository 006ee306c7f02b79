"""Whether a deployment loads by itself, before it is written anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from modelrouter.cli.start.deployment_text import deployment_text
from modelrouter.config import from_text
from modelrouter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.cli.start.starter import Start

__all__ = ["fault_of", "fitting"]

HEAD: Final = "modelrouter: 1\npolicies: none\ndeployments:\n"
REGION: Final = "region"


def fault_of(start: Start) -> ConfigError | None:
    """What is wrong with a deployment that could load; None where nothing is."""
    if not start.can_load:
        return None
    try:
        from_text(f"{HEAD}{deployment_text(start)}routes: {{main: {{try: [{start.deployment}]}}}}\n", start.deployment)
    except ConfigError as error:
        return error
    return None


def fitting(start: Start, stated: Mapping[str, str]) -> Start:
    """A start without the region of the environment where its endpoint cannot be called from there.

    Args:
        stated: what somebody wrote for this deployment, which is never taken back.
    """
    if REGION not in start.values or REGION in stated:
        return start
    fault = fault_of(start)
    if fault is None or not (fault.key or "").endswith(REGION):
        return start
    kept = {name: value for name, value in start.values.items() if name != REGION}
    return replace(start, values=kept, missing=(*start.missing, REGION))
