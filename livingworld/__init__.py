"""livingworld keeps worlds and stories in PostgreSQL for programs that generate stories with language models."""

from livingworld import errors
from livingworld.actions.conflict_policy import COMMANDS, ConflictPolicy, Rule, Verdict
from livingworld.actions.records import Action, LaneSize, NewAction
from livingworld.actions.replaying import replay
from livingworld.ai_models.hosting import ModelHost
from livingworld.ai_models.loaded_model import PinnedModel
from livingworld.ai_models.records import AIModel, NewSample, SampleResult, TrainingSample
from livingworld.ai_models.sample_collector import SampleCollector
from livingworld.app import LivingWorld, World
from livingworld.characters.records import Character
from livingworld.cycles.records import CycleRun
from livingworld.cycles.running import Cycle
from livingworld.database.keyset import Page
from livingworld.database.live_kinds import LiveKind
from livingworld.database.revisions import Revision
from livingworld.deadlines import deadline
from livingworld.documents.merge import Strategies, Strategy
from livingworld.documents.records import ABSENT, Absent, Document, MergeConflict, MergeResult
from livingworld.embeddings.dispatch import DispatchPolicy
from livingworld.embeddings.dispatcher import EmbedderDispatcher
from livingworld.embeddings.embedder import Embedder
from livingworld.embeddings.openai_compatible import OpenAICompatibleEmbedder
from livingworld.embeddings.packaged_model import packaged_minilm
from livingworld.embeddings.pipeline import EmbeddingPipeline
from livingworld.embeddings.records import Embedded
from livingworld.embeddings.sentence_transformers import SentenceTransformersEmbedder
from livingworld.errors import *  # noqa: F403 - they stand in its own __all__
from livingworld.facts.new_facts import RETRACTED
from livingworld.facts.records import Fact
from livingworld.live.records import LiveEvent, Missed
from livingworld.live.subscription import Subscription
from livingworld.locks.leases import HeldLease
from livingworld.lore.records import LoreEntry, LoreMatch, NewLoreEntry
from livingworld.memories.records import Memory, NewMemory, Recalled, RecallWeights, Recollection
from livingworld.relationships.records import LedgerEntry, Relationship, RelationshipChange
from livingworld.scripts.kinds import CheckedScript
from livingworld.scripts.records import Script, ScriptExecution, ScriptHead, ScriptUsage, ScriptVersion
from livingworld.sessions.records import Interaction, Session, Task
from livingworld.sessions.running import RunningTask
from livingworld.settings import Settings
from livingworld.stories.new_scene import NewScene
from livingworld.stories.records import Branch, CastMember, Choice, Scene, Story, StoryHead, TreeScene
from livingworld.transaction_scope import TransactionScope
from livingworld.turns.records import Generation, TurnInput
from livingworld.workflows.new_state import NewState
from livingworld.workflows.run_action import RunningAction
from livingworld.workflows.search import SearchHit, SearchPage
from livingworld.workflows.turn import Turn
from livingworld.workflows.turn_context import TurnContext
from livingworld.workflows.work_actions import ActionWorker
from livingworld.worlds.records import WorldRecord

__all__ = [
    "ABSENT",
    "COMMANDS",
    "RETRACTED",
    "AIModel",
    "Absent",
    "Action",
    "ActionWorker",
    "Branch",
    "CastMember",
    "Character",
    "CheckedScript",
    "Choice",
    "ConflictPolicy",
    "Cycle",
    "CycleRun",
    "DispatchPolicy",
    "Document",
    "Embedded",
    "Embedder",
    "EmbedderDispatcher",
    "EmbeddingPipeline",
    "Fact",
    "Generation",
    "HeldLease",
    "Interaction",
    "LaneSize",
    "LedgerEntry",
    "LiveEvent",
    "LiveKind",
    "LivingWorld",
    "LoreEntry",
    "LoreMatch",
    "Memory",
    "MergeConflict",
    "MergeResult",
    "Missed",
    "ModelHost",
    "NewAction",
    "NewLoreEntry",
    "NewMemory",
    "NewSample",
    "NewScene",
    "NewState",
    "OpenAICompatibleEmbedder",
    "Page",
    "PinnedModel",
    "RecallWeights",
    "Recalled",
    "Recollection",
    "Relationship",
    "RelationshipChange",
    "Revision",
    "Rule",
    "RunningAction",
    "RunningTask",
    "SampleCollector",
    "SampleResult",
    "Scene",
    "Script",
    "ScriptExecution",
    "ScriptHead",
    "ScriptUsage",
    "ScriptVersion",
    "SearchHit",
    "SearchPage",
    "SentenceTransformersEmbedder",
    "Session",
    "Settings",
    "Story",
    "StoryHead",
    "Strategies",
    "Strategy",
    "Subscription",
    "Task",
    "TrainingSample",
    "TransactionScope",
    "TreeScene",
    "Turn",
    "TurnContext",
    "TurnInput",
    "Verdict",
    "World",
    "WorldRecord",
    "deadline",
    "packaged_minilm",
    "replay",
]
__all__ += errors.__all__
