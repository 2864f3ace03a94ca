"""Append a scene: by group commit when its cast is known, in a transaction of its own when characters must be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.errors import LivingWorldError, SceneNumberConflict, StaleHead
from livingworld.observability import events
from livingworld.postgres.group_commit import GroupCommit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.unit_of_work import UnitOfWork
from livingworld.story.stories.appending import AppendRequest, AppendResult, append_joined, refusal
from livingworld.story.stories.new_scene import NewScene
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import CastMember, Choice, Scene
from livingworld.story.stories.writing import lock_story


class CastNames(Protocol):
    """What stories need of the characters: the two packages do not know each other."""

    def check(self, names: Sequence[str]) -> None:
        """Raise InvalidInput when one of the names cannot be one."""
        ...

    async def known(self, tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those names that exist."""
        ...

    async def ensure(self, tx: Transaction, names: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of all names; those that do not exist are made."""
        ...


class SceneAppender:
    """Appends scenes to the stories of one world."""

    def __init__(
        self,
        unit: UnitOfWork,
        world_id: UUID,
        cast_names: CastNames,
        group_commit: GroupCommit[AppendRequest, AppendResult] | None,
    ) -> None:
        self._unit = unit
        self._world_id = world_id
        self._cast_names = cast_names
        #: None inside a transaction, where the scene becomes a part of it.
        self._group_commit = group_commit

    async def append(
        self,
        story_id: UUID,
        scene: NewScene,
        branch_number: int | None,
        expected_head: int | None,
        request_key: str | None,
    ) -> Scene:
        """Store a scene and return it, or raise what refused it; see StoryRepository.append_scene."""
        with one_call(self._unit.call_timeout):
            return await self._append(story_id, scene, branch_number, expected_head, request_key)

    async def _append(
        self,
        story_id: UUID,
        scene: NewScene,
        branch_number: int | None,
        expected_head: int | None,
        request_key: str | None,
    ) -> Scene:
        names = scene.names()
        self._cast_names.check(names)
        known = await self._known(names) if names else {}
        complete = len(known) == len(set(names))
        cast = _resolve(scene, known) if complete else ()
        request = AppendRequest(story_id, scene, cast, branch_number, expected_head, request_key)
        try:
            if complete:
                result = await self._store(request)
            else:
                result, request = await self._store_with_new_characters(request, names)
        except SceneNumberConflict:
            events.emit(events.SCENE_NUMBER_CONFLICT, world_id=self._world_id, story_id=story_id)
            raise
        return await self._answer(result, request)

    async def _known(self, names: Sequence[str]) -> Mapping[str, UUID]:
        return await self._unit.run(
            lambda tx: self._cast_names.known(tx, names), repeatable=True, single_statement=True
        )

    async def _store(self, request: AppendRequest) -> AppendResult:
        if self._group_commit is not None:
            self._unit.refuse_misplaced()
            return await self._group_commit.submit(request)
        return await self._unit.run(lambda tx: append_joined(tx, self._world_id, request))

    async def _store_with_new_characters(
        self, request: AppendRequest, names: Sequence[str]
    ) -> tuple[AppendResult, AppendRequest]:
        """Make the characters and the scene in one transaction; a refused scene leaves no character behind."""

        async def work(tx: Transaction) -> tuple[AppendResult, AppendRequest]:
            async with tx.savepoint():
                await lock_story(tx, self._world_id, request.story_id)
                ids = await self._cast_names.ensure(tx, names)
                complete = replace(request, cast=_resolve(request.scene, ids))
                result = await append_joined(tx, self._world_id, complete)
                if (error := refusal(result, complete)) is not None:
                    self._report(error, request.story_id)
                    raise error
            return result, complete

        return await self._unit.run(work, repeatable=request.request_key is not None)

    async def _answer(self, result: AppendResult, request: AppendRequest) -> Scene:
        if (error := refusal(result, request)) is not None:
            self._report(error, request.story_id)
            raise error
        place = {"world_id": self._world_id, "story_id": request.story_id, "scene_number": result.scene_number}
        if result.status == "appended":
            events.emit(events.SCENE_CREATED, **place, branch_number=result.branch_number)
            return _scene(result, request)
        events.emit(events.SCENE_REPLAYED, **place)
        number = result.scene_number or 0
        return await self._unit.run(
            lambda tx: read_scene(tx, self._world_id, request.story_id, number), repeatable=True, single_statement=True
        )

    def _report(self, error: LivingWorldError, story_id: UUID) -> None:
        if isinstance(error, StaleHead):
            events.emit(
                events.HEAD_STALE,
                world_id=self._world_id,
                story_id=story_id,
                expected=error.expected,
                actual=error.actual,
            )


def _resolve(scene: NewScene, ids: Mapping[str, UUID]) -> tuple[CastMember, ...]:
    """Return the cast by id; who is named twice, by two of her names, appears once."""
    members: dict[UUID, CastMember] = {}
    for member in scene.cast:
        assert isinstance(member, CastMember)  # noqa: S101 - NewScene wraps every member
        character = ids[member.character] if isinstance(member.character, str) else member.character
        members.setdefault(character, CastMember(character, member.role, member.importance))
    return tuple(members[character] for character in sorted(members))


def _scene(result: AppendResult, request: AppendRequest) -> Scene:
    given = request.scene
    return Scene(
        story_id=request.story_id,
        number=result.scene_number or 0,
        parent_number=result.parent_number,
        position=result.position or 0,
        content=given.content,
        choices=tuple(Choice(number, choice) for number, choice in enumerate(given.choices, start=1)),
        cast=request.cast,
        chosen_choice=given.chosen_choice,
        location=given.location,
        story_time=given.story_time,
        metadata=given.metadata,
        version=1,
        created_at=result.created_at,
        updated_at=result.created_at,
    )
