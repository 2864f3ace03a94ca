"""Stories: the public calls; their work is in reading.py, writing.py and appending.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput, InvalidType
from livingworld.identifiers import new_id
from livingworld.inputs import UNCHANGED, Unchanged
from livingworld.postgres.idempotency import CreateRequest
from livingworld.postgres.keyset import Page, check_limit, id_cursor, number_cursor, page_by
from livingworld.postgres.own_keys import get_or_create
from livingworld.postgres.transactions.lock_order import LockKind
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.cast import CastMember
from livingworld.story.revisions import Revision, read_revisions
from livingworld.story.stories import reading, writing
from livingworld.story.stories.append_request import AppendRequest
from livingworld.story.stories.at_least import AtLeast, wanted
from livingworld.story.stories.coordinates import check_branch, check_head
from livingworld.story.stories.editing import SCENE_CHECKS, edit_scene
from livingworld.story.stories.listing import StoryList, list_stories
from livingworld.story.stories.locking import lock_story
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.records import Scene, Status, StoredScene, Story, StoryCharacter, StoryHead, StoryOrder
from livingworld.story.stories.scene_appender import Appends, SceneAppender
from livingworld.story.stories.story_fields import STORY_CHECKS, checked_new


class StoryRepository:
    """The stories of one world."""

    def __init__(
        self, unit: WorldUnit, lock_dependents: writing.LockDependents, appends: Appends | None = None
    ) -> None:
        self._unit = unit
        self._lock_dependents = lock_dependents
        self._appender = SceneAppender(unit, appends)

    async def create(
        self,
        title: str,
        *,
        premise: str = "",
        system_prompt: str = "",
        settings: Mapping[str, Any] | None = None,
        request_key: str | None = None,
    ) -> Story:
        """Store a new story, with an empty branch `main`, and return it; titles need not be unique.

        With a `request_key` a repetition returns the story as it is now; other arguments under the same key are
        RequestKeyReused. Raises WorldNotFound.
        """
        values = checked_new(title, premise, system_prompt, settings)
        request = CreateRequest.of(request_key, LockKind.STORY, "stories.create", values)
        return await self._unit.write_idempotent(writing.create_story, new_id(), values, request)

    async def get_or_create(
        self,
        key: str,
        *,
        title: str | None = None,
        premise: str = "",
        system_prompt: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[Story, bool]:
        """Return the story of a key of the application's own, archived or not, and whether this call made it.

        Keys are unique in the world. One round trip without a lock when the story exists; the other arguments are not
        used then. Otherwise locks the key until the transaction ends. A new story without a title is titled as its
        key. Raises WorldNotFound.
        """
        own = inputs.check_key("key", key)
        values = checked_new(own if title is None else title, premise, system_prompt, settings)
        make = partial(writing.create_story_of_key, story_id=new_id(), values=values)
        return await get_or_create(self._unit, reading.find_story, make, own)

    async def find_by_key(self, key: str) -> Story | None:
        """Return the story of a key, archived or not, or None; one round trip, no lock."""
        return await self._unit.read(reading.find_story, inputs.check_key("key", key))

    async def get(self, story_id: UUID, *, at_least: AtLeast | None = None) -> Story:
        """Return a story, archived or not; raises StoryNotFound."""
        return (await self.head(story_id, at_least=at_least)).story

    async def list(
        self,
        *,
        order: StoryOrder = "created",
        status: Status | None = None,
        search: str | None = None,
        include_archived: bool = False,
        after: str | None = None,
        limit: int = 50,
        at_least: AtLeast | None = None,
    ) -> Page[Story]:
        """Return a page of stories with their scene counts: the newest, the last played, or the first by title first.

        Titles are in the order of the database's collation. A page costs the same wherever it begins; one with a
        `search` costs what the stories cost that have the words in title or premise, as `search.find` compares them.
        A story that is played between two pages moves to the front. Empty when there is none.
        """
        stories = StoryList(order, status, search, include_archived)
        newest = wanted(self._unit, at_least)
        return await self._unit.read_at_least(newest, list_stories, stories, stories.place(after), check_limit(limit))

    async def update(
        self,
        story_id: UUID,
        *,
        expected_version: int,
        title: str | Unchanged = UNCHANGED,
        premise: str | Unchanged = UNCHANGED,
        system_prompt: str | Unchanged = UNCHANGED,
        status: Status | Unchanged = UNCHANGED,
        settings: Mapping[str, Any] | Unchanged = UNCHANGED,
    ) -> Story:
        """Change the given fields, keep the old ones as a revision, and return the story.

        Locks the story. Raises VersionConflict when it was changed since `expected_version`, StoryNotFound, Archived.
        """
        inputs.check_integer("expected_version", expected_version, minimum=1)
        given = {"title": title, "premise": premise, "system_prompt": system_prompt, "status": status}
        changes = inputs.check_changes(STORY_CHECKS, {**given, "settings": settings})
        key = inputs.check_uuid("story_id", story_id)
        return await self._unit.write(writing.update_story, key, expected_version, changes)

    async def archive(self, story_id: UUID) -> Story:
        """Hide the story from lists and refuse writes to it, until it is restored; raises StoryNotFound."""
        key = inputs.check_uuid("story_id", story_id)
        return await self._unit.write_idempotent(writing.set_archived, key, archived=True)

    async def restore(self, story_id: UUID) -> Story:
        """Take the story out of the archive; raises StoryNotFound."""
        key = inputs.check_uuid("story_id", story_id)
        return await self._unit.write_idempotent(writing.set_archived, key, archived=False)

    async def purge(self, story_id: UUID) -> None:
        """Remove the story and everything in it permanently, in one transaction; raises StoryNotFound."""
        key = inputs.check_uuid("story_id", story_id)
        await self._unit.write(writing.purge_story, key, self._lock_dependents)

    async def lock(self, story_id: UUID) -> None:
        """Lock the story against other writers until the transaction ends; only useful in a transaction.

        Called first it waits for other writers, where an append after other locks would be refused instead of waiting:
        stories come first in the order of locks. Raises StoryNotFound, LockTimeout, LockOrderViolation.
        """
        key = inputs.check_uuid("story_id", story_id)
        await self._unit.write(lock_story, key)

    async def head(self, story_id: UUID, *, branch: int | None = None, at_least: AtLeast | None = None) -> StoryHead:
        """Return the story, its current branch (or the one named), and the last scene with choices and cast.

        One round trip. Raises StoryNotFound, BranchNotFound.
        """
        key, number = inputs.check_uuid("story_id", story_id), check_branch(branch)
        return await self._unit.read_at_least(wanted(self._unit, at_least, key), reading.read_head, key, number)

    async def append_scene(
        self,
        story_id: UUID,
        scene: NewScene,
        *,
        branch: int | None = None,
        expected_head: int | None = None,
        request_key: str | None = None,
        durable: bool = True,
    ) -> Scene:
        """Store a scene at the head of the current branch (or the one named) and return it; one round trip.

        `expected_head` is the scene number the caller decided on, 0 before the first scene: when the branch has moved
        on, StaleHead. With a `request_key` a repetition returns the stored scene, and other arguments under the same
        key are RequestKeyReused; without one a lost answer is CommitUnknown. `durable=False`, without a key, allows an
        answer before the scene is on the disk: a crash of the server may lose the last moments. Also raises
        StoryNotFound, BranchNotFound, ChoiceNotFound, CharacterNotFound, Archived; then nothing was written. Names in
        the cast that are new become characters with the scene, or not at all.
        """
        if not isinstance(scene, NewScene):
            raise InvalidType("scene", f"must be a NewScene, not {type(scene).__name__}")
        place = (check_branch(branch), check_head(expected_head))
        if request_key is not None:
            inputs.check_label("request_key", request_key)
        if not inputs.check_boolean("durable", durable) and request_key is not None:
            raise InvalidInput("durable", "must be true with a request_key, whose scene a repetition has to find")
        key = inputs.check_uuid("story_id", story_id)
        return await self._appender.append(AppendRequest(key, scene, *place, request_key, durable))

    async def scene(self, story_id: UUID, scene_number: int, *, at_least: AtLeast | None = None) -> Scene:
        """Return a scene by its number, on any branch; raises SceneNotFound."""
        key, number = inputs.check_uuid("story_id", story_id), inputs.check_integer("scene_number", scene_number)
        return await self._unit.read_at_least(wanted(self._unit, at_least, key), reading.read_scene, key, number)

    async def scenes(
        self,
        story_id: UUID,
        *,
        branch: int | None = None,
        after: str | None = None,
        limit: int = 50,
        newest_first: bool = False,
        at_least: AtLeast | None = None,
    ) -> Page[Scene]:
        """Return a page of the path of the current branch (or the one named), from its start or from its head.

        Costs the same at every position of the path. Raises StoryNotFound, BranchNotFound.
        """
        check_limit(limit)
        inputs.check_boolean("newest_first", newest_first)
        position = None if after is None else number_cursor(after)
        found = await self._path(story_id, branch, position, limit + 1, at_least, newest_first=newest_first)
        return page_by(found, limit, lambda scene: scene.position)

    async def recent(
        self, story_id: UUID, k: int, *, branch: int | None = None, at_least: AtLeast | None = None
    ) -> tuple[Scene, ...]:
        """Return the last k scenes of a branch's path, oldest first, all of them when there are fewer.

        One round trip. Raises StoryNotFound, BranchNotFound.
        """
        inputs.check_integer("k", k, minimum=1, maximum=1000)
        return tuple(reversed(await self._path(story_id, branch, None, k, at_least, newest_first=True)))

    async def all_scenes(self, story_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[StoredScene]:
        """Return a page of all scenes of a story, whatever the branch, in the order of numbers, with raw responses.

        Costs the same at every number. Empty when there is no such story.
        """
        check_limit(limit)
        key, number = inputs.check_uuid("story_id", story_id), 0 if after is None else number_cursor(after)
        found = await self._unit.read(reading.read_stored_scenes, key, number, limit + 1)
        return page_by(found, limit, lambda stored: stored.scene.number)

    async def characters(self, story_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[StoryCharacter]:
        """Return a page of who appears in a story, on any branch, with the first and the last scene, in order of ids.

        Costs the same in a story of any length. Empty when there is no such story.
        """
        check_limit(limit)
        key, last = inputs.check_uuid("story_id", story_id), UUID(int=0) if after is None else id_cursor(after)
        found = await self._unit.read(reading.read_story_characters, key, last, limit + 1)
        return page_by(found, limit, lambda character: character.id)

    async def raw_response(self, story_id: UUID, scene_number: int) -> str | None:
        """Return what the model answered for a scene, or None when it was not kept; raises SceneNotFound."""
        key, number = inputs.check_uuid("story_id", story_id), inputs.check_integer("scene_number", scene_number)
        return await self._unit.read(reading.read_raw_response, key, number)

    async def edit_scene(  # noqa: PLR0913 - a scene has these parts
        self,
        story_id: UUID,
        scene_number: int,
        *,
        expected_version: int,
        content: str | Unchanged = UNCHANGED,
        choices: Sequence[str] | Unchanged = UNCHANGED,
        cast: Sequence[str | UUID | CastMember] | Unchanged = UNCHANGED,
        location: str | Unchanged | None = UNCHANGED,
        story_time: str | Unchanged | None = UNCHANGED,
        metadata: Mapping[str, Any] | Unchanged = UNCHANGED,
    ) -> Scene:
        """Change the given fields, keep the old ones as a revision, and return the scene.

        None takes the location or the time away. `choices` and `cast` are the whole of them; a new name in the cast
        becomes a character. Locks the story. Raises VersionConflict when it was edited since `expected_version`,
        ChoiceNotFound when a scene that follows was reached by a choice that would be gone, CharacterNotFound,
        StoryNotFound, SceneNotFound, Archived.
        """
        inputs.check_integer("expected_version", expected_version, minimum=1)
        parts: dict[str, object] = {"content": content, "choices": choices, "cast": cast}
        parts |= {"location": location, "story_time": story_time, "metadata": metadata}
        changes = inputs.check_changes(SCENE_CHECKS, parts)
        key, number = inputs.check_uuid("story_id", story_id), inputs.check_integer("scene_number", scene_number)
        return await self._unit.write(edit_scene, key, number, expected_version, changes)

    async def revisions(self, story_id: UUID, *, scene_number: int | None = None) -> tuple[Revision, ...]:
        """Return the old copies of a story, or of one of its scenes, oldest first; empty when it was never edited."""
        key = inputs.check_uuid("story_id", story_id)
        entity, number = ("story", 0) if scene_number is None else ("scene", scene_number)
        inputs.check_integer("scene_number", number)
        return await self._unit.read(read_revisions, entity, key, scene_number=number)

    async def _path(
        self,
        story_id: UUID,
        branch: int | None,
        after: int | None,
        limit: int,
        at_least: AtLeast | None,
        *,
        newest_first: bool,
    ) -> Sequence[Scene]:
        key, number = inputs.check_uuid("story_id", story_id), check_branch(branch)
        asked = (key, number, after, limit)
        newest = wanted(self._unit, at_least, key)
        return await self._unit.read_at_least(newest, reading.read_path, *asked, newest_first=newest_first)
