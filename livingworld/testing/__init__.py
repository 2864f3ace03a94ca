"""Tools for tests against a real PostgreSQL, livingworld's own and an application's (extra `livingworld[testing]`).

`pytest_plugins = ["livingworld.testing.fixtures"]` in a top-level conftest.py brings the fixtures; `staged_races` is
imported where a race is staged. Nothing else of livingworld imports this package.
"""
