"""Scripts: named texts of which every version is kept, and one is active."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from livingworld.errors import InvalidType
from livingworld.inputs import MAX_INTEGER, check_boolean, check_integer, check_iterable, check_text
from livingworld.models.scripts import activating, reading
from livingworld.models.scripts.kinds import CheckedScript, check_name
from livingworld.models.scripts.records import ScriptHead, ScriptUsage, ScriptVersion
from livingworld.postgres.keyset import Page, check_limit, number_cursor
from livingworld.postgres.transactions.world_unit import WorldUnit

#: Most texts of one call.
MAX_SCRIPTS: Final = 10_000


class ScriptRepository:
    """The stored scripts of one world; every write locks the script's row until the transaction ends."""

    def __init__(self, unit: WorldUnit, written: Callable[[], Awaitable[None]] | None = None) -> None:
        """`written` is called after each write: in a world, after its commit."""
        self._unit = unit
        self._written = written or _nothing

    async def publish_all(
        self,
        scripts: Iterable[CheckedScript],
        *,
        expected_versions: Iterable[int | None] | None = None,
        activate: bool = True,
    ) -> tuple[ScriptVersion, ...]:
        """Store checked texts as the next versions of their scripts and return them: others see all of them, or none.

        The first version makes the script; no version is ever changed. A text equal to the newest version's is that
        version, unless it is retired. `expected_versions` has for each the number of the newest version, 0 for no
        script yet, or None; raises VersionConflict.
        """
        given = check_iterable("scripts", scripts, limit=MAX_SCRIPTS)
        new = [_check_script(script, f"scripts[{index}]") for index, script in enumerate(given)]
        check_boolean("activate", activate)
        expected = _expected(expected_versions, len(new))
        versions = await self._unit.write(activating.publish_all, new, expected, activate=activate)
        await self._written()
        return versions

    async def activate(self, name: str, version: int, *, expected_activation: int | None = None) -> ScriptVersion:
        """Make a version the active one and return it; nothing happens when it is.

        A version that was marked for retirement is ready again. Raises ScriptNotFound, ScriptRetired, and
        VersionConflict when `expected_activation` is not the script's: it tells versions apart that came back.
        """
        key, number = check_name(name), check_integer("version", version, minimum=1)
        activation = _optional(expected_activation, "expected_activation")
        activated = await self._unit.write(activating.activate, key, number, activation)
        await self._written()
        return activated

    async def rollback(
        self, name: str, *, expected_version: int | None = None, expected_activation: int | None = None
    ) -> ScriptVersion:
        """Make the version that was active before this one active again, and return it; again goes back further.

        Retired versions are passed over. `expected_version` is the active version, so that of two that roll back from
        it one does; `expected_activation` also notices that it went and came back. Raises VersionConflict,
        NothingToRollBack, ScriptNotFound.
        """
        key, version = check_name(name), _optional(expected_version)
        activation = _optional(expected_activation, "expected_activation")
        former = await self._unit.write(activating.roll_back, key, version, activation)
        await self._written()
        return former

    async def get(self, name: str, version: int | None = None) -> ScriptVersion:
        """Return a version of a script with its text, without one the active version; raises ScriptNotFound."""
        key = check_name(name)
        number = None if version is None else check_integer("version", version, minimum=1)
        return await self._unit.read(reading.read, key, number)

    async def list(self, *, after: str | None = None, limit: int = 50) -> Page[ScriptHead]:
        """Return a page of the world's scripts, by name."""
        last = None if after is None else check_text("after", after)
        return await self._unit.read(reading.read_heads, last, check_limit(limit))

    async def versions(self, name: str, *, after: str | None = None, limit: int = 50) -> Page[ScriptUsage]:
        """Return a page of the versions of a script with the processes that run them now and since when, newest first.

        Empty when there is no such script. A process whose lease is over is not counted.
        """
        key, most = check_name(name), check_limit(limit)
        before = MAX_INTEGER if after is None else number_cursor(after)
        return await self._unit.read(reading.read_usage, key, before, most)


async def _nothing() -> None:
    """Do nothing: in a transaction nothing is in force before the commit."""


def _check_script(script: object, field: str) -> CheckedScript:
    if not isinstance(script, CheckedScript):
        raise InvalidType(field, "must have been checked: world.scripts.check(name, body)")
    return script


def _expected(versions: object, count: int) -> list[int | None]:
    """Return the version that is expected of each script."""
    if versions is None:
        return [None] * count
    given = check_iterable("expected_versions", versions, limit=MAX_SCRIPTS)
    if len(given) != count:
        raise InvalidType("expected_versions", "must have one for each script")
    return [_optional(version, f"expected_versions[{index}]") for index, version in enumerate(given)]


def _optional(number: object, field: str = "expected_version") -> int | None:
    return None if number is None else check_integer(field, number)
