"""Makes `compiled.json` anew from the catalog's files; for maintainers, after each edit of one.

python -m modelrouter.catalog.refresh_compiled
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from modelrouter.catalog.compiled import COMPILED, compiled

__all__ = ["main"]


def main() -> int:
    """Write the file beside the others."""
    folder = Path(str(files(__package__)))
    (folder / COMPILED).write_text(compiled(folder), encoding="utf-8")
    sys.stdout.write(f"{COMPILED} holds the files of {folder.name} as they are now\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
