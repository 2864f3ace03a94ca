"""Commands and the doctor say whether the standby of the settings is one of the database, and how far behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from livingworld import LivingWorld, Settings
from livingworld.doctor import Doctor
from livingworld.postgres.replicas.standing import ReplicaStanding, replica_standing
from livingworld.settings.database_url import parse_url
from tests.faults.replication import Pair, replicated
from tests.faults.tcp_server import free_port
from tests.support.command import start_command

pytestmark = pytest.mark.xdist_group("the standing of a standby")  # what they share is made once


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with replicated() as both:
        yield both


async def standing(pair: Pair, replica_url: str) -> ReplicaStanding:
    settings = Settings.load(database_url=pair.primary.url(), replica_url=replica_url)
    found = await replica_standing(settings, parse_url(pair.primary.url()))
    assert found is not None
    return found


async def test_a_standby_is_so_many_bytes_behind(pair: Pair) -> None:
    with pair.held_back():
        async with LivingWorld.open(pair.settings()) as livingworld:
            await livingworld.worlds.create("Saltmarsh")
        found = await standing(pair, pair.standby.url())

    assert found.refused is None
    assert found.behind is not None
    assert found.behind > 0
    assert f"{found.behind} bytes behind" in str(found)


async def test_what_is_no_standby_of_it_is_named(pair: Pair) -> None:
    nobody = f"postgresql://trusted@127.0.0.1:{free_port()}/postgres"
    itself = pair.primary.url(query="target_session_attrs=any")

    assert (await standing(pair, itself)).refused == "promoted"
    assert (await standing(pair, nobody)).refused is not None
    assert (await standing(pair, pair.primary.url())).refused is not None  # a standby is looked for


async def test_the_doctor_finds_a_standby_that_would_not_be_read(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_DATABASE_URL", pair.primary.url())
    for url, is_found in ((pair.standby.url(), False), (pair.primary.url(), True)):
        monkeypatch.setenv("LIVINGWORLD_REPLICA_URL", url)
        async with Doctor.open() as doctor:
            found = {finding.check for finding in await doctor.examine()}
        assert ("replica_unused" in found) is is_found


@pytest.mark.parametrize("command", ["status", "check"])
def test_the_command_says_so_and_its_exit_code_too(pair: Pair, command: str) -> None:
    for url, code in ((pair.standby.url(), 0), (pair.primary.url(query="target_session_attrs=any"), 1)):
        names = {"LIVINGWORLD_REPLICA_URL": url}
        with start_command("db", command, database_url=pair.primary.url(), **names) as process:
            told, complaint = process.communicate()
        assert ("a standby of this database" in told, process.returncode, complaint) == (code == 0, code, "")
