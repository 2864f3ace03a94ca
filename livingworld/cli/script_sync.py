"""Publishes the files of a folder that are complete, valid and different from the published scripts, in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from livingworld import CheckedScript, ScriptVersion, World
from livingworld.cli.script_files import Refusal, ScriptFile, scan
from livingworld.errors import InvalidInput, ScriptInvalid

#: A file must be the same in two scans this far apart.
STILL: Final = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """The outcome of one scan."""

    published: tuple[ScriptVersion, ...] = ()
    refused: tuple[Refusal, ...] = ()
    #: Paths of files that are being written.
    moving: tuple[str, ...] = ()


class ScriptSync:
    """A folder whose files are published in a world; what is published is never removed."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._seen: dict[str, ScriptFile] = {}
        #: By path, the digests that were published or found published: newer versions from elsewhere stay.
        self._done: dict[str, bytes] = {}

    async def sync(self) -> Synced:
        """Publish the valid files that did not change since the last scan, together; return the others too."""
        files, refused = await asyncio.to_thread(scan, self._folder)
        moving = tuple(path for path, file in files.items() if self._seen.get(path) != file)
        self._seen = files
        checked: dict[str, CheckedScript] = {}
        for path, file in files.items():
            if path in moving or self._done.get(path) == file.digest:
                continue
            found = self._check(file)
            if isinstance(found, Refusal):
                refused.append(found)
            else:
                checked[path] = found
        published = await self._publish(list(checked.values())) if checked else ()
        self._done |= {path: files[path].digest for path in checked}
        return Synced(published=published, refused=tuple(refused), moving=moving)

    async def until_still(self, report: Callable[[Synced], None], *, patience: timedelta) -> Synced:
        """Sync until no file is being written, and return the last outcome; each one is reported."""
        end = asyncio.get_running_loop().time() + patience.total_seconds()
        while True:
            synced = await self.sync()
            report(synced)
            if not synced.moving or asyncio.get_running_loop().time() >= end:
                return synced
            await asyncio.sleep(STILL.total_seconds())

    def _check(self, file: ScriptFile) -> CheckedScript | Refusal:
        try:
            return self._world.scripts.check(file.name, file.body, kind=file.kind)
        except ScriptInvalid as error:
            line = "" if error.line is None else f"line {error.line}: "
            return Refusal(file.path, f"{line}{error.reason}")
        except InvalidInput as error:
            return Refusal(file.path, str(error))

    async def _publish(self, checked: list[CheckedScript]) -> tuple[ScriptVersion, ...]:
        known = await self._published()
        new = [each for each in checked if known.get(each.name) != each.digest]
        return await self._world.scripts.publish_all(new) if new else ()

    async def _published(self) -> dict[str, str]:
        """Return the digest of the newest version of each script; one that was rolled back is not published again."""
        digests: dict[str, str] = {}
        after: str | None = None
        while True:
            page = await self._world.scripts.list(after=after, limit=1000)
            digests |= {head.name: head.last_digest for head in page.items}
            after = page.next
            if after is None:
                return digests
