"""`modelrouter check --survive` over a large config: seconds for all losses of one vendor, and of two.

The config has deployments of open weights in many clouds, of which some belong together, with a second vendor behind
some of them, beside closed APIs. Every route may try all of them and has policies, needs and ceilings of its own, so
that each permits others. Each survey starts with the text of the config, decides every route, and subtracts every loss;
its answers are compared with what is left when a loss is looked for one deployment at a time. Exit 1 beyond 2 s of CPU
for one vendor or 60 s for two, at the full counts.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from _lab import ROOT, arguments, environment, record, spread, table

sys.path.insert(0, str(ROOT))

from modelrouter.cli.check.survive import survey_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.cli.check.survive import Survey

SEED = 20261129
FULL = {"deployments": 200, "routes": 50}
LIMITS_S = {1: 2.0, 2: 60.0}
SPOT_CHECKS = 2_000
OPEN = ("qwen3-32b", "gpt-oss-20b", "gpt-oss-120b", "deepseek-r1", "mistral-small-3.2")
CLOSED = (
    "{model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme}",
    "{model: gpt-5.6-sol, operator: openai}",
    "{model: mistral-medium-3.5, operator: mistral, endpoint: eu}",
    "{model: claude-sonnet-5, operator: anthropic}",
)
COUNTRIES = ("DE", "FR", "US", "NL", "SE", "CN")
POLICIES = (
    "baseline",
    "no-prc-operator",
    "{policy: cheap-%d, rules: {price.output_usd_per_mtok: {max: %s}}}",
    "{policy: not-%d, rules: {operator.id: {deny: [cloud-%d]}}}",
)

OWN = """\
  d{number}:
    {{model: {model}, operator: self, runs_on: {cloud}, {more} server: vllm, hosts: [h{number}.internal],
    base_url: "http://h{number}.internal/v1", name: m, processing: [{country}], storage: none, retention_days: 0,
    training: never, context_tokens: {window}, price: {{input_usd_per_mtok: {price}, output_usd_per_mtok: {price}}},
    capabilities: [tools, json_schema], key: "env:KEY_{key}",
    source: {{ref: benchmark, checked_on: 2026-11-01, confidence: high, grade: technical}}}}
"""


def config_text(deployments: int, routes: int, clouds: int) -> str:
    """A config of so many parts, the same for the same numbers."""
    draw = random.Random(SEED)  # noqa: S311 - spread, not a secret
    lines = ["modelrouter: 1", "caller: {name: Acme GmbH, country: DE, parent_country: DE}", "policies: [baseline]"]
    lines.append("organisations:")
    for number in range(clouds):
        parent = f"cloud-{number - 1}" if number % 4 == 1 else "none"
        country = draw.choice(COUNTRIES)
        lines.append(f"  cloud-{number}: {{country: {country}, parent: {parent}, {TERMS}, source: benchmark}}")
    lines.append("deployments:")
    for number in range(deployments):
        if number % 10 == 0:
            lines.append(f"  d{number}: {CLOSED[number // 10 % len(CLOSED)]}")
            continue
        behind = draw.randrange(clouds)
        lines.append(
            OWN.format(
                number=number,
                model=draw.choice(OPEN),
                cloud=f"cloud-{draw.randrange(clouds)}",
                more=f"subprocessor: cloud-{behind}," if number % 3 == 0 else "",
                country=draw.choice(COUNTRIES),
                window=draw.choice((16_000, 32_000, 128_000)),
                price=draw.choice(("0.05", "0.2", "1", "4")),
                key=draw.randrange(20),
            ).rstrip()
        )
    lines.append("routes:")
    for number in range(routes):
        policies = ", ".join(_filled(each, number, clouds) for each in draw.sample(POLICIES, number % 4 + 1))
        needs = draw.choice(("{}", "{tools: true}", "{context_tokens: 30000}", "{json_schema: true}"))
        lines.append(f"  r{number}: {{try: any, prefer: cost, policies: [{policies}], needs: {needs}}}")
    return "\n".join(lines) + "\n"


TERMS = "terms: {training: never, retention_days: 0}"


def _filled(policy: str, number: int, clouds: int) -> str:
    if "cheap" in policy:
        return policy % (number, ("0.1", "0.5", "2", "5")[number % 4])
    return policy % (number, number % clouds) if "not-" in policy else policy


def checked(survey: Survey, depth: int) -> int:
    """Look for who is left one deployment at a time, for losses of every route; how many losses there are."""
    draw = random.Random(SEED)  # noqa: S311 - spread, not a secret
    losses = 0
    for route in survey.routes:
        losses += len(route.aftermaths)
        wanted = sum(1 for size in range(1, depth + 1) for _ in combinations(route.footing.vendors, size))
        assert len(route.aftermaths) == wanted
        for after in draw.sample(route.aftermaths, min(SPOT_CHECKS // len(survey.routes), len(route.aftermaths))):
            left = [name for name in route.footing.permitted if _stands(survey, name, after.lost)]
            assert after.left_count == len(left)
            assert list(after.left) == left[: len(after.left)]
    return losses


def _stands(survey: Survey, name: str, lost: tuple[str, ...]) -> bool:
    found = survey.ground.vendors[name]
    return found.are_known and not set(found.ids) & set(lost)


def measured(path: Path, rounds: int) -> Iterator[tuple[int, list[float], list[float], Survey]]:
    """Seconds from the text of the config to the whole survey, by the clock and of CPU, for one vendor and for two."""
    for depth in LIMITS_S:
        took: list[float] = []
        used: list[float] = []
        for _ in range(rounds):
            begun_s, begun_cpu_s = perf_counter(), process_time()
            survey = survey_of(str(path), (), depth, (), {})
            took.append(perf_counter() - begun_s)
            used.append(process_time() - begun_cpu_s)
        yield depth, took, used, survey


def command_s(path: Path, depth: int) -> float:
    """Seconds of the command with `--json`, from the start of its process to its end."""
    command = [sys.executable, "-m", "modelrouter", "check", "--survive", f"--depth={depth}", "--json"]
    begun_s = perf_counter()
    done = subprocess.run([*command, "--config", str(path)], env=environment(), stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in {0, 1}
    return perf_counter() - begun_s


def main() -> int:
    """Measure, print, perhaps record."""
    chosen = arguments(__doc__, **FULL, clouds=60, rounds=3)
    figures: dict[str, Mapping[str, float]] = {}
    rows, is_late = [], False
    with tempfile.TemporaryDirectory(prefix="modelrouter-benchmark-") as name:
        path = Path(name) / "modelrouter.yaml"
        path.write_text(config_text(chosen.deployments, chosen.routes, chosen.clouds), encoding="utf-8")
        for depth, took, used, survey in measured(path, chosen.rounds):
            losses = checked(survey, depth)
            whole_s = command_s(path, depth)
            title = "one vendor" if depth == 1 else f"any {depth} vendors"
            figures[title] = {**spread(took), "cpu_min": min(used), "command": whole_s, "losses": losses}
            is_late = is_late or min(used) > LIMITS_S[depth]
            rows.append([title, f"{losses:,}", *(f"{each:.2f}" for each in (min(used), min(took), max(took), whole_s))])
    permitted = [len(each.decision.permitted) for each in survey.routes]
    vendors = len(survey.ground.footing(survey.setup.world.deployments).vendors)
    print(
        f"{chosen.deployments} deployments of {vendors} vendors, {chosen.routes} routes that permit {min(permitted)} "
        f"to {max(permitted)} of them; every loss is looked at on every route\n"
    )
    table(["lost", "losses", "CPU s", "min s", "max s", "command s"], rows)
    settings = {key: getattr(chosen, key) for key in (*FULL, "clouds", "rounds")}
    record(chosen.record, "survive", settings, figures)
    return 1 if is_late and all(getattr(chosen, key) == count for key, count in FULL.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
