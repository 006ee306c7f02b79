"""Every example, run as a newcomer runs it."""
