"""`livingworld world archive|unarchive`: move finished stories into bundles, and put them back."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from livingworld import LivingWorld
from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.finished_stories import Archive
from livingworld.cli.interruption import interruption

_World = Annotated[UUID, typer.Argument(help="The world.")]


def archive(
    world_id: _World,
    older_than: Annotated[
        int, typer.Option("--older-than", min=0, max=36_500, metavar="DAYS", help="Last played so many days ago.")
    ],
    into: Annotated[Path, typer.Option("--into", exists=True, file_okay=False, help="The folder of the bundles.")],
    url: UrlOption = None,
) -> None:
    """Move each completed story that was not played for some days out of the database, into a bundle of its own.

    A story is removed when its bundle was written, synced and read again, and nobody has restored it meanwhile.
    Interrupted, it is completed by the same command. `unarchive` puts a story back.
    """

    async def work() -> None:
        count = 0
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            world = await livingworld.worlds.get(world_id)
            moved = Archive(world, into, datetime.now(UTC) - timedelta(days=older_than)).put_away()
            async with aclosing(moved):
                async for bundle in moved:
                    count += 1
                    typer.echo(f"archived story {bundle.story_id}: {bundle.counts['scenes']:,} scenes")
        typer.echo(f"archived {count} stories into {into}")

    interruption.run(work())


def unarchive(
    world_id: _World,
    files: Annotated[list[Path], typer.Argument(help="Bundles of stories.")],
    url: UrlOption = None,
) -> None:
    """Put stories back from their bundles, each wholly or not at all; they stay read-only until they are restored."""

    async def work() -> None:
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            world = await livingworld.worlds.get(world_id)
            for file in files:
                story = await world.import_story(file)
                typer.echo(f"put back story {story.id}")

    interruption.run(work())
