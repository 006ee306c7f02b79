"""The tests mirror `modelrouter/`; `python -m tests` runs them with everything else that must hold."""
