"""Twenty channels, a hundred players, each message delivered twice to two bots: it is in one scene, posted once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random

from examples.chat_bot.chat_bot import ChatBot, Message, repeat
from livingworld import LivingWorld, NewScene, Scene, Story, Turn
from tests.support.patience import until

_CHANNELS = 20
_PLAYERS = 100
_MESSAGES = 3
_AT_ONCE = 60


def deliveries() -> list[Message]:
    """Every message twice, in any order."""
    said = [
        Message(f"m-{player}-{number}", f"channel-{player % _CHANNELS}", f"p{player}", f"<{player}.{number}>")
        for player in range(_PLAYERS)
        for number in range(_MESSAGES)
    ]
    twice = [*said, *said]
    Random(7).shuffle(twice)
    return twice


async def deliver(few: asyncio.Semaphore, bot: ChatBot, message: Message) -> Scene:
    """Deliver a message until the bot has taken it: it was busy for too long, on a busy machine."""
    async with few:
        while (scene := await bot.receive(message)) is None:
            pass
        return scene


class Chat:
    """What the model was asked for and what was posted, of two bots that share one community."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.posts: defaultdict[str, list[str]] = defaultdict(list)

    async def narrate(self, turn: Turn) -> NewScene:
        self.prompts.append(turn.context.instruction or "")
        return await repeat(turn)

    async def post(self, channel: str, text: str) -> None:
        self.posts[channel].append(text)

    async def run(self, database_url: str, messages: Sequence[Message]) -> tuple[list[Scene], list[Story]]:
        """Deliver the messages to two processes in turns, wait for the posts, and return scenes and stories."""
        async with (
            LivingWorld.open(database_url=database_url) as one,
            LivingWorld.open(database_url=database_url) as other,
        ):
            worlds = [(await process.worlds.get_or_create("community"))[0] for process in (one, other)]
            bots = [ChatBot(world, self.narrate) for world in worlds]
            posting = [asyncio.create_task(bots[0].post_scenes(f"channel-{n}", self.post)) for n in range(_CHANNELS)]
            few = asyncio.Semaphore(_AT_ONCE)
            scenes = await asyncio.gather(*(deliver(few, bots[n % 2], each) for n, each in enumerate(messages)))
            number = len({(scene.story_id, scene.number) for scene in scenes})
            await until(lambda: sum(map(len, self.posts.values())) >= number)
            for task in posting:
                task.cancel()
            await asyncio.gather(*posting, return_exceptions=True)
            return scenes, list((await worlds[1].stories.list(limit=100)).items)


async def test_every_message_is_in_one_scene_and_every_scene_is_posted_once(database_url: str) -> None:
    chat, messages = Chat(), deliveries()
    scenes, stories = await chat.run(database_url, messages)

    stored = {(scene.story_id, scene.number): scene.content for scene in scenes}
    of_message: defaultdict[str, set[object]] = defaultdict(set)
    for message, scene in zip(messages, scenes, strict=True):
        assert message.text in scene.content
        of_message[message.id].add((scene.story_id, scene.number))
    assert {len(found) for found in of_message.values()} == {1}
    assert all(sum(message.text in prompt for prompt in chat.prompts) == 1 for message in messages)
    assert (len(stories), sum(story.scene_count for story in stories)) == (_CHANNELS, len(stored))
    assert sorted(text for texts in chat.posts.values() for text in texts) == sorted(stored.values())
    assert all(text.startswith(f"In scene {n} ") for texts in chat.posts.values() for n, text in enumerate(texts, 1))
