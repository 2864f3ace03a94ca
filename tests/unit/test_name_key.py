from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.errors import InvalidName, InvalidText
from livingworld.story.characters.name_key import MAX_KEY_CHARACTERS, check_name, name_key

#: The look-alikes of which a raw unique constraint takes every one, by the name they are.
SAME = [
    ["José", unicodedata.normalize("NFD", "José"), "JOSÉ", " José ", "Jo\u200bsé", "jos\u00e9"],
    ["Straße", "STRASSE", "strasse"],
    ["ΣΊΣΥΦΟΣ", "σίσυφος", "Σίσυφοσ"],
    ["ﬁn", "fin", "FIN"],
    ["Kelvin", "\u212aelvin"],
    ["Mara Vale", "Mara\u00a0Vale", "mara   vale", "Mara\tVale"],
]


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_spellings_of_one_name_have_one_key(spellings: list[str]) -> None:
    assert len({name_key(spelling) for spelling in spellings}) == 1


def test_different_names_have_different_keys() -> None:
    assert len({name_key(spellings[0]) for spellings in SAME}) == len(SAME)
    assert name_key("Anna") != name_key("\u0410nna")  # a Cyrillic A stays another letter, by choice


@given(st.text(max_size=200))
def test_the_key_of_a_key_is_itself(name: str) -> None:
    key = name_key(name)

    assert name_key(key) == key


@given(st.text(min_size=1, max_size=200))
def test_a_name_is_refused_or_fits_the_columns(name: str) -> None:
    try:
        shown = check_name("name", name)
    except InvalidText:
        return
    except InvalidName:
        return
    assert 1 <= len(shown) <= 200
    assert 1 <= len(name_key(shown)) <= MAX_KEY_CHARACTERS
    assert len(name_key(shown).encode()) < 2704  # the largest entry of a b-tree


def test_what_shows_nothing_is_no_name() -> None:
    with pytest.raises(InvalidName):
        check_name("name", "\u200b\u2060")
