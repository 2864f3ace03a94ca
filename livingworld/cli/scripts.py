"""`livingworld scripts`: a folder of files as the scripts of a world."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from livingworld import LivingWorld, World
from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.cli.script_files import Refusal
from livingworld.cli.script_sync import ScriptSync, Synced
from livingworld.errors import InvalidInput, LivingWorldError, NotFound
from livingworld.inputs import one_line
from livingworld.settings.settings import Settings

commands = typer.Typer(help="Scripts: prompts, templates and rules of a world.", no_args_is_help=True)

_DIRECTORY: Final = typer.Argument(exists=True, file_okay=False, metavar="DIR", help="The folder of the files.")
#: Longest wait for a file that is being written.
_PATIENCE: Final = timedelta(seconds=5)
#: With --watch: longest time between two scans without a sign of a change.
_ROUND: Final = timedelta(seconds=2)
_NO_WATCHFILES: Final = "needs an extra: pip install 'livingworld[scripts]'"
#: Enough worlds to see whether there is only one.
_MORE_THAN_ONE: Final = 2


@commands.callback()
def _group() -> None:
    """Keep `sync` a command of its own while it is the only one."""


@commands.command()
def sync(
    directory: Annotated[Path, _DIRECTORY],
    world: Annotated[str | None, typer.Option("--world", help="Id of the world. Default: the only one.")] = None,
    watch: Annotated[bool, typer.Option("--watch/--once", help="Go on until interrupted.")] = False,
    url: UrlOption = None,
) -> None:
    """Publish the files that differ from the newest versions; the valid ones together, and nothing is removed."""

    async def work() -> bool:
        async with chosen_database(url) as database:
            return await _sync(database.settings, world, directory, watch=watch)

    raise typer.Exit(1 if interruption.run(work()) else 0)


class Report:
    """The printed report: each publication, and each refusal once until the file changes."""

    def __init__(self) -> None:
        self._printed: set[Refusal] = set()

    def print(self, synced: Synced) -> None:
        """Print the news of one scan."""
        for version in synced.published:
            typer.echo(f"published {version.name} version {version.version}")
        for refusal in synced.refused:
            if refusal not in self._printed:
                self.complain(f"{refusal.path}: {refusal.reason}")
        self._printed = set(synced.refused)
        sys.stdout.flush()

    def complain(self, reason: str) -> None:
        """Print one line on stderr."""
        typer.echo(f"livingworld: {one_line(' '.join(reason.split()))}", err=True)


async def _sync(settings: Settings, world: str | None, directory: Path, *, watch: bool) -> bool:
    """Return whether a file could not be published."""
    async with LivingWorld.open(settings) as livingworld:
        scripts = ScriptSync(await _chosen_world(livingworld, world), directory)
        report = Report()
        if watch:
            await _watch(scripts, directory, report)
            return False
        last = await scripts.until_still(report.print, patience=_PATIENCE)
        for path in last.moving:
            report.complain(f"{path}: is being written")
        return bool(last.refused or last.moving)


async def _watch(scripts: ScriptSync, directory: Path, report: Report) -> None:
    """Sync whenever something in the folder changes, and every two seconds in any case, until SIGINT or SIGTERM."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    stop = interruption.stopped_by(lambda: loop.call_soon_threadsafe(stopped.set))
    async with aclosing(_changes(directory, stopped)) as changes:
        with stop:
            async for _ in changes:
                await _sync_once(scripts, report)


async def _sync_once(scripts: ScriptSync, report: Report) -> None:
    try:
        await scripts.until_still(report.print, patience=_PATIENCE)
    except NotFound:
        raise
    except LivingWorldError as error:  # the server is away: the next round finds what this one missed
        report.complain(str(error))


async def _changes(directory: Path, stopped: asyncio.Event) -> AsyncGenerator[None, None]:
    """Yield at once, and then whenever something may have changed."""
    try:
        watchfiles = import_module("watchfiles")
    except ModuleNotFoundError:
        watchfiles = None
    if watchfiles is None:
        raise InvalidInput("--watch", _NO_WATCHFILES)
    yield
    watching = watchfiles.awatch(
        directory,
        watch_filter=None,
        stop_event=stopped,
        debounce=200,
        rust_timeout=round(_ROUND.total_seconds() * 1000),
        yield_on_timeout=True,
    )
    async with aclosing(watching) as changes:
        async for _ in changes:
            yield


async def _chosen_world(livingworld: LivingWorld, world: str | None) -> World:
    if world is None:
        found = (await livingworld.worlds.list(limit=_MORE_THAN_ONE)).items
        if len(found) != 1:
            raise InvalidInput("--world", f"must name one: there is {'none' if not found else 'more than one'}")
        return await livingworld.worlds.get(found[0].id)
    try:
        world_id = UUID(world)
    except ValueError:
        world_id = None
    if world_id is None:
        raise InvalidInput("--world", "is not the id of a world")
    return await livingworld.worlds.get(world_id)
