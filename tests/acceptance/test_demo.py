from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld.testing.staged_races import holding
from tests.support.command import run_command, start_command
from tests.support.rotation import rotated

REPORT_KEYS = {
    *("scenes_written", "duplicate_numbers", "gaps", "lost", "doubled", "duplicate_characters"),
    *("conflicts_refused", "scenes_per_second", "p50_ms", "p99_ms"),
}
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "the-intercept" / "playthroughs.jsonl"
#: A commit plays one of so many parts of its 60 play-throughs, of 1,711 scenes together.
PARTS_OF_THE_REAL_STORY = 4


def run_demo(*arguments: str, database_url: str) -> subprocess.CompletedProcess[str]:
    return run_command("demo", *arguments, database_url=database_url)


def report_of(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    report: dict[str, Any] = json.loads(result.stdout)
    assert report.keys() >= REPORT_KEYS
    return report


def ask(url: str, statement: str) -> Any:  # noqa: ANN401 - whatever the statement selects
    async def work() -> Any:  # noqa: ANN401
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            answer = result.scalar() if result.returns_rows else None
        await engine.dispose()
        return answer

    return asyncio.run(work())


def all_kept(report: dict[str, Any]) -> bool:
    names = ("duplicate_numbers", "gaps", "lost", "doubled", "duplicate_characters")
    return report["promises_kept"] is True and all(report[name] == 0 for name in names)


@pytest.fixture
def short_story(tmp_path: Path) -> tuple[str, ...]:
    """Give the options of a demo whose stories have six scenes each, fewer than those of the built-in one."""
    turns = [
        {"chosen": 1 if number else None, "text": f"The tide rose {number} times.", "choices": ["Wade across"]}
        for number in range(6)
    ]
    file = tmp_path / "short.jsonl"
    file.write_text(json.dumps({"turns": turns}), encoding="utf-8")
    return ("--playthroughs", str(file), "--players", "2", "--writers-per-story", "2")


@pytest.mark.as_owner("nobody else may migrate")
def test_the_demo_migrates_an_empty_database_and_keeps_every_promise(empty_database_url: str) -> None:
    result = run_demo("--json", "--players", "3", database_url=empty_database_url)
    report = report_of(result)

    assert result.returncode == 0
    assert all_kept(report)
    assert report["conflicts_refused"] > 0
    assert report["scenes_written"] == ask(empty_database_url, "SELECT count(*) FROM livingworld.scenes")
    assert 0 < report["p50_ms"] <= report["p99_ms"]
    assert report["scenes_per_second"] > 0


def test_without_json_a_person_sees_the_tree_and_the_verdict(database_url: str) -> None:
    result = run_demo("--players", "2", "--writers-per-story", "2", database_url=database_url)

    assert result.returncode == 0
    assert "\n╰▶ " in result.stdout
    assert "\n├╴ " in result.stdout
    assert "Every promise was kept." in result.stdout
    assert str(ask(database_url, "SELECT world_id FROM livingworld.worlds")) in result.stdout


def test_many_demos_share_one_database(database_url: str, short_story: tuple[str, ...]) -> None:
    first = run_demo("--json", *short_story, database_url=database_url)
    second = run_demo("--json", *short_story, "--players", "3", database_url=database_url)
    stored = ask(database_url, "SELECT count(*) FROM livingworld.scenes")

    assert all_kept(report_of(first))
    assert all_kept(report_of(second))
    assert report_of(first)["scenes_written"] + report_of(second)["scenes_written"] == stored


def test_purge_leaves_no_row_of_the_world(database_url: str, short_story: tuple[str, ...]) -> None:
    result = run_demo("--json", "--purge", *short_story, database_url=database_url)

    assert all_kept(report_of(result))
    for table in ("worlds", "stories", "scenes", "characters", "character_names", "request_keys", "scene_cast"):
        assert ask(database_url, f"SELECT count(*) FROM livingworld.{table}") == 0  # noqa: S608 - names from above


@pytest.mark.as_owner("nobody else may migrate")
def test_an_interrupted_demo_ends_at_once_and_still_purges_its_world(empty_database_url: str) -> None:
    # Enough players to write for long, and few enough not to wait long for each other's names on a busy machine.
    demo = ("demo", "--json", "--purge", "--players", "60")
    limits = {"LIVINGWORLD_POOL_TIMEOUT": "120", "LIVINGWORLD_CALL_TIMEOUT": "120", "LIVINGWORLD_LOCK_TIMEOUT": "29"}
    with start_command(*demo, database_url=empty_database_url, **limits) as running:
        # The revisions are committed one after the other.
        while not ask(empty_database_url, "SELECT to_regclass('livingworld.scenes') IS NOT NULL"):
            assert running.poll() is None
        while ask(empty_database_url, "SELECT count(*) FROM livingworld.scenes") == 0:
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        told, complaint = running.communicate(timeout=60)

    assert (running.returncode, told) == (130, "")
    assert "Traceback" not in complaint
    assert ask(empty_database_url, "SELECT count(*) FROM livingworld.worlds") == 0


async def test_an_interrupted_demo_says_when_its_world_stays(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The purge gives up after them, and no player does on a busy machine.
    limits = {"LIVINGWORLD_LOCK_TIMEOUT": "3", "LIVINGWORLD_CALL_TIMEOUT": "20", "LIVINGWORLD_POOL_TIMEOUT": "20"}
    demo = ("demo", "--json", "--purge", "--players", "60")
    with start_command(*demo, database_url=database_url, **limits) as running:
        while not await asyncio.to_thread(ask, database_url, "SELECT count(*) FROM livingworld.scenes"):
            assert running.poll() is None
        async with holding(database_url, "SELECT FROM livingworld.worlds FOR KEY SHARE"):  # the purge cannot go on
            running.send_signal(signal.SIGINT)
            told, complaint = await asyncio.to_thread(running.communicate, timeout=60)
    world = await asyncio.to_thread(ask, database_url, "SELECT world_id FROM livingworld.worlds")

    assert (running.returncode, told) == (130, "")
    assert complaint.splitlines()[-1].startswith(f"livingworld: world {world} was not removed: ")
    assert "Traceback" not in complaint


def test_the_progress_ends_exactly_at_its_total(database_url: str, short_story: tuple[str, ...]) -> None:
    result = run_demo(*short_story, database_url=database_url)
    (written, total) = re.findall(r"(\d+)/(\d+)", result.stderr)[-1]

    assert result.returncode == 0
    assert written == total
    assert int(total) == ask(database_url, "SELECT count(*) FROM livingworld.scenes")


def test_a_recorded_playthrough_is_played_by_every_player(database_url: str, tmp_path: Path) -> None:
    turns = [
        {"chosen": None, "text": "A door.", "choices": ["Knock", "Wait [bold]"]},
        {"chosen": 2, "text": "Nobody “comes”.\n日本 ñ", "choices": []},
    ]
    file = tmp_path / "two turns.jsonl"
    file.write_text(json.dumps({"turns": turns}, ensure_ascii=False), encoding="utf-8")

    result = run_demo(
        *("--playthroughs", str(file), "--players", "3", "--writers-per-story", "1"), database_url=database_url
    )

    assert result.returncode == 0
    assert "╰▶ Wait [bold]" in result.stdout
    assert "2 Nobody “comes”. 日本 ñ" in result.stdout
    assert ask(database_url, "SELECT count(*) FROM livingworld.scenes") == 3 * 2 + 12
    assert ask(database_url, "SELECT count(*) FROM livingworld.scenes WHERE chosen_choice = 2") == 3 + 6


def test_a_slow_model_delays_its_own_branch_only(database_url: str) -> None:
    sizes = ("--players", "6", "--writers-per-story", "1", "--think-time", "0.2")

    report = report_of(run_demo("--json", *sizes, database_url=database_url))

    assert all_kept(report)
    assert report["p50_ms"] >= 200
    assert report["elapsed_seconds"] < report["scenes_written"] * 0.2  # one after the other; here six at once
    assert min(report["double_clicks"], report["undos"], report["forks"]) > 0


@pytest.mark.slow
@pytest.mark.rotates
def test_a_real_story_played_by_16_with_8_writers_keeps_every_promise(database_url: str, tmp_path: Path) -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded play-throughs of The Intercept are not here")
    lines = rotated(RECORDED.read_text(encoding="utf-8").splitlines(), PARTS_OF_THE_REAL_STORY)
    file = tmp_path / RECORDED.name
    file.write_text("\n".join(lines), encoding="utf-8")
    sizes = ("--players", "16", "--writers-per-story", "8")

    report = report_of(run_demo("--playthroughs", str(file), *sizes, "--json", database_url=database_url))

    assert all_kept(report)
    assert report["scenes_written"] > sum(len(json.loads(line)["turns"]) for line in lines)
    assert report["conflicts_refused"] > 0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no play-through"),
        (b'{"turns": [{"chosen": null, "text": "A door.", "choices": []}]}\n{"turns": 7}\n', "line 2, turns"),
        (b'{"turns": [{"chosen": 1, "text": "A door.", "choices": []}]}', "line 1, turns[0].chosen"),
        (b"\n\n{]\n", "line 3: is not JSON"),
    ],
)
def test_a_malformed_file_is_refused_before_anything_is_written(
    empty_database_url: str, tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)

    result = run_demo("--playthroughs", str(file), "--json", database_url=empty_database_url)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("livingworld: bad.jsonl")
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr
    assert ask(empty_database_url, "SELECT to_regnamespace('livingworld') IS NULL")


def test_a_file_that_is_not_there_and_numbers_out_of_range_are_wrong_use(database_url: str) -> None:
    for arguments in (
        ("--playthroughs", f"{uuid4()}.jsonl"),
        ("--playthroughs", str(Path(__file__).parent)),
        ("--players", "0"),
        ("--writers-per-story", "many"),
    ):
        result = run_demo(*arguments, database_url=database_url)
        assert (result.returncode, result.stdout) == (2, "")


def test_a_database_that_alters_what_it_stores_makes_the_demo_fail(
    database_url: str, short_story: tuple[str, ...]
) -> None:
    ask(
        database_url,
        """
        CREATE FUNCTION livingworld.shorten() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.content := left(NEW.content, 9); RETURN NEW; END'
        """,
    )
    ask(
        database_url,
        """
        CREATE TRIGGER shorten BEFORE INSERT ON livingworld.scenes
        FOR EACH ROW WHEN (NEW.scene_number = 3) EXECUTE FUNCTION livingworld.shorten()
        """,
    )

    told = run_demo("--json", *short_story, database_url=database_url)
    shown = run_demo(*short_story, database_url=database_url)
    report = report_of(told)

    assert (told.returncode, shown.returncode) == (1, 1)
    assert report["promises_kept"] is False
    assert report["lost"] == 2 + 1  # a story of each player and the one of both
    assert "Broken: acknowledged scenes not stored as acknowledged." in shown.stdout


def test_a_failure_of_many_players_at_once_is_one_line(database_url: str) -> None:
    ask(database_url, "ALTER TABLE livingworld.scenes ADD CONSTRAINT few_scenes CHECK (scene_number < 5)")

    result = run_demo("--json", database_url=database_url)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("livingworld: ")
    assert result.stderr.count("\n") == 1
