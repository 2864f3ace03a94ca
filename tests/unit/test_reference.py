"""The reference on the site is generated: it has every public name, once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import livingworld
from livingworld import LiveKind, Settings, TransactionScope, World, errors
from livingworld.observability import events, instruments
from livingworld.schema import metadata
from site_generator.records import INTERNAL
from site_generator.reference import filled, rooms_of
from site_generator.surface import Surface, calls, surface

PAGES: Final = sorted((Path(__file__).parents[2] / "docs/reference").glob("*.md"))
TEXTS: Final = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
OF_THIS_RELEASE: Final[Surface] = asyncio.run(surface())
#: A page with what is generated into it, once for all tests.
page: Final = cache(filled)


def test_every_room_stands_on_one_page() -> None:
    rooms = Counter(room for text in TEXTS.values() for room in rooms_of(text))

    everywhere = {"LivingWorld", "world", "tx"}
    assert rooms == Counter(OF_THIS_RELEASE.world.keys() | OF_THIS_RELEASE.livingworld.keys() | everywhere)
    assert OF_THIS_RELEASE.tx.keys() <= OF_THIS_RELEASE.world.keys()


def test_every_call_has_its_signature_and_its_promise() -> None:
    text = "\n".join(page(text) for text in TEXTS.values())

    paths = [f"world.{room}.{call}" for room, each in OF_THIS_RELEASE.world.items() for call, _ in calls(each)]
    assert len(paths) > 100
    for path in paths:
        (promise,) = re.findall(
            rf"^### {re.escape(path)}\n\n```python\n.*?\n```\n\n(.+)$", text, re.MULTILINE | re.DOTALL
        )
        assert promise


def test_every_exported_name_has_a_section() -> None:
    sections = set(re.findall(r"^## (\w+)$", page(TEXTS["records"]) + page(TEXTS["world"]), re.MULTILINE))

    missing = set(livingworld.__all__) - set(errors.__all__) - sections
    assert missing == {"World", "TransactionScope", "Settings"}, "these are `world`, `tx` and a page of their own"


@pytest.mark.parametrize("path", sorted(INTERNAL))
def test_what_the_reference_leaves_out_is_there_to_be_left_out(path: str) -> None:
    name, method = path.split(".")
    kind = getattr(livingworld, name)

    assert method in {call for call, _ in calls(getattr(kind, "__origin__", kind))}
    assert f"### {path}\n" not in page(TEXTS["records"])


def test_every_setting_event_and_table_has_a_row_or_a_section() -> None:
    assert set(Settings.model_fields) == set(
        re.findall(r"^\| `(\w+)` \|.+\S \|$", page(TEXTS["settings"]), re.MULTILINE)
    )
    for kind in LiveKind:
        assert f"| `LiveKind.{kind.name}` | `{kind.value}` |" in page(TEXTS["live-events"])
    for event in events.ALL:
        assert f"| `{event.name}` |" in page(TEXTS["log-events"])
    for instrument in instruments.ALL:
        assert f"| `{instrument.name}` |" in page(TEXTS["metrics"])
    for table in metadata.tables.values():
        assert f"## {table.name}\n\n```sql\nCREATE TABLE" in page(TEXTS["tables"])


def test_every_command_has_a_section() -> None:
    sections = set(re.findall(r"^## livingworld (.+)$", page(TEXTS["commands"]), re.MULTILINE))

    assert sections == {
        "db upgrade",
        "db downgrade",
        "db status",
        "db check",
        "db distribute",
        "db index-memories",
        "db isolate",
        "db prune",
        "db roles",
        "scripts sync",
        "world archive",
        "world unarchive",
        "world export",
        "world import",
        "world verify",
        "demo",
        "doctor",
        "locks",
        "metrics",
        "stress",
        "world erase",
    }


def test_the_tutorial_or_a_guide_names_every_call_of_a_world() -> None:
    folder = Path(__file__).parents[2] / "docs"
    text = "\n".join(
        page.read_text(encoding="utf-8") for part in ("tutorial", "guides") for page in (folder / part).glob("*.md")
    )
    named = {path.removesuffix(".") for path in re.findall(r"\b(?:livingworld|world|tx)\.([a-z_.]+)", text)}

    rooms = OF_THIS_RELEASE.world | OF_THIS_RELEASE.livingworld
    paths = {f"{room}.{call}" for room, each in rooms.items() for call, _ in calls(each)}
    paths |= {f"{room}.{call}" for room, each in OF_THIS_RELEASE.tx.items() for call, _ in calls(each)}
    paths |= {call for scope in (World, TransactionScope) for call, _ in calls(scope)}
    assert sorted(paths - named) == []
