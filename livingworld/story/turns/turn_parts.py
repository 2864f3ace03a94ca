"""What the turns of one world share in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from livingworld.postgres.group_commit.group_commit import GroupCommit
from livingworld.postgres.services import Services
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.outcomes import CommitOutcome
from livingworld.story.turns.renewals import Renewals
from livingworld.story.turns.requests import CommitRequest

#: The transaction as the application works in it.
Scope = TypeVar("Scope")
#: Writes what belongs to a turn and is no state of its story, in the transaction of its commit; may be called again.
Effect: TypeAlias = Callable[[Scope], Awaitable[object]]

Commits: TypeAlias = GroupCommit[CommitRequest, CommitOutcome]


@dataclass(frozen=True, slots=True)
class TurnParts(Generic[Scope]):
    """What a turn needs of its world and process."""

    services: Services
    commits: Commits
    renewals: Renewals
    #: Makes the transaction of an effect.
    scope: Callable[[Transaction], Scope]
