"""Tools for tests against a real PostgreSQL: of livingworld and of applications (extra `livingworld[testing]`).

`pytest_plugins = ["livingworld.testing.fixtures"]` in a top-level conftest.py brings the fixtures; `staged_races` is
imported where a race is staged. No other package of livingworld imports this one.
"""
