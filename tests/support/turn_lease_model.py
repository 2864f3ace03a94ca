"""The turn lease as a machine: what take_turns_v1, merge_turn_v1 and commit_turns_v1 decide under the story's lock.

Each step is what one statement does. Holders are paused (their lease expires and they go on), die, and fail. All states
are explored, not sampled. A guard is taken out by its name, and then some invariant has to be broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, TypeAlias


class Guard(Enum):
    """A decision that the promises depend on."""

    #: A key that was carried out is answered with its scene.
    REPLAY = auto()
    #: A key that runs under another try is followed.
    FOLLOW = auto()
    #: A held branch is waited for.
    LIVE = auto()
    #: A ticket that came before goes first.
    ORDER = auto()
    #: A lease that has expired may be taken.
    EXPIRY = auto()
    #: A ticket is given once.
    TICKETS_RISE = auto()
    #: Every grant has a greater token.
    TOKEN_RISES = auto()
    #: A commit compares token and owner.
    TOKEN_COMPARED = auto()
    #: A merge looks again whether the one that waits is still as it was.
    MERGE_LOOKS_AGAIN = auto()
    #: A key that leaves the turn which took it in ends that turn.
    LEAVING_ENDS = auto()
    #: Inputs that were merged into a key leave it when it starts over.
    MEMBERS_LEAVE = auto()
    #: A commit answers the inputs that were merged into it.
    MEMBERS_ANSWERED = auto()
    #: A commit gives the lease back.
    LEASE_ENDS = auto()
    #: The key's result is recorded with the scene.
    RESULT_RECORDED = auto()


class Try(NamedTuple):
    """One try of a request: which key it has, and what it does when the branch is busy."""

    key: int
    busy: str


class Row(NamedTuple):
    """The place of a key in the line; ticket 0 follows a turn that runs."""

    key: int
    ticket: int
    inputs: frozenset[int]
    merges: int
    mergeable: bool


class Lease(NamedTuple):
    owner: int | None = None
    key: int = -1
    token: int = 0
    expired: bool = False
    given: frozenset[int] = frozenset()


class State(NamedTuple):
    """Everything that the tables and the tries know. Phases: idle, looked, waiting, holding, done, refused, dead."""

    phases: tuple[str, ...]
    tokens: tuple[int, ...]
    #: What a try saw waiting when it looked for one to merge with.
    looks: tuple[Row | None, ...]
    answers: tuple[int | None, ...]
    lease: Lease
    line: tuple[Row, ...]
    merged: tuple[int | None, ...]
    results: tuple[int | None, ...]
    scenes: tuple[tuple[frozenset[int], int], ...]
    faults: int
    last_ticket: int = 0
    broken: str = ""


Step: TypeAlias = tuple[str, State]


def put(values: tuple, place: int, value: object) -> tuple:  # type: ignore[type-arg]  # of any kind
    return (*values[:place], value, *values[place + 1 :])


@dataclass(frozen=True)
class TurnLease:
    """The machine for some tries; guards can be taken out."""

    tries: tuple[Try, ...]
    without: frozenset[Guard] = frozenset()
    faults: int = 1

    def has(self, guard: Guard) -> bool:
        return guard not in self.without

    def first(self) -> State:
        count, keys = len(self.tries), 1 + max(each.key for each in self.tries)
        nothing: tuple[None, ...] = (None,) * count
        start = (("idle",) * count, (0,) * count, nothing, nothing, Lease(), (), (None,) * keys, (None,) * keys, ())
        return State(*start, self.faults)

    def steps(self, state: State) -> Iterator[Step]:
        """Yield what can happen next, without a fault."""
        for me, phase in enumerate(state.phases):
            if phase in {"idle", "waiting"}:
                yield f"{me} asks", self.ask(state, me)
            elif phase == "looked":
                yield f"{me} merges", self.merge(state, me)
            elif phase == "holding":
                yield f"{me} commits", self.commit(state, me)

    def accidents(self, state: State) -> Iterator[Step]:
        """Yield the faults that can happen next."""
        if not state.faults:
            return
        state = state._replace(faults=state.faults - 1)
        if state.lease.owner is not None and not state.lease.expired:
            yield "the lease expires", state._replace(lease=state.lease._replace(expired=True))
        for me, phase in enumerate(state.phases):
            if phase in {"waiting", "holding", "looked"}:
                dead = state._replace(phases=put(state.phases, me, "dead"))
                if phase == "holding" and state.lease.owner == me:
                    yield f"{me} dies", dead._replace(lease=state.lease._replace(expired=True))
                    yield f"{me} fails", dead._replace(lease=state.lease._replace(owner=None))
                else:
                    yield f"{me} dies", dead

    def waits(self, state: State, key: int) -> Row | None:
        """Return the place of a key, while a try of it waits there."""
        alive = any(
            each.key == key and phase == "waiting" for each, phase in zip(self.tries, state.phases, strict=True)
        )
        return next((row for row in state.line if row.key == key), None) if alive else None

    def ask(self, state: State, me: int) -> State:
        key, busy = self.tries[me]
        lease = state.lease
        if state.results[key] is not None and self.has(Guard.REPLAY):
            return self.answered(state, me, state.results[key])
        state = state._replace(line=tuple(row for row in state.line if self.waits(state, row.key)))
        live = lease.owner is not None and (not lease.expired or not self.has(Guard.EXPIRY))
        leader = state.merged[key]
        if leader is not None and (self.waits(state, leader) or (live and lease.key == leader)):
            return state._replace(phases=put(state.phases, me, "waiting"))
        if live and lease.key == key and lease.owner != me and self.has(Guard.FOLLOW):
            return self.wait(state, me, Row(key, 0, lease.given, 0, mergeable=False))
        return self.decided(state, me, busy, live=live)

    def decided(self, state: State, me: int, busy: str, *, live: bool) -> State:
        """Grant, or let wait, a key that nothing else runs or waits for."""
        key = self.tries[me].key
        own = self.waits(state, key)
        patient = busy != "replace" or own is not None
        earlier = [row for row in state.line if row.key != key and (own is None or row.ticket < own.ticket)]
        blocked = (live and self.has(Guard.LIVE)) or (bool(earlier) and self.has(Guard.ORDER))
        if blocked and patient and busy == "merge" and own is None:
            takers = [row for row in state.line if row.mergeable and row.key != key]
            if takers:
                looks = put(state.looks, me, takers[0])
                return state._replace(phases=put(state.phases, me, "looked"), looks=looks)
        if own is None:
            state = self.leave(state, key)
        if blocked and patient:
            if own is not None:
                return self.wait(state, me, own)
            state, ticket = self.next_ticket(state)
            return self.wait(state, me, Row(key, ticket, frozenset({key}), 0, mergeable=busy == "merge"))
        broken = "robbed" if patient and live else "overtaken" if patient and earlier else state.broken
        return self.grant(state._replace(broken=broken), me, own.inputs if own else frozenset({key}))

    def next_ticket(self, state: State) -> tuple[State, int]:
        if not self.has(Guard.TICKETS_RISE):
            return state, max((row.ticket for row in state.line), default=0) + 1
        return state._replace(last_ticket=state.last_ticket + 1), state.last_ticket + 1

    def grant(self, state: State, me: int, inputs: frozenset[int]) -> State:
        key = self.tries[me].key
        token = state.lease.token + (1 if self.has(Guard.TOKEN_RISES) else 0)
        return state._replace(
            lease=Lease(me, key, token, given=inputs),
            line=tuple(row for row in state.line if row.key != key),
            phases=put(state.phases, me, "holding"),
            tokens=put(state.tokens, me, token),
        )

    def wait(self, state: State, me: int, row: Row) -> State:
        line = state.line if any(each.key == row.key for each in state.line) else (*state.line, row)
        ordered = tuple(sorted(line, key=lambda each: each.ticket))
        return state._replace(phases=put(state.phases, me, "waiting"), line=ordered)

    def leave(self, state: State, key: int) -> State:
        """Take a key out of the turn that it was a part of, and let what was merged into it leave it."""
        leader = state.merged[key]
        ended = key if leader is None else leader
        if self.has(Guard.LEAVING_ENDS) and state.lease.owner is not None and state.lease.key == ended:
            runs = state.lease.expired and (leader is not None or key == state.lease.key)
            state = state._replace(lease=state.lease._replace(owner=None)) if runs else state
        merged = tuple(
            None if place == key or (into == key and self.has(Guard.MEMBERS_LEAVE)) else into
            for place, into in enumerate(state.merged)
        )
        return state._replace(merged=merged)

    def merge(self, state: State, me: int) -> State:
        """Give the one that waits the combined input, which was made of what the look has seen."""
        key, look = self.tries[me].key, state.looks[me]
        assert look is not None
        state = state._replace(looks=put(state.looks, me, None))
        row = next((each for each in state.line if each.ticket == look.ticket and self.waits(state, each.key)), None)
        unchanged = (row is not None and row.merges == look.merges) or not self.has(Guard.MERGE_LOOKS_AGAIN)
        free = state.results[key] is None and state.merged[key] is None and self.waits(state, key) is None
        if not unchanged or not free:
            return state._replace(phases=put(state.phases, me, "idle"))
        leader = look.key if row is None else row.key
        line = tuple(
            each._replace(inputs=look.inputs | {key}, merges=each.merges + 1) if each == row else each
            for each in state.line
        )
        left = self.leave(state, key)
        merged = put(left.merged, key, leader)
        return left._replace(line=line, merged=merged, phases=put(state.phases, me, "waiting"))

    def commit(self, state: State, me: int) -> State:
        key = self.tries[me].key
        lease = state.lease
        if self.has(Guard.TOKEN_COMPARED) and (lease.owner, lease.token) != (me, state.tokens[me]):
            return state._replace(phases=put(state.phases, me, "refused"))
        given = lease.given if lease.owner == me else frozenset({key})
        number = len(state.scenes)
        results = tuple(
            number if place == key or (into == key and self.has(Guard.MEMBERS_ANSWERED)) else result
            for place, (into, result) in enumerate(zip(state.merged, state.results, strict=True))
        )
        if not self.has(Guard.RESULT_RECORDED):
            results = state.results
        freed = lease._replace(owner=None) if self.has(Guard.LEASE_ENDS) else lease
        state = state._replace(lease=freed, results=results, scenes=(*state.scenes, (given, state.tokens[me])))
        return self.answered(state, me, number)

    def answered(self, state: State, me: int, number: int | None) -> State:
        return state._replace(phases=put(state.phases, me, "done"), answers=put(state.answers, me, number))
