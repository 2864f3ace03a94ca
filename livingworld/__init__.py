"""livingworld keeps worlds and stories in PostgreSQL for programs that generate stories with language models."""

from livingworld.app import LivingWorld, World
from livingworld.characters.records import Character
from livingworld.database.keyset import Page
from livingworld.database.revisions import Revision
from livingworld.documents.merge import Strategies, Strategy
from livingworld.documents.records import ABSENT, Absent, Document, MergeConflict, MergeResult
from livingworld.settings import Settings
from livingworld.stories.new_scene import NewScene
from livingworld.stories.records import Branch, CastMember, Choice, Scene, Story, StoryHead, TreeScene
from livingworld.transaction_scope import TransactionScope
from livingworld.turns.records import Generation, TurnInput
from livingworld.workflows.turn import Turn
from livingworld.workflows.turn_context import TurnContext
from livingworld.worlds.records import WorldRecord

__all__ = [
    "ABSENT",
    "Absent",
    "Branch",
    "CastMember",
    "Character",
    "Choice",
    "Document",
    "Generation",
    "LivingWorld",
    "MergeConflict",
    "MergeResult",
    "NewScene",
    "Page",
    "Revision",
    "Scene",
    "Settings",
    "Story",
    "StoryHead",
    "Strategies",
    "Strategy",
    "TransactionScope",
    "TreeScene",
    "Turn",
    "TurnContext",
    "TurnInput",
    "World",
    "WorldRecord",
]
