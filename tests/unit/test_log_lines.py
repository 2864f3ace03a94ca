"""A text that comes from outside forges no line of a log: it begins none, moves no cursor and turns no direction."""

from __future__ import annotations

import logging
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livingworld.inputs import one_line
from livingworld.observability import events
from livingworld.testing.recorded_events import recorded_events

FORGED: Final = "x\nERROR livingworld forged\r\x1b[2J\x1b]0;title\x07\x9b1m\u2028\u2029\u0085\u202e\u2066abc\ud800\x00"
FORBIDDEN: Final = set("\n\r\x1b\x07\x9b\u2028\u2029\u0085\u202e\u2066\ud800\x00")


class Forged:
    """A value whose text is written by somebody else."""

    def __str__(self) -> str:
        return FORGED


@pytest.mark.parametrize("event", events.ALL, ids=lambda event: event.name)
@pytest.mark.parametrize("value", [FORGED, Forged()], ids=["text", "object"])
def test_no_field_of_an_event_is_more_than_a_part_of_its_line(
    event: events.Event, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fields = dict.fromkeys(event.fields, value)

    events.emit(event, **fields)
    with recorded_events() as recorded:
        events.emit(event, **fields)

    (line,) = caplog.messages
    assert not FORBIDDEN & set(line)
    for told in recorded.of(event)[0].values():
        assert not FORBIDDEN & set(told)
        assert "abc" in told


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs", "L", "Zs"])))
def test_any_text_is_one_line_that_can_be_written(text: str) -> None:
    line = one_line(text)

    assert len(line.splitlines()) <= 1
    assert line.encode() is not None
    assert "\x1b" not in line


def test_what_people_write_stays_as_it_is() -> None:
    for text in ("Mara's lamp \N{ELECTRIC LIGHT BULB}", "שלום", "नमस्ते", "a\N{ZERO WIDTH JOINER}b", "José", "\\u000a"):
        assert one_line(text) == text
