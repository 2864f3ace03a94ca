"""Ten turns played in a browser, and what a person would see: the words in a picture of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, async_playwright, expect

from livingworld.testing.staged_races import connected
from tests.examples.servers import serving
from tests.support.patience import PATIENCE

_CHROMIUM: Final = shutil.which("chromium")
_OCR: Final = shutil.which("tesseract")
_QUIETLY: Final = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
_TURNS: Final = 10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium (Debian's package, which .ci/run installs)"),
    pytest.mark.skipif(_OCR is None, reason="there is no tesseract (Debian's tesseract-ocr, which .ci/run installs)"),
]


@asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    """Open a page in a browser that leaves no file behind; sockets are made in its folder, so its name is short."""
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        async with _launched(Path(folder)) as page:
            yield page


@asynccontextmanager
async def _launched(folder: Path) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            str(folder / "profile"),
            executable_path=_CHROMIUM,
            args=_QUIETLY,
            viewport={"width": 1100, "height": 900},
            env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder)},
        )
        try:
            yield context.pages[0]
        finally:
            await context.close()


def words_in(picture: Path) -> list[str]:
    """Return the words that can be read in a picture."""
    assert _OCR
    told = subprocess.run([_OCR, str(picture), "-"], capture_output=True, text=True, check=True)
    return re.findall(r"[a-z]{4,}", told.stdout.lower())


def seen(text: str, words: list[str]) -> float:
    """Return the share of a text's words that were read."""
    sought = re.findall(r"[a-z]{4,}", text.lower())
    return sum(word in words for word in sought) / len(sought)


async def begin(page: Page, url: str) -> None:
    """Begin a story and ask for its first scene."""
    await page.goto(url)
    await page.fill("#title", "The Causeway")
    await page.fill("#premise", "A lantern on the wrong side of the water.")
    await page.click("#new-story button")
    await page.fill("#instruction", "begin at night")
    await page.click("#say button")


async def play_on(page: Page) -> None:
    """Click through the turns, some of them twice, and undo and redo the last."""
    scenes = page.locator(".scene")
    for turn in range(1, _TURNS):
        await expect(scenes).to_have_count(turn, timeout=PATIENCE.total_seconds() * 1000)
        await page.locator("#choices button").nth(turn % 3).click(click_count=1 + turn % 2)
    await expect(scenes).to_have_count(_TURNS, timeout=PATIENCE.total_seconds() * 1000)
    await page.click("#undo")
    await expect(scenes).to_have_count(_TURNS - 1)
    await page.click("#redo")
    await expect(scenes).to_have_count(_TURNS)


async def test_ten_turns_can_be_played_and_seen(database_url: str, tmp_path: Path) -> None:
    picture, errors = tmp_path / "page.png", list[str]()
    with serving(database_url) as server:
        async with browser_page() as page:
            page.on("pageerror", lambda error: errors.append(str(error)))
            await begin(page, server.url)
            await play_on(page)
            scene = await page.locator(".scene").last.inner_text()
            choices = await page.locator("#choices button").all_inner_texts()
            await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            await page.screenshot(path=picture)
    words = words_in(picture)

    assert errors == []
    assert len(choices) == 3
    assert seen(scene.replace("Fork here", ""), words) > 0.8
    assert seen(" ".join(choices), words) > 0.8
    assert seen("Undo Redo Tell anew Other answers", words) > 0.7
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM livingworld.scenes") == _TURNS
