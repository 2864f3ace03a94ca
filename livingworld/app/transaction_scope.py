"""One transaction with every repository on it: the table of contents of a world."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from livingworld.app.streams import STREAMS
from livingworld.coordination.actions import running_action, world_actions
from livingworld.coordination.actions.repository import ActionRepository
from livingworld.coordination.cycles.running import Cycle
from livingworld.coordination.documents.repository import DocumentRepository
from livingworld.coordination.locks.leases import HeldLease
from livingworld.coordination.locks.transaction_locks import TransactionLocks
from livingworld.coordination.sessions.interaction_repository import InteractionRepository
from livingworld.coordination.sessions.repository import SessionRepository
from livingworld.coordination.sessions.task_repository import TaskRepository
from livingworld.live.publishing import LivePublisher
from livingworld.models.ai_models.repository import AIModelRepository
from livingworld.models.scripts.repository import ScriptRepository
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.postgres.transactions.world_unit import WorldUnit
from livingworld.story.branches.repository import BranchRepository
from livingworld.story.characters.repository import CharacterRepository
from livingworld.story.facts.repository import FactRepository
from livingworld.story.lore.lore_keys import LoreKeys
from livingworld.story.lore.repository import LoreRepository
from livingworld.story.memories.memory_embedder import share_embedder
from livingworld.story.memories.repository import MemoryRepository
from livingworld.story.relationships.repository import RelationshipRepository
from livingworld.story.search.repository import Search
from livingworld.story.stories.repository import StoryRepository
from livingworld.story.stories.scene_appender import Appends
from livingworld.story.turns import turn
from livingworld.story.turns.repository import GenerationRepository
from livingworld.story.turns.turn_repository import TurnRepository


class WorldRepositories:
    """The repositories of one world; bound to it, so that no call reaches another world's rows."""

    def __init__(self, unit: WorldUnit, appends: Appends | None = None, lore_keys: LoreKeys | None = None) -> None:
        self._id = unit.world_id
        self.stories = StoryRepository(unit, share_embedder, appends)
        self.branches = BranchRepository(unit)
        self.characters = CharacterRepository(unit)
        self.facts = FactRepository(unit)
        self.relationships = RelationshipRepository(unit)
        self.memories = MemoryRepository(unit)
        self.lore = LoreRepository(unit, lore_keys)
        #: What was played; on a world also what is being played, one turn at a time on each branch.
        self.turns = TurnRepository(unit)
        #: The answers of models.
        self.generations = GenerationRepository(unit)
        self.documents = DocumentRepository(unit)
        self.sessions = SessionRepository(unit)
        self.interactions = InteractionRepository(unit)
        self.tasks = TaskRepository(unit)
        self.actions = ActionRepository(unit)
        self.ai_models = AIModelRepository(unit)
        #: The application's own small events.
        self.live = LivePublisher(unit, STREAMS)
        #: Full-text search.
        self.search = Search(unit)

    @property
    def id(self) -> UUID:
        """Id of the world."""
        return self._id


class TransactionScope(WorldRepositories):
    """The repositories of a world inside one transaction: other sessions see its writes after the commit."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self._transaction = transaction
        self.locks = TransactionLocks(transaction)
        self.scripts = ScriptRepository(transaction)

    async def prove(self, held: HeldLease | Cycle) -> None:
        """Prove that a lease or a cycle is still held, until this transaction ends; raises Fenced.

        Prove a lease first: after other locks it is only tried, while a cycle is waited for.
        """
        await held.check(self._transaction)


#: A turn in hand, whose effect gets a TransactionScope.
Turn: TypeAlias = turn.Turn[TransactionScope]
#: A claimed action, whose effects get a TransactionScope.
RunningAction: TypeAlias = running_action.RunningAction[TransactionScope]
ActionWorker: TypeAlias = world_actions.ActionWorker[TransactionScope]
