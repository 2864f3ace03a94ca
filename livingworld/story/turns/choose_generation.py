"""Choose a generation: make another answer of the model the scene."""

from __future__ import annotations

from uuid import UUID

from livingworld import inputs
from livingworld.identifiers import new_id
from livingworld.live.kinds import LiveKind
from livingworld.live.log import publish_at_commit
from livingworld.observability import events
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.stories.records import Scene
from livingworld.story.turns.choosing import ChooseRequest, ChooseResult, choose
from livingworld.story.turns.commit_turn import stored_scene
from livingworld.story.turns.repository import GenerationRepository
from livingworld.story.turns.turn_services import TurnServices, branch_topic


class Generations(GenerationRepository):
    """The generations of one world, and the choice among them."""

    def __init__(self, services: TurnServices) -> None:
        super().__init__(services.unit, services.world_id)
        self._services = services

    async def choose(
        self,
        generation_id: UUID,
        *,
        branch: int | None = None,
        expected_head: int | None = None,
        branch_name: str | None = None,
    ) -> Scene:
        """Make a generation the scene at its place and return the scene.

        At the head of the branch (default: the current one), with nothing hanging on it, the scene keeps its number:
        its text, choices and cast are replaced, the old text stays a generation and a revision. Where something hangs
        on it, the branch goes to a new scene beside it. Where the branch has gone on, the new scene gets a branch of
        its own, `branch_name` or "alternative n", and the branch stays. Shown already, the scene is returned as it is.

        Locks the story. A turn that runs on the branch is lost. Raises GenerationNotFound, GenerationIncomplete when it
        was never made into a scene, BranchNotFound, BranchNameTaken, StaleHead when the head is not `expected_head`,
        Archived.
        """
        if branch is not None:
            inputs.check_integer("branch", branch, minimum=1)
        if expected_head is not None:
            inputs.check_integer("expected_head", expected_head)
        if branch_name is not None:
            inputs.check_label("branch_name", branch_name)
        generation = await self.get(generation_id)
        request = ChooseRequest(
            generation.story_id, generation.id, branch, branch_name, expected_head, UUID(int=new_id().int)
        )
        result = await self._services.unit.run(lambda tx: self._choose(tx, request), repeatable=True)
        self._services.notifications.notify(branch_topic(generation.story_id, result.branch_number))
        return await stored_scene(self._services, generation.story_id, result.scene_number or 0)

    async def _choose(self, tx: Transaction, request: ChooseRequest) -> ChooseResult:
        result = await choose(tx, self._services.world_id, request)
        world_id, story_id = self._services.world_id, request.story_id
        place = {"scene_number": result.scene_number, "branch_number": result.branch_number}
        tx.log_after_commit(events.GENERATION_CHOSEN, world_id=world_id, story_id=story_id, **place)
        if result.status == "chosen":
            told = {**place, "generation_id": request.generation_id}
            publish_at_commit(tx, story_id, LiveKind.GENERATION_CHOSEN, **told)
        return result
