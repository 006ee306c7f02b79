"""Every benchmark, run with tiny parameters."""
