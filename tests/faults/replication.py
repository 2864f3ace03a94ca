"""A primary with a standby whose replaying a test holds back, and a LivingWorld that reads from it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from livingworld import Distribution, LivingWorld, NewMemory, NewScene, Scene, Settings, Story, World
from livingworld.embedded_server import find_binaries
from livingworld.postgres import migrations
from tests.faults.tcp_server import TcpServer, standby_of, tcp_server
from tests.support.embedded_servers import wait_for
from tests.support.patience import NEVER, PATIENCE, until

_CONNECTIONS: Final = "db.client.connection.count"
_CONNECTION_WAIT: Final = "db.client.connection.wait_time"
_END: Final = "SELECT pg_current_wal_insert_lsn()::text"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers, of which one follows the other."""

    primary: TcpServer
    standby: TcpServer

    def catch_up(self) -> None:
        """Return when the standby has all that the primary has."""
        # A record of its own: the end of the log may lie behind the header of a page that nothing follows yet.
        self.primary.ask("SELECT pg_logical_emit_message(true, 'test', '')")
        end = self.primary.ask(_END)
        wait_for(lambda: self.standby.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") is True)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Keep the standby at what it has until the block ends."""
        self.catch_up()
        self.standby.ask("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.standby.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.go_on()

    def go_on(self) -> None:
        """Let the standby replay."""
        self.standby.ask("SELECT pg_wal_replay_resume()")

    def settings(self, **others: Any) -> Settings:  # noqa: ANN401 - any settings
        """Return settings with both; the standby gets as long as it needs, and is left alone to the end."""
        named = {"database_url": self.primary.url(), "replica_url": self.standby.url()}
        waits = {"replica_wait": PATIENCE, "replica_pause": NEVER, "call_timeout": timedelta(minutes=4)}
        return Settings.load(**named | waits | others)


@contextmanager
def replicated() -> Iterator[Pair]:
    """Give two servers with the tables of this release; they end with the block and leave nothing."""
    with tcp_server(find_binaries()) as primary, standby_of(primary) as standby:
        asyncio.run(migrations.upgrade(primary.url()))
        both = Pair(primary, standby)
        both.catch_up()
        yield both


@dataclass(frozen=True, slots=True)
class Told:
    """A story of one scene, and the one that tells it."""

    livingworld: LivingWorld
    world: World
    story: Story
    first: Scene

    def reads(self) -> dict[str, float]:
        """Return how many reads came from which server: `standby`, or why from the primary."""
        series = self.livingworld.metrics().series
        found = [each for each in series if each.instrument.name == "livingworld.replica.reads"]
        return {each.attributes.get("reason") or each.attributes["server"]: float(each.value) for each in found}  # type: ignore[arg-type]

    def looks(self) -> int:
        """Return how many connections were taken for reads on the standby."""
        series = [each for each in self.livingworld.metrics().series if each.instrument.name == _CONNECTION_WAIT]
        return sum(
            each.value.count
            for each in series
            if "replica" in each.attributes.values() and isinstance(each.value, Distribution)
        )

    def connections_to_the_standby(self) -> float:
        """Return how many connections the pool of the standby has."""
        counts = (each for each in self.livingworld.metrics().series if each.instrument.name == _CONNECTIONS)
        ours = [each.value for each in counts if "replica" in each.attributes.values()]
        return sum(value for value in ours if isinstance(value, int | float))

    async def used(self) -> None:
        """Return when a read came from the standby."""
        before = self.reads().get("standby", 0)

        async def once() -> bool:
            await self.world.stories.head(self.story.id, at_least=self.first)
            return self.reads().get("standby", 0) > before

        await until(once)

    async def furnish(self) -> None:
        """Add what there is to read in a story."""
        for name in ("Ada", "Bo"):
            await self.world.characters.get_or_create(name)
        await self.world.facts.set(self.story.id, "Ada", "mood", "wary")
        await self.world.relationships.adjust(self.story.id, "Ada", "Bo", trust=0.2)
        await self.world.memories.add(self.story.id, [NewMemory("The fog came.", "Ada")])

    def calls_with(self, parameter: str) -> Iterator[tuple[str, str]]:
        """Yield the calls of a world that take a parameter, by room and name."""
        for room, part in vars(self.world).items():
            for name, call in inspect.getmembers(part, inspect.iscoroutinefunction):
                if (
                    not name.startswith("_")
                    and not room.startswith("_")
                    and parameter in inspect.signature(call).parameters
                ):
                    yield room, name

    async def tell(self, text: str = "They meet.") -> Scene:
        """Append a scene."""
        return await self.world.stories.append_scene(self.story.id, NewScene(text))


@asynccontextmanager
async def told(settings: Settings) -> AsyncIterator[Told]:
    """Give a story that has begun."""
    async with LivingWorld.open(settings) as livingworld:
        world = await livingworld.worlds.create("Saltmarsh")
        story = await world.stories.create("The Causeway")
        first = await world.stories.append_scene(story.id, NewScene("Fog."))
        yield Told(livingworld, world, story, first)
