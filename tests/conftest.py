"""What every test may ask for, and how drawn cases are judged."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.real_model import local_model
from tests.real_postgres import book_url, postgres

__all__ = ["book_url", "local_model", "postgres"]

# Two busy cores: a slow example is no wrong example, and what fails can be drawn again.
settings.register_profile("modelrouter", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modelrouter")
