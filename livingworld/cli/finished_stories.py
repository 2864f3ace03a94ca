"""Finished stories are moved out of their world, each into a verified bundle of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from livingworld import Bundle, Story, TransactionScope, World, verify_bundle
from livingworld.errors import BundleFileFailed, StoryNotFound


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder for the bundles of one world's stories that were completed and last played before a moment."""

    world: World
    folder: Path
    last_played_before: datetime

    async def put_away(self) -> AsyncGenerator[Bundle, None]:
        """Move one finished story after the other into its file, and give each bundle; interrupted, do it again.

        A story is in the database, in a file that was written, synced and read again, or in both. Raises
        BundleFileFailed.
        """
        for story_id in [story.id async for story in self._stories() if self._is_finished(story)]:
            try:
                bundle = await self._put_one_away(story_id)
            except StoryNotFound:  # another such command has put it away, or somebody has purged it
                continue
            if bundle is not None:
                yield bundle

    async def _stories(self) -> AsyncIterator[Story]:
        after = None
        while True:
            page = await self.world.stories.list(status="completed", include_archived=True, after=after)
            for story in page.items:
                yield story
            if (after := page.next) is None:
                return

    def _is_finished(self, story: Story) -> bool:
        return story.status == "completed" and (story.last_scene_at or story.created_at) < self.last_played_before

    async def _put_one_away(self, story_id: UUID) -> Bundle | None:
        """Move one story; None: it was played or restored meanwhile, and stays."""
        if (story := await self.world.run(lambda tx: self._closed(tx, story_id))) is None:
            return None
        # The version of a story that nobody can write to stands for its content: no other one takes its place.
        path = self.folder / f"{self.world.id}-{story_id}-{story.version}.jsonl"
        written = await self.world.export_story(story_id, path)
        found = await asyncio.to_thread(verify_bundle, path)
        # Another such command may have written it again meanwhile, with more of its words indexed.
        if (found.world_id, found.story_id) != (written.world_id, written.story_id):
            raise BundleFileFailed(reason=f"{path} has another content than was written")
        if await self.world.run(lambda tx: _remove(tx, story)):
            return written
        await asyncio.to_thread(path.unlink, missing_ok=True)  # of a story that goes on
        return None

    async def _closed(self, tx: TransactionScope, story_id: UUID) -> Story | None:
        """Archive a story, unless it was played or reopened since it was listed."""
        await tx.stories.lock(story_id)
        story = await tx.stories.get(story_id)
        return await tx.stories.archive(story_id) if self._is_finished(story) else None


async def _remove(tx: TransactionScope, archived: Story) -> bool:
    """Purge a story that is as it was when its bundle was written, and return whether it was."""
    await tx.stories.lock(archived.id)
    if (await tx.stories.get(archived.id)).version != archived.version:
        return False
    await tx.stories.purge(archived.id)
    return True
