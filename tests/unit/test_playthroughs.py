import json
from pathlib import Path
from typing import Any

import pytest

from livingworld.demo.playthroughs import Playthrough, Turn, parse_playthroughs, read_playthroughs
from livingworld.errors import InvalidInput

FIRST = {"chosen": None, "text": "A door.", "choices": ["Knock", "Wait"]}
SECOND = {"chosen": 2, "text": "Nobody comes.", "choices": []}
GOOD = json.dumps({"playthrough": 1, "turns": [FIRST, SECOND]})


def line(*turns: object) -> str:
    return json.dumps({"turns": list(turns)})


def parse(*lines: str) -> tuple[Playthrough, ...]:
    return parse_playthroughs("\n".join(lines).encode(), "played.jsonl")


def test_a_line_becomes_its_turns() -> None:
    assert parse(GOOD) == (Playthrough((Turn(None, "A door.", ("Knock", "Wait")), Turn(2, "Nobody comes.", ()))),)


def test_each_line_is_a_playthrough_and_empty_lines_do_not_count() -> None:
    assert len(parse(GOOD, "", GOOD, "  \r", "")) == 2


def test_a_file_may_have_windows_lines_and_a_byte_order_mark() -> None:
    assert len(parse_playthroughs(b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\n".encode(), "played.jsonl")) == 2


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    text = "one\N{LINE SEPARATOR}two"
    written = json.dumps({"turns": [{**FIRST, "text": text}]}, ensure_ascii=False)

    assert parse(written)[0].turns[0].text == text


def test_a_turn_after_an_ending_starts_anew_without_a_choice() -> None:
    assert len(parse(line(FIRST, SECOND, FIRST))[0].turns) == 3


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("{", "line 3: is not JSON: Expecting property name enclosed in double quotes at character 2"),
        ("[]", "line 3: must be a JSON object, not a list"),
        ("7", "line 3: must be a JSON object, not a number"),
        ("9" * 5000, "line 3: is not JSON that can be read"),
        ("[" * 100_000, "line 3: is not JSON that can be read"),
        ("{}", "line 3, turns: is missing"),
        ('{"turns": {}}', "line 3, turns: must be a list of at least one turn"),
        ('{"turns": []}', "line 3, turns: must be a list of at least one turn"),
        (line("Knock"), "line 3, turns[0]: must be a JSON object, not a text"),
        (line({"text": "", "choices": []}), "line 3, turns[0].chosen: is missing"),
        (line({"chosen": None, "choices": []}), "line 3, turns[0].text: is missing"),
        (line({"chosen": None, "text": "A door."}), "line 3, turns[0].choices: is missing"),
        (line({**FIRST, "text": None}), "line 3, turns[0].text: must be text, not NoneType"),
        (line({**FIRST, "text": "a\x00b"}), "line 3, turns[0].text: holds U+0000"),
        (line({**FIRST, "text": "\ud800"}), "line 3, turns[0].text: holds a lone surrogate"),
        (line({**FIRST, "choices": "Knock"}), "line 3, turns[0].choices: must be a list"),
        (line({**FIRST, "choices": ["Knock", 2]}), "line 3, turns[0].choices[1]: must be text, not int"),
        (line({**FIRST, "choices": ["Knock", " "]}), "line 3, turns[0].choices[1]: must not be empty"),
        (line({**FIRST, "choices": ["x"] * 101}), "line 3, turns[0].choices: has 101 items; the limit is 100"),
        (line({**FIRST, "chosen": 1}), "line 3, turns[0].chosen: must be null: there is no turn before it"),
        (
            line(FIRST, {**SECOND, "chosen": 3}),
            "line 3, turns[1].chosen: is 3, but the turn before offers choices 1 to 2",
        ),
        (
            line(FIRST, {**SECOND, "chosen": 0}),
            "line 3, turns[1].chosen: is 0, but the turn before offers choices 1 to 2",
        ),
        (line(FIRST, {**SECOND, "chosen": None}), "turns[1].chosen: must be the number of a choice, not null"),
        (line(FIRST, {**SECOND, "chosen": True}), "turns[1].chosen: must be the number of a choice, not true or false"),
        (line(FIRST, {**SECOND, "chosen": 1.0}), "turns[1].chosen: must be the number of a choice, not a fraction"),
        (line(FIRST, {**SECOND, "chosen": "1"}), "turns[1].chosen: must be the number of a choice, not a text"),
        (line(FIRST, SECOND, SECOND), "turns[2].chosen: must be null: the turn before offers no choice"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(bad: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(GOOD, "", bad, GOOD)

    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("played.jsonl line 3")
    assert complaint in str(caught.value)


def test_bytes_that_are_no_text_are_named_by_their_line() -> None:
    with pytest.raises(InvalidInput, match=r"played\.jsonl line 2: is not UTF-8 at byte 3"):
        parse_playthroughs(GOOD.encode() + b'\n{"\xff"}\n', "played.jsonl")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_a_playthrough_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"played\.jsonl: has no play-through"):
        parse_playthroughs(content, "played.jsonl")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_playthroughs(tmp_path / "nowhere.jsonl")


def test_the_recorded_playthroughs_of_a_real_story_are_read() -> None:
    recorded = Path(__file__).parents[3] / "shared" / "data" / "the-intercept" / "playthroughs.jsonl"
    if not recorded.exists():
        pytest.skip("the recorded play-throughs of The Intercept are not here")
    lines: list[dict[str, Any]] = [json.loads(text) for text in recorded.read_text(encoding="utf-8").splitlines()]

    played = read_playthroughs(recorded)

    assert [len(playthrough.turns) for playthrough in played] == [len(value["turns"]) for value in lines]
    assert played[0].turns[1].text == lines[0]["turns"][1]["text"]
