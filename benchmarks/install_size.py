"""What the base install brings along: packages and megabytes, from a fresh environment with the pinned versions.

`--parts` also prints the largest packages.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000

# run by the fresh interpreter: sizes by what each distribution says it installed
LIST = """
import importlib.metadata as metadata, json
sizes = {}
for each in metadata.distributions():
    files = [file.locate() for file in each.files or () if "__pycache__" not in str(file)]
    sizes[each.metadata["Name"]] = sum(file.stat().st_size for file in files if file.is_file())
print(json.dumps(sizes))
"""


def main() -> int:
    """Install into a fresh environment and print what is there."""
    parser = argparse.ArgumentParser(description="packages and megabytes of the base install")
    parser.add_argument("--parts", action="store_true", help="also print the largest packages")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
        install = [python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "."]
        subprocess.run(install, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        listed = subprocess.run([python, "-c", LIST], cwd=folder, check=True, capture_output=True, text=True)
    sizes: dict[str, int] = json.loads(listed.stdout)
    ours = {name: size for name, size in sizes.items() if name not in {"pip", "setuptools"}}
    print(f"base install: {len(ours)} packages, {sum(ours.values()) / MEGABYTE:.0f} MB")
    if chosen.parts:
        for name, size in sorted(ours.items(), key=lambda each: -each[1])[:10]:
            print(f"  {name:24} {size / MEGABYTE:6.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
