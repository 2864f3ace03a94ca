"""A real HTTP server that speaks the chat-completions protocol, well and badly."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.examples.fake_model import ANSWERS, FakeModel
from tests.examples.servers import Player, Server, new_story

#: What the page says: what happened, and what to do.
WORDS: Final = {
    "failing": "answered HTTP 500. Try again",
    "unknown": 'has no model "llama3.2": check --model',
    "cut off": "was cut off. Try again",
    "garbage": "no chat completion. Check --model-url",
    "strange": "no chat completion. Check --model-url",
    "nothing": "wrote no text",
}


pytestmark = pytest.mark.xdist_group("the story generator's models")


async def test_an_endpoint_writes_a_scene_with_its_choices_and_its_state(modelled: Server, model: FakeModel) -> None:
    story = await new_story(modelled)
    async with Player.at(modelled, story) as player:
        told = await player.play(expected_head=0, instruction="bring the boat in", player="Ada")
        (answer,) = await player.get("/scenes/1/alternatives")
        world = await player.get("/scenes/1/world")

    assert told["scene"]["text"] == "The boat came in. A lamp burned on it."
    assert [choice["text"] for choice in told["scene"]["choices"]] == ["Step ashore", "Stay"]
    assert told["scene"]["asked"] == {"player": "Ada", "choice": None, "instruction": "bring the boat in"}
    (request,) = [each for each in model.requests if "bring the boat in" in json.dumps(each["messages"])]
    assert (request["path"], request["stream"]) == ("/v1/chat/completions", True)
    assert answer["model"] == "llama3.2"
    assert (sorted(world["cast"]), world["facts"]) == (
        ["Mara", "Tom"],
        [{"subject": "Mara", "attribute": "mood", "value": "wary"}],
    )
    assert [(each["source"], each["target"], each["trust"]) for each in world["relationships"]] == [
        ("Mara", "Tom", 0.5)
    ]
    assert [(each["text"], each["character"]) for each in world["memories"]] == [("The lamp.", "Tom")]


@pytest.mark.parametrize("how", ANSWERS)
async def test_an_endpoint_that_fails_says_what_to_do_and_leaves_a_story_that_can_be_played_on(
    modelled: Server, how: str
) -> None:
    async with Player.at(modelled, await new_story(modelled)) as player:
        refused = await player.play("click", expected_head=0, instruction=how)
        again = await player.play("click", expected_head=0, instruction=how)
        told = await player.play(expected_head=0)

    assert refused["error"] in {"ModelFailedError", "ValueError"}
    assert (WORDS[how] in refused["message"], refused["next"]) == (True, ["try again"])
    assert again == refused
    assert told["scene"]["number"] == 1


async def test_a_model_that_hangs_is_stopped(modelled: Server, model: FakeModel) -> None:
    async with Player.at(modelled, await new_story(modelled)) as player:
        hanging = await player.ask(expected_head=0, instruction="slow and hanging")
        await player.hear("text", request_key=hanging)
        await player.stop(hanging)
        stopped = await player.hear("refused", request_key=hanging)
        told = await player.play(expected_head=0, instruction="go on")

    assert (stopped["error"], stopped["message"].startswith("Bo stopped")) == ("StoppedError", True)
    assert told["scene"]["number"] == 1
    assert len(model.asked_for("slow and hanging")) == 1
