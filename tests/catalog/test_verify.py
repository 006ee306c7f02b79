"""`catalog verify` finds every fault that is planted, where it was planted, and nothing in the shipped catalog."""

from __future__ import annotations

import json
import random
import sys
from copy import deepcopy
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter.catalog.verify import AGE_MAX_DAYS, Kind, verify
from tests.catalog.seeded_faults import KINDS, Copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog.verify import Finding
    from tests.catalog.seeded_faults import Planted

SHIPPED: Final = Path(str(files("modelrouter.catalog")))
TODAY: Final = date(2026, 11, 29)
SEED: Final = 20261129
FAULTS: Final = 240
PARTS: Final = 6


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy of the shipped catalog."""
    return Copy(SHIPPED, tmp_path_factory.mktemp("verify") / "catalog")


def found_where(findings: list[Finding], planted: Planted) -> bool:
    """Whether a finding stands where the fault was planted."""
    return any(
        each.file == name and (lines is None or (each.line is not None and each.line in lines))
        for each in findings
        for name, lines in planted.where
    )


def planted_faults(copy: Copy, seed: int, number: int, first: int) -> Iterator[tuple[str, Planted, list[Finding]]]:
    """Plant faults one by one, every kind in turn, and yield what was found of each."""
    names = sorted(KINDS)
    random.Random(SEED).shuffle(names)
    for index in range(first, first + number):
        name = names[index % len(names)]
        copy.heal()
        planted = KINDS[name](copy, random.Random(f"{seed}/{index}"))
        if planted.is_compiled:
            copy.compile()
        yield name, planted, verify(copy.folder, TODAY)[1]
    copy.heal()


def trial(copy: Copy, seed: int, number: int, first: int = 0) -> tuple[int, list[str]]:
    """How many faults were planted, and those that were missed."""
    sys.stdout.write(f"seed {seed}, {number} faults of {len(KINDS)} kinds\n")
    missed, done = [], 0
    for name, planted, findings in planted_faults(copy, seed, number, first):
        done += 1
        if not found_where(findings, planted):
            missed.append(f"{name}: {planted.shown}: {[(each.place, each.message) for each in findings[:3]]}")
    return done, missed


def test_the_shipped_catalog_has_no_findings() -> None:
    """Nothing is wrong with it, and everything in it was read."""
    shelf, findings = verify(SHIPPED, TODAY)
    assert [(each.place, each.key, each.message) for each in findings] == []
    assert not shelf.unread
    assert len(shelf.models) == len(shelf.raw["models"]) >= 250


def test_an_unharmed_copy_has_no_findings(copy: Copy) -> None:
    """Copying, harming and healing leave nothing behind."""
    copy.heal()
    assert verify(copy.folder, TODAY)[1] == []


def test_every_planted_fault_is_found(copy: Copy) -> None:
    """A twentieth of the trial: faults of as many kinds, each found in its file and on its line."""
    done, missed = trial(copy, SEED, FAULTS // 20)
    assert missed == []
    assert done == FAULTS // 20


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_every_planted_fault_is_found_in_the_whole_trial(part: int, copy: Copy) -> None:
    """240 faults of at least 12 kinds, in places that seeds chose: all of them found, where they were planted."""
    done, missed = trial(copy, SEED + part, FAULTS // PARTS, part * FAULTS // PARTS)
    assert missed == []
    assert done * PARTS >= 200
    assert len(KINDS) >= 12


JUNK: Final[list[Any]] = [
    None, [], {}, 0, -1, True, "", "x", [1], [None], {"a": 1}, {"value": None}, {"state": "none"}, "2026-13-01",
    "unknown",
]  # fmt: skip


def steps_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside another."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from steps_of(item, (*path, key))


def junk_in(copy: Copy, seed: int, number: int) -> None:
    """Put values of any kind in any place of a file, four at a time, and verify: nothing may be raised."""
    sys.stdout.write(f"seed {seed}, {number} files\n")
    (copy.folder / "compiled.json").unlink(missing_ok=True)
    told = 0
    for index in range(number):
        rng = random.Random(f"{seed}/{index}")
        name = rng.choice(sorted(copy.documents))
        value: Any = json.loads(json.dumps(copy.documents[name].value, default=str))
        for _ in range(4):
            *above, last = rng.choice(list(steps_of(value)))
            inner = value
            for step in above:
                inner = inner[step]
            inner[last] = deepcopy(rng.choice(JUNK))
        copy.write(name, json.dumps(value))  # JSON is YAML
        told += bool(verify(copy.folder, TODAY)[1])
        copy.write(name, copy.texts[name])
    copy.heal()
    assert told >= number * 3 // 4  # a word such as `unknown` may happen to be right


def test_a_file_of_anything_is_told_and_never_raises(copy: Copy) -> None:
    """Whatever stands in a file, in whatever place, is a finding."""
    junk_in(copy, SEED, 8)


@pytest.mark.long
def test_many_files_of_anything_are_told_and_never_raise(copy: Copy) -> None:
    """The same with 150 files of another seed."""
    junk_in(copy, SEED + 1, 150)


def test_faults_are_found_all_at_once(copy: Copy) -> None:
    """Several faults, two of them in one entry, are several findings, in the order of files and lines."""
    copy.heal()
    text = copy.texts["models/meta.yaml"].replace("context_tokens: 131072", "context_tokens: many", 1)
    copy.write("models/meta.yaml", text.replace("openness: open_weights", "openness: free", 1))
    copy.write("licences.yaml", copy.texts["licences.yaml"].replace("spdx: MIT\n", "spdxx: MIT\n", 1))
    copy.compile()
    findings = verify(copy.folder, TODAY)[1]
    copy.heal()
    assert {each.file for each in findings} >= {"licences.yaml", "models/meta.yaml"}
    assert [each.kind for each in findings if each.file == "models/meta.yaml"] == [Kind.ENTRY, Kind.ENTRY]
    assert [(each.file, each.line or 0) for each in findings] == sorted(
        (each.file, each.line or 0) for each in findings
    )


def test_a_source_that_is_missing_is_one_finding(copy: Copy) -> None:
    """Every fact of the entry rests on it, and the entry is told about once."""
    copy.heal()
    lines = copy.texts["models/meta.yaml"].splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if line.startswith("  source:"))
    copy.write("models/meta.yaml", "".join(lines[:number] + lines[number + 1 :]))
    copy.compile()
    findings = verify(copy.folder, TODAY)[1]
    copy.heal()
    assert [each.kind for each in findings] == [Kind.SOURCE]


def test_a_check_is_too_old_from_one_day_to_the_next() -> None:
    """A fact may be as old as is allowed, and not a day older."""
    oldest = date(2026, 11, 22)
    last = date.fromordinal(oldest.toordinal() + AGE_MAX_DAYS)
    assert verify(SHIPPED, last)[1] == []
    assert {each.kind for each in verify(SHIPPED, date.fromordinal(last.toordinal() + 1))[1]} == {Kind.DATE}
    assert verify(SHIPPED, TODAY, age_max_days=7)[1] == []
    assert verify(SHIPPED, TODAY, age_max_days=6)[1] != []


def test_a_table_that_cannot_be_read_makes_nothing_dangle(copy: Copy) -> None:
    """One broken file is one finding: what it holds is not missed elsewhere."""
    copy.heal()
    copy.write("organisations.yaml", "openai: [")
    copy.compile()
    findings = verify(copy.folder, TODAY)[1]
    copy.heal()
    assert [(each.file, each.kind) for each in findings] == [("organisations.yaml", Kind.FILE)]
