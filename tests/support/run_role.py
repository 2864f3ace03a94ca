"""What a test needs beside LIVINGWORLD_TEST_ROLE: to be the owner, rights for the role, programs in the role."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from livingworld.errors import InvalidSettings
from livingworld.settings.settings import Settings
from livingworld.testing.roles import RunAs, as_owner


@pytest.fixture(autouse=True)
def owner_where_it_is_needed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Be the owner in a test that is marked with `as_owner`, and why."""
    mark = request.node.get_closest_marker("as_owner")
    if mark is None:
        yield
        return
    (why,) = mark.args
    assert why
    with as_owner():
        yield


async def give_rights(url: str) -> None:
    """Do in a database that a test has migrated what follows an upgrade: give the role of the run its rights."""
    if (role := RunAs.chosen()) is not None:
        await role.prepare(url)


def url_of_the_run(url: str) -> str:
    """Return the URL that a program is given: that of the role of the run, where the URL is the owner's."""
    if RunAs.chosen() is None:
        return url
    try:
        found = Settings.load(database_url=url).url()
    except InvalidSettings:
        return url
    return url if found is None else found.render_as_string(hide_password=False)
