"""What a client asked a store for, and what it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

#: What is written: unique for its target, so that an effect is recognised by it.
Value: TypeAlias = str | int


class Outcome(StrEnum):
    """What the caller knows about its operation."""

    #: It was answered: it has taken effect.
    OK = "ok"
    #: It was refused: it has not taken effect.
    FAILED = "failed"
    #: It was cut, cancelled or killed: it has taken effect once, or not at all.
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What an effect does to its target."""

    #: Appends the value to a list; its result is the value's place, from 1.
    APPEND = "append"
    #: Reads a list; its result is the list.
    READ = "read"
    #: Reads the end of a list; its result is `[length, last value]`, or `[0, None]` of an empty one.
    LAST = "last"
    #: Adds the value to a counter; its result is the sum.
    ADD = "add"
    #: Writes the next version of a document; its result is the version.
    WRITE = "write"
    #: Reads a document; its result is `[version, value]`, or `[0, None]` before the first one.
    LOOK = "look"
    #: Grants a lease; its result is the token.
    GRANT = "grant"
    #: Writes under a lease; the value is the token.
    FENCED = "fenced"
    #: Queues the value in a lane.
    ENQUEUE = "enqueue"
    #: Begins the value, which was queued in the lane.
    CLAIM = "claim"
    #: Ends the value, which was begun.
    END = "end"
    #: Receives the value from a stream; its result is the number of the event.
    RECEIVE = "receive"
    #: Learns that events of a stream will not come.
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect of an operation on one target."""

    kind: Kind
    target: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: what it was to do, when it began and ended, and what came of it."""

    client: str
    name: str
    #: All of them happen together, or none.
    effects: tuple[Effect, ...]
    #: Seconds by one clock for all clients.
    started: float
    ended: float
    outcome: Outcome
    #: One for each effect; None where the answer does not say.
    results: tuple[Any, ...] = ()
    #: Operations with one key are one operation that was asked for several times.
    request_key: str | None = None
    #: The fault that was injected into it, or None.
    fault: str | None = None

    def result(self, place: int) -> Any:  # noqa: ANN401 - of each kind of effect another one
        """Return what was answered for the effect at this place, or None."""
        return self.results[place] if place < len(self.results) else None


@dataclass(frozen=True, slots=True)
class Observed:
    """What is stored when all clients have ended, read from the store itself."""

    #: The values of each list, in order.
    lists: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    #: The value of each version of each document, from version 1.
    documents: Mapping[str, Sequence[Value | None]] = field(default_factory=dict)
    #: The tokens of the writes under each lease, in the order in which they were stored.
    fenced: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: What was ended in each lane, in the order of the ends.
    ended: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    #: What is still queued or begun in each lane.
    waiting: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    #: What each stream announces, in order.
    streams: Mapping[str, Sequence[Value]] = field(default_factory=dict)


def effects_of(operations: Iterable[Operation], *kinds: Kind) -> Iterator[tuple[Operation, Effect, Any]]:
    """Yield each effect of these kinds with its operation and its result."""
    for operation in operations:
        for place, effect in enumerate(operation.effects):
            if effect.kind in kinds:
                yield operation, effect, operation.result(place)
