"""Browser windows: each player has one of her own, with its own storage."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.support.patience import PATIENCE

#: A window of the shell takes 0.2 s of CPU, and one of the whole browser 1 s.
CHROMIUM: Final = shutil.which("chromium-headless-shell") or shutil.which("chromium")
OCR: Final = shutil.which("tesseract")
_QUIETLY: Final = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
#: A telephone.
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}

expect.set_options(timeout=PATIENCE.total_seconds() * 1000)


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Start a browser that leaves no file behind; sockets are made in its folder, so its name is short."""
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=_QUIETLY, env={**os.environ, "HOME": folder, "TMPDIR": folder}
            )
            try:
                yield browser
            finally:
                await browser.close()


class Window:
    """What one player sees."""

    def __init__(self, page: Page) -> None:
        self.page = page
        #: What went wrong in its scripts.
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE.total_seconds() * 1000)
        self.scenes = page.locator(".scene")
        self.turns = page.locator("#turns > *")
        self.problem = page.locator("#problems > *")
        self.choices = page.locator("#choices button")
        self.instruction = page.locator("#instruction")

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """Return the button of this name."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    async def begin(self, url: str, title: str = "The Causeway") -> None:
        """Create a story."""
        await self.page.goto(url)
        await self.page.fill("#title", title)
        await self.page.fill("#premise", "A lantern on the wrong side of the water.")
        await self.button("Create").click()
        await expect(self.page.locator("#story-title")).to_have_text(title)

    async def say(self, text: str) -> None:
        """Ask for a turn."""
        await self.instruction.fill(text)
        await self.button("Send").click()


@asynccontextmanager
async def window(browser: Browser, url: str | None = None, **options: Any) -> AsyncIterator[Window]:  # noqa: ANN401
    """Open a window; what goes wrong in its scripts fails the test."""
    context = await browser.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
    try:
        opened = Window(await context.new_page())
        if url is not None:
            await opened.page.goto(url)
        yield opened
        assert opened.errors == []
    finally:
        await context.close()


def words_in(picture: Path) -> list[str]:
    """Return the words that can be read in a picture."""
    assert OCR
    one_core = {**os.environ, "OMP_THREAD_LIMIT": "1"}  # more of them mostly wait for each other, and busily
    read = subprocess.run([OCR, str(picture), "-"], env=one_core, capture_output=True, text=True, check=True)
    return re.findall(r"[a-z]{4,}", read.stdout.lower())


def seen(text: str, words: list[str]) -> float:
    """Return the share of a text's words that were read."""
    sought = re.findall(r"[a-z]{4,}", text.lower())
    return sum(word in words for word in sought) / len(sought)
