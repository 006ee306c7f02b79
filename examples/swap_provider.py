"""The same program under two configs: another provider is another file, and not a line of code."""

import difflib
from pathlib import Path

from _local import configs
from modelrouter import Reply, Router


def draft(config: Path) -> Reply:
    """The application. It names a route, and knows of no provider."""
    with Router.from_config(config) as router:
        return router.complete("support", "Thank a customer for waiting, in one sentence.")


with configs() as folder:
    before, after = folder / "swap_before.yaml", folder / "swap_after.yaml"
    replies = [draft(before), draft(after)]
    for reply in replies:
        print(f"{reply.deployment:>6}  ${reply.cost_usd:f}  {reply.text!r}")

    print("\nall that changed:")
    changes = difflib.unified_diff(before.read_text().splitlines(), after.read_text().splitlines(), "", "", "", "", 0)
    print("\n".join(line for line in changes if line[:2] not in {"--", "++", "@@"}))

    assert [reply.deployment for reply in replies] == ["rented", "own"]
    assert replies[1].cost_usd < replies[0].cost_usd
