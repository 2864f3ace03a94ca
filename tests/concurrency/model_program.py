"""A server of models in a process of its own: obeys commands, line by line, and prints the result of each.

python model_program.py URL WORLD POLL_SECONDS LISTENS

ask              ask the narrator: its model's name
until NAME       ask until this model answers: "at last"
promote NAME     register, load here, promote: "promoted NAME"
rollback         go back: the name of the model that is active then
closed           which models were closed here, each as often as it was
"""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from livingworld import AIModel, LivingWorld, ModelHost, Settings, World
from livingworld.errors import LivingWorldError


class Server:
    def __init__(self, world: World, host: ModelHost, closed: list[str]) -> None:
        self.world = world
        self.host = host
        self.closed = closed

    async def obey(self, line: str) -> str:
        match line.split():
            case ["ask"]:
                return await self.ask()
            case ["until", name]:
                while await self.ask() != name:
                    pass
                return "at last"
            case ["promote", name]:
                model = await self.world.ai_models.register("narrator", provider="house", name=name)
                await self.host.load(model.id)
                await self.world.ai_models.promote(model.id)
                return f"promoted {name}"
            case ["rollback"]:
                return (await self.world.ai_models.rollback("narrator")).name
            case ["closed"]:
                return " ".join(sorted(self.closed)) or "none"
        return "?"

    async def ask(self) -> str:
        async with self.host.pin("narrator") as pinned:
            await asyncio.sleep(0.01)
            return str(pinned.handle)


async def load(model: AIModel) -> str:
    return model.name


async def probe(handle: str, model: AIModel) -> None:
    assert handle == model.name


async def main(url: str, world_id: str, poll: str, listens: str) -> None:
    unheard = {} if listens == "listens" else {"behind_pooler": True, "direct_database_url": None}
    settings = Settings.load(database_url=url, poll_interval=poll, turn_lease=float(poll) * 4, **unheard)
    closed: list[str] = []
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.get(UUID(world_id))
        async with world.ai_models.serving({"narrator": load}, probe=probe, close=closed.append) as host:
            server = Server(world, host, closed)
            print("ready", flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                try:
                    answer = await server.obey(line)
                except LivingWorldError as error:
                    answer = type(error).__name__
                print(answer, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
