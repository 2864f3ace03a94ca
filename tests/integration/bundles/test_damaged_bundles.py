"""A bundle that is not as it was written is refused at the line that is wrong, before anything is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import pytest

from livingworld import LivingWorld, verify_bundle
from livingworld.bundles.lines import Chain
from livingworld.bundles.reading import BundleReader
from livingworld.errors import BundleDamaged
from tests.integration.bundles.full_world import FullWorld, all_rows

Lines = list[bytes]


def damage_of(lines: Lines) -> BundleDamaged:
    """Return what is wrong with the lines by themselves."""
    with pytest.raises(BundleDamaged) as raised:
        list(BundleReader(BytesIO(b"".join(lines))).batches())
    return raised.value


def tables(lines: Lines) -> list[str | None]:
    """Return for each line the table whose rows stand there."""
    found: list[str | None] = []
    for line in lines:
        content = json.loads(line)
        found.append(None if "counts" in content else content.get("table", found[-1] if found else None))
    return found


def test_a_flipped_byte_is_named_by_line_and_table(full: FullWorld) -> None:
    lines = full.bundle.splitlines(keepends=True)
    named = tables(lines)
    for number, line in enumerate(lines):
        at = (20, (75 + len(line)) // 2, len(line) - 1)[number % 3]  # in the digest, in the middle, the line's end
        flipped = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]

        found = damage_of([*lines[:number], flipped, *lines[number + 1 :]])

        assert found.line == number + 1
        if b'"row"' in line:
            assert found.table == named[number]
            assert str(found).startswith(f"The bundle is damaged: line {number + 1}, table {named[number]}: ")


CHANGES: Final[dict[str, Callable[[Lines, int], Lines]]] = {
    "is missing": lambda lines, at: lines[:at] + lines[at + 1 :],
    "comes twice": lambda lines, at: lines[: at + 1] + lines[at:],
    "is moved": lambda lines, at: [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]],
    "is the last": lambda lines, at: lines[:at],
    "is cut off": lambda lines, at: [*lines[:at], lines[at][:40]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_line_that_is_not_where_it_was_is_found_there(full: FullWorld, change: str) -> None:
    lines = full.bundle.splitlines(keepends=True)
    for at in range(0, len(lines) - 1, 7):
        late = change == "comes twice"

        assert damage_of(CHANGES[change](lines, at)).line == at + 1 + late


def test_what_stands_behind_the_end_is_found(full: FullWorld) -> None:
    lines = full.bundle.splitlines(keepends=True)

    assert damage_of([*lines, b"\n"]).line == len(lines) + 1
    chain = resealed(lines)
    assert damage_of([*lines, chain.sealed('"counts":{}}')]).line == len(lines) + 1


def test_a_row_that_was_changed_together_with_its_digest_is_found_at_the_next_line(full: FullWorld) -> None:
    lines = full.bundle.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b"Uno." in line)
    body = lines[at].partition(b",")[2].rstrip(b"\n").replace(b"Uno.", b"Due.")

    assert damage_of([*lines[:at], resealed(lines[:at]).sealed(body.decode()), *lines[at + 1 :]]).line == at + 2


def resealed(lines: Lines, change: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda line: line) -> Chain:
    """Return the chain after lines, which somebody has changed who knows how it is made."""
    chain = Chain()
    forged(lines, chain, change)
    return chain


def forged(lines: Lines, chain: Chain, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Lines:
    """Return lines that were changed and sealed again from the first one on."""
    made = []
    for line in lines:
        content = json.loads(line)
        content.pop("digest")
        old = line.partition(b",")[2].rstrip(b"\n").decode()
        changed = change(dict(content))
        if changed is not None:
            made.append(chain.sealed(old if changed == content else json.dumps(changed)[1:]))
    return made


def without_first_row_of(table: str, lines: Lines, *, counted: bool) -> Lines:
    here: list[str] = []

    def change(content: dict[str, Any]) -> dict[str, Any] | None:
        here.append(content.get("table", here[-1] if here else ""))
        if "row" in content and here[-1] == table and here.count(table) == 2:
            return None
        if "counts" in content and counted:
            content = {"counts": content["counts"] | {table: content["counts"][table] - 1}}
        return content

    return forged(lines, Chain(), change)


def test_rows_are_counted(full: FullWorld) -> None:
    lines = without_first_row_of("interactions", full.bundle.splitlines(keepends=True), counted=False)

    assert damage_of(lines).line == len(lines)


def test_a_table_that_comes_twice_is_found(full: FullWorld) -> None:
    lines = full.bundle.splitlines(keepends=True)
    again = {key: value for key, value in json.loads(lines[1]).items() if key != "digest"}
    chain = resealed(lines[:-1])

    assert damage_of([*lines[:-1], chain.sealed(json.dumps(again)[1:])]).line == len(lines)


@pytest.mark.parametrize("table", ["scenes", "characters", "memories", "sessions", "turns", "script_versions"])
def test_a_row_that_refers_to_none_is_named(full: FullWorld, table: str) -> None:
    lines = without_first_row_of(table, full.bundle.splitlines(keepends=True), counted=True)

    with pytest.raises(BundleDamaged) as raised:
        verify_bundle(BytesIO(b"".join(lines)))

    found = raised.value
    assert f"it refers to a row of {table} that is not there" in str(found)
    assert tables(lines)[found.line - 1] == found.table


@pytest.mark.parametrize("at", [0.05, 0.5, 0.9, 0.999])
async def test_of_a_damaged_bundle_nothing_is_stored(
    full: FullWorld, livingworld: LivingWorld, database_url: str, at: float
) -> None:
    place = int(len(full.bundle) * at)
    damaged = full.bundle[:place] + bytes([full.bundle[place] ^ 1]) + full.bundle[place + 1 :]

    with pytest.raises(BundleDamaged):
        await livingworld.worlds.import_bundle(BytesIO(damaged))

    assert not any((await all_rows(database_url, full.id)).values())


@pytest.mark.parametrize("text", [b"", b"\n", b"{}\n", b"a dump\n", b'{"digest":"' + b"0" * 64 + b'","bundle":1}\n'])
def test_what_is_no_bundle_is_refused_at_its_first_line(text: bytes) -> None:
    assert damage_of([text]).line == 1
