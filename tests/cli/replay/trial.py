"""A book of many calls whose kinds are known by construction, and six changes whose effects are named beforehand."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final
from unittest import mock

import modelrouter.catalog
from modelrouter.catalog.loader import read_catalog
from modelrouter.config.build import read
from modelrouter.config.grounds import grounds_of
from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.core.bounds import Size
from modelrouter.core.pricing import Usage
from modelrouter.core.replay import Change, Regime, compare
from modelrouter.core.request import Needs, Request
from modelrouter.core.route import Moment
from modelrouter.ledger import open_ledger
from modelrouter.ledger.decisions import GroundsKept, rederive
from modelrouter.ledger.past import PastCalls
from modelrouter.ports import Document, RefusedCalls, Reservation, Resolution
from modelrouter.router.bookings import call_record
from modelrouter.router.epoch import Epoch
from modelrouter.router.outside import SystemClock
from modelrouter.router.refusals import first_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelrouter.core.decision import Decision
    from modelrouter.core.replay import Difference
    from modelrouter.ledger import Ledger
    from modelrouter.ports import CallRecord

__all__ = ["CASES", "Case", "Kind", "Trial", "altered", "derived", "differences", "opened_book", "written_trial"]

BEGIN_S: Final = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
DAYS: Final = 28
RETIRED: Final = date(2026, 11, 15)
OWN: Final = (
    "operator: self, runs_on: none, hosts: [127.0.0.1], base_url: 'http://127.0.0.1:9/v1', name: m, storage: none, "
    "retention_days: 0, training: never, context_tokens: 32768, "
    "source: {ref: tests, checked_on: 2026-10-01, confidence: high, grade: technical}"
)
CONFIG: Final = """\
modelrouter: 1
caller: {name: Acme GmbH, country: DE, parent_country: DE}
ledger: sqlite:///book.db
tags: {data_class: {values: [public, personal], default: personal}, team: {}}
policies: [house]
organisations:
  lab: {name: A laboratory, country: FR, parent: {state: none, source: tests}, roles: [developer], source: tests}
  tower: {name: A tower, country: CN, parent: {state: none, source: tests}, roles: [developer], source: tests}
models:
  lab-1: {developer: lab, derived_from: {state: none, source: tests}, licence: apache-2.0, openness: open_weights,
          context_tokens: 32768, source: tests}
  tower-1: {developer: tower, derived_from: {state: none, source: tests}, licence: apache-2.0, openness: open_weights,
            context_tokens: 32768, source: tests}
deployments:
  eu: {model: lab-1, processing: [DE], price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}, OWN}
  us: {model: lab-1, processing: [US], price: {input_usd_per_mtok: 0.5, output_usd_per_mtok: 1}, OWN}
  cn: {model: tower-1, processing: [DE], price: {input_usd_per_mtok: 0.2, output_usd_per_mtok: 0.4}, OWN}
  closed: {model: gpt-5.6-sol, operator: azure, endpoint: datazone-eu, resource: acme, key: "env:NOBODY_SET_THIS"}
routes:
  support: {try: [us, eu], policies: [personal-data]}
  drafts: {try: [eu, us, cn], prefer: cost}
  shared: {try: [{split: {us: 50, cn: 50}, sticky: session}, eu]}
  best: {try: [closed, eu]}
  sealed: {try: [us], policies: [sealed-rooms]}
""".replace("OWN", OWN)
POLICIES: Final = {
    "house": "policy: house\nrules: {request.cost_usd: {max: 5}}\n",
    "personal-data": (
        "policy: personal-data\napplies_to: {data_class: [personal]}\nrules: {processing.country: {allow: [EU]}}\n"
    ),
    "sealed-rooms": "policy: sealed-rooms\nrules: {processing.country: {allow: [EU]}}\n",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a call by construction.

    Attributes:
        data_class: empty where the call had none.
        order: who was permitted.
        failed: those of them that were tried and failed.
        answered: who did; empty where nobody did.
    """

    route: str
    data_class: str
    at_s: float
    order: tuple[str, ...]
    failed: tuple[str, ...]
    answered: str

    @property
    def first(self) -> str:
        """Who answered, or would have been asked first."""
        return self.answered or (self.order[0] if self.order else "")


@dataclass(slots=True)
class Trial:
    """The book, its config, and its calls by id; refused ones stand for as many as `counts` says."""

    folder: Path
    calls: dict[str, Kind] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The config that it was written under."""
        return self.folder / "modelrouter.yaml"

    def changed(self, **read_options: Path) -> dict[str, Difference]:
        """What a replay finds, by call: only those to which something happens.

        Args:
            read_options: `config`, `policy` or `catalog` (a folder) in place of the present one.
        """
        catalog = read_options.get("catalog")
        setup = read(
            read_options.get("config", self.config),
            policy=read_options.get("policy"),
            catalog=None if catalog is None else read_catalog(catalog),
        ).setup
        regime = Regime(grounds_of(setup), setup.ladders)
        found: dict[str, Difference] = {}
        with opened_book(self.folder / "book.db") as book, book.reading() as session:
            calls = PastCalls(session)
            seen = 0
            for past in calls:
                seen += 1
                difference = compare(past, regime)
                if difference.change not in {Change.SAME, Change.STILL_REFUSED}:
                    found[past.recorded.moment.seed] = difference
            assert not calls.left_out, calls.left_out
            assert not calls.unlike
            assert seen == len(self.calls)
        return found


@contextmanager
def opened_book(path: Path) -> Iterator[Ledger]:
    """A book, closed at the end."""
    book = open_ledger(f"sqlite:///{path}", SystemClock())
    try:
        yield book
    finally:
        book.close(60)


# --- writing ----------------------------------------------------------------------------------------------------------


def written_trial(folder: Path, calls: int, seed: int = 0) -> Trial:
    """Write a book of so many calls over four weeks, decided and booked by the parts that a Router uses."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "modelrouter.yaml").write_text(CONFIG, encoding="utf-8")
    for name, text in POLICIES.items():
        (folder / "policies" / f"{name}.yaml").write_text(text, encoding="utf-8")
    trial, chance = Trial(folder), random.Random(seed)
    epoch = Epoch(read(folder / "modelrouter.yaml").setup)
    with opened_book(folder / "book.db") as book:
        texts = {**epoch.setup.digests, "grounds": epoch.grounds}
        book.remember([Document(each.sha256, name.partition("/")[0], name, each.text) for name, each in texts.items()])
        for number in range(calls):
            _call(trial, epoch, book, chance, number, BEGIN_S + DAYS * 86_400 * number / calls)
            if number % 2_000 == 1_999:
                _wait(book)
        _wait(book)
    return trial


def _call(trial: Trial, epoch: Epoch, book: Ledger, chance: random.Random, number: int, at_s: float) -> None:
    route = chance.choice(("support", "support", "drafts", "shared", "best", "sealed"))
    data_class = chance.choice(("public", "personal", ""))
    tags = {"team": chance.choice("abc"), **({"data_class": data_class} if data_class else {})}
    names = epoch.route(route).candidates
    request = Request(
        route,
        (),
        size=Size(chance.randrange(20, 4_000), message_count=chance.choice((1, 1, 2, 5))),
        needs=Needs(parameters=frozenset({"temperature"} if chance.random() < 0.2 else ())),
        max_output_tokens=chance.choice((None, None, 200, 1_000)),
        tags=tags,
        ceiling_nano_usd=chance.choice((None, None, None, 4 * 10**9)),
        session=chance.choice((None, "s1", "s2")),
        request_id=f"r-{number}" if chance.random() < 0.1 else None,
    )
    moment = Moment(
        at_s,
        seed=f"c-{number}",
        in_flight={name: chance.randrange(4) for name in names if chance.random() < 0.3},
        observed_output_tokens={name: chance.uniform(20, 400) for name in names if chance.random() < 0.5},
        is_stream=chance.random() < 0.3,
    )
    decision = epoch.decide(request, moment)
    stored = {**({} if data_class else {"data_class": "personal"}), **tags}
    record = call_record(moment.seed, request, decision, epoch, stored)
    order = tuple(each.deployment for each in decision.permitted)
    failing = chance.choice((0,) * 17 + (1, 1, 9))  # some fall back, and of some all fail
    failed, answered = order[:failing], next(iter(order[failing:]), "")
    trial.calls[moment.seed] = Kind(route, data_class, at_s, order, failed, answered)
    if not order:
        count = trial.counts[moment.seed] = chance.randrange(1, 4)
        book.note_refused([RefusedCalls(record, first_rules(decision), count, int(at_s * 1e6))], lambda _: None)
        return
    for place, name in enumerate((*failed, answered) if answered else failed):
        has_failed = place < len(failed)
        _attempt(book, epoch, decision, (record, place + 1, name), chance, has_failed=has_failed)


def _attempt(
    book: Ledger,
    epoch: Epoch,
    decision: Decision,
    what: tuple[CallRecord, int, str],
    chance: random.Random,
    *,
    has_failed: bool,
) -> None:
    record, number, name = what
    setup = epoch.setup
    deployment = setup.world.deployments[name]
    candidate = next(each for each in decision.permitted if each.deployment == name)
    price, bound = candidate.hop.price, candidate.bound
    reservation = f"{decision.moment.seed}-{number}"
    book.reserve(
        Reservation(
            reservation, record, number, name, deployment.operator, deployment.model, bound, price,
            setup.developer_of(deployment),
        ),
        _must,
    )  # fmt: skip
    if has_failed:
        failure = Failure(FailureKind.SERVER_ERROR, Phase.SENT, "the server said 503", status=503)
        attempt = Attempt(number, name, bound, price, 0.0, 0.5, failure=failure)
        book.resolve(Resolution(reservation, Billing.UNBILLED, 0, attempt))
        return
    usage = Usage(bound.input_tokens // 4, min(bound.max_output_tokens, chance.randrange(10, 300)))
    cost = price.cost_nano_usd(usage)
    attempt = Attempt(number, name, bound, price, 0.0, 1.5, usage=usage, billing=Billing.BILLED, cost_nano_usd=cost)
    book.resolve(Resolution(reservation, Billing.BILLED, cost, attempt))


def _must(error: Exception | None) -> None:
    if error is not None:
        raise error


def _wait(book: Ledger) -> None:
    done = threading.Event()
    book.note_refused([], lambda _: done.set())
    assert done.wait(120)


# --- six changes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One change, and for each call of the book what must come of it.

    Attributes:
        expected: change and new choice for a call of this kind; None: nothing.
    """

    name: str
    change: Callable[[Trial], dict[str, Path]]
    expected: Callable[[Kind], tuple[Change, str] | None]


def _policy(name: str, text: str) -> Callable[[Trial], dict[str, Path]]:
    def change(trial: Trial) -> dict[str, Path]:
        path = trial.folder / f"{name}.new.yaml"
        path.write_text(text, encoding="utf-8")
        return {"policy": path}

    return change


def _config(before: str, after: str) -> Callable[[Trial], dict[str, Path]]:
    def change(trial: Trial) -> dict[str, Path]:
        path = trial.folder / "other.yaml"
        assert CONFIG.count(before) == 1
        path.write_text(CONFIG.replace(before, after), encoding="utf-8")
        return {"config": path}

    return change


def _retire(trial: Trial) -> dict[str, Path]:
    """A copy of the catalog in which one model is retired."""
    folder = trial.folder / "catalog"
    shutil.copytree(Path(modelrouter.catalog.__file__).parent, folder, dirs_exist_ok=True)
    path = folder / "models" / "openai.yaml"
    text = path.read_text(encoding="utf-8")
    entry = f'  retires_on: {{value: {RETIRED}, source: {{ref: "the tests", confidence: high}}}}\n'
    path.write_text(text.replace("gpt-5.6-sol:\n", f"gpt-5.6-sol:\n{entry}", 1), encoding="utf-8")
    return {"catalog": folder}


def _left(kind: Kind, *gone: str) -> str:
    """Who is asked instead: the next of the order behind whoever was passed over."""
    passed = kind.order[: kind.order.index(kind.first)]
    return next((name for name in kind.order if name not in {*passed, *gone}), "")


def _stricter(kind: Kind) -> tuple[Change, str] | None:
    is_bound = kind.route == "support" and kind.data_class != "public"
    return (Change.NEWLY_REFUSED, "") if is_bound else None


def _no_tower(kind: Kind) -> tuple[Change, str] | None:
    if kind.first != "cn":
        return None
    after = _left(kind, "cn")
    return (Change.MOVED, after) if after else (Change.NOBODY_LEFT, "")


def _nearer(kind: Kind) -> tuple[Change, str] | None:
    if kind.route == "sealed":
        return Change.NEWLY_PERMITTED, "us"
    return (Change.MOVED, "us") if kind.route == "support" and kind.data_class != "public" else None


def _dearer(kind: Kind) -> tuple[Change, str] | None:
    if kind.first != "cn":
        return None
    if kind.route == "shared":
        return (Change.REPRICED, "cn") if kind.answered else None
    return Change.MOVED, _left(kind, "cn")


def _retired(kind: Kind) -> tuple[Change, str] | None:
    day = datetime.fromtimestamp(kind.at_s, UTC).date()
    return (Change.MOVED, "eu") if kind.first == "closed" and day > RETIRED else None


def _opened_rooms(kind: Kind) -> tuple[Change, str] | None:
    return (Change.NEWLY_PERMITTED, "us") if kind.route == "sealed" else None


CASES: Final = (
    Case(
        "a rule: personal data in France only",
        _policy("personal-data", POLICIES["personal-data"].replace("[EU]", "[FR]")),
        _stricter,
    ),
    Case(
        "a rule: nobody from China, in the house",
        _policy("house", "policy: house\nrules: {request.cost_usd: {max: 5}, developer.country: {deny: [CN]}}\n"),
        _no_tower,
    ),
    Case("a fact: where `us` processes", _config("processing: [US]", "processing: [DE]"), _nearer),
    Case(
        "a price: that of `cn`",
        _config("input_usd_per_mtok: 0.2, output_usd_per_mtok: 0.4", "input_usd_per_mtok: 25, output_usd_per_mtok: 50"),
        _dearer,
    ),
    Case("a fact of the catalog: a model is retired in the middle of the time", _retire, _retired),
    Case(
        "a rule: what was refused is allowed",
        _policy("sealed-rooms", POLICIES["sealed-rooms"].replace("[EU]", "[EU, US]")),
        _opened_rooms,
    ),
)


def differences(trial: Trial, case: Case) -> Iterator[str]:
    """What a replay of a case finds otherwise than was named beforehand, in words."""
    wanted = {name: told for name, kind in trial.calls.items() if (told := case.expected(kind)) is not None}
    got = trial.changed(**case.change(trial))
    for name in wanted.keys() | got.keys():
        found = got.get(name)
        came = None if found is None else (found.change, found.after)
        if came != wanted.get(name):
            yield f"{name} ({trial.calls[name]}): expected {wanted.get(name)}, got {came}"


ALTERATIONS: Final = {
    "a price in the grounds": (
        "UPDATE documents SET body = replace(body, '\"0.5\"', '\"0.4\"') WHERE kind = 'grounds'",
    ),
    "a rule in the grounds": (
        "UPDATE documents SET body = replace(body, '[\"EU\"]', '[\"FR\"]') WHERE kind = 'grounds'",
    ),
    "the grounds are gone": ("DELETE FROM documents WHERE kind = 'grounds'",),
    "a value that was read": (
        "UPDATE calls SET decision = replace(decision, '\"text_bytes\":', '\"text_bytes\":1') WHERE call_id = :call",
    ),
    "the moment": ("UPDATE calls SET decision = replace(decision, '\"at\":', '\"at\":1') WHERE call_id = :call",),
    "the outcome": (
        'UPDATE calls SET decision = replace(decision, \'"outcome":"\', \'"outcome":"0\') WHERE call_id = :call',
    ),
    "the route": ("UPDATE calls SET route = 'drafts' WHERE call_id = :call",),
    "a tag": ("UPDATE calls SET tags = replace(tags, 'team', 'teem') WHERE call_id = :call",),
    "the hash of the record": ("UPDATE entries SET call_digest = '0' WHERE call_id = :call AND number = 1",),
    "the record and its hash": (
        "UPDATE calls SET session = 'other' WHERE call_id = :call",
        "UPDATE entries SET call_digest = '0' WHERE call_id = :call AND number = 1",
    ),
}
"""What somebody may do to the stored inputs of one decision; each must be found when it is derived again."""


# --- derived again -------------------------------------------------------------------------------------------------


def derived(trial: Trial, most: int, seed: int) -> dict[str, float]:
    """Derive decisions again from the book alone: nothing else can be read."""
    names = sorted(trial.calls)
    random.Random(seed).shuffle(names)
    for path in (trial.config, *(trial.folder / "policies").iterdir()):
        path.unlink()
    gone = mock.patch("modelrouter.catalog.loader.read_catalog", side_effect=AssertionError("the catalog is gone"))
    same = 0
    with gone, opened_book(trial.folder / "book.db") as book, book.reading() as session:
        kept, begun_s = GroundsKept(session), process_time()
        for name in names[:most]:
            found = rederive(session, name, kept)
            if found is None or found.faults or found.decision is None:
                continue
            order = tuple(each.deployment for each in found.decision.permitted)
            same += order == trial.calls[name].order
        used_s = process_time() - begun_s
    return {"decisions": len(names[:most]), "same": same, "cpu_s": used_s}


def altered(trial: Trial) -> dict[str, bool]:
    """Each kind of stored input, altered by somebody with the file in hands: is it found?"""
    found: dict[str, bool] = {}
    name = next(name for name, kind in trial.calls.items() if kind.answered and kind.route == "support")
    for what, statements in ALTERATIONS.items():
        path = trial.folder / "altered.db"
        with closing(sqlite3.connect(trial.folder / "book.db")) as whole, closing(sqlite3.connect(path)) as copy:
            whole.backup(copy)
            for (trigger,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                copy.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                copy.execute(statement, {"call": name})
            copy.commit()
        with opened_book(path) as book, book.reading() as session:
            told = rederive(session, name)
        found[what] = told is None or bool(told.faults)
        path.unlink()
    return found
