"""What a caller asks for, checked before any SQL, as the request for a turn."""

from __future__ import annotations

from typing import Final, TypedDict, get_args
from uuid import UUID

from livingworld import inputs
from livingworld.errors import InvalidInput
from livingworld.identifiers import new_id
from livingworld.story.turns.records import BusyPolicy, TurnInput
from livingworld.story.turns.requests import TakeRequest

#: Scenes of a context, unless another number is asked for, and the most of them.
RECENT: Final = 5
_MOST_RECENT: Final = 200
#: Keys of the library's own begin so.
_RESERVED: Final = "livingworld:"


class RequestOptions(TypedDict):
    """Where a turn is wanted, and what happens when the branch is busy; the arguments of `take`."""

    branch: int | None
    expected_head: int | None
    busy: BusyPolicy
    replace_own: bool


def checked_request(
    story_id: UUID,
    request_key: str,
    given: TurnInput,
    options: RequestOptions,
    *,
    recent: int,
    regenerates: int | None = None,
) -> TakeRequest:
    """Return the request for a turn, as a try of its own; raises InvalidInput."""
    branch, expected_head, replace_own = options["branch"], options["expected_head"], options["replace_own"]
    if branch is not None:
        inputs.check_integer("branch", branch, minimum=1)
    if expected_head is not None:
        inputs.check_integer("expected_head", expected_head)
    if inputs.check_boolean("replace_own", replace_own) and given.player is None:
        raise InvalidInput("replace_own", "needs `player`, whose turn is replaced")
    return TakeRequest(
        story_id=inputs.check_uuid("story_id", story_id),
        branch_number=branch,
        expected_head=expected_head,
        regenerates=regenerates,
        request_key=check_request_key(request_key),
        owner=new_id(),
        input=given,
        busy=_check_busy(options["busy"]),
        recent=inputs.check_integer("recent", recent, minimum=1, maximum=_MOST_RECENT),
        replace_own=replace_own,
    )


def check_request_key(request_key: object) -> str:
    """Return the key of a turn as a plain text if it can be one."""
    key = inputs.check_label("request_key", request_key)
    if key.startswith(_RESERVED):
        raise InvalidInput("request_key", f"must not begin with {_RESERVED}")
    return key


def _check_busy(busy: BusyPolicy) -> BusyPolicy:
    if busy not in get_args(BusyPolicy):
        raise InvalidInput("busy", f"must be one of {', '.join(get_args(BusyPolicy))}")
    return busy
