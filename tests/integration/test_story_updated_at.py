"""A story's `updated_at` moves with every write of its fields, scenes and branches, in the statement that writes.

So does `last_scene_at`, but for its fields, and the list of what was last played moves with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from livingworld import LivingWorld, NewScene, NewState, Scene, Settings
from livingworld.story.stories.tables import stories
from livingworld.testing.staged_races import connected
from tests.support.every_write import WRITES, Furnished, Write, furnish
from tests.support.story_checks import broken_promises
from tests.support.turn_checks import at_once

#: What a story is made of; facts, relationships and memories are what it knows.
_CONTENT: Final = ("stories", "branches", "scenes", "scene_cast")
#: Columns that are not content.
_TIMES: Final = {"created_at", "updated_at", "last_scene_at"}


async def play(at: Furnished, key: str = "played") -> Scene:
    return await at.world.turns.play(at.story.id, at_once(key), request_key=key)


async def regenerate(at: Furnished) -> Scene:
    async with at.world.turns.regenerate(at.story.id, request_key="again") as turn:
        return await turn.commit(NewScene("regenerated", ["another"]))


async def told_twice(at: Furnished) -> None:
    await play(at)
    await regenerate(at)


async def choose_the_first(at: Furnished) -> Scene:
    first, _ = await at.world.generations.alternatives(at.story.id, 3)
    return await at.world.generations.choose(first.id)


async def continued(at: Furnished) -> None:
    await told_twice(at)
    await at.world.stories.append_scene(at.story.id, NewScene("after it"))


async def stepped_back(at: Furnished) -> None:
    await continued(at)
    await at.world.branches.undo(at.story.id)


async def commit_with_state(at: Furnished) -> None:
    async with at.world.turns.take(at.story.id, request_key="with state") as turn:
        await turn.commit(NewScene("x"), NewState(facts={("Mara", "mood"): "glad"}))


async def write_together(at: Furnished) -> None:
    async with at.world.transaction() as tx:
        await tx.stories.append_scene(at.story.id, NewScene("x"))


async def nothing(_: Furnished) -> None: ...


#: What must have happened before, and a write of a story that `every_write` has not.
MORE: Final[dict[str, tuple[Write, Write]]] = {
    "stories.restore": (
        lambda at: at.world.stories.archive(at.story.id),
        lambda at: at.world.stories.restore(at.story.id),
    ),
    "branches.rewind": (nothing, lambda at: at.world.branches.rewind(at.story.id, to=1)),
    "branches.redo": (lambda at: at.world.branches.undo(at.story.id), lambda at: at.world.branches.redo(at.story.id)),
    "turns.play": (nothing, play),
    "turns.take, with state": (nothing, commit_with_state),
    "turns.regenerate": (play, regenerate),
    "generations.choose, in place": (told_twice, choose_the_first),
    "generations.choose, on a branch of its own": (continued, choose_the_first),
    "generations.choose, beside": (stepped_back, choose_the_first),
    "append in a transaction": (nothing, write_together),
}
#: The parts of a world that are written beside a story or in it.
NEAR: Final = ("worlds.", "stories.", "branches.", "turns.", "characters.", "facts.", "relationships.", "memories.")
CASES: Final[Mapping[str, tuple[Write, Write]]] = {
    **{
        name: (nothing, write) for name, write in WRITES.items() if name.startswith(NEAR) and not name.endswith("purge")
    },
    **MORE,
}
#: Where a write is one of a story.
PARTS: Final = ("stories.", "branches.", "turns.", "generations.", "append ")


#: They make another story.
CREATES: Final = {"stories.create", "stories.create, key", "stories.get_or_create"}
#: They change the story, and nobody plays.
FIELDS: Final = {"stories.update", "stories.archive", "stories.restore"}


async def content_of(connection: Any, at: Furnished) -> dict[str, list[str]]:  # noqa: ANN401 - untyped driver
    found = {}
    for table in _CONTENT:
        rows = await connection.fetch(f"SELECT * FROM livingworld.{table} WHERE story_id = $1", at.story.id)  # noqa: S608
        found[table] = sorted(str([pair for pair in row.items() if pair[0] not in _TIMES]) for row in rows)
    return found


async def test_updated_at_moves_with_every_write_of_a_story_and_with_no_other(
    database_url: str, livingworld: LivingWorld
) -> None:
    still, moved_alone, writes, played, broken = [], [], [], [], []
    async with connected(database_url) as connection:
        for name, (before, write) in CASES.items():
            at = await furnish(livingworld)
            await before(at)
            old, content = await at.world.stories.get(at.story.id), await content_of(connection, at)
            await write(at)
            new, changed = await at.world.stories.get(at.story.id), await content_of(connection, at) != content
            still += [name] if changed and new.updated_at <= old.updated_at else []
            moved_alone += [name] if new.updated_at != old.updated_at and not changed else []
            writes += [name] if changed else []
            played += [name] if new.last_scene_at != old.last_scene_at else []
            broken += await broken_promises(database_url, at.world.id, at.story.id)

    assert (still, moved_alone, broken) == ([], [], [])
    assert set(writes) == {name for name in CASES if name.startswith(PARTS)} - CREATES
    assert set(writes) - set(played) == FIELDS


async def test_a_writer_that_began_earlier_and_wrote_later_does_not_move_it_back(
    database_url: str, livingworld: LivingWorld
) -> None:
    at = await furnish(livingworld)
    async with LivingWorld.open(Settings.load(database_url=database_url)) as elsewhere:
        world = await elsewhere.worlds.get(at.world.id)
        for write in ("append", "edit", "move"):
            async with world.transaction() as tx:
                await tx.characters.find("Mara")  # it has begun
                newest = (await at.world.stories.append_scene(at.story.id, NewScene("x"))).number
                between = (await at.world.stories.get(at.story.id)).updated_at
                if write == "append":
                    await tx.stories.append_scene(at.story.id, NewScene("y"))
                elif write == "edit":
                    await tx.stories.edit_scene(at.story.id, newest, expected_version=1, content="y")
                else:
                    await tx.branches.undo(at.story.id)
            assert (await at.world.stories.get(at.story.id)).updated_at > between, write


def test_no_index_of_the_table_has_them_so_that_an_append_changes_none() -> None:
    moved = {"updated_at", "last_scene_at"}
    assert not [index.name for index in stories.indexes if moved & set(index.columns.keys())]
