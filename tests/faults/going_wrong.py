"""Everything that can go wrong with secrets in hand: story text, a name, a password."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from livingworld import LivingWorld, NewScene, Story, World, errors
from livingworld.postgres.idempotency import request_keys
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.settings.settings import Settings
from livingworld.story.characters.tables import character_names
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from livingworld.testing.staged_races import connected, holding
from tests.support.killed_sessions import kill
from tests.support.staging import elsewhere

TEXT: Final = f"text-{secrets.token_hex(8)}"
NAME: Final = f"name-{secrets.token_hex(8)}"
PASSWORD: Final = f"password-{secrets.token_hex(8)}"
SCENE: Final = NewScene(TEXT, choices=[TEXT], location=TEXT, story_time=TEXT, metadata={TEXT: TEXT}, raw_response=TEXT)
_LOCK: Final = "SELECT FROM livingworld.stories WHERE story_id = $1 FOR UPDATE"
_PAST_THE_COUNTER: Final = """
    INSERT INTO livingworld.scenes
        (world_id, story_id, scene_number, parent_scene_number, timeline_number, position, content)
    VALUES ($1, $2, 2, 1, 1, 2, $3)
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things go wrong: a story with one scene, in a world with one character."""

    proxy: ProtocolProxy
    livingworld: LivingWorld
    world: World
    story: Story
    url: str

    async def run(self, work: Callable[[Transaction], Awaitable[object]], world_id: UUID | None = None) -> None:
        await self.livingworld.worlds._database.run(work, world_id=world_id or self.world.id)


def with_password(url: str) -> str:
    """Return the URL with a password; the tests' server asks for none."""
    return url.replace("@", f":{PASSWORD}@", 1)


async def unique_violation(stage: Stage) -> None:
    character, _ = await stage.world.characters.get_or_create("Somebody")
    row = {"world_id": stage.world.id, "character_id": character.id, "name_key": NAME, "name": NAME}
    await stage.run(lambda tx: tx.execute(insert(character_names).values(**row)))


async def check_violation(stage: Stage) -> None:
    row = {"world_id": stage.world.id, "scope_id": stage.story.id, "request_key": TEXT, "request_hash": b"short"}
    await stage.run(lambda tx: tx.execute(insert(request_keys).values(**row, result={TEXT: NAME})))


async def foreign_key_violation(stage: Stage) -> None:
    row = {"world_id": uuid4(), "scope_id": uuid4(), "request_key": TEXT, "request_hash": bytes(32)}
    insertion = insert(request_keys).values(**row, result={TEXT: NAME})
    await stage.run(lambda tx: tx.execute(insertion), UUID(str(row["world_id"])))


async def value_that_the_driver_refuses(stage: Stage) -> None:
    await stage.run(lambda tx: tx.execute(text("SELECT CAST(:number AS integer)"), {"number": TEXT}))


async def value_that_postgresql_refuses(stage: Stage) -> None:
    await stage.run(lambda tx: tx.execute(text("SELECT CAST(CAST(:number AS text) AS integer)"), {"number": TEXT}))


async def statement_timeout(stage: Stage) -> None:
    await stage.run(lambda tx: tx.execute(text("SELECT pg_sleep(60), CAST(:said AS text)"), {"said": TEXT}))


async def lock_timeout(stage: Stage) -> None:
    async with holding(stage.url, _LOCK, [stage.story.id]):
        await stage.world.stories.append_scene(stage.story.id, SCENE)


async def pool_timeout(stage: Stage) -> None:
    async with elsewhere(stage.world.transaction()) as one, elsewhere(stage.world.transaction()) as two:
        await one.characters.find(NAME)
        await two.characters.find(NAME)
        await stage.world.stories.append_scene(stage.story.id, SCENE)


async def lost_append(stage: Stage) -> None:
    stage.proxy.at(Moment.AFTER, "append_plain_scene_v1")
    await stage.world.stories.append_scene(stage.story.id, SCENE)


async def lost_commit(stage: Stage) -> None:
    stage.proxy.at(Moment.BEFORE, "COMMIT;")
    await stage.world.stories.append_scene(stage.story.id, NewScene(TEXT, cast=[f"{NAME} the Second"]))


async def killed_session(stage: Stage) -> None:
    for nth in (1, 2, 3):  # the first try, its repetition, and nothing is left of the budget
        stage.proxy.at(Moment.BEFORE, "UPDATE", partial(kill, stage.url), nth=nth)
    await stage.world.stories.update(stage.story.id, expected_version=1, title=TEXT)


async def swallowed_error(stage: Stage) -> None:
    async def work(tx: Transaction) -> None:
        with contextlib.suppress(errors.DatabaseFailure):
            await tx.execute(text("SELECT CAST(CAST(:number AS text) AS integer)"), {"number": TEXT})

    await stage.run(work)


async def scene_number_conflict(stage: Stage) -> None:
    async with connected(stage.url) as intruder:
        await intruder.execute(_PAST_THE_COUNTER, stage.world.id, stage.story.id, TEXT)
    await stage.world.stories.append_scene(stage.story.id, SCENE)


async def name_taken(stage: Stage) -> None:
    character, _ = await stage.world.characters.get_or_create("Somebody")
    await stage.world.characters.add_alias(character.id, NAME)


async def request_key_reused(stage: Stage) -> None:
    await stage.world.stories.append_scene(stage.story.id, NewScene(f"{TEXT}!"), request_key="first")


async def stale_head(stage: Stage) -> None:
    await stage.world.stories.append_scene(stage.story.id, NewScene(TEXT, cast=[f"{NAME} II"]), expected_head=0)


async def choice_not_found(stage: Stage) -> None:
    await stage.world.stories.append_scene(stage.story.id, NewScene(TEXT, chosen_choice=7))


async def archived(stage: Stage) -> None:
    await stage.world.stories.archive(stage.story.id)
    await stage.world.stories.edit_scene(stage.story.id, 1, expected_version=1, content=TEXT)


async def version_conflict(stage: Stage) -> None:
    await stage.world.stories.update(stage.story.id, expected_version=9, title=TEXT)


async def text_that_cannot_be_stored(stage: Stage) -> None:
    await stage.world.stories.create(f"{TEXT}\0")


async def json_that_cannot_be_stored(stage: Stage) -> None:
    NewScene(TEXT, metadata={TEXT: {TEXT: float("nan")}})


async def name_that_is_too_long(stage: Stage) -> None:
    await stage.world.characters.get_or_create(NAME * 100)


async def cursor_that_is_none(stage: Stage) -> None:
    await stage.world.stories.list(after=TEXT)


async def no_such_role(stage: Stage) -> None:
    await _open(with_password(stage.url).replace("//postgres:", "//nobody:"))


async def no_such_database(stage: Stage) -> None:
    await _open(with_password(stage.url).replace("livingworld_test", "nowhere"))


async def no_such_server(stage: Stage) -> None:
    await _open(f"postgresql://nobody:{PASSWORD}@127.0.0.1:1/nowhere")


async def url_that_is_none(stage: Stage) -> None:
    await _open(f"mysql://nobody:{PASSWORD}@127.0.0.1/nowhere")


async def _open(url: str) -> None:
    async with LivingWorld.open(Settings.load(database_url=url, outage_retries=0)) as livingworld:
        await livingworld.worlds.create(NAME)


EXPECTED: Final[dict[Callable[[Stage], Awaitable[None]], type[errors.LivingWorldError]]] = {
    unique_violation: errors.DatabaseFailure,
    check_violation: errors.DatabaseFailure,
    foreign_key_violation: errors.WorldNotFound,
    value_that_the_driver_refuses: errors.DatabaseFailure,
    value_that_postgresql_refuses: errors.DatabaseFailure,
    statement_timeout: errors.StatementTimeout,
    lock_timeout: errors.LockTimeout,
    pool_timeout: errors.PoolTimeout,
    lost_append: errors.CommitUnknown,
    lost_commit: errors.CommitUnknown,
    killed_session: errors.Unavailable,
    swallowed_error: errors.TransactionPoisoned,
    scene_number_conflict: errors.SceneNumberConflict,
    name_taken: errors.NameTaken,
    request_key_reused: errors.RequestKeyReused,
    stale_head: errors.StaleHead,
    choice_not_found: errors.ChoiceNotFound,
    archived: errors.Archived,
    version_conflict: errors.VersionConflict,
    text_that_cannot_be_stored: errors.InvalidText,
    json_that_cannot_be_stored: errors.InvalidInput,
    name_that_is_too_long: errors.InvalidInput,
    cursor_that_is_none: errors.InvalidCursor,
    no_such_role: errors.WrongPassword,
    no_such_database: errors.DatabaseMissing,
    no_such_server: errors.ServerNotRunning,
    url_that_is_none: errors.InvalidSettings,
}
