"""A chat bot: each channel writes one story, and all who write while the model works become one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from livingworld import LiveEvent, LiveKind, LivingWorld, NewScene, Scene, Turn, TurnInput, World
from livingworld.errors import Timeout, Unavailable

#: The longest wait of a message for the turns before it.
_TIME_LIMIT: Final = timedelta(minutes=5)
#: When the database was busy or away, posting begins again after so many seconds.
_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the chat delivers it, perhaps more than once, and to whatever process of the bot."""

    id: str
    channel: str
    author: str
    text: str


#: Asks a language model for the next scene.
Narrate = Callable[[Turn], Awaitable[NewScene]]
#: Posts a text into a channel.
Post = Callable[[str, str], Awaitable[None]]


class ChatBot:
    """One process of the bot; any number of them share a community's world."""

    def __init__(self, world: World, narrate: Narrate) -> None:
        self._world = world
        self._narrate = narrate

    async def story(self, channel: str) -> UUID:
        """Return the story of a channel, begun by the first message."""
        story, _ = await self._world.stories.get_or_create(channel, title=f"#{channel}")
        return story.id

    async def receive(self, message: Message) -> Scene | None:
        """Return the scene that a message became part of, each time that it is delivered.

        None when the channel or the database was busy for too long: the chat delivers the message again later.
        """
        try:
            return await self._world.turns.play(
                await self.story(message.channel),
                self._narrate,
                request_key=message.id,
                player=message.author,
                instruction=f"{message.author}: {message.text}",
                busy="merge",
                combine=together,
                time_limit=_TIME_LIMIT,
            )
        except Timeout:
            return None

    async def post_scenes(self, channel: str, post: Post, *, after: int = 0) -> None:
        """Post the scenes of a channel in order, each once, from whatever process they are, until it is cancelled.

        `after` is the number of the last scene that was posted before. Goes on when the database is back.
        """
        posted = after
        while True:
            try:
                story_id = await self.story(channel)
                async with self._world.live.subscribe(story=story_id) as events:
                    posted = await self._catch_up(channel, story_id, post, posted)
                    async for event in events:
                        if not isinstance(event, LiveEvent) or event.kind == LiveKind.SCENE_APPENDED:
                            posted = await self._catch_up(channel, story_id, post, posted)
            except (Timeout, Unavailable):
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _catch_up(self, channel: str, story_id: UUID, post: Post, posted: int) -> int:
        """Post what is stored and was not posted, and return the number of the last scene."""
        for scene in await self._scenes_after(story_id, posted):
            await post(channel, scene.content)
            posted = scene.number
        return posted

    async def _scenes_after(self, story_id: UUID, number: int) -> list[Scene]:
        """Return the scenes after one, oldest first; read from the newest on, so it costs what is new."""
        found: list[Scene] = []
        page = await self._world.stories.scenes(story_id, newest_first=True)
        while new := [scene for scene in page.items if scene.number > number]:
            found += new
            if page.next is None:
                break
            page = await self._world.stories.scenes(story_id, newest_first=True, after=page.next)
        return found[::-1]


def together(waiting: TurnInput, new: TurnInput) -> TurnInput:
    """Make one input of two."""
    return TurnInput(instruction=f"{waiting.instruction}\n{new.instruction}", player=waiting.player)


async def repeat(turn: Turn) -> NewScene:
    """Stand for a language model: repeat what was said."""
    return NewScene(f"In scene {turn.context.head + 1} it was said: {turn.context.instruction}")


async def main() -> None:
    """Receive a few messages, each delivered twice, and print what is posted."""
    posts: asyncio.Queue[str] = asyncio.Queue()

    async def post(channel: str, text: str) -> None:
        await posts.put(f"#{channel}: {text}")

    said = [("1", "pier", "ada", "Who is there?"), ("2", "pier", "bo", "Wait!"), ("3", "tower", "cy", "I climb.")]
    async with LivingWorld.open() as livingworld:
        world, _ = await livingworld.worlds.get_or_create("community-7")
        bot = ChatBot(world, repeat)
        posting = [asyncio.create_task(bot.post_scenes(channel, post)) for channel in ("pier", "tower")]
        scenes = await asyncio.gather(*(bot.receive(Message(*each)) for each in [*said, *said]))
        for _ in {(scene.story_id, scene.number) for scene in scenes if scene is not None}:
            print(await posts.get())
        for task in posting:
            task.cancel()
        await asyncio.gather(*posting, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
