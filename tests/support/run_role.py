"""What a test needs beside LIVINGWORLD_TEST_ROLE: to be the owner, all worlds, rights for the role, its programs."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import nullcontext
from typing import Final

import pytest

from livingworld.errors import InvalidSettings
from livingworld.settings.settings import Settings
from livingworld.testing.roles import RunAs, as_owner

#: Folders, with spaces between them, whose tests are in LIVINGWORLD_TEST_ROLE; others are the owner's. None: all are.
FOLDERS: Final = tuple(f"{folder.rstrip('/')}/" for folder in os.environ.get("LIVINGWORLD_TEST_ROLE_IN", "").split())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Be the owner in a test that is marked with `as_owner`, and why, and in folders that are not in the role."""
    with as_owner() if wants_owner(item) else nullcontext():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, where a transaction is shown one world only, what is marked with `all_worlds` and why."""
    if (role := RunAs.chosen()) is None or not role.isolated:
        return
    for item in items:
        if (mark := item.get_closest_marker("all_worlds")) is not None:
            (why,) = mark.args
            item.add_marker(pytest.mark.skip(reason=why))


def wants_owner(item: pytest.Item, folders: tuple[str, ...] = FOLDERS) -> bool:
    """Return whether a test opens its worlds as the owner."""
    if (mark := item.get_closest_marker("as_owner")) is not None:
        (why,) = mark.args
        assert why
        return True
    return bool(folders) and not item.nodeid.startswith(folders)


async def give_rights(url: str) -> None:
    """Do in a database that a test has migrated what follows an upgrade: give the role of the run its rights."""
    if (role := RunAs.chosen()) is not None:
        await role.prepare(url)


def url_of_the_run(url: str) -> str:
    """Return the URL that a program is given: that of the role and the pooler of the run, where it is the owner's."""
    settings = _of_the_run(url)
    found = None if settings is None else settings.url()
    return url if found is None else found.render_as_string(hide_password=False)


def pooler_of_the_run(url: str) -> dict[str, str]:
    """Return the environment in which a program with the URL of the run finds it: without a pooler there is none."""
    settings = _of_the_run(url)
    direct = None if settings is None else settings.listening_url()
    if settings is None or direct is None:
        return {}
    return {
        "LIVINGWORLD_BEHIND_POOLER": "true",
        "LIVINGWORLD_PREPARED_STATEMENTS": str(settings.keeps_statements()),
        "LIVINGWORLD_DIRECT_DATABASE_URL": direct.render_as_string(hide_password=False),
    }


def _of_the_run(url: str) -> Settings | None:
    try:
        return Settings.load(database_url=url)
    except InvalidSettings:
        return None
