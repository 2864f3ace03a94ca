"""A part of a world is one class on `world` and on `tx`: the world's class adds calls and overrides none."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Final

from livingworld import TransactionScope, World
from site_generator.surface import Surface, calls, surface

PAGE: Final = Path(__file__).parents[2] / "docs/guides/transactions.md"
OF_THIS_RELEASE: Final[Surface] = asyncio.run(surface())
#: `world.locks` opens the transaction that holds the name, and `tx.locks` has one.
BY_NATURE_TWO: Final = {"locks"}


def test_the_class_of_a_world_overrides_nothing_of_the_class_of_a_transaction() -> None:
    for name in OF_THIS_RELEASE.tx.keys() - BY_NATURE_TWO:
        in_transaction, in_world = type(OF_THIS_RELEASE.tx[name]), type(OF_THIS_RELEASE.world[name])
        assert issubclass(in_world, in_transaction), name
        if in_world is not in_transaction:
            assert functions(in_world, in_transaction) & functions(in_transaction, object) <= {"__init__"}, name


def test_what_is_on_a_world_only_stands_in_one_table() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Only on a world")[1].split("\n## ")[0]
    added = {f"world.{name}" for name in OF_THIS_RELEASE.world.keys() - OF_THIS_RELEASE.tx.keys()}
    added |= {f"world.{call}" for call in names(World) - names(TransactionScope)}
    for name, room in OF_THIS_RELEASE.tx.items():
        added |= {f"world.{name}.{call}" for call in names(OF_THIS_RELEASE.world[name]) - names(room)}

    rows = "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(world\.[\w.]+)`", rows)) == added


def functions(kind: type[Any], until: type[Any]) -> set[str]:
    """Return the names of the functions of a class and of its bases, but for those of `until` and its bases."""
    own = [each for each in kind.__mro__ if not issubclass(until, each)]
    return {name for each in own for name, value in vars(each).items() if callable(value)}


def names(room: object) -> set[str]:
    return {name for name, _ in calls(room)}
