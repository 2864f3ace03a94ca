"""Turns that were played, to be read."""

from __future__ import annotations

from livingworld import NewScene, Scene, Story, World


async def play(world: World, story: Story, key: str, player: str | None = None, tokens: int = 0) -> Scene:
    """Play a turn whose model answers with its key."""
    async with world.turns.take(story.id, request_key=key, player=player, instruction=f"say {key}") as turn:
        turn.describe(model="tide-7b", script_version="tale@2")
        await turn.record(key, input_tokens=tokens, output_tokens=1)
        return await turn.commit(NewScene(key))
