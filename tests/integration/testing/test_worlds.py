from __future__ import annotations

from livingworld import LivingWorld, Story, World


async def test_a_test_gets_a_world_with_a_story_of_its_own(
    livingworld: LivingWorld, world: World, story: Story
) -> None:
    found = await livingworld.worlds.get(world.id)

    head = await found.stories.head(story.id)

    assert head.story.id == story.id
    assert head.scene is None
