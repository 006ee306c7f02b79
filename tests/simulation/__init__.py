"""The pure parts of the package under a simulated clock, network and store; see `run`."""
