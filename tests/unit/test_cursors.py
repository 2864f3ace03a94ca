"""A cursor holds the values at which a page ended; anything else is refused by name."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest

from livingworld.errors import InvalidCursor
from livingworld.inputs import check_integer, check_text
from livingworld.postgres.keyset import read_cursor, write_cursor

ID = UUID(int=7)
BAD = {
    "no base64": "x",
    "no text": base64.urlsafe_b64encode(b"\xff").decode(),
    "no JSON": base64.urlsafe_b64encode(b"lamp").decode(),
    "no list": write_cursor("灯").replace("W", "e", 1),
    "too few": write_cursor("lamp", 1),
    "too many": write_cursor("lamp", 1, str(ID), 1),
    "no text in it": write_cursor(1, 1, str(ID)),
    "no number in it": write_cursor("lamp", "1", str(ID)),
    "no id in it": write_cursor("lamp", 1, 5),
    "too deep": base64.urlsafe_b64encode(b"[" * 2000).decode(),
}


def _name(value: object) -> str:
    return check_text("after", value)


def _number(value: object) -> int:
    return check_integer("after", value)


def test_a_cursor_is_read_as_it_was_written() -> None:
    name = "灯" * 500

    assert read_cursor(write_cursor(name, 2**31 - 1, str(ID)), _name, _number, UUID) == (name, 2**31 - 1, ID)


@pytest.mark.parametrize("cursor", BAD.values(), ids=BAD)
def test_anything_else_is_no_cursor(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        read_cursor(cursor, _name, _number, UUID)
