"""One transaction with every repository on it: the table of contents of a world."""

from __future__ import annotations

from uuid import UUID

from livingworld.actions.repository import ActionRepository
from livingworld.ai_models.repository import AIModelRepository
from livingworld.characters.cast_names import WorldCastNames
from livingworld.characters.repository import CharacterRepository
from livingworld.cycles.running import Cycle
from livingworld.database.group_commit import GroupCommit
from livingworld.database.transaction import Transaction, UnitOfWork
from livingworld.documents.repository import DocumentRepository
from livingworld.facts.repository import FactRepository
from livingworld.locks.leases import HeldLease
from livingworld.locks.transaction_locks import TransactionLocks
from livingworld.lore.repository import LoreRepository
from livingworld.memories.repository import MemoryRepository
from livingworld.relationships.repository import RelationshipRepository
from livingworld.scripts.repository import ScriptRepository
from livingworld.sessions.interaction_repository import InteractionRepository
from livingworld.sessions.repository import SessionRepository
from livingworld.sessions.task_repository import TaskRepository
from livingworld.stories.appending import AppendRequest, AppendResult
from livingworld.stories.branch_repository import BranchRepository
from livingworld.stories.repository import StoryRepository
from livingworld.stories.scene_appender import SceneAppender


class WorldRepositories:
    """Everything that is kept in one world; bound to it, so that no call reaches another world's rows."""

    def __init__(
        self,
        unit: UnitOfWork,
        world_id: UUID,
        appends: GroupCommit[AppendRequest, AppendResult] | None = None,
    ) -> None:
        self._id = world_id
        appender = SceneAppender(unit, world_id, WorldCastNames(world_id), appends)
        self.stories = StoryRepository(unit, world_id, appender)
        self.branches = BranchRepository(unit, world_id)
        self.characters = CharacterRepository(unit, world_id)
        self.facts = FactRepository(unit, world_id)
        self.relationships = RelationshipRepository(unit, world_id)
        self.memories = MemoryRepository(unit, world_id)
        self.lore = LoreRepository(unit, world_id)
        self.documents = DocumentRepository(unit, world_id)
        self.sessions = SessionRepository(unit, world_id)
        self.interactions = InteractionRepository(unit, world_id)
        self.tasks = TaskRepository(unit, world_id)
        self.actions = ActionRepository(unit, world_id)
        self.ai_models = AIModelRepository(unit, world_id)

    @property
    def id(self) -> UUID:
        """Id of the world."""
        return self._id


class TransactionScope(WorldRepositories):
    """The repositories of a world inside one transaction: nothing they write is seen by others before it commits."""

    def __init__(self, transaction: Transaction, world_id: UUID) -> None:
        super().__init__(transaction, world_id)
        self._transaction = transaction
        self.locks = TransactionLocks(transaction, world_id)
        self.scripts = ScriptRepository(transaction, world_id)

    async def prove(self, held: HeldLease | Cycle) -> None:
        """Prove that a lease or a cycle is still held, until this transaction ends; raises Fenced.

        A lease is best proven first: later it is not waited for, as a cycle is.
        """
        await held.check(self._transaction)
