"""A name is the character in every call: any spelling, any alias, the id; what is no character is a Subject."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from livingworld import (
    CastMember,
    Character,
    NewMemory,
    NewScene,
    NewState,
    RelationshipChange,
    SceneCharacter,
    Story,
    Subject,
    World,
)
from livingworld.errors import CharacterNotFound, InvalidType, SameCharacter


@pytest.fixture
async def mara(world: World) -> Character:
    await world.characters.get_or_create("Mara")
    await world.characters.get_or_create("Tom")
    return await world.characters.add_alias("Mara", "The lamplighter")


def names_of(mara: Character) -> list[object]:
    return ["Mara", " mara", "MARA", "the LAMPLIGHTER", mara.id]


async def test_a_fact_is_found_by_every_name(world: World, story: Story, mara: Character) -> None:
    for number, name in enumerate(names_of(mara)):
        fact = await world.facts.set(story.id, name, "mood", number)  # type: ignore[arg-type]
        assert (fact.subject, fact.character) == ("Mara", mara.id)
        assert [await world.facts.get(story.id, each, "mood") for each in names_of(mara)] == [fact] * 5  # type: ignore[arg-type]

    renamed = await world.characters.update("mara", expected_version=1, name="Mara the Red")
    (true,) = await world.facts.all(story.id)
    assert (true.subject, true.value) == ("Mara the Red", 4)
    for name in (*names_of(mara), "mara the red"):
        assert await world.facts.all(story.id, name) == (true,)  # type: ignore[arg-type]
        assert len(await world.facts.history(story.id, name, "mood")) == 5  # type: ignore[arg-type]
    assert await world.characters.get("mara") == renamed


async def test_a_turn_has_one_mood_of_a_character_with_many_names(world: World, story: Story) -> None:
    for number, name in enumerate(("Mara", "MARA", "The Red")):
        async with world.turns.take(story.id, request_key=name) as turn:
            state = NewState(facts={(name, "mood"): number}, memories=[NewMemory(f"saw {number}", name)])
            await turn.commit(NewScene(name, cast=[name]), state)
        if number == 1:
            await world.characters.add_alias("Mara", "The Red")
    async with world.turns.take(story.id, request_key="next") as turn:
        assert [(fact.subject, fact.value) for fact in turn.context.facts] == [("Mara", 2)]
        assert [member.name for member in turn.context.cast] == ["Mara"]
        assert len({memory.character for memory in turn.context.memories}) == 1


async def test_what_comes_out_means_the_same_when_it_goes_in(world: World, story: Story, mara: Character) -> None:
    await world.facts.set_many(story.id, {(Subject("Mara"), "is"): "a word", (mara.id, "is"): "a character"})

    facts = await world.facts.all(story.id)
    assert [(repr(fact.subject), fact.character) for fact in facts] == [("'Mara'", mara.id), ("Subject('Mara')", None)]
    assert [await world.facts.get(story.id, fact.subject, "is") for fact in facts] == list(facts)
    with pytest.raises(InvalidType, match="Subject"):
        await world.characters.get(facts[1].subject)


async def test_a_subject_that_looks_like_an_id_is_a_word(world: World, story: Story, mara: Character) -> None:
    await world.facts.set(story.id, Subject(str(mara.id)), "mood", "odd")

    assert await world.facts.get(story.id, mara.id, "mood") is None


UNKNOWN: dict[str, Callable[[World, Story, object], Awaitable[object]]] = {
    "facts.set": lambda w, s, who: w.facts.set(s.id, who, "mood", 1),  # type: ignore[arg-type]
    "facts.get": lambda w, s, who: w.facts.get(s.id, who, "mood"),  # type: ignore[arg-type]
    "facts.all": lambda w, s, who: w.facts.all(s.id, who),  # type: ignore[arg-type]
    "facts.history": lambda w, s, who: w.facts.history(s.id, who, "mood"),  # type: ignore[arg-type]
    "facts.retract": lambda w, s, who: w.facts.retract(s.id, who, "mood"),  # type: ignore[arg-type]
    "relationships.adjust": lambda w, s, who: w.relationships.adjust(s.id, "Tom", who, trust=1),  # type: ignore[arg-type]
    "relationships.between": lambda w, s, who: w.relationships.between(s.id, "Tom", who),  # type: ignore[arg-type]
    "relationships.of": lambda w, s, who: w.relationships.of(s.id, who),  # type: ignore[arg-type]
    "relationships.ledger": lambda w, s, who: w.relationships.ledger(s.id, who, "Tom"),  # type: ignore[arg-type]
    "memories.add": lambda w, s, who: w.memories.add(s.id, [NewMemory("x", who)]),  # type: ignore[arg-type]
    "memories.recall": lambda w, s, who: w.memories.recall(s.id, "rain", character=who),  # type: ignore[arg-type]
    "memories.recent": lambda w, s, who: w.memories.recent(s.id, character=who),  # type: ignore[arg-type]
    "characters.get": lambda w, _, who: w.characters.get(who),  # type: ignore[arg-type]
    "characters.add_alias": lambda w, _, who: w.characters.add_alias(who, "x"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("who", ["weather", uuid4()], ids=["name", "id"])
@pytest.mark.parametrize("call", UNKNOWN)
@pytest.mark.usefixtures("mara")
async def test_an_unknown_character_is_refused_and_the_transaction_goes_on(
    world: World, story: Story, call: str, who: object
) -> None:
    await world.memories.add(story.id, [NewMemory("It rained.")])
    async with world.transaction() as tx:
        with pytest.raises(CharacterNotFound, match="weather" if who == "weather" else str(who)):
            await UNKNOWN[call](tx, story, who)  # type: ignore[arg-type]
        await tx.facts.set(story.id, "Tom", "mood", "calm")

    assert len(await world.facts.all(story.id)) == 1
    with pytest.raises(CharacterNotFound, match=r"Subject\('weather'\)"):
        await world.facts.get(story.id, "weather", "sky")


async def test_relationships_and_memories_take_every_name(world: World, story: Story, mara: Character) -> None:
    for name in names_of(mara):
        await world.relationships.adjust(story.id, name, "TOM", trust=0.1)  # type: ignore[arg-type]
        await world.memories.add(story.id, [NewMemory("It rained.", name)])  # type: ignore[arg-type]

    felt = await world.relationships.between(story.id, "the lamplighter", "tom")
    assert felt is not None
    assert (felt.changes, felt.source) == (5, mara.id)
    assert len(await world.relationships.ledger(story.id, "mara", "tom")) == 5
    ((memory,),) = [await world.memories.recent(story.id, character=name) for name in ("mara",)]
    summary = await world.memories.consolidate(story.id, [memory.id], NewMemory("Rain.", "the lamplighter"))
    assert summary.character == mara.id
    with pytest.raises(SameCharacter):
        await world.relationships.adjust(story.id, "Mara", "The lamplighter", trust=1)


async def test_a_cast_comes_out_with_ids_and_names(world: World, story: Story, mara: Character) -> None:
    cast: list[str | UUID | CastMember] = [
        "the lamplighter",
        CastMember("Ruth", "guest", card={"age": 9}),
        CastMember("MARA", "late"),
    ]
    scene = await world.stories.append_scene(story.id, NewScene("one", cast=cast))
    ruth = await world.characters.get("ruth")

    expected = (SceneCharacter(mara.id, "Mara"), SceneCharacter(ruth.id, "Ruth", "guest"))
    assert (ruth.card, scene.cast) == ({"age": 9}, expected)
    async with world.turns.take(story.id, request_key="two") as turn:
        assert turn.context.recent == (scene,)
        told = await turn.commit(NewScene("two", cast=["RUTH", CastMember("Ida", card={"age": 7}), mara.id]))
    assert [member.name for member in told.cast] == ["Mara", "Ruth", "Ida"]
    assert (await world.characters.get("Ida")).card == {"age": 7}
    assert await world.stories.recent(story.id, 5) == (scene, told)


async def test_two_who_bring_one_newcomer_bring_one_character(world: World, story: Story) -> None:
    other = await world.stories.create("Another")
    both = [(each.id, NewScene("x", cast=[name])) for each in (story, other) for name in ("Ada", "ADA")]
    scenes = await asyncio.gather(*(world.stories.append_scene(*scene) for scene in both))

    assert len({member.id for scene in scenes for member in scene.cast}) == 1
    assert len((await world.characters.list()).items) == 1


@pytest.mark.usefixtures("mara")
async def test_two_names_of_one_character_give_a_fact_no_two_values(world: World, story: Story) -> None:
    with pytest.raises(SameCharacter):
        await world.facts.set_many(story.id, {("Mara", "mood"): 1, ("The lamplighter", "mood"): 2})
    felt = [RelationshipChange("Mara", "Tom"), RelationshipChange("The lamplighter", "Tom", trust=1)]
    assert [each.changes for each in await world.relationships.adjust_many(story.id, felt)] == [1, 2]
    assert await world.facts.all(story.id) == ()
