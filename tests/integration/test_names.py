"""A name is one line without anything that acts on its reader; free text is free. Every text is one of the two."""

from __future__ import annotations

import inspect
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Final

import pytest

from livingworld import InvalidInput, InvalidText, LivingWorld, World
from livingworld.inputs import check_label
from tests.support.every_call import CALLS, OBJECTS, carry_out, recorded
from tests.support.every_write import Furnished, furnish

#: What names something, or groups things by a word.
NAMES: Final = {
    *("name", "tenant", "title", "request_key", "subject", "attribute", "kind", "lane", "player", "key", "role"),
    *("provider", "branch_name", "embedder", "book", "character", "source", "target", "model", "script_version"),
}
#: What is told, sought, or read by a model; cursors; fields of JSON; kinds that a rule is about.
FREE: Final = {
    *("premise", "system_prompt", "content", "instruction", "reason", "error", "response", "request", "text", "query"),
    *("notes", "search"),
    *("body", "after", "prefix", "raw_response", "location", "story_time", "field", "new", "present"),
}
CONTROL: Final = (
    *("two\nlines", "tab\there", "\x1b[31mred", "del\x7f", "\x85"),
    *("a\u2028b", "a\u2029b", "ab\u202edc", "ab\u202edc\u202c", "\u2067a", "\u202aa\u2069"),
)
#: By bidirectional class: what embeds, overrides or isolates, and does not end in the name.
REORDERING: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
NEEDED: Final = {
    "Devanagari": "\u0928\u094d\u200d\u092f",
    "Persian": "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hebrew": "\u05d0\u200f!",
    "astronaut": "\U0001f469\u200d\U0001f680",
    "Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "embedded": "\u202aJos\u00e9\u202c",
    "isolates in one another": "\u2067\u05d0 \u2066a\u2069\u2069",
    "soft hyphen": "co\u00adoperate",
    "composed": "Jos\u00e9",
    "decomposed": "Jose\u0301",
}


def is_text(annotation: object) -> bool:
    return "str" in str(annotation).split("[")[0].split(" ") or str(annotation) in {"Subject", "Subject | None"}


def texts(call: Any, there: Furnished) -> Iterator[str]:  # noqa: ANN401 - a call of CALLS
    """Give the arguments of a call that are texts."""
    method, _ = recorded(call, there)
    for name, parameter in inspect.signature(method).parameters.items():
        if is_text(parameter.annotation) and parameter.kind is not parameter.VAR_KEYWORD:
            yield name


async def test_every_text_of_every_call_is_a_name_or_free(livingworld: LivingWorld) -> None:
    here = await furnish(livingworld)
    arguments = {name for call in CALLS.values() for name in texts(call, here)}
    parts = {field.name for make, _ in OBJECTS.values() for field in fields(make(here)) if is_text(field.type)}

    assert (arguments | parts) - NAMES - FREE == set()
    assert arguments | parts >= (NAMES | FREE)


async def test_a_control_character_in_a_name_is_refused_before_any_sql(
    livingworld: LivingWorld, unreachable: tuple[LivingWorld, World]
) -> None:
    here = await furnish(livingworld)
    away = replace(here, livingworld=unreachable[0], world=unreachable[1])
    tried = [
        (path, name, bad)
        for path, call in CALLS.items()
        for name in NAMES.intersection(texts(call, here))
        for bad in CONTROL
    ]

    accepted = [each for each in tried if await field_at_fault(away, *each) != each[1]]

    assert len(tried) > 500
    assert accepted == []


async def field_at_fault(away: Furnished, path: str, name: str, bad: str) -> str:
    """Return the field that a call with a bad argument is refused by, without a database."""
    try:
        await carry_out(CALLS[path], {name: bad}, away)
    except InvalidInput as error:
        return error.field
    except Exception as error:  # noqa: BLE001 - it reached for the database
        return type(error).__name__
    return ""


@pytest.mark.parametrize("kind", OBJECTS)
async def test_a_control_character_in_a_name_of_an_object_is_refused(
    livingworld: LivingWorld, unreachable: tuple[LivingWorld, World], kind: str
) -> None:
    make, use = OBJECTS[kind]
    here = await furnish(livingworld)
    away = replace(here, livingworld=unreachable[0], world=unreachable[1])
    for field in fields(make(here)):
        if field.name in NAMES and is_text(field.type):
            for bad in CONTROL:
                with pytest.raises(InvalidInput, match=field.name):
                    await use(away, replace(make(here), **{field.name: bad}))


@pytest.mark.parametrize("bad", CONTROL)
async def test_free_text_may_hold_what_a_name_may_not(world: World, bad: str) -> None:
    story = await world.stories.create("The Causeway", premise=bad, system_prompt=bad)

    assert (story.premise, story.system_prompt) == (bad, bad)


def test_what_is_refused_in_a_name_is_every_control_and_separator_and_no_letter() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    refused = {character for character in characters if not is_accepted(f"a{character}b")}
    must = {
        character
        for character in characters
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(character) in REORDERING
    }

    assert must <= refused
    assert {unicodedata.category(character) for character in refused - must} == {"Cf"}


def is_accepted(name: str) -> bool:
    try:
        check_label("name", name)
    except InvalidText:
        return False
    return True


@pytest.mark.parametrize("name", NEEDED.values(), ids=NEEDED)
async def test_what_scripts_and_emoji_need_stays_in_names(world: World, name: str) -> None:
    assert (await world.stories.create(name)).title == name
    assert (await world.characters.get_or_create(name))[0].name == name
    assert (await world.documents.compare_and_set(name, 1, expected_version=0)).key == name
