"""The connection is lost around the COMMIT of a change of models: what may be repeated took effect once."""

from __future__ import annotations

import pytest

from livingworld import World
from livingworld.errors import CommitUnknown
from livingworld.testing.protocol_proxy import Moment, ProtocolProxy
from tests.support.model_staging import promoted, registered

COMMIT = "COMMIT;"
both_moments = pytest.mark.parametrize("moment", Moment)


@both_moments
async def test_a_model_is_registered_and_promoted_once(moment: Moment, proxy: ProtocolProxy, world: World) -> None:
    first = proxy.at(moment, COMMIT)
    staged = await registered(world, "a")
    second = proxy.at(moment, COMMIT)
    active = await world.ai_models.promote(staged.id, expected_activation=0)

    assert first.happened.is_set()
    assert second.happened.is_set()
    assert (active.version, active.activation) == (1, 1)
    assert [model.id for model in (await world.ai_models.list("narrator")).items] == [staged.id]


@pytest.mark.direct_connection(
    "behind a pooler what is told after a commit has a COMMIT of its own, which the fault would meet"
)
@both_moments
async def test_a_rollback_is_unknown_and_not_repeated(moment: Moment, proxy: ProtocolProxy, world: World) -> None:
    for name in "abc":
        await promoted(world, name)
    proxy.at(moment, COMMIT)
    with pytest.raises(CommitUnknown):
        await world.ai_models.rollback("narrator")

    assert (await world.ai_models.active("narrator")).name == ("b" if moment is Moment.AFTER else "c")
