"""livingworld keeps worlds and stories in PostgreSQL for programs that generate stories with language models."""

from importlib import import_module
from typing import TYPE_CHECKING

from livingworld import errors
from livingworld.app.public_names import HOMES
from livingworld.errors import *  # noqa: F403 - they stand in its own __all__

if TYPE_CHECKING:
    from livingworld.app.livingworld import LivingWorld
    from livingworld.app.pruning import Pruned
    from livingworld.app.transaction_scope import ActionWorker, RunningAction, TransactionScope, Turn
    from livingworld.app.world import World
    from livingworld.bundles.records import Bundle, BundleProgress
    from livingworld.bundles.verifying import verify_bundle
    from livingworld.contention.records import HeldTurn, LockChain, LockReport, LockSession, WaitedLock
    from livingworld.coordination.actions.conflict_policy import COMMANDS, ConflictPolicy, Rule, Verdict
    from livingworld.coordination.actions.records import Action, LaneSize, NewAction
    from livingworld.coordination.actions.replaying import replay
    from livingworld.coordination.cycles.records import CycleRun, CycleStatus
    from livingworld.coordination.cycles.running import Cycle
    from livingworld.coordination.documents.merge import Strategies, Strategy
    from livingworld.coordination.documents.records import ABSENT, Absent, Document, MergeConflict, MergeResult
    from livingworld.coordination.locks.leases import HeldLease
    from livingworld.coordination.sessions.records import Interaction, Session, Task
    from livingworld.coordination.sessions.running_task import RunningTask
    from livingworld.deadlines import deadline
    from livingworld.erasure.records import Erased
    from livingworld.inputs import UNCHANGED, Unchanged
    from livingworld.live.kinds import LiveKind
    from livingworld.live.live import LiveSnapshot
    from livingworld.live.records import LiveEvent, Missed, Presence, PresentPlayer
    from livingworld.live.subscription import Subscription
    from livingworld.models.ai_models.hosting import ModelHost
    from livingworld.models.ai_models.loaded_model import PinnedModel
    from livingworld.models.ai_models.records import AIModel, NewSample, SampleResult, TrainingSample
    from livingworld.models.ai_models.sample_collector import SampleCollector
    from livingworld.models.embeddings.dispatch import DispatchPolicy
    from livingworld.models.embeddings.dispatcher import EmbedderDispatcher
    from livingworld.models.embeddings.embedder import Embedder
    from livingworld.models.embeddings.openai_compatible import OpenAICompatibleEmbedder
    from livingworld.models.embeddings.pipeline import EmbeddingPipeline
    from livingworld.models.embeddings.records import Embedded
    from livingworld.models.embeddings.sentence_transformers import SentenceTransformersEmbedder, packaged_minilm
    from livingworld.models.scripts.kinds import CheckedScript
    from livingworld.models.scripts.records import Script, ScriptExecution, ScriptHead, ScriptUsage, ScriptVersion
    from livingworld.observability.histogram import Distribution
    from livingworld.observability.instruments import Instrument
    from livingworld.observability.snapshot import MetricSeries, MetricsSnapshot
    from livingworld.postgres.keyset import Page
    from livingworld.postgres.transactions.contention import LockContention, LockCounts
    from livingworld.settings.settings import Settings
    from livingworld.story.characters.cast import CastMember
    from livingworld.story.characters.records import Character
    from livingworld.story.characters.references import Subject
    from livingworld.story.facts.new_facts import RETRACTED
    from livingworld.story.facts.records import Fact
    from livingworld.story.lore.lorebooks import Lorebook, UnsupportedLore, read_lorebook
    from livingworld.story.lore.records import LoreEntry, LoreMatch, NewLoreEntry
    from livingworld.story.memories.embed_memories import MemoryEmbeddings
    from livingworld.story.memories.records import Memory, NewMemory, Recalled, RecallWeights, Recollection
    from livingworld.story.relationships.records import LedgerEntry, Relationship, RelationshipChange
    from livingworld.story.revisions import Revision
    from livingworld.story.search.records import SearchBacklog, SearchHit, SearchPage
    from livingworld.story.semantic_search.records import SimilarText, SimilarTexts
    from livingworld.story.semantic_search.text_embeddings import TextEmbeddings
    from livingworld.story.stories.new_scene import NewScene
    from livingworld.story.stories.records import (
        Branch,
        Choice,
        Scene,
        SceneCharacter,
        StoredScene,
        Story,
        StoryCharacter,
        StoryHead,
        TreeScene,
    )
    from livingworld.story.turns.new_state import NewState
    from livingworld.story.turns.records import Generation, TurnContext, TurnInput
    from livingworld.story.turns.turn_call import TurnCall
    from livingworld.story.turns.turn_records import (
        ModelCall,
        PlayerInput,
        TokenUsage,
        TurnAttempt,
        TurnRecord,
        TurnTree,
    )
    from livingworld.story.worlds.records import WorldRecord

    #: The installed version, as pyproject.toml has it.
    __version__: str
else:  # here, so that a type checker knows no other names than those above

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for: a program pays for what it uses."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 - it parses mail headers

            value = version("livingworld")
        elif name in HOMES:
            value = getattr(import_module(HOMES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ABSENT",
    "COMMANDS",
    "RETRACTED",
    "UNCHANGED",
    "AIModel",
    "Absent",
    "Action",
    "ActionWorker",
    "Branch",
    "Bundle",
    "BundleProgress",
    "CastMember",
    "Character",
    "CheckedScript",
    "Choice",
    "ConflictPolicy",
    "Cycle",
    "CycleRun",
    "CycleStatus",
    "DispatchPolicy",
    "Distribution",
    "Document",
    "Embedded",
    "Embedder",
    "EmbedderDispatcher",
    "EmbeddingPipeline",
    "Erased",
    "Fact",
    "Generation",
    "HeldLease",
    "HeldTurn",
    "Instrument",
    "Interaction",
    "LaneSize",
    "LedgerEntry",
    "LiveEvent",
    "LiveKind",
    "LiveSnapshot",
    "LivingWorld",
    "LockChain",
    "LockContention",
    "LockCounts",
    "LockReport",
    "LockSession",
    "LoreEntry",
    "LoreMatch",
    "Lorebook",
    "Memory",
    "MemoryEmbeddings",
    "MergeConflict",
    "MergeResult",
    "MetricSeries",
    "MetricsSnapshot",
    "Missed",
    "ModelCall",
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
    "PlayerInput",
    "Presence",
    "PresentPlayer",
    "Pruned",
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
    "SceneCharacter",
    "Script",
    "ScriptExecution",
    "ScriptHead",
    "ScriptUsage",
    "ScriptVersion",
    "SearchBacklog",
    "SearchHit",
    "SearchPage",
    "SentenceTransformersEmbedder",
    "Session",
    "Settings",
    "SimilarText",
    "SimilarTexts",
    "StoredScene",
    "Story",
    "StoryCharacter",
    "StoryHead",
    "Strategies",
    "Strategy",
    "Subject",
    "Subscription",
    "Task",
    "TextEmbeddings",
    "TokenUsage",
    "TrainingSample",
    "TransactionScope",
    "TreeScene",
    "Turn",
    "TurnAttempt",
    "TurnCall",
    "TurnContext",
    "TurnInput",
    "TurnRecord",
    "TurnTree",
    "Unchanged",
    "UnsupportedLore",
    "Verdict",
    "WaitedLock",
    "World",
    "WorldRecord",
    "__version__",
    "deadline",
    "packaged_minilm",
    "read_lorebook",
    "replay",
    "verify_bundle",
]
__all__ += errors.__all__
