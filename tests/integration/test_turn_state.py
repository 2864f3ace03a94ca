"""What a turn's scene brings: stored with it or not at all, and kept with the text that brought it."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import (
    RETRACTED,
    NewMemory,
    NewScene,
    NewState,
    RelationshipChange,
    Scene,
    Story,
    Subject,
    Turn,
    World,
)
from livingworld.errors import CharacterNotFound, DimensionMismatch, InvalidInput, SameCharacter
from livingworld.testing.protocol_proxy import protocol_proxy
from tests.support.patience import NEVER
from tests.support.quiet import open_quietly

CAST = ("Mara", "Tom", "Ann", "Ida", "Joe")


def mood(value: str) -> NewState:
    """Return a fact, a change and a memory that tell which text brought them."""
    return NewState(
        facts={("Mara", "mood"): value},
        relationships=[RelationshipChange("Mara", "Tom", trust=len(value) / 10, reason=value)],
        memories=[NewMemory(value, "Mara")],
    )


async def tell(world: World, story: Story, text: str, state: NewState | None = None) -> Scene:
    async with world.turns.take(story.id, request_key=text) as turn:
        return await turn.commit(NewScene(text, ["on"], ["Mara", "Tom"]), state)


async def told(world: World, story: Story) -> tuple[object, ...]:
    """Return fact, trust and memories at the head."""
    fact = await world.facts.get(story.id, "Mara", "mood")
    felt = await world.relationships.graph(story.id)
    remembered = await world.memories.recent(story.id)
    return (fact and fact.value, [each.trust for each in felt], [memory.content for memory in remembered])


async def test_a_turn_brings_state_and_the_next_one_is_told_of_it(world: World, story: Story) -> None:
    await tell(world, story, "one", mood("wary"))
    async with world.turns.take(story.id, request_key="two") as turn:
        context = turn.context

    mara, tom = sorted(context.cast, key=lambda character: character.name)
    assert [(fact.subject, fact.attribute, fact.value) for fact in context.facts] == [("Mara", "mood", "wary")]
    assert context.facts == await world.facts.all(story.id)
    assert [(felt.source, felt.target, felt.trust) for felt in context.relationships] == [(mara.id, tom.id, 0.4)]
    assert context.relationships == await world.relationships.graph(story.id)
    assert [(memory.content, memory.character) for memory in context.memories] == [("wary", mara.id)]
    assert context.memories == await world.memories.recent(story.id)


async def test_the_context_keeps_secrets_and_what_is_long_ago(world: World, story: Story) -> None:
    await tell(world, story, "one", NewState(memories=[NewMemory("old"), NewMemory("secret", "Tom", private=True)]))
    await tell(world, story, "two", NewState(memories=[NewMemory("new")]))
    async with world.turns.take(story.id, request_key="three", recent=1) as turn:
        assert [memory.content for memory in turn.context.memories] == ["new"]
    async with world.turns.take(story.id, request_key="four", recent=2) as turn:
        assert [memory.content for memory in turn.context.memories] == ["old", "new"]


async def test_a_turn_that_is_repeated_brings_its_state_once(world: World, story: Story) -> None:
    async with world.turns.take(story.id, request_key="one") as turn:
        scene = await turn.commit(NewScene("one", (), ["Mara", "Tom"]), mood("wary"))
        turn.scene = None  # as if the answer had been lost
        assert await turn.commit(NewScene("one", (), ["Mara", "Tom"]), mood("wary")) == scene

    assert await told(world, story) == ("wary", [0.4], ["wary"])
    assert len(await world.facts.history(story.id, "Mara", "mood")) == 1


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (NewState(facts={(Subject("a"), "b"): 1}, memories=[NewMemory("x", "Nobody")]), CharacterNotFound),
        (NewState(relationships=[RelationshipChange("Mara", "Nobody", trust=1)]), CharacterNotFound),
        (NewState(relationships=[RelationshipChange("Mara", "The Red", trust=1)]), SameCharacter),
        (NewState(facts={("Mara", "mood"): "glad", ("The Red", "mood"): "wary"}), SameCharacter),
        (NewState(facts={("Nobody", "mood"): "glad"}), CharacterNotFound),
    ],
)
async def test_a_scene_whose_state_cannot_be_is_not_stored(
    world: World, story: Story, state: NewState, error: type[Exception]
) -> None:
    await world.characters.get_or_create("Mara")
    await world.characters.add_alias("Mara", "The Red")
    async with world.turns.take(story.id, request_key="one") as turn:
        with pytest.raises(error):
            await turn.commit(NewScene("one", (), ["Mara", "Newcomer"]), state)
        scene = await turn.commit(NewScene("one", (), ["Mara"]))

    assert scene.number == 1
    assert await world.characters.find("Newcomer") is None
    assert await world.facts.all(story.id) == ()


async def test_bad_state_is_named_before_any_sql() -> None:
    unfit: list[dict[str, Any]] = [
        {"facts": {"mood": 1}},
        {"facts": {("a", ""): 1}},
        {"facts": {(Subject("a"), "b"): float("nan")}},
        {"facts": []},
        {"relationships": ["x"]},
        {"memories": [NewScene("x")]},
    ]
    for bad in unfit:
        with pytest.raises(InvalidInput):
            NewState(**bad)


async def test_a_fact_is_retracted_by_a_turn(world: World, story: Story) -> None:
    await tell(world, story, "one", mood("wary"))
    await tell(world, story, "two", NewState(facts={("Mara", "mood"): RETRACTED}))

    assert await world.facts.all(story.id) == ()
    assert [fact.value for fact in await world.facts.all(story.id, as_of=1)] == ["wary"]


async def test_an_alternative_has_its_own_state_and_gets_it_back(world: World, story: Story) -> None:
    await tell(world, story, "one", mood("wary"))
    async with world.turns.regenerate(story.id, request_key="uno") as turn:
        assert turn.context.facts == ()
        await turn.commit(NewScene("uno", (), ["Mara", "Tom"]), mood("glad to see"))
    later = await world.facts.set(story.id, Subject("tide"), "height", 3)
    assert await told(world, story) == ("glad to see", [1.0], ["glad to see"])

    one, uno = await world.generations.alternatives(story.id, 1)
    await world.generations.choose(one.id)
    assert await told(world, story) == ("wary", [0.4], ["wary"])
    assert await world.facts.get(story.id, Subject("tide"), "height") is None
    await world.generations.choose(uno.id)
    assert await told(world, story) == ("glad to see", [1.0], ["glad to see"])
    assert await world.facts.get(story.id, Subject("tide"), "height") == later


async def test_an_alternative_deeper_in_the_path_takes_its_state_to_its_own_branch(world: World, story: Story) -> None:
    await tell(world, story, "one", mood("wary"))
    async with world.turns.regenerate(story.id, request_key="uno") as turn:
        await turn.commit(NewScene("uno", (), ["Mara", "Tom"]), mood("glad to see"))
    await tell(world, story, "two")
    one, _ = await world.generations.alternatives(story.id, 1)
    chosen = await world.generations.choose(one.id)
    branch = (await world.branches.list(story.id)).items[-1]

    assert (chosen.number, branch.head) == (3, 3)
    assert [fact.value for fact in await world.facts.all(story.id, branch=branch.number)] == ["wary"]
    assert [each.trust for each in await world.relationships.graph(story.id, branch=branch.number)] == [0.4]
    assert [memory.scene_number for memory in await world.memories.recent(story.id, branch=branch.number)] == [3]
    assert await told(world, story) == ("glad to see", [1.0], ["glad to see"])


async def test_an_alternative_counts_what_changed_before_it_meanwhile(world: World, story: Story) -> None:
    await tell(world, story, "one", NewState(relationships=[RelationshipChange("Mara", "Tom", trust=0.5)]))
    await tell(world, story, "two", NewState(relationships=[RelationshipChange("Mara", "Tom", trust=0.25)]))
    async with world.turns.regenerate(story.id, request_key="due") as turn:
        await turn.commit(NewScene("due"))
    await world.branches.undo(story.id)
    mara, tom = [(await world.characters.get_or_create(name))[0].id for name in ("Mara", "Tom")]
    await world.relationships.adjust(story.id, mara, tom, trust=-1)
    await world.branches.redo(story.id)
    two, _ = await world.generations.alternatives(story.id, 2)
    await world.generations.choose(two.id)

    felt = await world.relationships.between(story.id, mara, tom)
    assert felt is not None
    assert (felt.trust, felt.changes) == (-0.25, 3)


async def test_a_vector_that_does_not_fit_the_world_is_refused_with_the_scene(world: World, story: Story) -> None:
    await world.memories.use_embedder("e", 3)
    async with world.turns.take(story.id, request_key="one") as turn:
        with pytest.raises(DimensionMismatch):
            await turn.commit(NewScene("one"), NewState(memories=[NewMemory("x", vector=[1.0], embedder="e")]))
        with pytest.raises(DimensionMismatch):
            await world.memories.add(story.id, [NewMemory("x", vector=[1.0], embedder="e")])

    assert await world.memories.recent(story.id) == ()


@pytest.mark.direct_connection("a pooler takes limits in the transaction, which are statements more")
async def test_a_turn_with_much_state_is_two_statements(database_url: str) -> None:
    state = NewState(
        facts={(Subject(f"subject {number}"), "mood"): number for number in range(10)},
        relationships=[RelationshipChange(name, "Tom" if name != "Tom" else "Mara", trust=0.1) for name in CAST],
        memories=[NewMemory(f"{name} was there", name) for name in CAST],
    )

    async def write(turn: Turn) -> tuple[NewScene, NewState]:
        assert turn.context.head == turn.context.branch.head
        return NewScene("x", ["a"], CAST), state

    # No lease is renewed meanwhile, however slow the machine is.
    rarely = {"poll_interval": NEVER, "turn_lease": 4 * NEVER}
    async with (
        protocol_proxy(database_url) as proxy,
        open_quietly(proxy.url, **rarely) as livingworld,
    ):
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        for key in ("new connections ask for the types first", "counted"):
            proxy.statements.clear()
            await world.turns.play(story.id, write, request_key=key)

    of_the_turn = [
        statement for statement in proxy.statements if not statement.startswith("LISTEN")
    ]  # in the background
    assert len(of_the_turn) == 2, of_the_turn
