"""`modelrouter demo`: the whole story on one machine, with a real model and nothing made up.

`weights` and `fetch` bring the model file, `server` runs it, `stage` writes the config, `story` plays, `screen` shows.
"""

from modelrouter.demo.story import run_demo

__all__ = ["run_demo"]
