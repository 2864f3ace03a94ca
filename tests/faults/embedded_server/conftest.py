"""Homes for embedded servers that live for one test, and programs that use them from processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from livingworld.embedded_server import find_binaries
from livingworld.embedded_server.binaries import read_major_version
from livingworld.embedded_server.layout import Layout
from livingworld.errors import EmbeddedServerFailed
from tests.faults.embedded_server.programs import ClientProgram
from tests.support.embedded_servers import make_home, remove_home
from tests.support.initialised_once import with_data


@pytest.fixture
def home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Yield a directory that the user of PostgreSQL can enter; end a server that a failed test left in it.

    It has a server's first data, unless the test is marked `first_start`.
    """
    try:
        find_binaries()
    except EmbeddedServerFailed as error:
        pytest.skip(str(error))
    home = make_home()
    yield home if request.node.get_closest_marker("first_start") else with_data(home)
    remove_home(home)


@pytest.fixture
def layout(home: Path) -> Layout:
    """Give the paths of the server in `home`."""
    return Layout(home.resolve(), read_major_version(find_binaries()))


@pytest.fixture
def client(home: Path) -> Iterator[Callable[..., ClientProgram]]:
    """Give a way to run clients of the server in `home` as processes of their own; those left over are ended."""
    programs: list[ClientProgram] = []

    def launch(**options: object) -> ClientProgram:
        programs.append(ClientProgram(home, **options))  # type: ignore[arg-type]
        return programs[-1]

    yield launch
    for program in programs:
        program.end()
