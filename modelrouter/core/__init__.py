"""The pure heart: what a request is, what may serve it, in which order, and what it may cost.

What may not enter this room: a clock, the network, files, randomness, logging, globals that change, other rooms of the
package but `errors`. Time, load and luck arrive as values. `tests/core/test_purity.py` checks what a fresh
interpreter loads.
"""
