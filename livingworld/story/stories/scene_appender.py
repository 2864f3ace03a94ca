"""Append a scene: by group commit, and in a transaction of its own when characters must be made."""

from __future__ import annotations

from typing import NoReturn, TypeAlias
from uuid import UUID

from livingworld.deadlines import one_call
from livingworld.errors import LivingWorldError, SceneNumberConflict, SerializationFailure, StaleHead
from livingworld.observability import events
from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.characters.cast import make_cast
from livingworld.story.stories.append_request import AppendRequest
from livingworld.story.stories.appending import Appended, AppendOutcome, Newcomers, Refusal, append_joined
from livingworld.story.stories.locking import lock_story
from livingworld.story.stories.reading import read_scene
from livingworld.story.stories.records import Scene
from livingworld.story.stories.rows import make_stored_scene

Appends: TypeAlias = GroupCommit[AppendRequest, AppendOutcome]


class SceneAppender:
    """Appends scenes to the stories of one world."""

    def __init__(self, unit: WorldUnit, group_commit: Appends | None) -> None:
        self._unit = unit
        #: None inside a transaction, where the scene becomes a part of it.
        self._group_commit = group_commit

    async def append(self, request: AppendRequest) -> Scene:
        """Store a scene and return it, or raise what refused it; see StoryRepository.append_scene."""
        with one_call(self._unit.call_timeout):
            try:
                outcome = await self._store(request)
            except SceneNumberConflict:
                events.emit(events.SCENE_NUMBER_CONFLICT, world_id=self._unit.world_id, story_id=request.story_id)
                raise
            return await self._answer(request, outcome)

    async def _store(self, request: AppendRequest) -> AppendOutcome:
        if self._group_commit is None:
            outcome = await self._unit.write(append_joined, request)
        else:
            self._unit.refuse_misplaced()
            outcome = await self._group_commit.submit(request)
        if not isinstance(outcome, Newcomers):
            return outcome
        if request.repeatable:
            return await self._unit.write_idempotent(_append_with_new_characters, request)
        return await self._unit.write(_append_with_new_characters, request)

    async def _answer(self, request: AppendRequest, outcome: AppendOutcome) -> Scene:
        world_id, story_id = self._unit.world_id, request.story_id
        if isinstance(outcome, Newcomers):  # they were made by the transaction that asks again
            raise SerializationFailure
        if isinstance(outcome, Refusal):
            if self._group_commit is not None:  # otherwise the refusal ends the unit, which counts it
                self._group_commit.meter.refused(outcome.error)
            _refuse(world_id, request, outcome.error)
        place = {"world_id": world_id, "story_id": story_id, "scene_number": outcome.scene_number}
        if isinstance(outcome, Appended):
            events.emit(events.SCENE_CREATED, **place, branch_number=outcome.branch_number)
            return _scene(request, outcome)
        events.emit(events.SCENE_REPLAYED, **place)
        return await self._unit.read(read_scene, story_id, outcome.scene_number)


async def _append_with_new_characters(tx: Transaction, request: AppendRequest) -> AppendOutcome:
    """Make the characters and the scene in one transaction; a refused scene leaves no character behind."""
    async with tx.savepoint():
        await lock_story(tx, request.story_id)
        await make_cast(tx, request.scene.members)
        outcome = await append_joined(tx, request)
        if isinstance(outcome, Refusal):
            _refuse(tx.world_id, request, outcome.error)
    return outcome


def _refuse(world_id: UUID, request: AppendRequest, error: LivingWorldError) -> NoReturn:
    if isinstance(error, StaleHead):
        heads = {"expected": error.expected, "actual": error.actual}
        events.emit(events.HEAD_STALE, world_id=world_id, story_id=request.story_id, **heads)
    raise error


def _scene(request: AppendRequest, stored: Appended) -> Scene:
    return make_stored_scene(
        request.scene,
        request.story_id,
        stored.cast,
        number=stored.scene_number,
        parent_number=stored.parent_number,
        position=stored.position,
        chosen_choice=request.scene.chosen_choice,
        created_at=stored.created_at,
    )
