"""`livingworld world erase`: remove or blank what one person wrote, after asking."""

from __future__ import annotations

import json
import sys
from typing import Annotated
from uuid import UUID

import typer

from livingworld import Erased, LivingWorld
from livingworld.cli.confirmation import confirmed
from livingworld.cli.database_choice import UrlOption, chosen_database
from livingworld.cli.interruption import interruption
from livingworld.erasure.erasing import check_scenes
from livingworld.errors import InvalidInput
from livingworld.inputs import check_label


def erase(
    world_id: Annotated[UUID, typer.Argument(help="The world.")],
    player: Annotated[str, typer.Option("--player", help="Who is erased, as the application calls her.")],
    scenes: Annotated[
        str, typer.Option("--scenes", help="`keep` the text of the scenes of her turns, or `blank` it.")
    ] = "keep",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object: rows by table.")] = False,
    url: UrlOption = None,
) -> None:
    """Remove or blank what one player wrote in a world, and print the receipt; it cannot be undone.

    Others go on meanwhile. Interrupted, it is completed by the same command.
    """

    async def work() -> Erased:
        name, chosen = check_label("player", player), check_scenes(scenes)
        async with chosen_database(url) as database, LivingWorld.open(database.settings) as livingworld:
            world = await livingworld.worlds.get(world_id)
            await _ask(f"{database.name}: erase a player from world {world_id} for ever?", yes=yes)
            return await world.erase(player=name, scenes=chosen)

    receipt = interruption.run(work())
    if as_json:
        typer.echo(json.dumps(dict(receipt.rows)))
        return
    for table, count in receipt.rows.items():
        typer.echo(f"{table}: {count}")
    typer.echo(f"erased {receipt.total} rows")


async def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        field = "--yes"
        raise InvalidInput(field, "is needed where there is no terminal to ask at")
    if not await confirmed(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(1)
