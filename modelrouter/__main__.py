"""`python -m modelrouter` is the command `modelrouter`."""

from __future__ import annotations

import sys

from modelrouter.cli import main

if __name__ == "__main__":
    sys.exit(main())
