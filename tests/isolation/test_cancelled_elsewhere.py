"""A statement that is cancelled where it was asked for may be committed where its world is."""

from __future__ import annotations

from typing import Final

import pytest

from livingworld import NewScene, World
from livingworld.errors import CommitUnknown, LivingWorldError, StatementTimeout, Unavailable
from livingworld.postgres.transactions.several_nodes import cancelling, several_nodes
from livingworld.postgres.transactions.transaction import Work
from livingworld.testing.staged_races import connected
from tests.isolation.regimes import poison, running, while_held
from tests.support.patience import until

#: What Citus has, with more than one node or with one.
_NODES: Final = """
    CREATE TABLE public.pg_dist_node (isactive boolean);
    GRANT SELECT ON public.pg_dist_node TO PUBLIC;
"""
_CANCEL: Final = """
    SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'
"""

pytestmark = pytest.mark.plain_server("the test makes the table of nodes that Citus has")


@pytest.mark.direct_connection("behind a pooler it is a transaction whose COMMIT was not sent: nothing is unknown")
@pytest.mark.parametrize(("nodes", "error"), [(2, CommitUnknown), (1, StatementTimeout)])
async def test_what_another_node_may_have_committed_is_unknown(
    database_url: str, world: World, nodes: int, error: type[LivingWorldError]
) -> None:
    await poison(database_url)
    story = await world.stories.create("Slow")
    async with connected(database_url) as connection:
        await connection.execute(_NODES)
        await connection.execute("INSERT INTO public.pg_dist_node SELECT true FROM generate_series(1, $1)", nodes)
        async with running([world.stories.append_scene(story.id, NewScene("slow"))]) as (waiting,):

            async def cancelled() -> bool:
                return bool(await connection.fetchval(_CANCEL))

            await until(cancelled)
            assert isinstance((await while_held([waiting]))[0], error)


@pytest.mark.parametrize(
    ("answers", "asked", "cancels"),
    [([False, False], 2, 2), ([False, True], 2, 1), ([True], 1, 0), ([None, False], 2, 1)],
)
async def test_a_session_is_cancelled_where_its_answer_is_certain(
    answers: list[bool | None], asked: int, cancels: int
) -> None:
    done: list[object] = []
    runs = iter(answers)
    asked_for: list[bool] = []

    class Asked:
        async def run(self, work: Work[bool], *, repeatable: bool = False) -> bool:
            assert (callable(work), repeatable) == (True, True)
            asked_for.append(repeatable)
            if (answer := next(runs)) is None:
                raise Unavailable
            return answer

    async def cancel(connection: object) -> None:
        done.append(connection)

    cancelled = cancelling(cancel, several_nodes(Asked()))
    for number in range(2):
        await cancelled(number)

    assert (len(asked_for), len(done)) == (asked, cancels)
