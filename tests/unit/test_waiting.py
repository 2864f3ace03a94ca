"""A test waits for a cause. Where one waits for time to pass, or measures it, its reason stands here.

A new place fails this test: wait with `until` or `patiently` of `tests/support/patience.py`, behind a row
(`staged_races`), or rewrite the row whose time has to pass; what needs a lease takes a long one and renews it often
(`renewed_often`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from tests.support.waits import waits

TESTS: Final = Path(__file__).parents[1]
#: Reasons that many have.
LIMIT: Final = "the limit under test: it has to end, and a slow machine ends it no sooner"
PAUSE: Final = "the pause between two looks or rounds of a service"
NOTHING: Final = "nothing must come in it: a slow machine sees less of it, and fails nothing"
VALUE: Final = "a value, and nobody waits for it"
HERE: Final = "the one place that does it for all"

ALLOWED: Final[dict[str, dict[str, str]]] = {
    "acceptance/interrupted_program.py": {"time.sleep(0.001)": PAUSE},
    "acceptance/soak_deeds.py": {"timedelta(milliseconds=500)": "who waits longer is refused, which is part of it"},
    "acceptance/test_demo_metrics.py": {
        "timedelta(seconds=0.2)": "the rhythm of the scrapes; nothing is decided by it",
        "asyncio.sleep(0.01)": PAUSE,
    },
    "acceptance/test_scripts_command.py": {
        "time.monotonic()": "tells whether the machine kept the file from growing",
        "time.sleep(0.05)": "a file that grows slowly",
    },
    "acceptance/test_soak.py": {"asyncio.get_running_loop().time()": "it goes on for so long as was asked for"},
    "budgets/measures.py": {"asyncio.sleep(_REST_SECONDS)": "what is done meanwhile is counted; it is asked again"},
    "concurrency/input_program.py": {"asyncio.sleep(seconds)": "a model that works", "timedelta(seconds=0.05)": PAUSE},
    "concurrency/model_program.py": {"asyncio.sleep(0.01)": "an inference"},
    "concurrency/task_program.py": {"timedelta(milliseconds=20)": PAUSE},
    "concurrency/test_action_workers_killed.py": {
        "asyncio.sleep(1)": "the rhythm that is asked for; nothing is decided by it",
        "asyncio.sleep(0.2)": PAUSE,
    },
    "concurrency/test_application_locks.py": {"timedelta(milliseconds=50)": LIMIT},
    "concurrency/test_background_care.py": {"timedelta(milliseconds=10)": PAUSE},
    "concurrency/test_every_input_is_told_once.py": {
        "asyncio.sleep(self._random.uniform(0, 0.06))": "arrivals at random moments",
    },
    "concurrency/test_live_polling.py": {"timedelta(milliseconds=10)": PAUSE},
    "concurrency/test_leases_together.py": {"timedelta(seconds=0.05)": PAUSE},
    "concurrency/test_model_loading.py": {"timedelta(milliseconds=50)": LIMIT},
    "concurrency/test_model_swap.py": {"timedelta(milliseconds=50)": LIMIT},
    "concurrency/test_one_key_one_turn.py": {"timedelta(seconds=0.05)": PAUSE, "timedelta(seconds=0.2)": LIMIT},
    "concurrency/test_next_in_line.py": {"timedelta(seconds=0.05)": PAUSE},
    "concurrency/test_sample_collector.py": {"timedelta(milliseconds=20)": PAUSE},
    "concurrency/test_script_races.py": {"timeout=0.3": "the late one comes as far as it gets"},
    "concurrency/test_script_walks.py": {
        "asyncio.sleep(self.random.random() / 50)": "a run",
        "timedelta(seconds=0.3)": "who waits longer is refused, which is part of it",
    },
    "concurrency/test_scripts.py": {"asyncio.sleep(0.001)": "it is cancelled wherever it is by then"},
    "concurrency/test_turn_queue.py": {
        "timedelta(seconds=5)": "twelve times as long may a waiter be silent, and each is told",
        "timedelta(seconds=0.1)": LIMIT,
    },
    "concurrency/test_world_locks.py": {"timedelta(milliseconds=50)": LIMIT, "timeout=1": VALUE},
    "concurrency/turn_program.py": {"timedelta(seconds=5)": "twelve times as long may a waiter be silent"},
    "faults/test_actions_and_an_absent_server.py": {
        "timedelta(milliseconds=400)": LIMIT,
        "timedelta(milliseconds=100)": LIMIT,
        "timedelta(milliseconds=200)": LIMIT,
    },
    "faults/embedded_server/test_data_directory.py": {"time.monotonic()": "joining is compared with starting"},
    "faults/embedded_server/test_killed_server.py": {
        "time.monotonic()": "one that does not come is waited for five minutes; the margin is a minute",
        "timedelta(seconds=1)": LIMIT,
    },
    "faults/embedded_server/test_refusals.py": {
        "timedelta(seconds=1)": LIMIT,
        "timedelta(milliseconds=100)": LIMIT,
        "timedelta(microseconds=1)": LIMIT,
    },
    "faults/embedded_server/test_supervisor.py": {"timedelta(seconds=5)": LIMIT},
    "faults/test_black_hole.py": {
        "timedelta(milliseconds=400)": LIMIT,
        "timedelta(milliseconds=100)": LIMIT,
        "timedelta(milliseconds=200)": LIMIT,
        "timedelta(seconds=1)": LIMIT,
        "timedelta(seconds=2)": "comes before the limit under test, and is not reached on a slow machine",
        "timedelta(seconds=3)": "comes before the limit under test, and is not reached on a slow machine",
        "timedelta(seconds=4)": LIMIT,
        "asyncio.get_running_loop().time()": "without a limit nobody would ever come back; the margin is 30 s",
    },
    "faults/test_bounded_waits.py": {
        "timedelta(milliseconds=300)": LIMIT,
        "timedelta(milliseconds=200)": LIMIT,
        "timedelta(milliseconds=400)": LIMIT,
        "timedelta(milliseconds=150)": LIMIT,
        "asyncio.get_running_loop().time()": "no limit ends sooner than it says; the margin after it is 25 s",
    },
    "faults/test_connecting.py": {"timedelta(milliseconds=100)": LIMIT},
    "faults/quiet_program.py": {
        "timedelta(milliseconds=1)": LIMIT,
        "asyncio.sleep(0.05)": NOTHING,
        "asyncio.sleep(0.01)": NOTHING,
    },
    "faults/test_canaries.py": {
        "timedelta(milliseconds=100)": "its owner is dead, and nobody keeps it",
        "timedelta(milliseconds=20)": PAUSE,
    },
    "faults/test_nothing_on_standard_error.py": {"asyncio.timeout(120)": "a whole program"},
    "faults/test_own_errors_come_out.py": {"timedelta(seconds=2)": LIMIT, "timedelta(seconds=1)": LIMIT},
    "integration/contention/test_lock_events.py": {
        "timedelta(milliseconds=50)": LIMIT,
        "timedelta(milliseconds=20)": PAUSE,
        "timedelta(seconds=2)": LIMIT,
    },
    "faults/test_reads_from_a_standby.py": {
        "timedelta(seconds=1)": LIMIT,
        "timedelta(milliseconds=300)": LIMIT,
        "timedelta(milliseconds=10)": PAUSE,
    },
    "faults/test_standbys_that_fail.py": {
        "timedelta(seconds=8)": LIMIT,
        "timedelta(seconds=4)": LIMIT,
        "timedelta(seconds=1)": LIMIT,
        "timedelta(milliseconds=50)": PAUSE,
        "timedelta(milliseconds=1)": PAUSE,
    },
    "faults/test_samples_and_an_absent_server.py": {
        "timedelta(milliseconds=20)": PAUSE,
        "timedelta(seconds=0.3)": LIMIT,
        "asyncio.sleep(0.001)": "samples that come one by one",
    },
    "faults/test_secrets.py": {
        "timedelta(milliseconds=200)": LIMIT,
        "timedelta(milliseconds=100)": LIMIT,
        "timedelta(milliseconds=300)": LIMIT,
    },
    "faults/turns_going_wrong.py": {
        "timedelta(seconds=3)": "what a fault leaves has to end; of its renewals one is enough for the rest",
        "timedelta(seconds=0.05)": PAUSE,
    },
    "integration/bundles/test_one_moment.py": {"timedelta(milliseconds=300)": LIMIT},
    "integration/conftest.py": {"timedelta(seconds=1)": "nobody listens there"},
    "integration/distributed_actions.py": {
        "asyncio.sleep(0.15)": "the shortest claim is over by then",
        "timedelta(milliseconds=1)": "it is over by then",
        "timedelta(milliseconds=100)": "the shortest claim",
    },
    "integration/distributed_ai_models.py": {"timedelta(milliseconds=10)": PAUSE},
    "integration/distributed_coordination.py": {
        "timedelta(microseconds=1)": "it is over at once",
        "timedelta(milliseconds=100)": "nobody else asks for it, so its token stays good",
    },
    "integration/test_distributing_on_citus.py": {"time.sleep(after)": "a session is killed at any moment of a step"},
    "integration/test_action_workers.py": {"asyncio.sleep(0.01)": NOTHING},
    "integration/test_demo_report.py": {"timedelta(seconds=2)": VALUE},
    "integration/test_distributed_statements.py": {"asyncio.sleep(0.1)": "those who wait come as far as they get"},
    "integration/test_live_retention.py": {"timedelta(milliseconds=30)": PAUSE},
    "integration/test_lock_waits.py": {"timedelta(milliseconds=50)": LIMIT},
    "integration/test_memory_embeddings.py": {"timedelta(milliseconds=10)": PAUSE},
    "integration/test_text_embeddings.py": {"timedelta(milliseconds=10)": PAUSE},
    "integration/test_misplaced_calls.py": {"asyncio.timeout(8)": "shorter than the pool's time limit"},
    "integration/test_notifications.py": {"timedelta(seconds=0.05)": PAUSE, "timedelta(seconds=0.2)": NOTHING},
    "integration/test_openai_embeddings.py": {"asyncio.sleep(0.01)": PAUSE, "timedelta(milliseconds=200)": LIMIT},
    "integration/test_retries.py": {
        "timedelta(seconds=2)": LIMIT,
        "timedelta(seconds=5)": LIMIT,
        "timedelta(milliseconds=30)": LIMIT,
    },
    "integration/test_scripts.py": {"timeout=3": VALUE},
    "integration/test_session_state.py": {"timedelta(seconds=2)": LIMIT},
    "integration/test_swallowed_errors.py": {"timedelta(milliseconds=50)": LIMIT},
    "integration/test_world_isolation.py": {"asyncio.timeout(0.2)": NOTHING},
    "integration/testing/test_staged_races.py": {"timedelta(milliseconds=50)": LIMIT},
    "integration/testing/test_clients_of_a_proxy.py": {
        "time.perf_counter()": "the shortest of twenty: no machine is so slow for each of them",
    },
    "isolation/test_held_stories.py": {"timedelta(milliseconds=500)": LIMIT},
    "isolation/regimes.py": {"asyncio.timeout(_HELD_SECONDS)": "who waited for the held row would wait longer"},
    "isolation/test_one_call_one_deadline.py": {"timedelta(milliseconds=300)": LIMIT},
    "isolation/test_queues_and_deadlines.py": {
        "timedelta(milliseconds=300)": LIMIT,
        "asyncio.sleep(SOON.total_seconds() * 1.1)": "the deadline is over by then",
    },
    "migrations/test_replicas_migrate_at_once.py": {"timedelta(milliseconds=100)": LIMIT},
    "migrations/test_upgrade_and_held_locks.py": {"timedelta(milliseconds=100)": LIMIT},
    "migrations/test_upgrade_under_load.py": {
        "timedelta(seconds=2)": "the promise; a writer of another database tells what the machine adds",
    },
    "mutants/copies.py": {"time.monotonic()": "how long a run took is told"},
    "support/citus_cluster.py": {"time.monotonic()": PAUSE, "time.sleep(0.05)": PAUSE},
    "support/embedded_servers.py": {"time.monotonic()": HERE, "time.sleep(0.001)": HERE},
    "support/just_started.py": {"time.monotonic()": "the clock of the event loops of the tests"},
    "support/live_checks.py": {"asyncio.timeout(_QUIET_SECONDS)": NOTHING},
    "support/patience.py": {"asyncio.timeout(patience.total_seconds())": HERE, "asyncio.sleep(_PAUSE_SECONDS)": HERE},
    "support/pooler.py": {"time.monotonic()": PAUSE, "time.sleep(0.02)": PAUSE},
    "support/time_limits.py": {"time.time()": "tells which processes are younger than their test"},
    "unit/test_durations.py": {"timedelta(seconds=2)": VALUE, "timedelta(seconds=0.25)": VALUE},
    "unit/test_leases.py": {
        "asyncio.get_running_loop().time()": "virtual time",
        "asyncio.sleep(1)": "virtual time",
        "asyncio.sleep(LENGTH.total_seconds())": "virtual time",
    },
    "unit/test_polling_pauses.py": {
        "timedelta(seconds=1)": "virtual time",
        "loop.time()": "virtual time",
        "asyncio.sleep(0.25)": "virtual time",
    },
    "unit/test_settings.py": {"timedelta(seconds=2)": VALUE},
}


def test_no_test_waits_for_time_without_a_reason() -> None:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for path in TESTS.rglob("*.py"):
        for line, source in waits(path):
            found[path.relative_to(TESTS).as_posix()].setdefault(source, line)

    new = [
        f"tests/{path}:{line}: {source}"
        for path, sources in found.items()
        for source, line in sources.items()
        if source not in ALLOWED.get(path, {})
    ]
    gone = [f"{path}: {source}" for path, sources in ALLOWED.items() for source in sources if source not in found[path]]
    assert (new, gone) == ([], [])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("await asyncio.sleep(0)", []),
        ("await asyncio.sleep(0.1)", ["asyncio.sleep(0.1)"]),
        ("time.sleep(1)", ["time.sleep(1)"]),
        ("asyncio.timeout(5)", ["asyncio.timeout(5)"]),
        ("await asyncio.wait_for(x, 5)", ["asyncio.wait_for(x, 5)"]),
        ("began = loop.time()", ["loop.time()"]),
        ("time.perf_counter()", ["time.perf_counter()"]),
        ("x = timedelta(milliseconds=400)", ["timedelta(milliseconds=400)"]),
        ("x = timedelta(minutes=1) + timedelta(0)", []),
        ("claim(ttl=1)", ["ttl=1"]),
        ("claim(ttl=3600)", []),
        ("process.wait(timeout=2)", ["timeout=2"]),
        ("async with patiently(): await until(happened)", []),
    ],
)
def test_such_places_are_found(tmp_path: Path, source: str, found: list[str]) -> None:
    file = tmp_path / "test_example.py"
    file.write_text(f"async def test_example():\n    {source}\n")

    assert [source for _, source in waits(file)] == found
