"""What may stand in the way of a turn: each makes it so in a story of one scene, and returns the request for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypedDict, Unpack

from livingworld import NewScene, Story, World
from livingworld.postgres.group_commit.requests import NotTried
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.turns.checked_request import RECENT, RequestOptions, checked_request
from livingworld.story.turns.outcomes import Mergeable, TakeOutcome
from livingworld.story.turns.records import BusyPolicy, TurnInput
from livingworld.story.turns.requests import TakeRequest
from livingworld.story.turns.writing import take_turns
from tests.concurrency.turn_players import expire
from tests.support.patience import NEVER
from tests.support.turn_checks import joined, merging, rows


class Changed(TypedDict, total=False):
    """What a request asks for beside the usual."""

    branch: int | None
    expected_head: int
    busy: BusyPolicy
    replace_own: bool


Answer: TypeAlias = TakeOutcome | NotTried
KEY: Final = "asked"
HERS: Final = TurnInput(None, None, "Ada")
STORED: Final = NewScene("The ferry leaves.", choices=("wait", "swim"))


def request(
    story: Story,
    key: str = KEY,
    *,
    given: TurnInput = HERS,
    regenerates: int | None = None,
    **changed: Unpack[Changed],
) -> TakeRequest:
    usual: RequestOptions = {"branch": None, "expected_head": None, "busy": "queue", "replace_own": False}
    options: RequestOptions = {**usual, **changed}
    return checked_request(story.id, key, given, options, recent=RECENT, regenerates=regenerates)


async def decide(world: World, *requests: TakeRequest) -> list[Answer]:
    """Take turns by one statement."""

    async def take(tx: Transaction) -> list[Answer]:
        return await take_turns(tx, requests, wait=False, lease=NEVER, patience=NEVER)

    return await world.turns._services.unit.write_idempotent(take)


async def nothing(world: World, story: Story, url: str) -> TakeRequest:
    return request(story)


async def held(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story, "ahead"))
    return request(story, busy="reject")


async def held_for_the_queue(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story, "ahead"))
    return request(story)


async def held_by_the_same_try(world: World, story: Story, url: str) -> TakeRequest:
    again = request(story)
    await decide(world, again)
    return again


async def held_under_the_key(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story))
    return request(story)


async def expired(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story, "ahead"))
    await expire(url)
    return request(story)


async def waited_for(world: World, story: Story, url: str) -> TakeRequest:
    async with world.turns.take(story.id, request_key="ahead"):
        await decide(world, request(story, "in line"))
    return request(story)


async def left_with_merged_inputs(world: World, story: Story, url: str) -> TakeRequest:
    leader, other = merging(story.id, KEY), merging(story.id, "merged")
    await decide(world, request(story, "ahead"))
    await decide(world, leader)
    (mergeable,) = await decide(world, other)
    assert isinstance(mergeable, Mergeable)
    await world.turns._queue._merge(other, mergeable, joined)
    await rows(url, "DELETE FROM livingworld.turn_waiters")
    await world.turns.play(story.id, once, request_key="another", busy="replace")
    return merging(story.id, KEY)


async def carried_out(world: World, story: Story, url: str) -> TakeRequest:
    await world.turns.play(story.id, once, request_key=KEY, player="Ada")
    return request(story)


async def carried_out_with_another_input(world: World, story: Story, url: str) -> TakeRequest:
    await world.turns.play(story.id, once, request_key=KEY, player="Bo")
    return request(story)


async def given_up(world: World, story: Story, url: str) -> TakeRequest:
    async with world.turns.take(story.id, request_key=KEY, player="Ada"):
        pass
    return request(story)


async def archived(world: World, story: Story, url: str) -> TakeRequest:
    await world.stories.archive(story.id)
    return request(story)


async def archived_and_on_a_branch(world: World, story: Story, url: str) -> TakeRequest:
    await world.stories.archive(story.id)
    return request(story, branch=1)


async def after_another(world: World, story: Story, url: str) -> TakeRequest:
    await world.turns.play(story.id, once, request_key="before")
    return request(story)


async def at_no_branch(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, branch=7)


async def behind(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, expected_head=3)


async def at_the_head(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, expected_head=1)


async def with_a_choice(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, given=TurnInput(2, "slowly", "Ada"))


async def with_no_such_choice(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, given=TurnInput(3, None, "Ada"))


async def regenerated(world: World, story: Story, url: str) -> TakeRequest:
    return request(story, regenerates=0)


async def replacing(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story, "ahead"))
    return request(story, busy="replace")


async def replacing_own(world: World, story: Story, url: str) -> TakeRequest:
    await decide(world, request(story, "ahead"))
    return request(story, busy="reject", replace_own=True)


Situation: TypeAlias = Callable[[World, Story, str], Awaitable[TakeRequest]]
SITUATIONS: Final[tuple[Situation, ...]] = (
    nothing,
    held,
    held_for_the_queue,
    held_by_the_same_try,
    held_under_the_key,
    expired,
    waited_for,
    left_with_merged_inputs,
    carried_out,
    carried_out_with_another_input,
    given_up,
    archived,
    archived_and_on_a_branch,
    after_another,
    at_no_branch,
    behind,
    at_the_head,
    with_a_choice,
    with_no_such_choice,
    regenerated,
    replacing,
    replacing_own,
)


async def once(_: object) -> NewScene:
    return STORED
