"""The bound on input tokens beside what tokenizers count, over generated conversations that try to break it.

Seven chat templates by their bytes, tiktoken's encodings and four other tokenizers, and SmolLM2 on a real llama.cpp
server. Exit 1 if a prompt counts more tokens than its proved bound. Printed are the least, the median and the largest
bound / counted of each tokenizer, and by script for those that are asked for with `--scripts 1`.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, record, table

sys.path.insert(0, str(ROOT))

from tests.core.bound_conversations import conversations
from tests.core.bound_server import served_trial
from tests.core.bound_trial import rendered, trial
from tests.real_model import running_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.core.bound_trial import Row

SEED = 20_261_122


def summed_up(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Each tokenizer over all scripts: the least, the median of the medians, the largest."""
    by_tokenizer: dict[str, list[Row]] = {}
    for row in rows:
        by_tokenizer.setdefault(row.tokenizer, []).append(row)
    return {
        name: {
            "prompts": sum(row.prompts for row in own),
            "least": min(row.least for row in own),
            "median": median(row.median for row in own),
            "worst": max(row.worst for row in own),
        }
        for name, own in by_tokenizer.items()
    }


def main() -> int:
    """Run, print, record."""
    asked = arguments(__doc__, conversations=50_000, served=5_000, scripts=0)
    begun_s = perf_counter()
    counted = trial(rendered(conversations(SEED, asked.conversations)))
    with running_model() as model:
        served = served_trial(conversations(SEED, asked.served), model)
    rows = (*counted.rows, *served.rows)
    breaches = (*counted.breaches, *served.breaches)
    head = ("tokenizer", "prompts", "least", "median", "worst")
    sums = summed_up(rows)
    table(head, [(name, *(_shown(value) for value in own.values())) for name, own in sums.items()])
    if asked.scripts:
        cells = ((f"{row.tokenizer}, {row.script}", row.prompts, row.least, row.median, row.worst) for row in rows)
        table(head, [(first, *map(_shown, others)) for first, *others in cells])
    total = counted.prompts + served.prompts
    print(f"{len(breaches)} of {total} prompts over their bound, {perf_counter() - begun_s:.0f} s")
    scripts = {
        f"{row.tokenizer}, {row.script}": {"least": row.least, "median": row.median, "worst": row.worst} for row in rows
    }
    settings = {"conversations": asked.conversations, "served": asked.served, "seed": SEED}
    record(asked.record, "bounds", settings, {"breaches": len(breaches), "tokenizers": sums, "scripts": scripts})
    return 1 if breaches else 0


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
