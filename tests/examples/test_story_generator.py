"""The example as its users meet it: real servers, two of them on one database, players on both, and a kill -9."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from typing import Any

import httpx
import pytest

from livingworld.testing.staged_races import connected
from tests.examples.fake_model import BEGIN, FakeModel
from tests.examples.servers import Player, Server, free_port, new_story, serving, until_it_answers
from tests.examples.story_generator_program import FOLDER
from tests.support.patience import PATIENCE, until
from tests.support.run_role import pooler_of_the_run, url_of_the_run
from tests.support.turn_checks import broken_turns

pytestmark = pytest.mark.xdist_group("the story generator")


_MERGED = "SELECT true FROM livingworld.turn_waiters WHERE story_id = $1 AND merges > 0"
_RECORDED = "SELECT raw_response FROM livingworld.generations WHERE story_id = $1 AND raw_response IS NOT NULL"


async def stored(url: str, story_id: str) -> list[str]:
    """Return the texts of a story; their numbers must be 1..n, and no turn may be left."""
    key = uuid.UUID(story_id)
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT scene_number, content FROM livingworld.scenes WHERE story_id = $1 ORDER BY scene_number", key
        )
    assert [row["scene_number"] for row in rows] == list(range(1, len(rows) + 1))
    assert await broken_turns(url, key) == []
    return [row["content"] for row in rows]


async def test_a_story_is_played_chosen_undone_forked_and_regenerated(server: Server, shared_database_url: str) -> None:
    story = await new_story(server)
    async with Player.at(server, story) as player:
        first = (await player.play(expected_head=0, instruction="begin at night"))["scene"]
        second = (await player.play(expected_head=1, choice=2))["scene"]
        assert len(first["choices"]) == 3
        assert (first["number"], second["number"], second["chosen"]) == (1, 2, 2)

        assert (await player.post("/undo", expected_head=2))["head"] == 1
        assert (await player.post("/redo", expected_head=1))["head"] == 2
        other = (await player.play(expected_head=2, regenerate=True))["scene"]
        assert (other["number"], other["version"]) == (2, 2)
        others = await player.get("/scenes/2/alternatives")
        assert [(each["text"] == second["text"], each["shown"]) for each in others] == [(True, False), (False, True)]
        chosen = await player.post("/choose", generation=others[0]["id"], expected_head=2)
        assert chosen["text"] == second["text"]

        fork = await player.post("/fork", name="another way", at=1)
        third = (await player.play(expected_head=1, choice=1))["scene"]
        assert (fork["number"], third["number"], third["position"]) == (2, 3, 2)
        await player.post("/switch", branch=1)
        page = await player.get()

    assert [scene["number"] for scene in page["path"]] == [1, 2]
    assert [branch["head"] for branch in page["branches"]] == [2, 3]
    assert len(await stored(shared_database_url, story)) == 3


def test_a_new_interpreter_serves_until_it_is_interrupted(shared_database_url: str) -> None:
    """Every other server is a fork of a process that has imported it."""
    port, path = free_port(), os.pathsep.join([str(FOLDER), *sys.path])
    place = ["--port", str(port), "--database-url", url_of_the_run(shared_database_url)]
    command = [sys.executable, "-W", "error", "-m", "story_generator", *place]
    environment = os.environ | {"PYTHONPATH": path} | pooler_of_the_run(shared_database_url)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"http://127.0.0.1:{port}\n".encode()
            until_it_answers(port)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE.total_seconds()) in {0, -signal.SIGINT}
        finally:
            process.kill()


async def test_a_server_finds_its_stories_behind_a_thousand_newer_worlds(database_url: str) -> None:
    with serving(database_url) as server:
        story = await new_story(server)
    async with connected(database_url) as connection:
        many = "INSERT INTO livingworld.worlds (world_id, name) SELECT gen_random_uuid(), 'w'"
        await connection.execute(f"{many} FROM generate_series(1, 1010)")

    with serving(database_url) as server:
        async with httpx.AsyncClient() as client:
            found = (await client.get(f"{server.url}/api/stories")).json()

    assert [each["id"] for each in found["stories"]] == [story]


async def test_what_is_refused_has_the_name_of_the_error(server: Server) -> None:
    story = await new_story(server)
    async with Player.at(server, story) as player:
        await player.play(expected_head=0)

        assert (await player.play(expected_head=0))["error"] == "StaleHead"
        assert (await player.play(expected_head=1, choice=9))["error"] == "ChoiceNotFound"
        assert (await player.play(request_key=" "))["error"] == "InvalidText"
        assert (await player.post("/undo", turns=7))["error"] == "NothingToUndo"
        assert (await player.post("/redo"))["status"] == 409
        assert (await player.post("/switch", branch=9))["status"] == 404
        assert (await player.post("/fork", name=" ", at=1))["status"] == 422
    async with Player.at(server, str(uuid.uuid4())) as nowhere:
        assert (await nowhere.get())["error"] == "StoryNotFound"
        assert (await nowhere.play())["error"] == "StoryNotFound"


async def test_players_on_two_servers_see_each_others_scenes_arrive(
    server: Server, other_server: Server, shared_database_url: str
) -> None:
    story = await new_story(server)
    async with (
        Player.at(server, story) as here,
        Player.at(other_server, story) as there,
        Player.at(server, story) as near,
    ):
        await there.get()
        told = await here.play(expected_head=0)
        assert (await near.hear("scene"))["scene"] == told["scene"]
        assert (await there.hear("changed"))["head"] == 1
        answer = await there.play(expected_head=1, choice=1)
        while (await here.hear("changed"))["head"] != 2:  # its own scene is a change too
            pass
        assert (await here.get())["path"][1]["text"] == answer["scene"]["text"]

    assert len(await stored(shared_database_url, story)) == 2


async def test_a_double_click_is_one_scene_and_two_clicks_from_one_head_are_too(
    server: Server, other_server: Server, shared_database_url: str
) -> None:
    story = await new_story(server)
    async with (
        Player.at(server, story) as here,
        Player.at(other_server, story) as there,
        Player.at(server, story) as near,
    ):
        key = str(uuid.uuid4())
        twice = await asyncio.gather(*(player.play(key, expected_head=0) for player in (here, there, near)))
        clicks = await asyncio.gather(*(player.play(expected_head=1, choice=1) for player in (here, there, near)))

    assert len({answer["scene"]["text"] for answer in twice}) == 1
    refused = [answer["error"] for answer in clicks if answer["type"] == "refused"]
    assert len(refused) == 2
    assert set(refused) <= {"Busy", "StaleHead"}
    assert len(await stored(shared_database_url, story)) == 2


async def test_a_turn_goes_on_without_its_socket_and_answers_when_it_is_asked_again(shared_database_url: str) -> None:
    with serving(shared_database_url, word_delay=0.02) as server:
        story = await new_story(server)
        async with Player.at(server, story) as player:
            key = await player.ask(expected_head=0)
            await player.hear("text", request_key=key)
        async with Player.at(server, story) as player:
            await player.ask(key, expected_head=0)
            (begun,) = await player.turns(running=1)
            told = await player.hear("scene", request_key=key)
        async with Player.at(server, story) as player:
            again = await player.play(key, expected_head=0)

    assert begun["text"]
    assert told["scene"]["text"].startswith(begun["text"].strip()[:10])
    assert again["scene"] == told["scene"]
    assert len(await stored(shared_database_url, story)) == 1


async def test_a_server_killed_in_mid_turn_is_succeeded_by_another_one(
    server: Server, shared_database_url: str
) -> None:
    with serving(shared_database_url, word_delay=0.05) as doomed:
        story = await new_story(server)
        async with Player.at(doomed, story) as player:
            await player.play(expected_head=0)
            key = await player.ask(expected_head=1, choice=1)
            for _ in range(5):
                await player.hear("text", request_key=key)
            doomed.kill()
    async with Player.at(server, story) as player:
        busy = await player.play(expected_head=1, choice=2)
        assert busy["error"] == "Busy"
        told = await player.play(key, expected_head=1, choice=1)
        assert (told["type"], told["scene"]["number"]) == ("scene", 2)
        assert (await player.play(expected_head=2))["scene"]["number"] == 3

    assert len(await stored(shared_database_url, story)) == 3


async def test_many_players_on_two_servers_lose_nothing(
    server: Server, other_server: Server, shared_database_url: str
) -> None:
    story = await new_story(server)
    told: list[str] = []

    async def play_on(at: Server, turns: int) -> None:
        async with Player.at(at, story) as player:
            while turns:
                page = await player.get()
                answer: dict[str, Any] = await player.play(expected_head=page["branch"]["head"])
                if answer["type"] == "scene":
                    told.append(answer["scene"]["text"])
                    turns -= 1

    await asyncio.gather(*(play_on(at, 3) for at in (server, other_server, server, other_server)))

    assert sorted(await stored(shared_database_url, story)) == sorted(told)
    assert len(told) == 12


async def test_who_watches_at_another_server_sees_the_words_and_stops_them(
    modelled: Server, server: Server, model: FakeModel
) -> None:
    story = await new_story(modelled)
    async with Player.at(modelled, story) as here, Player.at(server, story) as there:
        key = await here.ask(expected_head=0, instruction="slow", player="Ada")
        assert (await there.hear("text", request_key=key))["piece"] == BEGIN
        waiting = await there.ask(instruction="go on", busy="queue")
        async with Player.at(server, story) as late:
            first, second = await late.turns(running=1, waiting=1)
        assert {(each["player"], each["running"]) for each in (first, second)} == {("Ada", True), ("Somebody", False)}
        await there.stop(key)
        refused = await here.hear("refused", request_key=key)
        assert (await there.hear("scene", request_key=waiting))["scene"]["number"] == 1
        await here.turns()

    assert refused["message"] == "Bo stopped this turn. No scene was stored."


async def test_inputs_that_wait_become_one_turn_or_are_withdrawn(
    modelled: Server, model: FakeModel, shared_database_url: str
) -> None:
    story = await new_story(modelled)
    async with Player.at(modelled, story) as ada, Player.at(modelled, story) as bo:
        running = await ada.ask(expected_head=0, instruction="slow")
        await ada.hear("text", request_key=running)
        first = await bo.ask(instruction="open the door", busy="merge")
        second = await ada.ask(instruction="look back", busy="merge")
        third = await ada.ask(instruction="leave", busy="queue")
        await bo.turns(running=1, waiting=3)
        await ada.stop(third)
        withdrawn = await ada.hear("refused", request_key=third)
        async with connected(shared_database_url) as connection:
            await until(lambda: connection.fetchval(_MERGED, uuid.UUID(story)))
        model.release()
        merged = [await player.hear("scene", request_key=key) for player, key in ((bo, first), (ada, second))]

    assert withdrawn["error"] == "StoppedError"
    assert [each["scene"]["number"] for each in merged] == [2, 2]
    assert len([each for each in model.asked_for("open the door") if "look back" in each[0]["content"]]) == 1


async def test_a_server_that_died_while_its_model_wrote_is_succeeded_and_only_the_rest_is_asked_for(
    modelled: Server, shared_database_url: str, model: FakeModel
) -> None:
    with serving(shared_database_url, model_url=model.url) as doomed:
        story = await new_story(doomed)
        async with Player.at(doomed, story) as player:
            key = await player.ask(expected_head=0, instruction="slow and doomed")
            await player.hear("text", request_key=key)
            async with connected(shared_database_url) as connection:
                await until(lambda: connection.fetchval(_RECORDED, uuid.UUID(story)))
            doomed.kill()
    async with Player.at(modelled, story) as player:
        told = await player.play(key, expected_head=0, instruction="slow and doomed")

    first, second = model.asked_for("slow and doomed")
    assert (len(first), [each["content"] for each in second][1]) == (1, BEGIN)
    assert told["scene"]["text"] == "The boat came in. A lamp burned on it."
