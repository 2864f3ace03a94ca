"""What one transaction holds, since when, and whether its next lock comes in order; no I/O."""

from __future__ import annotations

from enum import IntEnum
from time import perf_counter
from typing import Any, Final, NamedTuple

from livingworld.errors import LockOrderViolation


class LockKind(IntEnum):
    """What is locked, in the order in which one transaction may wait for it."""

    APPLICATION = 1
    LEASE = 2
    STORY = 3
    SESSION = 4
    CHARACTER = 5
    DOCUMENT = 6
    MEMORY = 7
    SCRIPT = 8
    MODEL = 9
    SAMPLE = 10
    CYCLE = 11
    LORE = 12
    LANE = 13
    PRESENCE = 14
    STREAM = 15


class Words(NamedTuple):
    """How an error, and the documentation, describe a kind."""

    #: What is locked.
    thing: str
    #: A call that locks it and little else.
    first: str
    #: How to lock several of them.
    several: str


_BY_ID: Final = "in the order of their ids"
_BY_NAME: Final = "in the order of their names"
#: The words of each kind, in the declared order.
WORDS: Final[dict[LockKind, Words]] = {
    LockKind.APPLICATION: Words("a name of tx.locks", "tx.locks.exclusive(name)", "the names in one fixed order"),
    LockKind.LEASE: Words("a lease", "tx.prove(lease)", f"the leases {_BY_NAME}"),
    LockKind.STORY: Words("a story", "tx.stories.lock(story_id)", f"the stories {_BY_ID}"),
    LockKind.SESSION: Words("a session", "tx.sessions.heartbeat(session_id)", f"the sessions {_BY_ID}"),
    LockKind.CHARACTER: Words(
        "a character or a name",
        "tx.characters.get_or_create_many(names)",
        f"all names by one get_or_create_many, then the characters {_BY_ID}",
    ),
    LockKind.DOCUMENT: Words("a document", "the write of the document", "the documents in the order of their keys"),
    LockKind.MEMORY: Words(
        "the world's embedder", "the write of the memory", "use_embedder before anything is remembered"
    ),
    LockKind.SCRIPT: Words("a script", "the write of the script", f"the scripts {_BY_NAME}"),
    LockKind.MODEL: Words("the role of an AI model", "the write of the model", f"the roles {_BY_NAME}"),
    LockKind.SAMPLE: Words("a training sample", "tx.ai_models.samples.add_many(samples)", "all by one add_many"),
    LockKind.CYCLE: Words("a cycle", "tx.prove(cycle)", f"the cycles {_BY_NAME}"),
    LockKind.LORE: Words("a lore entry", "the write of the entry", f"the entries {_BY_ID}"),
    LockKind.LANE: Words("a lane", "the call on its actions", f"all by one enqueue_many, or {_BY_NAME}"),
    LockKind.PRESENCE: Words("a present player", "the call on presence", f"the players {_BY_NAME}"),
    LockKind.STREAM: Words("what was published", "everything else", "one block of join in a transaction"),
}
_WHY: Final = "otherwise two transactions can wait for each other"


class LockOrder:
    """The locks of one transaction, by kind and key."""

    def __init__(self) -> None:
        self._held: dict[LockKind, set[Any]] = {}
        #: The last key of each kind that is held: one call may lock ten thousand.
        self._last: dict[LockKind, Any] = {}
        #: Since when a lock of a kind is held, by time.perf_counter().
        self.since: dict[LockKind, float] = {}
        #: The kinds of lock that were refused: another transaction had them, and waiting would be out of order.
        self.refused: list[LockKind] = []

    def copy(self) -> LockOrder:
        """Return a copy of what is held now, for the rollback of a savepoint, which releases its locks."""
        twin = LockOrder()
        twin.restore(self)
        return twin

    def restore(self, earlier: LockOrder) -> None:
        """Go back to what was held when the copy was made."""
        self._held = {kind: set(keys) for kind, keys in earlier._held.items()}
        self._last, self.since = dict(earlier._last), dict(earlier.since)

    def is_late(self, kind: LockKind, key: Any) -> bool:  # noqa: ANN401 - keys of one kind compare among themselves
        """Return whether waiting for this key would be out of order: a later key is held, and this one is not."""
        held = self._held.get(kind, ())
        return key not in held and ((kind in self._last and key < self._last[kind]) or self._latest() > kind)

    def held(self, kind: LockKind) -> frozenset[Any]:
        """Return the keys of a kind that are locked until the transaction ends."""
        return frozenset(self._held.get(kind, ()))

    def hold(self, kind: LockKind, key: Any) -> None:  # noqa: ANN401
        """Remember that this key is locked until the transaction ends."""
        self._held.setdefault(kind, set()).add(key)
        if kind not in self._last or self._last[kind] < key:
            self._last[kind] = key
        self.since.setdefault(kind, perf_counter())

    def refusal(self, kind: LockKind) -> LockOrderViolation:
        """Return the error that names what is held, what was asked for and what to call first."""
        self.refused.append(kind)
        latest = self._latest()
        asked, held = WORDS[kind], WORDS[LockKind(max(latest, kind))]
        if latest > kind:
            message = (
                f"Another transaction holds {asked.thing}, and waiting for it here would be out of order: this"
                f" transaction holds {held.thing}, which comes later. Call {asked.first} before what locks"
                f" {held.thing}; {_WHY}."
            )
        else:
            message = (
                f"Another transaction holds {asked.thing}, and waiting for it here would be out of order: this"
                f" transaction holds one that comes later. Lock {asked.several}; {_WHY}."
            )
        return LockOrderViolation(message, asked_for=asked.thing, held=held.thing, call_first=asked.first)

    def _latest(self) -> int:
        return max(self._held, default=0)
