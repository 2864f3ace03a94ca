"""No log and no exception repeats story text, a name or a password, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from livingworld import LivingWorld, NewScene
from livingworld.app.transaction_scope import TransactionScope
from livingworld.embedded_server import EmbeddedServer
from livingworld.errors import WrongPassword
from livingworld.settings.settings import Settings
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.recorded_events import recorded_events
from livingworld.testing.staged_races import connected
from tests.faults.going_wrong import (
    EXPECTED,
    NAME,
    PASSWORD,
    SCENE,
    TEXT,
    Stage,
    lost_append,
    no_such_role,
    with_password,
)


@pytest_asyncio.fixture
async def stage(proxy: ProtocolProxy, database_url: str, logs: list[str], no_patience: None) -> AsyncIterator[Stage]:
    patient = Settings.load(database_url=with_password(proxy.url), pool_size=2)
    settings = Settings.load(
        database_url=patient.database_url,
        pool_size=2,
        pool_timeout=timedelta(milliseconds=200),
        lock_timeout=timedelta(milliseconds=100),
        statement_timeout=timedelta(milliseconds=300),
        conflict_retries=1,
        outage_retries=1,
    )
    async with LivingWorld.open(patient) as livingworld:  # the first statements take longer on a busy machine
        world = await livingworld.worlds.create(NAME)
        story = await world.stories.create(TEXT, premise=TEXT, system_prompt=TEXT)
        await world.stories.append_scene(story.id, SCENE, request_key="first")
        await world.characters.get_or_create(NAME)
    async with LivingWorld.open(settings) as livingworld:
        yield Stage(proxy, livingworld, await livingworld.worlds.get(world.id), story, database_url)


@pytest.fixture(params=["structlog", "standard library"])
def logs(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect every log line; `livingworld` at its most talkative, all others at info."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="livingworld")
    lines: list[str] = []
    if request.param == "structlog":
        with recorded_events() as recorded:
            yield lines
            lines += [str((event.name, fields)) for event, fields in recorded.entries]
    else:
        yield lines
    records = caplog.get_records("setup") + caplog.get_records("call")
    lines += [f"{record.getMessage()} {vars(record)}" for record in records]
    assert lines
    for line in lines:
        assert_silent(line)


def assert_silent(said: str) -> None:
    for secret in (TEXT, NAME, NAME.casefold(), PASSWORD):
        assert secret not in said, said


def assert_says_nothing(error: BaseException) -> None:
    """Fail when the exception, or any that it is chained to, shown or not, has a secret in it."""
    assert_silent("".join(traceback.format_exception(error)))
    seen: list[BaseException | None] = [error]
    for link in seen:
        if link is not None:
            assert_silent(f"{link} {link!r} {link.args} {vars(link)} {getattr(link, '__notes__', '')}")
            seen += [other for other in (link.__cause__, link.__context__) if other not in seen]


ELSEWHERE: dict[object, pytest.MarkDecorator] = {
    no_such_role: pytest.mark.plain_server("a server that asks for no password says that the role is none"),
    lost_append: pytest.mark.direct_connection(
        "behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown"
    ),
}


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize(
    "go_wrong",
    [pytest.param(case, marks=ELSEWHERE.get(case, ())) for case in EXPECTED],
    ids=lambda case: case.__name__,
)
async def test_an_error_repeats_nothing(go_wrong: Callable[[Stage], Awaitable[None]], stage: Stage) -> None:
    with pytest.raises(EXPECTED[go_wrong]) as raised:
        await go_wrong(stage)

    assert_says_nothing(raised.value)


async def test_what_the_callers_own_work_raises_comes_out_unchanged_and_unlogged(stage: Stage) -> None:
    error = ValueError(TEXT)

    async def work(tx: TransactionScope) -> None:
        await tx.stories.append_scene(stage.story.id, SCENE)
        raise error

    with pytest.raises(ValueError) as raised:  # noqa: PT011 - which one is asserted below
        await stage.world.run(work)
    assert raised.value is error
    assert error.__cause__ is error.__context__ is None


async def test_a_wrong_password_is_not_repeated(own_server: EmbeddedServer, logs: list[str]) -> None:
    async with connected(own_server.url()) as administrator:
        await administrator.execute(f"CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}'")
        ask_for_passwords(Path(await administrator.fetchval("SHOW hba_file")))
        await administrator.execute("SELECT pg_reload_conf()")
    url = own_server.url().replace("postgres@", f"writer:not-{PASSWORD}@")

    with pytest.raises(WrongPassword) as raised:
        async with LivingWorld.open(database_url=url) as livingworld:
            await livingworld.worlds.create(NAME)

    assert "28P01" in str(raised.value.__cause__)
    assert_says_nothing(raised.value)


def ask_for_passwords(rules: Path) -> None:
    rules.write_text("local all writer scram-sha-256\n" + rules.read_text())


async def test_errors_of_a_group_repeat_nothing_of_each_other(stage: Stage) -> None:
    stage.proxy.at(Moment.AFTER, "append_scenes_v1")
    appends = [stage.world.stories.append_scene(stage.story.id, NewScene(f"{TEXT} {n}")) for n in range(8)]

    for error in await asyncio.gather(*appends, return_exceptions=True):
        if isinstance(error, BaseException):
            assert_says_nothing(error)
