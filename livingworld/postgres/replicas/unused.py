"""Why a read did not come from the standby."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why the primary was read in place of the standby."""

    #: It did not replay in time what the caller has to see.
    BEHIND = "behind"
    #: It was left alone, because of what happened a moment before.
    RESTING = "resting"
    #: It gave no connection, or no answer, in time.
    SLOW = "slow"
    #: All connections to it were in use.
    BUSY = "busy"
    #: It is down, refuses connections, or ended this one.
    UNAVAILABLE = "unavailable"
    #: Replaying ended the statement.
    CONFLICT = "conflict"
    #: It is a standby no longer.
    PROMOTED = "promoted"
    #: It is no copy of this primary.
    OTHER_CLUSTER = "other cluster"
    #: A failover lies between the two, or between the token and it.
    OTHER_TIMELINE = "other timeline"
    #: A migration of the primary has not reached it.
    OTHER_SCHEMA = "other schema"
    #: Citus distributes the database: a standby of one node has no part of the others.
    DISTRIBUTED = "distributed"
    #: It answered with an error, which the primary may not have.
    ERROR = "error"


class StandbyUnused(Exception):  # noqa: N818 - a signal to read the primary; callers never see it
    """The standby has no answer."""

    def __init__(self, reason: Reason, *, rests: bool = False, error: BaseException | None = None) -> None:
        super().__init__()
        self.reason = reason
        #: Whether the standby is left alone for a while.
        self.rests = rests
        self.error = error


class NotReplayed(Exception):  # noqa: N818 - a signal to look again; callers never see it
    """The standby is new enough in a moment, perhaps."""
