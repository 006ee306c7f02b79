"""Loading: ids that are not there, damaged files, the digest, and how long it takes."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

from modelrouter.catalog import load_catalog
from modelrouter.catalog.compiled import COMPILED, compiled
from modelrouter.catalog.loader import read_catalog
from modelrouter.core.facts import Openness
from modelrouter.errors import CatalogError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small catalog of one model."""
    source = "source: {ref: x, checked_on: 2026-11-22}"
    (tmp_path / "models").mkdir()
    (tmp_path / "operators").mkdir()
    (tmp_path / "organisations.yaml").write_text(
        f"acme:\n  country: DE\n  parent: none\n  {source}\n", encoding="utf-8"
    )
    (tmp_path / "licences.yaml").write_text(f"mit:\n  spdx: MIT\n  {source}\n", encoding="utf-8")
    (tmp_path / "groups.yaml").write_text(
        f"DACH:\n  members: [AT, CH, DE]\n  as_of: 2026-11-22\n  {source}\n", encoding="utf-8"
    )
    (tmp_path / "models" / "acme.yaml").write_text(f"one:\n  developer: acme\n  {source}\n", encoding="utf-8")
    (tmp_path / "operators" / "acme.yaml").write_text(f"operator: acme\nkind: host\n{source}\n", encoding="utf-8")
    return tmp_path


def test_a_folder_becomes_a_catalog(folder: Path) -> None:
    """Each file lands in its table."""
    catalog = read_catalog(folder)
    assert catalog.model("one").developer.value == "acme"
    assert catalog.organisation("acme").country.value == "DE"
    assert catalog.licence("mit").spdx == "MIT"
    assert catalog.group("DACH") == {"AT", "CH", "DE"}
    assert catalog.template("acme").operator == "acme"


def test_the_compiled_catalog_says_what_the_files_say() -> None:
    """Whoever edits a file compiles it again: otherwise every start would read the files one by one."""
    folder = Path(str(files("modelrouter.catalog")))
    assert (folder / COMPILED).read_text(encoding="utf-8") == compiled(folder), (
        "run `python -m modelrouter.catalog.refresh_compiled`"
    )


def test_a_compiled_catalog_never_hides_an_edit(folder: Path) -> None:
    """Files that were changed after compiling are read themselves; the digest follows what they say."""
    before = read_catalog(folder).digest
    (folder / COMPILED).write_text(compiled(folder), encoding="utf-8")
    assert read_catalog(folder).digest == before
    model = folder / "models" / "acme.yaml"
    model.write_text(model.read_text(encoding="utf-8").replace("acme", "acme  # as ever"), encoding="utf-8")
    assert read_catalog(folder).digest == before
    model.write_text(model.read_text(encoding="utf-8") + "  openness: closed\n", encoding="utf-8")
    assert read_catalog(folder).model("one").openness.value is Openness.CLOSED
    assert read_catalog(folder).digest != before


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 1, "sha256": {}, "files": {}}', '{"version": 2}'])
def test_a_damaged_compiled_catalog_is_left_aside(folder: Path, text: str) -> None:
    """What cannot be used is as good as not there."""
    (folder / COMPILED).write_text(text, encoding="utf-8")
    assert read_catalog(folder).model("one").developer.value == "acme"


def test_the_shipped_catalog_is_read_once() -> None:
    """Every caller in a process gets the same object."""
    assert load_catalog() is load_catalog()


@pytest.mark.parametrize(
    ("table", "wanted", "words"),
    [
        (
            "model",
            "mistral-small-3.1",
            "model `mistral-small-3.1` is not in the catalog: did you mean `mistral-small-3",
        ),
        ("model", "gpt-5.6-so", "did you mean `gpt-5.6-sol`"),
        ("organisation", "mistrall", "did you mean `mistral`"),
        ("licence", "apache2", "did you mean `apache-2.0`"),
        ("group", "EAA", "did you mean `EEA`"),
        ("template", "azur", "operator `azur` is not in the catalog: did you mean `azure`"),
    ],
)
def test_an_unknown_id_names_the_nearest(table: str, wanted: str, words: str) -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(CatalogError, match=words):
        getattr(load_catalog(), table)(wanted)


def test_a_server_of_ones_own_needs_its_kind() -> None:
    """`self` alone says nothing about the wire; a wrong kind gets the nearest."""
    with pytest.raises(CatalogError, match=r"say which server it is: .*llamacpp.*vllm"):
        load_catalog().template("self")
    with pytest.raises(CatalogError, match="did you mean `vllm`"):
        load_catalog().template("self", "vlm")


def test_the_digest_follows_the_content_alone(folder: Path) -> None:
    """Comments, order and layout change nothing; a value does."""
    first = read_catalog(folder).digest
    file = folder / "licences.yaml"
    file.write_text(
        '# reviewed\n"mit":\n    source: {checked_on: "2026-11-22", ref: x}\n    spdx: MIT\n', encoding="utf-8"
    )
    assert read_catalog(folder).digest == first
    file.write_text("mit: {spdx: MIT-0, source: {ref: x, checked_on: 2026-11-22}}\n", encoding="utf-8")
    assert read_catalog(folder).digest != first


def test_a_model_in_two_files_is_refused(folder: Path) -> None:
    """Which of the two would hold depended on the order of names."""
    (folder / "models" / "other.yaml").write_text("one: {developer: acme, source: x}\n", encoding="utf-8")
    with pytest.raises(CatalogError, match="`one` is in two files") as caught:
        read_catalog(folder)
    assert caught.value.file == "models/other.yaml"


@pytest.mark.parametrize(
    ("name", "text", "words", "line"),
    [
        ("licences.yaml", "mit:\n\tspdx: MIT\n", "no value begins with this character|a tab cannot indent", 2),
        ("licences.yaml", "mit: {spdx: MIT}\nmit: {spdx: MIT}\n", "`mit` is given twice", 2),
        ("licences.yaml", "- mit\n", "a mapping of ids to entries", 1),
        ("licences.yaml", "mit:\n  spdx: MIT\n  osi: true\n", "unknown key `osi`", 3),
        ("groups.yaml", "DACH: {members: [XX], as_of: 2026-11-22, source: x}\n", "`XX` is no ISO", 1),
        ("groups.yaml", "DACH: {members: [DE], source: x}\n", "is no day", 1),
        ("groups.yaml", "DACH: {members: [DE], as_of: 2026-11-22}\n", "add `source:`", 1),
    ],
)
def test_a_damaged_file_is_named_with_its_line(folder: Path, name: str, text: str, words: str, line: int) -> None:
    """File and line, and what to change."""
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError, match=words) as caught:
        read_catalog(folder)
    assert (caught.value.file, caught.value.line) == (name, line)


def test_a_missing_file_is_named(folder: Path) -> None:
    """A broken installation is one sentence."""
    (folder / "groups.yaml").unlink()
    with pytest.raises(CatalogError, match="cannot be read") as caught:
        read_catalog(folder)
    assert caught.value.file == "groups.yaml"


def test_loading_needs_no_pydantic() -> None:
    """The schema stays out of a process that only loads: it is heavy, and the shipped files are tested."""
    code = (
        "import sys; from modelrouter.catalog import load_catalog; load_catalog();"
        "print(sorted({'pydantic', 'aiohttp', 'litellm', 'openai'} & set(sys.modules)))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_how_long_loading_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, not asserted: machines differ. The figure to keep is below 60 ms."""
    root = files("modelrouter.catalog")
    started = time.perf_counter()
    catalog = read_catalog(root)
    taken_ms = 1000 * (time.perf_counter() - started)
    with capsys.disabled():
        print(f"\ncatalog: {len(catalog.models)} models, {len(catalog.templates)} templates in {taken_ms:.1f} ms")  # noqa: T201 - the figure is this test's product
    assert catalog.digest == load_catalog().digest
