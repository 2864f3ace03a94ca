from importlib.metadata import version

from hypothesis import HealthCheck, settings

from livingworld.testing.throw_away_directory import end_programs_with_this_process

pytest_plugins = ["livingworld.testing.fixtures"]

# A machine that has other things to do is no failure.
settings.register_profile("livingworld", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("livingworld")

end_programs_with_this_process()


def pytest_report_header() -> str:
    """Say on what the tests run: CI runs them on the oldest SQLAlchemy too."""
    return f"SQLAlchemy {version('sqlalchemy')}, asyncpg {version('asyncpg')}"
