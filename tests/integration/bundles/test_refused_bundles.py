"""What cannot be imported or exported is refused by name, and leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterable
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from livingworld import LivingWorld, verify_bundle
from livingworld.errors import (
    BundleFileFailed,
    BundleNotRestored,
    BundleOfOtherSchema,
    InvalidType,
    MissingPrivilege,
    WorldExists,
    WorldNotFound,
)
from livingworld.identifiers import new_id
from livingworld.testing.roles import made_roles
from livingworld.testing.staged_races import connected
from tests.integration.bundles.full_world import FullWorld, all_rows, bundle_of, opened


async def test_a_world_that_exists_is_not_overwritten(full: FullWorld) -> None:
    before = await all_rows(full.url, full.id)
    async with opened(full.url) as livingworld:
        with pytest.raises(WorldExists):
            await livingworld.worlds.import_bundle(BytesIO(full.bundle))
        other = await livingworld.worlds.create("Another")
        with pytest.raises(WorldExists):
            await livingworld.worlds.import_bundle(BytesIO(full.bundle), as_world=other.id)

    assert await all_rows(full.url, full.id) == before


async def test_a_key_that_another_world_has_by_now_is_refused(livingworld: LivingWorld, database_url: str) -> None:
    old, _ = await livingworld.worlds.get_or_create("save")
    bundle = await bundle_of(livingworld, old.id)
    await livingworld.worlds.purge(old.id)
    await livingworld.worlds.get_or_create("save")

    with pytest.raises(WorldExists):
        await livingworld.worlds.import_bundle(BytesIO(bundle))

    assert not any((await all_rows(database_url, old.id)).values())


async def test_a_bundle_of_another_revision_is_refused_by_both_names(
    full: FullWorld, livingworld: LivingWorld, database_url: str
) -> None:
    async with connected(database_url) as connection:
        await connection.execute("UPDATE livingworld.alembic_version SET version_num = '9999'")

    with pytest.raises(BundleOfOtherSchema, match=r"is of revision \d{4}, and the database is at 9999"):
        await livingworld.worlds.import_bundle(BytesIO(full.bundle))


async def test_what_the_database_stores_otherwise_is_found_before_the_commit(
    full: FullWorld, livingworld: LivingWorld, database_url: str
) -> None:
    async with connected(database_url) as connection:
        await connection.execute(
            "CREATE FUNCTION public.censor() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN NEW.content = upper(NEW.content); RETURN NEW; END$$;"
            "CREATE TRIGGER censor BEFORE INSERT ON livingworld.scenes FOR EACH ROW EXECUTE FUNCTION public.censor()"
        )

    with pytest.raises(BundleNotRestored) as raised:
        await livingworld.worlds.import_bundle(BytesIO(full.bundle))

    assert raised.value.table == "scenes"
    assert not any((await all_rows(database_url, full.id)).values())


async def test_the_application_exports_and_imports_and_the_reader_exports(full: FullWorld, database_url: str) -> None:
    async with made_roles(database_url) as roles:
        async with opened(roles.application) as livingworld:
            await livingworld.worlds.import_bundle(BytesIO(full.bundle))
            bundle = await bundle_of(livingworld, full.id)
        async with opened(roles.reader) as livingworld:
            assert len(await bundle_of(livingworld, full.id)) == len(bundle)
            with pytest.raises(MissingPrivilege):
                await livingworld.worlds.import_bundle(BytesIO(bundle), as_world=new_id())


async def test_an_export_that_fails_leaves_the_file_that_was_there(livingworld: LivingWorld, tmp_path: Path) -> None:
    path = tmp_path / "saltmarsh.jsonl"
    path.write_text("the one of yesterday", encoding="utf-8")

    with pytest.raises(WorldNotFound):
        await livingworld.worlds.export_bundle(new_id(), path)

    assert await asyncio.to_thread(files_of, tmp_path) == [path]
    assert path.read_text(encoding="utf-8") == "the one of yesterday"


def files_of(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class FullDisk(BytesIO):
    def writelines(self, _: Iterable[Any], /) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TornDisk(BytesIO):
    def readline(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 2_000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readline(size)


async def test_a_disk_that_fails_is_no_lost_database(full: FullWorld, tmp_path: Path) -> None:
    async with opened(full.url) as livingworld:
        with pytest.raises(BundleFileFailed) as raised:
            await livingworld.worlds.export_bundle(full.id, FullDisk())
        assert raised.value.reason == os.strerror(errno.ENOSPC)
        with pytest.raises(BundleFileFailed):
            await livingworld.worlds.export_bundle(full.id, tmp_path / "nowhere" / "saltmarsh.jsonl")
        for file in (TornDisk(full.bundle), tmp_path / "nothing.jsonl", tmp_path / "no\0name"):
            with pytest.raises(BundleFileFailed):
                await livingworld.worlds.import_bundle(file, as_world=new_id())
    with pytest.raises(BundleFileFailed):
        verify_bundle(TornDisk(full.bundle))


async def test_a_file_of_text_is_refused(full: FullWorld) -> None:
    file: Any
    async with opened(full.url) as livingworld:
        for file in (StringIO(), None, 7, "saltmarsh.jsonl"):
            with pytest.raises(InvalidType, match=r"file: is no pathlib\.Path"):
                await livingworld.worlds.export_bundle(full.id, file)
            with pytest.raises(InvalidType, match=r"file: is no pathlib\.Path"):
                verify_bundle(file)
