from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livingworld import NewScene, Story, World
from livingworld.errors import InvalidInput
from livingworld.testing.staged_races import connected

anything = st.characters() | st.characters(categories=["Cs"]) | st.just("\x00")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(anything, max_size=40)
numbers = st.integers(-(2**65), 2**65) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def as_jsonb_spells(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with its large floats as integers: jsonb keeps the digits that Python prints, not the exponent."""
    match value:
        case float() if abs(value) >= 1e16:
            return int(Decimal(repr(value)))
        case dict():
            return {key: as_jsonb_spells(item) for key, item in value.items()}
        case list():
            return [as_jsonb_spells(item) for item in value]
    return value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=texts, choice=texts, metadata=st.dictionaries(texts, values, max_size=4))
async def test_a_scene_is_read_back_as_it_was_or_refused_by_name(
    world: World, story: Story, content: str, choice: str, metadata: dict[str, Any]
) -> None:
    try:
        scene = NewScene(content, [choice], metadata=metadata)
    except InvalidInput:
        return
    stored = await world.stories.append_scene(story.id, scene)
    read = await world.stories.scene(story.id, stored.number)

    assert (read.content, read.choices[0].content) == (content, choice)
    assert read.metadata == as_jsonb_spells(metadata)
    assert replace(read, metadata=stored.metadata) == stored


async def test_a_scene_that_postgresql_refuses_fails_alone_in_its_group(world: World, database_url: str) -> None:
    stories = [await world.stories.create(f"story {number}") for number in range(16)]
    async with connected(database_url) as connection:
        await connection.execute("ALTER TABLE livingworld.scenes ADD CONSTRAINT ck_test CHECK (content <> 'refused')")

    texts_ = ["refused" if number == 7 else "fine" for number in range(16)]
    results = await asyncio.gather(
        *(world.stories.append_scene(story.id, NewScene(text)) for story, text in zip(stories, texts_, strict=True)),
        return_exceptions=True,
    )

    assert [isinstance(result, Exception) for result in results] == [text == "refused" for text in texts_]
    counts = [(await world.stories.get(story.id)).scene_count for story in stories]
    assert counts == [0 if text == "refused" else 1 for text in texts_]
