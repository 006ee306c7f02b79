"""The trial of the cut-off: a vendor is revoked by the command line while several processes call it in every role."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelrouter.ledger import open_ledger
from modelrouter.router.outside import SystemClock
from tests.money.trial import audit, begin, out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["CutOffFigures", "cut_off"]

PROCESSES: Final = 3
TASKS: Final = 12
BEFORE: Final = 600
AFTER: Final = 300
"""Calls made before the command, and after it."""
PATIENCE_S: Final = 60.0
MODEL: Final = "smollm2-135m-instruct"
FACTS: Final = (
    "processing: [DE], storage: none, retention_days: 0, training: never, context_tokens: 8192, "
    "price: {input_usd_per_mtok: 2, output_usd_per_mtok: 8}, "
    "source: {ref: platform team, checked_on: 2026-11-01, confidence: high, grade: technical}"
)
ROLES: Final = {
    "operated": f"model: {MODEL}, operator: shaky",
    "owned": f"model: {MODEL}, operator: daughter",
    "passed": f"model: {MODEL}, operator: steady, via: shaky",
    "processed": f"model: {MODEL}, operator: steady, subprocessor: shaky",
    "clouded": f"model: {MODEL}, operator: self, runs_on: shaky",
    "made": "model: shaky-chat, operator: self, runs_on: none",
    "tuned": "model: our-tune, operator: self, runs_on: none",
}
"""A deployment for each role that the revoked vendor may play."""
REST: Final = "rest"
ORGANISATION: Final = "country: DE, source: the trial"


@dataclass(frozen=True, slots=True)
class CutOffFigures:
    """What came of one revocation.

    Attributes:
        admitted_before: attempts at the vendor that were reserved before the line of the revocation, by deployment.
        admitted_after: and after it.
        came_after: requests that its servers got after the command had returned, all of them admitted before.
        under_way: attempts at it without an end when its line was written.
        finished: how many of these were answered; the others were aborted.
        latest_end_s: from the line of the revocation to the last of their ends.
        command_s: how long the command took.
        others: attempts elsewhere, after the line.
        warned: how often each process warned of the one vendor that was left.
    """

    admitted_before: dict[str, int]
    admitted_after: int
    came_after: int
    under_way: int
    finished: int
    latest_end_s: float
    command_s: float
    others: int
    warned: list[int]


def cut_off(folder: Path, ledger: str, *, abort: bool, hold_s: float) -> CutOffFigures:
    """Revoke a vendor under load, and look at what its servers and the book saw."""
    log = folder / "arrived.log"
    names = [*ROLES, REST]
    with ExitStack() as stack:
        ports = stack.enter_context(_servers(log, hold_s, names))
        config = _write_config(folder, dict(zip(names, ports, strict=True)), ledger)
        busy = "plain,plain,plain,plain,streamed,streamed,hold,held_stream"
        callers = [stack.enter_context(_caller(config, f"p{each}", TASKS, busy)) for each in range(PROCESSES)]
        callers.append(stack.enter_context(_caller(config, "quiet", 1, "hold")))  # it has no other traffic
        for process in callers:
            begin(process)
        _until(lambda: sum(_arrived(log).values()) >= BEFORE and _quiet_is_under_way(log))
        began = time.monotonic()
        entry = _revoke(config, abort=abort)
        command_s = time.monotonic() - began
        then = _arrived(log)
        _until(lambda: _arrived(log)[REST] >= then[REST] + AFTER)
        _until(lambda: not _open_at(ledger, entry))
        now = _arrived(log)
        _until(lambda: _arrived(log)[REST] >= now[REST] + AFTER)
        last = _arrived(log)
        assert all(last[name] == now[name] for name in ROLES), "a request came to a vendor that is cut off"
        for process in callers:
            begin(process)
        ended = [process.communicate(timeout=PATIENCE_S) for process in callers]
    assert all(process.returncode == 0 for process in callers), [error for _, error in ended]
    reports = [json.loads(text) for text, _ in ended]
    if not abort:
        assert not any("StreamBrokenError" in report for report in reports), reports
    audit(ledger)
    came_after = sum(last[name] - then[name] for name in ROLES)
    warned = [error.count("hangs on the one vendor `hetzner` now") for _, error in ended]
    return _figures(ledger, log, entry, came_after=came_after, command_s=command_s, warned=warned)


def _figures(
    ledger: str, log: Path, entry: int, *, came_after: int, command_s: float, warned: list[int]
) -> CutOffFigures:
    store = open_ledger(ledger, SystemClock(), create=False)
    try:
        with store.reading() as session:
            ((revoked_us,),) = session.rows("SELECT at_us FROM entries WHERE seq = ? AND kind = 'revoke'", (entry,))
            rows: Any = session.rows(
                """SELECT r.seq, r.deployment, c.request_id, e.seq, e.kind, e.failure, e.at_us, e.phase
                    FROM entries r JOIN calls c ON c.call_id = r.call_id LEFT JOIN entries e ON e.resolves = r.seq
                    WHERE r.kind = 'reserve'"""
            )
    finally:
        store.close(10)
    assert all(row[3] is not None for row in rows), "a reservation has no end"
    ours = [row for row in rows if row[1] != REST]
    admitted = {(row[1], row[2]) for row in ours if row[0] < entry}
    for line in log.read_text().splitlines():
        name, call = line.split()
        assert name == REST or (name, call) in admitted, f"`{call}` came to `{name}`, and was not admitted before"
    under_way = [row for row in ours if row[0] < entry < row[3]]
    return CutOffFigures(
        admitted_before=dict(Counter(row[1] for row in ours if row[0] < entry)),
        admitted_after=sum(row[0] > entry for row in ours),
        came_after=came_after,
        under_way=len(under_way),
        finished=sum(row[4] == "settle" and row[5] is None for row in under_way),
        latest_end_s=max(((row[6] - int(revoked_us or 0)) / 1e6 for row in under_way), default=0.0),
        command_s=command_s,
        others=sum(row[0] > entry for row in rows if row[1] == REST),
        warned=warned,
    )


def _open_at(ledger: str, entry: int) -> bool:
    """Whether an attempt that was reserved before a line has no end yet."""
    store = open_ledger(ledger, SystemClock(), create=False)
    try:
        with store.reading() as session:
            rows = session.rows("SELECT 1 FROM pending WHERE seq < ? LIMIT 1", (entry,))
    finally:
        store.close(10)
    return bool(rows)


def _revoke(config: Path, *, abort: bool) -> int:
    command = [sys.executable, "-m", "modelrouter", "revoke", "vendor:shaky", "--reason", "trial", "--json"]
    command += ["--config", str(config), *(["--abort-in-flight"] if abort else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    document = json.loads(done.stdout)
    assert sorted(document["deployments"]) == sorted(ROLES), document
    (route,) = document["routes"]
    assert (sorted(route["taken"]), route["left"]) == (sorted(ROLES), [REST])
    assert "hangs on the one vendor `hetzner` now" in document["warnings"][0]
    return int(document["revoked"]["number"])


def _arrived(log: Path) -> Counter[str]:
    """How many requests each deployment got."""
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def _quiet_is_under_way(log: Path) -> bool:
    return any(line.split()[1].startswith("quiet-") for line in log.read_text().splitlines())


def _until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_at, "it has not happened"
        time.sleep(0.02)


@contextmanager
def _servers(log: Path, hold_s: float, names: Sequence[str]) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "tests.money.cut_off_server", str(log), str(hold_s), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield [int(out(process).readline()) for _ in names]
        finally:
            process.kill()


@contextmanager
def _caller(config: Path, name: str, tasks: int, ways: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.money.cut_off_caller", str(config), name, str(tasks), ways]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert out(process).readline() == "ready\n"
            yield process
        finally:
            process.kill()


def _write_config(folder: Path, ports: dict[str, int], ledger: str) -> Path:
    deployments = {**ROLES, REST: f"model: {MODEL}, operator: self, runs_on: hetzner"}
    lines = [
        "modelrouter: 1",
        "caller: {name: Acme GmbH, country: DE, parent_country: DE}",
        f"ledger: {json.dumps(ledger)}",
        "policies: none",
        "organisations:",
        f"  shaky: {{name: Shaky, parent: none, {ORGANISATION}}}",
        f"  daughter: {{name: Daughter, parent: shaky, {ORGANISATION}}}",
        f"  steady: {{name: Steady, parent: none, {ORGANISATION}}}",
        "operators:",
        (
            "  shaky: {operator: shaky, kind: aggregator, providers: {steady: steady}, source: the trial, "
            "wire: {lane: direct, base_url: 'https://localhost/v1'}}"
        ),
        "models:",
        (
            "  shaky-chat: {developer: shaky, derived_from: none, licence: apache-2.0, openness: open_weights, "
            "source: the trial}"
        ),
        "  our-tune: {developer: self, derived_from: [shaky-chat], licence: apache-2.0, source: the trial}",
        "deployments:",
        *(
            f"  {name}: {{{facts}, hosts: [{_host(facts)}], base_url: 'http://{_host(facts)}:{ports[name]}/v1', "
            f"name: {MODEL}, {FACTS}}}"
            for name, facts in deployments.items()
        ),
        "routes:",
        (
            f"  ask: {{try: [{{split: {{{', '.join(f'{name}: 1' for name in ROLES)}}}}}, {REST}], "
            "output_tokens: {default: 60, min: 1}}"
        ),
        "",
    ]
    path = folder / "modelrouter.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _host(facts: str) -> str:
    """A host belongs to one operator, or to nobody."""
    return "localhost" if "operator: shaky" in facts or "via: shaky" in facts else "127.0.0.1"
