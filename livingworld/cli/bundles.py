"""`livingworld world export|import|verify`: take a world out into a bundle, and put it back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from livingworld import Bundle, BundleProgress, LivingWorld, verify_bundle
from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption

#: Stands for standard output or standard input.
_STANDARD = "-"
_WrittenFile = Annotated[str, typer.Argument(help="Where to write it; - is standard output.")]
_ReadFile = Annotated[str, typer.Argument(help="The bundle; - is standard input.")]


def export_world(
    world_id: Annotated[UUID, typer.Argument(help="The world.")],
    file: _WrittenFile,
    without_vectors: Annotated[
        bool, typer.Option("--without-vectors", help="Leave out what an embedder makes again.")
    ] = False,
    url: UrlOption = None,
) -> None:
    """Write all of a world, as it is at one moment, to a file of JSON Lines; writers go on meanwhile.

    The connection is ended when the reader of standard output stops for longer than
    LIVINGWORLD_IDLE_IN_TRANSACTION_TIMEOUT.
    """

    async def work() -> Bundle:
        target = sys.stdout.buffer if file == _STANDARD else Path(file)
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            worlds = livingworld.worlds
            return await worlds.export_bundle(world_id, target, vectors=not without_vectors, progress=_progress())

    _say("exported", interruption.run(work()))


def import_world(
    file: _ReadFile,
    as_world: Annotated[UUID | None, typer.Option("--as", metavar="ID", help="Give the world this id.")] = None,
    url: UrlOption = None,
) -> None:
    """Restore a world from a bundle, wholly or not at all, and compare what is stored with the bundle.

    The database has the revision of the one that the bundle was written from, and no world with the id or the key.
    """

    async def work() -> str:
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            world = await livingworld.worlds.import_bundle(_source(file), as_world=as_world, progress=_progress())
            return f"imported world {world.id}"

    typer.echo(interruption.run(work()))


def verify(file: _ReadFile) -> None:
    """Read a bundle to its end without a database: digests, counts and references; names the first damaged line."""
    _say("verified", verify_bundle(_source(file), progress=_progress()))


def _source(file: str) -> Path | BinaryIO:
    return sys.stdin.buffer if file == _STANDARD else Path(file)


def _say(done: str, bundle: Bundle) -> None:
    """Print what is in a bundle to standard error, because standard output may be the bundle."""
    of = f"world {bundle.world_id}" if bundle.story_id is None else f"story {bundle.story_id}"
    rows = f"{sum(bundle.counts.values()):,} rows, {bundle.counts.get('scenes', 0):,} of them scenes"
    typer.echo(f"{done} {of} as of {bundle.moment.isoformat()}: {rows}; digest {bundle.digest}", err=True)


def _progress() -> Callable[[BundleProgress], None]:
    """Return what shows on a terminal how far it is, and prints nothing anywhere else."""
    shown = sys.stderr.isatty()

    def show(progress: BundleProgress) -> None:
        if shown:
            line = f"{progress.rows:,} rows, {progress.bytes / 2**20:,.0f} MB: {progress.table}"
            typer.echo(f"{line:<79}\r", err=True, nl=False)  # what is printed next stands in its place

    return show
