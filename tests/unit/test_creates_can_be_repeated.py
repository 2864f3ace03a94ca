"""Every public call that makes a row takes a request key, or says here why a repetition makes no second row."""

from __future__ import annotations

import inspect
from typing import Final

from livingworld.sync import generated  # noqa: F401 - fills the table of kinds
from livingworld.sync.mirror import Mirror

_WORDS: Final = "add append consolidate create enqueue fork import insert join make new open publish put register take"
MAKING: Final = frozenset(_WORDS.split(" "))
#: By class and name.
REASONS: Final[dict[str, str]] = {
    "ActionRepository.enqueue_many": "each action has an id, and the same id again is what is stored",
    "CharacterRepository.add_alias": "a name that the character has stays hers",
    "CharacterRepository.get_or_create": "a name or a key is one character",
    "CharacterRepository.get_or_create_many": "a name is one character",
    "LivePublisher.publish": "an event is no row to come back to; in `world.run` with a key it is published once",
    "MemoryRepository.add": "a text that is remembered on the path is not remembered again",
    "MemoryRepository.consolidate": "a memory is a part of one summary: AlreadyConsolidated",
    "Presences.join": "it is held in a block, and the client who leaves is gone",
    "RelationshipRepository.get_or_create": "two characters have one relationship",
    "SampleCollector.add": "takes into a buffer of this process, where each sample has an id",
    "ScriptRepository.publish_all": "a text equal to the newest version's is that version",
    "Scripts.publish": "a text equal to the newest version's is that version",
    "Scripts.register": "stores nothing",
    "SessionRepository.get_or_create": "a key is one session",
    "StoryRepository.get_or_create": "a key is one story",
    "TaskRepository.create_unless_running": "one of a kind runs; the record makes its owner, and one is enough",
    "TaskRepository.take_over": "a task has one owner",
    "TaskRepository.take_over_dead": "a task has one owner",
    "TrainingSampleRepository.add_many": "each sample has an id, and the same id again is stored once",
    "World.import_story": "the story of a bundle has its id once",
    "Worlds.import_bundle": "the world of a bundle has its id once",
    "Worlds.get_or_create": "a key is one world",
}


def test_what_makes_a_row_has_a_request_key_or_a_reason() -> None:
    making = {
        f"{twin.__name__}.{name}": inspect.signature(member).parameters
        for twin in Mirror._kinds.values()
        for name, member in vars(twin).items()
        if callable(member) and MAKING.intersection(name.split("_"))
    }

    assert {name for name, parameters in making.items() if "request_key" not in parameters} == set(REASONS)
    assert len(making) > len(REASONS)
