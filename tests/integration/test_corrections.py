"""What is stored can be corrected: the cast and choices of a scene, a field that is nothing again, notes."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
import pytest_asyncio

from livingworld import (
    UNCHANGED,
    CastMember,
    LivingWorld,
    NewScene,
    NewState,
    RelationshipChange,
    Story,
    World,
)
from livingworld.errors import CharacterNotFound, ChoiceNotFound, InvalidType, VersionConflict
from livingworld.identifiers import new_id
from livingworld.testing.staged_races import holding
from tests.support.staging import THE_STORY, same_world


async def test_the_cast_and_the_choices_of_a_scene_are_corrected_and_the_old_ones_kept(
    world: World, story: Story
) -> None:
    told = await world.stories.append_scene(story.id, NewScene("one", ["Go", "Stay"], ["Mara", "Tom"], location="quay"))
    mara = await world.characters.get("Mara")
    cast: list[str | UUID | CastMember] = ["MARA", CastMember("Ruth", "guest", 0.5, card={"age": 9})]
    edited = await world.stories.edit_scene(story.id, 1, expected_version=1, choices=["Go on"], cast=cast)

    assert [(each.number, each.content) for each in edited.choices] == [(1, "Go on")]
    assert [(each.name, each.role, each.importance) for each in edited.cast] == [
        ("Mara", None, None),
        ("Ruth", "guest", 0.5),
    ]
    assert (edited.content, edited.location, edited.version) == ("one", "quay", 2)
    assert (await world.characters.get("ruth")).card == {"age": 9}
    assert edited == await world.stories.scene(story.id, 1)
    (old,) = await world.stories.revisions(story.id, scene_number=1)
    assert old.content["choices"] == ["Go", "Stay"]
    assert {each["character_id"] for each in old.content["cast"]} == {str(member.id) for member in told.cast}
    assert str(mara.id) in str(old.content["cast"])

    bare = await world.stories.edit_scene(story.id, 1, expected_version=2, choices=[], cast=[])
    assert (bare.choices, bare.cast) == ((), ())
    with pytest.raises(VersionConflict):
        await world.stories.edit_scene(story.id, 1, expected_version=2, cast=["Ida"])
    with pytest.raises(CharacterNotFound):
        await world.stories.edit_scene(story.id, 1, expected_version=3, cast=[new_id()])
    assert await world.characters.find("Ida") is None
    assert await world.stories.scene(story.id, 1) == bare


async def test_a_regenerated_scene_keeps_cast_and_choices_as_a_revision_too(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="1") as turn:
        await turn.commit(NewScene("one", ["Go"], ["Mara"]))
    async with world.turns.regenerate(story.id, request_key="2") as turn:
        await turn.commit(NewScene("uno", ["Va"], ["Tom"]))

    (old,) = await world.stories.revisions(story.id, scene_number=1)
    mara = await world.characters.get("Mara")
    assert old.content["choices"] == ["Go"]
    assert old.content["cast"] == [{"character_id": str(mara.id), "role": None, "importance": None}]


@pytest.mark.parametrize("edit_first", [True, False])
async def test_an_edit_and_a_choice_that_it_removes_never_both_succeed(
    database_url: str, world: World, story: Story, *, edit_first: bool
) -> None:
    await world.stories.append_scene(story.id, NewScene("one", ["Go", "Stay"]))

    # Who came first stays first: a prompt wait ends after 25 ms, and its call begins to wait again behind the others.
    async with same_world(database_url, world.id, pools=2, prompt_lock_timeout=4) as (one, other):
        edit = one.stories.edit_scene(story.id, 1, expected_version=1, choices=["Go"])
        follow = other.stories.append_scene(story.id, NewScene("two", chosen_choice=2))
        async with holding(database_url, THE_STORY, [world.id, story.id]) as holder:
            first = asyncio.ensure_future(edit if edit_first else follow)
            await holder.until_blocked(count=1)
            second = asyncio.ensure_future(follow if edit_first else edit)
            await holder.until_blocked(count=2)
        done = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(each) is ChoiceNotFound for each in done] == [False, True]
    offered = len((await world.stories.scene(story.id, 1)).choices)
    assert all((scene.chosen_choice or 0) <= offered for scene in await world.stories.recent(story.id, 5))


async def test_none_sets_back_to_nothing_and_what_is_not_named_stays(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    await world.stories.append_scene(story.id, NewScene("one", location="quay", story_time="dusk", metadata={"a": 1}))
    edited = await world.stories.edit_scene(story.id, 1, expected_version=1, location=None)
    assert (edited.content, edited.location, edited.story_time, edited.metadata) == ("one", None, "dusk", {"a": 1})
    edited = await world.stories.edit_scene(story.id, 1, expected_version=2, story_time=None, location=UNCHANGED)
    assert (edited.location, edited.story_time) == (None, None)
    made = await livingworld.worlds.create("Mine", tenant="me")
    mine = await livingworld.worlds.update(made.id, expected_version=1, tenant=None)
    assert (mine.name, mine.tenant) == ("Mine", None)
    session = await world.sessions.open()
    await world.interactions.add(session.id, "Hello", "Good day")
    emptied = await world.interactions.update(session.id, 1, response=None)
    assert (emptied.request, emptied.response) == ("Hello", None)
    with pytest.raises(InvalidType):
        await world.stories.update(story.id, expected_version=1, title=None)  # type: ignore[arg-type]
    with pytest.raises(InvalidType):
        await world.stories.edit_scene(story.id, 1, expected_version=3, content=None)  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def people(world: World) -> None:
    await world.characters.get_or_create_many(["Mara", "Tom"])


@pytest.mark.usefixtures("people")
async def test_a_relationship_has_notes_that_can_be_taken_away(world: World, story: Story) -> None:
    felt = await world.relationships.adjust(story.id, "Mara", "Tom", trust=0.1, kind="rival", notes="Since the lamp.")
    assert (felt.kind, felt.notes) == ("rival", "Since the lamp.")
    felt = await world.relationships.adjust(story.id, "Mara", "Tom", trust=0.1)
    assert (felt.kind, felt.notes) == ("rival", "Since the lamp.")
    felt = await world.relationships.adjust(story.id, "Mara", "Tom", kind=None)
    assert (felt.kind, felt.notes) == (None, "Since the lamp.")
    felt = await world.relationships.adjust(story.id, "Mara", "Tom", notes=None)
    assert (felt.kind, felt.notes, felt.trust) == (None, None, 0.2)


@pytest.mark.usefixtures("people")
async def test_of_twelve_who_begin_a_relationship_one_does(world: World, story: Story) -> None:
    begun = await asyncio.gather(
        *(world.relationships.get_or_create(story.id, "Mara", "tom", trust=0.3, kind="sister") for _ in range(12))
    )

    assert sorted(made for _, made in begun) == [False] * 11 + [True]
    assert {(felt.trust, felt.kind, felt.changes) for felt, _ in begun} == {(0.3, "sister", 1)}
    felt, _ = await world.relationships.get_or_create(story.id, "Mara", "Tom", trust=-1)
    assert felt.trust == 0.3


@pytest.mark.usefixtures("people")
async def test_a_first_value_counts_once_on_every_path(world: World, story: Story) -> None:
    for name in ("one", "two"):
        await world.stories.append_scene(story.id, NewScene(name))
    await world.relationships.get_or_create(story.id, "Mara", "Tom", trust=0.3, kind="late")
    await world.relationships.adjust(story.id, "Mara", "Tom", trust=0.1)
    await world.branches.undo(story.id)
    early, made = await world.relationships.get_or_create(story.id, "Mara", "Tom", trust=0.5, kind="early")
    await world.branches.redo(story.id)

    felt = await world.relationships.between(story.id, "Mara", "Tom")
    assert felt is not None
    assert (made, early.trust, round(felt.trust, 9), felt.kind) == (True, 0.5, 0.6, "early")
    assert [entry.first for entry in await world.relationships.ledger(story.id, "Mara", "Tom")] == [True, True, False]


async def test_a_turn_brings_a_first_value_and_its_context_has_the_notes(world: World, story: Story) -> None:
    first = RelationshipChange("Mara", "Tom", trust=0.4, notes="Twins.", first=True)
    for key in ("1", "2"):
        async with world.turns.take(story.id, request_key=key) as turn:
            await turn.commit(NewScene(key, cast=["Mara", "Tom"]), NewState(relationships=[first]))
    async with world.turns.take(story.id, request_key="3") as turn:
        (felt,) = turn.context.relationships
    assert (felt.trust, felt.notes, felt.changes) == (0.4, "Twins.", 1)
