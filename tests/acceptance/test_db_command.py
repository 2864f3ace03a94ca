from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from livingworld.cli.database_choice import chosen_database, database_to_migrate
from livingworld.postgres.upgrades.turn import LOCK_KEY
from livingworld.settings.database_url import parse_url
from livingworld.testing.staged_races import holding
from tests.support.command import run_command


def execute(url: str, *statements: str) -> None:
    async def work() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(work())


def failed_clearly(result: subprocess.CompletedProcess[str], code: int, *parts: str) -> bool:
    one_line = result.stderr.count("\n") == 1 and result.stderr.startswith("livingworld: ")
    return result.returncode == code and result.stdout == "" and one_line and all(p in result.stderr for p in parts)


def test_an_empty_database_is_behind_until_it_is_upgraded(empty_database_url: str) -> None:
    before = run_command("db", "status", database_url=empty_database_url)
    upgraded = run_command("db", "upgrade", database_url=empty_database_url)
    after = run_command("db", "status", database_url=empty_database_url)

    assert (before.returncode, upgraded.returncode, after.returncode) == (1, 0, 0)
    assert before.stdout.startswith("not migrated yet, behind ")
    assert after.stdout == "at revision 0005, nothing to do\n"
    assert (before.stderr, upgraded.stderr, after.stderr) == ("", "", "")


def test_an_upgrade_says_where_it_was_from_where_to_where_and_what_ran(empty_database_url: str) -> None:
    database = make_url(empty_database_url).database
    first = run_command("db", "upgrade", "0002", database_url=empty_database_url).stdout
    second = run_command("db", "upgrade", database_url=empty_database_url).stdout
    third = run_command("db", "upgrade", database_url=empty_database_url).stdout

    ran = ", ".join(f"{number:04}" for number in range(3, 6))
    assert all(said.startswith(f"{database} at ") and said.count("\n") == 1 for said in (first, second, third))
    assert first.endswith(": upgraded from nothing to revision 0002 (0001, 0002)\n")
    assert second.endswith(f": upgraded from revision 0002 to revision 0005 ({ran})\n")
    assert third.endswith(": at revision 0005, nothing to do\n")


def test_the_plan_of_an_upgrade_names_each_step_and_changes_nothing(empty_database_url: str) -> None:
    run_command("db", "upgrade", "0003", database_url=empty_database_url)
    plan = run_command("db", "upgrade", "--plan", database_url=empty_database_url)
    status = run_command("db", "status", database_url=empty_database_url)
    wrong = run_command("db", "upgrade", "--plan", "nonsense", database_url=empty_database_url)

    head, *steps = plan.stdout.splitlines()
    assert (plan.returncode, plan.stderr) == (0, "")
    assert head.endswith(": 2 steps")
    assert steps[0] == (
        "  0004 tables and functions of 0004_expand_coordination: locks worlds (SHARE ROW EXCLUSIVE), writers wait,"
        " at most 2 s for a statement; reads nothing; rewrites nothing"
    )
    assert status.stdout.startswith("at revision 0003, behind ")
    assert failed_clearly(wrong, 2, "revision", "nonsense")


async def test_a_migration_goes_around_the_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVINGWORLD_DATABASE_URL", "postgresql://app@pooler/stories")
    monkeypatch.setenv("LIVINGWORLD_DIRECT_DATABASE_URL", "postgresql://app@server/stories")
    async with (
        database_to_migrate(None, None) as migrated,
        chosen_database(None) as used,
        database_to_migrate("postgresql://app@named/stories", None) as named,
    ):
        hosts = [database.url.host for database in (migrated, used, named)]

    assert hosts == ["server", "pooler", "named"]


@pytest.mark.parametrize("command", [("upgrade",), ("downgrade", "base", "--yes")])
async def test_the_wait_for_another_migration_has_the_given_limit(database_url: str, command: tuple[str, ...]) -> None:
    async with holding(database_url, "SELECT pg_advisory_xact_lock($1)", [LOCK_KEY]):
        waited = await asyncio.to_thread(
            run_command, "db", *command, "--lock-timeout", "0.2", database_url=database_url
        )
    refused = run_command("db", *command, "--lock-timeout", "0", database_url=database_url)

    assert failed_clearly(waited, 1, "Another process was still migrating")
    assert failed_clearly(refused, 2, "migration_lock_timeout")


def test_the_url_of_the_command_line_goes_before_the_environment(database_url: str) -> None:
    assert run_command("db", "status").returncode == 1
    assert run_command("db", "status", "--url", database_url).returncode == 0


def with_parameters(url: str, **parameters: str) -> str:
    return parse_url(url).update_query_dict(parameters).render_as_string(hide_password=False)


def test_every_command_takes_a_url_with_parameters_of_libpq(empty_database_url: str) -> None:
    asked = {
        "connect_timeout": "5",
        "options": "-c geqo=off",
        "target_session_attrs": "read-write",
        "sslmode": "prefer",
    }
    url = with_parameters(empty_database_url, **asked)

    for command in ("upgrade", "status", "check"):
        assert run_command("db", command, database_url=url).returncode == 0


def test_a_parameter_that_cannot_be_kept_is_wrong_input(empty_database_url: str) -> None:
    result = run_command("db", "status", "--url", with_parameters(empty_database_url, channel_binding="require"))

    assert result.returncode == 2
    assert result.stderr.startswith("livingworld: database_url[channel_binding]: ")


def test_many_upgrades_at_once_all_succeed(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run_command("db", "upgrade", database_url=empty_database_url), range(4)))

    assert [(result.returncode, result.stderr) for result in results] == [(0, "")] * 4
    assert run_command("db", "check", database_url=empty_database_url).returncode == 0


@pytest.mark.all_worlds("a policy reads a column that the test drops, so PostgreSQL would refuse")
def test_check_is_content_with_a_migrated_database_and_lists_what_differs(database_url: str) -> None:
    same = run_command("db", "check", database_url=database_url)
    execute(
        database_url,
        "ALTER TABLE livingworld.worlds DROP COLUMN tenant",
        "ALTER TABLE livingworld.worlds ALTER COLUMN version SET DEFAULT 2",
        "ALTER TABLE livingworld.scenes ALTER COLUMN content DROP NOT NULL",
        "ALTER TABLE livingworld.scenes ALTER COLUMN raw_response TYPE varchar(70)",
        "CREATE TABLE livingworld.more (id integer)",
        "DROP INDEX livingworld.ix_scenes_parent",
        "ALTER TABLE livingworld.scene_cast DROP CONSTRAINT fk_scene_cast_world_id_character_id",
    )
    different = run_command("db", "check", database_url=database_url)

    assert (same.returncode, same.stdout, same.stderr) == (0, "the database has exactly this release's tables\n", "")
    assert different.returncode == 1
    *lines, last = different.stdout.splitlines()
    assert set(lines) == {
        "column livingworld.worlds.tenant is missing",
        "index ix_worlds_tenant of livingworld.worlds is missing",
        "column livingworld.worlds.version: default is 2, in this release 1",
        "column livingworld.scenes.content: may be NULL is yes, in this release no",
        "column livingworld.scenes.raw_response: type is VARCHAR(70), in this release TEXT",
        "table livingworld.more is not of this release",
        "index ix_scenes_parent of livingworld.scenes is missing",
        "foreign key fk_scene_cast_world_id_character_id of livingworld.scene_cast is missing",
    }
    assert last == "at revision 0005, and different from this release's tables in 8"


def test_check_of_a_database_that_was_never_migrated_is_one_line(empty_database_url: str) -> None:
    result = run_command("db", "check", database_url=empty_database_url)

    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("not migrated yet, behind 0005 by 5: ")
    assert result.stdout.endswith("; run `livingworld db upgrade`\n")
    assert result.stdout.count("\n") == 1


def test_an_unknown_revision_is_wrong_input(database_url: str) -> None:
    for command in ("upgrade", "downgrade"):
        result = run_command("db", command, "nonsense", database_url=database_url)
        assert failed_clearly(result, 2, "revision", "nonsense")


def test_a_database_of_a_newer_release_is_named_as_such(database_url: str) -> None:
    execute(database_url, "UPDATE livingworld.alembic_version SET version_num = 'tomorrow'")

    for command in (
        ("db", "status"),
        ("db", "check"),
        ("db", "upgrade"),
        ("db", "downgrade", "base", "--yes"),
        ("demo", "--json"),
    ):
        result = run_command(*command, database_url=database_url)
        assert failed_clearly(result, 1, "a revision that this release does not have", "tomorrow")


@pytest.mark.parametrize("command", [("upgrade",), ("downgrade", "base"), ("status",), ("check",)])
def test_a_server_that_is_away_is_one_line_and_exit_code_1(command: tuple[str, ...]) -> None:
    assert failed_clearly(run_command("db", *command), 1)


def test_an_invalid_url_is_wrong_input_and_its_password_is_not_printed() -> None:
    result = run_command("db", "status", "--url", "mysql://somebody:secret@localhost/stories")

    assert failed_clearly(result, 2)
    assert "secret" not in result.stderr


def test_wrong_use_exits_with_2_and_shows_the_usage() -> None:
    for arguments in (("db", "sidegrade"), ("db", "downgrade"), ("fly",), ("db", "status", "--fast")):
        result = run_command(*arguments)
        assert result.returncode == 2
        assert "Usage: " in result.stderr


def test_a_defect_is_one_line_that_says_where_it_is(database_url: str) -> None:
    program = (
        "import livingworld.postgres.migrations as m; m.status = None; from livingworld_command import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "db", "status", "--url", database_url],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert failed_clearly(result, 1, "this is a defect", "TypeError", "db.py:")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_says_how_to_get_it(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from livingworld_command import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program, "db", "status"], capture_output=True, encoding="utf-8", check=False
    )

    assert result.returncode == 1
    assert result.stdout == ""
    assert "pip install 'livingworld[cli]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_old_request_keys_are_pruned_and_counted(database_url: str) -> None:
    execute(
        database_url,
        "INSERT INTO livingworld.worlds (world_id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'Saltmarsh')",
        """
        INSERT INTO livingworld.request_keys (world_id, scope_id, request_key, request_hash, result, created_at)
        SELECT world_id, world_id, 'old', decode(repeat('00', 32), 'hex'), 'null', now() - interval '1 year'
        FROM livingworld.worlds
        """,
    )

    pruned = [run_command("db", "prune", database_url=database_url).stdout for _ in range(2)]

    counts = "removed 0 embeddings, {} request keys, 0 events, 0 actions, 0 interactions\n"
    assert pruned == [counts.format(1), counts.format(0)]


@pytest.mark.plain_server("the server has to be a plain one")
def test_a_plain_server_is_told_in_one_line_that_citus_is_not_there(database_url: str) -> None:
    result = run_command("db", "distribute", database_url=database_url)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("missing: Citus is not in this database: ")
    assert result.stderr.count("\n") == 1
