"""The text of a first config."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from modelrouter.cli.start.deployment_text import WIDTH, deployment_text
from modelrouter.config.files import shipped_policies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.cli.start.starter import Start

__all__ = ["LOCAL_MODEL", "LOCAL_NAME", "LOCAL_SERVER", "ROUTE", "config_text", "is_live"]

ROUTE: Final = "main"
LOCAL_NAME: Final = "local"
LOCAL_MODEL: Final = "gpt-oss-20b"
LOCAL_SERVER: Final = "llamacpp"

HEAD: Final = """\
# A modelrouter config, written by `modelrouter init`. `modelrouter check` says who may serve, and who may not and why.
# Facts about models and operators come from the catalog: `modelrouter catalog show ID`. Keys stay in the environment.
# `modelrouter schema` prints a JSON Schema of this file for your editor.
modelrouter: 1

# FILL IN: who you are. Only you know this, and rules about licences, agreements and your own servers are judged by it.
caller:
  name: my organisation                # FILL IN
  # country: DE                        # FILL IN: where your contracts are made, as ISO 3166-1 writes it
  # parent_country: DE                 # FILL IN if another company controls yours: its country
  # monthly_active_users: 40000        # FILL IN: some licences end at a number of users; without it these refuse
  # yearly_revenue_usd: 5000000        # FILL IN: the same for revenue
  # agreements:                        # FILL IN: papers you have signed; a policy such as `eu-gdpr` asks for a dpa
  #   - {type: dpa, with: mistral, id: "your reference", expires: 2027-12-31}

# The book of every call and its cost, beside this file.
ledger: sqlite:///modelrouter.db

{policies}
policies: [baseline]
"""


def config_text(found: Sequence[Start], *, own: Start | None = None, takes_part: bool = False) -> str:
    """A config for what deployments can start from.

    Args:
        found: operators and servers, in the order in which a route tries them.
        own: a server of one's own, in front of them.
        takes_part: whether `own` does; else it stands in comments. Somebody has to.
    """
    live = [each for each in found if is_live(each)]
    waiting = [each for each in found if not is_live(each)]
    candidates = [*([own.deployment] if own and takes_part else []), *(each.deployment for each in live)]
    parts = [
        HEAD.replace("{policies}", _policies()),
        "deployments:",
        *(deployment_text(each) for each in live),
        *([deployment_text(own, in_comments=not takes_part)] if own else []),
        *(deployment_text(each, in_comments=True) for each in waiting),
        '# What your code names: `router.complete("main", …)`. The first that is permitted serves, then the next.',
    ]
    lines = [
        "routes:",
        f"  {ROUTE}:",
        f"    try: [{', '.join(candidates)}]",
        "    # prefer: cost                     # the cheapest first, by the expected length of answers",
        "    output_tokens: {default: 1024}     # the most an answer may have where a call does not say",
    ]
    return "\n".join([*parts, *lines]) + "\n"


def is_live(start: Start) -> bool:
    """Whether it is a deployment, not a comment: one that was named may still wait for its price."""
    return start.can_load if start.name else start.is_ready


def _policies() -> str:
    """The policies that come along, as comment lines."""
    names = ", ".join(path.stem for path in shipped_policies() if path.stem != "baseline")
    text = f"What every call must meet. More come along: {names}. Adding one can only take candidates away."
    return textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
