"""The page as its readers meet it: in one browser, in two, on a phone, with models and servers that fail."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from livingworld import LivingWorld, NewScene
from livingworld.testing.staged_races import connected
from tests.examples.browsers import CHROMIUM, OCR, PHONE, Window, browsing, seen, window, words_in
from tests.examples.fake_model import BEGIN, FakeModel
from tests.examples.servers import Server, serving
from tests.support.patience import until

_TURNS: Final = 4
_MANY: Final = 230
_RECORDED: Final = "SELECT count(*) FROM livingworld.generations WHERE story_id = $1 AND raw_response IS NOT NULL"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("the story generator in browsers"),
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no chromium-headless-shell (Debian's, which .ci/run installs)"
    ),
    pytest.mark.skipif(OCR is None, reason="there is no tesseract (Debian's tesseract-ocr, which .ci/run installs)"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as started:
        yield started


def story_of(url: str) -> UUID:
    return UUID(url.partition("#")[2])


async def play_on(reader: Window) -> None:
    """Click through the turns, some of them twice, and undo and redo the last."""
    for name in ("Undo", "Redo", "Regenerate", "Alternatives"):
        await expect(reader.button(name)).to_be_disabled()  # there is nothing to undo in an empty story
    await reader.say("begin at night")
    for turn in range(1, _TURNS):
        await expect(reader.scenes).to_have_count(turn)
        await reader.choices.nth(turn % 3).click(click_count=1 + turn % 2)
    await expect(reader.scenes).to_have_count(_TURNS)
    await reader.button("Undo").click()
    await expect(reader.scenes).to_have_count(_TURNS - 1)
    await reader.button("Redo").click()
    await expect(reader.scenes).to_have_count(_TURNS)


async def test_turns_can_be_played_and_seen(
    browser: Browser, server: Server, shared_database_url: str, tmp_path: Path
) -> None:
    picture = tmp_path / "page.png"
    async with window(browser) as reader:
        await reader.begin(server.url)
        await play_on(reader)
        await expect(reader.choices).to_have_count(3)
        scene = await reader.scenes.last.locator(".text").inner_text()
        choices = await reader.choices.all_inner_texts()
        assert "begin at night" in await reader.scenes.first.inner_text()
        story = story_of(reader.page.url)
        await reader.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        await reader.page.screenshot(path=picture)
    words = words_in(picture)

    assert seen(scene, words) > 0.8
    assert seen(" ".join(choices), words) > 0.6
    assert seen("Undo Regenerate Alternatives Send", words) > 0.7  # there is nothing to redo: that one is pale
    async with connected(shared_database_url) as connection:
        stored = await connection.fetchval("SELECT count(*) FROM livingworld.scenes WHERE story_id = $1", story)
    assert stored == _TURNS


async def test_the_text_of_a_second_player_stays_until_it_is_accepted(
    browser: Browser, modelled: Server, model: FakeModel
) -> None:
    async with window(browser) as ada, window(browser) as bo:
        await ada.begin(modelled.url)
        await bo.page.goto(ada.page.url)
        await bo.instruction.fill("open the door")
        await ada.say("slow")
        await expect(bo.turns.locator(".text")).to_have_text(BEGIN.strip())
        await expect(bo.instruction).to_have_value("open the door")  # while another scene is written
        await bo.page.get_by_label("Join the next turn").check()
        await bo.button("Send").click()
        await expect(bo.instruction).to_have_value("")
        for player in (ada, bo):  # both see what runs, and what waits
            await expect(player.turns).to_have_count(2)
            await expect(player.turns.nth(1)).to_contain_text("open the door")
            await expect(player.turns.nth(1)).to_contain_text("Waits in line")
        model.release()
        await expect(bo.scenes).to_have_count(2)
        await expect(bo.scenes.nth(1)).to_contain_text("open the door")
        await expect(bo.turns).to_have_count(0)


async def test_a_refusal_stays_while_words_arrive_and_a_turn_can_be_taken_over(
    browser: Browser, modelled: Server, model: FakeModel
) -> None:
    async with window(browser) as ada, window(browser) as bo:
        await ada.begin(modelled.url)
        await bo.page.goto(ada.page.url)
        await ada.say("slow and taken over")
        await expect(bo.turns).to_have_count(1)
        await bo.page.get_by_label("Take over").check()
        await bo.say("slow but mine")
        await expect(ada.problem).to_contain_text("Another player took this turn over")
        await expect(ada.instruction).to_have_value("slow and taken over")
        model.release()
        await expect(ada.scenes).to_have_count(1)
        await expect(ada.scenes.first).to_contain_text("slow but mine")
        await expect(ada.problem).to_contain_text("Another player took this turn over")
        await ada.button("Dismiss").click()
        await expect(ada.problem).to_have_count(0)


async def test_a_hanging_model_is_stopped_and_a_failing_one_says_what_to_do(browser: Browser, modelled: Server) -> None:
    async with window(browser) as reader:
        await reader.begin(modelled.url)
        await reader.say("slow for ever")
        await expect(reader.turns.locator(".text")).to_have_text(BEGIN.strip())
        await reader.button("Stop").click()
        await expect(reader.problem).to_contain_text("stopped this turn")
        await expect(reader.instruction).to_have_value("slow for ever")
        await reader.button("Dismiss").click()
        await reader.say("ask the unknown one")
        await expect(reader.problem).to_contain_text('has no model "llama3.2": check --model')
        await expect(reader.button("Try again", reader.problem)).to_be_visible()
        await reader.button("Dismiss").click()
        await reader.say("go on")
        await expect(reader.scenes).to_have_count(1)
        await expect(reader.instruction).to_have_value("")


async def test_a_dead_server_is_said_and_its_model_is_asked_for_the_rest_only(
    browser: Browser, shared_database_url: str, model: FakeModel
) -> None:
    async with window(browser) as reader:
        with serving(shared_database_url, model_url=model.url) as doomed:
            await reader.begin(doomed.url)
            await reader.say("slow and orphaned")
            await expect(reader.turns.locator(".text")).to_have_text(BEGIN.strip())
            async with connected(shared_database_url) as connection:
                await until(lambda: connection.fetchval(_RECORDED, story_of(reader.page.url)))
            doomed.kill()
            await expect(reader.page.locator("#connection")).to_contain_text("Reconnecting")
            await reader.instruction.fill("typed meanwhile")
        with serving(shared_database_url, model_url=model.url, port=doomed.port):
            await expect(reader.page.locator("#connection")).to_be_hidden()
            await expect(reader.scenes).to_have_count(1)
            await expect(reader.scenes.first).to_contain_text("The boat came in. A lamp burned on it.")
            await expect(reader.instruction).to_have_value("typed meanwhile")

    first, second = model.asked_for("slow and orphaned")
    assert (len(first), second[1]["content"]) == (1, BEGIN)


async def test_a_player_need_not_wait_for_the_turn_of_a_dead_server(
    browser: Browser, shared_database_url: str, model: FakeModel
) -> None:
    async with window(browser) as reader:
        with serving(shared_database_url, model_url=model.url, lease_seconds=3600) as doomed:
            await reader.begin(doomed.url)
            await reader.say("slow and deserted")
            await expect(reader.turns.locator(".text")).to_have_text(BEGIN.strip())
            doomed.kill()
        with serving(shared_database_url, model_url=model.url, port=doomed.port):
            await reader.button("Ask the model again now").click()
            await until(lambda: len(model.asked_for("slow and deserted")) == 2)
            model.release()
            await expect(reader.scenes).to_have_count(1)
            await expect(reader.problem).to_have_count(0)


async def test_a_phone_has_room_for_everything_and_forks_by_touch(browser: Browser, modelled: Server) -> None:
    async with window(browser) as desk, window(browser, **PHONE) as phone:
        await desk.begin(modelled.url, "A title that is rather long and has no end in sight")
        await desk.say("first")
        await expect(desk.scenes).to_have_count(1)
        await desk.choices.first.click()
        await expect(desk.scenes).to_have_count(2)
        await phone.page.goto(desk.page.url)
        await expect(phone.scenes).to_have_count(2)
        await phone.button("Branch from here", phone.scenes.first).tap()
        await phone.page.fill("#fork-name", "another way")
        await phone.button("Branch").tap()
        await expect(phone.scenes).to_have_count(1)
        await phone.choices.nth(1).tap()
        await expect(phone.scenes).to_have_count(2)
        await phone.button("Alternatives").tap()
        await expect(phone.page.locator(".mark")).to_have_count(1)
        await phone.button("World").tap()
        await expect(phone.page.locator("#tree button", has_text="another way")).to_be_in_viewport()
        width = await phone.page.evaluate("document.documentElement.scrollWidth")
        assert width == 375
        await phone.page.locator("#tree button", has_text="main").tap()
        await expect(phone.page.locator("#branch-name")).to_have_text("main")
        await expect(desk.page.locator("#branch-name")).to_have_text("main")


async def test_the_side_panel_shows_the_world_as_of_a_scene(browser: Browser, modelled: Server) -> None:
    async with window(browser, viewport={"width": 1400, "height": 900}) as reader:
        await reader.begin(modelled.url)
        await reader.say("first")
        await expect(reader.scenes).to_have_count(1)
        await reader.say("nothing follows")  # refused: the model writes no text
        await reader.button("Dismiss").click()
        await reader.say("second")
        await expect(reader.scenes).to_have_count(2)
        panel = reader.page.locator("#world-panel")
        for words in ("Mara", "mood: wary", "Mara → Tom trust +1.0", "Tom: The lamp."):
            await expect(panel).to_contain_text(words)
        await reader.button("World here", reader.scenes.first).click()
        await expect(panel).to_contain_text("As of scene 1")
        await expect(panel).to_contain_text("trust +0.5")
        await reader.button("Back to the last scene").click()
        await expect(panel).to_contain_text("trust +1.0")
        await expect(reader.page.locator("#story-premise")).to_have_text("A lantern on the wrong side of the water.")


async def test_alternatives_are_marked_once_also_where_a_branch_shows_another_one(
    browser: Browser, modelled: Server
) -> None:
    async with window(browser) as reader:
        await reader.begin(modelled.url)
        await reader.say("first")
        await expect(reader.scenes).to_have_count(1)
        await reader.button("Alternatives").click()
        cards = reader.page.locator("#alternatives .card")
        await expect(cards).to_have_count(1)
        await reader.button("Regenerate").click()
        await expect(cards).to_have_count(2)
        await reader.choices.first.click()
        await expect(reader.scenes).to_have_count(2)
        await reader.button("Branch from here", reader.scenes.first).click()
        await reader.button("Branch").click()
        await expect(reader.scenes).to_have_count(1)
        await reader.button("Regenerate").click()  # the other branch went on: this text gets a scene of its own
        await expect(reader.turns).to_have_count(0)
        await reader.button("Alternatives").click()
        await expect(cards).to_have_count(3)
        await expect(reader.page.locator(".mark")).to_have_count(1)


async def test_older_scenes_come_on_scrolling_and_the_focus_stays(
    browser: Browser, server: Server, shared_database_url: str
) -> None:
    async with window(browser) as reader:
        await reader.begin(server.url)
        async with LivingWorld.open(database_url=shared_database_url) as livingworld:
            (record,) = [each for each in (await livingworld.worlds.list()).items if each.name == "Story generator"]
            stories = (await livingworld.worlds.get(record.id)).stories
            for number in range(1, _MANY + 1):
                await stories.append_scene(story_of(reader.page.url), NewScene(f"This is part {number}."))
        await reader.page.reload()
        await expect(reader.scenes.last).to_contain_text(f"This is part {_MANY}.")
        await expect(reader.page.get_by_text("This is part 1.", exact=True)).to_have_count(0)
        await reader.instruction.focus()
        while await reader.scenes.count() < _MANY:
            before = await reader.scenes.count()
            await reader.page.evaluate("window.scrollTo(0, 0)")
            await expect(reader.scenes).not_to_have_count(before)
        await expect(reader.scenes.first).to_contain_text("This is part 1.")
        await expect(reader.instruction).to_be_focused()
        await reader.say("and then")
        await expect(reader.scenes).to_have_count(_MANY + 1)
        assert re.match(r"Scene 1\b", await reader.scenes.first.get_attribute("aria-label") or "")
