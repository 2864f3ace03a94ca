# ruff: noqa: E501 - digests are as long as they are
"""What was released is never changed: the next behaviour is the next revision, and `_v2`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASED = {
    "alembic/versions/0001_expand_foundation.py": "097ed4f9262be056fbced9bd069184aff7f3b1ed92bc81263efd48cd7b907061",
    "alembic/versions/0002_expand_turns.py": "4e64ca03b0c244703cee6b9edffae3f6217aa0a0878f7f4752718c9356d213d5",
    "alembic/versions/0003_expand_facts.py": "f36676b0995f10f83441bcfff43b1bb045145d79dfd7549c116462bb219e2792",
    "alembic/versions/0004_expand_relationships.py": "2fc33d6c268938c25eb1d5443a2d269719cdcb1482fdbb2834947142de6b7945",
    "alembic/versions/0005_expand_memories.py": "63e90b52a6c8161d58e9da02585fa099645b06ca65fbd65c17871054fc12c451",
    "alembic/versions/0006_expand_embeddings.py": "50e02c2e5aa36ed6e3829c3cbb18674a811e7a19ca1defc6784231820281ca93",
    "alembic/versions/0007_expand_lore.py": "31f091ca2cc3c4aefdaf8950e831ff40bab9a74618dcaf325747f0eb4de5645c",
    "alembic/versions/0008_expand_documents.py": "46ae53b39ba626104ab6a34c3836ec3def692f0653063183d9653c72e8204bed",
    "alembic/versions/0009_expand_leases.py": "0692dc3cec99c56b527e5f17355b7186af51a06ecdc3435db40bf21653b05268",
    "alembic/versions/0010_expand_sessions.py": "1d0b94704e6c3fdbc9c1776233a89743141f503e50a38d29f128972ce4c4c716",
    "alembic/versions/0011_expand_cycles.py": "5746299a1ddba5da8b56c277d12f352a4539028a7a195a2ef877a62974efb0ff",
    "alembic/versions/0012_expand_actions.py": "058c83a3dae3992e949b65499051c34d1c2493b73072ff612318dc35afee853d",
    "alembic/versions/0013_expand_scripts.py": "dac31350951596e03ed28288cbc7560c036882131d114f03cc1a788d3e2a1154",
    "alembic/versions/0014_expand_ai_models.py": "e140b25d4ee6a3644f72ba89863c3db6b67ae1bfe09adc40f0406e22166ee655",
    "alembic/versions/0015_expand_live_events.py": "56c2231735aea9a3b36d4bbff019fe1873f5b5edad93783bad693547446ca2c7",
    "livingworld/actions/claim_actions_v1.sql": "0843dcd394be2dad7a5189159ea839fb40b303c8d628197cf9638b76ff6fa137",
    "livingworld/actions/complete_action_v1.sql": "98cf5b81805d64bbb77bb4e813cf145eba0190618381bfba796e8b7999a0f50f",
    "livingworld/actions/enqueue_actions_v1.sql": "8c8e7e6a9908c0ae2e8c2250e282fada6ffd2f48953cb7feca1e576c34bee9cf",
    "livingworld/actions/settle_lane_v1.sql": "9bbfa9a39a4d5af778ce3f3fb84b4951813ced3f3ab74fd422546a3959900588",
    "livingworld/actions/stop_action_v1.sql": "8385d51403404b40caa9396a2a73a2c518f0ae45188773a3be9020ea0809a8ca",
    "livingworld/characters/named_characters_v1.sql": "44d9d156ee42db1eea585a365b7362db263413be16d6edabb88b2c028c1d14fb",
    "livingworld/database/publish_events_v1.sql": "f5776f82dcf9ab261984bcc56530e6e9543da9027326e504caaff0feebaa1631",
    "livingworld/facts/visible_facts_v1.sql": "caa5da47c93b0dc8f854dac2ad49873bbf9362ed509da212195686ac5dd21023",
    "livingworld/facts/write_facts_v1.sql": "76d6fde095c793a307cee4f2bf78f6d63c621ad0bfef5c494e9b7e0923af6a70",
    "livingworld/memories/visible_memories_v1.sql": "7ba029a5c483a1efa31239ea41c0061cb14131ba6fef016d9739a553885dcc5a",
    "livingworld/memories/write_memories_v1.sql": "55ce385d5acd4fcf28609088d20acab7f56f0dbe95686c257ca885a1cd8c93bb",
    "livingworld/relationships/last_relationship_v1.sql": "a708566f3ab2eb66b0500914aa11f2bea4c9bab7aee1bec45eeb1c6f91d5d10e",
    "livingworld/relationships/refold_relationship_v1.sql": "e3ce888cbc88a2cc1e02ad80e4399f301cd23ee510aa8a919cb3620e9876734a",
    "livingworld/relationships/visible_relationships_v1.sql": "f2434dd1e779dd05f45867adbd8156757041386d2f5671aaa3c62cddd915e146",
    "livingworld/relationships/write_relationships_v1.sql": "5953db8181aa94841d7fd14bf0427b44d8a744d78193c8dfa3d28688e0d33430",
    "livingworld/stories/append_scenes_v1.sql": "acdcc023329430440b300024625c13d82216de3f6531b7a07b64e1f8855da540",
    "livingworld/stories/append_scenes_v2.sql": "1fc94ba0eeae6ca17e742f253ee1c6ede51a164cc41ae0846e240f46d580ddef",
    "livingworld/stories/path_pieces_v1.sql": "d6a3abcee3f4648c5d8dfcee87ddc11e2b33000aa389c8c3ce7e2aaa15240a6a",
    "livingworld/stories/story_place_v1.sql": "f050873f122c5b50dc305ebfc240ed5e3c896291173ca79c731bb5122fbe54ac",
    "livingworld/turns/await_turn_v1.sql": "6ea48f8af947bb1e00f86002e797d396b5563f8f61592f7d3b52b60d4f11a4eb",
    "livingworld/turns/choose_generation_v1.sql": "c413783f10fe3e21f309debe2661c82570cb1044486dc5498188622df376813d",
    "livingworld/turns/commit_turns_v1.sql": "929443fbcc43e9571d5f1682193e90006c71b0ad82c546d014d7645fdf99f48c",
    "livingworld/turns/commit_turns_v2.sql": "767fd5f92464bb6ffdadde9b2b17e492e16a0889eba79450f92240a371214ce1",
    "livingworld/turns/make_characters_v1.sql": "46ae3f612db4b8c32ad584a6ec3b0592608e56a4e196b19baa93129a47471b55",
    "livingworld/turns/publish_turn_v1.sql": "7dbe21d793058af4cc8947832b935ad16abdcc1799c2786d7dbe456077ccdb2d",
    "livingworld/turns/retold_place_v1.sql": "fe8e6c2cc912e6e091220cebea1faad27b4ad996e05c7e5d7dee63e02628628d",
    "livingworld/turns/take_turns_v1.sql": "7f07c63a1315fc10528aeccd5e89e4be74d31e09028d14568243000115160408",
    "livingworld/turns/turn_contexts_v1.sql": "528b6ebda1ce6fe47bb8484db16a914eebf1f55db5771a393b17d0b4af8cda73",
    "livingworld/workflows/commit_turn_with_state_v1.sql": "8d82ea06849737215cfe8c9c2e02fa5ae1a08449fd453b6418b9b18bc239a39f",
    "livingworld/workflows/commit_turn_with_state_v2.sql": "52518da850af800778f389a257472b9a37af667dc3a2a155e344cab5a7a978f7",
    "livingworld/workflows/shelve_state_v1.sql": "2dbb899a5f36e994e2c26b894dea08d98f63b2bac48a15f90da8a7dd4a2470dd",
    "livingworld/workflows/unshelve_state_v1.sql": "87f7f19dbd25b7714253c7cf23d93cd433343bb59af91df119438d3986d694b1",
}


@pytest.mark.parametrize("name", RELEASED)
def test_released_sql_is_as_it_was_released(name: str) -> None:
    assert sha256((ROOT / name).read_bytes()).hexdigest() == RELEASED[name]


def test_nothing_that_is_installed_is_forgotten() -> None:
    revisions = {f"alembic/versions/{path.name}" for path in (ROOT / "alembic" / "versions").glob("*.py")}
    functions = {str(path.relative_to(ROOT)) for path in (ROOT / "livingworld").rglob("*_v[0-9]*.sql")}

    assert revisions | functions == RELEASED.keys()
